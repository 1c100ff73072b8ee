//! A brand's secret is exchanged as an operator does it: drawn, named in the configuration, moved to.

use std::process::Output;

use super::{World, succeed, tributary};

/// Draws a secret into a file of the world's directory.
pub fn draw(world: &World, name: &str) {
    let mut keys = tributary();
    succeed(keys.args(["keys", "new"]).arg(world.path(name)));
}

/// The configuration with these secrets, the oldest first; the rest stays as it is.
pub fn with_secrets(world: &World, names: &[&str]) -> String {
    let text = std::fs::read_to_string(world.path("tributary.toml")).expect("the configuration");
    let quoted = |name: &&str| format!("{:?}", world.path(name).display().to_string());
    let (newest, before) = names.split_last().expect("a secret");
    let before: Vec<String> = before.iter().map(quoted).collect();
    let secrets = format!(
        "secret_file = {}\nprevious_secret_files = [{}]",
        quoted(newest),
        before.join(", ")
    );
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.starts_with("secret_file") {
            lines.push(secrets.as_str());
        } else if !line.starts_with("previous_secret_files") {
            lines.push(line);
        }
    }
    lines.join("\n") + "\n"
}

/// Writes that configuration.
pub fn configure_secrets(world: &World, names: &[&str]) {
    let text = with_secrets(world, names);
    std::fs::write(world.path("tributary.toml"), text).expect("the configuration");
}

/// `tributary keys rotate` of the running workers, with a configuration of the world's directory.
pub fn rotate(world: &World, config: &str) -> Output {
    let mut keys = tributary();
    keys.args(["keys", "rotate", "--json", "--config"])
        .arg(world.path(config));
    keys.output().expect("the command starts")
}

/// The same, which must do; how many entries each process has moved.
pub fn rotated(world: &World) -> Vec<u64> {
    let output = rotate(world, "tributary.toml");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let processes = report["processes"].as_array().expect("processes");
    let moved = processes.iter().zip(0..).map(|(process, number)| {
        assert_eq!(process["process"], number);
        process["moved"].as_u64().expect("a count")
    });
    moved.collect()
}

/// The same, which must not do, and why.
pub fn not_rotated(world: &World, config: &str) -> String {
    let output = rotate(world, config);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    eprintln!("refused: {stderr}");
    assert!(!output.status.success() && output.stdout.is_empty());
    stderr
}

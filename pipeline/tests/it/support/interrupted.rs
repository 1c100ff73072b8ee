//! Commands that are killed at random points, and then finished.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{PATIENCE, World, tributary};

/// Runs `tributary ledger …` on the configuration of a world again and again, and kills it after a random time, until
/// it ends by itself, and well. After each kill `check` looks at what is left. A kill may come after the last step: the
/// command then says that it is `done`. Returns what it says in the end.
pub fn ledger_with_kills(
    world: &World,
    arguments: &[&str],
    done: &str,
    mut check: impl FnMut(),
) -> String {
    let begun = Instant::now();
    let mut kills = 0;
    loop {
        assert!(begun.elapsed() < 4 * PATIENCE, "it does not end");
        let mut command = tributary();
        command.arg("ledger").args(arguments).arg("--config");
        let mut child = command
            .arg(world.path("tributary.toml"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        // Later attempts get further, so that the end comes.
        let wait = rand::random_range(0..60 + 40 * kills as u64);
        std::thread::sleep(Duration::from_millis(wait));
        if kills < 12 && child.try_wait().expect("its status").is_none() {
            child.kill().expect("it is killed");
            let _ = child.wait();
            kills += 1;
            check();
            continue;
        }
        let output = child.wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_done = kills > 0 && text.contains(done);
        assert!(output.status.success() || is_done, "{text}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        return format!("after {kills} kills: {said}{text}");
    }
}

//! A replay overwrites nothing that a person made, and no input by whatever path; what fails leaves what was there.

use std::path::Path;

use crate::support::{World, succeed, tributary};

/// Runs a replay in the world's directory; what it says where it fails.
fn replay(world: &World, arguments: &str) -> Result<(), String> {
    let mut command = tributary();
    command
        .current_dir(world.path("."))
        .args(["replay", "--quiet", "--config", "tributary.toml"])
        .args(arguments.split_whitespace());
    let output = command.output().unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn an_output_that_is_an_input_is_refused_by_whatever_path() {
    let world = World::new(50, None, "");
    let trace = world.path("trace.ndjson");
    let before = std::fs::read(&trace).unwrap();
    let config = std::fs::read(world.path("tributary.toml")).unwrap();
    std::os::unix::fs::symlink(&trace, world.path("soft")).unwrap();
    std::fs::hard_link(&trace, world.path("hard")).unwrap();
    for output in [
        "trace.ndjson",
        "./trace.ndjson",
        "soft",
        "hard",
        "tributary.toml",
        "./tributary.toml",
    ] {
        for option in ["--cells", "--cells fresh --dead-letters"] {
            for force in ["", "--force"] {
                let arguments = format!("{option} {output} {force} trace.ndjson");
                let said = replay(&world, &arguments).unwrap_err();
                assert!(said.contains("is also an input"), "{arguments}: {said}");
                assert_eq!(said.lines().count(), 1, "{said}");
                assert!(!world.path("fresh").exists(), "{arguments}");
            }
        }
    }
    assert_eq!(std::fs::read(&trace).unwrap(), before);
    assert_eq!(std::fs::read(world.path("tributary.toml")).unwrap(), config);
}

#[test]
fn refused_lines_that_were_mended_are_not_overwritten_by_their_own_replay() {
    let world = World::new(50, None, "");
    let bad = r#"{"subject":"tributary.in.orchard.web","at":1760000000000,"data":"{"}"#;
    let trace = std::fs::read_to_string(world.path("trace.ndjson")).unwrap();
    std::fs::write(world.path("trace.ndjson"), format!("{trace}{bad}\n")).unwrap();
    replay(&world, "--cells cells trace.ndjson").unwrap();
    let refused = world.path("cells.dead-letters.ndjson");
    let mended = std::fs::read(&refused).unwrap();
    assert!(!mended.is_empty());
    let arguments = "--cells cells trace.ndjson cells.dead-letters.ndjson";
    let said = replay(&world, arguments).unwrap_err();
    assert!(said.contains("--dead-letters"), "{said}");
    assert_eq!(std::fs::read(&refused).unwrap(), mended);
    let arguments = "--cells cells --dead-letters more trace.ndjson cells.dead-letters.ndjson";
    replay(&world, arguments).unwrap();
}

#[test]
fn only_what_a_replay_wrote_is_replaced_or_removed() {
    let world = World::new(50, None, "");
    let notes = |name: &str| std::fs::write(world.path(name), "my notes\n").unwrap();
    let holds = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    notes("notes");
    for option in ["--cells", "--cells fresh --dead-letters"] {
        let said = replay(&world, &format!("{option} notes trace.ndjson")).unwrap_err();
        assert!(said.contains("--force"), "{said}");
        assert_eq!(holds("notes"), "my notes\n");
    }
    replay(&world, "--cells fresh trace.ndjson").unwrap();
    let first = holds("fresh");
    replay(&world, "--cells fresh trace.ndjson").unwrap();
    assert_eq!(holds("fresh"), first);
    replay(&world, "--cells notes --force trace.ndjson").unwrap();
    assert_eq!(holds("notes"), first);
}

#[test]
fn a_replay_that_fails_leaves_the_cells_that_were_there() {
    let world = World::new(50, None, "");
    replay(&world, "--cells cells trace.ndjson").unwrap();
    let before = std::fs::read(world.path("cells")).unwrap();
    // A compressed trace that ends in the middle fails when it is read to its end.
    let whole = std::fs::read(world.path("trace.ndjson")).unwrap();
    let mut broken = vec![0x1f, 0x8b];
    broken.extend(whole.iter().take(100));
    std::fs::write(world.path("broken.gz"), broken).unwrap();
    assert!(replay(&world, "--cells cells broken.gz").is_err());
    assert_eq!(std::fs::read(world.path("cells")).unwrap(), before);
    let parts = std::fs::read_dir(world.path(".")).unwrap();
    let parts = parts.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        Path::new(&name)
            .extension()
            .is_some_and(|end| end == "part")
    });
    assert_eq!(parts.count(), 0);
}

#[test]
fn a_secret_is_drawn_into_a_file_that_is_not_there() {
    let world = World::new(50, None, "");
    let file = world.path("new.secret");
    succeed(tributary().args(["keys", "new"]).arg(&file));
    let drawn = std::fs::read(&file).unwrap();
    let again = tributary().args(["keys", "new"]).arg(&file).output();
    assert!(!again.unwrap().status.success());
    assert_eq!(std::fs::read(&file).unwrap(), drawn);
}

#[test]
fn an_answer_to_a_request_never_replaces_what_the_command_reads() {
    let world = World::new(50, None, "");
    std::fs::write(world.path("request.json"), "{}").unwrap();
    std::fs::write(world.path("record.json"), "{}").unwrap();
    for input in ["request.json", "record.json", "tributary.toml"] {
        let before = std::fs::read(world.path(input)).unwrap();
        let (soft, hard) = (format!("soft-{input}"), format!("hard-{input}"));
        std::os::unix::fs::symlink(world.path(input), world.path(&soft)).unwrap();
        std::fs::hard_link(world.path(input), world.path(&hard)).unwrap();
        for output in [input, &soft, &hard, &format!("./{input}")] {
            for force in [None, Some("--force")] {
                let mut command = tributary();
                command.current_dir(world.path("."));
                command.args([
                    "rights",
                    "rectify",
                    "--config",
                    "tributary.toml",
                    "--proof",
                    "t",
                ]);
                command.args([
                    "--request",
                    "request.json",
                    "--record",
                    "record.json",
                    "--out",
                    output,
                ]);
                let ended = command.args(force).output().unwrap();
                let said = String::from_utf8(ended.stderr).unwrap();
                assert!(said.contains("is also an input"), "{output}: {said}");
            }
        }
        assert_eq!(std::fs::read(world.path(input)).unwrap(), before);
    }
}

#[test]
fn a_ledger_is_loaded_only_where_nothing_is() {
    let world = World::new(50, None, "");
    replay(&world, "--cells cells --ledger loaded trace.ndjson").unwrap();
    let loaded = crate::support::story::contents(&world.path("loaded"));
    assert!(!loaded.is_empty());
    std::os::unix::fs::symlink(world.path("loaded"), world.path("link")).unwrap();
    std::fs::create_dir_all(world.path("mine/process-0")).unwrap();
    std::fs::write(world.path("mine/process-0/notes"), "my notes\n").unwrap();
    std::fs::write(world.path("file"), "my notes\n").unwrap();
    for directory in ["loaded", "link", "./loaded", "mine", "file"] {
        for force in ["", "--force"] {
            let arguments = format!("--cells other --ledger {directory} {force} trace.ndjson");
            let said = replay(&world, &arguments).unwrap_err();
            assert_eq!(said.lines().count(), 1, "{arguments}: {said}");
        }
        assert!(!world.path("other").exists(), "{directory}");
    }
    assert_eq!(
        crate::support::story::contents(&world.path("loaded")),
        loaded
    );
    let notes = crate::support::story::contents(&world.path("mine"));
    assert_eq!(notes.len(), 1, "{notes:?}");
    // A directory that is there and empty is one to load into.
    std::fs::create_dir_all(world.path("fresh/process-0")).unwrap();
    replay(&world, "--cells cells --ledger fresh trace.ndjson").unwrap();
}

//! What the shell completes and what `man` shows is generated from the command line.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::guides_parts::commands::loadtest;
use crate::support::succeed;

/// The programs, each with a command and an option of that command.
fn programs() -> [(&'static str, PathBuf, &'static str, &'static str); 2] {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_tributary"));
    [
        ("tributary", own, "dead-letters", "resend"),
        ("loadtest", loadtest(), "generate", "--config-out"),
    ]
}

#[test]
fn bash_completes_commands_and_options() {
    for (name, program, command, word) in programs() {
        let script = succeed(Command::new(&program).args(["completions", "bash"])).stdout;
        let script = String::from_utf8(script).unwrap();
        let complete = |words: &str, position: usize, begun: &str| {
            let ask = format!(
                "{script}\nCOMP_WORDS=({words})\nCOMP_CWORD={position}\n_{name} {name} '{begun}' ''\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
            );
            let said = succeed(Command::new("bash").args(["--norc", "-c", &ask])).stdout;
            let said = String::from_utf8(said).unwrap();
            said.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let begun = &command[..3];
        assert_eq!(complete(&format!("{name} {begun}"), 1, begun), [command]);
        let begun = &word[..4];
        let found = complete(&format!("{name} {command} {begun}"), 2, begun);
        assert!(found.contains(&word.to_owned()), "{found:?}");
        assert_eq!(complete(&format!("{name} xyz"), 1, "xyz"), [""]);
        for shell in ["zsh", "fish", "elvish", "powershell"] {
            let script = succeed(Command::new(&program).args(["completions", shell])).stdout;
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains(command), "{shell}");
        }
    }
}

#[test]
fn every_command_has_a_page() {
    for (name, program, command, word) in programs() {
        let directory = tempfile::tempdir().unwrap();
        let pages = directory.path().join("man1");
        let man = |status: bool| {
            let output = Command::new(&program)
                .args(["man", "--out"])
                .arg(&pages)
                .output()
                .unwrap();
            assert_eq!(output.status.success(), status, "{output:?}");
            String::from_utf8(output.stderr).unwrap()
        };
        man(true);
        let page = pages.join(format!("{name}-{command}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(&word.replace('-', "\\-")), "{text}");
        assert!(fs::exists(pages.join(format!("{name}.1"))).unwrap());
        assert!(!fs::exists(pages.join(format!("{name}-help.1"))).unwrap());
        assert!(!fs::exists(pages.join(format!("{name}-reference.1"))).unwrap());
        // What `man` formats pages with finds nothing wrong.
        for entry in fs::read_dir(&pages).unwrap() {
            let path = entry.unwrap().path();
            let mut groff = Command::new("groff");
            groff
                .args(["-Kutf8", "-man", "-Tutf8", "-ww", "-z"])
                .arg(&path);
            let Ok(output) = groff.output() else {
                tributary_testkit::skipped("no groff: install groff-base");
                break;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
        }

        // Its own pages are written anew, and nobody else's.
        man(true);
        fs::write(&page, "my notes\n").unwrap();
        let said = man(false);
        assert!(
            said.contains(command) && said.contains("not a page"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(&page).unwrap(), "my notes\n");

        let output = succeed(Command::new(&program).arg("man"));
        let main = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            main,
            fs::read_to_string(pages.join(format!("{name}.1"))).unwrap()
        );
    }
}

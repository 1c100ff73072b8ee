//! `tributary-ledger`: it has systemd run a command in the unit of the worker while that is stopped, and leaves nothing behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use tributary_testkit::skipped;

use super::{deploy, root, run};

/// A machine of its own: the unit, the script, and in place of systemd what looks at what it would be told.
struct Machine {
    directory: tempfile::TempDir,
}

/// Stands for `systemctl`: it has the unit judged with its drop-ins, and runs the last command of `ExecStart=` as systemd reads it.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd @MACHINE@
echo "$*" >>asked
case "$1" in
is-active) cat state; [ "$(cat state)" = active ] ;;
start)
    dropin=units/tributary.service.d/zz-ledger.conf
    cp "$dropin" was-there
    systemd-analyze verify --man=no units/tributary.service >verified 2>&1
    line=$(sed -n 's/^ExecStart=\(..*\)/\1/p' "$dropin" | sed 's/%%/%/g; s/\$\$/\\$/g')
    out=$(sed -n 's/^StandardOutput=truncate://p' "$dropin")
    err=$(sed -n 's/^StandardError=truncate://p' "$dropin")
    eval "$line" >"${out:-journal}" 2>"${err:-journal}"
    ;;
esac
"#;

/// Stands for the program: it shows its arguments, and fails where a test says so.
const PROGRAM: &str = "#!/bin/sh\nfor argument in \"$@\"; do echo \"<$argument>\"; done\necho progress >&2\n[ ! -e @MACHINE@/fails ]\n";

impl Machine {
    /// A machine, or none with a printed reason.
    fn new_or_skip() -> Option<Machine> {
        if Command::new("systemd-analyze")
            .arg("--version")
            .output()
            .is_err()
        {
            skipped("no systemd-analyze: install systemd");
            return None;
        }
        let machine = Machine {
            directory: tempfile::tempdir().unwrap(),
        };
        for directory in ["bin", "units", "said"] {
            std::fs::create_dir(machine.at(directory)).unwrap();
        }
        let own = machine.directory.path().to_str().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(machine.at(name), text.replace("@MACHINE@", own)).unwrap();
            let mode = if name.starts_with("bin/") {
                0o755
            } else {
                0o644
            };
            crate::common::set_mode(&machine.at(name), mode);
        };
        write("bin/systemctl", SYSTEMCTL);
        write("bin/tributary", PROGRAM);
        write("bin/id", "#!/bin/sh\necho 0\n");
        let moved = |name: &str| {
            let text = std::fs::read_to_string(deploy("systemd").join(name)).unwrap();
            let text = text.replace("/usr/bin/tributary", &format!("{own}/bin/tributary"));
            let text = text.replace("/run/systemd/system", &format!("{own}/units"));
            text.replace(
                "/run/tributary-ledger",
                &format!("{own}/said/tributary-ledger"),
            )
        };
        write("units/tributary.service", &moved("tributary.service"));
        write("bin/tributary-ledger", &moved("tributary-ledger"));
        machine.state("inactive");
        Some(machine)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn state(&self, state: &str) {
        std::fs::write(self.at("state"), format!("{state}\n")).unwrap();
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    /// Runs the script: whether it ended well, and its two outputs.
    fn ledger(&self, arguments: &[&str]) -> (bool, String, String) {
        let path = format!(
            "{}:{}",
            self.at("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new(self.at("bin/tributary-ledger"))
            .args(arguments)
            .env("PATH", path)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        // Nothing is left behind, and systemd knows it.
        let is_empty = |name: &str| self.at(name).read_dir().unwrap().count() == 0;
        assert!(!self.at("units/tributary.service.d").exists() && is_empty("said"));
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

#[test]
fn a_command_is_run_in_the_unit_of_the_worker() {
    let Some(machine) = Machine::new_or_skip() else {
        return;
    };
    let awkward = "/mnt/a \"b\" \\ $HOME %n";
    let (ended_well, out, err) = machine.ledger(&["restore", "--from", awkward, "--json"]);
    assert!(ended_well, "{err}");
    assert_eq!(
        out,
        format!(
            "<ledger>\n<restore>\n<--from>\n<{awkward}>\n<--json>\n<--config>\n</etc/tributary/tributary.toml>\n"
        )
    );
    assert!(err.contains("progress"), "{err}");
    assert_eq!(
        machine.text("verified"),
        "",
        "systemd accepts the unit with the drop-in"
    );
    let asked = machine.text("asked");
    let asked: Vec<&str> = asked.lines().collect();
    let expected = [
        "is-active tributary.service",
        "daemon-reload",
        "start tributary.service",
        "daemon-reload",
    ];
    assert_eq!(asked, expected);
    // It changes what is run, and neither the user nor what the unit may see.
    let dropin = machine.text("was-there");
    for line in dropin.lines().filter(|line| line.contains('=')) {
        let key = line.split('=').next().unwrap();
        let known = [
            "Type",
            "Restart",
            "TimeoutStartSec",
            "ExecStart",
            "ExecReload",
            "StandardOutput",
            "StandardError",
        ];
        assert!(known.contains(&key), "{line}");
    }

    // A word that systemd does not know would be found.
    let script = machine.text("bin/tributary-ledger");
    std::fs::write(
        machine.at("bin/tributary-ledger"),
        script.replace("Restart=no", "Restarts=no"),
    )
    .unwrap();
    machine.ledger(&["restore"]);
    assert!(
        machine.text("verified").contains("Restarts"),
        "{}",
        machine.text("verified")
    );
}

#[test]
fn a_command_that_fails_or_is_refused_leaves_nothing_behind() {
    let Some(machine) = Machine::new_or_skip() else {
        return;
    };
    std::fs::write(machine.at("fails"), "").unwrap();
    let (ended_well, out, _) = machine.ledger(&["move", "--brand", "acme"]);
    assert!(!ended_well && out.contains("<--brand>\n<acme>\n"), "{out}");
    std::fs::remove_file(machine.at("fails")).unwrap();

    for state in ["active", "activating", "deactivating"] {
        machine.state(state);
        std::fs::remove_file(machine.at("asked")).unwrap();
        let (ended_well, _, err) = machine.ledger(&["restore"]);
        assert!(
            !ended_well && err.contains("systemctl stop tributary.service"),
            "{err}"
        );
        assert!(!machine.text("asked").contains("start"));
    }
    machine.state("failed");
    for wrong in [&["destroy"][..], &["restore", "a\nb"], &[]] {
        std::fs::remove_file(machine.at("asked")).ok();
        assert!(!machine.ledger(wrong).0, "{wrong:?}");
        assert!(!machine.text("asked").contains("start tributary"));
    }
    assert!(machine.ledger(&["reshard", "--to", "3"]).0);
}

/// The flag is that of one start: the next one of the same worker does not have it.
#[test]
fn a_loss_is_accepted_by_one_start() {
    let Some(machine) = Machine::new_or_skip() else {
        return;
    };
    let (ended_well, _, err) = machine.ledger(&["accept-loss"]);
    assert!(ended_well, "{err}");
    assert_eq!(machine.text("verified"), "");
    let program = machine.at("bin/tributary");
    let expected = format!(
        "[Service]\nExecStart=\nExecStart={} run --config /etc/tributary/tributary.toml --accept-loss\n",
        program.display()
    );
    assert_eq!(machine.text("was-there"), expected);
    // A second word is a mistake, such as a brand.
    assert!(!machine.ledger(&["accept-loss", "acme"]).0);
}

/// The drop-ins of the guide, each of which begins with the name of its section.
fn dropins_of_the_guide() -> Vec<String> {
    let guide = std::fs::read_to_string(root().join("config/DEPLOY.md")).unwrap();
    let blocks = guide.split("```").skip(1).step_by(2);
    let dropins = blocks.filter_map(|block| {
        let text = block.strip_prefix("text\n")?;
        text.starts_with('[').then(|| text.to_owned())
    });
    dropins.filter(|text| text.contains("[Service]")).collect()
}

/// What the guide has an operator add is what systemd reads.
#[test]
fn systemd_accepts_the_drop_ins_of_the_guide() {
    let Some(machine) = Machine::new_or_skip() else {
        return;
    };
    let dropins = dropins_of_the_guide();
    let all = dropins.concat();
    assert!(
        all.contains("ReadWritePaths=/mnt/backup\n") && all.contains("TRIBUTARY_WORKERS_MEMORY="),
        "{all}"
    );
    let verify = |text: &str| {
        let directory = machine.at("units/tributary.service.d");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("override.conf"), text).unwrap();
        let unit: &Path = &machine.at("units/tributary.service");
        let (_, said) = run(
            "systemd-analyze",
            &["verify".as_ref(), "--man=no".as_ref(), unit.as_os_str()],
        );
        said
    };
    for dropin in &dropins {
        assert_eq!(verify(dropin), "", "{dropin}");
    }
    assert!(verify("[Service]\nReadWritePath=/mnt/backup\n").contains("ReadWritePath"));
}

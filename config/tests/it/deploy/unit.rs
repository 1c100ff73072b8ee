//! The unit is one that systemd accepts, and takes from the worker what it does not need.

use std::path::PathBuf;

use tributary_testkit::skipped;

use super::{deploy, run};

/// The largest exposure that `systemd-analyze security` may find, in tenths.
const EXPOSURE: &str = "15";

/// The unit, whose program is one that every machine has.
fn unit_or_skip(directory: &tempfile::TempDir) -> Option<PathBuf> {
    if std::process::Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        skipped("no systemd-analyze: install systemd");
        return None;
    }
    let text = std::fs::read_to_string(deploy("systemd/tributary.service")).unwrap();
    let path = directory.path().join("tributary.service");
    std::fs::write(&path, text.replace("/usr/bin/tributary", "/bin/true")).unwrap();
    Some(path)
}

#[test]
fn systemd_accepts_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let Some(unit) = unit_or_skip(&directory) else {
        return;
    };
    let verify = |unit: &PathBuf| {
        let (output, said) = run(
            "systemd-analyze",
            &["verify".as_ref(), "--man=no".as_ref(), unit.as_os_str()],
        );
        (output.status.success(), said)
    };
    let (good, said) = verify(&unit);
    assert!(good && said.is_empty(), "{said}");

    // An option that systemd does not know would be ignored at a start, and is found here.
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text.replace("ProtectHome=", "ProtectHomes=")).unwrap();
    let (_, said) = verify(&unit);
    assert!(said.contains("ProtectHomes"), "{said}");
}

#[test]
fn the_unit_is_hardened() {
    let directory = tempfile::tempdir().unwrap();
    let Some(unit) = unit_or_skip(&directory) else {
        return;
    };
    let security = |unit: &PathBuf| {
        let threshold = format!("--threshold={EXPOSURE}");
        let arguments = ["security", "--no-pager", "--offline=true", &threshold].map(AsRef::as_ref);
        run(
            "systemd-analyze",
            &[&arguments[..], &[unit.as_os_str()]].concat(),
        )
    };
    let (output, said) = security(&unit);
    if said.contains("unrecognized option") {
        skipped("systemd-analyze is older than 250 and judges no files");
        return;
    }
    assert!(output.status.success(), "{said}");
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text.replace("SystemCallFilter=", "# ")).unwrap();
    let (output, said) = security(&unit);
    assert!(!output.status.success(), "{said}");
}

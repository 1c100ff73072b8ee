//! The Debian package holds what an operator of one machine needs, and the programs in it run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tributary_testkit::skipped;

use super::{programs, script};
use crate::guides_parts::document::root;
use crate::support::succeed;

fn text(command: &mut Command) -> String {
    String::from_utf8(succeed(command).stdout).unwrap()
}

#[test]
fn the_package_holds_programs_unit_completions_and_pages() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        skipped("no dpkg-deb: it is Debian's");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let build = |name: &str| {
        let out = directory.path().join(name);
        let mut package = script("debian.sh");
        // Programs of tests are large, and are not packed as tightly.
        package.env("DPKG_DEB_COMPRESSOR_TYPE", "gzip");
        package.env("DPKG_DEB_COMPRESSOR_LEVEL", "1");
        succeed(package.arg("--out").arg(&out).arg(programs()));
        let mut packages: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(packages.len(), 1, "{packages:?}");
        packages.pop().unwrap()
    };
    let package = build("one");
    assert_eq!(
        fs::read(&package).unwrap(),
        fs::read(build("two")).unwrap(),
        "the same bytes"
    );

    let field = |name: &str| {
        text(
            Command::new("dpkg-deb")
                .arg("--field")
                .arg(&package)
                .arg(name),
        )
    };
    assert_eq!(field("Package").trim(), "tributary");
    assert_eq!(field("Version").trim(), tributary::version::VERSION);
    assert!(field("Depends").starts_with("libc6 (>= 2."));

    let installed = directory.path().join("root");
    succeed(
        Command::new("dpkg-deb")
            .arg("--extract")
            .arg(&package)
            .arg(&installed),
    );
    let at = |name: &str| installed.join(name);
    for program in ["tributary", "loadtest"] {
        let said = text(Command::new(at("usr/bin").join(program)).arg("--version"));
        assert!(said.starts_with(program), "{said}");
        for file in [
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
            format!("usr/share/man/man1/{program}.1.gz"),
        ] {
            assert!(fs::metadata(at(&file)).unwrap().len() > 100, "{file}");
        }
    }
    assert!(at("usr/share/man/man1/tributary-keys-new.1.gz").exists());
    let unit = fs::read_to_string(at("usr/lib/systemd/system/tributary.service")).unwrap();
    assert_eq!(
        unit,
        fs::read_to_string(root().join("config/deploy/systemd/tributary.service")).unwrap()
    );
    assert!(unit.contains("ExecStart=/usr/bin/tributary run "));
    let command = text(
        Command::new("sed")
            .args(["-n", "1p"])
            .arg(at("usr/sbin/tributary-ledger")),
    );
    assert_eq!(command, "#!/bin/sh\n");
    let mode = fs::metadata(at("usr/sbin/tributary-ledger"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    // What the unit reads secrets from is nobody else's.
    let mode = fs::metadata(at("etc/tributary/secrets"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(unit.contains("LoadCredential=tributary:/etc/tributary/secrets"));
    checked_sums(&package, &installed);
}

/// Checks the sums of the package, and that its scripts are scripts.
fn checked_sums(package: &Path, installed: &Path) {
    let control = tempfile::tempdir().unwrap();
    succeed(
        Command::new("dpkg-deb")
            .arg("--control")
            .arg(package)
            .arg(control.path()),
    );
    let sums = control.path().join("md5sums");
    succeed(
        Command::new("md5sum")
            .args(["--check", "--quiet"])
            .arg(&sums)
            .current_dir(installed),
    );
    for name in ["postinst", "prerm", "postrm"] {
        succeed(Command::new("sh").arg("-n").arg(control.path().join(name)));
    }
    a_worker_that_does_not_start_leaves_the_package_installed(control.path());
}

/// An upgrade has the worker restarted. Where that fails, the package says so and is configured all the same: otherwise neither
/// it nor anything else could be installed before the worker starts.
fn a_worker_that_does_not_start_leaves_the_package_installed(control: &Path) {
    let place = control.join("place");
    fs::create_dir_all(place.join("systemd")).unwrap();
    let script = fs::read_to_string(control.join("postinst")).unwrap();
    let known = place.join("systemd").display().to_string();
    let script = script.replace("/run/systemd/system", &known);
    assert!(script.contains(&known));
    let postinst = |starts: bool, old: &str| {
        let systemctl =
            format!("#!/bin/sh\necho \"systemctl $*\"\n[ \"$1\" != try-restart ] || {starts}\n");
        fs::write(place.join("systemctl"), systemctl).unwrap();
        fs::set_permissions(place.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", &script, "postinst", "configure", old])
            .env("PATH", path)
            .output()
            .unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
        String::from_utf8(said).unwrap()
    };
    let said = postinst(false, "0.0.9");
    assert!(
        said.contains("systemctl try-restart tributary.service"),
        "{said}"
    );
    assert!(
        said.contains("did not start") && said.contains("journalctl --unit tributary"),
        "{said}"
    );
    assert!(!postinst(true, "0.0.9").contains("did not start"));
    // A package that is new starts nothing.
    assert!(!postinst(true, "").contains("restart"));
}

//! The command line: it generates a trace with its configuration, and compares cells with the
//! oracle. The exit status is 0 for equal, 1 for different, and 2 if the comparison failed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the binary in a folder.
fn loadtest(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn made_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let status = |arguments: &str| {
        let output = loadtest(folder, arguments);
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };

    let made = loadtest(
        folder,
        "generate --events 3000 --out t.ndjson --config-out t.toml",
    );
    assert!(made.status.success(), "{made:?}");
    let secret = std::fs::metadata(folder.join("t.secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
    assert!(
        !String::from_utf8(read("t.toml"))
            .unwrap()
            .contains(&String::from_utf8(read("t.secret")).unwrap())
    );

    // A configuration that somebody may have changed stays as it is, and nothing else is written.
    std::fs::write(folder.join("t.toml"), "# mine\n").unwrap();
    let refused = loadtest(folder, "generate --out other.ndjson --config-out ./t.toml");
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("t.toml") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(read("t.toml"), b"# mine\n");
    assert!(!folder.join("other.ndjson").exists());
    // Nor is a file overwritten that is no trace, or that is named twice, or that is the secret.
    for arguments in [
        "generate --out t.toml",
        "generate --out t.secret",
        "generate --out a.ndjson --config-out ./a.ndjson",
        "generate --out t.secret --config-out t.toml --force",
    ] {
        assert!(!loadtest(folder, arguments).status.success(), "{arguments}");
        assert_eq!(read("t.toml"), b"# mine\n", "{arguments}");
    }

    // Compressed by name, the same; on standard output, the same; a second time the secret stays.
    let before = read("t.secret");
    for name in ["t.ndjson.gz", "t.ndjson.zst"] {
        let made = loadtest(
            folder,
            &format!("generate --events 3000 --out {name} --config-out t.toml --force"),
        );
        assert!(made.status.success(), "{made:?}");
        assert!(read(name).len() < read("t.ndjson").len() / 3);
    }
    assert_eq!(read("t.secret"), before);
    assert!(loadtest(folder, "generate --events 3000").stdout == read("t.ndjson"));

    let verify = "verify --config t.toml";
    assert_eq!(
        status(&format!("{verify} --write cells t.ndjson")).0,
        Some(0)
    );
    for trace in ["t.ndjson", "t.ndjson.gz", "t.ndjson.zst"] {
        let (code, said) = status(&format!("{verify} --cells cells {trace}"));
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("the same, byte for byte"), "{said}");
    }
    let before = read("t.ndjson");
    for file in ["t.ndjson", "./t.ndjson", "t.toml"] {
        let (code, _) = status(&format!("{verify} --write {file} --force t.ndjson"));
        assert_eq!(code, Some(2), "{file}");
    }
    assert_eq!(read("t.ndjson"), before);
    let cells = String::from_utf8(read("cells")).unwrap();
    std::fs::write(
        folder.join("cells"),
        cells.replacen(
            "\"conversions_millionths\":1",
            "\"conversions_millionths\":2",
            1,
        ),
    )
    .unwrap();
    let (code, said) = status(&format!("{verify} --cells cells t.ndjson"));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("oracle: {\"cell\"") && said.contains("output: {\"cell\""),
        "{said}"
    );

    for wrong in [
        "generate --events 0",
        "verify --config absent.toml --cells cells t.ndjson",
        "verify --config t.toml --cells cells absent.ndjson",
        "replay --speed-up 0 t.ndjson",
    ] {
        let output = loadtest(folder, wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {output:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("loadtest: "),
            "{wrong}: {output:?}"
        );
    }
}

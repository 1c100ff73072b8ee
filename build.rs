//! The commit that a binary is built from, for `--version`, the log and `tributary_build_info`.
//!
//! `TRIBUTARY_COMMIT` names it where a build has no git, as in an image or from an archive. Otherwise git says it:
//! twelve digits, and `-dirty` where the working tree differs from the commit. It is `unknown` where neither knows. A
//! debug build asks git once and for all, so that a commit does not build every test anew: what it says may be an
//! older commit, and so it says `-debug`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=TRIBUTARY_COMMIT");
    println!("cargo:rerun-if-changed=../build.rs");
    let given = std::env::var("TRIBUTARY_COMMIT").unwrap_or_default();
    let commit = match given.trim() {
        "" => of_git(),
        given => given.to_owned(),
    };
    println!("cargo:rustc-env=TRIBUTARY_BUILD_COMMIT={commit}");
}

fn of_git() -> String {
    let Some(commit) = git(&[
        "describe",
        "--always",
        "--abbrev=12",
        "--exclude=*",
        "--dirty",
    ]) else {
        return "unknown".to_owned();
    };
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return format!("{}-debug", commit.trim_end_matches("-dirty"));
    }
    // The commit changes with these files, and what is dirty with the sources.
    for path in ["HEAD", "logs/HEAD", "index"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            watch(Path::new(&path));
        }
    }
    for folder in [
        "config",
        "connectors",
        "loadtest",
        "operators",
        "pipeline",
        "Cargo.lock",
    ] {
        watch(&Path::new("..").join(folder));
    }
    commit
}

/// Runs this again when a file changes. One that is not there would have it run always.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo:rerun-if-changed={}", path.display());
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}

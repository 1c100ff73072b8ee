//! Secrets: where they come from, when they are refused, and that nothing ever shows them.

use std::path::Path;

use crate::common::{brand, read, secret, set_mode, shown, wrong};
use secrecy::ExposeSecret;
use tributary_config::{LoadedConfig, Problems, load, parse_in, print};

/// A configuration in a directory of its own, whose secret file holds these bytes.
fn with_file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, Result<LoadedConfig, Problems>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("acme.secret");
    std::fs::write(&path, bytes).unwrap();
    set_mode(&path, mode);
    let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = \"acme.secret\"\n\
        consent = { vendor = 1, feature_2 = true }\n";
    let loaded = parse_in(text, &directory.path().join("tributary.toml"), &|_| None);
    (directory, loaded)
}

#[test]
fn a_file_gives_the_secret_without_its_line_end() {
    for end in ["", "\n", "\r\n"] {
        let (_directory, loaded) = with_file(format!("{}{end}", secret('x')).as_bytes(), 0o600);
        let loaded = loaded.unwrap();
        assert_eq!(loaded.config.brands[0].secret.expose_secret(), secret('x'));
        assert_eq!(loaded.warnings, []);
    }
}

#[test]
fn a_file_that_is_short_or_no_text_or_absent_is_refused() {
    let refused = |bytes: &[u8]| with_file(bytes, 0o600).1.unwrap_err().to_string();
    assert!(refused(b"0123456789012345678901234567890\n").contains("holds 31 bytes, at least 32"));
    assert!(refused(b"").contains("holds 0 bytes"));
    assert!(refused(&[0xff; 40]).contains("is not text"));
    assert!(refused(&[b'a'; 70_000]).contains("more than 65536 bytes"));
    let absent = "[[brand]]\nname = \"a\"\ntimezone = \"UTC\"\nsecret_file = \"no/such/file\"";
    let wrong = wrong(absent);
    assert!(
        wrong[0].contains(":4:15: brand[0].secret_file:") && wrong[0].contains("create it"),
        "{wrong:?}"
    );
    let directory = "[[brand]]\nname = \"a\"\ntimezone = \"UTC\"\nsecret_file = \".\"";
    assert!(crate::common::wrong(directory)[0].contains("cannot be read"));
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_gives_a_warning() {
    let (_directory, loaded) = with_file(secret('x').as_bytes(), 0o640);
    let warnings = shown(&loaded.unwrap().warnings);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("mode 640") && warnings[0].contains("chmod 600"));
}

#[test]
fn a_file_that_everybody_can_read_is_refused() {
    for mode in [0o644, 0o604, 0o444] {
        let (_directory, loaded) = with_file(secret('x').as_bytes(), mode);
        let problems = shown(&loaded.unwrap_err().0);
        assert_eq!(problems.len(), 1);
        let words = format!("every user of this system (mode {mode:03o})");
        assert!(problems[0].contains(&words) && problems[0].contains("chmod 600"));
        assert!(!problems[0].contains(&secret('x')));
    }
}

#[test]
fn a_secret_that_nobody_drew_at_random_is_refused() {
    for (text, right) in [
        ("0".repeat(64), false),
        ("secret".repeat(8), false),
        ("4f2a9c41".repeat(5), false),
        ("passwordpass".repeat(3), false),
        (format!("{}1", "correct-wolf".repeat(9)), false),
        (format!("{}9z", "Passw0rd!x".repeat(4)), false),
        ("0123456789abcdef".repeat(2), false),
        ("abcdefghijklmnopqrstuvwxyz0123456789".to_owned(), false),
        ("qwertyuiopasdfghjklzxcvbnm1234567890".to_owned(), false),
        ("passwordpasswordsecretsecretadminadmin".to_owned(), false),
        (secret('x'), true),
        ("Zx8K/2qvLw0dTnYb5rSg3hUe7oJmPc1A".to_owned(), true),
    ] {
        let (_directory, loaded) = with_file(text.as_bytes(), 0o600);
        match loaded {
            Ok(_) => assert!(right, "{text}"),
            Err(problems) => {
                let problems = shown(&problems.0);
                assert!(!right && problems.len() == 1, "{problems:?}");
                assert!(
                    problems[0].contains("nobody drew at random") && !problems[0].contains(&text)
                );
                assert!(problems[0].contains("openssl rand"), "{problems:?}");
            }
        }
    }
}

/// Otherwise whoever had such a secret could not replace it.
#[test]
fn a_previous_secret_may_be_what_is_refused_today() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [("new", secret('n')), ("old", "0123456789abcdef".repeat(2))] {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
    }
    let read = |secrets: &str| {
        let text = format!(
            "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\n{secrets}\nconsent = {{ vendor = 1, feature_2 = true }}\n"
        );
        parse_in(&text, &directory.path().join("tributary.toml"), &|_| None)
    };
    let loaded = read("secret_file = \"new\"\nprevious_secret_files = [\"old\"]").unwrap();
    let warnings = shown(&loaded.warnings);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("previous_secret_files[0]")
            && warnings[0].contains("nobody drew at random")
    );
    let refused = shown(&read("secret_file = \"old\"").unwrap_err().0);
    assert!(
        refused[0].contains("keep its file in previous_secret_files"),
        "{refused:?}"
    );
}

#[test]
fn a_variable_gives_the_secret() {
    let loaded = read(&brand("")).unwrap();
    assert_eq!(loaded.config.brands[0].secret.expose_secret(), secret('1'));
    let from = |name: &str| {
        wrong(&format!(
            "[[brand]]\nname = \"a\"\ntimezone = \"UTC\"\nsecret_env = \"{name}\""
        ))
    };
    assert!(from("SHORT")[0].contains("holds 9 bytes"));
    assert!(from("UNSET")[0].contains("variable UNSET is not set"));
    // What stands there may be the secret itself.
    for mistaken in [
        "correct horse battery staple",
        "c29tZSBzZWNyZXQK",
        "7f3a99c2b1",
    ] {
        let wrong = from(mistaken);
        assert!(
            wrong.len() == 1 && !wrong[0].contains(mistaken),
            "{wrong:?}"
        );
    }
}

/// A brand with three secrets in files, the newest first in `names`.
fn rotated(names: [&str; 3]) -> Result<LoadedConfig, Problems> {
    let directory = tempfile::tempdir().unwrap();
    for (name, last) in [("new", 'n'), ("old", 'o'), ("older", 'p'), ("again", 'n')] {
        let path = directory.path().join(name);
        std::fs::write(&path, secret(last)).unwrap();
        set_mode(&path, 0o600);
    }
    let [newest, older, old] = names;
    let text = format!(
        "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = \"{newest}\"\nprevious_secret_files = [\"{older}\", \"{old}\"]\n"
    );
    parse_in(&text, &directory.path().join("tributary.toml"), &|_| None)
}

#[test]
fn secrets_before_the_newest_are_kept_in_their_order() {
    let loaded = rotated(["new", "older", "old"]).unwrap();
    let brand = &loaded.config.brands[0];
    let secrets: Vec<&str> = brand.secrets().map(|s| s.expose_secret()).collect();
    assert_eq!(secrets, [secret('p'), secret('o'), secret('n')]);
    let printed = print(&loaded.config);
    let masked = "previous_secret_files = [\"***\", \"***\"]";
    assert!(printed.contains(masked), "{printed}");
    assert!(!format!("{loaded:?}").contains(&secret('o')));

    let refused = |names| rotated(names).unwrap_err().to_string();
    let twice = refused(["new", "older", "again"]);
    let words = "previous_secret_files[1]: is the same secret as brand[0].secret_file";
    assert!(
        twice.contains(words) && twice.contains("re-keyed"),
        "{twice}"
    );
    let absent = refused(["new", "none", "nor this"]);
    assert_eq!(absent.matches("cannot be read").count(), 2, "{absent}");
}

#[test]
fn a_secret_in_the_file_is_refused_with_the_way_out() {
    for (section, key) in [
        ("[nats]", "password"),
        ("[nats]", "nkey_seed"),
        ("[[brand]]", "secret"),
    ] {
        let wrong = wrong(&format!("{section}\n{key} = \"hunter2hunter2\"\n")).join("\n");
        assert!(
            wrong.contains(&format!(
                "{key}: secrets are not allowed in the configuration"
            )),
            "{wrong}"
        );
        assert!(wrong.contains(&format!("{key}_file")) && wrong.contains(&format!("{key}_env")));
        assert!(!wrong.contains("hunter2"));
    }
}

#[test]
fn nothing_shows_a_secret() {
    let text = format!(
        "[nats]\nuser = \"u\"\npassword_env = \"OTHER\"\n{}",
        brand(
            "[brand.identity]\nblocked = [\"bob@shop.example\"]\n[brand.sensors]\nfixed_devices = [\"001122334455\"]"
        )
    );
    let loaded = read(&text).unwrap();
    let printed = print(&loaded.config);
    assert!(
        printed.contains("secret = \"***\"\n") && printed.contains("password = \"***\"\n"),
        "{printed}"
    );
    assert!(
        printed.contains("blocked = [\"***\"]") && printed.contains("fixed_devices = [\"***\"]")
    );
    let debugged = format!("{loaded:?}");
    for hidden in [secret('1'), secret('2')] {
        assert!(!printed.contains(&hidden) && !debugged.contains(&hidden));
    }
    assert!(!printed.contains("bob@") && !printed.contains("001122"));
}

#[test]
fn a_file_is_loaded_with_what_it_names() {
    let directory = crate::common::example_directory();
    let path = directory.path().join("tributary.toml");
    std::fs::write(&path, tributary_config::example()).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.config.brands[0].secret.expose_secret(), secret('3'));
    std::fs::write(&path, b"# \xff\n").unwrap();
    assert!(
        load(&path)
            .unwrap_err()
            .to_string()
            .contains(":1:1: this line is not UTF-8")
    );
    let error = load(Path::new("no/such/file.toml")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no/such/file.toml: cannot be read")
    );
}

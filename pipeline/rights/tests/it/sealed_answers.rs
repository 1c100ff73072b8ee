//! An answer is read by who asked, and by nobody else, with a tool of their choice.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::*;
use tributary_rights::request::RequestBody;
use tributary_rights::sealed::{KeyPair, OpenError, ReplyKey, sealed_len};
use tributary_testkit::skipped;

#[test]
fn by_the_private_key_that_was_kept() {
    let pair = KeyPair::generate();
    let mut asked = request("access");
    asked["reply_key"] = pair.public().to_string().into();
    let RequestBody::Access(key) = parse(&asked).unwrap().asked else {
        panic!("access")
    };
    let answer = br#"{"records":[{"email":"jane.doe@example.org"}]}"#;
    let sealed = key.seal(answer).unwrap();
    assert_eq!(sealed.len(), sealed_len(answer.len()));
    assert!(!sealed.windows(4).any(|window| window == b"jane"));
    assert_ne!(
        key.seal(answer).unwrap(),
        sealed,
        "every answer has a key of its own"
    );
    let kept = pair.secret();
    let again = KeyPair::read(&format!("{}\n", *kept)).unwrap();
    assert_eq!(again.public(), pair.public());
    assert_eq!(again.open(&sealed).unwrap().as_slice(), answer);
    assert!(!format!("{pair:?}").contains(kept.as_str()));
}

#[test]
fn of_every_length() {
    let pair = KeyPair::generate();
    for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let answer: Vec<u8> = (0..length)
            .map(|place: usize| place.to_le_bytes()[0])
            .collect();
        let sealed = pair.public().seal(&answer).unwrap();
        assert_eq!(sealed.len(), sealed_len(length));
        assert!(*pair.open(&sealed).unwrap() == answer, "{length} bytes");
        // Without its last chunk it is not a shorter answer.
        let cut = sealed.len() - 1 - (sealed.len() - 185) % 65_552;
        pair.open(&sealed[..cut]).unwrap_err();
    }
}

#[test]
fn and_not_when_it_is_changed_cut_or_somebody_elses() {
    let pair = KeyPair::generate();
    let sealed = pair.public().seal(b"an answer").unwrap();
    assert_eq!(KeyPair::generate().open(&sealed), Err(OpenError::WrongKey));
    for length in 0..sealed.len() {
        pair.open(&sealed[..length]).unwrap_err();
    }
    for place in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[place] ^= 0x40;
        pair.open(&changed).unwrap_err();
    }
}

#[test]
fn a_key_that_everybody_could_open_is_none() {
    let mut one = [0; 32];
    one[0] = 1;
    let encode = |bytes: &[u8]| {
        let prefix = bech32::Hrp::parse("age").unwrap();
        bech32::encode::<bech32::Bech32>(prefix, bytes).unwrap()
    };
    for bytes in [[0; 32].as_slice(), &one, &[7; 31], &[7; 33], &[]] {
        assert_eq!(ReplyKey::read(&encode(bytes)), None);
    }
    let good = encode(&[7; 32]);
    assert_eq!(ReplyKey::read(&good).unwrap().to_string(), good);
    let upper = good.to_uppercase();
    let slip = good.replace(&good[8..9], if &good[8..9] == "q" { "p" } else { "q" });
    let padded = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
    let secret = KeyPair::generate().secret();
    for text in [&upper, &slip, padded, &secret, "age1", "not a key"] {
        assert_eq!(ReplyKey::read(text), None, "{text}");
    }
    assert!(KeyPair::read(&good).is_none());
}

/// What `age` 1.1.1 has sealed, whose format does not change.
#[test]
fn an_answer_of_another_program_opens() {
    use base64::Engine;
    let pair =
        KeyPair::read("AGE-SECRET-KEY-1VYQ9J6M3Y6WN3XW0LGQH4ECG494RHNRP5VAN33V27ZKU262N66QQX2ZKPG")
            .unwrap();
    let sealed = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBubXZLYUZCYkx5ZUMzTnI0ME04eHMraktMb20zNXlxbkFRSGdnU0MzS1FzClNOaUVOT3lpakhBN3VzODBuR2s2QmFDMXF4SnBPWUZuUElkSlAyVDJBa00KLS0tIFQzaHlkUVpFOENOMVd3R0EyRjFRZUg4b2JJeXJYTzJXMWxkQzBnRzYwaW8KgM8ndXEKyVfrTcl/m7bzdKIFZ8mKTbf6UKZVjTp4bIQYBW2JWqoKwZ/p0MU9";
    let sealed = base64::engine::general_purpose::STANDARD
        .decode(sealed)
        .unwrap();
    assert_eq!(pair.open(&sealed).unwrap().as_slice(), b"sealed by age");
}

/// The programs `age` and `age-keygen`, which have nothing of ours.
fn age() -> Option<[PathBuf; 2]> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    let found = |name: &str| {
        let own = tools.join(name);
        let program = if own.is_file() { own } else { name.into() };
        let runs = Command::new(&program).arg("--version").output().is_ok();
        runs.then_some(program)
    };
    Some([found("age")?, found("age-keygen")?])
}

#[test]
fn age_opens_it() {
    let Some([age, keygen]) = age() else {
        return skipped("no age: bash .ci/tools.sh age");
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let run = |program: &Path, arguments: &[&std::ffi::OsStr]| {
        Command::new(program).args(arguments).output().unwrap()
    };
    let made = run(&keygen, &["-o".as_ref(), path("identity").as_os_str()]);
    assert!(made.status.success(), "{made:?}");
    // The file has the recipient in a comment, and the identity.
    let identity = std::fs::read_to_string(path("identity")).unwrap();
    let recipient = identity.split_once("public key: ").unwrap().1;
    let recipient = recipient.lines().next().unwrap();
    let pair = KeyPair::read(identity.lines().last().unwrap()).unwrap();
    assert_eq!(pair.public().to_string(), recipient);
    let open = |sealed: &[u8]| {
        std::fs::write(path("answer.age"), sealed).unwrap();
        let arguments = ["-d", "-i"].map(std::ffi::OsStr::new);
        let files = [path("identity"), path("answer.age")];
        let arguments = [arguments, files.each_ref().map(|file| file.as_os_str())];
        run(&age, &arguments.concat())
    };
    let long: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    for answer in [b"".as_slice(), b"an answer", &long[..65_536], &long] {
        let sealed = ReplyKey::read(recipient).unwrap().seal(answer).unwrap();
        let opened = open(&sealed);
        assert!(opened.status.success(), "{opened:?}");
        assert!(opened.stdout == answer, "{} bytes", answer.len());
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert!(!open(&changed).status.success());

        // And the other way.
        std::fs::write(path("answer"), answer).unwrap();
        let (by_age, answer_file) = (path("by.age"), path("answer"));
        let arguments: [&std::ffi::OsStr; 5] = [
            "-r".as_ref(),
            recipient.as_ref(),
            "-o".as_ref(),
            by_age.as_ref(),
            answer_file.as_ref(),
        ];
        assert!(run(&age, &arguments).status.success());
        let sealed = std::fs::read(&by_age).unwrap();
        assert!(
            *pair.open(&sealed).unwrap() == answer,
            "{} bytes",
            answer.len()
        );
    }
}

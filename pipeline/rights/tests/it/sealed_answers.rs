//! An answer is read by who asked, and by nobody else.

use crate::common::*;
use tributary_rights::request::RequestBody;
use tributary_rights::sealed::{KeyPair, OVERHEAD, OpenError, ReplyKey};

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
    assert_eq!(sealed.len(), answer.len() + OVERHEAD);
    assert!(!sealed.windows(4).any(|window| window == b"jane"));
    assert_ne!(
        key.seal(answer).unwrap(),
        sealed,
        "every answer has a key of its own"
    );
    // The command line keeps the private key in a file until the answer is there.
    let kept = pair.secret();
    let again = KeyPair::read(&format!("{}\n", *kept)).unwrap();
    assert_eq!(again.public(), pair.public());
    assert_eq!(again.open(&sealed).unwrap().as_slice(), answer);
    assert!(!format!("{pair:?}").contains(kept.as_str()));
    assert_eq!(
        key.seal(b"")
            .map(|sealed| again.open(&sealed).unwrap().len()),
        Some(0)
    );
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
        let error = pair.open(&changed).unwrap_err();
        let expected = match place {
            0..8 => OpenError::Malformed,
            8 => OpenError::Newer(0x41),
            _ => OpenError::WrongKey,
        };
        assert_eq!(error, expected, "at {place}");
    }
}

#[test]
fn a_key_that_everybody_could_open_is_none() {
    let mut one = [0; 32];
    one[0] = 1;
    let encode = |bytes: &[u8]| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(bytes)
    };
    for bytes in [[0; 32].as_slice(), &one, &[7; 31], &[7; 33], &[]] {
        assert_eq!(ReplyKey::read(&encode(bytes)), None);
    }
    assert_eq!(ReplyKey::read("not base64"), None);
    assert!(KeyPair::read("c2hvcnQ=").is_none());
}

/// The format does not change: what an earlier version sealed, this one opens.
#[test]
fn an_answer_of_before_opens() {
    use base64::Engine;
    let pair = KeyPair::read("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=").unwrap();
    let sealed = "VFJJQlNFQUwBk7E2ouWoGHpydt1D6pBdWc/qP+Uyn+78pcMSPHuCHxHxGdRUCZ2i3OzOkaeIw5gpNlYiJnPnuI0o1ZmRY265nb7YYcsLsw==";
    let sealed = base64::engine::general_purpose::STANDARD
        .decode(sealed)
        .unwrap();
    assert_eq!(
        pair.open(&sealed).unwrap().as_slice(),
        b"an answer of version 1"
    );
}

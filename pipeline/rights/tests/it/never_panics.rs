//! Whatever bytes come, they are read or refused.

use crate::common::*;
use proptest::prelude::*;
use tributary_rights::opendsr::Submission;
use tributary_rights::receipt::verify_receipt;
use tributary_rights::sealed::{KeyPair, ReplyKey};
use tributary_rights::suppression::Record;
use tributary_rights::{Hash, PublicKey, Request, Right};

/// Everything that reads what comes from outside.
fn read(bytes: &[u8]) {
    let _ = Request::read_id(bytes);
    let _ = Request::parse(bytes, Some("acme"), &|_| true).map(|read| {
        let keys = keys("acme");
        assert_eq!(read.fingerprint(&keys), read.clone().fingerprint(&keys));
    });
    let _ = Submission::parse(bytes, "acme", "rights.example.com");
    let _ = verify_receipt(bytes, keys("acme").public_keys());
    let _ = KeyPair::generate().open(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = (ReplyKey::read(&text), KeyPair::read(&text));
    let _ = (text.parse::<Hash>(), PublicKey::read_pem(&text));
    if let Some(bytes) = bytes.first_chunk() {
        let _ = Record::from_bytes(bytes);
    }
}

/// Pieces of requests in any order are JSON more often than bytes are.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "1e9",
        "-",
        "7",
        "\"",
        "\\u",
        "\"\"",
        "\"id\":",
        "\"ts\":",
        "\"type\":",
        "\"erase\"",
        "\"identifiers\":",
        "\"kind\":",
        "\"email\"",
        "\"value\":",
        "\"record\":",
        "\"data\":",
        "\"\\ud800\"",
        "\u{e9}",
        " ",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
    }

    #[test]
    fn on_pieces_of_a_request(text in pieces()) {
        read(text.as_bytes());
    }

    #[test]
    fn on_a_request_with_a_slip(
        right in 0..Right::ALL.len(),
        slips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = request(Right::ALL[right].name()).to_string().into_bytes();
        for (place, byte) in slips {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        read(&bytes);
        let cut = length.index(bytes.len());
        read(&bytes[..cut]);
    }
}

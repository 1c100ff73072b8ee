//! Requests, receipts, sealed answers, keys and records of the objection list from outside: nothing panics, and nothing that was
//! not signed or sealed passes for it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tributary_rights::receipt::{read_unverified, verify_receipt};
use tributary_rights::sealed::{KeyPair, ReplyKey};
use tributary_rights::suppression::Record;
use tributary_rights::{BrandKeys, PublicKey, Request, RequestId};

static KEYS: LazyLock<BrandKeys> =
    LazyLock::new(|| BrandKeys::new("acme", &"224ff3c627f30dd0f8e3fdb63bf28aa6".into()));
static RECIPIENT: LazyLock<KeyPair> = LazyLock::new(KeyPair::generate);

fuzz_target!(|bytes: &[u8]| {
    let _ = Request::parse(bytes, Some("acme"), &|brand| brand == "acme");
    let _ = Request::read_id(bytes);
    let _ = read_unverified(bytes);
    assert!(verify_receipt(bytes, [&KEYS.signing_key()]).is_err());
    assert!(RECIPIENT.open(bytes).is_err());
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = (
            PublicKey::read_pem(text),
            ReplyKey::read(text),
            KeyPair::read(text),
            RequestId::read(text),
        );
    }
    if let Some(record) = bytes.first_chunk().and_then(Record::from_bytes) {
        assert_eq!(record.to_bytes().as_slice(), &bytes[..48]);
    }
});

//! What the stories share: two brands with the same secret, and a request.
#![allow(dead_code, clippy::unwrap_used, reason = "a test may fail")]

use secrecy::SecretString;
use serde_json::{Value, json};
use tributary_rights::sealed::KeyPair;
use tributary_rights::{BrandKeys, Refusal, Request};

pub const AT: i64 = 1_763_629_200_000;

pub fn keys(name: &str) -> BrandKeys {
    keys_of(name, 's')
}

pub fn keys_of(name: &str, letter: char) -> BrandKeys {
    BrandKeys::new(name, &secret(letter))
}

pub fn secret(letter: char) -> SecretString {
    let secret: String = std::iter::repeat_n(letter, 40).collect();
    SecretString::from(secret)
}

/// Jane asks `acme` for this; `reply_key`, `record` and `directive` are there where the type needs them.
pub fn request(right: &str) -> Value {
    let mut request = json!({
        "id": "r-117",
        "ts": "2025-11-20T09:00:00Z",
        "type": right,
        "brand": "acme",
        "identifiers": [
            {"kind": "email", "value": "jane.doe@example.org"},
            {"kind": "name_postcode", "first_name": "Jane", "last_name": "Doehler", "postcode": "75011"},
        ],
        "whole_person": true,
        "proof": "passport of jane, ticket 117",
    });
    match right {
        "access" | "portability" => {
            request["reply_key"] = json!(KeyPair::generate().public().to_string());
        }
        "rectify" => {
            request["record"] = json!({
                "kind": "transaction", "source": "till",
                "data": {"id": "t-9", "ts": 1_700_000_000_000_i64, "store": "paris", "amount": "12.50"},
            });
        }
        "directive" => request["directive"] = json!({"action": "erase"}),
        _ => {}
    }
    request
}

pub fn parse(request: &Value) -> Result<Request, Refusal> {
    Request::parse(request.to_string().as_bytes(), None, &|brand| {
        matches!(brand, "acme" | "bolt")
    })
}

/// What must never be seen of Jane.
pub const PERSONAL: [&str; 5] = ["jane", "doehler", "75011", "passport", "r-117"];

pub fn assert_nothing_personal(text: &str) {
    let text = text.to_lowercase();
    for value in PERSONAL {
        assert!(!text.contains(value), "{value} in {text}");
    }
}

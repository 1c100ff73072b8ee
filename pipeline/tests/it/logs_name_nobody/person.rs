//! A person whose values are unmistakable, and the search for them in a log: in clear, encoded, or hashed.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A person with a value of each kind, spelt as nothing else is.
pub struct Somebody {
    pub email: String,
    pub phone: String,
    pub cookie: String,
    pub customer: String,
    pub wallet: String,
    pub device: String,
    pub mac: String,
    pub first: String,
    pub last: String,
    pub postcode: String,
}

impl Somebody {
    pub fn new(number: u32) -> Somebody {
        Somebody {
            email: format!("Xaviera.Q{number}@clear-names.example"),
            phone: format!("+3361984{number:04}"),
            cookie: format!("ck-zq{number}-visible"),
            customer: format!("cu-zq{number}-visible"),
            wallet: format!("wa-zq{number}-visible"),
            device: format!("de-zq{number}-visible"),
            mac: format!("3c:5a:b4:7e:{:02x}:{:02x}", number / 256, number % 256),
            first: format!("Xavieraq{number}"),
            last: format!("Quillfeatherq{number}"),
            postcode: format!("QZ{number} 9XX"),
        }
    }

    /// Everything that must not be found of a person.
    pub fn values(&self) -> Vec<String> {
        let whole = [
            &self.email,
            &self.phone,
            &self.cookie,
            &self.customer,
            &self.wallet,
            &self.device,
            &self.mac,
            &self.first,
            &self.last,
            &self.postcode,
        ];
        let mut values: Vec<String> = whole.into_iter().cloned().collect();
        values.push(self.mac.replace(':', ""));
        values.push(self.phone.trim_start_matches("+33").to_owned());
        values
    }
}

pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The digits that a value has in a longer text that is encoded in base64, wherever it stands there.
pub fn inside_base64(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    for engine in [&STANDARD, &URL_SAFE] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before], value.as_bytes()].concat());
            let from = (before * 8).div_ceil(6);
            let to = (before + value.len()) * 8 / 6;
            found.push(text[from..to].to_owned());
        }
    }
    found
}

/// How a value may stand in a log; in lower case but for base64, which would be another value then.
pub fn spellings(value: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let lower = value.to_lowercase();
    let mut any_case = BTreeSet::from([lower.clone()]);
    let mut exact = BTreeSet::new();
    for value in [value, &lower] {
        let percent: String = value
            .bytes()
            .map(
                |b| match b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
                    true => char::from(b).to_string(),
                    false => format!("%{b:02x}"),
                },
            )
            .collect();
        any_case.insert(percent.to_lowercase());
        any_case.insert(sha256(value));
        any_case.insert(hex(value.as_bytes()));
        exact.extend(inside_base64(value));
    }
    (any_case, exact)
}

/// Lines of a log that name somebody.
pub fn lines_that_name(log: &str, values: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for value in values {
        let (any_case, exact) = spellings(value);
        for line in log.lines() {
            let lower = line.to_lowercase();
            let named = any_case.iter().any(|one| lower.contains(one))
                || exact.iter().any(|one| line.contains(one));
            if named {
                found.push(format!("{value}: {line}"));
            }
        }
    }
    found
}

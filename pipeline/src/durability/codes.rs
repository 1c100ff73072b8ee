//! Codes of files beside a ledger: who lacks the secrets of a brand writes no such
//! file.
//!
//! There is a code for each brand of the configuration with which a file was written,
//! because a process knows the secrets of its own brands alone: keyed BLAKE3 over the
//! content, under a key of the brand and of the kind of file. A process checks those
//! of its brands, under each of their secrets.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tributary_config::key_chain::derive_key;
use tributary_config::model::{Brand, Config};

/// Codes of a content by brand, 64 hexadecimal digits each.
pub type Codes = BTreeMap<String, String>;

/// What the code of a brand says of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was computed with a secret of the brand.
    Right,
    /// It was not.
    Wrong,
    /// There is none.
    Missing,
}

/// The codes of all brands of a configuration. `context` names the kind of file.
pub fn of(config: &Config, context: &str, content: &[u8]) -> Codes {
    let brands = config.brands.iter();
    let codes = brands.map(|brand| {
        let code = code(context, &brand.name, &brand.secret, content);
        (brand.name.clone(), code.to_hex().to_string())
    });
    codes.collect()
}

/// What the code of a brand says.
pub fn verify(codes: &Codes, brand: &Brand, context: &str, content: &[u8]) -> Verdict {
    let Some(text) = codes.get(&brand.name) else {
        return Verdict::Missing;
    };
    let is_right = blake3::Hash::from_hex(text).is_ok_and(|written| {
        let mut secrets = brand.secrets();
        // The comparison of hashes runs in constant time.
        secrets.any(|secret| written == code(context, &brand.name, secret, content))
    });
    match is_right {
        true => Verdict::Right,
        false => Verdict::Wrong,
    }
}

/// The code of a content under the key of a secret of a brand.
fn code(context: &str, brand: &str, secret: &SecretString, content: &[u8]) -> blake3::Hash {
    blake3::keyed_hash(&derive_key(context, brand, secret), content)
}

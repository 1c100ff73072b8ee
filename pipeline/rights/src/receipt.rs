//! A receipt: what proves to a person, and to who examines it later, that a request was completed.
//!
//! JSON, compact, keys sorted:
//!
//! ```json
//! {"audit_hash":"…","audit_seq":7,"brand":"acme","completed":…,"counts":{…},"received":…,"request":"r-2025-117","signature":"…","type":"erase"}
//! ```
//!
//! The signature is a message authentication code: BLAKE3 under the brand's audit key, over the receipt without it. The
//! operator verifies it ([`verify_receipt`]), with the secret that it was made with; nobody else can make one, and
//! nobody else can check one either. It names the entry of the audit log that says the same, number and hash, so that a
//! receipt in a person's hands also holds the log to what it was.
//!
//! A receipt is the requester's: it has the request's id in clear and is not kept.

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::counts::Counts;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Purpose};
use crate::request::{RequestId, Right};

/// What a receipt says. Debug output does not show the request's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The request's id.
    pub request: RequestId,
    /// The brand.
    pub brand: String,
    /// What was asked.
    pub right: Right,
    /// When it was received, Unix milliseconds.
    pub received: i64,
    /// When it was completed, Unix milliseconds.
    pub completed: i64,
    /// What it touched.
    pub counts: Counts,
    /// The entry of the audit log that says so.
    pub audit: Head,
}

/// Why a receipt is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no JSON object of a receipt's fields.
    #[error("not a receipt")]
    Malformed,
    /// It is of another brand.
    #[error("the receipt is of another brand: verify it with that one's secret")]
    OtherBrand,
    /// The brand's key has not made its signature.
    #[error(
        "the signature does not belong to this content under the brand's key: the receipt was changed, or the secret was"
    )]
    WrongSignature,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    audit_hash: Hash,
    audit_seq: u64,
    brand: String,
    completed: i64,
    counts: Counts,
    received: i64,
    request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<Hash>,
    #[serde(rename = "type")]
    right: Right,
}

impl Receipt {
    /// The signed receipt as JSON. `keys` must be those of its brand.
    pub fn to_json(&self, keys: &BrandKeys) -> String {
        let mut json = Json {
            audit_hash: self.audit.hash,
            audit_seq: self.audit.seq,
            brand: self.brand.clone(),
            completed: self.completed,
            counts: self.counts,
            received: self.received,
            request: self.request.expose().to_owned(),
            signature: None,
            right: self.right,
        };
        json.signature = Some(json.sign(keys));
        json.write()
    }
}

impl Json {
    fn write(&self) -> String {
        // Texts and numbers: nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The signature of a receipt that has none yet.
    fn sign(&self, keys: &BrandKeys) -> Hash {
        keys.hash(Purpose::Receipt, self.write().as_bytes())
    }
}

/// Reads a receipt and verifies that the brand's key made it.
///
/// # Errors
///
/// A [`ReceiptError`] where it is none, of another brand, or changed.
pub fn verify_receipt(bytes: &[u8], keys: &BrandKeys) -> Result<Receipt, ReceiptError> {
    let mut json: Json = serde_json::from_slice(bytes).map_err(|_| ReceiptError::Malformed)?;
    if json.brand != keys.name() {
        return Err(ReceiptError::OtherBrand);
    }
    let written = json.signature.take().ok_or(ReceiptError::Malformed)?;
    // Compared in constant time.
    if blake3::Hash::from(*json.sign(keys).as_bytes()) != *written.as_bytes() {
        return Err(ReceiptError::WrongSignature);
    }
    Ok(Receipt {
        request: RequestId::new(crate::clear_text::ClearText::new(json.request)),
        brand: json.brand,
        right: json.right,
        received: json.received,
        completed: json.completed,
        counts: json.counts,
        audit: Head {
            seq: json.audit_seq,
            hash: json.audit_hash,
        },
    })
}

//! A receipt: authenticated proof that a request was completed.
//!
//! JSON, compact, with sorted keys:
//!
//! ```json
//! {"audit_hash":"…","audit_seq":7,"brand":"acme","completed":…,"counts":{…},"received":…,"request":"r-2025-117","signature":"…","type":"erase"}
//! ```
//!
//! The signature is a message authentication code: BLAKE3, keyed with the
//! brand's audit key, over the receipt without the signature. The operator, who
//! has the secret, can verify it ([`verify_receipt`]); nobody else can create
//! or verify one. The receipt names number and hash of the entry in the audit
//! log that records the completion, so that a receipt in the hands of a person
//! also proves what the log contained.
//!
//! A receipt belongs to the requester: it contains the request ID in clear text
//! and is not stored by this crate.

use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::counts::Counts;
use crate::hex::Hash;
use crate::keys::{BrandKeys, Purpose};
use crate::request::{RequestId, Right};

/// Content of a receipt. Debug output does not show the request ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// ID of the request.
    pub request: RequestId,
    /// The brand.
    pub brand: String,
    /// The right that was exercised.
    pub right: Right,
    /// When the request was received, Unix milliseconds.
    pub received: i64,
    /// When it was completed, Unix milliseconds.
    pub completed: i64,
    /// Its effects.
    pub counts: Counts,
    /// The entry of the audit log that records the completion.
    pub audit: Head,
}

/// Reason why a receipt is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a JSON object with the fields of a receipt.
    #[error("not a receipt")]
    Malformed,
    /// The receipt belongs to another brand.
    #[error("the receipt is of another brand: verify it with that one's secret")]
    OtherBrand,
    /// The signature was not made with this key, or the content was changed.
    #[error(
        "the signature does not belong to this content under the brand's key: the receipt was changed, or the secret was"
    )]
    WrongSignature,
}

/// Fields of a receipt in the order in which they are written.
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
    /// The JSON of these fields.
    fn write(&self) -> String {
        // Texts and numbers: nothing in it can fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Signature of a receipt without signature.
    fn sign(&self, keys: &BrandKeys) -> Hash {
        keys.hash(Purpose::Receipt, self.write().as_bytes())
    }
}

/// Parses a receipt and verifies its signature, in constant time.
///
/// # Errors
///
/// A [`ReceiptError`] if it is not a receipt, belongs to another brand, or was
/// changed.
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

//! A receipt: signed proof that a request was completed.
//!
//! A JSON Web Signature in its compact form (RFC 7515, section 7.1), signed with
//! Ed25519 (RFC 8037): three parts in base64url, divided by dots.
//!
//! ```json
//! {"alg":"EdDSA","kid":"…","typ":"tributary-receipt"}
//! {"answer_sha256":"…","audit_hash":"…","audit_seq":7,"brand":"acme","completed":…,"counts":{…},"received":…,"request":"r-2025-117","type":"access"}
//! ```
//!
//! Anybody who has the brand's public key ([`BrandKeys::public_keys`]) can verify
//! a receipt, with [`verify_receipt`] or any library for JSON Web Signatures, and
//! nobody but the holder of the secret can create one. The receipt names number
//! and hash of the entry in the audit log that records the completion, so that a
//! receipt in the hands of a person also holds the log to what it contained.
//! `answer_sha256` is the SHA-256 of the sealed answer of an access or a
//! portability request, so that the answer cannot be replaced afterwards.
//!
//! A receipt proves what the operator has stated, and when the log stated it. It
//! does not prove to others that the statement is true.
//!
//! A receipt belongs to the requester: it contains the request ID in clear text
//! and is not stored by this crate.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::audit::Head;
use crate::clear_text::ClearText;
use crate::counts::Counts;
use crate::hex::Hash;
use crate::keys::BrandKeys;
use crate::request::{RequestId, Right};
use crate::signing::PublicKey;

/// Algorithm of the signature (RFC 8037, section 3.1).
const ALGORITHM: &str = "EdDSA";
/// Type of the content, so that a receipt passes for nothing else.
const TYPE: &str = "tributary-receipt";

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
    /// SHA-256 of the sealed answer; `None` for a request without one.
    pub answer: Option<Hash>,
}

/// Reason why a receipt is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Not a compact JSON Web Signature with the fields of a receipt.
    #[error("not a receipt: a receipt is one line of three parts, divided by dots")]
    Malformed,
    /// The receipt was signed with a key that is not among those given.
    #[error(
        "signed with the key {0}, which is not given; `tributary keys public --all` prints the brand's keys"
    )]
    UnknownKey(String),
    /// The signature was not made with this key, or the content was changed.
    #[error("the signature does not belong to this content: the receipt was changed")]
    WrongSignature,
}

/// Fields of the protected header in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// Fields of a receipt in the order in which they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_sha256: Option<Hash>,
    audit_hash: Hash,
    audit_seq: u64,
    brand: String,
    completed: i64,
    counts: Counts,
    received: i64,
    request: String,
    #[serde(rename = "type")]
    right: Right,
}

impl Receipt {
    /// The receipt, signed with the newest key of its brand, without an end of
    /// line. `keys` must be those of its brand.
    pub fn to_jws(&self, keys: &BrandKeys) -> String {
        let signer = keys.signer();
        let header = Header {
            alg: ALGORITHM.to_owned(),
            kid: signer.public().id().to_owned(),
            typ: TYPE.to_owned(),
        };
        // Texts and numbers: nothing in it can fail.
        let header = serde_json::to_string(&header).unwrap_or_default();
        let mut jws = URL_SAFE_NO_PAD.encode(header);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(self.to_json(), &mut jws);
        let signature = signer.sign(jws.as_bytes());
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        jws
    }

    /// The content as JSON with sorted keys, without a signature.
    pub fn to_json(&self) -> String {
        let json = Json {
            answer_sha256: self.answer,
            audit_hash: self.audit.hash,
            audit_seq: self.audit.seq,
            brand: self.brand.clone(),
            completed: self.completed,
            counts: self.counts,
            received: self.received,
            request: self.request.expose().to_owned(),
            right: self.right,
        };
        // Texts and numbers: nothing in it can fail.
        serde_json::to_string(&json).unwrap_or_default()
    }
}

/// Reads a receipt and verifies its signature with one of these keys, which its
/// header names.
///
/// # Errors
///
/// A [`ReceiptError`] if it is not a receipt, was signed with another key, or was
/// changed.
pub fn verify_receipt<'a>(
    bytes: &[u8],
    keys: impl IntoIterator<Item = &'a PublicKey>,
) -> Result<Receipt, ReceiptError> {
    let parts = Parts::read(bytes).ok_or(ReceiptError::Malformed)?;
    let mut keys = keys.into_iter();
    let Some(key) = keys.find(|key| key.id() == parts.header.kid) else {
        return Err(ReceiptError::UnknownKey(parts.header.kid));
    };
    if !key.verifies(parts.signed, &parts.signature) {
        return Err(ReceiptError::WrongSignature);
    }
    parts.content().ok_or(ReceiptError::Malformed)
}

/// Reads a receipt without verifying its signature, to find the one of a request
/// among others; `None` for any other bytes.
pub fn read_unverified(bytes: &[u8]) -> Option<Receipt> {
    Parts::read(bytes)?.content()
}

/// The parts of a receipt whose signature is not verified yet.
struct Parts<'a> {
    /// The protected header.
    header: Header,
    /// Header and content as they were signed.
    signed: &'a [u8],
    /// The content.
    content: &'a str,
    /// The signature.
    signature: [u8; 64],
}

impl<'a> Parts<'a> {
    /// Divides a receipt into its parts; `None` for any other bytes, including a
    /// signature of another algorithm or type.
    fn read(bytes: &'a [u8]) -> Option<Parts<'a>> {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, content) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        (header.alg == ALGORITHM && header.typ == TYPE).then_some(Parts {
            header,
            signed: signed.as_bytes(),
            content,
            signature: signature.try_into().ok()?,
        })
    }

    /// The content; `None` if it is not that of a receipt.
    fn content(&self) -> Option<Receipt> {
        let content = URL_SAFE_NO_PAD.decode(self.content).ok()?;
        let json: Json = serde_json::from_slice(&content).ok()?;
        Some(Receipt {
            request: RequestId::new(ClearText::new(json.request)),
            brand: json.brand,
            right: json.right,
            received: json.received,
            completed: json.completed,
            counts: json.counts,
            audit: Head {
                seq: json.audit_seq,
                hash: json.audit_hash,
            },
            answer: json.answer_sha256,
        })
    }
}

//! Fingerprint of a request: a keyed hash over all of its content except its
//! time, which identifies a repeated request.
//!
//! Every part is preceded by its length, so that no two contents have the same
//! input. The order of the identifiers and the spaces inside a corrected record
//! count: a repetition is byte for byte the same.

use crate::hex::Hex;
use crate::keys::{BrandKeys, Fingerprint, Purpose, RequestKey, first_16};
use crate::request::{AfterDeath, Identifier, Request, RequestBody, RequestId};

impl BrandKeys {
    /// Keyed hash of a request ID, as the audit log stores it.
    pub fn request(&self, id: &RequestId) -> RequestKey {
        let mut hasher = self.hasher(Purpose::RequestId);
        hasher.update(id.expose().as_bytes());
        RequestKey(Hex(first_16(&hasher.finalize())))
    }
}

impl Request {
    /// Keyed hash of the content. `keys` must be those of the request's brand.
    pub fn fingerprint(&self, keys: &BrandKeys) -> Fingerprint {
        let mut hasher = keys.hasher(Purpose::Content);
        let mut part = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        part(self.id.expose().as_bytes());
        part(self.brand.as_bytes());
        part(&[u8::from(self.whole_person)]);
        part(self.proof.expose().as_bytes());
        part(&(self.identifiers.len() as u64).to_le_bytes());
        for identifier in &self.identifiers {
            part(identifier.kind().name().as_bytes());
            for value in Identifier::values(identifier) {
                part(value.expose().as_bytes());
            }
        }
        part(self.asked.right().name().as_bytes());
        match &self.asked {
            RequestBody::Access(key) | RequestBody::Portability(key) => part(key.as_bytes()),
            RequestBody::Rectify(correction) => {
                part(correction.kind.name().as_bytes());
                part(correction.source.as_bytes());
                part(correction.data.expose().as_bytes());
            }
            RequestBody::Directive { action, notice } => {
                part(&[u8::from(*action == AfterDeath::Keep), u8::from(*notice)]);
            }
            RequestBody::Restrict
            | RequestBody::Unrestrict
            | RequestBody::Object
            | RequestBody::Erase
            | RequestBody::DoNotSell => {}
        }
        Fingerprint(Hex(*hasher.finalize().as_bytes()))
    }
}

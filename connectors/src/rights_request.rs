//! Rights requests that a vendor passes on for a customer.

use serde_json::json;
use zeroize::Zeroizing;

/// A rights request for a customer. Debug output shows nothing of it.
#[derive(Clone)]
pub struct RightsRequest {
    /// The id, unique within the brand; never an identifier.
    pub id: String,
    /// Unix milliseconds.
    pub ts: i64,
    /// The right: `erase` or `object`.
    pub right: &'static str,
    /// The customer in clear.
    pub customer: Zeroizing<String>,
    /// Where the proof of the request is kept.
    pub proof: String,
}

impl std::fmt::Debug for RightsRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RightsRequest").finish_non_exhaustive()
    }
}

impl RightsRequest {
    /// Its fields, as `tributary decode` shows them.
    pub fn to_json(&self) -> String {
        let fields = json!({
            "customer": *self.customer, "id": self.id, "proof": self.proof, "ts": self.ts,
            "type": self.right,
        });
        fields.to_string()
    }

    /// The message on the subject of a brand's requests.
    pub fn message(&self, brand: &str) -> String {
        let request = json!({
            "id": self.id, "ts": self.ts, "type": self.right, "brand": brand, "proof": self.proof,
            "identifiers": [{"kind": "customer", "value": *self.customer}],
        });
        request.to_string()
    }
}

//! The Global Vendor List: what each vendor declared.
//!
//! The list is JSON of specification 2 or 3 («The Global Vendor List»). Only
//! what this crate evaluates is kept; texts, languages, retention periods and
//! addresses are skipped. A contradictory list is rejected, because it decides
//! what is permitted.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::numbers::Numbers;
use crate::party::Basis;

/// A vendor list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorList {
    version: u16,
    policy_version: u8,
    vendors: BTreeMap<u16, Vendor>,
}

/// The declarations of one vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vendor {
    /// The vendor's id, from 1.
    pub id: u16,
    /// The vendor's name.
    pub name: String,
    /// The purposes declared on consent.
    pub purposes: Numbers,
    /// The purposes declared on legitimate interest; disjoint from `purposes`.
    pub legitimate_interest_purposes: Numbers,
    /// The purposes, of both, for which the vendor accepts the other basis too.
    pub flexible_purposes: Numbers,
    /// The special purposes, which need no permission.
    pub special_purposes: Numbers,
    /// The features; 2 links different devices.
    pub features: Numbers,
    /// The special features, which need an opt-in.
    pub special_features: Numbers,
    /// Whether the vendor has left the framework (`deletedDate`).
    pub deleted: bool,
}

/// Why a vendor list is rejected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// It is not JSON, or not that of a vendor list.
    #[error("not a vendor list")]
    Json(#[from] serde_json::Error),
    /// Its specification is not supported.
    #[error("vendor lists of specification {0} are not known, only 2 and 3")]
    Specification(u64),
    /// A vendor contradicts itself.
    #[error("vendor {vendor} of the list: {what}")]
    Vendor {
        /// The vendor's key in the list.
        vendor: String,
        /// The contradiction.
        what: &'static str,
    },
}

/// The part of the JSON that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListJson {
    gvl_specification_version: u64,
    vendor_list_version: u16,
    tcf_policy_version: u8,
    vendors: BTreeMap<String, VendorJson>,
}

/// The part of a vendor's JSON that is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VendorJson {
    id: u16,
    name: String,
    purposes: Vec<u8>,
    leg_int_purposes: Vec<u8>,
    flexible_purposes: Vec<u8>,
    special_purposes: Vec<u8>,
    features: Vec<u8>,
    special_features: Vec<u8>,
    deleted_date: Option<String>,
}

impl VendorList {
    /// Parses a vendor list.
    ///
    /// # Errors
    ///
    /// [`ListError`] for anything other than the JSON of a vendor list, another
    /// specification than 2 and 3, and a vendor whose key is not its id, with
    /// numbers beyond 24, with a purpose on both bases, or with a flexible
    /// purpose on none.
    pub fn parse(json: &[u8]) -> Result<Self, ListError> {
        let list: ListJson = serde_json::from_slice(json)?;
        if !matches!(list.gvl_specification_version, 2 | 3) {
            return Err(ListError::Specification(list.gvl_specification_version));
        }
        let mut vendors = BTreeMap::new();
        for (key, vendor) in list.vendors {
            let vendor = Vendor::new(&key, vendor)
                .map_err(|what| ListError::Vendor { vendor: key, what })?;
            vendors.insert(vendor.id, vendor);
        }
        Ok(Self {
            version: list.vendor_list_version,
            policy_version: list.tcf_policy_version,
            vendors,
        })
    }

    /// The version of the list.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// The version of the TCF Policies that the list follows.
    pub fn policy_version(&self) -> u8 {
        self.policy_version
    }

    /// A vendor by id.
    pub fn vendor(&self, id: u16) -> Option<&Vendor> {
        self.vendors.get(&id)
    }

    /// All vendors, by ascending id.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.vendors.values()
    }
}

impl Vendor {
    /// The vendor of an entry, or the contradiction in it.
    fn new(key: &str, json: VendorJson) -> Result<Self, &'static str> {
        if json.id == 0 || json.id.to_string() != key {
            return Err("its id is not its key");
        }
        let vendor = Self {
            id: json.id,
            name: json.name,
            purposes: numbers(&json.purposes)?,
            legitimate_interest_purposes: numbers(&json.leg_int_purposes)?,
            flexible_purposes: numbers(&json.flexible_purposes)?,
            special_purposes: numbers(&json.special_purposes)?,
            features: numbers(&json.features)?,
            special_features: numbers(&json.special_features)?,
            deleted: json.deleted_date.is_some(),
        };
        let (consent, interest) = (
            vendor.purposes.bits(),
            vendor.legitimate_interest_purposes.bits(),
        );
        if consent & interest != 0 {
            return Err("a purpose stands on both bases");
        }
        if vendor.flexible_purposes.bits() & !(consent | interest) != 0 {
            return Err("a flexible purpose stands on no basis");
        }
        Ok(vendor)
    }

    /// The basis on which a purpose was declared; `None` if it was not.
    pub fn basis(&self, purpose: u8) -> Option<Basis> {
        let consent = self.purposes.contains(purpose);
        let interest = self.legitimate_interest_purposes.contains(purpose);
        match (consent, interest, self.flexible_purposes.contains(purpose)) {
            (true, _, false) => Some(Basis::Consent),
            (true, _, true) => Some(Basis::FlexibleConsent),
            (_, true, false) => Some(Basis::LegitimateInterest),
            (_, true, true) => Some(Basis::FlexibleLegitimateInterest),
            (false, false, _) => None,
        }
    }
}

/// A list of numbers as a set.
fn numbers(list: &[u8]) -> Result<Numbers, &'static str> {
    if list.iter().all(|number| (1..=24).contains(number)) {
        Ok(list.iter().copied().collect())
    } else {
        Err("a number is not one of 1 to 24")
    }
}

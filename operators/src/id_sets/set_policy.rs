//! Set policy: the combined policy of an identifier set, and what it admits.
//!
//! A statement concerns an identifier, and a record names several. The strictest wins: a use is allowed if all statements
//! about any of the identifiers allow it, and a single restriction excludes the record. The rules are those at the head of
//! [`crate::policy_filter`]; their order is the order in which [`WithholdReason`] names the reason of an exclusion.

use crate::allowed_uses::{AllowedUses, Use};
use crate::hash_key::HashKey;
use crate::policy::{Admission, Policy, WithholdReason};
use crate::record::{Body, IdKind, IdSet, Identifier, Record};
use crate::settings::BrandSettings;
use crate::small_map::SmallMap;

/// The uses for which a record counts, or the reason why it is excluded. Equal values mean that a change of a policy does not
/// affect the record.
pub(crate) type Admitted = Result<Admission, WithholdReason>;

/// The admission of a record without identifiers: all uses.
pub(crate) const UNRESTRICTED: Admission = Admission {
    reduced: None,
    credit: true,
    joins: true,
};

/// The combined policy of the members of an identifier set.
pub(crate) struct SetPolicy {
    /// Whether a right restricts the processing of any member.
    restricted: bool,
    /// The uses that all statements allow.
    allowed: AllowedUses,
    /// Whether a consent statement concerns a cookie of the set.
    has_cookie_statement: bool,
    /// Whether a consent statement concerns a device of the set.
    has_device_statement: bool,
    /// Whether a consent statement concerns any member.
    has_statement: bool,
}

impl SetPolicy {
    /// Combines the policies of those members of a set that have one.
    pub(crate) fn of(ids: &IdSet, policies: &SmallMap<HashKey, Policy>) -> SetPolicy {
        let mut policy = SetPolicy {
            restricted: false,
            allowed: AllowedUses::ALL,
            has_cookie_statement: false,
            has_device_statement: false,
            has_statement: false,
        };
        if policies.is_empty() {
            return policy;
        }
        for id in ids.ids() {
            let Some(member) = policies.get(&id.pseudonym.into()) else {
                continue;
            };
            policy.restricted |= member.restricted;
            if let Some(allowed) = member.allowed {
                policy.allowed = policy.allowed.intersect(allowed);
                policy.has_statement = true;
                policy.has_cookie_statement |= id.kind == IdKind::Cookie;
                policy.has_device_statement |= id.kind == IdKind::Device;
            }
            if member.do_not_sell {
                policy.allowed = policy.allowed.without(Use::Share);
            }
        }
        policy
    }

    /// Whether a record of the set requires consent and has no consent statement.
    fn lacks_consent(&self, record: &Record, settings: &BrandSettings) -> bool {
        let has = |kind: IdKind| record.ids.ids().iter().any(|id| id.kind == kind);
        if !settings.on_consent.contains(&record.source) {
            return false;
        }
        // What a partner reports is about a device; its other identifiers need no statement of their own.
        if record.body.is_of_partner() && has(IdKind::Device) {
            return !self.has_device_statement;
        }
        !self.has_cookie_statement && (!self.has_statement || has(IdKind::Cookie))
    }

    /// The uses for which a record of the set counts at the link time `at`, in Unix milliseconds, or the reason why it is
    /// excluded.
    pub(crate) fn admit(&self, record: &Record, settings: &BrandSettings, at: i64) -> Admitted {
        if let Body::Consent { boxes: Some(_), .. } = record.body
            && self.restricted
        {
            return Err(WithholdReason::Restricted);
        }
        let free = record.ids.is_empty()
            || matches!(
                record.body,
                Body::Spend { .. } | Body::Consent { .. } | Body::Right { .. }
            );
        if free {
            return Ok(UNRESTRICTED);
        }
        if self.restricted {
            return Err(WithholdReason::Restricted);
        }
        if self.lacks_consent(record, settings) {
            return Err(WithholdReason::NoConsent);
        }
        let allowed = self.allowed;
        let needs_hold = record.body.is_web() || settings.on_consent.contains(&record.source);
        let mut required = record.body.required_uses().iter();
        let lacks_any = required.any(|of| !allowed.allows(*of));
        if lacks_any || needs_hold && !allowed.allows(Use::Hold) {
            return Err(WithholdReason::Refused);
        }
        Ok(Admission {
            reduced: match allowed.allows(Use::Link) {
                true => linked(record, settings, at),
                false => alone(&record.ids, settings),
            },
            credit: allowed.allows(Use::Credit),
            joins: allowed.allows(Use::Join),
        })
    }
}

/// The identifiers that a record still links at the link time `at`, or `None` if these are all of them. A record
/// whose identifiers have all expired is reduced to one, like a record that may not link.
fn linked(record: &Record, settings: &BrandSettings, at: i64) -> Option<IdSet> {
    let ids = record.ids.ids();
    let links = |id: &&Identifier| settings.links(id.kind, record.ts, at);
    match ids.iter().filter(links).count() {
        0 => alone(&record.ids, settings),
        all if all == ids.len() => None,
        _ => Some(IdSet::new(ids.iter().filter(links).copied().collect())),
    }
}

/// The identifiers of the one clear value that represents a record without permission to link, or `None` if it has no
/// other. None of a record whose identifiers can belong to nobody.
fn alone(ids: &IdSet, settings: &BrandSettings) -> Option<IdSet> {
    /// The kinds by preference: the first kind that a record has represents it.
    const ORDER: [IdKind; 8] = [
        IdKind::Cookie,
        IdKind::Customer,
        IdKind::Wallet,
        IdKind::Device,
        IdKind::Email,
        IdKind::Phone,
        IdKind::NamePostcode,
        IdKind::ClickId,
    ];
    let rank = |kind: IdKind| ORDER.iter().position(|other| *other == kind);
    let identifying = ids.ids().iter().filter(|id| settings.identifies(id.kind));
    let Some(first) = identifying.min_by_key(|id| (rank(id.kind), id.value)) else {
        return (!ids.is_empty()).then(IdSet::empty);
    };
    let same = |id: &&Identifier| id.value == first.value && id.kind == first.kind;
    let kept: Vec<_> = ids.ids().iter().filter(same).copied().collect();
    (kept.len() < ids.ids().len()).then(|| IdSet::new(kept))
}

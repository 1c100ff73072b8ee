//! Consent and rights: which stored records count, with which identifiers and for which uses.
//!
//! The policy of every identifier follows from the statements about it. Of the statements of
//! consent the newest counts, in the order of [`place`]; several at the same place allow what all
//! of them allow. Of each right the newest statement counts; of several at the same time, the one
//! that exercises it.
//!
//! Then the policies of its identifiers are applied to every other record ([`apply_policy`]). A
//! record that may not be used is excluded, and one that may not be used for everything is
//! rewritten, so that the rest of the oracle needs no knowledge of consent: a contact without
//! permission to credit it is no touchpoint, and a record without permission to link has fewer
//! identifiers. Only whether a record may be joined with the other side, web or till, is carried
//! along.
//!
//! A record older than the `link_ttl` of a kind is rewritten in the same way, without the
//! identifiers that it no longer links.
//!
//! Statements themselves are not used for anything else: they do not even show that their
//! identifiers belong together. An objection to sale restricts what partners share.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;

use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::label::Label;
use tributary_operators::record::{
    Body, Day, IdKind, IdSet, Identifier, Pseudonym, Record, Right, SaleKind, SightingCookie,
};
use tributary_operators::settings::{BrandSettings, Settings};

use crate::brand::by_brand;
use crate::stored::StoredState;
use crate::touch::contact_of;

/// A record as it may be used.
pub(crate) struct AllowedRecord<'a> {
    /// The record, rewritten if necessary.
    record: Cow<'a, Record>,
    /// Whether the record may be joined across web and till.
    pub(crate) joins: bool,
    /// Whether the record may be credited as a touchpoint.
    pub(crate) credits: bool,
    /// The wallet pass that a wallet record names, whether it may link or not.
    pass: Option<Pseudonym>,
    /// The device that a sighting is about.
    device: Option<Pseudonym>,
}

impl AllowedRecord<'_> {
    /// The device that a sighting is about.
    pub(crate) fn device(&self) -> Option<Pseudonym> {
        self.device
    }

    /// The same record at another time, of other identifiers.
    pub(crate) fn moved(&self, ts: i64, day: Day, ids: IdSet) -> AllowedRecord<'static> {
        AllowedRecord {
            record: Cow::Owned(Record {
                ts,
                day,
                ids,
                ..Record::clone(&self.record)
            }),
            ..*self
        }
    }

    /// The wallet pass that the record is about, or that a transaction names.
    pub(crate) fn pass(&self) -> Option<Pseudonym> {
        match self.body {
            Body::Wallet { .. } => self.pass,
            _ => named_pass(&self.ids),
        }
    }
}

/// The device that a sighting is about.
fn seen_device(record: &Record) -> Option<Pseudonym> {
    let mut devices = record
        .ids
        .ids()
        .iter()
        .filter(|id| id.kind == IdKind::Device);
    match record.body {
        Body::Sighting { .. } | Body::SettledVisit { .. } | Body::PanelMember { .. } => {
            devices.next().map(|id| id.pseudonym)
        }
        _ => None,
    }
}

/// The first identifier of a wallet.
fn named_pass(ids: &IdSet) -> Option<Pseudonym> {
    let mut wallets = ids.ids().iter().filter(|id| id.kind == IdKind::Wallet);
    wallets.next().map(|id| id.pseudonym)
}

impl Deref for AllowedRecord<'_> {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// The records of one brand as they may be used, without statements. `link_time` is the time as of
/// which the age of links is determined, Unix milliseconds.
pub(crate) fn allowed_records<'a>(
    settings: &BrandSettings,
    records: &[&'a Record],
    link_time: Option<i64>,
) -> Vec<AllowedRecord<'a>> {
    let policies = policies(records);
    records
        .iter()
        .filter(|record| !is_statement(&record.body))
        .filter_map(|record| apply_policy(settings, &policies, record).ok())
        .map(|allowed_record| without_clicks(settings, allowed_record))
        .map(|allowed_record| match link_time {
            Some(now) => young_links(settings, allowed_record, now),
            None => allowed_record,
        })
        .collect()
}

/// The statements with boxes that count: those of a subject that restricts its records do not.
pub(crate) fn allowed_statements<'a>(records: &[&'a Record]) -> Vec<&'a Record> {
    let policies = policies(records);
    records
        .iter()
        .copied()
        .filter(|record| has_boxes(&record.body) && !is_restricted(&policies, record))
        .collect()
}

/// Whether a record is a statement with boxes.
fn has_boxes(body: &Body) -> bool {
    matches!(body, Body::Consent { boxes: Some(_), .. })
}

/// Whether a restriction of any of its identifiers excludes a record.
fn is_restricted(policies: &BTreeMap<Pseudonym, SubjectPolicy>, record: &Record) -> bool {
    let restricted = |pseudonym| policies.get(pseudonym).is_some_and(|s| s.restricted);
    record.ids.ids().iter().any(|id| restricted(&id.pseudonym))
}

/// Removes the identifiers of clicks, unless the brand lets them identify: they carry statements,
/// and belong to nobody.
fn without_clicks<'a>(
    settings: &BrandSettings,
    mut allowed_record: AllowedRecord<'a>,
) -> AllowedRecord<'a> {
    let is_click = |id: &&Identifier| id.kind == IdKind::ClickId;
    if !settings.click_id && allowed_record.ids.ids().iter().any(|id| is_click(&id)) {
        let ids = allowed_record.ids.ids().iter();
        let others = ids.filter(|id| !is_click(id)).copied().collect();
        allowed_record.record.to_mut().ids = IdSet::new(others);
    }
    allowed_record
}

/// Removes the identifiers of kinds that a record is too old to link. If all are too old it keeps
/// those of one clear value, because a record of one person remains that person's.
///
/// The age of a record is `now` minus its time; a record that is exactly as old as the lifetime
/// still links.
fn young_links<'a>(
    settings: &BrandSettings,
    mut allowed_record: AllowedRecord<'a>,
    now: i64,
) -> AllowedRecord<'a> {
    let age = now.saturating_sub(allowed_record.ts);
    let too_old = |kind: IdKind| settings.link_ttl[kind as usize].is_some_and(|ttl| age > ttl);
    let (old, young): (Vec<_>, Vec<_>) = allowed_record
        .ids
        .ids()
        .iter()
        .partition(|id| too_old(id.kind));
    if !old.is_empty() {
        let ids = match young.is_empty() {
            true => one_value(&allowed_record.ids),
            false => IdSet::new(young),
        };
        allowed_record.record.to_mut().ids = ids;
    }
    allowed_record
}

/// The policy in effect for an identifier.
struct SubjectPolicy {
    /// The allowed uses, or `None` without a statement of consent.
    allowed: Option<AllowedUses>,
    /// Whether a restriction is in effect.
    restricted: bool,
    /// Whether sharing with partners is refused.
    do_not_sell: bool,
}

/// The allowed uses of every identifier with a statement of consent.
pub(crate) fn consents(records: &[&Record]) -> BTreeMap<Pseudonym, AllowedUses> {
    let policies = policies(records).into_iter();
    policies
        .filter_map(|(pseudonym, policy)| Some((pseudonym, policy.allowed?)))
        .collect()
}

/// The policies of all identifiers that statements mention. Others have no policy: they allow
/// everything, unless the source of a record requires consent.
fn policies(records: &[&Record]) -> BTreeMap<Pseudonym, SubjectPolicy> {
    let mut statements: BTreeMap<Pseudonym, Vec<&Record>> = BTreeMap::new();
    for record in records.iter().filter(|record| is_statement(&record.body)) {
        for id in record.ids.ids() {
            statements.entry(id.pseudonym).or_default().push(record);
        }
    }
    let exercised = |statements: &Vec<&Record>, of: Right| {
        let stands = newest(statements, |body| match body {
            Body::Right { right, stands } if *right == of => Some(*stands),
            _ => None,
        });
        stands.contains(&true)
    };
    let policy = |statements: &Vec<&Record>| SubjectPolicy {
        allowed: consented(statements),
        restricted: exercised(statements, Right::Restriction),
        do_not_sell: exercised(statements, Right::DoNotSell),
    };
    statements
        .iter()
        .map(|(pseudonym, statements)| (*pseudonym, policy(statements)))
        .collect()
}

/// The uses that all statements at the newest place allow, or `None` without a statement of
/// consent.
fn consented(statements: &[&Record]) -> Option<AllowedUses> {
    let last = statements
        .iter()
        .filter_map(|record| place(record, statements))
        .max()?;
    let at_last = statements
        .iter()
        .filter(|record| place(record, statements) == Some(last));
    let steps = at_last.filter_map(|record| match record.body {
        Body::Consent { steps, .. } => Some(steps),
        _ => None,
    });
    steps.reduce(AllowedUses::intersect)
}

/// The place of a statement of consent among all statements about an identifier: the UTC day of the
/// decision, and when the decision was first received.
///
/// A consent string was decided on the day of its last update, or on the day it was first received
/// if that was earlier. Any other statement was decided when it was made. `None` for statements
/// about rights.
fn place(record: &Record, statements: &[&Record]) -> Option<(i64, i64)> {
    const DAY: i64 = 86_400_000;
    let Body::Consent { string, .. } = &record.body else {
        return None;
    };
    let Some(sent) = string else {
        return Some((record.ts.div_euclid(DAY), record.ts));
    };
    let the_same = |other: &&&Record| match &other.body {
        Body::Consent { string, .. } => string.as_ref() == Some(sent),
        _ => false,
    };
    let first = statements
        .iter()
        .filter(the_same)
        .map(|other| other.ts)
        .min()?;
    Some((first.div_euclid(DAY).min(sent.updated.into()), first))
}

/// What the newest statements of one kind say: several values if they have the same time.
fn newest<T>(statements: &[&Record], read: impl Fn(&Body) -> Option<T>) -> Vec<T> {
    let of_sort = |record: &&&Record| read(&record.body).is_some();
    let newest = statements
        .iter()
        .filter(of_sort)
        .map(|record| record.ts)
        .max();
    statements
        .iter()
        .filter(|record| Some(record.ts) == newest)
        .filter_map(|record| read(&record.body))
        .collect()
}

/// Why a record is excluded.
enum Exclusion {
    /// A right restricts it.
    Restricted,
    /// Its source requires consent, and there is no statement.
    NoStatement,
    /// The statements do not allow it.
    Refused,
}

/// The numbers of stored records of known brands that are not used, or not for everything. The
/// reasons are exclusive, and are checked in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Records excluded because a right restricts them.
    pub restricted: i64,
    /// Other records excluded because their source requires consent and there is no statement.
    pub unasked: i64,
    /// Other records excluded because the statements do not allow them.
    pub refused: i64,
    /// Contacts that count, but that no sale may be credited to.
    pub uncredited: i64,
}

/// Counts the records that are withheld.
pub fn withheld(settings: &Settings, held: &StoredState) -> Withheld {
    let mut withheld = Withheld::default();
    by_brand(settings, held, |brand, records, _| {
        let policies = policies(records);
        for record in records {
            if is_statement(&record.body) {
                let is_excluded = has_boxes(&record.body) && is_restricted(&policies, record);
                withheld.restricted += i64::from(is_excluded);
                continue;
            }
            let count = match apply_policy(brand.settings, &policies, record) {
                Err(Exclusion::Restricted) => &mut withheld.restricted,
                Err(Exclusion::NoStatement) => &mut withheld.unasked,
                Err(Exclusion::Refused) => &mut withheld.refused,
                Ok(_) if is_uncredited(brand.settings, &policies, record) => {
                    &mut withheld.uncredited
                }
                Ok(_) => continue,
            };
            *count += 1;
        }
    });
    withheld
}

/// Whether a record is a contact that no sale may be credited to.
fn is_uncredited(
    settings: &BrandSettings,
    policies: &BTreeMap<Pseudonym, SubjectPolicy>,
    record: &Record,
) -> bool {
    let is_contact = contact_of(&record.body).is_some();
    let steps = allowed(settings, policies, record);
    is_contact && !record.ids.is_empty() && !steps.is_some_and(|steps| steps.allows(Use::Credit))
}

/// The record as it may be used, or why it is excluded.
///
/// 1. A restriction of any of its identifiers excludes it.
/// 2. Without a required statement of consent it is excluded.
/// 3. A web record, or one of a source that requires consent, is excluded without permission to
///    hold it.
/// 4. Without permission to credit, a contact is no touchpoint; without permission to link, the
///    record keeps the identifiers of one clear value; without permission to join, it stays on its
///    side.
///
/// Records without identifiers, and spend, are always used.
fn apply_policy<'a>(
    settings: &BrandSettings,
    policies: &BTreeMap<Pseudonym, SubjectPolicy>,
    record: &'a Record,
) -> Result<AllowedRecord<'a>, Exclusion> {
    let mut allowed_record = AllowedRecord {
        record: Cow::Borrowed(record),
        joins: true,
        credits: true,
        pass: named_pass(&record.ids),
        device: seen_device(record),
    };
    if record.ids.is_empty() || matches!(record.body, Body::Spend { .. }) {
        return Ok(allowed_record);
    }
    if is_restricted(policies, record) {
        return Err(Exclusion::Restricted);
    }
    let allowed = allowed(settings, policies, record).ok_or(Exclusion::NoStatement)?;
    let on_consent = settings.on_consent.contains(&record.source);
    if (is_web(&record.body) || on_consent) && !allowed.allows(Use::Hold) {
        return Err(Exclusion::Refused);
    }
    let refuses = |id: &Identifier| policies.get(&id.pseudonym).is_some_and(|s| s.do_not_sell);
    let shares = !record.ids.ids().iter().any(refuses);
    let is_allowed = |of: &Use| allowed.allows(*of) && (*of != Use::Share || shares);
    if !of_partner(&record.body).iter().all(is_allowed) {
        return Err(Exclusion::Refused);
    }
    allowed_record.credits = allowed.allows(Use::Credit);
    if !allowed.allows(Use::Link) {
        allowed_record.record.to_mut().ids = one_value(&record.ids);
    }
    allowed_record.joins = allowed.allows(Use::Join);
    Ok(allowed_record)
}

/// The uses of a record that every statement about its identifiers allows, or `None` if its source
/// requires consent and a statement is missing.
fn allowed(
    settings: &BrandSettings,
    policies: &BTreeMap<Pseudonym, SubjectPolicy>,
    record: &Record,
) -> Option<AllowedUses> {
    // With their kinds, the identifiers about which there is a statement of consent.
    let said: Vec<(IdKind, AllowedUses)> = record
        .ids
        .ids()
        .iter()
        .filter_map(|id| Some((id.kind, policies.get(&id.pseudonym)?.allowed?)))
        .collect();
    if settings.on_consent.contains(&record.source) {
        let is_cookie = |kind: IdKind| kind == IdKind::Cookie;
        let is_device = |kind: IdKind| kind == IdKind::Device;
        let of_device = !of_partner(&record.body).is_empty()
            && record.ids.ids().iter().any(|id| is_device(id.kind));
        if of_device {
            // What a partner reports is the business of the device alone.
            if !said.iter().any(|(kind, _)| is_device(*kind)) {
                return None;
            }
            let all = said.into_iter();
            return Some(all.fold(AllowedUses::ALL, |all, (_, steps)| all.intersect(steps)));
        }
        let asked = match record.ids.ids().iter().any(|id| is_cookie(id.kind)) {
            true => said.iter().any(|(kind, _)| is_cookie(*kind)),
            false => !said.is_empty(),
        };
        if !asked {
            return None;
        }
    }
    let all = said.into_iter();
    Some(all.fold(AllowedUses::ALL, |all, (_, steps)| all.intersect(steps)))
}

/// The uses without which what a partner reports does not count; none for any other record.
///
/// | what | needs |
/// | --- | --- |
/// | a sighting | hold, join, link, share; without a cookie also position |
/// | an exposure | hold, share |
/// | a link | link, share |
/// | what settling makes of sightings | as they do |
fn of_partner(body: &Body) -> Vec<Use> {
    match body {
        Body::Sighting { cookie, .. } => {
            let mut uses = vec![Use::Hold, Use::Join, Use::Link, Use::Share];
            if *cookie == SightingCookie::None {
                uses.push(Use::Position);
            }
            uses
        }
        Body::Exposure { .. } => vec![Use::Hold, Use::Share],
        Body::PartnerLink => vec![Use::Link, Use::Share],
        Body::SettledVisit { by_position, .. } | Body::PanelMember { by_position } => {
            let mut uses = vec![Use::Hold, Use::Join, Use::Link, Use::Share];
            uses.extend(by_position.then_some(Use::Position));
            uses
        }
        _ => Vec::new(),
    }
}

/// Whether a record is a statement of consent or about a right.
fn is_statement(body: &Body) -> bool {
    matches!(body, Body::Consent { .. } | Body::Right { .. })
}

/// Whether a record describes something that happened on the web.
fn is_web(body: &Body) -> bool {
    match body {
        Body::Contact { .. } | Body::Identify => true,
        Body::Sale { kind, .. } | Body::Adjustment { kind, .. } => *kind == SaleKind::Order,
        Body::Refund { store, .. } | Body::Restatement { store, .. } => *store == Label::ABSENT,
        Body::Spend { .. }
        | Body::Wallet { .. }
        | Body::Sighting { .. }
        | Body::Exposure { .. }
        | Body::PartnerLink
        | Body::SettledVisit { .. }
        | Body::PanelMember { .. }
        | Body::Consent { .. }
        | Body::Right { .. } => false,
    }
}

/// The identifiers of the one clear value that remains if a record may not link: the cookie if
/// there is one, then by the order of kinds, then by value.
fn one_value(ids: &IdSet) -> IdSet {
    let place = |kind: IdKind| match kind {
        IdKind::Cookie => 0,
        IdKind::Customer => 1,
        IdKind::Wallet => 2,
        IdKind::Device => 3,
        IdKind::Email => 4,
        IdKind::Phone => 5,
        IdKind::NamePostcode => 6,
        IdKind::ClickId => 7,
    };
    let kept = ids.ids().iter().min_by_key(|id| (place(id.kind), id.value));
    let of_value = ids
        .ids()
        .iter()
        .filter(|id| kept.is_some_and(|kept| kept.value == id.value));
    IdSet::new(of_value.copied().collect())
}

//! Stays of devices that partners saw in a store, and what they weigh: the family `visit_match`, and conversions.
//!
//! Sightings of one device in one store and salt day are one stay as long as each begins at most half an hour after the
//! latest end before it. A visit that the sensors counted is a candidate of a stay if the two overlap, with the slack of
//! the settings, and if the stay has no cookie or one with the visit's value in its lowest bits. As many bits count as
//! leave at least `cookie_share` devices with a visit to each value, on average.
//!
//! A stay weighs the number of its candidates, divided by that number or by the largest number of stays that share one of
//! them, whichever is greater.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::cell::{Dim, Family};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{
    Arrival, Body, BrandId, Day, IdKind, IdSet, Identifier, Ping, Pseudonym, Record, RecordKey,
    SightingCookie, UnmatchedStays,
};
use tributary_operators::settings::{BrandSettings, Ladder};

use crate::brand::Brand;
use crate::calendar::month;
use crate::consent::{AllowedRecord, allowed_records};
use crate::family_sums::{CountedCell, FamilySums};
use crate::stored::StoredState;
use crate::visits::{StoreVisit, store_visits};

/// The longest gap between two sightings of a stay, in seconds.
const MAX_GAP: i64 = 30 * 60;

/// A store and salt day.
type StoreDay = (Label, Day);

/// A stay.
pub(crate) struct Stay<'a> {
    /// The record that stands for it, by time and ID: at the time of the stay, and of the device alone.
    pub(crate) record: AllowedRecord<'a>,
    /// The store.
    pub(crate) store: Label,
    /// The first second.
    pub(crate) first: i64,
    /// The last second.
    pub(crate) last: i64,
    /// The offline cookies.
    cookies: BTreeSet<u32>,
    /// The number of visits that it may have been.
    candidates: i128,
    /// Its weight in millionths.
    pub(crate) weight: i128,
}

/// A sighting: its first and last second, and its record.
type Seen<'a> = (i64, i64, &'a AllowedRecord<'a>);

/// Whether stays may be shown as they are, settled or not: only by a gate that hides nothing.
pub(crate) fn shows_stays(settings: &BrandSettings) -> bool {
    let hides = settings.k > 1 || settings.k_delta() > 1 || settings.noise.is_some();
    settings.has_partners && !hides
}

/// Whether stays are matched at all: a gate that hides cells shows those of settled days by its ladder.
pub(crate) fn matches_stays(settings: &BrandSettings) -> bool {
    let has_ladder = settings.k > 1 && settings.ladder == Ladder::Month && settings.noise.is_none();
    shows_stays(settings) || settings.has_partners && has_ladder
}

/// The stays of settled days, which a ladder counts.
pub(crate) fn settled_stays<'a>(
    settings: &BrandSettings,
    records: &'a [AllowedRecord<'a>],
) -> Vec<Stay<'a>> {
    let settled = records.iter().filter_map(settled);
    settled.filter(|_| matches_stays(settings)).collect()
}

/// The stays of a brand, settled or not, with their weights. None if its gate may not show all of them.
pub(crate) fn stays<'a>(
    settings: &BrandSettings,
    records: &'a [AllowedRecord<'a>],
    pings: &[&Ping],
) -> Vec<Stay<'a>> {
    if !shows_stays(settings) {
        return Vec::new();
    }
    let mut all: Vec<Stay> = records.iter().filter_map(settled).collect();
    all.extend(open_stays(settings, records, pings, Day::MAX));
    all
}

/// The stays of a brand on the salt days before `before` that are not settled, with their weights.
fn open_stays<'a>(
    settings: &BrandSettings,
    records: &'a [AllowedRecord<'a>],
    pings: &[&Ping],
    before: Day,
) -> Vec<Stay<'a>> {
    let mut days: BTreeMap<StoreDay, BTreeMap<Pseudonym, Vec<Seen>>> = BTreeMap::new();
    for record in records {
        let Body::Sighting {
            store,
            salt_day,
            until,
            blur,
            ..
        } = record.body
        else {
            continue;
        };
        let Some(device) = record.device().filter(|_| salt_day < before) else {
            continue;
        };
        let (begin, end) = (record.ts - blur, until + blur);
        let seen = (begin.div_euclid(1000), end.div_euclid(1000), record);
        let day = days.entry((store, salt_day)).or_default();
        day.entry(device).or_default().push(seen);
    }
    let visits = store_visits(settings, pings);
    let mut all = Vec::new();
    for ((store, salt_day), devices) in days {
        let mut stays = Vec::new();
        for (device, seen) in devices {
            stays.extend(stays_of(settings, device, store, seen));
        }
        let visits = visits.get(&(store, salt_day)).map_or(&[][..], |of| of);
        weigh(settings, &mut stays, visits);
        all.extend(stays);
    }
    all
}

/// The stay that a settled visit was; `None` for any other record.
fn settled<'a>(record: &'a AllowedRecord<'a>) -> Option<Stay<'a>> {
    let Body::SettledVisit {
        store,
        until,
        candidates,
        weight,
        ..
    } = record.body
    else {
        return None;
    };
    let ids = device_alone(record.device()?);
    Some(Stay {
        record: record.moved(record.ts, record.day, ids),
        store,
        first: record.ts.div_euclid(1000),
        last: until.div_euclid(1000),
        cookies: BTreeSet::new(),
        candidates: candidates.into(),
        weight: weight.into(),
    })
}

/// The stays of a device in a store and salt day.
fn stays_of<'a>(
    settings: &BrandSettings,
    device: Pseudonym,
    store: Label,
    mut seen: Vec<Seen<'a>>,
) -> Vec<Stay<'a>> {
    seen.sort_by_key(|(begin, end, _)| (*begin, *end));
    let mut groups: Vec<Vec<Seen>> = Vec::new();
    let mut latest = i64::MIN;
    for one in seen {
        match groups.last_mut() {
            Some(group) if one.0 - latest <= MAX_GAP => group.push(one),
            _ => groups.push(vec![one]),
        }
        latest = latest.max(one.1);
    }
    let cookie = |(_, _, record): &Seen| match record.body {
        Body::Sighting {
            cookie: SightingCookie::Cookie(cookie),
            ..
        } => Some(cookie),
        _ => None,
    };
    let stay = |group: Vec<Seen<'a>>| {
        let order = |record: &AllowedRecord| (record.ts, record.id.clone(), record.source);
        let lead = group.iter().map(|of| of.2);
        let lead = lead.min_by_key(|record| order(record))?;
        let first = group.iter().map(|of| of.0).min()?;
        let (ts, ids) = (first * 1000, device_alone(device));
        Some(Stay {
            record: lead.moved(ts, settings.utc_offsets.day(ts), ids),
            store,
            first,
            last: group.iter().map(|of| of.1).max()?,
            cookies: group.iter().filter_map(cookie).collect(),
            candidates: 0,
            weight: 0,
        })
    };
    groups.into_iter().filter_map(stay).collect()
}

/// The identifiers of a device.
pub(crate) fn device_alone(device: Pseudonym) -> IdSet {
    IdSet::new(vec![Identifier {
        pseudonym: device,
        value: device,
        kind: IdKind::Device,
    }])
}

/// Finds the candidates of some stays among the visits of their store and day.
fn weigh(settings: &BrandSettings, stays: &mut [Stay], visits: &[StoreVisit]) {
    let devices: BTreeSet<Pseudonym> = visits.iter().map(|visit| visit.device).collect();
    let is_shared = |bits: &u32| devices.len() as u64 >= settings.cookie_share * 2_u64.pow(*bits);
    let bits = (0..=settings.cookie_bits)
        .filter(is_shared)
        .max()
        .unwrap_or(0);
    let value = |cookie: u32| u64::from(cookie) % 2_u64.pow(bits);
    let is_candidate = |stay: &Stay, visit: &StoreVisit| {
        let overlap = visit.first * 1000 <= stay.last * 1000 + settings.slack
            && visit.last * 1000 >= stay.first * 1000 - settings.slack;
        let mut cookies = stay.cookies.iter();
        let matches = cookies.any(|cookie| value(*cookie) == value(visit.cookie));
        overlap && (stay.cookies.is_empty() || matches)
    };
    let shared: Vec<usize> = visits
        .iter()
        .map(|visit| {
            stays
                .iter()
                .filter(|stay| is_candidate(stay, visit))
                .count()
        })
        .collect();
    for stay in stays {
        let own = visits.iter().zip(&shared);
        let own: Vec<usize> = own
            .filter(|(visit, _)| is_candidate(stay, visit))
            .map(|(_, shared)| *shared)
            .collect();
        let (n, m) = (own.len(), own.iter().copied().max().unwrap_or(0));
        stay.candidates = n as i128;
        if n > 0 {
            stay.weight = 1_000_000 * n as i128 / n.max(m) as i128;
        }
    }
}

/// The events that settle the sightings of a brand on the salt days before `before`, given its stored state: what remains of
/// them, and the mark.
pub(crate) fn settle(
    (id, settings): (BrandId, &BrandSettings),
    held: &StoredState,
    before: Day,
) -> Vec<Event> {
    let records: Vec<&Record> = held.records.iter().filter(|of| of.brand == id).collect();
    let pings: Vec<&Ping> = held.pings.iter().filter(|of| of.brand == id).collect();
    let allowed = allowed_records(settings, &records, held.link_times.get(&id).copied());
    let mut events = Vec::new();
    let mut put = |record: Record, what: &str, of: &[i64]| {
        let ids = record.ids.key().to_le_bytes();
        let of: Vec<u8> = of.iter().flat_map(|part| part.to_le_bytes()).collect();
        let source = record.source.0.to_le_bytes();
        let parts = [what.as_bytes(), &ids, &source, record.id.as_bytes(), &of];
        events.push(Event::Put {
            key: RecordKey::of("settled", &parts),
            version: 0,
            arrival: Arrival::default(),
            record,
        });
    };
    let stays = match matches_stays(settings) {
        true => open_stays(settings, &allowed, &pings, before),
        false => Vec::new(),
    };
    let mut unmatched: BTreeMap<(Label, Day), i64> = BTreeMap::new();
    for stay in stays {
        let record = Record::clone(&stay.record);
        if stay.weight == 0 {
            *unmatched.entry((stay.store, record.day)).or_default() += 1;
            continue;
        }
        let body = Body::SettledVisit {
            store: stay.store,
            until: stay.last * 1000,
            candidates: stay.candidates as u32,
            weight: stay.weight as u32,
            by_position: stay.cookies.is_empty(),
        };
        let of = [stay.store.0 as i64, stay.first];
        put(Record { body, ..record }, "visit", &of);
    }
    let whole = |of: &AllowedRecord| {
        let mut records = records.iter();
        records.find(|record| (record.source, &record.id) == (of.source, &of.id))
    };
    let mut panel: BTreeMap<(IdSet, Label, Day, i32, bool), Record> = BTreeMap::new();
    for record in allowed.iter().filter_map(whole) {
        let Body::Sighting {
            salt_day, cookie, ..
        } = record.body
        else {
            continue;
        };
        if salt_day >= before {
            continue;
        }
        let by_position = cookie == SightingCookie::None;
        let of_month = month(record.day);
        let member = (
            record.ids.clone(),
            record.source,
            salt_day,
            of_month,
            by_position,
        );
        let newest = panel.entry(member).or_insert_with(|| (*record).clone());
        if record.ts > newest.ts {
            *newest = (*record).clone();
        }
    }
    for ((_, _, salt_day, month, by_position), record) in panel {
        let record = Record {
            id: "".into(),
            body: Body::PanelMember { by_position },
            ..record
        };
        put(
            record,
            "member",
            &[salt_day.into(), month.into(), by_position.into()],
        );
    }
    let brand = id;
    events.extend(unmatched.into_iter().map(|((store, day), stays)| {
        let unmatched = UnmatchedStays {
            brand,
            store,
            day,
            stays,
        };
        Event::UnmatchedStays { unmatched }
    }));
    events.push(Event::SightingsSettled { brand, before });
    events
}

/// The `visit_match` cells of a brand.
///
/// - Dimensions: brand, store, day.
/// - Values: stays, matched stays, candidates, weight in millionths.
///
/// `at_till` are those that a till has counted already: they are not matched and weigh nothing.
pub(crate) fn cells(brand: &Brand, stays: &[Stay], at_till: &[&Stay]) -> Vec<CountedCell> {
    let mut tally: FamilySums<(Label, Day), 4> = FamilySums::new();
    for stay in stays {
        let is_at_till = at_till.iter().any(|of| std::ptr::eq(*of, stay));
        let weight = if is_at_till { 0 } else { stay.weight };
        let values = [1, (weight > 0).into(), stay.candidates, weight];
        let day = stay.record.day;
        tally.add((stay.store, day), values, (None, true));
    }
    for of in brand
        .unmatched
        .iter()
        .filter(|_| shows_stays(brand.settings))
    {
        let values = [of.stays.into(), 0, 0, 0];
        tally.add((of.store, of.day), values, (None, true));
    }
    tally.cells(Family::VisitMatch, |(store, day), sum| {
        let dims = vec![brand.name(), brand.word(*store), Dim::Day(*day)];
        (dims, sum.values.to_vec())
    })
}

//! Exposures that became counts: which do, and what remains of them.
//!
//! The exposures of a device in a month do if all of them are older than their window and the time after which sightings
//! settle, if all of them count, and if no record names the device but exposures of it alone, statements and rights aside.
//! What remains belongs to nobody: contacts, the null paths of persons without a conversion, and members of a panel without
//! a visit.

use std::collections::{BTreeMap, BTreeSet};

use tributary_operators::event::Event;
use tributary_operators::label::Channel;
use tributary_operators::record::{
    Body, BrandId, Day, IdKind, Pseudonym, Record, RecordKey, TouchKind,
};
use tributary_operators::settings::BrandSettings;
use tributary_operators::settled_exposures::SettledExposures;

use crate::brand::Brand;
use crate::calendar::month;
use crate::consent::allowed_records;
use crate::markov::PathCounts;
use crate::person::Person;

/// A person of whom nothing but its month is known.
pub(crate) struct Member<'a> {
    /// Stands for it. No pseudonym is as large.
    pub(crate) person: Person,
    pub(crate) month: i32,
    /// The channels of its touchpoints.
    pub(crate) path: &'a [Channel],
    /// The channels that reached it otherwise.
    pub(crate) reached: &'a [Channel],
    pub(crate) in_panel: bool,
}

/// The contacts of a brand that became counts: channel, day, kind and number.
pub(crate) fn contacts(brand: &Brand) -> impl Iterator<Item = (Channel, Day, TouchKind, i64)> {
    brand.exposures.iter().filter_map(|of| match of {
        SettledExposures::Contacts {
            channel,
            day,
            kind,
            contacts,
        } => Some((*channel, *day, *kind, *contacts)),
        _ => None,
    })
}

/// The persons of a brand whose exposures became counts, each for one month.
pub(crate) fn members<'a>(brand: &'a Brand) -> Vec<Member<'a>> {
    let mut members = Vec::new();
    for of in &brand.exposures {
        let SettledExposures::Persons {
            month,
            path,
            reached,
            in_panel,
            persons,
        } = of
        else {
            continue;
        };
        for _ in 0..*persons {
            members.push(Member {
                person: Person(u128::MAX - members.len() as u128),
                month: *month,
                path,
                reached,
                in_panel: *in_panel,
            });
        }
    }
    members
}

/// Adds the channels that exposed members of a month's panel. They have no visits, so that it does not matter when.
pub(crate) fn expose(
    members: &[Member],
    of: i32,
    firsts: &mut BTreeMap<Channel, BTreeMap<Person, i64>>,
) {
    let members = members.iter();
    for member in members.filter(|member| member.month == of && member.in_panel) {
        for channel in member.path {
            let exposed = firsts.entry(*channel).or_default();
            exposed.insert(member.person, i64::MIN);
        }
    }
}

/// The null paths of these persons by month.
pub(crate) fn null_paths(brand: &Brand) -> BTreeMap<i32, PathCounts<Channel>> {
    let mut null: BTreeMap<i32, PathCounts<Channel>> = BTreeMap::new();
    for member in members(brand).iter().filter(|of| !of.path.is_empty()) {
        let of_month = null.entry(member.month).or_default();
        *of_month.entry(member.path.to_vec()).or_default() += 1;
    }
    null
}

/// Two collections of paths together.
pub(crate) fn joined(
    one: &PathCounts<Channel>,
    other: &PathCounts<Channel>,
) -> PathCounts<Channel> {
    let mut all = one.clone();
    for (path, times) in other {
        *all.entry(path.clone()).or_default() += times;
    }
    all
}

/// The events that make counts of the exposures of a brand at `now`, Unix milliseconds, given its stored records.
pub(crate) fn settle(
    (id, settings): (BrandId, &BrandSettings),
    held: &BTreeMap<RecordKey, Record>,
    link_time: Option<i64>,
    now: i64,
) -> Vec<Event> {
    let records: Vec<&Record> = held.values().filter(|of| of.brand == id).collect();
    let allowed = allowed_records(settings, &records, link_time);
    let mut of_devices: BTreeMap<Pseudonym, Vec<(RecordKey, &Record)>> = BTreeMap::new();
    let mut known: BTreeSet<Pseudonym> = BTreeSet::new();
    for (key, record) in held.iter().filter(|(_, record)| record.brand == id) {
        let ids = record.ids.ids();
        match (ids, &record.body) {
            ([device], Body::Exposure { .. }) if device.kind == IdKind::Device => {
                let exposures = of_devices.entry(device.pseudonym).or_default();
                exposures.push((*key, record));
            }
            ([_], Body::Consent { .. } | Body::Right { .. }) => {}
            _ => known.extend(ids.iter().map(|id| id.pseudonym)),
        }
    }
    of_devices.retain(|device, _| !known.contains(device));

    let mut counts: BTreeMap<(Channel, Day, TouchKind), i64> = BTreeMap::new();
    let mut persons: BTreeMap<(i32, Vec<Channel>, Vec<Channel>, bool), i64> = BTreeMap::new();
    let mut keys: BTreeMap<Day, Vec<RecordKey>> = BTreeMap::new();
    for exposures in of_devices.into_values() {
        let months: BTreeSet<i32> = exposures.iter().map(|(_, of)| month(of.day)).collect();
        for of in months {
            let mut of_month: Vec<_> = exposures
                .iter()
                .filter(|(_, e)| month(e.day) == of)
                .collect();
            of_month.sort_by_key(|(_, e)| (e.ts, e.id.clone(), e.source));
            let (mut path, mut reached, mut in_panel) = (Vec::new(), BTreeSet::new(), false);
            let is_due = of_month.iter().all(|(_, exposure)| {
                let Body::Exposure { kind, .. } = exposure.body else {
                    return false;
                };
                exposure.ts + settings.window(kind) + settings.settle_after < now
            });
            let is_allowed = of_month.iter().all(|(_, exposure)| {
                let mut allowed = allowed.iter();
                let name = |of: &Record| (of.source, of.id.clone(), of.ts, of.ids.clone());
                let allowed = allowed.find(|of| name(of) == name(exposure));
                let (Some(allowed), Body::Exposure { channel, .. }) = (allowed, &exposure.body)
                else {
                    return false;
                };
                match allowed.credits {
                    true => path.push(*channel),
                    false => drop(reached.insert(*channel)),
                }
                let is_vouched = settings.is_verified(exposure.source) || !settings.has_ladder();
                in_panel |= settings.compares_exposure() && is_vouched;
                true
            });
            if !is_due || !is_allowed {
                continue;
            }
            path.dedup();
            reached.retain(|channel| !path.contains(channel));
            let reached = reached.into_iter().collect();
            *persons.entry((of, path, reached, in_panel)).or_default() += 1;
            for (key, exposure) in of_month {
                if let Body::Exposure { kind, channel } = exposure.body {
                    *counts.entry((channel, exposure.day, kind)).or_default() += 1;
                }
                keys.entry(exposure.day).or_default().push(*key);
            }
        }
    }
    let counts =
        counts.into_iter().map(
            |((channel, day, kind), contacts)| SettledExposures::Contacts {
                channel,
                day,
                kind,
                contacts,
            },
        );
    let persons = persons
        .into_iter()
        .map(
            |((month, path, reached, in_panel), persons)| SettledExposures::Persons {
                month,
                path,
                reached,
                in_panel,
                persons,
            },
        );
    let keys = keys
        .into_iter()
        .map(|(day, keys)| SettledExposures::Keys { day, keys });
    let all = counts.chain(persons).chain(keys);
    all.map(|of| Event::SettledExposures { brand: id, of })
        .collect()
}

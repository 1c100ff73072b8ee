//! Exposures that become counts: those of devices that only exposures name.
//!
//! An exposure is needed as a record as long as a conversion may come within its window, and a partner may still report the
//! stay that it is. After that, and if nothing else names its device, no number needs to know whose it was: of the exposures
//! of a device in a month remain how many there were of each channel, day and kind, through which channels the touchpoints
//! led, and that it was one member of the panel. A month is settled as a whole, so that its null path and its membership in
//! the panel pass from the person to the numbers undivided. What [`campaign_day`](crate::cell::Family::CampaignDay) counts of
//! persons, and the identifiers that are held, are the only numbers that follow the person out.
//!
//! Left as they are: a device that any other record names, be it a sighting, a link or what remains of them, because
//! attribution, the comparison of the exposed and the unexposed and the rights of that person need its exposures; a record
//! with several identifiers; a month with an exposure that is not admitted, which may be again; and a month with one that
//! is not old enough. Statements of consent and rights name a device without knowing anything of it.

use std::collections::{BTreeMap, BTreeSet};

use super::packed::Part;
use super::{IdSetRecords, PolicyFilter};
use crate::aggregate::Month;
use crate::ask::Reply;
use crate::calendar::month;
use crate::hash_key::HashKey;
use crate::label::{Channel, Label};
use crate::policy::Admission;
use crate::record::{
    Body, BrandId, Day, IdKind, IdSet, Pseudonym, Record, RecordId, RecordKey, TouchKind,
};
use crate::settings::BrandSettings;
use crate::settled_exposures::SettledExposures;

/// The only identifier of a set, if it is a device.
fn only_device(ids: &IdSet) -> Option<Pseudonym> {
    match ids.ids() {
        [id] if id.kind == IdKind::Device => Some(id.pseudonym),
        _ => None,
    }
}

/// Whether no conversion can be within the window of an exposure any more at `now`, Unix milliseconds: sightings of after its
/// window are settled. `None` for any other record.
fn is_due(record: &Record, settings: &BrandSettings, now: i64) -> Option<bool> {
    let Body::Exposure { kind, .. } = record.body else {
        return None;
    };
    let until = record.ts.saturating_add(settings.window(kind));
    Some(until.saturating_add(settings.settle_after) < now)
}

impl IdSetRecords {
    /// The months of which all exposures are due; none if anything but exposures names the device.
    fn due_months(
        &self,
        records: impl Iterator<Item = Record>,
        settings: &BrandSettings,
        now: i64,
    ) -> BTreeSet<Month> {
        let mut months: BTreeMap<Month, bool> = BTreeMap::new();
        for record in records {
            match (is_due(&record, settings, now), &record.body) {
                (Some(is_due), _) => {
                    *months.entry(month(record.day)).or_insert(true) &= is_due;
                }
                (None, Body::Consent { .. } | Body::Right { .. }) => {}
                (None, _) => return BTreeSet::new(),
            }
        }
        let due = months.into_iter().filter(|(_, is_due)| *is_due);
        due.map(|(month, _)| month).collect()
    }
}

/// The exposures of a device in a month.
#[derive(Default)]
struct InMonth {
    keys: BTreeMap<Day, Vec<RecordKey>>,
    contacts: BTreeMap<(Channel, Day, TouchKind), i64>,
    /// Those that are touchpoints, in the order of time.
    touches: BTreeSet<(i64, RecordId, Label, Channel)>,
    /// The channels of the others.
    others: BTreeSet<Channel>,
    in_panel: bool,
}

impl InMonth {
    fn add(&mut self, key: RecordKey, record: &Record, credit: bool, in_panel: bool) {
        let Some((kind, channel, _)) = record.body.contact() else {
            return;
        };
        let Record {
            ts,
            day,
            ref id,
            source,
            ..
        } = *record;
        self.keys.entry(day).or_default().push(key);
        *self.contacts.entry((channel, day, kind)).or_default() += 1;
        self.in_panel |= in_panel;
        match credit {
            true => drop(self.touches.insert((ts, id.clone(), source, channel))),
            false => drop(self.others.insert(channel)),
        }
    }

    /// What remains of them.
    fn remains(self, month: Month) -> Vec<SettledExposures> {
        let mut path: Vec<Channel> = self.touches.into_iter().map(|of| of.3).collect();
        path.dedup();
        let mut reached: Vec<Channel> = self.others.into_iter().collect();
        reached.retain(|channel| !path.contains(channel));
        let persons = SettledExposures::Persons {
            month,
            path,
            reached,
            in_panel: self.in_panel,
            persons: 1,
        };
        let contacts = self.contacts.into_iter();
        let contacts =
            contacts.map(
                |((channel, day, kind), contacts)| SettledExposures::Contacts {
                    channel,
                    day,
                    kind,
                    contacts,
                },
            );
        let keys = self.keys.into_iter().map(|(day, mut keys)| {
            keys.sort_unstable();
            SettledExposures::Keys { day, keys }
        });
        contacts.chain([persons]).chain(keys).collect()
    }
}

impl PolicyFilter {
    /// Appends the devices of a brand on this worker that may have exposures to settle at `now`, Unix milliseconds. Whether
    /// other sets contain the device is not known here.
    pub(super) fn due_devices(&self, brand: BrandId, now: i64, replies: &mut Vec<Reply>) {
        let Some(settings) = self.settings.brands.get(&brand) else {
            return;
        };
        for (key, set) in self.sets.of(&brand) {
            let ids = set.ids(*key);
            let Some(device) = ids.as_ref().and_then(only_device) else {
                continue;
            };
            let records = set.unpacked((brand, *key), Part::WithoutId, &self.numbers);
            let months = set.due_months(records.map(|(_, record)| record), settings, now);
            if !months.is_empty() {
                replies.push(Reply::DueDevice(device));
            }
        }
        replies.sort_unstable();
    }

    /// Appends what remains of the exposures of an identifier set that settle at `now`, Unix milliseconds. The set is the only
    /// one with its device.
    pub(super) fn settle_exposures(
        &self,
        (brand, set): (BrandId, u128),
        now: i64,
        replies: &mut Vec<Reply>,
    ) {
        let Some(settings) = self.settings.brands.get(&brand) else {
            return;
        };
        let key = HashKey::from(set);
        let Some(set) = self.sets.get(&brand, &key) else {
            return;
        };
        let Some(ids) = set.ids(key).filter(|ids| only_device(ids).is_some()) else {
            return;
        };
        let records = set.unpacked((brand, key), Part::Whole, &self.numbers);
        let records: Vec<_> = records.collect();
        let due = set.due_months(records.iter().map(|of| of.1.clone()), settings, now);
        let at = self.links.get(&brand).map_or(i64::MIN, |links| links.at());
        let policy = set.policy(&ids);
        let mut months: BTreeMap<Month, Option<InMonth>> = BTreeMap::new();
        for (key, record) in &records {
            let of = month(record.day);
            if !due.contains(&of) || !matches!(record.body, Body::Exposure { .. }) {
                continue;
            }
            let in_month = months.entry(of).or_insert_with(|| Some(InMonth::default()));
            let in_panel = self.deltas.is_in_panel(brand, record.source);
            match policy.admit(record, settings, at) {
                Ok(Admission { credit, .. }) => {
                    if let Some(in_month) = in_month {
                        in_month.add(*key, record, credit, in_panel);
                    }
                }
                // It counts nowhere, and counts again if it is admitted again.
                Err(_) => *in_month = None,
            }
        }
        for (of, in_month) in months {
            let remains = in_month.map_or_else(Vec::new, |in_month| in_month.remains(of));
            replies.extend(remains.into_iter().map(Reply::SettledExposures));
        }
    }
}

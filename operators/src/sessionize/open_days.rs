//! Open days: the tokens of every store on the salt days that are not closed.
//!
//! Tokens of fixed and of random addresses are kept apart, because each kind has a limit of its own ([`super::tokens`]). A
//! change of the tokens that count is a change of the contributions: a token that is displaced by a smaller one takes its
//! contribution back, and one that moves up adds its own.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::current_settings::CurrentSettings;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::label::Label;
use crate::label_uses::LabelUses;
use crate::matching::{DeviceVisits, StoreDay};
use crate::record::{BrandId, Day, DeviceDay};
use crate::sessionize::contribution::{Contributions, Totals, contribute};
use crate::sessionize::runs::Sighting;
use crate::sessionize::tokens::{Bounds, Tokens, Turn};

/// The tokens of one store and day: those of fixed addresses, then those of random ones.
type Store = [Tokens; 2];

/// A day whose tokens were removed.
pub(super) struct TakenDay {
    pub(super) salt_day: Day,
    /// What its tokens have contributed to the cells.
    pub(super) deltas: DeltaBuffer,
    /// Their visits that may be matched.
    pub(super) visits: Vec<((StoreDay, DeviceVisits), Diff)>,
    pub(super) totals: Totals,
}

/// The tokens of the open days, and their contributions that have changed.
pub(super) struct OpenDays {
    pub(super) settings: CurrentSettings,
    /// The tokens by salt day and store. No day and no store is empty.
    days: BTreeMap<(BrandId, Day), FxHashMap<Label, Store>>,
    /// The stores of open days and of settled totals.
    pub(super) uses: LabelUses,
    /// The changes of contributions since the last [`OpenDays::add_up`].
    contributions: Contributions,
}

impl OpenDays {
    /// No days.
    pub(super) fn new(settings: CurrentSettings) -> OpenDays {
        OpenDays {
            settings,
            days: BTreeMap::new(),
            uses: LabelUses::default(),
            contributions: Contributions::default(),
        }
    }

    /// The number of stores and days with tokens, and of labels in use.
    pub(super) fn len(&self) -> usize {
        self.days.values().map(FxHashMap::len).sum::<usize>() + self.uses.len()
    }

    /// The estimated bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let stores = self.days.values().flat_map(FxHashMap::values);
        stores.flatten().map(Tokens::heap_bytes).sum()
    }

    /// Takes the changes of visits that may be matched.
    pub(super) fn take_visits(&mut self) -> Vec<((StoreDay, DeviceVisits), Diff)> {
        self.contributions.take_visits()
    }

    /// Moves the changes of contributions to the buffer.
    pub(super) fn add_up(&mut self, deltas: &mut DeltaBuffer) {
        self.contributions.add_up(deltas);
    }

    /// The stores of a brand's open days, with their tokens.
    pub(super) fn stores(&self, brand: BrandId) -> impl Iterator<Item = (Day, Label, &Store)> {
        let days = self.days.range((brand, Day::MIN)..=(brand, Day::MAX));
        days.flat_map(|((_, day), stores)| {
            let stores = stores.iter();
            stores.map(|(store, tokens)| (*day, *store, tokens))
        })
    }

    /// Adds the pings of one device in one epoch. Pings that change nothing, and pings of a device beyond the limit, have no
    /// effect.
    pub(super) fn add_sightings(
        &mut self,
        device: DeviceDay,
        is_random: bool,
        sightings: Vec<Sighting>,
    ) {
        let DeviceDay {
            brand,
            store,
            salt_day,
            token,
        } = device;
        let Some(settings) = self.settings.brands.get(&brand) else {
            return;
        };
        let bounds = Bounds::of(settings.max_devices);
        let contributions = &mut self.contributions;
        let day = self.days.entry((brand, salt_day)).or_default();
        let [devices, random] = day.entry(store).or_insert_with(|| {
            self.uses.add(brand, store, 1);
            Store::default()
        });
        let tokens = if is_random { random } else { devices };
        if !tokens.holds(token) {
            match tokens.enter(token, bounds) {
                Turn::Refused => return,
                Turn::Nothing => {}
                Turn::Of(token) => {
                    let other = DeviceDay { token, ..device };
                    if let Some(runs) = tokens.runs(token) {
                        contribute(&other, is_random, runs, settings, -1, contributions);
                    }
                }
            }
        }
        let counts = tokens.counts(token);
        let Some(runs) = tokens.runs_mut(token) else {
            return;
        };
        let mut new = sightings.into_iter().filter(|one| !runs.holds(one));
        let Some(first) = new.next() else {
            return;
        };
        let new: Vec<Sighting> = std::iter::once(first).chain(new).collect();
        if counts {
            contribute(&device, is_random, runs, settings, -1, contributions);
        }
        new.iter().for_each(|one| runs.add(one));
        runs.leave_out_fixture(settings.max_presence);
        if counts {
            contribute(&device, is_random, runs, settings, 1, contributions);
        }
    }

    /// Whether a device exceeds the limit of its store and day and does not count.
    pub(super) fn is_over(&self, device: &DeviceDay, is_random: bool) -> bool {
        let day = self.days.get(&(device.brand, device.salt_day));
        let store = day.and_then(|day| day.get(&device.store));
        let Some([devices, random]) = store else {
            return false;
        };
        let tokens = if is_random { random } else { devices };
        !(tokens.holds(device.token) && tokens.counts(device.token))
    }

    /// Retracts all pings of a device in one store and day. Its token may be of a fixed or of a random address, so both are
    /// searched.
    pub(super) fn drop_device(&mut self, device: &DeviceDay) {
        let DeviceDay {
            brand,
            store,
            salt_day,
            token,
        } = device;
        let Some(settings) = self.settings.brands.get(brand) else {
            return;
        };
        let bounds = Bounds::of(settings.max_devices);
        let contributions = &mut self.contributions;
        let Some(day) = self.days.get_mut(&(*brand, *salt_day)) else {
            return;
        };
        if let Some(stored) = day.get_mut(store) {
            for (is_random, tokens) in [false, true].into_iter().zip(stored.iter_mut()) {
                let counts = tokens.counts(*token);
                let Some((runs, turn)) = tokens.leave(*token, bounds) else {
                    continue;
                };
                if counts {
                    contribute(device, is_random, &runs, settings, -1, contributions);
                }
                if let Turn::Of(token) = turn
                    && let Some(runs) = tokens.runs(token)
                {
                    let other = DeviceDay { token, ..*device };
                    contribute(&other, is_random, runs, settings, 1, contributions);
                }
            }
            if stored.iter().all(Tokens::is_empty) {
                day.remove(store);
                self.uses.add(*brand, *store, -1);
            }
        }
        if day.is_empty() {
            self.days.remove(&(*brand, *salt_day));
        }
    }

    /// Removes the tokens of a brand's days before the given one. Returns the contributions that each of these days has made,
    /// which the cells keep, and their totals.
    pub(super) fn take_days(&mut self, brand: BrandId, before: Day) -> Vec<TakenDay> {
        let mut contributed = Vec::new();
        let mut rest = self.days.split_off(&(brand, Day::MIN));
        let mut later = rest.split_off(&(brand, before));
        self.days.append(&mut later);
        let Some(settings) = self.settings.brands.get(&brand) else {
            return contributed;
        };
        for ((_, salt_day), stores) in rest {
            let mut contributions = Contributions::default();
            let mut totals = Totals::default();
            for (store, tokens) in stores {
                self.uses.add(brand, store, -1);
                for (is_random, tokens) in [false, true].into_iter().zip(tokens) {
                    for (token, runs) in tokens.counted() {
                        let device = DeviceDay {
                            brand,
                            store,
                            salt_day,
                            token,
                        };
                        contribute(&device, is_random, runs, settings, 1, &mut contributions);
                        totals.add(store, is_random, runs, settings);
                    }
                }
            }
            let visits = contributions.take_visits();
            let mut deltas = DeltaBuffer::default();
            contributions.add_up(&mut deltas);
            contributed.push(TakenDay {
                salt_day,
                deltas,
                visits,
                totals,
            });
        }
        contributed
    }
}

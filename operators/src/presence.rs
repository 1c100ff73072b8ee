//! Presence: sensor pings become runs, visits and passers-by.
//!
//! A device is known by its token (see [`crate::salt`]); the same device has unrelated tokens in two stores
//! or on two days, and once the salt is gone nobody can find it again. The stage keeps the seconds at which a
//! token was heard.
//! When some of them change, the runs of that token, store and day are laid out again, so that a late
//! ping reopens and merges what it must.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::ask::{Answer, Asked, Question, Reply};
use crate::engine::{Diff, Epoch, Stage};
use crate::label::Label;
use crate::record::{BrandId, Day, Heard, Token};
use crate::salt::Book;
use crate::settings::{BrandSettings, Settings};
use crate::sums::{CellKey, Sums, Tally};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The longest silence within a run, seconds.
pub const MAX_GAP: i64 = 30 * 60;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Device {
    brand: BrandId,
    store: Label,
    salt_day: Day,
    token: Token,
    random: bool,
}

/// One second at which a token was heard: the offset from UTC, and how strongly.
type Second = (i64, i32, i8);

/// What a token was heard as, a multiset in order.
#[derive(Default)]
struct Seconds {
    heard: BTreeMap<Second, Diff>,
}

/// A run: its first and last second, the offset from UTC at its start, and how many of its seconds
/// are strong enough.
struct Run {
    first: i64,
    last: i64,
    utc_offset: i32,
    strong: u32,
}

impl Seconds {
    fn runs(&self, settings: &BrandSettings) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut seconds = self
            .heard
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(h, _)| *h)
            .peekable();
        while let Some((second, utc_offset, mut rssi)) = seconds.next() {
            // Within a second the strongest counts.
            while let Some(again) = seconds.next_if(|next| next.0 == second) {
                rssi = rssi.max(again.2);
            }
            let strong = u32::from(rssi >= settings.min_rssi);
            match runs.last_mut() {
                Some(run) if second - run.last <= MAX_GAP => {
                    run.last = second;
                    run.strong += strong;
                }
                _ => runs.push(Run {
                    first: second,
                    last: second,
                    utc_offset,
                    strong,
                }),
            }
        }
        runs
    }

    /// What the token contributes to the cells of its store and day.
    fn contribute(&self, device: &Device, settings: &BrandSettings, diff: Diff, tally: &mut Tally) {
        let runs = self.runs(settings);
        let presence: i64 = runs.iter().map(|run| run.last - run.first).sum();
        if presence > settings.max_presence {
            return;
        }
        let who = device.token.0 as u64;
        let mut hours: Vec<CellKey> = Vec::new();
        for run in &runs {
            let local = run.first + i64::from(run.utc_offset);
            let hour = run.first - local.rem_euclid(3600);
            let key = CellKey::Visits {
                brand: device.brand,
                store: device.store,
                hour,
                utc_offset: run.utc_offset,
            };
            if !device.random {
                let dwell = run.last - run.first;
                let sums = if run.strong >= 2 && dwell >= settings.min_dwell {
                    Sums::of(&[1, 0, dwell.into()])
                } else {
                    Sums::of(&[0, 1])
                };
                tally.add(key.clone(), sums.whose(who), diff);
            }
            // A device counts once in an hour, however many of its runs begin there.
            if !hours.contains(&key) {
                let counted = if device.random {
                    [0, 0, 0, 0, 1]
                } else {
                    [0, 0, 0, 1, 0]
                };
                tally.add(key.clone(), Sums::of(&counted).by(1).whose(who), diff);
                hours.push(key);
            }
        }
    }
}

/// What the stage is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PresenceIn {
    /// A token was heard.
    Heard(Heard),
    /// Somebody asks when devices were heard.
    Ask(Asked),
}

/// What the stage says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PresenceOut {
    /// A change of a cell.
    Sum(CellKey, Sums),
    /// An answer.
    Answer(Answer),
}

/// The stage. The seconds of every token.
pub struct Presence {
    settings: Arc<Settings>,
    book: Rc<RefCell<Book>>,
    devices: FxHashMap<Device, Seconds>,
    tally: Tally,
}

impl Presence {
    /// Has heard nothing yet. The salts in the book tell a device that is asked for.
    pub fn new(settings: Arc<Settings>, book: Rc<RefCell<Book>>) -> Presence {
        Presence {
            settings,
            book,
            devices: FxHashMap::default(),
            tally: Tally::default(),
        }
    }
}

impl Presence {
    /// What was heard of devices, in one walk for all who ask.
    fn answer(&self, questions: &[Asked], out: &mut Vec<(PresenceOut, Diff)>) {
        let mut answers = Vec::new();
        // The tokens of the devices in question, of each store and day as they come up.
        let mut tokens: FxHashMap<(BrandId, Label, Day), FxHashMap<Token, Vec<&Asked>>> =
            FxHashMap::default();
        for (device, seconds) in &self.devices {
            let place = (device.brand, device.store, device.salt_day);
            let asked = tokens
                .entry(place)
                .or_insert_with(|| self.tokens(place, questions));
            for asked in asked.get(&device.token).into_iter().flatten() {
                for ((second, utc_offset, rssi), count) in &seconds.heard {
                    let heard = Heard {
                        brand: device.brand,
                        store: device.store,
                        token: device.token,
                        random: device.random,
                        salt_day: device.salt_day,
                        second: *second,
                        utc_offset: *utc_offset,
                        rssi: *rssi,
                    };
                    answers.push(asked.answer(Reply::Heard(heard, *count)));
                }
            }
        }
        answers.sort_unstable();
        out.extend(
            answers
                .into_iter()
                .map(|answer| (PresenceOut::Answer(answer), 1)),
        );
    }

    fn tokens<'a>(
        &self,
        (brand, store, day): (BrandId, Label, Day),
        questions: &'a [Asked],
    ) -> FxHashMap<Token, Vec<&'a Asked>> {
        let mut tokens: FxHashMap<Token, Vec<&Asked>> = FxHashMap::default();
        let book = self.book.borrow();
        for asked in questions {
            let Question::Heard { brand: of, devices } = &asked.question else {
                continue;
            };
            for device in devices.iter().filter(|_| *of == brand) {
                if let Some(token) = book.token(brand, day, store, *device) {
                    tokens.entry(token).or_default().push(asked);
                }
            }
        }
        tokens
    }
}

impl Stage for Presence {
    type In = PresenceIn;
    type Out = PresenceOut;
    const NAME: &'static str = "Presence";

    fn route(update: &PresenceIn) -> u64 {
        match update {
            PresenceIn::Heard(Heard { token, .. }) => token.0 as u64,
            PresenceIn::Ask(asked) => asked.target,
        }
    }

    fn step(
        &mut self,
        _: Epoch,
        updates: Vec<(PresenceIn, Diff)>,
        out: &mut Vec<(PresenceOut, Diff)>,
    ) {
        let mut questions = Vec::new();
        let mut changes: FxHashMap<Device, Vec<(Second, Diff)>> = FxHashMap::default();
        for (update, diff) in updates {
            let heard = match update {
                PresenceIn::Heard(heard) => heard,
                PresenceIn::Ask(asked) => {
                    questions.push(asked);
                    continue;
                }
            };
            let Heard {
                brand,
                store,
                token,
                random,
                salt_day,
                second,
                utc_offset,
                rssi,
            } = heard;
            let device = Device {
                brand,
                store,
                salt_day,
                token,
                random,
            };
            changes
                .entry(device)
                .or_default()
                .push(((second, utc_offset, rssi), diff));
        }
        for (device, changes) in changes {
            let Some(settings) = self.settings.brands.get(usize::from(device.brand.0)) else {
                continue;
            };
            let seconds = self.devices.entry(device).or_default();
            seconds.contribute(&device, settings, -1, &mut self.tally);
            for (second, diff) in changes {
                let count = seconds.heard.entry(second).or_default();
                *count += diff;
                if *count == 0 {
                    seconds.heard.remove(&second);
                }
            }
            seconds.contribute(&device, settings, 1, &mut self.tally);
            if seconds.heard.is_empty() {
                self.devices.remove(&device);
            }
        }
        out.extend(
            self.tally
                .drain()
                .map(|(key, sums)| (PresenceOut::Sum(key, sums), 1)),
        );
        if !questions.is_empty() {
            self.answer(&questions, out);
        }
    }
}

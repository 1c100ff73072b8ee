//! Announces the words of what goes in, and withdraws those that nothing names any more, as a decoder does.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::ask::labels;
use tributary_operators::dataflow::Dataflow;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::BrandId;

/// The labels that nothing named, each with the end of the epoch at which that was so.
pub type Unused = BTreeMap<(BrandId, Label), Epoch>;

/// What one worker announces.
#[derive(Default)]
pub struct Announcer {
    /// All words of a history.
    words: BTreeMap<(BrandId, Label), Arc<str>>,
    /// What it has announced, each with the epoch in which it was used last.
    announced: BTreeMap<(BrandId, Label), Epoch>,
    /// How many words it has withdrawn.
    pub withdrawn: usize,
}

impl Announcer {
    /// Knows the words of a history, and has announced none.
    pub fn new<'e>(events: impl Iterator<Item = &'e Event>) -> Announcer {
        let words = events.filter_map(|event| match event {
            Event::LabelName { brand, label, word } => Some(((*brand, *label), word.clone())),
            _ => None,
        });
        Announcer {
            words: words.collect(),
            announced: BTreeMap::new(),
            withdrawn: 0,
        }
    }

    /// Announces the words of an event before it goes in.
    pub fn announce(&mut self, dataflow: &mut Dataflow, event: &Event, epoch: Epoch) {
        let (brand, labels) = match event {
            Event::Put { record, .. } => (record.brand, labels(record).collect()),
            Event::Ping { ping } => (ping.brand, vec![ping.store]),
            Event::SettledHour { settled } => (settled.brand, vec![settled.store]),
            _ => return,
        };
        for label in labels {
            let of = (brand, label);
            let Some(word) = self.words.get(&of) else {
                continue;
            };
            if OWN_WORDS.contains(&&**word) {
                continue;
            }
            if self.announced.insert(of, epoch).is_none() {
                let word = word.clone();
                dataflow.apply(Event::LabelName { brand, label, word });
            }
        }
    }

    /// Withdraws, at the begin of an epoch, what nothing named at the end of an earlier one.
    pub fn withdraw(&mut self, dataflow: &mut Dataflow, unused: &Unused) {
        for ((brand, label), as_of) in unused {
            let (brand, label) = (*brand, *label);
            match self.announced.get(&(brand, label)) {
                None => {}
                Some(used) if used > as_of => dataflow.recheck_label(brand, label),
                Some(_) => {
                    self.announced.remove(&(brand, label));
                    dataflow.withdraw_label(brand, label);
                    self.withdrawn += 1;
                }
            }
        }
    }
}

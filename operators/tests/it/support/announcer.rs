//! Announces the label names that events use, and withdraws those without uses, as a decoder does.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_operators::ask::labels;
use tributary_operators::dataflow::Dataflow;
use tributary_operators::engine::Epoch;
use tributary_operators::event::Event;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::BrandId;

/// The labels without uses, each with the end of the epoch as of which that was so.
pub type Unused = BTreeMap<(BrandId, Label), Epoch>;

/// The announcements of one worker.
#[derive(Default)]
pub struct Announcer {
    /// The names of all labels of a history.
    words: BTreeMap<(BrandId, Label), Arc<str>>,
    /// The announced labels, each with the epoch of its last use.
    announced: BTreeMap<(BrandId, Label), Epoch>,
    /// The number of withdrawals.
    pub withdrawn: usize,
}

impl Announcer {
    /// An announcer for the names of a history.
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

    /// Announces the names of the labels of an event before it is applied.
    pub fn announce(&mut self, dataflow: &mut Dataflow, event: &Event, epoch: Epoch) {
        let (brand, labels) = match event {
            Event::Put { record, .. } => (record.brand, labels(record).collect()),
            Event::Ping { ping } => (ping.brand, vec![ping.store]),
            Event::SettledHour { settled } => (settled.brand, vec![settled.store]),
            Event::UnmatchedStays { unmatched } => (unmatched.brand, vec![unmatched.store]),
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

    /// Withdraws, at the start of an epoch, the names of labels that were unused at the end of an
    /// earlier one.
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

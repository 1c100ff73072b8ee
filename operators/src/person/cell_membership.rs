//! Cell membership: a person contributes to a cell once, however many of its events count there.
//!
//! The release gate counts persons, not events. So for each cell the number of events is kept with which the person contributes
//! to it, and only the first and the last of them change the number of contributors. A membership that ends and begins again
//! within one epoch is no change. Conversions of open sources are counted apart: by them a person is among the persons of a
//! cell, and not among its contributors.
//!
//! A gate that hides nothing asks only whether a cell has a contributor. For it the events are the contributors of the cells that
//! do not publish a number of persons, and nothing is kept of them.

use crate::aggregate::{Aggregate, CellKey};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::settings::BrandSettings;
use crate::small_map::SmallMap;

/// The number of events by which a person contributes to each cell, by a hash of the cell: of verified events its
/// [`cell_hash`](crate::cell_hash::cell_hash), and of open ones that with all bits inverted.
#[derive(Default)]
pub(super) struct CellRefs(SmallMap<CellHash, u32>);

/// A hash of a cell, without the alignment of a 64-bit number.
type CellHash = [u32; 2];

impl CellRefs {
    /// Whether the person contributes to no cell.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes(|_| 0)
    }

    /// Counts a number of events more, which may be negative. Returns whether there were any before, and whether there are now.
    fn count(&mut self, hash: u64, events: Diff) -> [bool; 2] {
        let hash: CellHash = [(hash >> 32) as u32, hash as u32];
        let before = self.0.get(&hash).copied().unwrap_or(0);
        let now = before.saturating_add_signed(events as i32);
        match now {
            _ if events == 0 => {}
            0 => drop(self.0.remove(&hash)),
            now => drop(self.0.insert(hash, now)),
        }
        [before > 0, now > 0]
    }

    /// What it changes of a cell that the person's events there become more or fewer, verified and open ones: the difference
    /// that is nobody's change, and the one that is the person's, which acts as `act`.
    pub(super) fn change(
        &mut self,
        hash: u64,
        key: &CellKey,
        events: [Diff; 2],
        act: u64,
    ) -> [Aggregate; 2] {
        let [verified, open] = [(hash, events[0]), (!hash, events[1])];
        let verified = self.count(verified.0, verified.1);
        let open = self.count(open.0, open.1);
        let mut changes = [Aggregate::default(); 2];
        let difference = |was: bool, is: bool| i64::from(is) - i64::from(was);
        let any = difference(verified[0] || open[0], verified[1] || open[1]);
        if any != 0 {
            changes[0].add(&person(key), any);
        }
        let of_verified = difference(verified[0], verified[1]);
        if of_verified != 0 {
            let one = Aggregate::default().with_contributors(1).changed_by(act);
            changes[1].add(&one, of_verified);
        }
        changes
    }
}

/// One more person in a cell.
fn person(key: &CellKey) -> Aggregate {
    match key {
        CellKey::StoreDay { .. } | CellKey::OrdersDay { .. } => Aggregate::of(&[0, 0, 1]),
        CellKey::CampaignDay { .. } | CellKey::ScanDay { .. } => Aggregate::of(&[0, 0, 0, 1]),
        CellKey::RedemptionDay { .. } => Aggregate::of(&[0, 1]),
        _ => Aggregate::default(),
    }
}

/// Where the contributions of one person in one epoch go.
pub(super) struct Contributions<'a> {
    pub(super) deltas: &'a mut DeltaBuffer,
    /// The act for [`Aggregate::changed_by`].
    pub(super) act: u64,
    /// Whether null paths have no contributors. Nobody vouches for them with a conversion, so that whoever writes to an open
    /// source can invent them.
    pub(super) null_is_open: bool,
    /// Whether the gate hides nothing. It then asks of a cell only whether it has a contributor, which events tell as well as
    /// persons do.
    hides_nothing: bool,
}

impl<'a> Contributions<'a> {
    /// No contributions yet.
    pub(super) fn new(
        deltas: &'a mut DeltaBuffer,
        act: u64,
        settings: &BrandSettings,
    ) -> Contributions<'a> {
        Contributions {
            deltas,
            act,
            null_is_open: !settings.open_sources.is_empty(),
            hides_nothing: settings.publishes_all(),
        }
    }

    /// Adds `diff` contacts or conversions of the person to a cell, each with the sums. `is_open` says that they are conversions
    /// of an open source.
    pub(super) fn add(&mut self, key: CellKey, sums: Aggregate, is_open: bool, diff: Diff) {
        // The transitions of a chain are not published by themselves and need no contributors; takings of a month name theirs.
        match key {
            CellKey::ConvertingEdge { .. } | CellKey::Taken { .. } | CellKey::Sale { .. } => {
                self.deltas.add(key, sums, diff);
            }
            key if self.hides_nothing && person(&key).is_zero() => {
                let sums = match is_open {
                    true => sums,
                    false => sums.with_contributors(1).changed_by(self.act),
                };
                self.deltas.add(key, sums, diff);
            }
            key => self.deltas.add_events(key, sums, is_open, diff),
        }
    }

    /// Ends the person, with its contributions before the epoch.
    pub(super) fn end(self, refs: &mut CellRefs) {
        let act = self.act;
        self.deltas
            .end_member(|hash, key, events| refs.change(hash, key, events, act));
    }
}

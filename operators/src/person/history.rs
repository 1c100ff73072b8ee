//! The history of one person: touchpoints and conversions, and the changes of an epoch.
//!
//! When something changes, only the conversions whose window contains the change are evaluated again ([`Affected`]): their
//! contributions before the change are retracted, and their contributions after it are added. A person counts once in a cell,
//! so the history also counts in how many of its events the person contributes to each cell ([`CellRefs`]).
//!
//! The order of a change is always the same: retract with the old history, amend the history, add with the new one. Only the
//! difference leaves, because equal contributions cancel out in the [`DeltaBuffer`].

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::aggregate::{Aggregate, CellKey, Month};
use crate::calendar;
use crate::cell::ContributorId;
use crate::delta_buffer::DeltaBuffer;
use crate::engine::{Diff, State};
use crate::facts::{Contact, Conversion, Fact, FactChanges, in_cheap_order, net};
use crate::label_numbers::LabelNumbers;
use crate::person::affected::{Affected, LONGEST_STAY, NEAR_PRESENCE};
use crate::person::cell_membership::{CellRefs, Contributions};
use crate::person::conversions::Conversions;
use crate::person::journey::Journey;
use crate::person::lift::{self, Member};
use crate::person::null::{self, NullPaths, NullSpans, NullUntil};
use crate::person::touches::Touches;
use crate::record::{BrandId, SaleKind};
use crate::routing::{contacts_by, redemption_day, weight};
use crate::settings::BrandSettings;
use crate::small_map::SmallMap;

/// The events of one person, as multisets.
#[derive(Default)]
pub(super) struct History {
    /// The touchpoints that may be credited.
    pub(super) touches: Touches,
    /// The counted sales.
    pub(super) sales: Conversions,
    /// The visits to stores.
    pub(super) visits: Conversions,
    /// The number of sales and visits.
    conversions: u32,
    /// The number of records by which the person is in the panel of each month.
    panel: SmallMap<Month, Diff>,
    /// Whether the person has more identifiers than the size guard allows.
    pub(super) oversized: bool,
    /// The null paths by month, for a person with many touches and an occasional conversion.
    null: Option<Box<NullPaths>>,
    /// The number of contacts or conversions with which the person contributes to each cell, by a hash of the cell.
    cell_refs: CellRefs,
}

/// The changes of one person in one epoch.
#[derive(Default)]
pub(super) struct Changes {
    /// Contacts and conversions.
    pub(super) facts: FactChanges,
    /// 1 if the person became oversized, -1 if it no longer is.
    pub(super) oversized: Diff,
    /// The number of the act that they are part of; the person itself if absent.
    pub(super) act: Option<u64>,
}

/// What changes of the comparison of exposed and unexposed persons.
struct Lift<'a> {
    settings: &'a BrandSettings,
    months: &'a BTreeSet<Month>,
    /// The act that the changes are part of, if a verified source says any of them.
    act: Option<u64>,
}

/// Whether a verified source says a fact.
fn is_vouched(fact: &Fact, settings: &BrandSettings) -> bool {
    match fact {
        Fact::Contact(contact) => settings.is_verified(contact.source),
        Fact::Conversion(conversion) => settings.is_verified(conversion.source),
        Fact::Redemption(redemption) => settings.is_verified(redemption.source),
        Fact::Panel(_) => true,
    }
}

impl State for History {
    fn is_empty(&self) -> bool {
        self.touches.is_empty()
            && self.sales.is_empty()
            && self.visits.is_empty()
            && self.panel.is_empty()
            && self.cell_refs.is_empty()
            && !self.oversized
    }
}

impl History {
    /// The estimated bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.touches.heap_bytes()
            + self.sales.heap_bytes()
            + self.visits.heap_bytes()
            + self.panel.heap_bytes(|_| 0)
            + self.null.as_ref().map_or(0, |_| size_of::<NullPaths>())
            + self.cell_refs.heap_bytes()
    }

    /// How long the touches of the person are null paths: paths without a conversion. Without a ladder all days count at once.
    fn null_spans(&self, settings: &BrandSettings, numbers: &LabelNumbers) -> NullSpans {
        if self.oversized {
            return NullSpans::NEVER;
        }
        let until = |conversions: &Conversions| match conversions.iter(numbers).next() {
            None => NullUntil::Always,
            Some(first) if settings.has_ladder() => NullUntil::Day(first.day),
            Some(_) => NullUntil::Never,
        };
        let sales = until(&self.sales);
        NullSpans {
            sales,
            visits: match settings.counts_visits() {
                true => until(&self.visits),
                false => sales,
            },
        }
    }

    /// Applies the changes of one epoch. `who` is the hash of the person as a contributor, and `numbers` are those of the channels
    /// of all persons. Returns the number of events that were visited.
    pub(super) fn amend(
        &mut self,
        brand: BrandId,
        who: u64,
        settings: &BrandSettings,
        mut changes: Changes,
        numbers: &mut LabelNumbers,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        net(&mut changes.facts);
        let act = changes.act.unwrap_or(who);
        let mut cells = Contributions::new(deltas, act, settings);
        let was_null = self.null_spans(settings, numbers);
        let flips = changes.oversized != 0;
        let affected = Affected::of(
            &changes.facts,
            flips,
            (&self.touches, numbers),
            self.conversions as usize,
            settings,
        );

        let of = (brand, who);
        let mut steps = self.contribute(of, settings, numbers, &affected, -1, &mut cells);
        let mut months = match settings.compares_exposure() {
            true => lift::months_of(&changes.facts),
            false => BTreeSet::new(),
        };
        if settings.compares_exposure() && flips {
            months.extend(self.panel.iter().map(|(month, _)| *month));
        }
        // What open sources say is nobody's act: anybody can invent it.
        let is_vouched = flips
            || changes
                .facts
                .iter()
                .any(|(fact, _)| is_vouched(fact, settings));
        let lift = Lift {
            settings,
            months: &months,
            act: is_vouched.then_some(act),
        };
        steps += self.contribute_lift(of, &lift, -1, numbers, cells.deltas);
        let changed = changes.facts.len() as u64;
        for (fact, diff) in in_cheap_order(changes.facts) {
            match &fact {
                Fact::Conversion(conversion) => {
                    let of_kind = match conversion.kind {
                        SaleKind::Visit => &mut self.visits,
                        SaleKind::Order | SaleKind::Transaction => &mut self.sales,
                    };
                    of_kind.amend(conversion, diff, numbers);
                    self.conversions = self.conversions.wrapping_add_signed(diff as i32);
                }
                Fact::Panel(month) => {
                    let records = self.panel.get(month).copied().unwrap_or_default() + diff;
                    match records {
                        0 => drop(self.panel.remove(month)),
                        _ => drop(self.panel.insert(*month, records)),
                    }
                }
                Fact::Redemption(redemption) => {
                    if settings.counts_passes() {
                        let key = redemption_day(brand, redemption);
                        let one = Aggregate::of(&[1]).changed_by(act);
                        cells.add(key, one, false, diff);
                    }
                }
                Fact::Contact(contact) => {
                    let (channel, day) = (contact.channel, contact.day);
                    if settings.has_ladder() {
                        let who = ContributorId::person(who);
                        let (key, sums) = contacts_by(brand, channel, day, contact.kind, who);
                        cells.deltas.add(key, sums.changed_by(act), diff);
                        if settings.compares_exposure() {
                            let group = lift::ladder_group(brand, calendar::month(day));
                            let reached = CellKey::Reached { group, channel };
                            cells.add(reached, Aggregate::default(), false, diff);
                        }
                    } else {
                        let day = CellKey::CampaignDay {
                            brand,
                            channel,
                            day,
                        };
                        cells.add(day, Aggregate::default(), false, diff);
                    }
                    if contact.touch {
                        self.amend_touch(brand, contact, diff, was_null, numbers, &mut cells);
                    }
                }
            }
        }
        self.oversized = match changes.oversized {
            0 => self.oversized,
            change => change > 0,
        };
        steps += self.contribute(of, settings, numbers, &affected, 1, &mut cells);
        steps += self.contribute_lift(of, &lift, 1, numbers, cells.deltas);
        let is_null = self.null_spans(settings, numbers);
        if was_null != is_null {
            let touches = (&self.touches, &*numbers);
            let null = &mut self.null;
            let change = [was_null, is_null];
            steps += NullPaths::flip(null, touches, brand, change, &mut cells);
        }
        cells.end(&mut self.cell_refs);
        steps + changed
    }

    /// Adds `diff` times the contributions of the affected conversions, as the history is now. Returns the number of events
    /// that were visited.
    fn contribute(
        &self,
        (brand, who): (BrandId, u64),
        settings: &BrandSettings,
        numbers: &LabelNumbers,
        affected: &Affected,
        diff: Diff,
        cells: &mut Contributions<'_>,
    ) -> u64 {
        let visited = Cell::new(0);
        let act = cells.act;
        let sales = affected.among(&self.sales, numbers);
        let visits = affected.among_visits(&self.visits, numbers);
        for conversion in sales.chain(visits) {
            let conversion = &conversion;
            visited.set(visited.get() + 1);
            if conversion.is_stay() && self.is_at_till(conversion, numbers, &visited) {
                self.weigh_nothing(brand, conversion, settings, diff, cells.deltas);
                continue;
            }
            let path = match self.oversized {
                true => Vec::new(),
                false => self.touches.path(conversion, settings, numbers, &visited),
            };
            let journey = Journey {
                brand,
                conversion,
                path,
                oversized: self.oversized,
            };
            let is_open = !settings.is_verified(conversion.source);
            journey.contribute(settings, who, |key, sums| {
                let sums = if is_open { sums } else { sums.changed_by(act) };
                cells.add(key, sums, is_open, diff);
            });
        }
        visited.get()
    }

    /// Adds `diff` times what the person adds to the comparison of the exposed and the unexposed in some months, as the history is
    /// now. Returns the number of touches and visits that were visited.
    fn contribute_lift(
        &self,
        (brand, who): (BrandId, u64),
        lift: &Lift<'_>,
        diff: Diff,
        numbers: &LabelNumbers,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let visited = Cell::new(0);
        let member = Member {
            brand,
            touches: &self.touches,
            numbers,
            visits: &self.visits,
        };
        let in_panel = |of: &&Month| !self.oversized && self.panel.get(of).is_some();
        for of in lift.months.iter().filter(in_panel) {
            let is_at_till = |stay: &Conversion| self.is_at_till(stay, numbers, &visited);
            let looked = match lift.settings.has_ladder() {
                true => member.contribute_row((*of, who), is_at_till, (lift.act, diff), deltas),
                false => member.contribute(*of, is_at_till, diff, deltas),
            };
            visited.set(visited.get() + looked);
        }
        visited.get()
    }

    /// Takes a stay that the till knows out of `visit_match`, which counts stays where nobody knows their persons. A ladder counts the
    /// rows of stays instead, of which it is none.
    fn weigh_nothing(
        &self,
        brand: BrandId,
        stay: &Conversion,
        settings: &BrandSettings,
        diff: Diff,
        deltas: &mut DeltaBuffer,
    ) {
        if !settings.has_ladder() {
            let (store, day) = (stay.store, stay.day);
            let key = CellKey::VisitMatch { brand, store, day };
            deltas.add(key, Aggregate::of(&[0, -1, 0, -weight(stay)]), diff);
        }
    }

    /// Whether a stay is the visit that the scans of the person's pass in the same store already count.
    fn is_at_till(&self, stay: &Conversion, numbers: &LabelNumbers, visited: &Cell<u64>) -> bool {
        let until = stay
            .visit
            .map_or(stay.ts, |of| of.until)
            .saturating_add(NEAR_PRESENCE);
        let from = stay.ts.saturating_sub(NEAR_PRESENCE);
        let begin = from.saturating_sub(LONGEST_STAY);
        let near = self.visits.from(begin, numbers);
        let near = near.take_while(|of| of.ts <= until);
        let mut presences = near
            .inspect(|_| visited.set(visited.get() + 1))
            .filter(|of| !of.is_stay());
        presences.any(|of| of.store == stay.store && of.visit.is_some_and(|of| of.until >= from))
    }

    /// Adds or removes a touch, and if the person has null paths, the change of the one of its month.
    fn amend_touch(
        &mut self,
        brand: BrandId,
        touch: &Contact,
        diff: Diff,
        spans: NullSpans,
        numbers: &mut LabelNumbers,
        cells: &mut Contributions<'_>,
    ) {
        // The neighbors of the touch are found without the touch itself.
        if diff < 0 {
            self.touches.amend(touch, diff, numbers);
        }
        if spans != NullSpans::NEVER || self.null.is_some() {
            let null = &mut self.null;
            null::of_touch((&self.touches, numbers), touch, diff, |part, diff| {
                NullPaths::change(null, brand, spans, (part, diff), cells);
            });
        }
        if diff > 0 {
            self.touches.amend(touch, diff, numbers);
        }
    }
}

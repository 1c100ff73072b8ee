//! Lift: what a person adds to the comparison of those who were exposed to a channel with those who were not.
//!
//! The panel of a month is the persons of whom a partner reports anything in it. A member with a touchpoint of a channel in the
//! month is exposed to it from the first such touchpoint on, and its stays from then on count. What the others do follows from
//! the totals of the panel ([`crate::cells`]), so that a person adds to the channels of its own touchpoints alone. Where a
//! ladder decides what may be compared, a member sends a row ([`PanelRow`]) instead of sums.

use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::{Aggregate, BrandMonth, CellKey, Month, MonthGroup};
use crate::calendar::{first_day, month};
use crate::delta_buffer::DeltaBuffer;
use crate::engine::Diff;
use crate::facts::{Conversion, Fact};
use crate::label::Channel;
use crate::label_numbers::LabelNumbers;
use crate::person::conversions::Conversions;
use crate::person::touches::Touches;
use crate::record::{BrandId, Currency, SaleKind};
use crate::release::PanelRow;
use crate::routing::weight;

/// One day, milliseconds.
const DAY: i64 = 86_400_000;

/// The months in which some changed facts may change what the person adds.
pub(super) fn months_of(facts: &[(Fact, Diff)]) -> BTreeSet<Month> {
    let mut months = BTreeSet::new();
    for (fact, _) in facts {
        match fact {
            Fact::Panel(of) => drop(months.insert(*of)),
            Fact::Contact(contact) if contact.touch => drop(months.insert(month(contact.day))),
            Fact::Conversion(conversion) if conversion.kind == SaleKind::Visit => {
                months.insert(month(conversion.day));
                if !conversion.is_stay() {
                    // A presence changes the stays near it, which may be of another month.
                    months.insert(month(conversion.day.saturating_sub(4)));
                    months.insert(month(conversion.day.saturating_add(4)));
                }
            }
            Fact::Contact(_) | Fact::Conversion(_) | Fact::Redemption(_) => {}
        }
    }
    months
}

/// What is known of a member of a month's panel.
pub(super) struct Member<'a> {
    pub(super) brand: BrandId,
    pub(super) touches: &'a Touches,
    /// The numbers of channels in the touches, and of labels in the visits.
    pub(super) numbers: &'a LabelNumbers,
    pub(super) visits: &'a Conversions,
}

/// What a member did in a month.
struct InMonth {
    /// The first touchpoint of each channel, Unix milliseconds.
    firsts: BTreeMap<Channel, i64>,
    /// Its stays in the order of time.
    stays: Vec<Conversion>,
    /// The number of touches and visits that were visited.
    visited: u64,
}

/// The group of the ladder that compares a month.
pub(super) fn ladder_group(brand: BrandId, month: Month) -> MonthGroup {
    MonthGroup {
        brand,
        month,
        kind: SaleKind::Visit,
        currency: Currency::NONE,
    }
}

impl Member<'_> {
    /// Adds `diff` times what the member adds to a month. `is_at_till` says which stays do not count. Returns the number of touches
    /// and visits that were visited.
    pub(super) fn contribute(
        &self,
        of: Month,
        is_at_till: impl Fn(&Conversion) -> bool,
        diff: Diff,
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let InMonth {
            firsts,
            stays,
            visited,
        } = self.in_month(of, is_at_till);
        let all: i128 = stays.iter().map(weight).sum();
        let group = BrandMonth {
            brand: self.brand,
            month: of,
        };
        let mut add = |channel: Option<Channel>, sums: [i128; 3]| {
            let key = CellKey::LiftBy { group, channel };
            deltas.add(key, Aggregate::of(&sums), diff);
        };
        add(None, [1, 0, all]);
        for (channel, first) in firsts {
            let since = stays.iter().filter(|stay| stay.ts >= first);
            let since: i128 = since.map(weight).sum();
            add(Some(channel), [1, since, all]);
        }
        visited
    }

    /// Adds the row of the member `diff` times, as one contributor's act if any. Returns the number of touches and visits that were
    /// visited.
    pub(super) fn contribute_row(
        &self,
        (of, who): (Month, u64),
        is_at_till: impl Fn(&Conversion) -> bool,
        (act, diff): (Option<u64>, Diff),
        deltas: &mut DeltaBuffer,
    ) -> u64 {
        let InMonth {
            firsts,
            stays,
            visited,
        } = self.in_month(of, is_at_till);
        let before = |first: i64| stays.partition_point(|stay| stay.ts < first) as u32;
        let firsts = firsts.into_iter();
        let group = ladder_group(self.brand, of);
        let row = PanelRow {
            group,
            who,
            exposed: firsts.map(|(of, first)| (of, before(first))).collect(),
            stays: stays.iter().map(|stay| stay.name.0 as u64).collect(),
        };
        let one = Aggregate::of(&[1]);
        let one = act.map_or(one, |act| one.changed_by(act));
        let row = row.into();
        deltas.add(CellKey::PanelBy { group, row }, one, diff);
        visited
    }

    fn in_month(&self, of: Month, is_at_till: impl Fn(&Conversion) -> bool) -> InMonth {
        let mut visited = 0;
        // The time zone of the brand is at most a day ahead or behind.
        let from = i64::from(first_day(of)).saturating_sub(2) * DAY;
        let until = i64::from(first_day(of + 1)).saturating_add(2) * DAY;
        let mut firsts: BTreeMap<Channel, i64> = BTreeMap::new();
        for touch in self.touches.between(from, until, self.numbers) {
            visited += 1;
            if month(touch.day) == of {
                let first = firsts.entry(touch.channel).or_insert(touch.ts);
                *first = touch.ts.min(*first);
            }
        }
        let mut stays: Vec<Conversion> = Vec::new();
        let visits = self.visits.from(from, self.numbers);
        for visit in visits.take_while(|visit| visit.ts < until) {
            visited += 1;
            if visit.is_stay() && month(visit.day) == of && !is_at_till(&visit) {
                stays.push(visit);
            }
        }
        InMonth {
            firsts,
            stays,
            visited,
        }
    }
}

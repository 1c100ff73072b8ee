//! The group of a month's conversions: revenue, attribution, the Markov chain and assists leave together.
//!
//! Each store × day with `k` contributors is published, what is left of a day likewise, and what is left of the month.
//! What is then left *stays out*: no cell of the group counts these conversions, until all of them have `k` contributors
//! together. The models that share a conversion are decided alike, and first. The single-touch models follow them: a cell of
//! theirs is a union of cells of the shared ones, and `unattributed` is published as there.
//!
//! Nothing of revenue and attribution may be left over, so that a month of one day, or one that a single contributor
//! dominates, waits as a whole. The chain and assists are absent where nothing of them can be published.

use std::collections::BTreeSet;

use tributary_operators::label::Channel;
use tributary_operators::record::{Day, SaleKind};

use super::contribution::{Contribution, Journey, Place, Sales};
use super::decide::{decide, decide_among, grain_by_grain, keys};
use super::markov::Chain;
use super::name::Name;
use super::panel::Panel;
use super::pattern::{Ladder, Names, Rest};
use super::take_over::take_over;
use super::threshold::Threshold;
use crate::brand::Brand;
use crate::markov::PathCounts;

/// The pattern of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Names of revenue and of the shared models, which are never the same.
    pub(super) base: Names,
    pub(super) single: Names,
    /// Absent where nothing of the chain is published.
    pub(super) markov: Option<Names>,
    /// Absent where nothing of assists is published.
    pub(super) assists: Option<Names>,
}

/// The conversions that a group counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    pub(super) revenue: Vec<Contribution>,
    pub(super) shared: Vec<Contribution>,
    pub(super) single: Vec<Contribution>,
    pub(super) markov: Chain,
    pub(super) assists: Vec<Contribution>,
    /// The conversions with a touchpoint.
    pub(super) journeys: Vec<Journey>,
}

/// The rests of the month: of sales and visits of passes, and of stays.
const RESTS: [Name; 2] = [Name::Month, Name::StayMonth];

/// Days, each with whether its stays are meant or everything else.
pub(super) type Days = BTreeSet<(Day, bool)>;

/// The days and places whose conversions stay out.
type Outside = BTreeSet<(Day, Place)>;

/// What a group needs to know of its brand and month.
pub(super) struct Context<'a> {
    pub(super) brand: &'a Brand<'a>,
    pub(super) kind: SaleKind,
    /// Percent.
    pub(super) dominance: u64,
    pub(super) null_paths: &'a PathCounts<Channel>,
    /// What is compared of exposed and unexposed persons, once all days of the month are settled.
    pub(super) panel: Option<&'a Panel>,
}

impl Context<'_> {
    /// Revenue: contributors alone.
    pub(super) fn revenue(&self) -> Ladder {
        self.ladder(100, 0)
    }

    /// Everything by channel and month: cells with two contributors outside any one day.
    pub(super) fn channels(&self) -> Ladder {
        self.ladder(self.dominance, 2)
    }

    fn ladder(&self, dominance: u64, outside_a_day: usize) -> Ladder {
        Ladder {
            threshold: Threshold {
                k: self.brand.settings.k,
                dominance,
                outside_a_day,
            },
            rest: Rest::Published,
        }
    }

    fn count(&self, sales: &Sales, outside: &Outside) -> Counted {
        let revenue = within(&sales.revenue, outside);
        let mut journeys = sales.journeys.clone();
        journeys.retain(|of| !outside.contains(&(of.day, of.place.clone())));
        Counted {
            revenue,
            shared: within(&sales.shared, outside),
            single: within(&sales.single, outside),
            markov: Chain::of(self.brand, self.kind, &journeys, self.null_paths),
            assists: within(&sales.assists, outside),
            journeys,
        }
    }

    /// The pattern of a state by itself, and what it counts; none where a part cannot be published.
    pub(super) fn decide(&self, sales: &Sales) -> Option<(Pattern, Counted)> {
        let mut base = self.days(&sales.revenue);
        let outside = self.outside([&base, &base], sales, &[])?;
        let counted = self.count(sales, &outside);
        base.extend(decide(&self.channels(), &counted.shared)?);
        let pattern = Pattern {
            single: self.decide_single(&base, &counted)?,
            markov: self.decide_if_any(&counted.markov.contributions),
            assists: self.decide_if_any(&counted.assists),
            base,
        };
        Some((pattern, counted))
    }

    /// What a restored pattern counts. `rests` are the rests of the month that were published: any other stays out.
    pub(super) fn counted(&self, sales: &Sales, pattern: &Pattern, rests: &Names) -> Counted {
        let ladder = self.revenue();
        let mut cells = ladder.cells(&pattern.base, &sales.revenue);
        cells.retain(|name, _| RESTS.contains(name) && !rests.contains(*name));
        let outside = cells.into_values().flatten();
        let outside = outside.map(|of| (of.day, of.place.clone()));
        self.count(sales, &outside.collect())
    }

    /// The store × days and rests of days that have enough contributors.
    fn days(&self, revenue: &[Contribution]) -> Names {
        let (published, _) = grain_by_grain(&self.revenue(), keys(revenue), |_| true);
        published.into_keys().collect()
    }

    /// What stays out under some names, on the way from others. None where the rest of the month is too small although it
    /// was published, or would come in under the names before: nothing of it stays out again. None, too, where what was
    /// published would join what stays out: a reader who knows what was published would see what was not.
    fn outside(&self, names: [&Names; 2], sales: &Sales, then: &[Contribution]) -> Option<Outside> {
        let mut outside = Outside::new();
        for rest in &RESTS {
            outside.extend(self.outside_of(rest, names, sales, then)?);
        }
        Some(outside)
    }

    /// The same of one rest of the month.
    fn outside_of(
        &self,
        rest: &Name,
        [before, base]: [&Names; 2],
        sales: &Sales,
        then: &[Contribution],
    ) -> Option<Outside> {
        let ladder = self.revenue();
        let rest = |names: &Names, of| ladder.cells(names, of).remove(rest);
        let is_met = |rest: &Vec<&Contribution>| ladder.threshold.is_met(rest);
        let was_published = rest(base, then).is_some();
        let stays_out = rest(before, then).is_none()
            && rest(before, &sales.revenue).is_some_and(|rest| !is_met(&rest));
        if was_published && stays_out {
            return None;
        }
        let rest_now = rest(base, &sales.revenue).filter(|rest| !is_met(rest));
        let Some(rest_now) = rest_now else {
            return Some(Outside::new());
        };
        let comes_in = rest(before, &sales.revenue).is_some_and(|rest| is_met(&rest));
        let places = rest_now.iter().map(|of| (of.day, of.place.clone()));
        (!was_published && !comes_in).then(|| places.collect())
    }

    fn decide_if_any(&self, contributions: &[Contribution]) -> Option<Names> {
        let names = decide(&self.channels(), contributions);
        names.filter(|_| !contributions.is_empty())
    }

    fn decide_single(&self, base: &Names, counted: &Counted) -> Option<Names> {
        let chains = chains([&counted.shared, &counted.single]);
        let mut keys = keys(&counted.single);
        for chain in &chains {
            keys.entry(chain).or_default();
        }
        let ladder = self.channels();
        let mut names: Names = unattributed(base).cloned().collect();
        keys.retain(|chain, set| {
            let is_named = chain.first().is_some_and(|name| names.contains(name));
            let is_safe = ladder.threshold.is_met(set);
            if is_named && !is_safe {
                names.retain(|name| chain.first() != Some(name));
            }
            !(is_named && is_safe)
        });
        // A rest of the month without touchpoints is the same in every model, so that a reader takes it off: what joins it
        // must be safe without it.
        let is_nobody = |chain: &[Name]| chain.first().is_some_and(Name::is_unattributed);
        let mut rest = chains
            .iter()
            .filter(|chain| ladder.place(base, chain) == Some(&Name::Month));
        if rest.all(|chain| is_nobody(chain)) {
            keys.retain(|chain, _| !is_nobody(chain));
        }
        let is_union = |of: &BTreeSet<&[Name]>| {
            let shared = |chain: &[Name]| ladder.place(base, chain).cloned();
            let cells: BTreeSet<_> = of.iter().map(|chain| shared(chain)).collect();
            let all = chains.iter().map(Vec::as_slice);
            let mut parts = all.filter(|chain| cells.contains(&shared(chain)));
            parts.all(|chain| of.contains(chain))
        };
        names.extend(decide_among(&ladder, keys, is_union)?);
        Some(names)
    }

    /// Whether the single-touch models may be published beside the shared ones.
    fn single_stands(&self, single: &Names, base: &Names, counted: &Counted) -> bool {
        let ladder = self.channels();
        let cells = ladder.cells(single, &counted.single);
        let is_as_above = unattributed(base).all(|name| {
            let alone: Vec<_> = counted.single.iter().collect();
            let own = alone
                .into_iter()
                .filter(|of| of.chain.first() == Some(name));
            single.contains(name) || !ladder.threshold.is_met(&own.collect::<Vec<_>>())
        });
        let split = self.split(single, base, counted);
        let is_union = cells.keys().all(|name| !split.contains(*name));
        is_as_above && is_union && ladder.stands(single, &counted.single)
    }

    /// The single-touch cells that are no union of cells of the shared models.
    fn split(&self, single: &Names, base: &Names, counted: &Counted) -> Names {
        let ladder = self.channels();
        let chains = chains([&counted.shared, &counted.single]);
        let places = chains
            .iter()
            .filter_map(|chain| Some((ladder.place(base, chain)?, ladder.place(single, chain)?)));
        let places: BTreeSet<(&Name, &Name)> = places.collect();
        let is_split = |(shared, _): &&(&Name, &Name)| {
            let same = places.iter().filter(|(of, _)| of == shared);
            same.count() > 1
        };
        let split = places.iter().filter(is_split);
        split.map(|(_, name)| (*name).clone()).collect()
    }

    /// The pattern of a day that was never published before, in the revenue.
    pub(super) fn days_of(&self, sales: &Sales, days: &Days) -> Names {
        let mut revenue = sales.revenue.clone();
        revenue.retain(|of| days.contains(&(of.day, of.place.0)));
        self.days(&revenue)
    }

    /// What becomes of the pattern in use on the way to the wanted one; none where the result does not stand now. Both
    /// contain the names of days never published before.
    pub(super) fn advance(
        &self,
        used: &Pattern,
        current: &Pattern,
        wanted: &Pattern,
        then: &Counted,
        sales: &Sales,
        earlier: &[(Pattern, Counted)],
    ) -> Option<(Pattern, Counted)> {
        let k_delta = self.brand.settings.k_delta();
        let revenue_is_kept = |next: &Names| {
            earlier.iter().all(|(old, then)| {
                let states = [&then.revenue[..], &sales.revenue];
                self.revenue()
                    .keeps_earlier([&old.base, next], states, k_delta)
            })
        };
        let channels_are_kept = |of: fn(&Pattern) -> Option<&Names>,
                                 state: fn(&Counted) -> &[Contribution],
                                 next: &Names,
                                 now: &[Contribution]| {
            earlier.iter().all(|(old, then)| {
                let ladder = self.channels();
                let old = of(old);
                old.is_none_or(|old| ladder.keeps_earlier([old, next], [state(then), now], k_delta))
            })
        };
        let by_base = |wanted_base: &Names| -> Option<(Names, Names, Counted)> {
            let base = take_over(current.base.clone(), wanted_base, |next| {
                self.base_stands([&current.base, next], then, sales)
                    && (self.revenue())
                        .keeps_pieces([&used.base, next], [&then.revenue, &sales.revenue])
                    && (self.outside([&current.base, next], sales, &then.revenue)).is_some_and(
                        |outside| {
                            let now = within(&sales.shared, &outside);
                            (self.channels()).keeps_pieces([&used.base, next], [&then.shared, &now])
                                && channels_are_kept(
                                    |of| Some(&of.base),
                                    |of| &of.shared,
                                    next,
                                    &now,
                                )
                        },
                    )
                    && revenue_is_kept(next)
                    && self.revenue().stands(next, &then.revenue)
                    && self.channels().stands(next, &then.shared)
            });
            if !self.base_stands([&current.base, &base], then, sales) {
                return None;
            }
            let outside = self.outside([&current.base, &base], sales, &then.revenue)?;
            let counted = self.count(sales, &outside);

            // What follows from the shared models alone is done at once, and judged with everything else.
            let follow = |names: &Names| {
                let mut names = names.clone();
                names.retain(|name| !name.is_unattributed());
                names.extend(unattributed(&base).cloned());
                names
            };
            let mut single = follow(&current.single);
            for state in [then, &counted] {
                let split = self.split(&single, &base, state);
                single.retain(|name| !split.contains(name));
            }
            let pieces = [&then.single[..], &counted.single];
            let is_allowed = |next: &Names| {
                self.single_stands(next, &base, then)
                    && self.single_stands(next, &base, &counted)
                    && self.channels().keeps_pieces([&used.single, next], pieces)
                    && channels_are_kept(
                        |of| Some(&of.single),
                        |of| &of.single,
                        next,
                        &counted.single,
                    )
            };
            let single = take_over(single, &follow(&wanted.single), is_allowed);
            let is_kept = self
                .channels()
                .keeps_pieces([&used.single, &single], pieces)
                && channels_are_kept(
                    |of| Some(&of.single),
                    |of| &of.single,
                    &single,
                    &counted.single,
                );
            let stands = [then, &counted].map(|state| self.single_stands(&single, &base, state));
            (is_kept && stands == [true; 2]).then_some((base, single, counted))
        };
        // Where the single-touch models cannot follow the shared ones, those stay as they were.
        let moved = by_base(&wanted.base).or_else(|| by_base(&current.base));
        let (base, single, counted) = moved?;

        type Part = (
            fn(&Pattern) -> Option<&Names>,
            fn(&Counted) -> &[Contribution],
        );
        let months: [Part; 2] = [
            (|of| of.markov.as_ref(), |of| &of.markov.contributions),
            (|of| of.assists.as_ref(), |of| &of.assists),
        ];
        let mut names = Vec::new();
        for (names_of, state_of) in months {
            let (then, now) = (state_of(then), state_of(&counted));
            let Some(used) = names_of(used) else {
                names.push(self.decide_if_any(now));
                continue;
            };
            let ladder = self.channels();
            let wanted = names_of(wanted).unwrap_or(used);
            let taken = take_over(used.clone(), wanted, |next| {
                ladder.stands(next, then)
                    && ladder.stands(next, now)
                    && ladder.keeps_pieces([used, next], [then, now])
                    && channels_are_kept(names_of, state_of, next, now)
            });
            if !ladder.stands(&taken, now) {
                return None;
            }
            names.push(Some(taken));
        }
        let assists = names.pop().flatten();
        let markov = names.pop().flatten();
        let pattern = Pattern {
            base,
            single,
            markov,
            assists,
        };
        Some((pattern, counted))
    }

    fn base_stands(&self, names: [&Names; 2], then: &Counted, sales: &Sales) -> bool {
        let Some(outside) = self.outside(names, sales, &then.revenue) else {
            return false;
        };
        let [_, base] = names;
        self.revenue()
            .stands(base, &within(&sales.revenue, &outside))
            && self
                .channels()
                .stands(base, &within(&sales.shared, &outside))
    }

    /// The names of a pattern that count anything.
    pub(super) fn prune(&self, pattern: Pattern, counted: &Counted) -> Pattern {
        let (revenue, channels) = (self.revenue(), self.channels());
        let mut base = revenue.used(&pattern.base, &counted.revenue);
        base.extend(channels.used(&pattern.base, &counted.shared));
        let used = |names: Option<Names>, of: &[Contribution]| {
            let names = names.filter(|_| !of.is_empty());
            names.map(|names| channels.used(&names, of))
        };
        Pattern {
            base,
            single: channels.used(&pattern.single, &counted.single),
            markov: used(pattern.markov, &counted.markov.contributions),
            assists: used(pattern.assists, &counted.assists),
        }
    }
}

fn within(contributions: &[Contribution], outside: &Outside) -> Vec<Contribution> {
    let all = contributions.iter();
    let within = all.filter(|of| !outside.contains(&(of.day, of.place.clone())));
    within.cloned().collect()
}

/// The chains of names that occur.
fn chains(states: [&[Contribution]; 2]) -> BTreeSet<Vec<Name>> {
    let all = states.into_iter().flatten();
    all.map(|of| of.chain.clone()).collect()
}

/// What a pattern publishes of conversions that are credited to nothing, under their own name.
fn unattributed(names: &Names) -> impl Iterator<Item = &Name> {
    names.iter().filter(|name| name.is_unattributed())
}

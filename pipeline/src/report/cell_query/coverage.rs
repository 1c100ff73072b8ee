//! The share that a row covers of what may belong to it.
//!
//! What the release gate cannot publish under a name of its own is published
//! together with others: as the rest of a source and medium (`google/cpc/*`), of
//! a source, of a month, or of all stores. A part of such a cell may belong to a
//! row that names a channel or a store, so the row covers its own amount out of
//! its own and all of those. The share is a lower bound, in tenths, rounded down
//! like [`released_share`](crate::report::released_share), and 10 if nothing else
//! can belong to the row. It measures absolute amounts of money, or of the first
//! value of a family without money.
//!
//! A contribution is counted in the finest published cell that covers it
//! ([`tributary_operators::release`]). If a month publishes a channel by itself,
//! or the rest of its source, the rest of the month holds nothing of the channel
//! ([`finer`]): the rests of the months in which it has no name make its share
//! smaller, and those of the others do not.
//!
//! It is unknown for families whose cells have no published total, because what
//! the gate holds back of them is in no cell, and for rows that are a rest
//! themselves.

use tributary_operators::cell::{Dim, Dimension, Family, Threshold, Unit};
use tributary_operators::release::REST;

use crate::report::metrics::label::OTHER;

/// What is known of a family's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Every cell is published.
    All,
    /// Cells add up to a published total, so that what has no name of its own is in
    /// a rest.
    Total,
    /// Neither: what is hidden is in no cell.
    Nothing,
}

/// What is known of a family's share; `hides` is whether `release.k` is above 1.
pub(super) fn known(family: Family, hides: bool) -> Known {
    match family {
        _ if !hides || family.row().threshold == Threshold::Nobody => Known::All,
        Family::Attribution | Family::StoreDay | Family::OrdersDay | Family::MarkovMonth => {
            Known::Total
        }
        _ => Known::Nothing,
    }
}

/// Position of the value that shares measure.
pub(super) fn measure(family: Family) -> usize {
    let units = family.row().units;
    let money = units.iter().position(|unit| *unit == Unit::Minor);
    money.unwrap_or(0)
}

/// Whether a dimension is given up, so that it may be any of its names.
pub(super) fn is_open(family: Family, of: Dimension, dim: &Dim) -> bool {
    match (of, dim) {
        // Credits by month are those of all stores.
        (Dimension::Store, Dim::Text(_)) if family == Family::Attribution => false,
        (_, Dim::Text(text)) => **text == *REST,
        // The rest of a month among the days of a total.
        (Dimension::Day, Dim::Month(_)) => family.row().is_total,
        _ => false,
    }
}

/// The keys of the rests that may hold a part of a row: those with one or more of
/// its names given up. The gate gives names up in an order, a campaign before its
/// medium and a medium before its source.
pub(super) fn rests_above(family: Family, columns: &[Dimension], dims: &[Dim]) -> Vec<Vec<Dim>> {
    let at = |of: Dimension| columns.iter().position(|column| *column == of);
    let mut keys = vec![dims.to_vec()];
    let mut widen = |change: &dyn Fn(&mut Vec<Dim>) -> bool| {
        let wider: Vec<Vec<Dim>> = keys
            .iter()
            .filter_map(|key| {
                let mut key = key.clone();
                change(&mut key).then_some(key)
            })
            .collect();
        keys.extend(wider);
    };
    let give_up = |key: &mut Vec<Dim>, of: Dimension| {
        let place = at(of).and_then(|at| key.get_mut(at));
        match place {
            Some(place) if !is_open(family, of, place) => {
                *place = Dim::Text(REST.into());
                true
            }
            _ => false,
        }
    };
    for of in [Dimension::Campaign, Dimension::Medium, Dimension::Source] {
        widen(&|key| give_up(key, of));
    }
    if family != Family::Attribution {
        widen(&|key| give_up(key, Dimension::Store));
    }
    if family.row().is_total {
        widen(&|key| {
            let place = at(Dimension::Day).and_then(|at| key.get_mut(at));
            match place {
                Some(place) => match place {
                    Dim::Day(day) => {
                        *place = Dim::Month(tributary_operators::calendar::month(*day));
                        true
                    }
                    _ => false,
                },
                None => false,
            }
        });
    }
    keys.remove(0);
    // With the finest ladder, what a day hides is one channel `other`.
    if family == Family::Attribution && at(Dimension::Source).is_some() {
        let other = columns.iter().zip(dims).map(|(of, dim)| match of {
            Dimension::Source => Dim::Text(OTHER.into()),
            Dimension::Medium | Dimension::Campaign => Dim::Null,
            _ => dim.clone(),
        });
        let other: Vec<Dim> = other.collect();
        if other != dims {
            keys.push(other);
        }
    }
    keys
}

/// Whether a cell is a rest, of which a part may belong to rows with other names.
pub(super) fn is_rest(family: Family, dims: &[Dim]) -> bool {
    let own = family.row().dimensions;
    let mut named = own.iter().zip(dims);
    named.any(|(of, dim)| {
        is_open(family, *of, dim)
            || *of == Dimension::Source && matches!(dim, Dim::Text(text) if **text == *OTHER)
    })
}

/// The cells that would count all that a rest could hold of a row, because they
/// cover it and are finer than the rest. `named` has the names that all of the row
/// has. If one of them is published, the rest holds nothing of the row.
pub(super) fn finer(family: Family, named: &[(Dimension, Dim)], rest: &[Dim]) -> Vec<Vec<Dim>> {
    let own = family.row().dimensions;
    let at = |of: Dimension| own.iter().position(|own| *own == of);
    let name = |of: Dimension| named.iter().find(|(own, _)| *own == of).map(|(_, dim)| dim);
    let with = |changes: &[(Dimension, Dim)]| {
        let mut dims = rest.to_vec();
        for (of, dim) in changes {
            if let Some(place) = at(*of).and_then(|at| dims.get_mut(at)) {
                *place = dim.clone();
            }
        }
        dims
    };
    let of_rest = |of: Dimension| at(of).and_then(|at| rest.get(at));
    let given_up = Dim::Text(REST.into());
    let channel = [Dimension::Source, Dimension::Medium, Dimension::Campaign];
    if at(Dimension::Source).is_some() {
        let known: Vec<&Dim> = (channel.iter())
            .map_while(|of| name(*of).filter(|dim| **dim != given_up))
            .collect();
        let grain = channel
            .iter()
            .take_while(|of| of_rest(**of) != Some(&given_up));
        let is_other =
            matches!(of_rest(Dimension::Source), Some(Dim::Text(text)) if **text == *OTHER);
        // What a day hides is in `other`, whatever its source and medium.
        let first = match is_other {
            true => channel.len(),
            false => grain.count() + 1,
        };
        let grains = first..=known.len();
        return grains
            .map(|grain| {
                let names = channel.iter().enumerate().map(|(at, of)| {
                    let dim = known.get(at).filter(|_| at < grain);
                    (*of, dim.map_or(given_up.clone(), |dim| (*dim).clone()))
                });
                with(&names.collect::<Vec<_>>())
            })
            .collect();
    }
    let day = match (of_rest(Dimension::Day), name(Dimension::Day)) {
        (Some(day @ Dim::Day(_)), _) | (_, Some(day @ Dim::Day(_))) => day.clone(),
        _ => return Vec::new(),
    };
    let mut finer = Vec::new();
    if matches!(of_rest(Dimension::Day), Some(Dim::Month(_))) {
        finer.push(with(&[
            (Dimension::Day, day.clone()),
            (Dimension::Store, given_up),
        ]));
    }
    let store = name(Dimension::Store).filter(|store| !is_open(family, Dimension::Store, store));
    if let (Some(_), Some(store)) = (at(Dimension::Store), store) {
        finer.push(with(&[
            (Dimension::Day, day),
            (Dimension::Store, store.clone()),
        ]));
    }
    finer
}

/// Tenths of `own` in `own` and `others`, rounded down; `None` for nothing at all.
pub(super) fn tenths(own: i128, others: i128) -> Option<u8> {
    let all = own.saturating_add(others);
    let tenths = own.saturating_mul(10).checked_div(all)?;
    u8::try_from(tenths).ok()
}

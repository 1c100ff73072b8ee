//! What exposures that became counts add to the cells.
//!
//! It is what the persons added before, with two exceptions. `campaign_day` loses the persons, in its value and behind the
//! release gate: the contacts of nobody are counted in a cell that others make safe, and make no cell safe, so that a cell may
//! be hidden by settling and never becomes visible by it. And null paths have no contributors any more where a gate hides
//! cells. Members of a panel stay members: none of them has a visit, and only such are counted by the rule that compares.

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use crate::aggregate::{Aggregate, BrandMonth, CellKey, Lacks, Month, TrafficMonth};
use crate::calendar::{first_day, month};
use crate::cell::Traffic;
use crate::engine::Diff;
use crate::label::Channel;
use crate::person::journey::transitions;
use crate::person::lift::ladder_group;
use crate::record::BrandId;
use crate::release::PanelRow;
use crate::routing::count_contact;
use crate::settings::BrandSettings;
use crate::settled_exposures::SettledExposures;

/// A change of an aggregate, and how often it applies.
type Sum = (CellKey, Aggregate, Diff);

/// The changes of aggregates by a part.
pub(super) fn sums(brand: BrandId, settings: &BrandSettings, of: &SettledExposures) -> Vec<Sum> {
    match of {
        SettledExposures::Contacts {
            channel,
            day,
            kind,
            contacts,
        } => {
            let (channel, day) = (*channel, *day);
            let key = match settings.has_ladder() {
                true => CellKey::SettledContacts {
                    group: TrafficMonth {
                        brand,
                        month: month(day),
                        traffic: Traffic::Contacts,
                    },
                    channel,
                    day,
                },
                false => CellKey::CampaignDay {
                    brand,
                    channel,
                    day,
                },
            };
            // A gate that hides no traffic asks only whether a cell has a contributor.
            let contributors = i64::from(settings.k_traffic <= 1);
            let sums = count_contact(*kind).with_contributors(contributors);
            vec![(key, sums, *contacts)]
        }
        SettledExposures::Persons {
            month,
            path,
            reached,
            in_panel,
            persons,
        } => {
            let mut sums = null_path((brand, *month), path, settings);
            if settings.compares_exposure() {
                let channels = [path, reached];
                sums.extend(comparison((brand, *month), channels, *in_panel, settings));
            }
            sums.into_iter()
                .map(|(key, sums)| (key, sums, *persons))
                .collect()
        }
        SettledExposures::Keys { .. } => Vec::new(),
    }
}

/// The null path of a person in a month.
fn null_path(
    (brand, month): (BrandId, Month),
    path: &[Channel],
    settings: &BrandSettings,
) -> Vec<(CellKey, Aggregate)> {
    if path.is_empty() {
        return Vec::new();
    }
    let lacks = Lacks::Both;
    // All days of a path that settles are over.
    let day = first_day(month);
    let edges = transitions(path.iter().copied()).map(|(from, to)| {
        let key = CellKey::NullEdge {
            brand,
            month,
            lacks,
            from,
            to,
            day,
        };
        (key, Aggregate::of(&[1]))
    });
    let is_counted = settings.publishes_all() && settings.open_sources.is_empty();
    let channels: BTreeSet<Channel> = path.iter().copied().collect();
    let reach = channels.into_iter().filter(|_| is_counted).map(|channel| {
        let key = CellKey::NullReach {
            brand,
            month,
            lacks,
            channel,
        };
        (key, Aggregate::default().with_contributors(1))
    });
    edges.chain(reach).collect()
}

/// What a person without a visit adds to the comparison of the exposed and the unexposed in a month.
fn comparison(
    (brand, month): (BrandId, Month),
    [path, reached]: [&Vec<Channel>; 2],
    in_panel: bool,
    settings: &BrandSettings,
) -> Vec<(CellKey, Aggregate)> {
    let exposed: BTreeSet<Channel> = path.iter().copied().collect();
    let one = Aggregate::of(&[1]);
    if !settings.has_ladder() {
        let group = BrandMonth { brand, month };
        let channels = exposed.into_iter().map(Some);
        let all = channels.chain([None]).filter(|_| in_panel);
        let key = |channel| CellKey::LiftBy { group, channel };
        return all.map(|channel| (key(channel), one)).collect();
    }
    let group = ladder_group(brand, month);
    let row = PanelRow {
        group,
        who: rustc_hash::FxBuildHasher.hash_one((&exposed, month)),
        exposed: exposed.iter().map(|channel| (*channel, 0)).collect(),
        stays: [].into(),
    };
    let member = CellKey::PanelBy {
        group,
        row: row.into(),
    };
    let all: BTreeSet<Channel> = exposed.into_iter().chain(reached.iter().copied()).collect();
    let reached = all.into_iter().map(|channel| {
        let key = CellKey::Reached { group, channel };
        (key, Aggregate::default().with_contributors(1))
    });
    let member = in_panel.then_some((member, one));
    reached.chain(member).collect()
}

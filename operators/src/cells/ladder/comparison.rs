//! The cells of exposed and unexposed persons (`visit_lift`) of a month: the panel and the stays as the rule of
//! [`crate::release::exposure`] takes them.
//!
//! What else a month publishes of its stays is what a reader may compare them with: the cells of revenue, the credits under
//! every model, and, by the Markov model, how many have a touchpoint. Paths and assists are published in multiples of `k` and
//! tell no difference. If any stay of the month is in none of its cells, nothing is compared.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::aggregate::Month;
use crate::attribution::Model;
use crate::calendar::first_day;
use crate::cell::{Dim, Family};
use crate::cells::ladder::naming::{Naming, cell_name};
use crate::cells::ladder::panel_rows::PanelRows;
use crate::cells::ladder::published::{CellId, Published};
use crate::cells::ladder::rows::{channel_name, place_of};
use crate::label::Channel;
use crate::record::Day;
use crate::release::exposure::{Compared, Member, Panel, Part, Stay};
use crate::release::pattern::cell_of;
use crate::release::weight::Rule;
use crate::release::{CellName, ChannelName, Pattern, RevenueKind, RevenueName, SaleRow};
use crate::settings::BrandSettings;

/// The divisions beside those of the models.
const REVENUE: u32 = 0;
const TOUCHED: u32 = 1;
const MODELS: u32 = 2;

/// Numbers for cells, by division.
#[derive(Default)]
struct Cells {
    revenue: BTreeMap<RevenueName, u32>,
    credits: FxHashMap<(bool, Channel), Option<u32>>,
    names: BTreeMap<CellName, u32>,
}

impl Cells {
    /// The cell of a channel, which each model numbers alike.
    fn of_channel(
        &mut self,
        channel: Channel,
        is_shared: bool,
        naming: &Naming<'_>,
        pattern: &Pattern,
    ) -> Option<u32> {
        let names = &mut self.names;
        *self.credits.entry((is_shared, channel)).or_insert_with(|| {
            let of = match is_shared {
                true => &pattern.shared,
                false => &pattern.single,
            };
            let name = cell_of(of, &channel_name(channel, naming.words))?;
            let next = names.len() as u32;
            Some(*names.entry(name).or_insert(next))
        })
    }
}

/// Whether all days of a month are settled when `through` is the last finished day: before, those who were exposed last would
/// have no visits yet.
pub(super) fn is_settled(settings: &BrandSettings, of: Month, through: Day) -> bool {
    let last = first_day(of.saturating_add(1)).saturating_sub(1);
    through >= last.saturating_add(settings.settles_in())
}

/// The channels that may be compared beside the cells of a pattern. `used` are those that were compared before.
pub(super) fn compare(
    naming: &Naming<'_>,
    rule: &Rule,
    pattern: &Pattern,
    rows: &[(SaleRow, i64)],
    of: &PanelRows,
    used: &BTreeSet<ChannelName>,
) -> Compared {
    let Some((stays, places)) = stays(naming, rule, pattern, rows) else {
        return Compared::new();
    };
    let mut numbers: BTreeMap<Channel, usize> = BTreeMap::new();
    let mut panel = Panel {
        stays,
        ..Panel::default()
    };
    for row in of.members() {
        // A stay without a row is in no published number.
        let known = row.stays.iter().map(|stay| places.get(stay).copied());
        let known: Vec<Option<usize>> = known.collect();
        let exposed = row.exposed.iter().map(|(channel, before)| {
            let number = *numbers.entry(*channel).or_insert_with(|| {
                panel.channels.push(channel_name(*channel, naming.words));
                panel.reached.push(of.reached(*channel));
                panel.channels.len() - 1
            });
            let before = known.iter().take(*before as usize).flatten();
            (number, before.count())
        });
        let exposed = exposed.collect();
        let stays = known.iter().flatten().copied().collect();
        panel.members.push(Member { stays, exposed });
    }
    rule.compare(&panel, used)
}

/// The stays of some rows, and their places by sale; `None` if any of them is in no published cell.
fn stays(
    naming: &Naming<'_>,
    rule: &Rule,
    pattern: &Pattern,
    rows: &[(SaleRow, i64)],
) -> Option<(Vec<Stay>, FxHashMap<u64, usize>)> {
    let mut cells = Cells::default();
    let mut stays = Vec::new();
    let mut places = FxHashMap::default();
    let of_stays = rows
        .iter()
        .filter(|(row, _)| row.revenue_kind() == RevenueKind::Stay);
    for (row, count) in of_stays {
        let revenue = pattern.revenue_of(row.day, &place_of(row, naming.words))?;
        let weight = i128::from(row.millionths()) * i128::from(*count);
        let next = cells.revenue.len() as u32;
        let cell = *cells.revenue.entry(revenue).or_insert(next);
        let part = |division, cell, amount| Part {
            division,
            cell,
            amount,
        };
        let mut parts = vec![
            part(REVENUE, cell, weight),
            part(TOUCHED, u32::from(row.path.is_empty()), weight),
        ];
        for credit in row.credits.iter() {
            let is_shared = rule.shared.contains(&credit.model);
            let of = cells.of_channel(credit.channel, is_shared, naming, pattern);
            let model = Model::ALL.iter().position(|of| *of == credit.model);
            if let Some((cell, model)) = of.zip(model)
                && credit.millionths != 0
            {
                let amount = i128::from(credit.millionths) * i128::from(*count);
                parts.push(part(MODELS + model as u32, cell, amount));
            }
        }
        places.insert(row.sale, stays.len());
        stays.push(Stay {
            who: row.who,
            is_vouched: row.is_vouched,
            day: row.day,
            weight,
            parts,
        });
    }
    Some((stays, places))
}

/// The channel that a cell compares.
pub(super) fn compared_channel((family, dims): &CellId) -> Option<ChannelName> {
    match (family, &dims[..]) {
        (Family::VisitLift, [_, _, source, medium, campaign]) => {
            match cell_name([source, medium, campaign]) {
                CellName::Channel(name) => Some(name),
                _ => None,
            }
        }
        _ => None,
    }
}

impl Naming<'_> {
    /// The cells of compared channels.
    pub(super) fn comparison(&self, compared: Compared) -> Published {
        let cell = |(name, values): (ChannelName, [i128; 4])| -> (CellId, Vec<i128>) {
            let mut dims = vec![self.brand(), Dim::Month(self.group.month)];
            let name = CellName::Channel(name);
            dims.extend(super::naming::name_dims(&name));
            ((Family::VisitLift, dims), values.into())
        };
        compared.into_iter().map(cell).collect()
    }
}

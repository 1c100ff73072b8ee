//! The comparison of exposed and unexposed persons beside everything else that is published of the same stays.
//!
//! A reader knows which stays are told apart by what: which published cells lie within those of a channel's exposed or unexposed
//! persons, and which cells hold them, because a campaign began on a day or reached one town. He takes one number off the
//! other. Another reader knows none of it and has linear combinations of the numbers alone, over all fields, empty or not.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::attribution::Model;
use tributary_operators::attribution::credit::credits;
use tributary_operators::attribution::path::Touch;
use tributary_operators::label::Channel;
use tributary_operators::record::Day;
use tributary_operators::release::exposure::{Compared, Member, Panel, Part, Stay};
use tributary_operators::release::pattern::{Pattern, cell_of};
use tributary_operators::release::revenue_names::RevenueName;
use tributary_operators::release::table::{ChannelName, Credit, Place, RevenueKind, Sale, Table};
use tributary_operators::release::weight::Rule;
use tributary_operators::settings::BrandSettings;

use crate::ladder_attacks::linear::{Space, element};
use crate::ladder_attacks::program::{People, find_small_sum};
use crate::ladder_attacks::{Shrink, none_fails, seeds};

const CHANNELS: [&str; 3] = ["autumn", "posters", "radio"];
const STORES: [&str; 2] = ["north", "south"];
const HOUR: i64 = 3_600_000;

/// A person of whom a partner may report something.
#[derive(Clone, Debug)]
struct Someone {
    is_member: bool,
    /// Time in hours of the month, which may be of the month before, and channel.
    touches: Vec<(i64, usize)>,
    /// Time in hours of the month, store and millionths.
    stays: Vec<(i64, usize, i128)>,
}

/// A month.
#[derive(Clone)]
struct World {
    k: u64,
    channels: usize,
    people: Vec<Someone>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "k {}, {} channels", self.k, self.channels)?;
        self.people
            .iter()
            .try_for_each(|one| writeln!(f, "{one:?}"))
    }
}

impl Shrink for World {
    fn smaller(&self) -> Vec<World> {
        let without = |at: usize| {
            let mut world = self.clone();
            world.people.remove(at);
            world
        };
        (0..self.people.len()).map(without).collect()
    }
}

impl World {
    fn random(seed: u64) -> World {
        let rng = &mut StdRng::seed_from_u64(seed);
        let channels = rng.random_range(1..=CHANNELS.len());
        // A channel begins at some time, and may be seen by those alone who saw another.
        let begins: Vec<i64> = (0..channels).map(|_| rng.random_range(-48..40)).collect();
        let is_nested = rng.random_bool(0.3);
        let days = rng.random_range(2..=4);
        let chance = [0.5, 0.8][rng.random_range(0..2)];
        let mut people = Vec::new();
        for _ in 0..rng.random_range(8..=40) {
            let mut touches = Vec::new();
            for (channel, begin) in begins.iter().enumerate() {
                let may_see = !is_nested || channel == 0 || !touches.is_empty();
                if may_see && rng.random_bool(chance) {
                    touches.push((rng.random_range(*begin..24 * days), channel));
                }
            }
            touches.sort_unstable();
            let stays = (0..rng.random_range(0..=2_u32)).map(|_| {
                let weight = [1_000_000, 500_000, 333_333][rng.random_range(0..3)];
                (
                    rng.random_range(0..24 * days),
                    rng.random_range(0..2),
                    weight,
                )
            });
            let mut stays: Vec<(i64, usize, i128)> = stays.collect();
            stays.sort_unstable();
            people.push(Someone {
                is_member: rng.random_bool(0.95),
                touches,
                stays,
            });
        }
        World {
            k: rng.random_range(2..=4),
            channels,
            people,
        }
    }

    fn rule(&self) -> Rule {
        Rule::new(self.k, 80)
    }

    /// The stays as the release rule gets them, and what is published of them beside the comparison.
    fn published(&self) -> (Table, Pattern) {
        let mut table = Table {
            channels: (self.names().into_iter())
                .chain([ChannelName::of("unattributed", "", "")])
                .collect(),
            places: STORES
                .iter()
                .map(|store| Place {
                    kind: RevenueKind::Stay,
                    store: Some((*store).into()),
                })
                .collect(),
            sales: Vec::new(),
        };
        let settings = BrandSettings::default();
        for (who, one) in (0..).zip(&self.people) {
            for (hour, store, weight) in &one.stays {
                let path = one.touches.iter().filter(|(at, _)| at <= hour);
                let path = path.map(|(at, channel)| Touch {
                    ts: at * HOUR,
                    channel: Channel::of(CHANNELS[*channel], "cpc", ""),
                });
                let path: Vec<Touch> = path.collect();
                let of = |channel: Channel| {
                    let mut known = CHANNELS.iter();
                    known.position(|name| Channel::of(name, "cpc", "") == channel)
                };
                let credit = |model, channel: usize, millionths| Credit {
                    model,
                    channel: channel as u32,
                    millionths,
                    value: millionths,
                };
                let credits = match path.is_empty() {
                    true => Model::ALL
                        .map(|model| credit(model, self.channels, *weight))
                        .into(),
                    false => credits(&path, *weight, 0, &settings)
                        .into_iter()
                        .map(|of_one| {
                            let channel = of(of_one.channel).expect("a channel of the world");
                            credit(of_one.model, channel, of_one.millionths)
                        })
                        .collect(),
                };
                table.sales.push(Sale {
                    who,
                    is_vouched: true,
                    place: *store as u32,
                    day: hour.div_euclid(24) as Day,
                    conversions: 1,
                    value: *weight,
                    credits,
                });
            }
        }
        let pattern = self.rule().decide(&table);
        (table, pattern)
    }

    fn names(&self) -> Vec<ChannelName> {
        let names = CHANNELS.iter().take(self.channels);
        names.map(|name| ChannelName::of(name, "cpc", "")).collect()
    }

    /// The month with the published cells; `None` if a stay is in none of them.
    fn panel(&self) -> Option<Panel> {
        let (table, pattern) = self.published();
        let rule = self.rule();
        let mut revenue: Vec<RevenueName> = Vec::new();
        let mut stays = Vec::new();
        for sale in &table.sales {
            let name = pattern.revenue_of(sale.day, &table.place(sale))?;
            let at = revenue.iter().position(|of| *of == name);
            let cell = at.unwrap_or_else(|| {
                revenue.push(name);
                revenue.len() - 1
            });
            let mut parts = vec![Part {
                division: 0,
                cell: cell as u32,
                amount: sale.value,
            }];
            for credit in sale.credits.iter().filter(|credit| credit.value > 0) {
                let names = match rule.shared.contains(&credit.model) {
                    true => &pattern.shared,
                    false => &pattern.single,
                };
                let channel = &table.channels[credit.channel as usize];
                let cell = cell_of(names, channel).expect("a cell for every credit");
                let cells: Vec<_> = names.iter().collect();
                let model = Model::ALL.iter().position(|of| *of == credit.model);
                parts.push(Part {
                    division: 1 + model.unwrap() as u32,
                    cell: cells.iter().position(|of| **of == cell).unwrap() as u32,
                    amount: credit.value,
                });
            }
            stays.push(Stay {
                who: sale.who,
                is_vouched: true,
                day: sale.day,
                weight: sale.value,
                parts,
            });
        }
        let mut panel = Panel {
            channels: self.names(),
            reached: vec![0; self.channels],
            members: Vec::new(),
            stays,
        };
        let mut next = 0;
        for one in &self.people {
            let own: Vec<usize> = (next..next + one.stays.len()).collect();
            next += own.len();
            let mut firsts: BTreeMap<usize, i64> = BTreeMap::new();
            for (at, channel) in one.touches.iter().filter(|(at, _)| *at >= 0) {
                firsts.entry(*channel).or_insert(*at);
            }
            for channel in firsts.keys() {
                panel.reached[*channel] += 1;
            }
            if one.is_member {
                let before = |first: i64| one.stays.iter().filter(|(at, ..)| *at < first).count();
                let firsts = firsts.into_iter();
                panel.members.push(Member {
                    stays: own,
                    exposed: firsts.map(|(of, first)| (of, before(first))).collect(),
                });
            }
        }
        Some(panel)
    }
}

/// The three parts into which a channel divides the stays: the side of each.
fn sides(panel: &Panel, channel: usize) -> Vec<u32> {
    let mut sides = vec![1; panel.stays.len()];
    for member in &panel.members {
        let first = member.exposed.iter().find(|(of, _)| *of == channel);
        for (at, stay) in member.stays.iter().enumerate() {
            sides[*stay] = match first {
                None => 2,
                Some((_, before)) => u32::from(at < *before),
            };
        }
    }
    sides
}

/// What is compared without regard to anything else: each number by itself is of enough persons.
fn compared_by_itself(world: &World, panel: &Panel) -> Compared {
    let mut compared = Compared::new();
    for (channel, name) in panel.channels.iter().enumerate() {
        let sides = sides(panel, channel);
        let is_large = |side: u32| {
            let stays = panel.stays.iter().zip(&sides);
            let who = stays
                .filter(|(_, of)| **of == side)
                .map(|(stay, _)| stay.who);
            who.collect::<BTreeSet<_>>().len() as u64 >= world.k
        };
        if is_large(0) && is_large(2) {
            compared.insert(name.clone(), [0; 4]);
        }
    }
    compared
}

/// Each part of a stay that a division tells apart: the stay and the cell.
type Pieces = Vec<(usize, u32)>;

/// What the reader finds who takes one number off another, of which he knows that one holds the other.
fn take_off(world: &World, panel: &Panel, compared: &Compared) -> Option<String> {
    let channels: Vec<usize> = (0..panel.channels.len())
        .filter(|at| compared.contains_key(&panel.channels[*at]))
        .collect();
    let divisions = panel.stays.iter().flat_map(|stay| &stay.parts);
    let divisions: BTreeSet<u32> = divisions.map(|part| part.division).collect();
    for channel in &channels {
        let own = sides(panel, *channel);
        let mut others: Vec<Pieces> = Vec::new();
        for division in &divisions {
            let pieces = panel.stays.iter().enumerate().flat_map(|(at, stay)| {
                let parts = stay.parts.iter().filter(|part| part.division == *division);
                parts.map(move |part| (at, part.cell))
            });
            others.push(pieces.collect());
        }
        others.push((0..panel.stays.len()).map(|at| (at, 0)).collect());
        for other in channels.iter().filter(|other| *other != channel) {
            others.push(sides(panel, *other).into_iter().enumerate().collect());
        }
        for pieces in &others {
            let cells: BTreeSet<u32> = pieces.iter().map(|(_, cell)| *cell).collect();
            let cells: Vec<u32> = cells.into_iter().collect();
            // All unions of cells, and all unions of the three.
            for union in 0_u32..1 << cells.len().min(16) {
                let in_union = |cell: u32| {
                    cells
                        .iter()
                        .position(|of| *of == cell)
                        .is_some_and(|at| union >> at & 1 == 1)
                };
                for of_three in 1_u32..7 {
                    let in_three = |stay: usize| of_three >> own[stay] & 1 == 1;
                    let only = |is: [bool; 2]| -> BTreeSet<u64> {
                        let of = pieces
                            .iter()
                            .filter(|(stay, cell)| [in_three(*stay), in_union(*cell)] == is);
                        of.map(|(stay, _)| panel.stays[*stay].who).collect()
                    };
                    let (three, union) = (only([true, false]), only([false, true]));
                    let few = |of: &BTreeSet<u64>| (1..world.k).contains(&(of.len() as u64));
                    if three.is_empty() && few(&union) || union.is_empty() && few(&three) {
                        return Some(format!(
                            "{} shows {union:?} or {three:?}",
                            panel.channels[*channel].source.as_deref().unwrap_or("")
                        ));
                    }
                }
            }
        }
    }
    None
}

/// A field of a month: its revenue cell, its channel by `last`, and the sides of the compared channels.
type Field = (u32, u32, Vec<u32>);

/// A sum of few that linear combinations of the numbers determine, whatever fields are empty, or if `knows_empty` only over those that
/// are not.
fn combine(world: &World, panel: &Panel, compared: &Compared, knows_empty: bool) -> Option<String> {
    let channels: Vec<usize> = (0..panel.channels.len())
        .filter(|at| compared.contains_key(&panel.channels[*at]))
        .collect();
    if channels.is_empty() {
        return None;
    }
    let last = 1 + Model::ALL.iter().position(|of| *of == Model::Last).unwrap() as u32;
    let sides: Vec<Vec<u32>> = channels
        .iter()
        .map(|channel| sides(panel, *channel))
        .collect();
    let mut people: BTreeMap<Field, People> = BTreeMap::new();
    let cell = |stay: &Stay, division| {
        stay.parts
            .iter()
            .find(|of| of.division == division)
            .map_or(0, |of| of.cell)
    };
    for (at, stay) in panel.stays.iter().enumerate() {
        let field = (
            cell(stay, 0),
            cell(stay, last),
            sides.iter().map(|of| of[at]).collect(),
        );
        *people.entry(field).or_default() |= 1 << stay.who;
    }
    if !knows_empty {
        let [revenue, credits]: [BTreeSet<u32>; 2] = [0, last].map(|division| {
            panel
                .stays
                .iter()
                .map(|stay| cell(stay, division))
                .collect()
        });
        // One store and day, so that there are few enough fields.
        let total: BTreeSet<u32> = [0].into();
        let revenue = if channels.len() > 2 { &total } else { &revenue };
        if revenue == &total {
            let all = std::mem::take(&mut people).into_iter();
            for ((_, credit, sides), who) in all {
                *people.entry((0, credit, sides)).or_default() |= who;
            }
        }
        for revenue in revenue {
            for credit in &credits {
                for mut state in 0..3_u32.pow(channels.len() as u32) {
                    let sides = channels.iter().map(|_| {
                        let side = state % 3;
                        state /= 3;
                        side
                    });
                    people
                        .entry((*revenue, *credit, sides.collect()))
                        .or_default();
                }
            }
        }
    }
    let fields: Vec<(Field, People)> = people.into_iter().collect();
    let mut known: BTreeMap<(usize, u32), Vec<u64>> = BTreeMap::new();
    for (at, ((revenue, credit, sides), _)) in fields.iter().enumerate() {
        let sides = (2..).zip(sides).filter(|(_, side)| **side != 1);
        let numbers = [(0, *revenue), (1, *credit)].into_iter();
        for number in numbers.chain(sides.map(|(of, side)| (of, *side))) {
            let vector = known
                .entry(number)
                .or_insert_with(|| vec![element(0); fields.len()]);
            vector[at] = element(1);
        }
    }
    let space = Space::spanned_by(known.into_values());
    let of_fields: Vec<People> = fields.iter().map(|(_, people)| *people).collect();
    let found = find_small_sum(&space, &of_fields, world.k)?;
    let found: Vec<_> = found.into_iter().map(|at| &fields[at]).collect();
    Some(format!("a sum is determined: {found:?}"))
}

/// How many of some worlds are compared, and in how many a reader finds something.
fn count(
    worlds: u64,
    compare: impl Fn(&World, &Panel) -> Compared,
    attack: impl Fn(&World, &Panel, &Compared) -> Option<String>,
) -> [usize; 2] {
    let worlds = (0..worlds).map(World::random);
    let panels = worlds.filter_map(|world| Some((world.panel()?, world)));
    let compared = panels.map(|(panel, world)| (compare(&world, &panel), panel, world));
    let compared: Vec<_> = compared.filter(|(of, ..)| !of.is_empty()).collect();
    let found = compared
        .iter()
        .filter(|(of, panel, world)| attack(world, panel, of).is_some());
    [compared.len(), found.count()]
}

fn by_the_rule(world: &World, panel: &Panel) -> Compared {
    world.rule().compare(panel, &BTreeSet::new())
}

#[test]
fn no_difference_to_a_comparison_shows_few() {
    let compares = Cell::new(0);
    none_fails(seeds(200), World::random, |_, world| {
        let panel = world.panel()?;
        let compared = by_the_rule(world, &panel);
        compares.set(compares.get() + usize::from(!compared.is_empty()));
        take_off(world, &panel, &compared).or_else(|| combine(world, &panel, &compared, false))
    });
    let compares = compares.get();
    println!("{compares} worlds are compared");
    assert!(compares > 10, "{compares} worlds are compared");
}

#[test]
fn without_the_rule_differences_to_a_comparison_show_few() {
    let [compared, found] = count(60, compared_by_itself, take_off);
    println!("{found} of {compared} worlds show something by differences");
    assert!(found > 0);
    let attack = |world: &World, panel: &Panel, of: &Compared| combine(world, panel, of, false);
    let [compared, found] = count(60, compared_by_itself, attack);
    println!("{found} of {compared} worlds show something by combinations");
    assert!(found > 0);
}

#[test]
fn knowing_what_is_empty_rarely_shows_few_beside_a_comparison() {
    let attack = |world: &World, panel: &Panel, of: &Compared| combine(world, panel, of, true);
    let [compared, with] = count(200, by_the_rule, attack);
    let [all, without] = count(200, compared_by_itself, attack);
    println!("{with} of {compared} worlds with the rule, {without} of {all} without it");
    assert!(with * all < without * compared.max(1));
}

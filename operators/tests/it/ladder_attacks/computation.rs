//! One publication: which fields, and which sums of few, its numbers determine.

use std::collections::BTreeMap;

use tributary_operators::attribution::Model;
use tributary_operators::attribution::credit::CONVERSION;
use tributary_operators::release::pattern::Pattern;
use tributary_operators::release::revenue_names::{RevenueName, RevenueNames};
use tributary_operators::release::table::{Place, RevenueKind};
use tributary_operators::release::values::PublishedValues;
use tributary_operators::release::weight::Rule;

use crate::ladder_attacks::program::find_small_sum;
use crate::ladder_attacks::simplex::Polytope;
use crate::ladder_attacks::system::{Field, Names, Reader, Row, Sum, System};
use crate::ladder_attacks::worlds::World;
use crate::ladder_attacks::{none_fails, seeds};

const READERS: [Reader; 2] = [Reader::AnyPath, Reader::ShortPaths];

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// Only single fields.
    Fields,
    /// Also sums and bounds.
    All,
}

/// The names that a world is published under.
fn published(world: &World) -> Names {
    let rule = world.rule();
    Names::of(&rule, &rule.decide(&world.table()))
}

/// The same without what is published joining what is left.
fn published_without_joining(world: &World) -> Names {
    let rule = Rule {
        joins: false,
        ..world.rule()
    };
    Names::of(&rule, &rule.decide(&world.table()))
}

/// The same with each model deciding alone.
fn published_by_each_model(world: &World) -> Names {
    let mut names = Names {
        revenue: RevenueNames::default(),
        credits: BTreeMap::new(),
    };
    for model in &world.models {
        let rule = Rule {
            shared: vec![*model],
            single: Vec::new(),
            ..world.rule()
        };
        let pattern = rule.decide(&world.table());
        names.credits.insert(*model, pattern.shared);
        names.revenue.extend(pattern.revenue.iter().cloned());
    }
    names
}

/// What is published if the stays of a store are no place of their own when cells are decided, and yet have cells of their own.
fn published_with_stays_among_sales(world: &World) -> Names {
    let rule = world.rule();
    let mut table = world.table();
    let kinds = table.places.iter_mut().map(|place| &mut place.kind);
    kinds.for_each(|kind| *kind = RevenueKind::Sale);
    let mut names = Names::of(&rule, &rule.decide(&table));
    let of_stays = names.revenue.iter().map(|name| match name {
        RevenueName::StoreDay(day, place) => {
            let kind = RevenueKind::Stay;
            let store = place.store.clone();
            RevenueName::StoreDay(*day, Place { kind, store })
        }
        RevenueName::Day(day, _) => RevenueName::Day(*day, RevenueKind::Stay),
        RevenueName::Month(_) => RevenueName::Month(RevenueKind::Stay),
    });
    let of_stays: Vec<RevenueName> = of_stays.collect();
    names.revenue.extend(of_stays);
    names
}

/// The cell of revenue of a row.
fn revenue_of(world: &World, names: &Names, (day, store): Row) -> Option<RevenueName> {
    names.revenue.cell_of(day, &world.place(store))
}

/// What a reader of one publication finds out that he must not.
fn attack(world: &World, names: &Names, effort: Effort) -> Option<String> {
    READERS.into_iter().find_map(|reader| {
        let rows = world.rows();
        let rows = rows.filter(|row| revenue_of(world, names, *row).is_some());
        let system = System::new(world, reader, rows);
        let known = system.known(names);
        let found = find_sum(&system, &known, world, effort);
        let found = found.or_else(|| match effort {
            Effort::Fields => None,
            Effort::All => find_bounds(world, names, reader),
        });
        found.map(|found| format!("{reader:?}: {found}\n{names:?}"))
    })
}

/// A field, or a sum of fields of one model or of `first` and `last`, that is determined and behind which fewer than `k` contributors
/// stand.
fn find_sum(system: &System, known: &[Sum], world: &World, effort: Effort) -> Option<String> {
    let determined = system.determined(known);
    let find = |models: &[Model]| {
        let fields = system.fields.iter();
        let fields = fields.filter(|field| models.contains(&field.model));
        let fields: Vec<&Field> = fields.collect();
        let sums = system.determined_sums(&determined, &fields);
        let is_few = |at: &usize| (1..world.k).contains(&fields[*at].people.count_ones().into());
        if let Some(at) = sums.unit_coordinates().find(is_few) {
            return Some(format!("a field is determined: {:?}", fields[at]));
        }
        if effort == Effort::Fields {
            return None;
        }
        let people: Vec<_> = fields.iter().map(|field| field.people).collect();
        let sum = find_small_sum(&sums, &people, world.k)?;
        let sum: Vec<&&Field> = sum.iter().map(|at| &fields[*at]).collect();
        Some(format!("a sum is determined: {sum:?}"))
    };
    let models: Vec<Model> = world.models.iter().copied().collect();
    let found = models.iter().find_map(|model| find(&[*model]));
    found.or_else(|| match effort {
        Effort::Fields => None,
        // `position` gives to the ends what it takes from the middle.
        Effort::All => find(&[Model::First, Model::Last]),
    })
}

/// A field behind which few stand and that lies, as nothing is negative, between bounds of less than half a conversion.
///
/// Rows that are published only together are one here: whatever is possible for it is possible with all of it in any of
/// its rows, so that a field of one of several rows can always be zero.
fn find_bounds(world: &World, names: &Names, reader: Reader) -> Option<String> {
    let mut rows: BTreeMap<RevenueName, Vec<Row>> = BTreeMap::new();
    for row in world.rows() {
        if let Some(cell) = revenue_of(world, names, row) {
            rows.entry(cell).or_default().push(row);
        }
    }
    let mut merged = world.clone();
    merged.purchases.retain_mut(|purchase| {
        let row = (purchase.day, purchase.store);
        let of = rows.values().find(|rows| rows.contains(&row));
        of.inspect(|rows| (purchase.day, purchase.store) = rows[0])
            .is_some()
    });
    let system = System::new(&merged, reader, rows.values().map(|rows| rows[0]));
    let few = System::new(world, reader, rows.values().flatten().copied());
    let few = few.fields.iter();
    let few = few.filter(|field| (1..world.k).contains(&field.people.count_ones().into()));
    let few: Vec<(Row, usize, Model)> = few
        .map(|field| (field.row, field.channel, field.model))
        .collect();
    let mut polytope = Polytope::of(system.truth.len(), system.equations(&system.known(names)));
    for field in &system.fields {
        let rows = rows.values().find(|rows| rows[0] == field.row)?;
        let is_of = |(row, channel, model): &(Row, usize, Model)| {
            rows.contains(row) && (*channel, *model) == (field.channel, field.model)
        };
        if !few.iter().any(is_of) {
            continue;
        }
        let function = system.function(field);
        let actual: i128 = function
            .iter()
            .map(|(at, times)| times * system.truth[*at])
            .sum();
        // Of a cell with less than a conversion half of it is as much.
        let whole = cell_of_field(&system, names, field).min(CONVERSION);
        let half = i128::from(system.denominator) * whole / 2;
        // From the truth it is far enough to one side, or to both together.
        let mut bound = |sign: i128, enough: i128| {
            let function: Vec<_> = function
                .iter()
                .map(|(at, times)| (*at, sign * times))
                .collect();
            let value = |polytope: &Polytope| {
                let (value, denominator) = polytope.value(&function);
                (value, denominator)
            };
            polytope.maximize(&function, |polytope| {
                let (value, denominator) = value(polytope);
                value >= enough * denominator
            });
            let (value, denominator) = value(&polytope);
            sign * value / denominator
        };
        let least = if rows.len() > 1 {
            0
        } else {
            bound(-1, half - actual)
        };
        if actual - least >= half {
            continue;
        }
        let most = bound(1, least + half);
        if most - least < half {
            return Some(format!(
                "a field lies between {least} and {most} (whole: {}): {field:?}",
                2 * half
            ));
        }
    }
    None
}

/// What the published cell of a field comes to, in millionths.
fn cell_of_field(system: &System, names: &Names, field: &Field) -> i128 {
    let cell = |of: &Field| system.cell(names, of);
    let fields = system
        .fields
        .iter()
        .filter(|of| of.model == field.model && cell(of) == cell(field));
    let sums = fields.map(|of| {
        let function = system.function(of).into_iter();
        function
            .map(|(at, times)| times * system.truth[at])
            .sum::<i128>()
    });
    sums.sum::<i128>() / i128::from(system.denominator)
}

fn effort(seed: u64) -> Effort {
    match seed % 3 {
        0 => Effort::All,
        _ => Effort::Fields,
    }
}

#[test]
fn no_field_and_no_sum_of_few_is_determined() {
    none_fails(seeds(100), World::random, |seed, world| {
        attack(world, &published(world), effort(seed))
    });
}

/// How many worlds a reader finds something in.
fn count(worlds: u64, publish: impl Fn(&World) -> Names) -> usize {
    let found = (0..worlds).filter(|seed| {
        let world = World::random(*seed);
        attack(&world, &publish(&world), effort(*seed)).is_some()
    });
    found.count()
}

#[test]
fn without_joining_something_is_determined() {
    assert!(count(60, published_without_joining) > 0);
}

#[test]
fn with_stays_decided_among_sales_something_is_determined() {
    assert!(count(60, published_with_stays_among_sales) > 0);
}

#[test]
fn with_each_model_deciding_alone_something_is_determined() {
    assert!(count(60, published_by_each_model) > 0);
}

#[test]
fn knowing_what_is_empty_rarely_determines_a_field() {
    let worlds = seeds(300);
    let all = worlds.end - worlds.start;
    let shown = worlds.filter(|seed| {
        let world = World::random(*seed);
        let names = published(&world);
        let rows = world.rows();
        let rows = rows.filter(|row| revenue_of(&world, &names, *row).is_some());
        let system = System::new(&world, Reader::AnyPath, rows);
        let mut known = system.known(&names);
        known.extend(system.zeros());
        find_sum(&system, &known, &world, Effort::Fields).is_some()
    });
    let shown = shown.count() as u64;
    println!("{shown} of {all} worlds show a field to who knows which are empty");
    // Nobody promises anything against him; a rule that fails here often leaves too little open.
    assert!(shown * 100 <= all, "{shown} of {all}");
}

/// The published numbers by plain addition, with the contributors behind each and the most that one of them holds.
fn add_up(world: &World, names: &Names) -> BTreeMap<String, ([i128; 2], BTreeMap<u64, i128>)> {
    use tributary_operators::release::pattern::cell_of;
    let channels = world.table().channels;
    let mut cells: BTreeMap<String, ([i128; 2], BTreeMap<u64, i128>)> = BTreeMap::new();
    for purchase in &world.purchases {
        let row = (purchase.day, purchase.store);
        let Some(revenue) = revenue_of(world, names, row) else {
            continue;
        };
        let mut add = |cell: String, count: i128, value: i128| {
            let (sums, people) = cells.entry(cell).or_default();
            sums[0] += count;
            sums[1] += value;
            if purchase.is_vouched {
                *people.entry(purchase.who).or_default() += value;
            }
        };
        add(format!("{revenue:?}"), 1, purchase.value);
        for (model, channel, millionths, value) in world.credits(purchase) {
            let cell = cell_of(&names.credits[&model], &channels[channel]);
            // Nothing that is counted in the revenue is missing among the credits.
            let cell = cell.expect("a cell for every credit");
            add(format!("{:?}", (model, cell)), millionths, value);
        }
    }
    cells
}

#[test]
fn published_cells_are_safe_and_add_up() {
    let mut published = 0;
    for seed in seeds(300) {
        let world = World::random(seed);
        let (rule, table) = (world.rule(), world.table());
        let pattern = rule.decide(&table);
        assert!(
            pattern == Pattern::default() || rule.stands(&pattern, &table),
            "seed {seed}"
        );
        published += u64::from(pattern != Pattern::default());
        let cells = add_up(&world, &Names::of(&rule, &pattern));
        for (cell, (_, people)) in &cells {
            let most = people.values().max().copied().unwrap_or(0);
            let all: i128 = people.values().sum();
            assert!(people.len() as u64 >= world.k, "seed {seed}: {cell}");
            // Revenue is published by contributors alone.
            let is_revenue = !cell.starts_with('(');
            assert!(is_revenue || most * 100 <= all * 80, "seed {seed}: {cell}");
        }
        let PublishedValues { revenue, credits } = rule.values(&pattern, &table);
        let revenue = revenue.iter().map(|(of, sums)| (format!("{of:?}"), *sums));
        let credits = credits.iter().map(|(of, sums)| (format!("{of:?}"), *sums));
        let published_cells: BTreeMap<String, [i128; 2]> = revenue.chain(credits).collect();
        let expected = cells.into_iter().map(|(cell, (sums, _))| (cell, sums));
        assert_eq!(published_cells, expected.collect(), "seed {seed}");
    }
    let worlds = seeds(300);
    println!("{published} of {worlds:?} publish something");
    assert!(
        published * 2 > worlds.end - worlds.start,
        "{published} of {worlds:?}"
    );
}

//! The engine against a naive version that reads every cell of a list, over random cells and queries.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tributary_operators::calendar::{first_day, month};
use tributary_operators::cell::{Cell, Dim, Dimension, Family, NO_VALUE, Unit};
use tributary_operators::record::Day;

use super::*;
use crate::report::published_cells::PublishedCells;

/// 2025-10-26.
const TODAY: Day = 20_387;

fn text(word: &str) -> Dim {
    match word {
        "" => Dim::Null,
        word => Dim::Text(word.into()),
    }
}

/// A random dimension: few values, so that groups have several cells.
fn random_dim(rng: &mut ChaCha8Rng, family: Family, of: Dimension) -> Dim {
    let mut pick = |words: &[&str]| text(words[rng.random_range(0..words.len())]);
    match of {
        Dimension::Brand => text("acme"),
        Dimension::Model => pick(&["linear", "last"]),
        Dimension::Source => pick(&["google", "bing", "*", "other"]),
        Dimension::Medium => pick(&["cpc", "", "*"]),
        Dimension::Campaign => pick(&["fall", "", "*"]),
        Dimension::Platform => pick(&["meta"]),
        Dimension::Kind => pick(&["order", "transaction"]),
        Dimension::Store => pick(&["lyon", "nice", "*", ""]),
        Dimension::Currency => pick(&["EUR", "JPY"]),
        Dimension::Day if family != Family::SpendDay && rng.random_bool(0.3) => {
            Dim::Month(month(TODAY) - rng.random_range(0..3))
        }
        Dimension::Day => Dim::Day(TODAY - rng.random_range(0..70)),
        Dimension::Month => Dim::Month(month(TODAY) - rng.random_range(0..3)),
        Dimension::Hour => Dim::Hour(
            i64::from(TODAY - rng.random_range(0..3)) * 86_400 + rng.random_range(0..24) * 3600,
            7200,
        ),
        Dimension::Touches | Dimension::Days => Dim::Count(rng.random_range(0..3)),
        Dimension::Path => Dim::Path(vec![[Some("a".into()), None, None]]),
    }
}

fn random_cells(rng: &mut ChaCha8Rng, family: Family) -> (PublishedCells, Vec<Cell>) {
    let mut by_dims = BTreeMap::new();
    for _ in 0..rng.random_range(0..60) {
        let dims = family.row().dimensions.iter();
        let dims: Vec<Dim> = dims.map(|of| random_dim(rng, family, *of)).collect();
        let values = family
            .values()
            .iter()
            .map(|_| match rng.random_range(0..20) {
                0 => NO_VALUE,
                _ => rng.random_range(-50..500),
            });
        let values = values.collect();
        let cell = Cell {
            family,
            dims: dims.clone(),
            values,
        };
        by_dims.insert(dims, cell);
    }
    let list: Vec<Cell> = by_dims.into_values().collect();
    let mut cells = PublishedCells::default();
    for cell in &list {
        cells.apply(cell);
    }
    (cells, list)
}

fn random_query(rng: &mut ChaCha8Rng, family: Family) -> CellQuery {
    let known = words::groups(family);
    let mut some = |chance: f64| -> Vec<Dimension> {
        let known = known.iter().copied();
        known.filter(|_| rng.random_bool(chance)).collect()
    };
    let (grouped, filtered) = (some(0.4), some(0.15));
    let group_by = rng.random_bool(0.8).then_some(grouped);
    let filters = filtered.into_iter().map(|of| {
        let wanted = (0..rng.random_range(1..3)).map(|_| {
            let own = family.row().dimensions.contains(&of);
            let dim = match of {
                Dimension::Day if !own => Dim::Day(TODAY - rng.random_range(0..3)),
                Dimension::Month => Dim::Month(month(TODAY) - rng.random_range(0..3)),
                of => random_dim(rng, family, of),
            };
            Wanted::Is(dim)
        });
        let wanted = wanted.collect();
        (of, wanted)
    });
    let filters = filters.collect();
    let from = rng.random_bool(0.5).then(|| match rng.random_bool(0.5) {
        true => first_day(month(TODAY) - rng.random_range(0..3)),
        false => TODAY - rng.random_range(0..70),
    });
    let to = rng
        .random_bool(0.5)
        .then(|| TODAY - rng.random_range(0..30));
    let mut query = CellQuery {
        family,
        from,
        to: to.filter(|to| from.is_none_or(|from| from <= *to)),
        filters,
        group_by,
        sort: None,
        limit: MOST_ROWS,
        after: None,
        compare: false,
        format: Format::Json,
    };
    let (columns, values) = (query.columns().len(), family.values().len());
    query.sort = rng.random_bool(0.6).then(|| Sort {
        by: match columns > 0 && rng.random_bool(0.5) {
            true => SortKey::Column(rng.random_range(0..columns)),
            false => SortKey::Value(rng.random_range(0..values)),
        },
        is_descending: rng.random_bool(0.5),
    });
    query
}

/// A dimension of a cell, or the coarser period of its own.
fn read(cell: &Cell, of: Dimension) -> Dim {
    if let Some(dim) = cell.dim(of.name()) {
        return dim.clone();
    }
    let day = match (cell.dim("day"), cell.dim("hour")) {
        (Some(Dim::Day(day)), _) => *day,
        (Some(other), _) => return other.clone(),
        (None, Some(Dim::Hour(second, offset))) => {
            Day::try_from((second + i64::from(*offset)).div_euclid(86_400)).unwrap()
        }
        _ => return Dim::Null,
    };
    match of {
        Dimension::Day => Dim::Day(day),
        _ => Dim::Month(month(day)),
    }
}

/// Whether the period of a cell lies in the range: in whole, and at all.
fn in_range(cell: &Cell, query: &CellQuery) -> (bool, bool) {
    let dims = [read(cell, Dimension::Day), read(cell, Dimension::Month)];
    let (first, last) = match (&dims[0], &dims[1]) {
        (Dim::Day(day), _) => (*day, *day),
        (Dim::Month(of), _) | (_, Dim::Month(of)) => {
            let last = first_day(of + 1) - 1;
            let is_current = *of == month(TODAY);
            (
                first_day(*of),
                if is_current {
                    last.min(TODAY - 1)
                } else {
                    last
                },
            )
        }
        _ => return (true, true),
    };
    let (from, to) = (query.from.unwrap_or(Day::MIN), query.to.unwrap_or(Day::MAX));
    // A month is in the range with its finished days, and meets it with any day.
    let end = match &dims[0] {
        Dim::Day(day) => *day,
        _ => first_day(month(first) + 1) - 1,
    };
    (from <= first && last <= to, first <= to && from <= end)
}

/// Whether a dimension may be another one, of which a part was given up.
fn may_be(family: Family, of: Dimension, dim: &Dim, other: &Dim) -> bool {
    match (of, dim, other) {
        (Dimension::Store, ..) if family == Family::Attribution => false,
        (Dimension::Day, Dim::Month(rest), Dim::Day(day)) => {
            family.row().is_total && month(*day) == *rest
        }
        (_, Dim::Text(word), _) => **word == *"*",
        _ => false,
    }
}

/// The rows of a query, unsorted, from a list of cells.
fn naive(list: &[Cell], query: &CellQuery, hides: bool) -> BTreeMap<Vec<Dim>, Numbers> {
    let family = query.family;
    let columns = query.columns();
    let key = |cell: &Cell| -> Vec<Dim> { columns.iter().map(|of| read(cell, *of)).collect() };
    let is = |cell: &Cell, of: Dimension, wanted: &[Wanted]| {
        wanted.contains(&Wanted::Is(read(cell, of)))
    };
    let matches = |cell: &&Cell| {
        query
            .filters
            .iter()
            .all(|(of, wanted)| is(cell, *of, wanted))
    };
    let could = |cell: &&Cell| {
        query.filters.iter().all(|(of, wanted)| {
            is(cell, *of, wanted)
                || wanted.iter().any(|wanted| match wanted {
                    Wanted::Is(dim) => may_be(family, *of, &read(cell, *of), dim),
                    Wanted::Path(_) => false,
                })
        })
    };
    let mut groups: BTreeMap<Vec<Dim>, Vec<&Cell>> = BTreeMap::new();
    for cell in list
        .iter()
        .filter(|cell| in_range(cell, query).0)
        .filter(matches)
    {
        groups.entry(key(cell)).or_default().push(cell);
    }
    let units = family.row().units;
    let measure = units
        .iter()
        .position(|unit| *unit == Unit::Minor)
        .unwrap_or(0);
    let size = |cell: &Cell| match cell.values[measure] {
        NO_VALUE => 0,
        value => value.abs(),
    };
    let is_total = matches!(
        family,
        Family::Attribution | Family::StoreDay | Family::OrdersDay | Family::MarkovMonth
    );
    let channel = [Dimension::Source, Dimension::Medium, Dimension::Campaign];
    let numbers = groups.iter().map(|(row, cells)| {
        let values = (0..units.len()).map(|at| {
            let adds_up = !matches!(units[at], Unit::Distinct | Unit::Ppm)
                && (!family.row().overlaps || channel.iter().all(|of| columns.contains(of)));
            let known = cells.iter().all(|cell| cell.values[at] != NO_VALUE);
            let sum = || cells.iter().map(|cell| cell.values[at]).sum();
            (known && (adds_up || cells.len() == 1)).then(sum)
        });
        let own: i128 = cells.iter().map(|cell| size(cell)).sum();
        let is_rest = columns.iter().zip(row).any(|(of, dim)| {
            may_be(family, *of, dim, &text("any"))
                || matches!((of, dim), (Dimension::Day, Dim::Month(_)) if family.row().is_total)
        });
        let is_gate_sum = |other: &[Dim]| {
            columns.contains(&Dimension::Source)
                && other != row
                && columns
                    .iter()
                    .zip(other)
                    .zip(row)
                    .all(|((of, dim), own)| match of {
                        Dimension::Source => *dim == text("other"),
                        Dimension::Medium | Dimension::Campaign => *dim == Dim::Null,
                        _ => dim == own,
                    })
        };
        let others = list.iter().filter(|cell| {
            let (whole, part) = in_range(cell, query);
            let is_month =
                matches!(read(cell, Dimension::Day), Dim::Month(_)) || cell.dim("month").is_some();
            if cells.iter().any(|own| own == cell) || !(whole || part && is_month) || !could(cell) {
                return false;
            }
            let other = key(cell);
            let open = columns
                .iter()
                .zip(&other)
                .zip(row)
                .all(|((of, dim), own)| dim == own || may_be(family, *of, dim, own));
            open || family == Family::Attribution && is_gate_sum(&other)
        });
        let others: i128 = others.map(size).sum();
        let coverage = match (hides && family != Family::SpendDay, is_total) {
            (false, _) => Some(10),
            (true, true) if !is_rest => (own * 10)
                .checked_div(own + others)
                .map(|tenths| u8::try_from(tenths).unwrap()),
            _ => None,
        };
        let values = values.collect();
        (row.clone(), Numbers { values, coverage })
    });
    numbers.collect()
}

#[test]
fn random_queries_equal_a_naive_version() {
    let families = [
        Family::Attribution,
        Family::StoreDay,
        Family::OrdersDay,
        Family::SpendDay,
        Family::MarkovMonth,
        Family::Visits,
        Family::Assists,
        Family::CampaignDay,
    ];
    let (mut rows, mut partial) = (0, 0);
    for seed in 0..1_500 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let family = families[rng.random_range(0..families.len())];
        let (cells, list) = random_cells(&mut rng, family);
        let query = random_query(&mut rng, family);
        let hides = rng.random_bool(0.9);
        let answer = run(&cells, "acme", &query, TODAY, hides).unwrap();
        let found: BTreeMap<Vec<Dim>, Numbers> = answer
            .rows
            .iter()
            .map(|row| (row.dims.clone(), row.numbers.clone().unwrap()))
            .collect();
        assert_eq!(found.len(), answer.rows.len());
        let expected = naive(&list, &query, hides);
        let differs = found
            .iter()
            .find(|(key, row)| expected.get(*key) != Some(row));
        assert!(
            found.len() == expected.len() && differs.is_none(),
            "seed {seed}: {query:?}: {differs:?}"
        );
        rows += found.len();
        partial += found
            .values()
            .filter(|numbers| {
                numbers
                    .coverage
                    .is_some_and(|tenths| (1..10).contains(&tenths))
            })
            .count();

        // Pages, one after the other, are the whole.
        let mut paged = query.clone();
        paged.limit = rng.random_range(1..8);
        let mut of_pages = Vec::new();
        loop {
            let page = run(&cells, "acme", &paged, TODAY, hides).unwrap();
            assert!(page.rows.len() <= paged.limit);
            of_pages.extend(page.rows);
            match page.next {
                Some(next) => paged.after = Some(next),
                None => break,
            }
        }
        assert_eq!(of_pages, answer.rows, "seed {seed}");

        // The order is that which was asked for; what has no value is last.
        if let Some(Sort { by, is_descending }) = query.sort {
            for pair in answer.rows.windows(2) {
                let [a, b] = [&pair[0], &pair[1]];
                let is_ordered = match by {
                    SortKey::Column(at) if is_descending => a.dims[at] >= b.dims[at],
                    SortKey::Column(at) => a.dims[at] <= b.dims[at],
                    SortKey::Value(at) => {
                        let value = |row: &Row| row.numbers.as_ref().unwrap().values[at];
                        match (value(a), value(b)) {
                            (_, None) => true,
                            (None, Some(_)) => false,
                            (Some(a), Some(b)) if is_descending => a >= b,
                            (Some(a), Some(b)) => a <= b,
                        }
                    }
                };
                assert!(is_ordered, "seed {seed}");
            }
        }
    }
    assert!(rows > 5_000 && partial > 100, "{rows} {partial}");
}

fn store_day(store: &str, day: Day, minor: i128) -> Cell {
    Cell {
        family: Family::StoreDay,
        dims: vec![text("acme"), text(store), Dim::Day(day), text("EUR")],
        values: vec![1, minor, 1],
    }
}

fn ask(cells: &PublishedCells, pairs: &[(&str, &str)]) -> Answer {
    let query = CellQuery::read(Family::StoreDay, pairs.iter().copied()).unwrap();
    run(cells, "acme", &query, TODAY, true).unwrap()
}

#[test]
fn a_period_is_compared_with_the_one_before() {
    let mut cells = PublishedCells::default();
    for (store, day, minor) in [
        ("lyon", TODAY, 300),
        ("lyon", TODAY - 7, 100),
        ("nice", TODAY - 8, 50),
        ("lyon", TODAY - 14, 7),
    ] {
        cells.apply(&store_day(store, day, minor));
    }
    // Seven days with TODAY as the last.
    let period = [("from", "2025-10-20"), ("to", "2025-10-26")];
    let mut words = period.to_vec();
    words.extend([("group_by", "store"), ("compare", "previous")]);
    let answer = ask(&cells, &words);
    assert_eq!(answer.previous, Some((TODAY - 13, TODAY - 7)));
    let numbers = |numbers: &Option<Numbers>| numbers.as_ref().map(|n| n.values[1].unwrap());
    let found: Vec<_> = answer
        .rows
        .iter()
        .map(|row| (numbers(&row.numbers), numbers(&row.previous)))
        .collect();
    assert_eq!(found, [(Some(300), Some(100)), (None, Some(50))]);
    // What has only a past has no value, which is not 0.
    let query = CellQuery::read(Family::StoreDay, words).unwrap();
    let text = json(&query, &answer);
    assert!(
        text.contains(r#""previous":{"from":"2025-10-13","to":"2025-10-19"}"#),
        "{text}"
    );
    assert!(text.contains(r#""value":{"persons":null,"revenue_minor":null,"transactions":null}"#));
    // Whole months, and the current one until yesterday, with whole months.
    for (from, to, previous) in [
        ("2025-10", "2025-10", "2025-09-01 2025-09-30"),
        ("2025-10-01", "2025-10-25", "2025-09-01 2025-09-30"),
        ("2025-08", "2025-09", "2025-06-01 2025-07-31"),
        ("2025-10-01", "2025-10-10", "2025-09-21 2025-09-30"),
    ] {
        let words = [
            ("from", from),
            ("to", to),
            ("group_by", ""),
            ("compare", "previous"),
        ];
        let query = CellQuery::read(Family::StoreDay, words).unwrap();
        let answer = run(&cells, "acme", &query, TODAY, true).unwrap();
        let text = json(&query, &answer);
        let (first, last) = previous.split_once(' ').unwrap();
        let expected = format!(r#""previous":{{"from":"{first}","to":"{last}"}}"#);
        assert!(text.contains(&expected), "{from} {to}: {text}");
    }
}

#[test]
fn formats_hold_the_same_rows() {
    let mut cells = PublishedCells::default();
    cells.apply(&store_day("=cmd(),\"x\"", TODAY, 5));
    cells.apply(&store_day("*", TODAY, 15));
    let query = CellQuery::read(Family::StoreDay, [("sort", "-revenue_minor")]).unwrap();
    let answer = run(&cells, "acme", &query, TODAY, true).unwrap();
    let lines = ndjson(&query, &answer);
    let rest = r#"{"cell":{"brand":"acme","currency":"EUR","day":"2025-10-26","store":"*"},"coverage":null,"value":{"persons":1,"revenue_minor":15,"transactions":1}}"#;
    assert_eq!(lines.lines().next(), Some(rest));
    assert!(
        lines.lines().nth(1).unwrap().contains("\"coverage\":0.2"),
        "{lines}"
    );
    let whole: serde_json::Value = serde_json::from_str(&json(&query, &answer)).unwrap();
    let rows: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(whole["rows"], serde_json::Value::Array(rows));
    assert_eq!(whole["next"], serde_json::Value::Null);
    assert_eq!(
        csv(&query, &answer),
        "brand,store,day,currency,transactions,revenue_minor,persons,coverage\r\n\
         acme,*,2025-10-26,EUR,1,15,1,\r\n\
         acme,\"'=cmd(),\"\"x\"\"\",2025-10-26,EUR,1,5,1,0.2\r\n"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    for (words, parameter, fix) in [
        (
            &[("from", "26.10.2025")][..],
            "from",
            "2025-10-26 or 2025-10",
        ),
        (&[("from", "2025-02-30")], "from", "2025-10"),
        (&[("to", "2025-+1")], "to", "2025-10"),
        (&[("from", "2025-10"), ("to", "2025-09")], "to", "exchange"),
        (&[("stroe", "lyon")], "stroe", "store"),
        (&[("brand", "acme")], "brand", "store"),
        (&[("group_by", "source")], "group_by", "store"),
        (&[("sort", "value_minor")], "sort", "revenue_minor"),
        (
            &[("group_by", "day"), ("sort", "store")],
            "sort",
            "revenue_minor",
        ),
        (&[("limit", "0")], "limit", "1 to 10000"),
        (&[("limit", "1"), ("limit", "2")], "limit", "once"),
        (&[("format", "xml")], "format", "ndjson"),
        (&[("day", "tomorrow")], "day", "2025-10-26"),
        (&[("compare", "next")], "compare", "compare=previous"),
        (&[("compare", "previous")], "compare", "from"),
        (
            &[
                ("from", "2025-10"),
                ("to", "2025-10"),
                ("compare", "previous"),
            ],
            "compare",
            "group_by=source",
        ),
        (
            &[
                ("from", "2025-10"),
                ("to", "2025-10"),
                ("compare", "previous"),
                ("group_by", "day"),
            ],
            "compare",
            "out of group_by",
        ),
    ] {
        let wrong = CellQuery::read(Family::StoreDay, words.iter().copied()).unwrap_err();
        assert_eq!(wrong.parameter, parameter, "{words:?}");
        assert!(wrong.fix.contains(fix), "{words:?}: {wrong}");
    }
    let read = |after: &str| {
        let words = [("after", after), ("group_by", "store")];
        let query = CellQuery::read(Family::StoreDay, words).unwrap();
        run(&PublishedCells::default(), "acme", &query, TODAY, true)
    };
    assert_eq!(read("x").unwrap_err().parameter, "after");
    // The position of another query.
    let mut cells = PublishedCells::default();
    cells.apply(&store_day("a", TODAY, 1));
    cells.apply(&store_day("b", TODAY, 1));
    let next = ask(&cells, &[("limit", "1")]).next.unwrap();
    assert_eq!(read(&next).unwrap_err().parameter, "after");
}

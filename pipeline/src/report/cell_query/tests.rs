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
        Dimension::WalletPlatform => pick(&["apple", "google"]),
        Dimension::Notice => pick(&["banner", "form"]),
        Dimension::NoticeVersion => pick(&["1", "2", ""]),
        Dimension::Language => pick(&["de", "fr"]),
        Dimension::Box => pick(&["newsletter", "ad_storage"]),
        Dimension::Kind => pick(&["order", "transaction", "visit"]),
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

/// Whether a cell is finer than a rest, in the same month and otherwise the same, and covers all that has the known names.
fn covers(finer: &Cell, rest: &Cell, known: &[(Dimension, Dim)]) -> bool {
    let family = rest.family;
    let star = text("*");
    let name = |of: Dimension| known.iter().find(|(own, _)| *own == of).map(|(_, dim)| dim);
    let channel = [Dimension::Source, Dimension::Medium, Dimension::Campaign];
    let has_channel = family.row().dimensions.contains(&channel[0]);
    let ladder: &[Dimension] = match has_channel {
        true => &channel,
        false => &[Dimension::Day, Dimension::Store],
    };
    let own = family.row().dimensions.iter();
    let is_same = own
        .filter(|of| !ladder.contains(of))
        .all(|of| read(finer, *of) == read(rest, *of));
    if !is_same || !has_channel && read(finer, Dimension::Month) != read(rest, Dimension::Month) {
        return false;
    }
    if has_channel {
        let grain = |cell: &Cell| {
            channel
                .iter()
                .take_while(|of| read(cell, **of) != star)
                .count()
        };
        let is_other = read(rest, Dimension::Source) == text("other");
        let from = if is_other { 2 } else { grain(rest) };
        return grain(finer) > from
            && (channel.iter().enumerate()).all(|(at, of)| match at < grain(finer) {
                true => name(*of) == Some(&read(finer, *of)),
                false => read(finer, *of) == star,
            });
    }
    let (Dim::Day(day), rest_day) = (read(finer, Dimension::Day), read(rest, Dimension::Day))
    else {
        return false;
    };
    let is_day = match rest_day {
        Dim::Day(of_rest) => day == of_rest,
        _ => name(Dimension::Day) == Some(&Dim::Day(day)),
    };
    let store = finer.dim("store");
    let is_rest_of_day = store.is_none_or(|store| *store == star);
    is_day
        && match is_rest_of_day {
            true => matches!(rest_day, Dim::Month(_)),
            false => store == name(Dimension::Store),
        }
}

/// Whether a row that knows no day of its own is covered on each day that it has in the rest of a month.
fn on_each_day(
    rest: &Cell,
    query: &CellQuery,
    known: &[(Dimension, Dim)],
    is_covered: impl Fn(&[(Dimension, Dim)]) -> bool,
) -> bool {
    let own = rest.family.row().dimensions;
    let knows_day = known.iter().any(|(of, _)| *of == Dimension::Day);
    let (Dim::Month(of), false, false) = (
        read(rest, Dimension::Day),
        own.contains(&Dimension::Source),
        knows_day,
    ) else {
        return false;
    };
    let (from, to) = (query.from.unwrap_or(Day::MIN), query.to.unwrap_or(Day::MAX));
    let filter = query.filters.iter().find(|(of, _)| *of == Dimension::Day);
    let is_wanted = |day: &Day| {
        filter.is_none_or(|(_, wanted)| wanted.contains(&Wanted::Is(Dim::Day(*day))))
            && (from..=to).contains(day)
            && (of != month(TODAY) || *day < TODAY)
    };
    let days: Vec<Day> = (first_day(of)..first_day(of + 1))
        .filter(is_wanted)
        .collect();
    let with = |day: &Day| [&[(Dimension::Day, Dim::Day(*day))], known].concat();
    !days.is_empty() && days.iter().all(|day| is_covered(&with(day)))
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
    let place = |of| units.iter().position(|unit| *unit == of);
    let measure = place(Unit::Minor)
        .or_else(|| place(Unit::Millionths))
        .unwrap_or(0);
    let size = |cell: &Cell| match cell.values[measure] {
        NO_VALUE => 0,
        value => value.abs(),
    };
    let is_total = matches!(
        family,
        Family::Attribution
            | Family::StoreDay
            | Family::OrdersDay
            | Family::MarkovMonth
            | Family::VisitMatch
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
        let filtered = query
            .filters
            .iter()
            .filter_map(|(of, wanted)| match &wanted[..] {
                [Wanted::Is(dim)] => Some((*of, dim.clone())),
                _ => None,
            });
        let named = columns.iter().copied().zip(row.iter().cloned());
        let known: Vec<(Dimension, Dim)> = named.chain(filtered).collect();
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
            let may_hold = open || family == Family::Attribution && is_gate_sum(&other);
            // A finer cell that covers all of the row has what the other would have of it.
            let is_covered = |known: &[_]| list.iter().any(|finer| covers(finer, cell, known));
            may_hold && !is_covered(&known) && !on_each_day(cell, query, &known, is_covered)
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
        Family::VisitMatch,
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
    // The day before may hold a part of the store, which has no cell there.
    cells.apply(&store_day("*", TODAY - 1, 15));
    let words = [("sort", "-revenue_minor"), ("group_by", "store")];
    let query = CellQuery::read(Family::StoreDay, words).unwrap();
    let answer = run(&cells, "acme", &query, TODAY, true).unwrap();
    let lines = ndjson(&query, &answer);
    let rest = r#"{"cell":{"currency":"EUR","store":"*"},"coverage":null,"value":{"persons":1,"revenue_minor":15,"transactions":1}}"#;
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
        "store,currency,transactions,revenue_minor,persons,coverage\r\n\
         *,EUR,1,15,1,\r\n\
         \"'=cmd(),\"\"x\"\"\",EUR,1,5,1,0.2\r\n"
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

/// What an Arrow reader finds, as the objects of JSON have it: texts, integers, and a share as a number.
fn read_arrow(
    bytes: &[u8],
) -> (
    BTreeMap<String, String>,
    Vec<BTreeMap<String, serde_json::Value>>,
) {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    use arrow_array::{Array, RecordBatch};
    use serde_json::{Value, json};
    let reader = arrow_ipc::reader::StreamReader::try_new(bytes, None).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let cell = |column: &dyn Array, at: usize| match column {
        _ if column.is_null(at) => Value::Null,
        _ if let Some(texts) = column.as_string_opt::<i32>() => json!(texts.value(at)),
        _ if let Some(numbers) = column.as_primitive_opt::<Int64Type>() => json!(numbers.value(at)),
        _ => json!(column.as_primitive::<Float64Type>().value(at)),
    };
    let mut rows = Vec::new();
    for batch in &batches {
        for at in 0..batch.num_rows() {
            let fields = schema.fields().iter().zip(batch.columns());
            rows.push(
                fields
                    .map(|(field, column)| (field.name().clone(), cell(&**column, at)))
                    .collect(),
            );
        }
    }
    (schema.metadata().clone().into_iter().collect(), rows)
}

#[test]
fn arrow_reads_back_as_the_rows_of_json() {
    let mut rng = ChaCha8Rng::seed_from_u64(31);
    for at in 0..200 {
        let family = Family::ALL[at % Family::ALL.len()];
        let (cells, _) = random_cells(&mut rng, family);
        let words = match at % 3 {
            0 => vec![("limit", "7")],
            1 => vec![
                ("from", "2025-10-01"),
                ("to", "2025-10-20"),
                ("compare", "previous"),
            ],
            _ => vec![],
        };
        let Ok(query) = CellQuery::read(family, words) else {
            continue;
        };
        let answer = run(&cells, "acme", &query, TODAY, true).unwrap();
        let (metadata, rows) = read_arrow(&arrow(&query, &answer).unwrap());
        let json: serde_json::Value = serde_json::from_str(&json(&query, &answer)).unwrap();
        assert_eq!(
            metadata.get("next").map(String::as_str),
            json["next"].as_str()
        );
        assert_eq!(metadata["family"], family.name());
        assert_eq!(rows.len(), json["rows"].as_array().unwrap().len());
        for (row, json) in rows.iter().zip(json["rows"].as_array().unwrap()) {
            for (prefix, side) in [("", json), ("previous_", &json["previous"])] {
                let mut of_side = side["value"].as_object().cloned().unwrap_or_default();
                of_side.insert("coverage".to_owned(), side["coverage"].clone());
                for (name, value) in of_side {
                    let found = row.get(&format!("{prefix}{name}"));
                    let is_absent = prefix == "previous_" && !query.compare;
                    assert!(
                        is_absent && found.is_none() || found == Some(&value),
                        "{name} {row:?}"
                    );
                }
            }
            for (name, dim) in json["cell"].as_object().unwrap() {
                let found = row.get(name).unwrap();
                // A number and a path are texts, as in CSV.
                assert!(
                    found == dim || !dim.is_string() && found.is_string(),
                    "{name} {row:?}"
                );
            }
        }
    }
}

#[test]
fn a_value_beyond_64_bits_is_no_arrow() {
    let mut cells = PublishedCells::default();
    cells.apply(&Cell {
        family: Family::StoreDay,
        dims: vec![text("acme"), text("lyon"), Dim::Day(TODAY), text("EUR")],
        values: vec![i128::from(i64::MAX) + 1, 1, 1],
    });
    let query = CellQuery::read(Family::StoreDay, [("format", "arrow")]).unwrap();
    let answer = run(&cells, "acme", &query, TODAY, false).unwrap();
    assert_eq!(answer.rows.len(), 1);
    assert_eq!(arrow(&query, &answer).unwrap_err().parameter, "format");
}

#[test]
fn the_rest_of_a_month_holds_nothing_of_a_channel_with_a_cell() {
    let mut cells = PublishedCells::default();
    let put = |cells: &mut PublishedCells,
               source: &str,
               medium: &str,
               campaign: &str,
               of: Day,
               value: i128| {
        let dims = vec![
            text("acme"),
            text("linear"),
            text(source),
            text(medium),
            text(campaign),
            text("order"),
            text("*"),
            Dim::Month(month(TODAY) - of),
            text("EUR"),
        ];
        let values = vec![1, value];
        cells.apply(&Cell {
            family: Family::Attribution,
            dims,
            values,
        });
    };
    // Last month: 92 of 100 have a name; the month before, bing is in the rest.
    put(&mut cells, "google", "cpc", "fall", 1, 80);
    put(&mut cells, "bing", "cpc", "", 1, 12);
    put(&mut cells, "*", "*", "*", 1, 8);
    put(&mut cells, "google", "cpc", "fall", 2, 90);
    put(&mut cells, "*", "*", "*", 2, 10);
    let coverage = |cells: &PublishedCells, from: &str, group_by: &str, source: &str| {
        let words = [("from", from), ("to", "2025-09"), ("group_by", group_by)];
        let query = CellQuery::read(Family::Attribution, words).unwrap();
        let rows = run(cells, "acme", &query, TODAY, true).unwrap().rows;
        let at = query
            .columns()
            .iter()
            .position(|of| *of == Dimension::Source)
            .unwrap();
        let row = rows
            .into_iter()
            .find(|row| row.dims[at] == text(source))
            .unwrap();
        row.numbers.unwrap().coverage
    };
    let channel = "source,medium,campaign";
    assert_eq!(coverage(&cells, "2025-09", channel, "google"), Some(10));
    assert_eq!(coverage(&cells, "2025-09", channel, "bing"), Some(10));
    assert_eq!(coverage(&cells, "2025-08", channel, "google"), Some(10));
    // 12 of at most 12 and 10.
    assert_eq!(coverage(&cells, "2025-08", channel, "bing"), Some(5));
    assert_eq!(coverage(&cells, "2025-09", channel, "*"), None);
    // Another campaign of the source may be in the rest, unless the rest of the source has a cell.
    assert_eq!(coverage(&cells, "2025-09", "source", "google"), Some(9));
    put(&mut cells, "google", "*", "*", 1, 1);
    assert_eq!(coverage(&cells, "2025-09", "source", "google"), Some(10));
}

#[test]
fn the_rest_of_a_month_holds_nothing_of_a_store_with_a_cell_on_each_day() {
    let mut cells = PublishedCells::default();
    let put = |cells: &mut PublishedCells, store: &str, day: Dim, value: i128| {
        let dims = vec![text("acme"), text(store), day, text("EUR")];
        cells.apply(&Cell {
            family: Family::StoreDay,
            dims,
            values: vec![1, value, 1],
        });
    };
    let first = first_day(month(TODAY) - 1);
    let last = first_day(month(TODAY)) - 1;
    // Lyon has a cell on every day but the last, and nice every second day.
    for day in first..last {
        put(&mut cells, "lyon", Dim::Day(day), 10);
        if (day - first) % 2 == 0 {
            put(&mut cells, "nice", Dim::Day(day), 10);
        }
    }
    put(&mut cells, "*", Dim::Month(month(first)), 290);
    let coverage = |cells: &PublishedCells, to: &str, store: &str| {
        let words = [("from", "2025-09-01"), ("to", to), ("group_by", "store")];
        let query = CellQuery::read(Family::StoreDay, words).unwrap();
        let rows = run(cells, "acme", &query, TODAY, true).unwrap().rows;
        let row = rows.into_iter().find(|row| row.dims[0] == text(store));
        row.unwrap().numbers.unwrap().coverage
    };
    assert_eq!((first, last), (20_332, 20_361));
    // Of the last day, lyon may have all that the rest of the month counts.
    assert_eq!(coverage(&cells, "2025-09-30", "lyon"), Some(5));
    assert_eq!(coverage(&cells, "2025-09-29", "lyon"), Some(10));
    assert_eq!(coverage(&cells, "2025-09-30", "nice"), Some(3));
    // What the last day holds back in its own rest is not in that of the month.
    put(&mut cells, "*", Dim::Day(last), 32);
    assert_eq!(coverage(&cells, "2025-09-30", "lyon"), Some(9));
    assert_eq!(coverage(&cells, "2025-09-30", "nice"), Some(3));
}

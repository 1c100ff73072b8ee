use super::*;

/// 2025-10-26.
const TODAY: Day = 20_387;

fn text(word: &str) -> Dim {
    Dim::Text(word.into())
}

fn sold(store: &str, day: Day) -> Cell {
    Cell {
        family: Family::StoreDay,
        dims: vec![text("acme"), text(store), Dim::Day(day), text("EUR")],
        values: vec![45, 100_000, 40],
    }
}

fn visited(store: &str, day: Day) -> Cell {
    let dims = vec![
        text("acme"),
        text(store),
        Dim::Hour(i64::from(day) * 86_400 + 43_200, 0),
    ];
    let values = Family::Visits.values().iter().map(|name| match *name {
        "visits" => 100,
        "passers_by" => 300,
        _ => 60_000,
    });
    Cell {
        family: Family::Visits,
        dims,
        values: values.collect(),
    }
}

/// Of Lyon one of two days is released with other stores, of Nice both are released.
fn cells() -> Vec<Cell> {
    let mut cells = vec![sold("*", TODAY - 2), sold("lyon", TODAY - 1)];
    cells.extend([TODAY - 2, TODAY - 1].map(|day| sold("nice", day)));
    let visits =
        ["lyon", "nice"].map(|store| [TODAY - 2, TODAY - 1].map(|day| visited(store, day)));
    cells.extend(visits.into_iter().flatten());
    cells
}

#[test]
fn sales_of_which_a_part_is_hidden_are_not_divided_by_visits() {
    let rates = |hides| {
        let text = Summary::of(&cells(), TODAY, hides).text();
        let row = |store: &str| {
            let mut lines = text.lines();
            let line = lines
                .find(|line| line.starts_with(store))
                .unwrap_or_default();
            line.split("  ").map(str::trim).any(|cell| match store {
                "lyon" => cell == "23",
                _ => cell == "≤ 45",
            })
        };
        (row("lyon"), row("nice"), text)
    };
    let (lyon, nice, text) = rates(true);
    assert!(!lyon && nice, "{text}");
    // Without a gate nothing is missing.
    let (lyon, _, text) = rates(false);
    assert!(lyon, "{text}");
}

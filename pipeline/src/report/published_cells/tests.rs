use super::*;

fn text(word: &str) -> Dim {
    Dim::Text(word.into())
}

fn takings(brand: &str, store: &str, day: Day, values: &[i128]) -> Cell {
    Cell {
        family: Family::StoreDay,
        dims: vec![text(brand), text(store), Dim::Day(day), text("EUR")],
        values: values.to_vec(),
    }
}

fn by_store(board: &PublishedCells, brand: &str, days: Periods) -> Vec<(String, Vec<i128>)> {
    let sums = board.sums(Family::StoreDay, brand, days, &["store"]);
    let name = |dims: &[&Dim]| match dims {
        [Dim::Text(word)] => word.to_string(),
        other => panic!("{other:?} is no store"),
    };
    sums.into_iter()
        .map(|(dims, sums)| (name(&dims), sums))
        .collect()
}

#[test]
fn sums_are_of_the_window_and_the_brand_alone() {
    let mut board = PublishedCells::default();
    for (brand, store, day, revenue) in [
        ("acme", "s2", 100, 7),
        ("acme", "s1", 99, 10),
        ("acme", "s1", 100, 20),
        ("acme", "s1", 101, 40),
        ("acme", "s1", 71, 80),
        ("acme", "s1", 70, 160),
        ("other", "s1", 100, 320),
    ] {
        board.apply(&takings(brand, store, day, &[1, revenue, 1]));
    }
    assert_eq!(
        by_store(&board, "acme", Window::Today.periods(100)),
        [
            ("s1".to_owned(), vec![1, 20, 1]),
            ("s2".to_owned(), vec![1, 7, 1])
        ]
    );
    assert_eq!(
        by_store(&board, "acme", Window::Week.periods(100))[0].1,
        [2, 30, 2]
    );
    assert_eq!(
        by_store(&board, "acme", Window::ThirtyDays.periods(100))[0].1,
        [3, 110, 3]
    );
    assert_eq!(
        by_store(&board, "nobody", Window::ThirtyDays.periods(100)),
        []
    );
    #[allow(clippy::reversed_empty_ranges)]
    let nothing = 5..=4;
    assert_eq!(by_store(&board, "acme", Periods::days(nothing)), []);
    assert_eq!(board.last_day("acme"), Some(101));
    assert_eq!(board.last_day("nobody"), None);
    assert_eq!(
        board.brands().iter().map(|b| &**b).collect::<Vec<_>>(),
        ["acme", "other"]
    );
}

#[test]
fn a_cell_has_its_last_value_and_goes_when_it_is_closed() {
    let mut board = PublishedCells::default();
    board.apply(&takings("acme", "s1", 100, &[1, 10, 1]));
    board.apply(&takings("acme", "s1", 100, &[2, 30, 2]));
    assert_eq!(
        (
            board.len(),
            by_store(&board, "acme", Periods::days(100..=100))[0]
                .1
                .clone()
        ),
        (1, vec![2, 30, 2])
    );
    board.apply(&takings("acme", "s1", 100, &[]));
    assert!(board.is_empty());
    assert_eq!(board.last_day("acme"), None);
    // Closing what is not there is nothing.
    board.apply(&takings("acme", "s1", 100, &[]));
    board.apply(&takings("nobody", "s1", 100, &[]));
    assert!(board.is_empty());
}

#[test]
fn the_stamp_changes_with_the_board_and_only_then() {
    let mut board = PublishedCells::default();
    assert_eq!(board.stamp(), PublishedCells::default().stamp());
    board.apply(&takings("acme", "s1", 100, &[1, 10, 1]));
    let first = board.stamp();
    board.apply(&takings("acme", "s1", 100, &[1, 10, 1]));
    board.apply(&takings("acme", "s2", 100, &[]));
    assert_eq!(board.stamp(), first);
    let mut other = board.clone();
    board.apply(&takings("acme", "s1", 100, &[1, 11, 1]));
    other.apply(&takings("acme", "s1", 100, &[1, 12, 1]));
    assert!(board.stamp() != first && other.stamp() != first && board.stamp() != other.stamp());
}

#[test]
fn a_clone_keeps_what_it_saw() {
    let mut board = PublishedCells::default();
    board.apply(&takings("acme", "s1", 100, &[1, 10, 1]));
    let seen = board.clone();
    board.apply(&takings("acme", "s1", 100, &[9, 90, 9]));
    board.apply(&takings("acme", "s2", 100, &[1, 1, 1]));
    assert_eq!(
        by_store(&seen, "acme", Periods::days(100..=100)),
        [("s1".to_owned(), vec![1, 10, 1])]
    );
    assert_eq!(by_store(&board, "acme", Periods::days(100..=100)).len(), 2);
}

#[test]
fn the_order_in_which_cells_come_does_not_show() {
    let mut cells = Vec::new();
    for n in 0..40 {
        cells.push(takings(
            "acme",
            ["s1", "s2", "s3"][n % 3],
            90 + n as Day,
            &[1, n as i128, 1],
        ));
    }
    let filled = |cells: &mut dyn Iterator<Item = &Cell>| {
        let mut board = PublishedCells::default();
        cells.for_each(|cell| board.apply(cell));
        let cells = board.cells(Family::StoreDay, "acme", Periods::days(0..=200));
        cells
            .map(|(dims, values)| (dims.to_vec(), values.to_vec()))
            .collect::<Vec<_>>()
    };
    let forwards = filled(&mut cells.iter());
    assert_eq!(forwards.len(), 40);
    assert_eq!(forwards, filled(&mut cells.iter().rev()));
}

#[test]
fn hours_belong_to_their_local_day_and_months_to_themselves() {
    let mut board = PublishedCells::default();
    // 2025-10-25T23:00 UTC is the 26th (day 20387) in Paris.
    board.apply(&Cell {
        family: Family::Visits,
        dims: vec![text("acme"), text("s1"), Dim::Hour(1_761_433_200, 7200)],
        values: vec![3, 5, 600, 8, 1],
    });
    let month = 2025 * 12 + 9;
    board.apply(&Cell {
        family: Family::Assists,
        dims: vec![
            text("acme"),
            text("order"),
            Dim::Month(month),
            text("EUR"),
            text("google"),
            Dim::Null,
            Dim::Null,
        ],
        values: vec![4, 400],
    });
    board.apply(&Cell {
        family: Family::Identity,
        dims: vec![text("acme")],
        values: vec![1, 2, 3, 4, 5],
    });
    let visits = |day| {
        board
            .sums(Family::Visits, "acme", Periods::days(day..=day), &["store"])
            .len()
    };
    assert_eq!((visits(20_386), visits(20_387)), (0, 1));
    let assists = board.sums(
        Family::Assists,
        "acme",
        Periods::months(month..=month),
        &["source", "no such dimension"],
    );
    assert_eq!(
        assists.into_iter().collect::<Vec<_>>(),
        [(vec![&text("google"), &Dim::Null], vec![4, 400])]
    );
    assert_eq!(
        board
            .cells(Family::Identity, "acme", Periods::default())
            .count(),
        1
    );
}

#[test]
fn days_and_months_of_a_family_stay_apart() {
    let mut board = PublishedCells::default();
    // As an integer, this month is the day 24309 (2036-07-22).
    let month = 2025 * 12 + 9;
    let rest = |day: Dim, revenue| Cell {
        family: Family::StoreDay,
        dims: vec![text("acme"), text("*"), day, text("EUR")],
        values: vec![1, revenue, 1],
    };
    board.apply(&rest(Dim::Month(month), 7));
    assert_eq!(board.last_day("acme"), None);
    board.apply(&rest(Dim::Day(20_387), 5));
    assert_eq!(board.last_day("acme"), Some(20_387));
    let revenue_of = |board: &PublishedCells, periods| {
        let sums = by_store(board, "acme", periods);
        sums.iter().map(|(_, values)| values[1]).sum::<i128>()
    };
    let revenue = |periods| revenue_of(&board, periods);
    assert_eq!(revenue(Periods::days(month..=month)), 0);
    assert_eq!(revenue(Periods::days(0..=i32::MAX)), 5);
    assert_eq!(revenue(Periods::months(0..=i32::MAX)), 7);
    // 2025-10-26: the week does not cover October, the thirty days do.
    assert_eq!(revenue(Window::Week.periods(20_387)), 5);
    assert_eq!(revenue(Window::ThirtyDays.periods(20_387)), 12);
    board.apply(&rest(Dim::Day(20_387), 6));
    board.apply(&Cell {
        values: Vec::new(),
        ..rest(Dim::Month(month), 0)
    });
    let days = Window::ThirtyDays.periods(20_387);
    assert_eq!(revenue_of(&board, days), 6);
}

#[test]
fn windows_cover_whole_months_alone() {
    let october = 2025 * 12 + 9;
    // 2025-10-26, and the first and last days of months around it.
    let (today, first, last) = (20_387, 20_362, 20_392);
    assert_eq!(Window::ThisMonth.days(today), first..=today - 1);
    assert_eq!(Window::ThisMonth.months(today), october..=october);
    assert_eq!(Window::LastMonth.days(today), first - 30..=first - 1);
    assert_eq!(Window::LastMonth.months(today), october - 1..=october - 1);
    assert!(Window::ThisMonth.days(first).is_empty());
    assert_eq!(Window::LastMonth.days(first), first - 30..=first - 1);
    // Of the thirty days before the 30th, none is in September; before the 29th, one is.
    for (day, months) in [
        (last - 1, october..=october),
        (last, october + 1..=october),
        (last - 2, october..=october),
        // The last day of a month of thirty days.
        (first - 1, october - 1..=october - 1),
    ] {
        assert_eq!(Window::ThirtyDays.months(day), months, "{day}");
    }
    assert_eq!(Window::Week.months(first + 6), october..=october);
    assert!(Window::Week.months(first + 7).is_empty());
    assert!(Window::Today.months(today).is_empty());
}

#[test]
fn a_sum_that_lacks_a_value_has_none() {
    let mut board = PublishedCells::default();
    for (campaign, effect) in [("a", 250_000), ("*", NO_VALUE)] {
        board.apply(&Cell {
            family: Family::MarkovMonth,
            dims: vec![
                text("acme"),
                text("order"),
                Dim::Month(24_309),
                text("EUR"),
                text("google"),
                text("cpc"),
                text(campaign),
            ],
            values: vec![effect, 1_000_000, 100],
        });
    }
    let sums = board.sums(
        Family::MarkovMonth,
        "acme",
        Periods::months(24_309..=24_309),
        &["source"],
    );
    assert_eq!(
        sums.into_values().collect::<Vec<_>>(),
        [vec![NO_VALUE, 2_000_000, 200]]
    );
}

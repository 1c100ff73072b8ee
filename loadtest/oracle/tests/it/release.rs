//! The release gate: who counts as a contributor of a cell, and which cells are suppressed.

use crate::support::{DAY, World};
use tributary_operators::cell::Family;

/// A world with `k` = 2, in which cells appear with their second contributor.
fn gated() -> World {
    let mut world = World::new();
    world.brand().k = 2;
    world
}

#[test]
fn a_person_counts_once_and_a_record_of_nobody_for_itself() {
    let mut world = gated();
    world.order("o1", 0, "cookie:c", 1);
    world.order("o2", 0, "cookie:c email:e", 2);
    assert!(world.lines(Family::OrdersDay).is_empty());
    assert!(world.credits("first").is_empty());
    world.order("o3", 0, "", 4);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 3 7 1"]);
    assert_eq!(world.credits("first"), ["unattributed - - = 3000000 7"]);
}

#[test]
fn who_gives_nothing_to_a_channel_does_not_stand_behind_it() {
    let mut world = gated();
    world.brand().position = [1, 0, 1];
    for who in ["cookie:1", "cookie:2"] {
        for (ts, source) in (0..).zip(["a", "b", "c"]) {
            world.click(&format!("{who}{source}"), ts, who, source);
        }
        world.order(who, 5, who, 10);
    }
    assert_eq!(
        world.credits("position"),
        ["a - - = 1000000 10", "c - - = 1000000 10"]
    );
    assert_eq!(world.credits("linear").len(), 3);
}

#[test]
fn contacts_months_and_paths_count_persons() {
    let mut world = gated();
    for id in ["1", "2"] {
        world.click(id, 0, "cookie:c", "google");
        world.order(&format!("o{id}"), 1, "cookie:c", 1);
    }
    let families = [Family::CampaignDay, Family::MarkovMonth, Family::Paths];
    for family in families {
        assert!(world.lines(family).is_empty(), "{family:?}");
    }
    world.click("3", 0, "cookie:d", "google");
    world.order("o3", 1, "cookie:d", 1);
    for family in families {
        assert_eq!(world.lines(family).len(), 1, "{family:?}");
    }
}

#[test]
fn identity_counts_persons_and_hubs() {
    let mut world = gated();
    world.brand().max_degree[2] = 0;
    world.order("o1", 0, "email:e", 1);
    assert!(world.lines(Family::Identity).is_empty());
    world.order("o2", 0, "cookie:c email:e", 1);
    assert_eq!(world.lines(Family::Identity), [" = 1 2 0 1 0"]);
}

#[test]
fn brands_the_settings_do_not_know_have_no_cells() {
    let mut world = World::new();
    world.order("o1", 0, "email:e", 1);
    assert!(!world.cells().is_empty());
    world.settings.brands.clear();
    assert!(world.cells().is_empty());
}

/// Orders of as many persons as a number says, each after one click on a channel.
fn clicked(channels: &[(&str, usize)], k: u64) -> World {
    let mut world = World::new();
    world.brand().k = k;
    for (channel, persons) in channels {
        for person in 0..*persons {
            let who = format!("cookie:{channel}{person}");
            world.click(&format!("click {who}"), 0, &who, channel);
            world.order(&format!("order {who}"), 1, &who, 10);
        }
    }
    world
}

#[test]
fn hidden_channels_add_up_to_other() {
    let world = clicked(&[("a", 5), ("b", 3), ("c", 2), ("d", 2)], 3);
    assert_eq!(
        world.credits("linear"),
        [
            "a - - = 5000000 50",
            "b - - = 3000000 30",
            "other - - = 4000000 40"
        ]
    );
    let months = world.lines(Family::MarkovMonth);
    assert!(
        months.iter().any(|line| line.contains("other - - ")),
        "{months:?}"
    );
}

#[test]
fn the_smallest_channel_joins_one_that_would_be_alone() {
    let world = clicked(&[("a", 5), ("b", 3), ("c", 2)], 3);
    for model in ["first", "last", "shapley"] {
        assert_eq!(
            world.credits(model),
            ["a - - = 5000000 50", "other - - = 5000000 50"]
        );
    }
    // Paths and lengths have no other; what they hide is hidden the same.
    assert_eq!(world.lines(Family::Paths).len(), 1);
    assert_eq!(world.lines(Family::OrdersDay).len(), 1);
}

#[test]
fn nothing_adds_up_to_a_hidden_total() {
    let world = clicked(&[("a", 2), ("b", 2)], 5);
    let attribution = world.lines(Family::Attribution);
    assert!(attribution.is_empty(), "{attribution:?}");
    // Five together: neither alone, and their sum is the total.
    let world = clicked(&[("a", 3), ("b", 2)], 5);
    assert_eq!(world.credits("first"), ["other - - = 5000000 50"]);
}

#[test]
fn a_channel_that_one_model_hides_is_hidden_by_all() {
    let mut world = clicked(&[("a", 4), ("b", 4)], 3);
    // Four persons by a, then c: c has all of the last clicks and none of the first, but for one person.
    for person in ["1", "2", "3", "4"] {
        let who = format!("cookie:x{person}");
        let path = if person == "1" {
            ["c", "a"]
        } else {
            ["a", "c"]
        };
        for (ts, channel) in (0..).zip(path) {
            world.click(&format!("{who} {channel}"), ts, &who, channel);
        }
        world.order(&who, 2, &who, 10);
    }
    // Half of `first` and `last` is `linear`, and c's `first` is of one person.
    for model in ["first", "last", "linear"] {
        let credits = world.credits(model);
        assert!(
            !credits.iter().any(|line| line.starts_with('c')),
            "{credits:?}"
        );
    }
}

#[test]
fn a_channel_called_other_is_a_part_of_other() {
    let world = clicked(&[("a", 5), ("b", 3), ("other", 4)], 3);
    assert_eq!(
        world.credits("last"),
        ["a - - = 5000000 50", "other - - = 7000000 70"]
    );
    let open = clicked(&[("a", 1), ("other", 1)], 1);
    assert_eq!(open.credits("last").len(), 2);
}

/// Orders of a day: `touched` persons after a click on `a`, and `untouched` others without one.
/// Every person is new.
fn on(world: &mut World, day: i64, touched: usize, untouched: usize) {
    for number in 0..touched + untouched {
        let who = format!("cookie:{day}-{number}");
        if number < touched {
            world.click(&format!("click {who}"), day * DAY, &who, "a");
        }
        world.order(&format!("order {who}"), day * DAY + 1, &who, 10);
    }
}

/// Whether the families of a month are published, with `k` = 3. `days` are pairs of persons with and
/// without a touchpoint.
fn is_month_published(days: &[(usize, usize)]) -> bool {
    let mut world = World::new();
    world.brand().k = 3;
    for (day, (touched, untouched)) in (0..).zip(days) {
        on(&mut world, day, *touched, *untouched);
    }
    let families = [
        Family::MarkovMonth,
        Family::Paths,
        Family::PathLength,
        Family::PathDays,
    ];
    let published = families.map(|family| !world.lines(family).is_empty());
    assert_eq!(published, [published[0]; 4]);
    published[0]
}

#[test]
fn a_month_that_would_reveal_a_hidden_day_is_not_published() {
    assert!(is_month_published(&[(5, 0), (3, 4)]));
    // The month without the first day is the second.
    assert!(!is_month_published(&[(5, 0), (2, 0)]));
    assert!(is_month_published(&[(5, 0), (2, 0), (1, 0)]));
    assert!(!is_month_published(&[(5, 0), (1, 0), (1, 0)]));
    // A day without a touch is nothing of the month, whether it is seen or not.
    assert!(is_month_published(&[(5, 0), (0, 2)]));
}

#[test]
fn a_month_that_would_reveal_untouched_conversions_is_not_published() {
    // The takings are known and what has a touch would be; so one had none.
    assert!(!is_month_published(&[(5, 0), (5, 1)]));
    assert!(!is_month_published(&[(5, 0), (2, 4)]));
    assert!(!is_month_published(&[(5, 1), (5, 1)]));
    assert!(is_month_published(&[(5, 1), (5, 2)]));
}

#[test]
fn the_same_person_hides_no_two_days() {
    let mut world = World::new();
    world.brand().k = 3;
    on(&mut world, 0, 5, 0);
    for (day, who) in [(1, "cookie:1"), (1, "cookie:2"), (2, "cookie:1")] {
        let id = format!("{who} {day}");
        world.click(&format!("click {id}"), day * DAY, who, "a");
        world.order(&format!("order {id}"), day * DAY + 1, who, 10);
    }
    assert!(world.lines(Family::Paths).is_empty());
    on(&mut world, 3, 1, 0);
    assert!(!world.lines(Family::Paths).is_empty());
}

#[test]
fn what_has_no_touch_does_not_hide_a_channel() {
    let mut world = clicked(&[("a", 2), ("b", 10)], 3);
    on(&mut world, 0, 0, 5);
    assert_eq!(
        world.credits("last"),
        ["other - - = 12000000 120", "unattributed - - = 5000000 50"]
    );
}

//! The gate: who counts as a contributor to a cell, and how often.

mod support;

use support::World;
use tributary_operators::cell::Family;

/// With `k` = 2 the cells of a family appear with the second contributor.
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

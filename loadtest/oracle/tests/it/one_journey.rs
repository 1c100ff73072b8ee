//! One customer with three touchpoints on two devices and an order, under every model.

use crate::support::{DAY, World};
use tributary_operators::cell::Family;
use tributary_operators::record::TouchKind;

/// A click on a telephone, which an e-mail address links to the laptop on which the order is
/// placed.
fn journey() -> World {
    let mut world = World::new();
    world.brand().half_life = DAY;
    world.click("1", 0, "cookie:phone email:ann", "google");
    world.touch(TouchKind::View, "2", DAY, "cookie:laptop", "blog");
    world.click("3", 2 * DAY, "cookie:laptop email:ann", "google");
    world.order("o", 2 * DAY, "cookie:laptop", 1_000);
    world
}

#[test]
fn every_model_credits_the_whole_order() {
    let world = journey();
    let google_only = ["google - - = 1000000 1000"];
    assert_eq!(world.credits("first"), google_only);
    assert_eq!(world.credits("last"), google_only);
    assert_eq!(world.credits("last_non_direct"), google_only);
    // 333333.3 each; the first of the three touches gets the spare unit.
    assert_eq!(
        world.credits("linear"),
        ["blog - - = 333333 333", "google - - = 666667 667"]
    );
    assert_eq!(
        world.credits("position"),
        ["blog - - = 200000 200", "google - - = 800000 800"]
    );
    // A quarter, a half, one, over 1.75: 142857.14, 285714.29, 571428.57.
    assert_eq!(
        world.credits("time_decay"),
        ["blog - - = 285714 286", "google - - = 714286 714"]
    );
    assert_eq!(
        world.credits("shapley"),
        ["blog - - = 500000 500", "google - - = 500000 500"]
    );
}

#[test]
fn a_touch_counts_to_the_very_end_of_its_window_and_not_a_millisecond_longer() {
    let mut world = World::new();
    world.brand().click_window = 30 * DAY;
    world.brand().impression_window = 7 * DAY;
    world.click("1", 0, "cookie:c", "edge");
    world.touch(TouchKind::Impression, "2", 23 * DAY - 1, "cookie:c", "late");
    world.touch(TouchKind::Impression, "3", 23 * DAY, "cookie:c", "banner");
    world.click("4", 30 * DAY, "cookie:c", "now");
    world.click("5", 30 * DAY + 1, "cookie:c", "later");
    world.order("o", 30 * DAY, "cookie:c", 300);
    assert_eq!(
        world.credits("linear"),
        [
            "banner - - = 333333 100",
            "edge - - = 333334 100",
            "now - - = 333333 100"
        ]
    );
}

#[test]
fn ties_go_by_the_ids_bytes_and_the_path_is_the_newest() {
    let mut world = World::new();
    world.brand().max_path = 2;
    world.click("b", 0, "cookie:c", "second");
    world.click("é", 0, "cookie:c", "third");
    world.click("B", 0, "cookie:c", "first");
    world.order("o", 0, "cookie:c", 100);
    assert_eq!(world.credits("first"), ["second - - = 1000000 100"]);
    assert_eq!(world.credits("last"), ["third - - = 1000000 100"]);
}

#[test]
fn every_conversion_has_its_own_full_window() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.order("o1", 1, "cookie:c", 100);
    world.order("o2", 2, "cookie:c", 23);
    assert_eq!(world.credits("first"), ["google - - = 2000000 123"]);
}

#[test]
fn without_a_touch_or_a_name_a_conversion_is_unattributed() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.click("2", 0, "", "google");
    world.order("o1", 1, "", 100);
    world.order("o2", 1, "cookie:other", 10);
    assert_eq!(world.credits("linear"), ["unattributed - - = 2000000 110"]);
    // The touch of nobody counts as a contact, not as a person's.
    assert_eq!(
        world.lines(Family::CampaignDay),
        ["google - - day0 = 0 2 0 1"]
    );
}

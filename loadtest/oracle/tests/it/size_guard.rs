//! The size guard: a person with too many identifiers still counts as one, but receives no credit.

use crate::support::World;
use tributary_operators::cell::Family;
use tributary_operators::record::Body;

#[test]
fn conversions_of_the_oversized_have_no_path() {
    let mut world = World::new();
    world.brand().max_identifiers = 2;
    world.click("1", 0, "cookie:c email:ann", "google");
    world.order("o", 1, "cookie:c", 100);
    assert_eq!(world.credits("linear"), ["google - - = 1000000 100"]);

    world.put("2", 5, "email:ann phone:1", Body::Identify);
    assert_eq!(
        world.credits("linear"),
        ["unattributed oversized - = 1000000 100"]
    );
    assert_eq!(world.lines(Family::Identity), [" = 1 3 2 0 1"]);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 1"]);
    assert_eq!(
        world.lines(Family::CampaignDay),
        ["google - - day0 = 0 1 0 1"]
    );
    for family in [Family::MarkovMonth, Family::Paths, Family::PathLength] {
        assert!(world.lines(family).is_empty());
    }
}

#[test]
fn hubs_are_not_counted() {
    let mut world = World::new();
    world.brand().max_identifiers = 2;
    world.brand().max_degree[1] = 1;
    world.put("1", 0, "cookie:c email:ann phone:1", Body::Identify);
    assert_eq!(world.lines(Family::Identity), [" = 1 3 1 1 0"]);
}

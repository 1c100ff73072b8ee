//! Identifiers of clicks: they carry statements, and link only where the brand wants it.

use crate::support::World;
use tributary_operators::cell::Family;
use tributary_operators::record::Body;

/// A click whose address somebody shared: two browsers have its identifier.
fn shared() -> World {
    let mut world = World::new();
    world.put("1", 0, "cookie:ann click_id:g", Body::Identify);
    world.put("2", 0, "cookie:bob click_id:g", Body::Identify);
    world
}

#[test]
fn a_click_merges_nobody_unless_the_brand_wants_it() {
    let mut world = shared();
    assert_eq!(world.lines(Family::Identity), [" = 2 2 0 0 0"]);
    world.brand().click_id = true;
    assert_eq!(world.lines(Family::Identity), [" = 1 3 2 0 0"]);
    // With more than three others, it is a hub.
    world.put("3", 0, "cookie:eve click_id:g", Body::Identify);
    assert_eq!(world.lines(Family::Identity), [" = 1 4 3 0 0"]);
    world.put("4", 0, "cookie:dan click_id:g", Body::Identify);
    assert_eq!(world.lines(Family::Identity), [" = 4 5 0 1 0"]);
}

#[test]
fn who_has_a_click_alone_is_nobody() {
    let mut world = World::new();
    world.click("c", 0, "click_id:g", "google");
    world.order("o", 1, "click_id:g", 100);
    let nobody = ["unattributed - - = 1000000 100"];
    assert_eq!(world.credits("first"), nobody);
    world.brand().click_id = true;
    assert_eq!(world.credits("first"), ["google - - = 1000000 100"]);
}

//! Permission to link and to join.
//!
//! Without permission to link, a record keeps the identifiers of one clear value; without
//! permission to join, records of the web and of tills are not connected.

use crate::support::World;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::cell::Family;
use tributary_operators::record::TouchKind;

/// A statement about an identifier that allows everything but linking.
fn link_less(world: &mut World, who: &str) {
    world.consent(who, 0, who, AllowedUses::ALL.without(Use::Link));
}

/// A statement about an identifier that allows everything but joining.
fn join_less(world: &mut World, who: &str) {
    world.consent(who, 0, who, AllowedUses::ALL.without(Use::Join));
}

#[test]
fn without_link_a_record_stands_for_its_cookie() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c email:ann", "google");
    world.order("o", 1, "email:ann", 100);
    world.order("p", 2, "cookie:c", 7);
    assert_eq!(world.credits("last"), ["google - - = 2000000 107"]);
    assert_eq!(world.lines(Family::Identity), [" = 1 2 1 0 0"]);

    // That the e-mail may not be linked is a matter of every record that names it.
    link_less(&mut world, "email:ann");
    assert_eq!(
        world.credits("last"),
        ["google - - = 1000000 7", "unattributed - - = 1000000 100"]
    );
    assert_eq!(world.lines(Family::Identity), [" = 2 2 0 0 0"]);
}

#[test]
fn the_kinds_have_an_order() {
    let order = [
        "cookie",
        "customer",
        "wallet",
        "device",
        "email",
        "phone",
        "name_postcode",
    ];
    for (first, kept) in order.iter().enumerate() {
        let names = |kind: &&str| format!("{kind}:x");
        let who: Vec<String> = order[first..].iter().map(names).collect();
        let mut world = World::new();
        world.order("all", 0, &who.join(" "), 1);
        world.order("kept", 0, &format!("{kept}:x"), 1);
        link_less(&mut world, &format!("{kept}:x"));
        // Both orders are of the one identifier that is kept.
        assert_eq!(world.lines(Family::Identity), [" = 1 1 0 0 0"], "{kept}");
    }
}

#[test]
fn the_hashes_of_one_value_stay_together() {
    let mut world = World::new();
    let ann = "email:ann email:ann-google=ann email:ann-meta=ann";
    world.order("o", 0, &format!("{ann} phone:1"), 1);
    link_less(&mut world, "phone:1");
    assert_eq!(world.lines(Family::Identity), [" = 1 3 3 0 0"]);
    // Of two values of one kind one is kept.
    let mut world = World::new();
    world.order("o", 0, "email:ann email:bob", 1);
    link_less(&mut world, "email:ann");
    assert_eq!(world.lines(Family::Identity), [" = 1 1 0 0 0"]);
}

#[test]
fn what_does_not_link_makes_no_hub() {
    let mut world = World::new();
    world.brand().max_degree[0] = 1;
    world.order("o1", 0, "cookie:c email:ann", 1);
    world.order("o2", 0, "cookie:d email:ann", 1);
    assert_eq!(world.lines(Family::Identity), [" = 2 3 0 1 0"]);
    link_less(&mut world, "cookie:c");
    assert_eq!(world.lines(Family::Identity), [" = 2 3 1 0 0"]);
}

#[test]
fn without_join_a_transaction_has_no_path() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c customer:ann", "google");
    world.order("o", 1, "cookie:c", 100);
    world.sale("t", 2, "customer:ann wallet:w", 7);
    assert_eq!(
        world.credits("last"),
        ["google - - = 1000000 100", "google - - = 1000000 7"]
    );
    join_less(&mut world, "wallet:w");
    assert_eq!(
        world.credits("last"),
        ["google - - = 1000000 100", "unattributed - - = 1000000 7"]
    );
    // The person is still one and the sale still hers.
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 7 1"]);
    assert_eq!(world.lines(Family::Identity), [" = 1 3 2 0 0"]);
}

#[test]
fn without_join_a_contact_stands_in_no_path_of_a_transaction() {
    let mut world = World::new();
    world.brand().max_path = 1;
    world.click("1", 0, "customer:ann", "blog");
    world.click("2", 1, "cookie:c customer:ann", "google");
    world.touch(TouchKind::Impression, "3", 2, "cookie:d", "banner");
    world.order("o", 3, "customer:ann", 100);
    world.sale("t", 3, "customer:ann", 7);
    join_less(&mut world, "cookie:c");
    // The newest touch that may be joined makes the till's path, however short paths are cut.
    assert_eq!(
        world.credits("last"),
        ["blog - - = 1000000 7", "google - - = 1000000 100"]
    );
}

#[test]
fn null_paths_are_no_matter_of_joining() {
    let mut world = World::new();
    world.click("1", 0, "customer:ann", "blog");
    world.click("2", 1, "customer:ann", "google");
    world.sale("t", 2, "customer:ann", 7);
    world.click("3", 0, "cookie:d", "google");
    // Half of all starts come to google at once, and half of what comes there converts: without the blog half of
    // the conversions are lost.
    let months = [
        "transaction 1970-01 EUR blog - - = 500000 333333 2",
        "transaction 1970-01 EUR google - - = 1000000 666667 5",
    ];
    assert_eq!(world.lines(Family::MarkovMonth), months);
    join_less(&mut world, "cookie:d");
    assert_eq!(world.lines(Family::MarkovMonth), months);
}

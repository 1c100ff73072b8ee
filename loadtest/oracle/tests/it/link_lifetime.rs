//! The lifetime of links: a record older than the `link_ttl` of a kind no longer links identifiers
//! of that kind.

use crate::support::{DAY, World};
use tributary_operators::cell::Family;
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BrandId, IdKind};

/// Persons, identifiers, links, hubs and oversized persons, with the age of links as of a time.
fn identity(world: &mut World, at: i64) -> String {
    let brand = BrandId(0);
    world.events.push(Event::LinkTime { brand, at });
    world.lines(Family::Identity).join("\n")
}

/// A telephone number that passed from one person to another.
fn recycled() -> World {
    let mut world = World::new();
    world.brand().link_ttl[IdKind::Phone as usize] = Some(10 * DAY);
    world.put("1", 0, "cookie:ann phone:1", Body::Identify);
    world.put("2", 5 * DAY, "cookie:bob phone:1", Body::Identify);
    world
}

#[test]
fn a_telephone_number_passes_from_one_person_to_another() {
    let mut world = recycled();
    world.click("c", 0, "cookie:ann", "google");
    world.order("o", 5 * DAY, "cookie:bob", 100);
    assert_eq!(identity(&mut world, 10 * DAY), " = 1 3 2 0 0");
    assert_eq!(world.credits("first"), ["google - - = 1000000 100"]);
    // To the millisecond.
    assert_eq!(identity(&mut world, 10 * DAY + 1), " = 2 3 1 0 0");
    let nobody = ["unattributed - - = 1000000 100"];
    assert_eq!(world.credits("first"), nobody);
    assert_eq!(identity(&mut world, 15 * DAY + 1), " = 2 2 0 0 0");
    // A clock that was set right brings everything back.
    assert_eq!(identity(&mut world, 10 * DAY), " = 1 3 2 0 0");
}

#[test]
fn without_a_time_or_a_lifetime_links_are_for_good() {
    let mut world = recycled();
    assert_eq!(world.lines(Family::Identity), [" = 1 3 2 0 0"]);
    world.brand().link_ttl.fill(None);
    assert_eq!(identity(&mut world, 10_000 * DAY), " = 1 3 2 0 0");
}

#[test]
fn a_record_that_links_nothing_any_more_stays_with_one_of_its_identifiers() {
    let mut world = World::new();
    world.brand().link_ttl.fill(Some(DAY));
    world.order("o", 0, "email:ann email:ann-google=ann phone:1", 100);
    world.order("p", 0, "phone:2", 200);
    assert_eq!(identity(&mut world, DAY), " = 2 4 3 0 0");
    // The hashes of one clear value are one identifier.
    assert_eq!(identity(&mut world, DAY + 1), " = 2 3 1 0 0");
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 2 300 2"]);
}

#[test]
fn a_hub_falls_back_when_its_links_end() {
    let mut world = World::new();
    world.brand().max_degree[IdKind::Cookie as usize] = 1;
    world.brand().link_ttl[IdKind::Cookie as usize] = Some(DAY);
    world.put("1", 0, "cookie:tablet email:ann", Body::Identify);
    world.put("2", DAY, "cookie:tablet email:bob", Body::Identify);
    assert_eq!(identity(&mut world, DAY), " = 2 3 0 1 0");
    assert_eq!(identity(&mut world, 2 * DAY), " = 2 3 1 0 0");
}

//! The hub guard: an identifier that shares records with too many others identifies nobody, until
//! their number falls again.

use crate::support::World;
use tributary_operators::cell::Family;
use tributary_operators::record::Body;

/// The `identity` cell.
fn identity(world: &World) -> String {
    world.lines(Family::Identity).join("\n")
}

/// A tablet in a store on which customers log in one after the other.
fn tablet(customers: u32) -> World {
    let mut world = World::new();
    // Cookie 2, the others as they are.
    world.brand().max_degree[2] = 2;
    for customer in 0..customers {
        let who = format!("cookie:tablet email:{customer}");
        world.put(&customer.to_string(), 0, &who, Body::Identify);
    }
    world
}

#[test]
fn it_turns_on_beyond_the_degree_and_off_again() {
    // persons, identifiers, links, hubs, oversized
    assert_eq!(identity(&tablet(2)), " = 1 3 2 0 0");
    let mut world = tablet(3);
    assert_eq!(identity(&world), " = 3 4 0 1 0");
    world.drop_record("web", "1");
    assert_eq!(identity(&world), " = 1 3 2 0 0");
}

#[test]
fn a_record_of_hubs_alone_is_anonymous() {
    let mut world = tablet(3);
    world.click("c", 0, "cookie:tablet", "google");
    world.order("o1", 0, "cookie:tablet", 10);
    world.order("o2", 0, "cookie:tablet email:2", 20);
    assert_eq!(world.credits("first"), ["unattributed - - = 2000000 30"]);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 2 30 1"]);
}

#[test]
fn the_hashes_of_one_clear_value_count_as_one() {
    let mut world = World::new();
    world.brand().max_degree[2] = 2;
    let ann = "email:ann email:ann-google=ann email:ann-uid=ann";
    let bob = "email:bob email:bob-google=bob email:bob-uid=bob";
    world.put("1", 0, &format!("cookie:c {ann}"), Body::Identify);
    world.put("2", 0, &format!("cookie:c {bob}"), Body::Identify);
    // Seven identifiers, two others for the cookie: 6 links in each record of four.
    assert_eq!(identity(&world), " = 1 7 12 0 0");
    world.put("3", 0, "cookie:c email:eve", Body::Identify);
    assert_eq!(identity(&world), " = 3 8 6 1 0");
}

#[test]
fn the_hashes_of_one_value_are_no_others_to_each_other() {
    let mut world = World::new();
    world.brand().max_degree[0] = 0;
    world.put("1", 0, "email:ann email:ann-google=ann", Body::Identify);
    assert_eq!(identity(&world), " = 1 2 1 0 0");
}

#[test]
fn hubs_count_as_others_and_once() {
    let mut world = tablet(3);
    world.brand().max_degree[0] = 1;
    // Ann has met the tablet, a hub, and one phone: two others are too many for an e-mail.
    world.put("p", 0, "email:0 phone:1", Body::Identify);
    world.put("q", 0, "email:0 phone:1", Body::Identify);
    assert_eq!(identity(&world), " = 3 5 0 2 0");
}

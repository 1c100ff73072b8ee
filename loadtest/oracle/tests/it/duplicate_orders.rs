//! One order reported by two sources: the earliest record counts, and the others are not sales.

use crate::support::{DAY, World, order};
use tributary_operators::cell::Family;

#[test]
fn the_earliest_counts() {
    let mut world = World::new();
    world.put_from("shop", "1", DAY, "email:ann", order("o", 100));
    world.put_from("web", "2", DAY - 1, "cookie:c", order("o", 90));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 90 1"]);
    // The other still says who is who.
    assert_eq!(world.lines(Family::Identity), [" = 2 2 0 0 0"]);

    world.drop_record("web", "2");
    assert_eq!(world.lines(Family::OrdersDay), ["day1 EUR = 1 100 1"]);
}

#[test]
fn ties_go_by_the_ids_bytes() {
    let mut world = World::new();
    world.put_from("shop", "b", 0, "", order("o", 1));
    world.put_from("shop", "B", 0, "", order("o", 2));
    world.put_from("shop", "é", 0, "", order("o", 3));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 2 0"]);
}

#[test]
fn transactions_of_one_name_all_count() {
    let mut world = World::new();
    world.sale("7", 0, "", 1);
    let held = tributary_oracle::fold_events(&world.events).records;
    world.put_from("crm", "7", 0, "", held[0].body.clone());
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 2 2 0"]);
}

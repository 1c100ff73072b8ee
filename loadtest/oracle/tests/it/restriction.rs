//! Restriction: records that are stored, but excluded from all numbers until the restriction is
//! lifted.

use crate::support::{EUR, World, order, refund};
use tributary_operators::cell::Family;
use tributary_operators::record::{Right, SaleKind};

/// A click and an order of a cookie, and a sale under the e-mail address that the order contains as
/// well.
fn customer() -> World {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.order("o", 10, "cookie:c email:ann", 100);
    world.sale("t", 20, "email:ann", 7);
    world
}

#[test]
fn restricted_in_any_of_its_identifiers_a_record_is_out() {
    let mut world = customer();
    let before = world.cells();
    world.right("r", 30, "email:ann", Right::Restriction, true);
    // The click alone is left; it names the cookie and nothing else.
    assert_eq!(world.lines(Family::Identity), [" = 1 1 0 0 0"]);
    assert_eq!(
        world.lines(Family::CampaignDay),
        ["google - - day0 = 0 1 0 1"]
    );
    assert!(world.lines(Family::OrdersDay).is_empty());
    assert!(world.lines(Family::StoreDay).is_empty());
    assert!(world.lines(Family::Attribution).is_empty());

    world.right("u", 40, "email:ann", Right::Restriction, false);
    assert_eq!(world.cells(), before);
}

#[test]
fn the_newest_counts_and_at_one_time_the_one_that_stands() {
    let mut world = customer();
    world.right("on", 30, "cookie:c email:ann", Right::Restriction, true);
    world.right("off", 30, "cookie:c email:ann", Right::Restriction, false);
    assert!(world.cells().is_empty());
    world.right("late", 29, "cookie:c email:ann", Right::Restriction, false);
    assert!(world.cells().is_empty());
    world.right("lifted", 31, "cookie:c", Right::Restriction, false);
    // The order still names the restricted e-mail.
    assert!(world.lines(Family::OrdersDay).is_empty());
    assert_eq!(world.lines(Family::Identity), [" = 1 1 0 0 0"]);
}

#[test]
fn the_second_order_of_a_name_counts_while_the_first_is_restricted() {
    let mut world = World::new();
    world.put_from("shop", "1", 0, "email:ann", order("o", 100));
    world.put_from("web", "2", 1, "cookie:c", order("o", 90));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 1"]);
    world.right("r", 9, "email:ann", Right::Restriction, true);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 90 1"]);
    world.right("u", 10, "email:ann", Right::Restriction, false);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 1"]);
}

#[test]
fn a_restricted_refund_takes_nothing() {
    let mut world = World::new();
    world.sale("t", 0, "", 100);
    let part = refund(SaleKind::Transaction, "t", Some((40, EUR)));
    world.put_from("till", "r", 1, "wallet:w", part);
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 60 0"]);
    world.right("r", 9, "wallet:w", Right::Restriction, true);
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 100 0"]);
}

#[test]
fn the_other_rights_change_no_number() {
    let mut world = customer();
    let before = world.cells();
    let all = "cookie:c email:ann";
    world.right("1", 30, all, Right::DoNotSell, true);
    world.right("2", 30, all, Right::ErasureAtDeath, true);
    assert_eq!(world.cells(), before);
    // And they lift no restriction, however new they are.
    world.right("3", 20, all, Right::Restriction, true);
    world.right("4", 50, all, Right::DoNotSell, false);
    assert!(world.cells().is_empty());
}

//! Withdrawn consent removes what it allowed, and renewed consent restores it.

use crate::support::{DAY, World, order};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;

/// A click and the order after it, both of one cookie.
fn customer() -> World {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.order("o", 10, "cookie:c", 100);
    world
}

#[test]
fn withdrawn_and_given_again() {
    let mut world = customer();
    let before = world.cells();
    assert_eq!(world.credits("last"), ["google - - = 1000000 100"]);

    world.consent("no", 20, "cookie:c", AllowedUses::NONE);
    assert!(world.cells().is_empty());

    world.consent("yes", 30, "cookie:c", AllowedUses::ALL);
    assert_eq!(world.cells(), before);
    // What was said earlier and arrives late no longer counts, and what was said is not undone by silence.
    world.consent("late", 25, "cookie:c", AllowedUses::NONE);
    assert_eq!(world.cells(), before);
    world.drop_record("consent", "yes");
    assert!(world.cells().is_empty());
    world.drop_record("consent", "late");
    world.drop_record("consent", "no");
    assert_eq!(world.cells(), before);
}

#[test]
fn of_one_time_what_all_allow() {
    let mut world = customer();
    let credit = AllowedUses::ALL.without(Use::Join);
    world.consent("a", 20, "cookie:c", credit);
    world.consent("b", 20, "cookie:c", AllowedUses::ALL.without(Use::Credit));
    // StoredState by both, credited by one alone.
    assert_eq!(world.credits("last"), ["unattributed - - = 1000000 100"]);
    world.consent("c", 20, "cookie:c", AllowedUses::ALL.without(Use::Hold));
    assert!(world.cells().is_empty());
}

#[test]
fn one_identifier_that_refuses_is_enough() {
    let mut world = World::new();
    world.order("o", 0, "cookie:c email:ann", 100);
    world.consent("yes", 20, "cookie:c", AllowedUses::ALL);
    world.consent("no", 10, "email:ann", AllowedUses::NONE);
    assert!(world.cells().is_empty());
}

#[test]
fn without_credit_a_contact_is_counted_and_no_touch() {
    let mut world = customer();
    // Another cookie's click makes a null path beside a conversion.
    world.click("2", 0, "cookie:d", "google");
    world.click("3", 0, "cookie:e", "blog");
    world.order("p", 10, "cookie:e", 7);
    let month = |world: &World| world.lines(Family::MarkovMonth);
    assert_eq!(month(&world).len(), 2);
    for cookie in ["cookie:c", "cookie:d"] {
        world.consent(cookie, 20, cookie, AllowedUses::ALL.without(Use::Credit));
    }
    assert_eq!(
        world.lines(Family::CampaignDay),
        ["blog - - day0 = 0 1 0 1", "google - - day0 = 0 2 0 2"]
    );
    assert_eq!(
        world.credits("last"),
        ["blog - - = 1000000 7", "unattributed - - = 1000000 100"]
    );
    assert_eq!(
        month(&world),
        ["order 1970-01 EUR blog - - = 1000000 1000000 7"]
    );
}

#[test]
fn where_a_source_rests_on_consent_silence_is_none() {
    let mut world = customer();
    world.order("nobody", 0, "", 1);
    world.order("mail", 0, "email:bob", 20);
    world.sale("till", 0, "email:bob", 300);
    world.brand().on_consent = [Label::of("web"), Label::of("till")].into();
    // Nobody is not asked.
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 1 0"]);
    assert!(world.lines(Family::StoreDay).is_empty());

    // Without a cookie any identifier may speak.
    world.consent("bob", DAY, "email:bob", AllowedUses::ALL);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 2 21 1"]);
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 300 1"]);

    // With one, the cookie must.
    world.put("o2", 0, "cookie:c email:bob", order("o2", 4_000));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 2 21 1"]);
    world.consent("c", DAY, "cookie:c", AllowedUses::ALL);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 4 4121 1"]);
}

#[test]
fn what_happened_at_a_till_rests_on_no_cookie() {
    let mut world = World::new();
    world.sale("t", 0, "email:ann", 100);
    world.consent("no", 10, "email:ann", AllowedUses::NONE);
    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 100 1"]);
}

#[test]
fn a_withdrawn_refund_refunds_nothing() {
    let mut world = customer();
    let refund = crate::support::refund(
        tributary_operators::record::SaleKind::Order,
        "o",
        Some((30, crate::support::EUR)),
    );
    world.put("r", 20, "cookie:d", refund);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 70 1"]);
    world.consent("no", 30, "cookie:d", AllowedUses::NONE);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 1 100 1"]);
}

#[test]
fn a_statement_is_nobodys_record() {
    let mut world = World::new();
    world.consent("1", 0, "cookie:c email:ann phone:1", AllowedUses::ALL);
    world.consent("2", 0, "", AllowedUses::NONE);
    assert!(world.cells().is_empty());
    world.order("o", 0, "cookie:c", 1);
    world.order("p", 0, "email:ann", 1);
    // Two persons, no link: that one statement names both says nothing of who they are.
    assert_eq!(world.lines(Family::Identity), [" = 2 2 0 0 0"]);
}

//! Contacts all count, whether they are touchpoints or not; of spend the last report counts.

use crate::support::{EUR, World};
use tributary_operators::cell::Family;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, TouchKind};

#[test]
fn every_contact_counts() {
    let mut world = World::new();
    let view = |touch| Body::Contact {
        kind: TouchKind::View,
        channel: Channel::direct(),
        touch,
    };
    world.put("1", 0, "cookie:c", view(true));
    world.put("2", 0, "cookie:c", view(false));
    world.put("3", 0, "cookie:d", view(false));
    world.touch(TouchKind::Impression, "4", 0, "cookie:c", "google");
    world.click("5", 0, "cookie:c email:e", "google");
    world.click("6", 0, "email:e", "google");
    assert_eq!(
        world.lines(Family::CampaignDay),
        ["direct none - day0 = 0 0 3 2", "google - - day0 = 1 2 0 1"]
    );
    // Only the landing is a touch.
    world.order("o1", 0, "cookie:d", 1);
    assert_eq!(world.credits("first"), ["unattributed - - = 1000000 1"]);
}

fn spend(cost: i64, impressions: u64, clicks: u64) -> Body {
    Body::Spend {
        platform: Label::of("ads"),
        channel: Channel::of("google", "", ""),
        cost,
        currency: EUR,
        impressions,
        clicks,
    }
}

#[test]
fn spend_is_released_always_unless_it_is_nothing() {
    let mut world = World::new();
    world.brand().k = 50;
    world.channel(["google", "ads", ""]);
    world.put("", 0, "", spend(-5, 7, 0));
    assert_eq!(
        world.lines(Family::SpendDay),
        ["ads google - - day0 EUR = -5 7 0"]
    );
    world.put("", 0, "", spend(0, 0, 0));
    assert!(world.lines(Family::SpendDay).is_empty());
}

//! The stored state: corrections by version and arrival, drops, and insertions after a drop.

use crate::support::{World, order};
use tributary_operators::cell::Family;
use tributary_operators::event::Event;
use tributary_operators::record::{Arrival, DeviceDay, Token};

/// A world with one order, inserted with each version and amount.
fn world(versions: &[(i64, i64)]) -> World {
    let mut world = World::new();
    for (version, amount) in versions {
        world.put_version("web", "o", *version, 0, "", order("o", *amount));
    }
    world
}

/// The revenue of the order.
fn revenue(world: &World) -> String {
    world.lines(Family::OrdersDay).join("\n")
}

#[test]
fn the_highest_version_wins_then_the_last_to_arrive() {
    assert_eq!(revenue(&world(&[(0, 1), (0, 2)])), "day0 EUR = 1 2 0");
    assert_eq!(revenue(&world(&[(1, 1), (0, 2)])), "day0 EUR = 1 1 0");
    assert_eq!(
        revenue(&world(&[(1, 1), (0, 2), (1, 3)])),
        "day0 EUR = 1 3 0"
    );
    assert_eq!(
        revenue(&world(&[(-1, 1), (i64::MIN, 2)])),
        "day0 EUR = 1 1 0"
    );
    // A, B, A ends as A.
    assert_eq!(
        revenue(&world(&[(0, 1), (0, 2), (0, 1)])),
        "day0 EUR = 1 1 0"
    );
}

#[test]
fn a_drop_clears_all_that_came_before() {
    let mut world = world(&[(5, 1)]);
    world.drop_record("web", "o");
    assert_eq!(revenue(&world), "");
    // The high version is forgotten too.
    world.put_version("web", "o", 0, 0, "", order("o", 2));
    assert_eq!(revenue(&world), "day0 EUR = 1 2 0");
    world.drop_record("web", "o");
    world.drop_record("web", "o");
    assert_eq!(revenue(&world), "");
    assert!(
        tributary_oracle::fold_events(&world.events)
            .records
            .is_empty()
    );
}

#[test]
fn only_the_place_of_arrival_matters_not_that_in_the_slice() {
    let mut world = world(&[(0, 1), (0, 2)]);
    world.drop_record("web", "o");
    world.put_version("web", "o", -3, 0, "", order("o", 3));
    let expected = tributary_oracle::fold_events(&world.events).records;
    world.events.reverse();
    assert_eq!(
        tributary_oracle::fold_events(&world.events).records,
        expected
    );
    assert_eq!(revenue(&world), "day0 EUR = 1 3 0");
}

#[test]
fn lines_of_one_message_arrive_in_their_order() {
    let mut world = world(&[(0, 1), (0, 2)]);
    for (line, event) in (0..).zip(world.events.iter_mut().rev()) {
        if let Event::Put { arrival, .. } = event {
            *arrival = Arrival { message: 7, line };
        }
    }
    assert_eq!(revenue(&world), "day0 EUR = 1 1 0");
}

#[test]
fn a_ping_counts_once_until_its_device_is_dropped() {
    let mut world = World::new();
    world.pings(1, false, &[10, 10, 20], -50);
    let pings = tributary_oracle::fold_events(&world.events).pings;
    assert_eq!(pings.len(), 2);
    let device = DeviceDay {
        brand: pings[0].brand,
        store: pings[0].store,
        salt_day: pings[0].salt_day,
        token: Token(pings[0].device),
    };
    world.events.push(Event::DropDevice { device });
    assert_eq!(tributary_oracle::fold_events(&world.events).pings, []);
    world.pings(1, false, &[20], -50);
    assert_eq!(
        tributary_oracle::fold_events(&world.events).pings,
        [pings[1]]
    );
}

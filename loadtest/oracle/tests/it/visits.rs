//! A store's day at the sensor: visits, passers-by, staff and random MAC addresses.

use crate::support::World;
use tributary_operators::cell::Family;
use tributary_operators::event::Event;

/// Visits, passers-by, dwell time in seconds, devices and random devices, by hour.
fn hours(world: &World) -> Vec<String> {
    world.lines(Family::Visits)
}

#[test]
fn a_visit_has_two_strong_seconds_and_a_minute() {
    let mut world = World::new();
    world.pings(1, false, &[100, 160], -75);
    world.pings(2, false, &[100, 159], -75);
    world.pings(3, false, &[100, 160], -76);
    world.pings(4, false, &[100], -20);
    assert_eq!(hours(&world), ["lyon 0+0 = 1 3 60 4 0"]);
}

#[test]
fn weak_seconds_stretch_a_run_and_the_strongest_of_a_second_counts() {
    let mut world = World::new();
    world.pings(1, false, &[0, 100, 200], -90);
    assert_eq!(hours(&world), ["lyon 0+0 = 0 1 0 1 0"]);
    world.pings(1, false, &[100, 101], -60);
    assert_eq!(hours(&world), ["lyon 0+0 = 1 0 200 1 0"]);
}

#[test]
fn a_gap_over_half_an_hour_ends_a_run() {
    let mut world = World::new();
    world.pings(1, false, &[0, 1_800], -50);
    world.pings(2, false, &[0, 1_801], -50);
    assert_eq!(hours(&world), ["lyon 0+0 = 1 2 1800 2 0"]);
    // A late ping between the two merges them.
    world.pings(2, false, &[900], -50);
    assert_eq!(hours(&world), ["lyon 0+0 = 2 0 3601 2 0"]);
}

#[test]
fn a_run_counts_in_the_hour_of_its_start_and_a_device_once_an_hour() {
    let mut world = World::new();
    world.pings(1, false, &[0, 1_800, 3_599, 3_700], -50);
    world.pings(1, false, &[7_300, 7_360], -50);
    assert_eq!(
        hours(&world),
        ["lyon 0+0 = 1 0 3700 1 0", "lyon 7200+0 = 1 0 60 1 0"]
    );
    world.pings(2, false, &[0], -50);
    world.pings(2, false, &[1_900, 1_960], -50);
    assert_eq!(
        hours(&world),
        ["lyon 0+0 = 2 1 3760 2 0", "lyon 7200+0 = 1 0 60 1 0"]
    );
}

#[test]
fn random_macs_count_nothing_but_themselves() {
    let mut world = World::new();
    world.pings(1, true, &[0, 60], -50);
    // Three runs of another, two of them in one hour.
    world.pings(2, true, &[0, 3_000, 5_500], -50);
    world.pings(3, false, &[0, 60], -50);
    assert_eq!(
        hours(&world),
        ["lyon 0+0 = 1 0 60 1 2", "lyon 3600+0 = 0 0 0 0 1"]
    );
}

#[test]
fn whoever_is_there_all_day_is_out_random_or_not() {
    let mut world = World::new();
    world.brand().max_presence = 1_000;
    // Two runs that add up to the bound, and to one second more.
    for (device, random, last) in [(1, false, 5_400), (2, false, 5_401), (3, true, 5_401)] {
        world.pings(device, random, &[0, 600, 5_000, last], -50);
    }
    assert_eq!(
        hours(&world),
        ["lyon 0+0 = 1 0 600 1 0", "lyon 3600+0 = 1 0 400 1 0"]
    );
}

#[test]
fn hours_are_local_and_days_make_other_tokens() {
    let mut world = World::new();
    world.pings(1, false, &[100, 200], -50);
    for event in &mut world.events {
        if let Event::Ping { ping, .. } = event {
            ping.utc_offset = 19_800;
        }
    }
    assert_eq!(hours(&world), ["lyon -1800+19800 = 1 0 100 1 0"]);
    // The salt changes between the two pings: two tokens, neither of which stays a minute.
    if let Some(Event::Ping { ping, .. }) = world.events.last_mut() {
        ping.salt_day = 1;
    }
    assert_eq!(hours(&world), ["lyon -1800+19800 = 0 2 0 2 0"]);
}

#[test]
fn traffic_has_its_own_gate() {
    let mut world = World::new();
    world.brand().k = 50;
    world.brand().k_traffic = 2;
    world.pings(1, false, &[0], -50);
    assert!(hours(&world).is_empty());
    // One device sends under many random addresses, which therefore carry nobody over the gate.
    world.pings(2, true, &[0], -50);
    assert!(hours(&world).is_empty());
    world.pings(3, false, &[0], -50);
    assert_eq!(hours(&world), ["lyon 0+0 = 0 2 0 2 1"]);
}

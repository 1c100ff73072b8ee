//! Path statistics: the channels of paths, their length, and the channels that assisted.

use crate::support::{DAY, World};
use tributary_operators::cell::Family;

#[test]
fn paths_lengths_days_and_assists() {
    let mut world = World::new();
    for (id, source) in [("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")] {
        world.click(id, id.parse().unwrap(), "cookie:c", source);
    }
    // One millisecond short of two days after the first touch, and two days after it.
    world.order("o1", 2 * DAY, "cookie:c", 70);
    world.order("o2", 2 * DAY + 1, "cookie:c", 30);
    // Without a touch nothing of this counts.
    world.order("o3", 2 * DAY, "cookie:other", 30);

    assert_eq!(
        world.lines(Family::Paths),
        ["order 1970-01 EUR a>b>a = 2 100"]
    );
    assert_eq!(world.lines(Family::PathLength), ["order 1970-01 EUR 4 = 2"]);
    assert_eq!(
        world.lines(Family::PathDays),
        ["order 1970-01 EUR 1 = 1", "order 1970-01 EUR 2 = 1"]
    );
    assert_eq!(
        world.lines(Family::Assists),
        [
            "order 1970-01 EUR a - - = 2 100",
            "order 1970-01 EUR b - - = 2 100"
        ]
    );
}

#[test]
fn a_long_path_shows_its_last_twenty_steps() {
    let mut world = World::new();
    for step in 0..25 {
        let source = ["even", "odd"][step % 2];
        world.click(&step.to_string(), step as i64, "cookie:c", source);
    }
    world.order("o", 100, "cookie:c", 1);
    let lines = world.lines(Family::Paths);
    let path = format!("{}odd>even", "odd>even>".repeat(9));
    assert_eq!(lines, [format!("order 1970-01 EUR {path} = 1 1")]);
    assert_eq!(
        world.lines(Family::PathLength),
        ["order 1970-01 EUR 25 = 1"]
    );
}

#[test]
fn a_single_touch_assists_nobody() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "a");
    world.order("o", 0, "cookie:c", 1);
    assert_eq!(world.lines(Family::Paths).len(), 1);
    assert_eq!(world.lines(Family::PathDays), ["order 1970-01 EUR 0 = 1"]);
    assert!(world.lines(Family::Assists).is_empty());
}

//! The lifetime of links: when the time as of which their age is determined moves in either
//! direction, persons split and merge, on any number of workers. Only the records whose links
//! change are visited.

use crate::support::story::{ACME, DAY, Story};
use crate::support::{released, run};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind};

/// Asserts that each batch releases what the oracle computes from all batches so far.
fn equals_the_oracle(story: &Story) {
    for workers in [1, 2, 3, 8] {
        let actual = run(&story.settings, &story.batches, workers);
        for (at, cells) in actual.iter().enumerate() {
            let held = tributary_oracle::fold_events(story.batches[..=at].iter().flatten());
            let expected = released(tributary_oracle::cells(&story.settings, &held));
            assert!(*cells == expected, "{workers} workers, batch {at}");
        }
    }
}

/// A history with lifetimes of links for some kinds.
fn with_lifetimes() -> Story {
    let mut story = Story::new();
    let acme = story.settings.brands.get_mut(&ACME).unwrap();
    acme.link_ttl[IdKind::Phone as usize] = Some(10 * DAY);
    acme.link_ttl[IdKind::Email as usize] = Some(20 * DAY);
    acme.max_degree[IdKind::Phone as usize] = 2;
    story
}

/// Sets the time as of which the age of links is determined.
fn set_link_time(story: &mut Story, day: i64) {
    story.then();
    let event = Event::LinkTime {
        brand: ACME,
        at: day * DAY,
    };
    story.batches.last_mut().unwrap().push(event);
}

/// Persons split as their links end, and merge when the time moves back.
#[test]
fn persons_split_and_merge_as_the_time_moves() {
    let mut story = with_lifetimes();
    story.click("c", 0, "cookie:ann", "google");
    story.put(
        "web",
        "1",
        DAY,
        "cookie:ann phone:1 email:ann",
        Body::Identify,
    );
    story.put("web", "2", 5 * DAY, "cookie:bob phone:1", Body::Identify);
    story.put("web", "3", 6 * DAY, "email:ann phone:1", Body::Identify);
    story.transaction("t", 7 * DAY, "phone:1 email:bob", 700);
    story.order("o", 8 * DAY, "cookie:bob", 800);
    for day in [3, 11, 12, 15, 16, 17, 18, 40] {
        set_link_time(&mut story, day);
    }
    // What comes under a later time is judged by it, and what is corrected is judged anew.
    story.then();
    story.put("web", "4", 9 * DAY, "cookie:ann phone:1", Body::Identify);
    story.put("web", "2", 39 * DAY, "cookie:bob phone:1", Body::Identify);
    story.then();
    story.forget("web", "1");
    story.forget("web", "2");
    for day in [12, 3] {
        set_link_time(&mut story, day);
    }
    // Nothing that was held is left anywhere.
    story.then();
    for (source, id) in [
        ("web", "c"),
        ("web", "3"),
        ("web", "4"),
        ("till", "t"),
        ("web", "o"),
    ] {
        story.forget(source, id);
    }
    set_link_time(&mut story, 100);
    equals_the_oracle(&story);
    assert!(
        run(&story.settings, &story.batches, 3)
            .pop()
            .unwrap()
            .is_empty()
    );
}

/// A record and a change of the time may arrive in one epoch.
#[test]
fn records_and_their_time_may_enter_together() {
    let mut story = with_lifetimes();
    set_link_time(&mut story, 30);
    story.put("web", "1", DAY, "cookie:ann phone:1", Body::Identify);
    story.put("web", "2", 25 * DAY, "cookie:bob phone:1", Body::Identify);
    story.put("web", "3", 25 * DAY, "cookie:eve", Body::Identify);
    let restored: Vec<Event> = story.batches.concat();
    story.batches = vec![restored];
    equals_the_oracle(&story);
}

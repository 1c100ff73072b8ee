//! The story of the demo against a real broker and a real worker: every step moves the numbers that the demo says it
//! moves, a rights request takes all of them back, and in the end every published cell is what it was before.

use std::time::{Duration, Instant};

use tributary::cli::demo::figures::figures;
use tributary::cli::demo::story::{Outcome, day, tell};
use tributary::report::published_cells::PublishedCells;
use tributary_config::model::Nats;
use tributary_connectors::out::parse_line;
use tributary_connectors::trace::TraceLine;
use tributary_simulate::{Options, STORY_PERSON, Story, StoryStep};
use tributary_testkit::NatsServer;

use crate::support::person::{ask, receipt_of};
use crate::support::story::{last, play, ready};
use crate::support::{PATIENCE, Worker, World, published, succeed, tributary};

/// Reads the published cells, sorted, until they are as they should be.
async fn read_until(broker: &Nats, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let mut lines = published(broker).await;
        lines.sort_unstable();
        if is_so(&lines) {
            return lines;
        }
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}: {lines:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The cells as the page has them.
fn cells(lines: &[String]) -> PublishedCells {
    let mut cells = PublishedCells::default();
    for line in lines {
        cells.apply(&parse_line(line).expect("a cell"));
    }
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_runs_against_a_real_broker_and_every_number_returns() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let crowd = Options {
        days: Some(6),
        persons: Some(400),
        ..Options::default()
    };
    let story = Story::new(crowd).expect("a story");
    let world = World::of(story.options().clone(), Some(&broker), "");
    let config = world.config();
    let brand = &config.brands[0];
    let today = day(&story, brand).expect("a day");
    let mut outcomes: Vec<Outcome> = Vec::new();
    let told = tokio::task::block_in_place(|| {
        tell(&story, &config, |outcome| {
            outcomes.push(outcome);
            Ok(())
        })
    });
    told.expect("the story of the demo");

    let client = ready(&broker).await;
    let file = world.path("tributary.toml");
    let worker = tokio::task::block_in_place(|| Worker::start(&file, &[]));
    let crowd: Vec<TraceLine> = world.trace().collect();
    play(&client, &crowd, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    let mut expected = world.replayed();
    expected.sort_unstable();
    let before = read_until(&broker, "the crowd", |lines| lines == expected).await;
    let at = |lines: &[String]| figures(&cells(lines), &brand.name, today);
    assert_eq!(at(&before), outcomes[0].before);

    for outcome in &outcomes {
        let step = outcome.step;
        let lines = outcome.sent.iter().map(|line| TraceLine {
            subject: line.subject.clone(),
            at: line.at,
            headers: Vec::new(),
            data: line.data.clone().into_bytes(),
        });
        play(&client, &lines.collect::<Vec<_>>(), None).await;
        if step == StoryStep::Erasure {
            let (email, device) = (STORY_PERSON.email, STORY_PERSON.device);
            let identifiers = [format!("email={email}"), format!("device={device}")];
            let receipt = tokio::task::block_in_place(|| {
                let [email, device] = identifiers.each_ref().map(String::as_str);
                ask(&world, "erase", &["--whole-person", email, device])
            });
            let receipt = receipt_of(&receipt);
            let records = &receipt["counts"]["records"];
            assert!(records.as_u64() > Some(0), "{receipt}");
        }
        let after = read_until(&broker, step.name(), |lines| at(lines) == outcome.after).await;
        assert!(outcome.changes().count() > 0, "{}", step.name());
        if step != StoryStep::Erasure {
            assert_ne!(after, expected, "{}", step.name());
        }
    }
    // Not only the six figures: every cell.
    read_until(&broker, "everything returns", |lines| lines == expected).await;
    tokio::task::block_in_place(|| worker.stop());
}

#[test]
fn the_story_is_the_same_on_every_machine() {
    let run = |workers: &str| {
        let mut command = tributary();
        command.args(["demo", "--story", "--json", "--workers", workers]);
        let output = succeed(&mut command);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let story = run("1");
    assert_eq!(story, run("3"), "workers never show");
    assert_eq!(story["returned"], true);
    let steps = story["steps"].as_array().expect("steps");
    let change = |step: &str, figure: &str| {
        let step = steps.iter().find(|of| of["step"] == step);
        let mut changed = step.expect("the step")["changed"]
            .as_array()
            .expect("changes")
            .iter();
        let change = changed.find(|change| change["figure"] == figure);
        change.map(|change| {
            // Shortly after midnight, nobody of the crowd has come today, so that a number has nothing to start from.
            let [from, to] = ["from", "to"].map(|of| change[of].as_i64().unwrap_or(0));
            to - from
        })
    };
    for (step, figure, by) in [
        ("click", "search_clicks", Some(1)),
        ("click", "store_revenue", None),
        ("newsletter", "newsletter_clicks", Some(1)),
        ("visit", "visits", Some(1)),
        ("sale", "store_revenue", Some(8_000)),
        ("sale", "search_credit", Some(4_000)),
        ("sale", "newsletter_credit", Some(4_000)),
        ("refund", "store_revenue", Some(-3_000)),
        ("refund", "search_credit", Some(-1_500)),
        ("refund", "newsletter_credit", Some(-1_500)),
        ("refund", "visits", None),
        ("erasure", "search_clicks", Some(-1)),
        ("erasure", "newsletter_clicks", Some(-1)),
        ("erasure", "visits", Some(-1)),
        ("erasure", "store_revenue", Some(-5_000)),
        ("erasure", "search_credit", Some(-2_500)),
        ("erasure", "newsletter_credit", Some(-2_500)),
    ] {
        assert_eq!(change(step, figure), by, "{step} {figure}");
    }
}

#[test]
fn the_story_is_for_people_and_says_which_gate_it_has() {
    let mut command = tributary();
    command.args(["demo", "--story"]);
    let text = String::from_utf8(succeed(&mut command).stdout).expect("text");
    for part in [
        "Every number is released here (release.k = 1).",
        "1. Ada clicks",
        "6. She requests the erasure of her data.",
        "a rights request: erase email ada.story@example.org",
        "Every number is where it was before the first step.",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let is_message = |line: &&str| !line.trim_start().starts_with('{');
    let mut lines = text.lines().filter(is_message);
    assert!(lines.all(|line| line.chars().count() <= 112), "{text}");
}

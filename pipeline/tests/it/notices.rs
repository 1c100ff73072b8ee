//! Wordings of consent statements: a person reads the text that she agreed to, and when no statement names it any more, it is gone
//! from the ledger with its next rewrite.

use std::sync::Arc;

use crate::support::person::ask;
use crate::support::story::{last, play, ready};
use crate::support::{Worker, World};
use crate::wallet_passes::{DAY, line as told, replay};
use serde_json::json;
use tributary_connectors::trace::TraceLine;
use tributary_ledger::{Keyring, Ledger, Options};
use tributary_operators::event::Event;
use tributary_testkit::NatsServer;

const BEGIN: i64 = 1_760_000_000_000;
const HERS: &str = "I agree that the orchard measures which of its letters lead me to a shop.";
const HIS: &str = "Ich bin einverstanden.";

fn line(kind: &str, data: serde_json::Value) -> TraceLine {
    TraceLine {
        subject: format!("tributary.in.orchard.{kind}"),
        at: BEGIN + 1,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

fn statement(id: &str, email: &str, wording: &str) -> TraceLine {
    let data = json!({
        "id": id, "ts": BEGIN, "email": email, "purposes": {"1": true, "7": true},
        "evidence": {"notice": "letters", "notice_version": "2", "language": "en", "wording": wording,
            "boxes": {"7": {"preticked": true}}},
    });
    line("consent", data)
}

/// Every event of a ledger as text, by an event each.
fn events(world: &World) -> Vec<String> {
    let keyring = Arc::new(Keyring::new(&world.config()));
    let opened = Ledger::open(Options::new(world.ledger(0)), keyring.clone());
    let (ledger, mut recovered) = opened.unwrap();
    let mut events = Vec::new();
    while let Some(block) = recovered.next_block().unwrap() {
        let mut day = |_, ts: i64| ts.div_euclid(86_400_000) as i32;
        let mut each = |event: Event| events.push(format!("{event:?}"));
        block.open(&keyring, 0, &mut day, &mut each).unwrap();
    }
    ledger.close().unwrap();
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_the_wording_and_it_is_gone_when_nobody_names_it() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(1, Some(&broker), "[workers]\nthreads = 2");
    let client = ready(&broker).await;
    let config = world.path("tributary.toml");
    let worker = Worker::start(&config, &[]);
    let lines = [
        statement("k1", "her@example.com", HERS),
        statement("k2", "her.sister@example.com", HERS),
        statement("k3", "him@example.com", HIS),
    ];
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let answer = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        ask(&world, "access", &["email=her@example.com"])
    });
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let says = &answer["records"][0]["says"];
    assert_eq!(says["boxes"][0]["wording"], HERS, "{answer}");
    assert_eq!(says["boxes"][0]["answer"], "ticked");
    assert_eq!(says["boxes"][0]["notice"], "letters");
    assert_eq!(says["boxes"][1]["answer"], "preticked");
    assert_eq!(says["allowed"], json!(["hold", "share"]));
    assert!(!answer.to_string().contains(HIS));

    // The first statement to go leaves the text to the second.
    tokio::task::block_in_place(|| {
        ask(&world, "erase", &["email=her@example.com"]);
        let answer = ask(&world, "access", &["email=her.sister@example.com"]);
        assert!(answer.contains(HERS));
    });
    let held = || worker.metric("tributary_labels_held").unwrap_or(0.0);
    let sell = async |n: u64| {
        let sale = json!({
            "id": format!("sale {n}"), "ts": BEGIN, "store": "lyon", "amount": 10,
            "email": "buyer@example.com",
        });
        play(&client, &[line("transaction", sale)], None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
    };
    sell(0).await;
    // The gauge follows once a second.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let before = held();
    tokio::task::block_in_place(|| ask(&world, "erase", &["email=her.sister@example.com"]));
    // Names are withdrawn while other records come.
    for n in 1.. {
        sell(n).await;
        if held() < before {
            break;
        }
        assert!(n < 100, "{} names are held", held());
    }
    // An erasure writes the ledger anew.
    tokio::task::block_in_place(|| {
        ask(&world, "erase", &["email=buyer@example.com"]);
        worker.kill();
    });
    let events = events(&world);
    assert!(events.iter().any(|event| event.contains(HIS)), "{events:?}");
    let hers = events.iter().filter(|event| event.contains(HERS));
    assert_eq!(hers.collect::<Vec<_>>(), [""; 0]);
}

/// What a replay counts of some statements, each of an e-mail address, a minute, and the fields behind it.
fn counted(statements: &[(&str, &str, i64, &str)]) -> Vec<String> {
    let statements = statements.iter().map(|(id, name, minute, fields)| {
        let fields = format!(r#""id":"{id}","email":"{name}@example.org",{fields}"#);
        told("consent", *minute, &fields)
    });
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.ndjson");
    std::fs::write(&trace, statements.collect::<String>()).unwrap();
    replay(&trace, "", &["notice_day"])
}

#[test]
fn boxes_count_by_notice_and_a_tick_is_withdrawn_by_the_next_statement() {
    let terms = r#""notice":"terms","notice_version":1,"language":"en","wording":"I agree""#;
    let with = |answer: &str, more: &str| {
        format!(r#""purposes":{{"7":{answer}}},"evidence":{{{terms}{more}}}"#)
    };
    let (ticked, unticked) = (with("true", ""), with("false", ""));
    let preticked = with("true", r#","preticked":true"#);
    let settings =
        |answer: &str| format!(r#""purposes":{{"7":{answer}}},"evidence":{{"notice":"settings"}}"#);
    let cell = |day: &str, notice: &str, rest: &str, values: [u8; 4]| {
        let [preticked, ticked, unticked, withdrawn] = values;
        format!(
            r#"{{"cell":{{"box":"7","brand":"acme","day":"2025-10-{day}","language":{rest}}},"family":"notice_day","value":{{"preticked":{preticked},"ticked":{ticked},"unticked":{unticked},"withdrawn":{withdrawn}}}}}"#
        )
        .replace("NOTICE", notice)
    };
    let of_terms = r#""en","notice":"NOTICE","version":"1""#;
    let of_settings = r#"null,"notice":"NOTICE","version":null"#;
    let (refused, agreed) = (settings("false"), settings("true"));
    let story = [
        ("1", "jane", 60, &*ticked),
        ("2", "joe", 61, &*preticked),
        ("3", "ann", 62, &*unticked),
        ("4", "jane", DAY + 60, &*refused),
    ];
    assert_eq!(
        counted(&story),
        [
            cell("01", "terms", of_terms, [1, 1, 1, 1]),
            cell("02", "settings", of_settings, [0, 0, 1, 0]),
        ]
    );
    // A correction of what she said last.
    let corrected = [&story[..], &[("4", "jane", DAY + 60, &*agreed)]].concat();
    assert_eq!(
        counted(&corrected),
        [
            cell("01", "terms", of_terms, [1, 1, 1, 0]),
            cell("02", "settings", of_settings, [0, 1, 0, 0]),
        ]
    );
    // A box without a notice is in no cell.
    assert_eq!(
        counted(&[("1", "jane", 60, r#""purposes":{"7":true}"#)]),
        [""; 0]
    );
}

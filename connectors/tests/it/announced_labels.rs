//! Labels: every label that an event uses is announced before it, exactly once.

use std::collections::BTreeSet;

use crate::common::AT;
use crate::sink::DecoderHarness;
use tributary_operators::event::Event;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::Body;

fn labels(event: &Event) -> Vec<Label> {
    let of = |body: &Body| match body {
        Body::Contact { channel, .. } | Body::Exposure { channel, .. } => {
            vec![channel.source, channel.medium, channel.campaign]
        }
        Body::Sale { store, .. }
        | Body::Sighting { store, .. }
        | Body::SettledVisit { store, .. }
        | Body::Refund { store, .. }
        | Body::Restatement { store, .. }
        | Body::Adjustment { store, .. } => {
            vec![*store]
        }
        Body::Spend {
            platform, channel, ..
        } => {
            vec![*platform, channel.source, channel.medium, channel.campaign]
        }
        Body::Wallet { store, channel, .. } => {
            vec![*store, channel.source, channel.medium, channel.campaign]
        }
        Body::PanelMember { .. } => vec![],
        Body::Identify | Body::PartnerLink | Body::Consent { .. } | Body::Right { .. } => vec![],
    };
    match event {
        Event::Put { record, .. } => [vec![record.source], of(&record.body)].concat(),
        Event::Ping { ping, .. } => vec![ping.store],
        Event::Drop { .. }
        | Event::DropDevice { .. }
        | Event::TokenizedPing { .. }
        | Event::SettledHour { .. }
        | Event::SettledDevices { .. }
        | Event::ClosedVisits { .. }
        | Event::UnmatchedStays { .. }
        | Event::SightingsSettled { .. }
        | Event::SaltDaysClosed { .. }
        | Event::LinkTime { .. }
        | Event::Evidence { .. }
        | Event::LabelName { .. } => vec![],
    }
}

fn send_everything(harness: &mut DecoderHarness) {
    for round in 0..3 {
        let store = round % 2;
        for (kind, fields) in [
            (
                "web",
                r#""type":"click","source":"google","medium":"cpc","campaign":"\u00e9""#,
            ),
            ("web", r#""type":"view""#),
            ("web", r#""type":"order","amount":1"#),
            ("transaction", r#""amount":1"#),
            ("transaction", r#""amount":-1"#),
            (
                "spend",
                r#""date":"2023-11-14","platform":"ads","campaign":"c","cost":1"#,
            ),
            ("ping", r#""sensor":"d","device":"x","rssi":-1"#),
        ] {
            let line = format!(r#"{{"id":"i","ts":{AT},"store":"s{store}",{fields}}}"#);
            harness.send(&format!("tributary.in.acme.{kind}"), line.as_bytes());
        }
    }
}

#[test]
fn words_come_once_and_before_their_labels() {
    let mut harness = DecoderHarness::acme();
    send_everything(&mut harness);
    assert_eq!(harness.kept.dead, []);
    let mut announced: BTreeSet<Label> = OWN_WORDS.iter().map(|word| Label::of(word)).collect();
    for event in &harness.kept.events {
        if let Event::LabelName { label, word, .. } = event {
            assert_eq!(Label::of(word), *label);
            assert!(announced.insert(*label), "{word} was announced before");
        }
        for label in labels(event) {
            assert!(label.is_absent() || announced.contains(&label), "{event:?}");
        }
    }
}

#[test]
fn any_two_decoders_give_the_same_events_and_a_clone_has_told_the_same_words() {
    let (mut one, mut two) = (DecoderHarness::acme(), DecoderHarness::acme());
    send_everything(&mut one);
    send_everything(&mut two);
    assert_eq!(one.kept.events, two.kept.events);
    let mut clone = DecoderHarness::acme();
    clone.decoder = one.decoder.clone();
    send_everything(&mut clone);
    let word = |event: &&Event| matches!(event, Event::LabelName { .. });
    assert_eq!(clone.kept.events.iter().filter(word).count(), 0);
}

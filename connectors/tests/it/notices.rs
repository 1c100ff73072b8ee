//! What a form showed beside its boxes: who ticked decides what is allowed, and a wording is kept once.

use crate::common::{AT, brand, config};
use crate::sink::DecoderHarness;
use tributary_connectors::dead_letter::Reason;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, BoxAnswer, NoticeBox, Right};

const WORDING: &str = "I agree to the measurement of advertising.";

fn sent(fields: &str) -> DecoderHarness {
    let mut harness = DecoderHarness::new(&config(vec![brand("acme")]));
    let line = format!(r#"{{"id":"k1","ts":{AT},"email":"jane@example.org",{fields}}}"#);
    harness.send("tributary.in.acme.consent", line.as_bytes());
    harness
}

/// What the statement allows, and its boxes: name, answer, notice, version, language and wording.
fn read(fields: &str) -> (AllowedUses, Vec<(BoxAnswer, [String; 5])>) {
    let harness = sent(fields);
    assert_eq!(harness.kept.dead, []);
    let words = |of: &NoticeBox| {
        of.labels().map(|label| match label.is_absent() {
            true => String::new(),
            false => harness.kept.word(label).to_string(),
        })
    };
    match &harness.kept.records()[0].body {
        Body::Consent { steps, boxes, .. } => {
            let boxes = boxes.iter().flat_map(|boxes| boxes.iter());
            (*steps, boxes.map(|of| (of.answer, words(of))).collect())
        }
        other => panic!("{other:?}"),
    }
}

fn evidence(fields: &str) -> String {
    let harness = sent(fields);
    let events = harness.kept.events.iter();
    let mut texts = events.filter_map(|event| match event {
        Event::Evidence { text, .. } => Some(text.to_string()),
        _ => None,
    });
    texts.next().unwrap()
}

const NONE: AllowedUses = AllowedUses::NONE;

#[test]
fn a_pre_ticked_box_grants_nothing() {
    let asked = |evidence: &str| {
        let (steps, boxes) = read(&format!(
            r#""purposes":{{"1":true,"7":true,"9":false}},"evidence":{evidence}"#
        ));
        let answers: Vec<BoxAnswer> = boxes.into_iter().map(|(answer, _)| answer).collect();
        (steps, answers)
    };
    use BoxAnswer::{Preticked, Ticked, Unticked};
    let granted = NONE.with(Use::Share).with(Use::Hold).with(Use::Credit);
    assert_eq!(
        asked(r#"{"notice":"terms"}"#),
        (granted, vec![Ticked, Ticked, Unticked])
    );
    for nobody in [
        r#"{"preticked":true}"#,
        r#"{"notice":"terms","method":"implied"}"#,
        r#"{"method":"scroll","preticked":false}"#,
    ] {
        let nothing = (NONE.with(Use::Share), vec![Preticked, Preticked, Unticked]);
        assert_eq!(asked(nobody), nothing, "{nobody}");
    }
    // Of one box alone.
    let held = NONE.with(Use::Share).with(Use::Hold);
    assert_eq!(
        asked(r#"{"notice":"terms","boxes":{"7":{"preticked":true}}}"#),
        (held, vec![Ticked, Preticked, Unticked])
    );
    assert_eq!(
        asked(r#"{"preticked":true,"boxes":{"1":{"preticked":false}}}"#),
        (held, vec![Ticked, Preticked, Unticked])
    );
}

#[test]
fn an_opt_out_counts_whoever_made_it_and_its_absence_grants_nothing() {
    let out = |value: bool| {
        sent(&format!(
            r#""purposes":{{"do_not_sell":{value}}},"evidence":{{"preticked":true}}"#
        ))
    };
    let right = Body::Right {
        right: Right::DoNotSell,
        stands: true,
    };
    assert_eq!(out(true).kept.records()[0].body, right);
    let refused = out(false);
    assert_eq!(refused.kept.reasons(), [Reason::BadConsent]);
    assert!(refused.kept.events.is_empty());
    let (steps, _) =
        read(r#""purposes":{"1":true,"do_not_sell":true},"evidence":{"method":"implied"}"#);
    assert_eq!(steps, NONE);
}

#[test]
fn a_wording_is_a_name_and_the_evidence_has_its_hash() {
    let fields = format!(
        r#""purposes":{{"1":false,"7":true}},"evidence":{{"url":"/join", "wording":"{WORDING}","notice":"terms","notice_version":3,"language":"en","boxes":{{"1":{{"wording":"Keep \"me\"","at":1.50}}}}}}"#
    );
    let (_, boxes) = read(&fields);
    let words = |name: &str, wording: &str| [name, "terms", "3", "en", wording].map(str::to_owned);
    assert_eq!(
        boxes,
        [
            (BoxAnswer::Unticked, words("1", "Keep \"me\"")),
            (BoxAnswer::Ticked, words("7", WORDING)),
        ]
    );
    // The hashes are those of `printf 'TEXT' | sha256sum`.
    assert_eq!(
        evidence(&fields),
        r#"{"evidence":{"boxes":{"1":{"at":1.50,"wording_sha256":"82cfddf3ad11ac62ed48eaf9fe15b4561894175cf78ba75d222a4e17ae25af5d"}},"language":"en","notice":"terms","notice_version":3,"url":"/join","wording_sha256":"b104726bc96a3e53bc0ee1598bea61961b9a963d7207c22fa21b32e86ee1a1b7"},"id":"k1","method":"boxes","signal":{"1":false,"7":true},"source":"consent"}"#
    );
    // A form that shows nothing known says nothing of its boxes.
    let (_, boxes) = read(r#""purposes":{"1":true},"evidence":{"page":"/join"}"#);
    assert_eq!(boxes, []);
}

#[test]
fn a_text_of_64_kib_is_a_wording_and_a_longer_one_is_refused() {
    let fields = |length: usize| {
        let wording = "\\u00e9".repeat(length / 2);
        format!(r#""purposes":{{"1":true}},"evidence":{{"wording":"{wording}"}}"#)
    };
    let (_, boxes) = read(&fields(65_536));
    assert_eq!(boxes[0].1[4].len(), 65_536);
    let long = sent(&fields(65_538));
    assert_eq!(long.kept.reasons(), [Reason::TextTooLong]);
    assert!(long.kept.dead[0].detail.contains("evidence.wording"));
    for (wrong, name) in [
        (r#"{"notice":{}}"#, "evidence.notice"),
        (r#"{"preticked":"yes"}"#, "evidence.preticked"),
        (r#"{"boxes":{"1":{"language":[]}}}"#, "evidence.language"),
    ] {
        let refused = sent(&format!(r#""purposes":{{"1":true}},"evidence":{wrong}"#));
        assert_eq!(refused.kept.reasons(), [Reason::WrongType]);
        assert!(refused.kept.dead[0].detail.contains(name), "{wrong}");
    }
}

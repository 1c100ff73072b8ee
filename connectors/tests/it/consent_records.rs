//! A form, a call or a preference centre sends what somebody chose: a record of its own, with what was shown.

use crate::common::{AT, brand, config};
use crate::sink::DecoderHarness;
use tributary_config::model::{Brand, Consent};
use tributary_connectors::dead_letter::Reason;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, IdKind, RecordKey, Right};

const CONSENT: &str = "tributary.in.acme.consent";

fn acme() -> Brand {
    Brand {
        consent: Consent {
            vendor: Some(755),
            ..Consent::default()
        },
        ..brand("acme")
    }
}

fn sent(brand: Brand, line: &str) -> DecoderHarness {
    let mut harness = DecoderHarness::new(&config(vec![brand]));
    harness.send(CONSENT, line.as_bytes());
    harness
}

fn line(fields: &str) -> String {
    format!(r#"{{"id":"k1","ts":{AT},{fields}}}"#)
}

/// The body of a statement by e-mail.
fn body(signal: &str) -> Body {
    let harness = sent(
        acme(),
        &line(&format!(r#""email":"jane@example.org",{signal}"#)),
    );
    assert_eq!(harness.kept.dead, []);
    // An opt-out beside it is a statement of its own.
    let record = harness
        .kept
        .records()
        .into_iter()
        .find(|record| &*record.id == "k1");
    match record.unwrap().body.clone() {
        // Which string it was is another story.
        Body::Consent { steps, .. } => Body::Consent {
            steps,
            string: None,
            boxes: None,
        },
        other => other,
    }
}

fn reason(fields: &str) -> Reason {
    let harness = sent(acme(), &line(fields));
    assert!(harness.kept.events.is_empty(), "{fields}");
    harness.kept.dead[0].reason
}

fn allowed(steps: &[Use]) -> Body {
    let steps = steps
        .iter()
        .fold(AllowedUses::NONE, |steps, step| steps.with(*step));
    Body::Consent {
        steps,
        string: None,
        boxes: None,
    }
}

/// Key, time and text of the evidence.
fn evidence(harness: &DecoderHarness) -> (RecordKey, i64, String) {
    let mut kept = harness.kept.events.iter().filter_map(|event| match event {
        Event::Evidence { key, ts, text, .. } => Some((*key, *ts, text.to_string())),
        _ => None,
    });
    let one = kept.next().expect("evidence");
    assert!(kept.next().is_none());
    one
}

#[test]
fn strings_and_boxes_become_steps() {
    let tc = |string: &str| body(&format!(r#""tc_string":"{string}""#));
    assert_eq!(
        tc(crate::strings::MEASURED),
        allowed(&[Use::Hold, Use::Credit, Use::Share])
    );
    assert_eq!(tc(crate::strings::NOTHING), allowed(&[Use::Share]));
    assert_eq!(
        body(
            r#""purposes":{"1":true,"7":true,"9":false,"feature_2":true,"special_feature_1":true}"#
        ),
        allowed(&[Use::Hold, Use::Credit, Use::Link, Use::Position, Use::Share])
    );
    assert_eq!(
        body(r#""purposes":{"1":true,"9":true,"do_not_sell":true}"#),
        allowed(&[Use::Hold, Use::Join])
    );
    assert_eq!(body(r#""purposes":{"1":false}"#), allowed(&[Use::Share]));
    assert_eq!(
        body(&format!(r#""gpp":"{}""#, crate::strings::GPP_TC)),
        allowed(&[Use::Share])
    );
}

#[test]
fn opt_outs_alone_stand_and_are_taken_back() {
    let right = |stands| Body::Right {
        right: Right::DoNotSell,
        stands,
    };
    assert_eq!(body(r#""purposes":{"do_not_sell":true}"#), right(true));
    assert_eq!(
        body(r#""purposes":{"do_not_sell":false,"do_not_share":true}"#),
        right(true)
    );
    assert_eq!(body(r#""purposes":{"do_not_sell":false}"#), right(false));
    assert_eq!(
        body(&format!(r#""gpp":"{}""#, crate::strings::US_OUT)),
        right(true)
    );
    assert_eq!(
        body(&format!(r#""gpp":"{}""#, crate::strings::US_IN)),
        right(false)
    );
}

#[test]
fn a_statement_names_whoever_made_it_and_is_corrected_by_its_id() {
    let fields = r#""email":"Jane@Example.org","phone":"0612345678","cookie":"c1","customer":"K7","wallet":"w","device":"d","purposes":{"1":true}"#;
    let harness = sent(acme(), &line(fields));
    let record = harness.kept.records()[0];
    let mut kinds: Vec<IdKind> = record.ids.ids().iter().map(|id| id.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, IdKind::ALL[..6]);
    assert_eq!((&*record.id, record.ts), ("k1", AT));
    assert_eq!(harness.kept.word(record.source), "consent");

    let put = |line: &str| {
        let harness = sent(acme(), line);
        let put = harness.kept.events.iter().find_map(|event| match event {
            Event::Put { key, version, .. } => Some((*key, *version)),
            _ => None,
        });
        put.unwrap()
    };
    let first = put(&line(fields));
    let second = put(&line(
        r#""version":3,"email":"a@example.org","purposes":{"1":false}"#,
    ));
    assert_eq!((first.0, first.1), (second.0, 0));
    assert_eq!(second.1, 3);
    // It meets the web records of the same cookie.
    let mut web = DecoderHarness::new(&config(vec![acme()]));
    let view = format!(r#"{{"id":"w","ts":{AT},"type":"view","cookie":"c1"}}"#);
    web.send("tributary.in.acme.web", view.as_bytes());
    let cookie = web.kept.records()[0].ids.ids()[0];
    assert!(record.ids.ids().contains(&cookie));
}

#[test]
fn what_was_shown_is_kept_word_for_word() {
    let shown = r#"{ "text": "Do you \"agree\" ?", "page":"/sign-up",
        "rate": 1.50 }"#;
    let fields = format!(r#""customer":"K7","purposes":{{"9":true,"1":true}},"evidence":{shown}"#);
    let harness = sent(acme(), &line(&fields));
    let (_, ts, text) = evidence(&harness);
    assert_eq!(ts, AT);
    assert_eq!(
        text,
        r#"{"evidence":{"text":"Do you \"agree\" ?","page":"/sign-up","rate":1.50},"id":"k1","method":"boxes","signal":{"1":true,"9":true},"source":"consent"}"#
    );
    let fields = r#""customer":"K7","purposes":{"1":true},"evidence":"by telephone, \\ 3 pm""#;
    let (_, _, text) = evidence(&sent(acme(), &line(fields)));
    assert_eq!(
        text,
        r#"{"evidence":"by telephone, \\ 3 pm","id":"k1","method":"boxes","signal":{"1":true},"source":"consent"}"#
    );
    for absent in ["", r#","evidence":null"#, r#","evidence":"""#] {
        let fields = format!(r#""customer":"K7","purposes":{{"1":true}}{absent}"#);
        let (_, _, text) = evidence(&sent(acme(), &line(&fields)));
        assert!(text.starts_with(r#"{"id":"k1","#), "{text}");
    }
}

#[test]
fn evidence_of_one_statement_is_one() {
    let fields = r#""customer":"K7","purposes":{"1":true}"#;
    let (key, ..) = evidence(&sent(acme(), &line(fields)));
    assert_eq!(key, evidence(&sent(acme(), &line(fields))).0);
    let other_id = line(fields).replace("k1", "k2");
    assert_ne!(key, evidence(&sent(acme(), &other_id)).0);
    let other_person = line(fields).replace("K7", "K8");
    assert_ne!(key, evidence(&sent(acme(), &other_person)).0);
    let other_choice = line(fields).replace("true", "false");
    assert_ne!(key, evidence(&sent(acme(), &other_choice)).0);
    assert_eq!(
        key.0, KEY,
        "{:#x}: it stands in ledgers and never changes",
        key.0
    );
}

const KEY: u128 = 0x125f_2aa5_a68d_8d1d_c454_cd40_3942_5626;

#[test]
fn what_is_missing_or_too_much_is_refused() {
    let signal = r#""purposes":{"1":true}"#;
    assert_eq!(reason(signal), Reason::MissingField);
    assert_eq!(
        reason(&format!(r#""email":"guest",{signal}"#)),
        Reason::MissingField
    );
    assert_eq!(
        reason(&format!(r#""phone":"12",{signal}"#)),
        Reason::MissingField
    );
    assert_eq!(reason(r#""email":"a@example.org""#), Reason::MissingField);
    assert_eq!(
        reason(r#""email":"a@example.org","purposes":{}"#),
        Reason::MissingField
    );
    assert_eq!(
        reason(r#""email":"a@example.org","purposes":null"#),
        Reason::MissingField
    );
    let both = format!(
        r#""email":"a@example.org",{signal},"tc_string":"{}""#,
        crate::strings::ALL
    );
    assert_eq!(reason(&both), Reason::MissingField);
    for required in ["id", "ts"] {
        let line = line(&format!(
            r#""email":"a@example.org",{signal},"{required}":null"#
        ));
        let harness = sent(acme(), &line);
        assert_eq!(harness.kept.reasons(), [Reason::MissingField]);
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let signal = |signal: &str| reason(&format!(r#""email":"a@example.org",{signal}"#));
    for (what, string) in crate::strings::MALFORMED {
        assert_eq!(
            signal(&format!(r#""tc_string":"{string}""#)),
            Reason::BadConsent,
            "{what}"
        );
        let gpp = format!(r#""gpp":"DBABM~{string}""#);
        assert_eq!(signal(&gpp), Reason::BadConsent, "{what}");
    }
    assert_eq!(signal(r#""purposes":{"12":true}"#), Reason::BadConsent);
    assert_eq!(
        signal(r#""purposes":{"analytics":true}"#),
        Reason::BadConsent
    );
    assert_eq!(signal(r#""purposes":{"1":"yes"}"#), Reason::WrongType);
    assert_eq!(signal(r#""purposes":{"1":1}"#), Reason::WrongType);
    assert_eq!(signal(r#""purposes":[1]"#), Reason::WrongType);
    assert_eq!(signal(r#""purposes":"1""#), Reason::WrongType);
    assert_eq!(signal(r#""tc_string":{}"#), Reason::WrongType);
    assert_eq!(
        signal(&format!(r#""gpp":"{}""#, crate::strings::GPP_EMPTY)),
        Reason::BadConsent
    );
    let long = format!(
        r#""purposes":{{"1":true}},"evidence":"{}""#,
        "x".repeat(65_536)
    );
    assert_eq!(signal(&long), Reason::TextTooLong);
    // Of two keys the last counts, here as elsewhere.
    assert_eq!(
        body(r#""purposes":{"1":false,"1":true}"#),
        allowed(&[Use::Hold, Use::Share])
    );
}

#[test]
fn a_string_that_speaks_for_nobody_is_refused_and_boxes_are_not() {
    let to = |signal: String| sent(brand("acme"), &line(&format!(r#""cookie":"c1",{signal}"#)));
    for signal in [
        format!(r#""tc_string":"{}""#, crate::strings::ALL),
        format!(r#""gpp":"{}""#, crate::strings::GPP_TC),
    ] {
        let harness = to(signal);
        assert_eq!(harness.kept.reasons(), [Reason::BadConsent]);
        assert!(harness.kept.dead[0].detail.contains("consent.vendor"));
    }
    let harness = to(r#""purposes":{"1":true,"7":true}"#.to_owned());
    assert_eq!(
        harness.kept.records()[0].body,
        allowed(&[Use::Hold, Use::Credit, Use::Share])
    );
}

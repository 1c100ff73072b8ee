//! A shop's pages send what the visitor chose along with every view: it becomes one statement of the browser and its
//! evidence, and a view whose string cannot be read is not held.

use crate::common::{AT, brand, config};
use crate::sink::DecoderHarness;
use tributary_config::model::{Brand, Consent};
use tributary_connectors::dead_letter::Reason;
use tributary_consent::TcString;
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, ConsentString, IdKind, IdSet, Record, RecordKey, Right};

const WEB: &str = "tributary.in.acme.web";

/// A brand that is vendor 755 and tells persons that their devices are linked.
fn acme() -> Brand {
    Brand {
        consent: Consent {
            vendor: Some(755),
            feature_2: true,
            ..Consent::default()
        },
        ..brand("acme")
    }
}

fn harness() -> DecoderHarness {
    DecoderHarness::new(&config(vec![acme()]))
}

/// A view with more fields.
fn view(id: &str, ts: i64, fields: &str) -> String {
    format!(r#"{{"id":"{id}","ts":{ts},"type":"view"{fields}}}"#)
}

/// A view of the browser `c1` with a TC string.
fn with_string(id: &str, ts: i64, string: &str) -> String {
    view(
        id,
        ts,
        &format!(r#","cookie":"c1","email":"jane@example.org","tc_string":"{string}""#),
    )
}

fn statements(harness: &DecoderHarness) -> Vec<(RecordKey, i64, &Record)> {
    let events = harness.kept.events.iter();
    events
        .filter_map(|event| match event {
            Event::Put {
                key,
                version,
                record,
                ..
            } if record.id.is_empty() => Some((*key, *version, record)),
            _ => None,
        })
        .collect()
}

fn evidence(harness: &DecoderHarness) -> Vec<(RecordKey, &IdSet, i64, &str)> {
    let events = harness.kept.events.iter();
    events
        .filter_map(|event| match event {
            Event::Evidence {
                key, ids, ts, text, ..
            } => Some((*key, ids, *ts, &**text)),
            _ => None,
        })
        .collect()
}

fn contacts(harness: &DecoderHarness) -> usize {
    let records = harness.kept.records();
    let contact = |record: &&&Record| matches!(record.body, Body::Contact { .. });
    records.iter().filter(contact).count()
}

fn steps(list: &[Use]) -> AllowedUses {
    let list = list.iter();
    list.fold(AllowedUses::NONE, |steps, step| steps.with(*step))
}

fn allowed(body: &Body) -> Option<AllowedUses> {
    match body {
        Body::Consent { steps, .. } => Some(*steps),
        _ => None,
    }
}

/// The string of the last statement.
fn string(harness: &DecoderHarness) -> ConsentString {
    match statements(harness).last().unwrap().2.body {
        Body::Consent { string, .. } => string.unwrap(),
        ref body => panic!("{body:?}"),
    }
}

#[test]
fn a_view_with_a_string_is_a_statement_of_the_browser_with_its_evidence() {
    let mut harness = harness();
    harness.send(
        WEB,
        with_string("w1", AT, crate::strings::MEASURED).as_bytes(),
    );
    let said = statements(&harness);
    let [(_, version, record)] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!((*version, record.ts), (-AT, AT), "the first counts");
    assert_eq!(
        allowed(&record.body),
        Some(steps(&[Use::Hold, Use::Credit, Use::Link, Use::Share]))
    );
    assert_eq!(harness.kept.word(record.source), "web");
    let kinds: Vec<IdKind> = record.ids.ids().iter().map(|id| id.kind).collect();
    assert_eq!(
        kinds,
        [IdKind::Cookie],
        "the e-mail did not choose, the browser did"
    );

    let kept = evidence(&harness);
    let [(_, ids, ts, text)] = kept.as_slice() else {
        panic!("{kept:?}");
    };
    assert_eq!((*ids, *ts), (&record.ids, AT));
    let expected = format!(
        r#"{{"method":"tcf","signal":"{}","source":"web"}}"#,
        crate::strings::MEASURED
    );
    assert_eq!(*text, expected);

    // The view itself names both, and is what it was.
    let view = harness
        .kept
        .records()
        .into_iter()
        .find(|record| &*record.id == "w1");
    assert_eq!(view.unwrap().ids.ids().len(), 2);
    assert_eq!(contacts(&harness), 1);
}

#[test]
fn the_same_string_is_one_statement_and_another_string_another() {
    let mut harness = harness();
    let sent = [
        ("w1", crate::strings::ALL),
        ("w2", crate::strings::ALL),
        ("w3", crate::strings::NOTHING),
        // The same outcome by another string.
        ("w4", crate::strings::OTHER_VENDOR),
    ];
    for (n, (id, string)) in sent.into_iter().enumerate() {
        harness.send(WEB, with_string(id, AT + n as i64, string).as_bytes());
    }
    let keys: Vec<RecordKey> = statements(&harness).iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert_ne!(keys[2], keys[3]);
    let versions: Vec<i64> = statements(&harness)
        .iter()
        .map(|(_, version, _)| *version)
        .collect();
    assert_eq!(versions, [-AT, -AT - 1, -AT - 2, -AT - 3]);
    let kept: Vec<RecordKey> = evidence(&harness).iter().map(|(key, ..)| *key).collect();
    assert_eq!(kept[0], kept[1], "one string of one cookie is kept once");
    assert_ne!(kept[2], kept[3], "each string is kept");
    // Another browser with the same choice is another statement.
    harness.send(
        WEB,
        view(
            "w5",
            AT,
            &format!(r#","cookie":"c2","tc_string":"{}""#, crate::strings::ALL),
        )
        .as_bytes(),
    );
    assert_ne!(statements(&harness)[4].0, keys[0]);
    assert_ne!(evidence(&harness)[4].0, kept[0]);
}

#[test]
fn keys_never_change() {
    // They stand in ledgers: a change would keep evidence twice and statements beside their successors.
    let mut harness = harness();
    harness.send(
        WEB,
        with_string("w1", AT, crate::strings::MEASURED).as_bytes(),
    );
    let statement = statements(&harness)[0].0.0;
    let evidence = evidence(&harness)[0].0.0;
    assert_eq!(
        (statement, evidence),
        (STATEMENT_KEY, EVIDENCE_KEY),
        "{statement:#x} {evidence:#x}"
    );
}

const STATEMENT_KEY: u128 = 0x1436_5947_c3fd_f4eb_a1ae_c5c3_5eba_1339;
const EVIDENCE_KEY: u128 = 0x61e6_c8ef_a84d_5835_a568_d43b_4d97_e1ff;

#[test]
fn without_a_cookie_everybody_in_the_record_speaks_and_nobody_where_nobody_is_named() {
    let mut harness = harness();
    let string = crate::strings::ALL;
    let fields = format!(r#","email":"jane@example.org","customer":"K7","tc_string":"{string}""#);
    harness.send(WEB, view("w1", AT, &fields).as_bytes());
    assert_eq!(statements(&harness)[0].2.ids.ids().len(), 2);
    harness.send(
        WEB,
        view("w2", AT, &format!(r#","tc_string":"{string}""#)).as_bytes(),
    );
    assert_eq!(statements(&harness).len(), 1);
    assert_eq!(evidence(&harness).len(), 1);
    assert_eq!(contacts(&harness), 2);
}

#[test]
fn a_view_whose_string_cannot_be_read_is_refused_alone() {
    for (what, string) in crate::strings::MALFORMED {
        let mut harness = harness();
        let lines = [
            with_string("w1", AT, crate::strings::ALL),
            with_string("w2", AT, string),
            with_string("w3", AT, crate::strings::ALL),
        ];
        harness.send(WEB, lines.join("\n").as_bytes());
        assert_eq!(harness.kept.reasons(), [Reason::BadConsent], "{what}");
        let dead = &harness.kept.dead[0];
        assert!(
            dead.detail.starts_with("`tc_string` cannot be read: "),
            "{}",
            dead.detail
        );
        assert!(!dead.detail.contains(string), "{}", dead.detail);
        assert_eq!(dead.payload, lines[1].as_bytes());
        assert_eq!(
            (contacts(&harness), statements(&harness).len()),
            (2, 2),
            "{what}"
        );
        assert_eq!(evidence(&harness).len(), 2, "{what}");
    }
    // Nobody is named, and yet nothing may be held.
    let mut harness = harness();
    harness.send(WEB, view("w1", AT, r#","tc_string":"yes""#).as_bytes());
    assert_eq!(harness.kept.reasons(), [Reason::BadConsent]);
}

#[test]
fn strings_of_the_wrong_type_or_size_are_refused_as_such() {
    let reason = |fields: &str| {
        let mut harness = harness();
        harness.send(WEB, view("w1", AT, fields).as_bytes());
        assert_eq!(harness.kept.events.len(), 0, "{fields}");
        harness.kept.dead[0].reason
    };
    assert_eq!(reason(r#","tc_string":["CPX"]"#), Reason::WrongType);
    assert_eq!(reason(r#","tc_string":true"#), Reason::WrongType);
    assert_eq!(reason(r#","tc_string":7"#), Reason::BadConsent);
    let long = "A".repeat(16_385);
    assert_eq!(
        reason(&format!(r#","tc_string":"{long}""#)),
        Reason::TextTooLong
    );
    assert_eq!(reason(r#","gpp":{}"#), Reason::WrongType);
    assert_eq!(reason(r#","gpp":"DBABLA~BVVVVVVVV""#), Reason::BadConsent);
    assert_eq!(reason(r#","gpp":"DBABLA""#), Reason::BadConsent);
}

#[test]
fn absent_strings_say_nothing() {
    for fields in ["", r#","tc_string":null"#, r#","tc_string":"","gpp":"""#] {
        let mut harness = harness();
        harness.send(
            WEB,
            view("w1", AT, &format!(r#","cookie":"c1"{fields}"#)).as_bytes(),
        );
        assert_eq!((contacts(&harness), statements(&harness).len()), (1, 0));
        assert_eq!(evidence(&harness).len(), 0);
    }
}

#[test]
fn a_record_that_is_refused_says_nothing() {
    let mut harness = harness();
    let order = format!(
        r#"{{"id":"o1","ts":{AT},"type":"order","cookie":"c1","tc_string":"{}","amount":"1,5"}}"#,
        crate::strings::ALL
    );
    harness.send(WEB, order.as_bytes());
    assert_eq!(harness.kept.reasons(), [Reason::InvalidAmount]);
    assert!(statements(&harness).is_empty() && evidence(&harness).is_empty());
}

#[test]
fn whoever_reads_no_strings_passes_them_over() {
    let mut harness = DecoderHarness::acme();
    for (n, (_, string)) in crate::strings::MALFORMED.into_iter().enumerate() {
        harness.send(WEB, with_string(&format!("w{n}"), AT, string).as_bytes());
    }
    harness.send(
        WEB,
        view("w", AT, r#","cookie":"c1","tc_string":[1]"#).as_bytes(),
    );
    assert_eq!(contacts(&harness), crate::strings::MALFORMED.len() + 1);
    assert_eq!(
        harness.kept.events.len() - 1,
        contacts(&harness),
        "and one word"
    );
}

#[test]
fn an_opt_out_alone_is_an_objection_to_sharing_and_nothing_else() {
    let objection = Body::Right {
        right: Right::DoNotSell,
        stands: true,
    };
    let gpp = |brand: Brand, strings: &str| {
        let mut harness = DecoderHarness::new(&config(vec![brand]));
        harness.send(
            WEB,
            view("w1", AT, &format!(r#","cookie":"c1"{strings}"#)).as_bytes(),
        );
        assert_eq!(harness.kept.dead, []);
        assert_eq!(contacts(&harness), 1);
        let bodies: Vec<Body> = statements(&harness)
            .iter()
            .map(|(.., record)| record.body.clone())
            .collect();
        let consents: Vec<AllowedUses> = bodies.iter().filter_map(allowed).collect();
        let objected = bodies.contains(&objection);
        assert_eq!(bodies.len(), consents.len() + usize::from(objected));
        (consents, objected, evidence(&harness).len())
    };
    for brand in [acme(), brand("acme")] {
        let one = |string: &str| {
            gpp(
                brand.clone(),
                &format!(r#","gpp":"{string}","gpp_sid":[7]"#),
            )
        };
        assert_eq!(one(crate::strings::US_OUT), (vec![], true, 1));
        assert_eq!(
            one(crate::strings::US_IN),
            (vec![], false, 1),
            "who has not opted out has not consented"
        );
        assert_eq!(one(crate::strings::GPP_EMPTY), (vec![], false, 1));
    }
    // A TC string inside it counts if the brand is a party to it.
    let tc = format!(r#","gpp":"{}""#, crate::strings::GPP_TC);
    let share = steps(&[Use::Share]);
    assert_eq!(gpp(acme(), &tc), (vec![share], false, 1));
    assert_eq!(gpp(brand("acme"), &tc), (vec![], false, 1));
    // Both strings are signals of one time: what both allow, and an opt-out of its own time.
    let both = |gpp: &str| format!(r#","tc_string":"{}","gpp":"{gpp}""#, crate::strings::JOINED);
    let joined = steps(&[Use::Hold, Use::Join, Use::Link, Use::Share]);
    assert_eq!(
        gpp(acme(), &both(crate::strings::US_IN)),
        (vec![joined], false, 2)
    );
    assert_eq!(
        gpp(acme(), &both(crate::strings::US_OUT)),
        (vec![joined], true, 2)
    );
    assert_eq!(
        gpp(acme(), &both(crate::strings::GPP_TC)),
        (vec![share], false, 2)
    );
}

#[test]
fn a_string_is_known_by_itself_and_by_the_day_of_its_last_update() {
    let said = |fields: &str| {
        let mut harness = harness();
        harness.send(
            WEB,
            view("w1", AT, &format!(r#","cookie":"c1"{fields}"#)).as_bytes(),
        );
        assert_eq!(harness.kept.dead, []);
        string(&harness)
    };
    let tc = |text: &str| said(&format!(r#","tc_string":"{text}""#));
    let one = tc(crate::strings::ALL);
    assert_eq!(one, tc(crate::strings::ALL));
    assert_eq!(
        one.updated,
        TcString::parse(crate::strings::ALL).unwrap().updated_day()
    );
    assert_ne!(one.hash, tc(crate::strings::NOTHING).hash);
    // A GPP string with a TC string bears its date; of two strings the later date counts.
    let gpp = said(&format!(r#","gpp":"{}""#, crate::strings::GPP_TC));
    let both = said(&format!(
        r#","gpp":"{}","tc_string":"{}""#,
        crate::strings::GPP_TC,
        crate::strings::ALL
    ));
    assert_eq!(both.updated, one.updated.max(gpp.updated));
    assert!(both.hash != one.hash && both.hash != gpp.hash);
}

#[test]
fn a_string_that_is_still_sent_is_stated_again_after_four_weeks() {
    let mut harness = harness();
    let day = 86_400_000;
    for (n, ts) in [AT - 60 * day, AT - 60 * day + 1, AT]
        .into_iter()
        .enumerate()
    {
        harness.send(
            WEB,
            with_string(&format!("w{n}"), ts, crate::strings::ALL).as_bytes(),
        );
    }
    let keys: Vec<RecordKey> = statements(&harness).iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

#[test]
fn the_applicable_sections_stand_in_the_evidence() {
    let mut harness = harness();
    let fields = format!(
        r#","cookie":"c1","gpp":"{}","gpp_sid":[ 7, 8 ]"#,
        crate::strings::US_OUT
    );
    harness.send(WEB, view("w1", AT, &fields).as_bytes());
    let expected = format!(
        r#"{{"gpp_sid":[7,8],"method":"gpp","signal":"{}","source":"web"}}"#,
        crate::strings::US_OUT
    );
    assert_eq!(evidence(&harness)[0].3, expected);
}

#[test]
fn two_decoders_say_the_same_whatever_they_read_before() {
    let lines: Vec<String> = (0..3_000)
        .map(|n| {
            let all = [
                crate::strings::ALL,
                crate::strings::NOTHING,
                crate::strings::MEASURED,
                crate::strings::JOINED,
            ];
            with_string(&format!("w{n}"), AT + n as i64, all[n % 4])
        })
        .collect();
    let mut together = harness();
    together.send(WEB, lines.join("\n").as_bytes());
    for (n, line) in lines.iter().enumerate().step_by(997) {
        let mut alone = harness();
        alone.send(WEB, line.as_bytes());
        let (key, version, record) = statements(&alone)[0];
        let (other, of, same) = statements(&together)[n];
        assert_eq!((key, version, record), (other, of, same));
    }
}

#[test]
fn a_position_is_dropped_at_the_door() {
    // A precise position would need special feature 1; nothing of it is kept, with consent or without.
    let kept = |string: &str, place: &str| {
        let mut harness = harness();
        let fields = format!(r#","cookie":"c1","tc_string":"{string}"{place}"#);
        harness.send(WEB, view("w1", AT, &fields).as_bytes());
        format!("{:?}", harness.kept.events)
    };
    let place = r#","lat":48.85837,"lon":2.294481,"ip":"192.0.2.7","user_agent":"Browser/1""#;
    for string in [crate::strings::PRECISE, crate::strings::NOTHING] {
        assert_eq!(kept(string, place), kept(string, ""));
    }
}

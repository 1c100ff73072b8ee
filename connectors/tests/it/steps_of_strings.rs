//! Which steps a string allows: the specification's table, a brand that asks for more, and the public strings.

use std::path::Path;

use serde_json::Value;
use tributary_config::model::Consent;
use tributary_connectors::signals::{self, Signal, SignalReader};
use tributary_consent::{Boxes, VendorList};
use tributary_operators::allowed_uses::{AllowedUses, Use};

fn vendor(id: u16) -> Consent {
    Consent {
        vendor: Some(id),
        feature_2: true,
        ..Consent::default()
    }
}

fn allowed(consent: &Consent, string: &str) -> Vec<&'static str> {
    let steps = SignalReader::new(consent).tc_string(string).unwrap().steps;
    names(steps)
}

fn names(steps: AllowedUses) -> Vec<&'static str> {
    let allowed = Use::ALL.into_iter().filter(|step| steps.allows(*step));
    allowed.map(Use::name).collect()
}

#[test]
fn each_step_needs_what_the_table_says() {
    let table: [(&str, &[&str]); 7] = [
        (
            crate::strings::ALL,
            &["hold", "credit", "join", "link", "share"],
        ),
        (
            crate::strings::PRECISE,
            &["hold", "credit", "join", "link", "position", "share"],
        ),
        (crate::strings::NOTHING, &["share"]),
        (crate::strings::STORAGE, &["hold", "share"]),
        (
            crate::strings::MEASURED,
            &["hold", "credit", "link", "share"],
        ),
        (crate::strings::JOINED, &["hold", "join", "link", "share"]),
        (crate::strings::OTHER_VENDOR, &["share"]),
    ];
    for (string, steps) in table {
        assert_eq!(allowed(&vendor(755), string), steps);
    }
    let silent = Consent {
        feature_2: false,
        ..vendor(755)
    };
    assert_eq!(
        allowed(&silent, crate::strings::ALL),
        ["hold", "credit", "join", "share"]
    );
    // The publisher's own purposes are asked for in a segment of their own.
    let publisher = Consent {
        vendor: None,
        publisher: true,
        ..vendor(755)
    };
    assert_eq!(allowed(&publisher, crate::strings::ALL), ["share"]);
}

#[test]
fn a_brand_may_be_stricter() {
    let mut strict = vendor(755);
    let steps = [
        ("hold", vec![7]),
        ("credit", vec![8]),
        ("link", vec![7, 9]),
        ("share", vec![9]),
    ];
    strict.also_needs = steps
        .map(|(step, purposes)| (step.to_owned(), purposes))
        .into();
    assert_eq!(allowed(&strict, crate::strings::STORAGE), [""; 0]);
    assert_eq!(allowed(&strict, crate::strings::MEASURED), ["hold"]);
    assert_eq!(allowed(&strict, crate::strings::JOINED), ["join", "share"]);
    assert_eq!(
        allowed(&strict, crate::strings::ALL),
        ["hold", "credit", "join", "link", "share"]
    );
    let boxes = Boxes::read([("1", true), ("7", true)]).unwrap();
    let signals = SignalReader::new(&strict);
    let consent = signals::PurposeConsent {
        steps: AllowedUses::NONE.with(Use::Hold),
        string: None,
        opted_out: false,
    };
    assert_eq!(signals.boxes(&boxes), Signal::Steps(consent));
}

#[test]
fn legitimate_interest_is_another_bit_of_the_string() {
    let consent = Consent {
        legitimate_interest: vec![7, 9],
        ..vendor(755)
    };
    // Consent for 7 and 9 is no legitimate interest for them.
    assert_eq!(allowed(&consent, crate::strings::ALL), ["hold", "share"]);
}

#[test]
fn a_string_that_was_read_before_says_the_same() {
    let mut signals = SignalReader::new(&vendor(755));
    let first = signals.tc_string(crate::strings::MEASURED).unwrap();
    assert_eq!(signals.tc_string(crate::strings::MEASURED).unwrap(), first);
    for (what, string) in crate::strings::MALFORMED {
        assert!(signals.tc_string(string).is_err(), "{what}");
        assert!(signals.tc_string(string).is_err(), "{what}: once more");
    }
}

/// The public strings and vendor list, or none with a printed reason.
fn shared() -> Option<std::path::PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/tcf");
    if !path.exists() {
        skipped(&format!("no public TC strings at {}", path.display()));
        return None;
    }
    Some(path)
}

fn skipped(reason: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{reason}");
}

fn numbers(case: &Value, field: &str) -> Vec<u64> {
    let list = case["expected"][field].as_array().unwrap();
    list.iter().map(|n| n.as_u64().unwrap()).collect()
}

/// The public strings, judged from what another decoder read in them, for vendors on consent.
#[test]
fn the_public_strings_allow_what_another_decoder_read_in_them() {
    let Some(path) = shared() else { return };
    let text = std::fs::read_to_string(path.join("tcf_cases.jsonl")).unwrap();
    let (mut judged, mut held, mut refused) = (0, 0, 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let string = case["tcstring"].as_str().unwrap();
        if case["kind"].as_str().unwrap().starts_with("reject") {
            assert!(SignalReader::new(&vendor(8)).tc_string(string).is_err());
            refused += 1;
            continue;
        }
        let plain = |case: &Value| {
            case["kind"] == "valid"
                && case["expected"]["publisherRestrictions"]
                    .as_array()
                    .is_some_and(Vec::is_empty)
        };
        if !plain(&case) {
            continue;
        }
        let expected = &case["expected"];
        let purposes = numbers(&case, "purposeConsents");
        let consented = numbers(&case, "vendorConsents");
        let global = expected["policyVersion"].as_u64().unwrap() >= 4
            && !expected["isServiceSpecific"].as_bool().unwrap();
        let nobody = expected["cmpId"].as_u64().unwrap() < 2;
        let shown = |vendor: u64| {
            // Segments of type 1 begin with the bits 001.
            let listed = string
                .split('.')
                .skip(1)
                .any(|segment| segment.starts_with(|c: char| ('I'..='P').contains(&c)));
            !listed || numbers(&case, "vendorsDisclosed").contains(&vendor)
        };
        let hidden = expected["purposeOneTreatment"].as_bool().unwrap();
        for id in consented.iter().take(3).copied().chain([4_000]) {
            let may = consented.contains(&id) && !global && !nobody && shown(id);
            let purpose = |n: u64| may && purposes.contains(&n) && !(n == 1 && hidden);
            let table = [
                ("hold", purpose(1)),
                ("credit", purpose(7)),
                ("join", purpose(9)),
                ("link", purpose(7) || purpose(9)),
                (
                    "position",
                    numbers(&case, "specialFeatureOptins").contains(&1) && (1..=11).any(purpose),
                ),
                ("share", true),
            ];
            let steps: Vec<&str> = (table.into_iter())
                .filter_map(|(step, is)| is.then_some(step))
                .collect();
            assert_eq!(
                allowed(&vendor(id as u16), string),
                steps,
                "{string} for {id}"
            );
            judged += 1;
            held += usize::from(purpose(1));
        }
    }
    assert!(
        judged > 60 && held > 10 && refused > 3,
        "{judged} {held} {refused}"
    );
}

#[test]
fn a_public_vendor_list_says_what_its_vendors_declared() {
    let Some(path) = shared() else { return };
    let packed = std::fs::read(path.join("gvl_v2.2_vendor-list.json.gz")).unwrap();
    let mut json = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut json).unwrap();
    let list = VendorList::parse(&json).unwrap();
    let declared = list.vendor(755).cloned();
    let consent = Consent {
        feature_2: false,
        declared: declared.clone(),
        ..vendor(755)
    };
    let vendor = declared.unwrap();
    let on_consent = |purpose| vendor.purposes.contains(purpose);
    let steps = allowed(&consent, crate::strings::ALL);
    assert_eq!(steps.contains(&"hold"), on_consent(1));
    assert_eq!(steps.contains(&"credit"), on_consent(7));
    assert_eq!(steps.contains(&"join"), on_consent(9));
    let linked = vendor.features.contains(2) && (on_consent(7) || on_consent(9));
    assert_eq!(steps.contains(&"link"), linked);
}

/// A TC string is one statement, whatever carries it: it is old in a new wrapper, too.
#[test]
fn a_string_in_gpp_is_the_statement_that_it_is_alone() {
    let mut reader = SignalReader::new(&vendor(755));
    let alone = reader.tc_string(crate::strings::ALL).unwrap();
    let gpp = format!("DBABMA~{}", crate::strings::ALL);
    let Some(Signal::Steps(inside)) = reader.gpp(&gpp).unwrap().signal else {
        panic!("it has a TC string");
    };
    assert!(alone.string.is_some());
    assert_eq!((inside.string, inside.steps), (alone.string, alone.steps));
    let both = inside.and(alone);
    assert_eq!((both.string, both.steps), (alone.string, alone.steps));
}

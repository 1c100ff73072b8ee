//! Every public TC string is read field by field as the reference decoder reads it, and every one that must be
//! refused is refused for the right reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Writer, cases, encode, string};
use jiff::Timestamp;
use serde_json::{Value, json};
use tributary_consent::{
    Basis, Kind, Malformed, Numbers, Outcome, Refusal, Restriction, RestrictionType, TcString,
    VendorIds,
};

/// What was read, in the words of the reference decoder.
fn fields_of(string: &TcString) -> Value {
    let publisher = string.publisher;
    let vendors = |vendors: &VendorIds| vendors.iter().collect::<Vec<_>>();
    let optional = |segment: &Option<VendorIds>| segment.as_ref().map(vendors).unwrap_or_default();
    let numbers = |numbers: Option<Numbers>| numbers.unwrap_or_default().iter().collect::<Vec<_>>();
    json!({
        "version": 2,
        "created": string.created,
        "lastUpdated": string.last_updated,
        "cmpId": string.cmp_id,
        "cmpVersion": string.cmp_version,
        "consentScreen": string.consent_screen,
        "consentLanguage": str::from_utf8(&string.consent_language).unwrap(),
        "vendorListVersion": string.vendor_list_version,
        "policyVersion": string.policy_version,
        "isServiceSpecific": string.is_service_specific,
        "useNonStandardTexts": string.use_non_standard_texts,
        "purposeOneTreatment": string.purpose_one_treatment,
        "publisherCountryCode": str::from_utf8(&string.publisher_country).unwrap(),
        "specialFeatureOptins": numbers(Some(string.special_feature_opt_ins)),
        "purposeConsents": numbers(Some(string.purpose_consents)),
        "purposeLegitimateInterests": numbers(Some(string.purpose_legitimate_interests)),
        "vendorConsents": vendors(&string.vendor_consents),
        "vendorLegitimateInterests": vendors(&string.vendor_legitimate_interests),
        "maxVendorConsentId": string.vendor_consents.max(),
        "maxVendorLegIntId": string.vendor_legitimate_interests.max(),
        "publisherRestrictions": restrictions(&string.restrictions),
        "vendorsDisclosed": optional(&string.disclosed_vendors),
        "vendorsAllowed": optional(&string.allowed_vendors),
        "publisherConsents": numbers(publisher.map(|own| own.consents)),
        "publisherLegitimateInterests": numbers(publisher.map(|own| own.legitimate_interests)),
        "numCustomPurposes": publisher.map_or(0, |own| own.custom_purposes),
        "publisherCustomConsents": numbers(publisher.map(|own| own.custom_consents)),
        "publisherCustomLegitimateInterests": numbers(publisher.map(|own| own.custom_legitimate_interests)),
    })
}

/// By purpose and type, without entries for no vendor: so the reference decoder tells them.
fn restrictions(entries: &[Restriction]) -> Value {
    let mut restrictions = BTreeMap::<(u8, u8), BTreeSet<u16>>::new();
    for entry in entries.iter().filter(|entry| !entry.vendors.is_empty()) {
        let kind = match entry.restriction {
            RestrictionType::NotAllowed => 0,
            RestrictionType::RequireConsent => 1,
            RestrictionType::RequireLegitimateInterest => 2,
            RestrictionType::Undefined => 3,
        };
        restrictions
            .entry((entry.purpose, kind))
            .or_default()
            .extend(entry.vendors.iter());
    }
    let entry = |((purpose, kind), vendors)| json!({"purposeId": purpose, "restrictionType": kind, "vendors": vendors});
    restrictions.into_iter().map(entry).collect()
}

fn deciseconds(text: &Value) -> Value {
    let text = text.as_str().unwrap().trim_end_matches('Z');
    let at: Timestamp = format!("{text}Z").parse().unwrap();
    json!(at.as_millisecond() / 100)
}

#[test]
fn each_valid_string_says_what_is_expected() {
    for case in cases("valid") {
        let mut expected = case["expected"].clone();
        for time in ["created", "lastUpdated"] {
            expected[time] = deciseconds(&expected[time]);
        }
        let read = TcString::parse(string(&case)).unwrap_or_else(|error| panic!("{error}: {case}"));
        let found = fields_of(&read);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&found[field], value, "{field} of {}", string(&case));
        }
        assert_eq!(
            TcString::parse(&encode(&read)),
            Ok(read),
            "written and read again"
        );
    }
}

#[test]
fn a_string_that_no_cmp_made_is_read_and_permits_nothing() {
    for case in cases("valid_but_cmp_id_0") {
        let read = TcString::parse(string(&case)).unwrap_or_else(|error| panic!("{error}: {case}"));
        let found = fields_of(&read);
        let expected = &case["expected_core_fields_python_iab_tcf"];
        for (field, value) in expected.as_object().unwrap() {
            // The decoder that gave these expectations cuts times to the second.
            match field.as_str() {
                "created" | "lastUpdated" => {
                    let seconds = |at: &Value| at.as_u64().unwrap() / 10;
                    assert_eq!(
                        seconds(&found[field]),
                        seconds(&deciseconds(value)),
                        "{field}"
                    );
                }
                _ => assert_eq!(&found[field], value, "{field} of {}", string(&case)),
            }
        }
        for vendor in [2, 6, 8, 32] {
            for purpose in 1..=24 {
                assert_eq!(
                    read.permits(vendor, purpose, Basis::ConsentOrLegitimateInterest),
                    Outcome::Refused(Refusal::NoCmp)
                );
            }
        }
    }
}

#[test]
fn version_1_is_refused_by_name_and_cut_strings_as_such() {
    for case in cases("reject_v1") {
        let error = TcString::parse(string(&case)).unwrap_err();
        assert_eq!((error.kind, error.bit), (Kind::VersionOne, 0), "{case}");
    }
    for case in cases("reject_malformed") {
        let error = TcString::parse(string(&case)).unwrap_err();
        assert_eq!(error.kind, Kind::Truncated, "{case}");
        assert!(
            !error.to_string().contains(&string(&case)[..8]),
            "the message repeats the string"
        );
    }
}

/// «TC String Format» of the standard: core, disclosed vendors, allowed vendors, publisher TC.
const FOUR: [&str; 4] = [
    "COw4XqLOw4XqLAAAAAENAXCAAAAAAAAAAAAAAAAAAAAA",
    "IFukWSQgAIQwgI0QEByFAAAAeIAACAIgSAAQAIAgEQACEABAAAgAQFAEAIAAAGBAAgAAAAQAIFAAMCQAAgAAQiRAEQAAAAANAAIAAggAIYQFAAARmggBC3ZCYzU2yIA",
    "QFukWSQgAIQwgI0QEByFAAAAeIAACAIgSAAQAIAgEQACEABAAAgAQFAEAIAAAGBAAgAAAAQAIFAAMCQAAgAAQiRAEQAAAAANAAIAAggAIYQFAAARmggBC3ZCYzU2yIA",
    "YAAAAAAAAAAAAAAAAAA",
];

#[test]
fn segments_come_in_any_order_behind_the_core_each_once() {
    let [core, disclosed, allowed, publisher] = FOUR;
    let one = TcString::parse(&FOUR.join(".")).unwrap();
    let other = TcString::parse(&[core, publisher, allowed, disclosed].join(".")).unwrap();
    assert_eq!(one, other);
    assert_eq!(
        one.disclosed_vendors.as_ref().map(VendorIds::max),
        Some(733)
    );

    let refused = |segments: &[&str]| {
        TcString::parse(&segments.join(".")).map_err(|error| (error.kind, error.segment))
    };
    assert_eq!(
        refused(&[core, disclosed, disclosed]),
        Err((Kind::SegmentTwice(1), 2))
    );
    assert_eq!(
        refused(&[core, publisher, publisher]),
        Err((Kind::SegmentTwice(3), 2))
    );
    assert_eq!(refused(&[core, core]), Err((Kind::SegmentType(0), 1)));
    assert_eq!(refused(&[core, "gA"]), Err((Kind::SegmentType(4), 1)));
    assert_eq!(refused(&[disclosed, core]), Err((Kind::Version(8), 0)));
    assert_eq!(refused(&[core, ""]), Err((Kind::Truncated, 1)));
}

#[test]
fn text_around_a_string_is_refused() {
    let [core, ..] = FOUR;
    let refused =
        |text: String| TcString::parse(&text).map_err(|Malformed { kind, bit, .. }| (kind, bit));
    assert_eq!(refused(String::new()), Err((Kind::Truncated, 0)));
    assert_eq!(refused(format!("{core}=")), Err((Kind::Alphabet, 264)));
    assert_eq!(refused(format!(" {core}")), Err((Kind::Alphabet, 0)));
    assert_eq!(refused(format!("{core}é")), Err((Kind::Alphabet, 264)));
    assert_eq!(
        refused(format!("D{}", &core[1..])),
        Err((Kind::Version(3), 0))
    );
    assert!(
        refused(format!("{core}AAAAAAAA")).is_ok(),
        "any length of zeros is padding"
    );
    assert_eq!(refused(format!("{core}AAB")), Err((Kind::Garbage, 276)));
    assert_eq!(
        refused(format!("{}B", &core[..core.len() - 1])),
        Err((Kind::Garbage, 259))
    );
}

/// A core up to and with the country, then what a test writes.
fn with_tail(tail: impl FnOnce(&mut Writer)) -> Result<TcString, (Kind, usize)> {
    let mut bits = Writer::default();
    bits.put(2, 6);
    bits.put(0, 72);
    bits.put(2, 12);
    bits.put(0, 213 - 90);
    tail(&mut bits);
    TcString::parse(&bits.text()).map_err(|error| (error.kind, error.bit))
}

fn ranges(max: u64, ranges: &'static [(u64, u64)]) -> Result<TcString, (Kind, usize)> {
    with_tail(|bits| {
        bits.put(max, 16);
        bits.put(1, 1);
        bits.put(ranges.len() as u64, 12);
        for (first, last) in ranges {
            bits.put(1, 1);
            bits.put(*first, 16);
            bits.put(*last, 16);
        }
        bits.put(0, 17 + 12);
    })
}

#[test]
fn ranges_ascend_are_disjoint_and_stay_below_the_largest_id() {
    let first = 213 + 29;
    assert_eq!(ranges(9, &[(0, 1)]), Err((Kind::VendorZero, first)));
    assert_eq!(ranges(9, &[(5, 4)]), Err((Kind::RangeOrder, first)));
    assert_eq!(
        ranges(9, &[(1, 3), (3, 5)]),
        Err((Kind::RangeOrder, first + 33))
    );
    assert_eq!(
        ranges(9, &[(4, 5), (1, 2)]),
        Err((Kind::RangeOrder, first + 33))
    );
    assert_eq!(ranges(9, &[(4, 10)]), Err((Kind::RangeBeyondMax, first)));

    let read = ranges(65535, &[(1, 1), (3, 4), (5, 9), (65535, 65535)]).unwrap();
    assert_eq!(
        read.vendor_consents.runs(),
        [(1, 1), (3, 9), (65535, 65535)]
    );
    let within = |vendor: &u16| read.vendor_consents.contains(*vendor);
    assert_eq!(
        (0..=u16::MAX).filter(within).collect::<Vec<_>>(),
        read.vendor_consents.iter().collect::<Vec<_>>()
    );
}

#[test]
fn restrictions_have_a_purpose() {
    let restricted = |purpose, kind| {
        with_tail(|bits| {
            bits.put(0, 34);
            bits.put(1, 12);
            bits.put(purpose, 6);
            bits.put(kind, 2);
            bits.put(1, 12);
            bits.put(0, 1);
            bits.put(7, 16);
        })
    };
    let at = 213 + 46;
    assert_eq!(restricted(0, 0), Err((Kind::Purpose(0), at)));
    assert_eq!(restricted(25, 0), Err((Kind::Purpose(25), at)));
    let disordered = with_tail(|bits| {
        bits.put(0, 34);
        bits.put(1, 12);
        bits.put(7, 6);
        bits.put(0, 2);
        bits.put(4, 12);
        for (first, last) in [(9, 12), (3, 3), (11, 13), (4, 4)] {
            bits.put(1, 1);
            bits.put(first, 16);
            bits.put(last, 16);
        }
    });
    let disordered = disordered.unwrap();
    assert_eq!(disordered.restrictions[0].vendors.runs(), [(3, 4), (9, 13)]);
    let undefined = restricted(1, 3).unwrap();
    assert_eq!(
        undefined.restrictions[0].restriction,
        RestrictionType::Undefined
    );
    assert!(
        restricted(24, 2).unwrap().restrictions[0]
            .vendors
            .contains(7)
    );
}

//! The public TC strings with what they are expected to say, and a small encoder that writes what was read.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tributary_consent::{Numbers, PublisherTc, Restriction, RestrictionType, TcString, VendorIds};
use tributary_testkit::skipped;

/// Strings of the Global Privacy Platform with the place where each stands. Strings of `iabgpp-es` are from
/// `modules/cmpapi/test/encoder/section`, those of `iabgpp-rs` from `iab_gpp/tests/data`.
pub const GPP: [&str; 13] = [
    // «Global Privacy Platform String», GPP String Examples 1, 2 and 3, the latter two with the padding of libraries.
    "DBABM~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
    "DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA",
    "DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN",
    "DBABjw~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN",
    // iabgpp-es, HeaderV1.test.ts.
    "DBAA",
    // iabgpp-rs: usnat_v1_with_gpc, usnat_v2_not_applicable, usca_with_gpc.
    "DBABLA~BVVVVVVVVWA.YA",
    "DBABLA~CAAAAAAAAAWA.Q",
    "DBABBg~BVqqqqpY.YA",
    // iabgpp-rs, tcfeuv2_with_all_segments_publisher_purposes_first.
    "DBABM~COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA.ZAAgH9794ulA.IFoEUQQgAIQwgIwQABAEAAAAOIAACAIAAAAQAIAgEAACEAAAAAgAQBAAAAAAAGBAAgAAAAAAAFAAECAAAgAAQARAEQAAAAAJAAIAAgAAAYQEAAAQmAgBC3ZAYzUw",
    // iabgpp-es, UsNat.test.ts and UsCa.test.ts, under a header of ours.
    "DBABLA~BVVVkkkkkpFY.YA",
    "DBABLA~BAAAAAAAAABA.QA",
    "DBABLA~BVQqAAAACg",
    "DBABBg~BVWSSSVY.YA",
];

/// Where the public TC strings are, or none with a printed reason.
pub fn shared_data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tcf");
    if !path.exists() {
        skipped(&format!("no public TC strings at {}", path.display()));
        return None;
    }
    Some(path)
}

/// The public TC strings of a kind.
pub fn cases(kind: &str) -> Vec<Value> {
    let Some(path) = shared_data() else {
        return Vec::new();
    };
    let text = std::fs::read_to_string(path.join("tcf_cases.jsonl")).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let cases: Vec<Value> = cases.filter(|case: &Value| case["kind"] == kind).collect();
    assert!(!cases.is_empty(), "no case of the kind {kind}");
    cases
}

/// The string of a case.
pub fn string(case: &Value) -> &str {
    case["tcstring"].as_str().unwrap()
}

/// Writes a TC string with ranges throughout, without padding beyond the last character.
pub fn encode(string: &TcString) -> String {
    let mut core = Writer::default();
    core.put(2, 6);
    core.put(string.created, 36);
    core.put(string.last_updated, 36);
    core.put(string.cmp_id.into(), 12);
    core.put(string.cmp_version.into(), 12);
    core.put(string.consent_screen.into(), 6);
    core.letters(string.consent_language);
    core.put(string.vendor_list_version.into(), 12);
    core.put(string.policy_version.into(), 6);
    core.put(string.is_service_specific.into(), 1);
    core.put(string.use_non_standard_texts.into(), 1);
    core.numbers(string.special_feature_opt_ins, 12);
    core.numbers(string.purpose_consents, 24);
    core.numbers(string.purpose_legitimate_interests, 24);
    core.put(string.purpose_one_treatment.into(), 1);
    core.letters(string.publisher_country);
    core.section(&string.vendor_consents);
    core.section(&string.vendor_legitimate_interests);
    core.put(string.restrictions.len() as u64, 12);
    for Restriction {
        purpose,
        restriction,
        vendors,
    } in &string.restrictions
    {
        core.put((*purpose).into(), 6);
        let kind = match restriction {
            RestrictionType::NotAllowed => 0,
            RestrictionType::RequireConsent => 1,
            RestrictionType::RequireLegitimateInterest => 2,
            RestrictionType::Undefined => 3,
        };
        core.put(kind, 2);
        core.ranges(vendors);
    }
    let mut text = core.text();
    for (kind, vendors) in [(1, &string.disclosed_vendors), (2, &string.allowed_vendors)] {
        if let Some(vendors) = vendors {
            let mut segment = Writer::default();
            segment.put(kind, 3);
            segment.section(vendors);
            text = format!("{text}.{}", segment.text());
        }
    }
    if let Some(publisher) = &string.publisher {
        text = format!("{text}.{}", publisher_segment(publisher));
    }
    text
}

fn publisher_segment(publisher: &PublisherTc) -> String {
    let mut segment = Writer::default();
    segment.put(3, 3);
    segment.numbers(publisher.consents, 24);
    segment.numbers(publisher.legitimate_interests, 24);
    segment.put(publisher.custom_purposes.into(), 6);
    segment.numbers(publisher.custom_consents, publisher.custom_purposes);
    segment.numbers(
        publisher.custom_legitimate_interests,
        publisher.custom_purposes,
    );
    segment.text()
}

/// Writes bits.
#[derive(Default)]
pub struct Writer(Vec<bool>);

impl Writer {
    /// The lowest `count` bits of a value; bits beyond its own are zero.
    pub fn put(&mut self, value: u64, count: usize) {
        let bit = |bit: usize| value.checked_shr(bit as u32).unwrap_or(0) & 1 == 1;
        self.0.extend((0..count).rev().map(bit));
    }

    /// The text, padded to the last character.
    pub fn text(mut self) -> String {
        self.0.resize(self.0.len().next_multiple_of(6), false);
        let six = |bits: &[bool]| bits.iter().fold(0, |six, bit| six << 1 | usize::from(*bit));
        self.0
            .chunks(6)
            .map(|bits| char::from(ALPHABET[six(bits)]))
            .collect()
    }

    fn letters(&mut self, letters: [u8; 2]) {
        letters
            .iter()
            .for_each(|letter| self.put(u64::from(letter - b'A'), 6));
    }

    fn numbers(&mut self, numbers: Numbers, count: u8) {
        (1..=count).for_each(|number| self.put(numbers.contains(number).into(), 1));
    }

    fn section(&mut self, vendors: &VendorIds) {
        self.put(vendors.max().into(), 16);
        self.put(1, 1);
        self.ranges(vendors);
    }

    fn ranges(&mut self, vendors: &VendorIds) {
        self.put(vendors.runs().len() as u64, 12);
        for (first, last) in vendors.runs() {
            self.put((first != last).into(), 1);
            self.put((*first).into(), 16);
            if first != last {
                self.put((*last).into(), 16);
            }
        }
    }
}

pub const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

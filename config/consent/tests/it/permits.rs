//! What a vendor may do is a table: its declared basis, the purpose's and the vendor's bits, what the publisher
//! restricts, and the one word that comes out.

use crate::support::Writer;
use tributary_consent::{Basis, Outcome, TcString};

/// The vendor of the table; 8 is another one.
const VENDOR: u64 = 7;

/// A string of which only what permits counts. Bits of purposes: the lowest is purpose 1.
#[derive(Clone, Copy)]
struct Says {
    cmp: u64,
    policy: u64,
    /// Tenths of a second since 1970.
    created: u64,
    global: bool,
    consents: u64,
    interests: u64,
    one_treated: bool,
    vendor_consent: u64,
    vendor_interest: u64,
    restrictions: &'static [(u64, u64, u64)],
    disclosed: Option<u64>,
    publisher: Option<(u64, u64)>,
}

const ALL: u64 = 0xff_ffff;

/// Everything was allowed.
const YES: Says = Says {
    cmp: 2,
    policy: 4,
    created: 0,
    global: false,
    consents: ALL,
    interests: ALL,
    one_treated: false,
    vendor_consent: VENDOR,
    vendor_interest: VENDOR,
    restrictions: &[],
    disclosed: None,
    publisher: None,
};

fn section(bits: &mut Writer, vendor: u64) {
    bits.put(vendor, 16);
    bits.put(1, 1);
    bits.put(1, 12);
    bits.put(0, 1);
    bits.put(vendor, 16);
}

fn purposes(bits: &mut Writer, purposes: u64) {
    (0..24).for_each(|purpose| bits.put(purposes >> purpose & 1, 1));
}

fn string(says: Says) -> TcString {
    let mut core = Writer::default();
    core.put(2, 6);
    core.put(says.created, 36);
    core.put(says.created, 36);
    core.put(says.cmp, 12);
    core.put(0, 12 + 6 + 12 + 12);
    core.put(says.policy, 6);
    core.put((!says.global).into(), 1);
    core.put(0, 1 + 12);
    purposes(&mut core, says.consents);
    purposes(&mut core, says.interests);
    core.put(says.one_treated.into(), 1);
    core.put(0, 12);
    section(&mut core, says.vendor_consent);
    section(&mut core, says.vendor_interest);
    core.put(says.restrictions.len() as u64, 12);
    for (purpose, kind, vendor) in says.restrictions {
        core.put(*purpose, 6);
        core.put(*kind, 2);
        core.put(1, 12);
        core.put(0, 1);
        core.put(*vendor, 16);
    }
    let mut text = core.text();
    if let Some(vendor) = says.disclosed {
        let mut segment = Writer::default();
        segment.put(1, 3);
        section(&mut segment, vendor);
        text = format!("{text}.{}", segment.text());
    }
    if let Some((consents, interests)) = says.publisher {
        let mut segment = Writer::default();
        segment.put(3, 3);
        purposes(&mut segment, consents);
        purposes(&mut segment, interests);
        segment.put(0, 6);
        text = format!("{text}.{}", segment.text());
    }
    TcString::parse(&text).unwrap()
}

const C: Basis = Basis::Consent;
const L: Basis = Basis::LegitimateInterest;
const FC: Basis = Basis::FlexibleConsent;
const FL: Basis = Basis::FlexibleLegitimateInterest;
const E: Basis = Basis::ConsentOrLegitimateInterest;

const NO_INTERESTS: Says = Says {
    interests: 0,
    ..YES
};
const NO_CONSENTS: Says = Says { consents: 0, ..YES };
const FORBIDDEN: Says = Says {
    restrictions: &[(7, 0, VENDOR)],
    ..YES
};
const CONSENT_ONLY: Says = Says {
    restrictions: &[(7, 1, VENDOR)],
    ..YES
};
const INTEREST_ONLY: Says = Says {
    restrictions: &[(7, 2, VENDOR)],
    ..YES
};

#[test]
fn the_table_of_permissions() {
    #[rustfmt::skip]
    let table: &[(&str, Says, u8, Basis, &str)] = &[
        ("consent suffices", NO_INTERESTS, 7, C, "consent"),
        ("interest suffices", NO_CONSENTS, 7, L, "legitimate_interest"),
        ("consent is no interest", NO_INTERESTS, 7, L, "no_purpose_interest"),
        ("interest is no consent", NO_CONSENTS, 7, C, "no_purpose_consent"),
        ("flexible keeps its own basis", NO_CONSENTS, 7, FC, "no_purpose_consent"),
        ("flexible keeps its own basis", NO_INTERESTS, 7, FL, "no_purpose_interest"),
        ("either: consent first", YES, 7, E, "consent"),
        ("either: interest next", NO_CONSENTS, 7, E, "legitimate_interest"),
        ("either: neither", Says { consents: 0, interests: 0, ..YES }, 7, E, "no_purpose_consent"),
        ("the vendor too", Says { vendor_consent: 8, ..YES }, 7, C, "no_vendor_consent"),
        ("the vendor too", Says { vendor_interest: 8, ..YES }, 7, L, "no_vendor_interest"),
        ("each on its own basis", Says { vendor_consent: 8, ..YES }, 7, E, "legitimate_interest"),
        ("not allowed", FORBIDDEN, 7, C, "not_allowed_by_publisher"),
        ("not allowed", FORBIDDEN, 7, L, "not_allowed_by_publisher"),
        ("not allowed", FORBIDDEN, 7, FC, "not_allowed_by_publisher"),
        ("not allowed", FORBIDDEN, 7, FL, "not_allowed_by_publisher"),
        ("not allowed", FORBIDDEN, 7, E, "not_allowed_by_publisher"),
        ("another purpose is", FORBIDDEN, 8, C, "consent"),
        ("consent required: had", CONSENT_ONLY, 7, C, "consent"),
        ("consent required: cannot", CONSENT_ONLY, 7, L, "consent_required_by_publisher"),
        ("consent required: had", CONSENT_ONLY, 7, FC, "consent"),
        ("consent required: turns", CONSENT_ONLY, 7, FL, "consent"),
        ("consent required: narrows", Says { consents: 0, ..CONSENT_ONLY }, 7, E, "no_purpose_consent"),
        ("consent required: turns, lacks", Says { consents: 0, ..CONSENT_ONLY }, 7, FL, "no_purpose_consent"),
        ("interest required: cannot", INTEREST_ONLY, 7, C, "interest_required_by_publisher"),
        ("interest required: had", INTEREST_ONLY, 7, L, "legitimate_interest"),
        ("interest required: turns", INTEREST_ONLY, 7, FC, "legitimate_interest"),
        ("interest required: had", INTEREST_ONLY, 7, FL, "legitimate_interest"),
        ("interest required: narrows", INTEREST_ONLY, 7, E, "legitimate_interest"),
        ("interest required: lacks", Says { interests: 0, ..INTEREST_ONLY }, 7, E, "no_purpose_interest"),
        ("restricted somehow", Says { restrictions: &[(7, 3, VENDOR)], ..YES }, 7, C, "not_allowed_by_publisher"),
        ("both required", Says { restrictions: &[(7, 1, VENDOR), (7, 2, VENDOR)], ..YES }, 7, FC, "restrictions_conflict"),
        ("not allowed wins", Says { restrictions: &[(7, 1, VENDOR), (7, 0, VENDOR)], ..YES }, 7, C, "not_allowed_by_publisher"),
        ("for another vendor", Says { restrictions: &[(7, 0, 8)], ..YES }, 7, C, "consent"),
        ("purpose 1 by consent", YES, 1, C, "consent"),
        ("purpose 1 never by interest", YES, 1, L, "interest_unavailable"),
        ("purpose 1 not disclosed", Says { one_treated: true, ..YES }, 1, C, "purpose_one_not_disclosed"),
        ("only purpose 1", Says { one_treated: true, ..YES }, 2, C, "consent"),
        ("purpose 3 by interest, v2.2", YES, 3, L, "interest_unavailable"),
        ("purpose 6 by interest, v2.2", YES, 6, L, "interest_unavailable"),
        ("purpose 2 by interest, v2.2", YES, 2, L, "legitimate_interest"),
        ("purpose 3 by interest, v2.0", Says { policy: 2, ..YES }, 3, L, "legitimate_interest"),
        ("interest required where it is none", Says { restrictions: &[(3, 2, VENDOR)], ..YES }, 3, FC, "interest_unavailable"),
        ("global, v2.2", Says { global: true, ..YES }, 7, C, "global_scope"),
        ("global, v2.0", Says { global: true, policy: 2, ..YES }, 7, C, "consent"),
        ("disclosed", Says { disclosed: Some(VENDOR), ..YES }, 7, C, "consent"),
        ("not disclosed", Says { disclosed: Some(8), ..YES }, 7, C, "not_disclosed"),
        ("no cmp", Says { cmp: 0, ..YES }, 7, C, "no_cmp"),
        ("no cmp", Says { cmp: 1, ..YES }, 7, C, "no_cmp"),
        ("no purpose", YES, 0, C, "unknown_purpose"),
        ("no purpose", YES, 25, C, "unknown_purpose"),
    ];
    for (story, says, purpose, basis, word) in table {
        let outcome = string(*says).permits(VENDOR as u16, *purpose, *basis);
        assert_eq!(
            outcome.word(),
            *word,
            "{story}: purpose {purpose} on {basis:?}"
        );
        let yes = matches!(outcome, Outcome::Consent | Outcome::LegitimateInterest);
        assert_eq!(outcome.permitted(), yes);
    }
}

#[test]
fn the_publisher_has_its_own_bits_and_is_not_restricted() {
    let own = Says {
        consents: 0,
        interests: 0,
        restrictions: &[(7, 0, VENDOR)],
        publisher: Some((1 << 6, 1 << 1)),
        ..YES
    };
    let word = |says, purpose, basis| string(says).permits_publisher(purpose, basis).word();
    assert_eq!(word(own, 7, C), "consent");
    assert_eq!(word(own, 7, L), "no_purpose_interest");
    assert_eq!(word(own, 2, E), "legitimate_interest");
    assert_eq!(word(own, 9, C), "no_purpose_consent");
    assert_eq!(word(YES, 7, C), "no_publisher_segment");
    assert_eq!(word(Says { cmp: 0, ..own }, 7, C), "no_cmp");
}

#[test]
fn nobody_is_not_a_vendor() {
    assert_eq!(string(YES).permits(0, 7, C).word(), "no_vendor_consent");
    assert_eq!(
        string(YES).permits(u16::MAX, 7, C).word(),
        "no_vendor_consent"
    );
}

/// 2026-03-01T00:00Z in tenths of a second.
const MARCH: u64 = 17_723_232_000;

#[test]
fn since_tcf_2_3_a_string_lists_the_vendors_that_were_shown() {
    let word = |says: Says| {
        let string = string(Says {
            publisher: Some((ALL, ALL)),
            ..says
        });
        let vendor = string.permits(7, 7, C).word();
        let publisher = string.permits_publisher(7, C).word();
        assert_eq!(vendor == "consent", publisher == "consent");
        vendor
    };
    let (policy, created) = (5, MARCH);
    let new = Says {
        policy,
        created,
        ..YES
    };
    assert_eq!(word(new), "no_disclosed_vendors");
    assert_eq!(word(Says { policy: 6, ..new }), "no_disclosed_vendors");
    let disclosed = Some(VENDOR);
    assert_eq!(word(Says { disclosed, ..new }), "consent");
    // An older string, or one of older policies, need not.
    let created = MARCH - 1;
    assert_eq!(word(Says { created, ..new }), "consent");
    assert_eq!(word(Says { policy: 4, ..new }), "consent");
}

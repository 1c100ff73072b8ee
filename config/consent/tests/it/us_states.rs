//! The sections of single states are read where each of them has its fields; each string was written by the public
//! encoder (`@iabgpp/cmpapi` 3.2.0) with both notices given, sale opted out, targeted advertising not, the last category of
//! sensitive data refused, the last consent for a child given, and the service provider mode on.

use tributary_consent::{
    Allowed, Consented, Gpp, Kind, Notice, OptOut, OptedOut, Party, Section, Terms, UsState, YesNo,
};

/// Section, state, string, categories of sensitive data, consents for children, whether the last category is the precise
/// position, and the control of the browser.
type State = (
    u16,
    &'static str,
    &'static str,
    usize,
    usize,
    bool,
    Option<bool>,
);

#[rustfmt::skip]
const STATES: [State; 15] = [
    (9, "VA", "DBABRg~BFYggaE", 8, 1, true, None),
    (10, "CO", "DBABJg~BFYghoQ.QA", 7, 1, false, Some(false)),
    (11, "UT", "DBABFg~BFGIIGhA", 8, 1, true, None),
    (12, "CT", "DBABVg~BFYggQoQ.QA", 8, 3, true, Some(false)),
    (13, "FL", "DBABAw~BFYggQiE", 8, 3, true, None),
    (14, "MT", "DBABQw~BFYggQiE.QA", 8, 3, true, Some(false)),
    (15, "OR", "DBABIw~BFYgggQiEA.QA", 11, 3, true, Some(false)),
    (16, "TX", "DBABEw~BFYggYhA.QA", 8, 1, true, Some(false)),
    (17, "DE", "DBABUw~BFYggkAiEA.QA", 9, 5, true, Some(false)),
    (18, "IA", "DBABCw~BFGIIGhA.QA", 8, 1, true, Some(false)),
    (19, "NE", "DBABSw~BFYggYhA.QA", 8, 1, true, Some(false)),
    (20, "NH", "DBABKw~BFYggQiE.QA", 8, 3, true, Some(false)),
    (21, "NJ", "DBABAYA~BFYgghAIhA.YA", 10, 5, false, Some(true)),
    (22, "TN", "DBABQYA~BFYggYhA.QA", 8, 1, true, Some(false)),
    (23, "MN", "DBABIYA~BFYggYhA.QA", 8, 1, true, Some(false)),
];

fn state(text: &str) -> UsState {
    match Gpp::parse(text).unwrap().sections() {
        [(_, Section::UsState(section))] => *section,
        other => panic!("{text}: {other:?}"),
    }
}

fn outs(allowed: Allowed) -> Vec<OptOut> {
    let all = OptOut::ALL.into_iter();
    all.filter(|out| allowed.opted_out(*out)).collect()
}

#[test]
fn every_state_is_read_in_its_own_layout() {
    let terms = Terms::new(Party::Publisher);
    for (id, name, text, sensitive, children, position, gpc) in STATES {
        let gpp = Gpp::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(gpp.sections()[0].0, id, "{name}");
        assert_eq!(gpp.unread().count(), 0, "{name}");
        let section = state(text);
        assert_eq!((section.state, section.gpc), (name, gpc));
        assert_eq!(section.processing_notice, Notice::NotApplicable, "{name}");
        assert_eq!(section.sale_opt_out_notice, Notice::Provided, "{name}");
        assert_eq!(
            section.targeted_advertising_opt_out_notice,
            Notice::Provided,
            "{name}"
        );
        assert_eq!(section.sale_opt_out, OptedOut::Out, "{name}");
        assert_eq!(
            section.targeted_advertising_opt_out,
            OptedOut::DidNot,
            "{name}"
        );
        for (place, answer) in section.sensitive_data.into_iter().enumerate() {
            let expected = match place {
                last if last == sensitive - 1 => Consented::No,
                place if place < sensitive && place % 3 == 1 => Consented::Yes,
                _ => Consented::NotApplicable,
            };
            assert_eq!(answer, expected, "{name}: category {place}");
        }
        for (place, answer) in section.known_child.into_iter().enumerate() {
            let given = place == children - 1;
            let expected = if given {
                Consented::Yes
            } else {
                Consented::NotApplicable
            };
            assert_eq!(answer, expected, "{name}: child {place}");
        }
        assert_eq!(section.additional_data, Consented::NotApplicable, "{name}");
        assert_eq!(section.mspa_covered, YesNo::No, "{name}");
        assert_eq!(section.mspa_opt_out_option, YesNo::NotApplicable, "{name}");
        assert_eq!(section.mspa_service_provider, YesNo::Yes, "{name}");

        let mut expected = vec![OptOut::Sale];
        expected.extend((gpc == Some(true)).then_some(OptOut::TargetedAdvertising));
        expected.extend(position.then_some(OptOut::PrecisePosition));
        assert_eq!(outs(gpp.allowed(&terms)), expected, "{name}");
    }
}

#[test]
fn all_states_may_stand_in_one_string_beside_one_that_is_unknown() {
    // One group, from 9 to 24.
    let parts = STATES.map(|(_, _, text, ..)| text.split_once('~').unwrap().1);
    let text = format!("DBABxow~{}~BAAA", parts.join("~"));
    let gpp = Gpp::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(gpp.unread().collect::<Vec<_>>(), [24]);
    assert_eq!(gpp.sections().len(), 16);
}

#[test]
fn what_a_section_does_not_define_is_refused() {
    let error = |text: &str| {
        let error = Gpp::parse(text).unwrap_err();
        (error.section, error.kind)
    };
    // Another version, an undefined answer, cut off, a longer layout, a sub-section of an unknown type, one twice.
    assert_eq!(error("DBABRg~CFYggaE"), (9, Kind::Version(2)));
    assert_eq!(error("DBABRg~B_YggaE"), (9, Kind::Value));
    assert_eq!(error("DBABRg~BFYgg"), (9, Kind::Truncated));
    assert_eq!(error("DBABRg~BFYggaEAB"), (9, Kind::Garbage));
    assert_eq!(error("DBABJg~BFYghoQ.AA"), (10, Kind::SegmentType(0)));
    assert_eq!(error("DBABJg~BFYghoQ.QA.QA"), (10, Kind::SegmentTwice(1)));
    // The control of the browser counts in a state that does not define its sub-section, too.
    assert_eq!(state("DBABRg~BFYggaE.YA").gpc, Some(true));
}

#[test]
fn a_notice_that_was_not_given_is_an_opt_out() {
    // Virginia: sale notice not given, nothing else applies.
    let gpp = Gpp::parse("DBABRg~BIAAAAA").unwrap();
    let allowed = gpp.allowed(&Terms::new(Party::Publisher));
    assert_eq!(outs(allowed), [OptOut::Sale]);
}

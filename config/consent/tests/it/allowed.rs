//! Whatever the signal, one small value comes out; nothing is allowed by silence, and nothing granted by an opt-out
//! that was not used.

use crate::support::GPP;
use tributary_consent::{
    Allowed, Basis, Boxes, Gpp, Kind, Malformed, Numbers, OptOut, Party, TcString, Terms,
};

/// Vendors 2, 6 and 8 and purposes 1 to 3, by consent; nothing by legitimate interest.
const STRING: &str = "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA";

fn by_consent(party: Party) -> Terms {
    (1..=11)
        .fold(Terms::new(party), |terms, purpose| {
            terms.with(purpose, Basis::Consent)
        })
        .with_special_features(Numbers::from_iter([1, 2]))
        .with_feature_2(true)
}

fn outs(allowed: Allowed) -> Vec<OptOut> {
    OptOut::ALL
        .into_iter()
        .filter(|out| allowed.opted_out(*out))
        .collect()
}

#[test]
fn silence_allows_nothing() {
    let nothing = Allowed::default();
    assert!(nothing.purposes().is_empty() && nothing.special_features().is_empty());
    assert!(!nothing.feature_2());
    assert_eq!(outs(nothing), []);
    assert_eq!(size_of::<Allowed>(), 4);

    let terms = by_consent(Party::Vendor(6));
    assert_eq!(Gpp::parse("DBAA").unwrap().allowed(&terms), nothing);
    assert_eq!(Boxes::default().allowed(&terms), nothing);
    let string = TcString::parse(STRING).unwrap();
    assert_eq!(
        string.allowed(&Terms::new(Party::Vendor(6))),
        nothing,
        "nothing was declared"
    );
    assert_eq!(
        string.allowed(&by_consent(Party::Vendor(7))),
        nothing,
        "another vendor"
    );
    assert_eq!(
        string.allowed(&by_consent(Party::Publisher)),
        nothing,
        "no publisher segment"
    );
}

#[test]
fn a_tc_string_allows_what_was_declared_and_permitted() {
    let string = TcString::parse(STRING).unwrap();
    let allowed = string.allowed(&by_consent(Party::Vendor(6)));
    assert_eq!(allowed.purposes(), Numbers::from_iter([1, 2, 3]));
    assert!(allowed.purpose(1) && !allowed.purpose(4) && !allowed.purpose(0));
    assert!(allowed.feature_2());
    assert!(allowed.special_features().is_empty(), "nobody opted in");
    let less = by_consent(Party::Vendor(6)).with_feature_2(false);
    assert!(!string.allowed(&less).feature_2());
    let only_first = Terms::new(Party::Vendor(6)).with(1, Basis::Consent);
    assert_eq!(
        string.allowed(&only_first).purposes(),
        Numbers::from_iter([1])
    );
}

#[test]
fn boxes_are_opt_ins_and_known_by_name() {
    let terms = by_consent(Party::Publisher).with_feature_2(false);
    let read = |boxes: &[(&'static str, bool)]| Boxes::read(boxes.iter().copied());
    let boxes = read(&[
        ("7", true),
        ("9", false),
        ("10", true),
        ("special_feature_1", true),
        ("feature_2", true),
        ("do_not_sell", true),
        ("do_not_share", false),
    ])
    .unwrap();
    assert!(boxes.ticked("7") && !boxes.ticked("9") && !boxes.ticked("8"));
    let allowed = boxes.allowed(&terms);
    assert_eq!(allowed.purposes(), Numbers::from_iter([7, 10]));
    assert!(allowed.special_feature(1) && !allowed.special_feature(2));
    assert!(allowed.feature_2());
    assert_eq!(outs(allowed), [OptOut::Sale]);

    let linking = terms.clone().with_feature_2(true);
    assert!(
        read(&[("7", true)]).unwrap().allowed(&linking).feature_2(),
        "declared, no box"
    );
    assert!(
        !read(&[("7", true), ("feature_2", false)])
            .unwrap()
            .allowed(&linking)
            .feature_2()
    );
    let only_feature = read(&[("feature_2", true), ("special_feature_1", true)]).unwrap();
    assert_eq!(
        only_feature.allowed(&linking),
        Allowed::default(),
        "no feature without a purpose"
    );

    let refused = |boxes: &[(&'static str, bool)]| {
        read(boxes).map_err(|Malformed { kind, segment, .. }| (kind, segment))
    };
    assert_eq!(refused(&[("7", true), ("12", true)]), Err((Kind::Box, 1)));
    assert_eq!(refused(&[("marketing", true)]), Err((Kind::Box, 0)));
    assert_eq!(
        refused(&[("7", true), ("7", false)]),
        Err((Kind::BoxTwice, 1))
    );
}

#[test]
fn us_sections_take_away_and_never_grant() {
    use OptOut::{PrecisePosition, Sale, Sharing, TargetedAdvertising};
    let terms = by_consent(Party::Vendor(6));
    let outs = |text: &str| {
        let allowed = Gpp::parse(text).unwrap().allowed(&terms);
        assert!(allowed.purposes().is_empty() && !allowed.feature_2());
        self::outs(allowed)
    };
    let all = [Sale, Sharing, TargetedAdvertising];
    assert_eq!(outs("DBABTA~1YNN"), []);
    assert_eq!(outs("DBABTA~1---"), []);
    assert_eq!(outs("DBABTA~1YYN"), all);
    assert_eq!(outs("DBABTA~1NNN"), all, "no notice was given");
    assert_eq!(outs(GPP[5]), OptOut::ALL, "opted out of everything");
    assert_eq!(outs(GPP[6]), all, "a known child without consent");
    assert_eq!(outs(GPP[11]), [], "did not opt out");
    assert_eq!(outs(GPP[7]), all, "the browser's signal wins over the form");
    assert_eq!(outs("DBABBg~BVqqqqpY"), []);
    assert_eq!(outs("DBABBg~BVqqqqpY.QA"), []);
    // California's third answer on sensitive data: out.
    assert_eq!(outs("DBABBg~BVqmqqpY"), [PrecisePosition]);
}

#[test]
fn sections_meet_in_one_value() {
    let text = format!("DBACNYA~{STRING}~1YYN");
    let allowed = Gpp::parse(&text)
        .unwrap()
        .allowed(&by_consent(Party::Vendor(6)));
    assert_eq!(allowed.purposes(), Numbers::from_iter([1, 2, 3]));
    assert!(allowed.opted_out(OptOut::Sale));
    let json = serde_json::to_string(&allowed).unwrap();
    assert_eq!(serde_json::from_str::<Allowed>(&json).unwrap(), allowed);
}

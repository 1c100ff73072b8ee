//! Strings of the Global Privacy Platform, from its specification and from the tests of public decoders, are read
//! as those expect; what is malformed is refused, what is only unknown is kept by id.

use crate::support::{GPP, Writer};
use tributary_consent::{
    Consented, Gpp, Kind, Notice, Numbers, OptedOut, Section, UsCalifornia, UsNational, UsPrivacy,
    YesNo,
};

fn ids(text: &str) -> Vec<u16> {
    let gpp = Gpp::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    gpp.sections().iter().map(|(id, _)| *id).collect()
}

fn national(text: &str) -> UsNational {
    match Gpp::parse(text).unwrap().sections() {
        [(7, Section::UsNational(section))] => *section,
        other => panic!("{other:?}"),
    }
}

fn california(text: &str) -> UsCalifornia {
    match Gpp::parse(text).unwrap().sections() {
        [(8, Section::UsCalifornia(section))] => *section,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_examples_of_the_specification() {
    assert_eq!(ids(GPP[0]), [2]);
    assert_eq!(ids(GPP[1]), [2]);
    assert_eq!(ids(GPP[2]), [2, 6]);
    assert_eq!(ids(GPP[3]), [5, 6]);
    assert!(ids(GPP[4]).is_empty());

    let gpp = Gpp::parse(GPP[2]).unwrap();
    assert_eq!(gpp.tc_string().map(|string| string.cmp_id), Some(31));
    let not_sold = UsPrivacy {
        notice: YesNo::Yes,
        sale_opt_out: YesNo::No,
        lspa_covered: YesNo::No,
    };
    assert_eq!(gpp.sections()[1], (6, Section::UsPrivacy(not_sold)));
    let gpp = Gpp::parse(GPP[3]).unwrap();
    assert_eq!(
        gpp.sections()[0],
        (5, Section::Other),
        "Canada is kept by id"
    );
    assert_eq!(gpp.tc_string(), None);
}

#[test]
fn a_tc_string_with_segments() {
    let gpp = Gpp::parse(GPP[8]).unwrap();
    let string = gpp.tc_string().unwrap();
    assert_eq!((string.cmp_id, string.vendor_list_version), (27, 15));
    assert_eq!(string.created / 10, 1_582_243_059);
    assert_eq!(string.purpose_consents, Numbers::from_iter([1, 2, 3]));
    assert_eq!(string.vendor_consents.iter().collect::<Vec<_>>(), [2, 6, 8]);
    assert_eq!(
        string
            .disclosed_vendors
            .as_ref()
            .map(|vendors| vendors.iter().count()),
        Some(79)
    );
    let publisher = string.publisher.unwrap();
    assert_eq!(publisher.consents, Numbers::from_iter([3, 16]));
    assert_eq!(publisher.custom_consents, Numbers::from_iter([1, 2, 4]));
    assert_eq!(
        publisher.custom_legitimate_interests,
        Numbers::from_iter([2, 4])
    );
}

#[test]
fn us_national_in_both_layouts() {
    let all_out = national(GPP[5]);
    assert_eq!((all_out.version, all_out.gpc), (1, Some(true)));
    assert_eq!(all_out.sharing_notice, Notice::Provided);
    assert_eq!(all_out.sale_opt_out, OptedOut::Out);
    assert_eq!(all_out.sharing_opt_out, OptedOut::Out);
    assert_eq!(all_out.targeted_advertising_opt_out, OptedOut::Out);
    assert_eq!(all_out.sensitive_data[..12], [Consented::No; 12]);
    assert_eq!(all_out.sensitive_data[12..], [Consented::NotApplicable; 4]);
    assert_eq!(
        all_out.known_child,
        [Consented::No, Consented::No, Consented::NotApplicable]
    );
    assert_eq!(all_out.personal_data, Consented::No);
    assert_eq!(all_out.mspa_covered, YesNo::Yes);
    assert_eq!(all_out.mspa_opt_out_option, YesNo::Yes);
    assert_eq!(all_out.mspa_service_provider, YesNo::No);

    let second = national(GPP[6]);
    assert_eq!((second.version, second.gpc), (2, Some(false)));
    assert_eq!(
        second.known_child,
        [
            Consented::NotApplicable,
            Consented::NotApplicable,
            Consented::No
        ]
    );
    assert_eq!(second.personal_data, Consented::No);
    assert_eq!(
        (second.mspa_covered, second.sale_opt_out),
        (YesNo::No, OptedOut::NotApplicable)
    );

    // Version 1 with the sixteen answers of version 2, as the public encoder wrote it.
    let mixed = national(GPP[9]);
    let cycle = [Consented::Yes, Consented::No, Consented::NotApplicable]
        .into_iter()
        .cycle();
    assert_eq!(
        mixed.sensitive_data.to_vec(),
        cycle.take(16).collect::<Vec<_>>()
    );
    assert_eq!(
        mixed.known_child,
        [Consented::Yes, Consented::No, Consented::NotApplicable]
    );
    assert_eq!((mixed.version, mixed.mspa_service_provider), (1, YesNo::No));
    let nothing = national(GPP[10]);
    assert_eq!(
        (nothing.mspa_covered, nothing.gpc),
        (YesNo::Yes, Some(false))
    );
    assert_eq!(nothing.sensitive_data, [Consented::NotApplicable; 16]);

    let short = national(GPP[11]);
    assert_eq!(short.targeted_advertising_opt_out_notice, Notice::Provided);
    assert_eq!(short.sensitive_data_limit_use_notice, Notice::NotApplicable);
    assert_eq!(short.sale_opt_out, OptedOut::DidNot);
    assert_eq!(short.targeted_advertising_opt_out, OptedOut::DidNot);
    assert_eq!((short.mspa_covered, short.gpc), (YesNo::No, None));
}

#[test]
fn california_by_field() {
    let stays = california(GPP[7]);
    assert_eq!(
        (stays.sale_opt_out, stays.gpc),
        (OptedOut::DidNot, Some(true))
    );
    assert_eq!(stays.sensitive_data, [OptedOut::DidNot; 9]);
    assert_eq!(stays.known_child, [Consented::Yes; 2]);

    let leaves = california(GPP[12]);
    assert_eq!(
        (leaves.sale_opt_out, leaves.sharing_opt_out),
        (OptedOut::Out, OptedOut::Out)
    );
    assert_eq!(
        leaves.sensitive_data[..3],
        [OptedOut::DidNot, OptedOut::Out, OptedOut::NotApplicable]
    );
    assert_eq!(leaves.known_child, [Consented::Yes, Consented::No]);
    assert_eq!(
        (leaves.personal_data, leaves.mspa_service_provider),
        (Consented::No, YesNo::No)
    );
}

/// A header of entries: offset, and length beyond the first where it is a group.
fn header(entries: &[(&str, Option<&str>)]) -> String {
    let mut bits = Writer::default();
    bits.put(3, 6);
    bits.put(1, 6);
    bits.put(entries.len() as u64, 12);
    for (offset, length) in entries {
        bits.put(length.is_some().into(), 1);
        let codes = offset.chars().chain(length.unwrap_or_default().chars());
        codes.for_each(|code| bits.put((code == '1').into(), 1));
    }
    bits.text()
}

#[test]
fn fibonacci_ranges() {
    // «Fibonacci Encoding»: the numbers 1 to 7, and the range 3, 5 to 8 of the data types.
    let codes = ["11", "011", "0011", "1011", "00011", "10011", "01011"];
    for (id, code) in (1_u16..).zip(codes) {
        let known = [
            "",
            "COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA",
            "",
            "",
            "",
            "1---",
            "BVQqAAAACg",
        ];
        let text = format!("{}~{}", header(&[(code, None)]), known[usize::from(id) - 1]);
        assert_eq!(ids(&text), [id]);
    }
    let range = header(&[("0011", None), ("1011", None), ("011", Some("11"))]);
    let virginia_and_colorado = "BFYggaE~BFYghoQ.QA";
    let range = format!("{range}~~BVQqAAAACg~{virginia_and_colorado}");
    assert_eq!(ids(&range), [3, 7, 9, 10]);
    let example = header(&[("0011", None), ("011", Some("0011"))]);
    assert_eq!(
        ids(&format!("{example}~~~1YNN~BVQqAAAACg~BVqqqqpY")),
        [3, 5, 6, 7, 8]
    );
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    let refused = |text: &str| {
        let error = Gpp::parse(text).unwrap_err();
        (error.kind, error.section, error.segment, error.bit)
    };
    assert_eq!(refused(""), (Kind::Truncated, 0, 0, 0));
    assert_eq!(refused("CBABM"), (Kind::HeaderType(2), 0, 0, 0));
    assert_eq!(refused("DCABM"), (Kind::Version(2), 0, 0, 6));
    assert_eq!(
        refused("DBABJ~x"),
        (Kind::Truncated, 0, 0, 30),
        "a code without its end"
    );
    assert_eq!(refused("DBABMB~x"), (Kind::Garbage, 0, 0, 30));
    let count = |named, found| Kind::SectionCount { named, found };
    assert_eq!(refused("DBABM").0, count(1, 0));
    assert_eq!(refused("DBACNYA~C").0, count(2, 1));
    assert_eq!(refused("DBAA~").0, count(0, 1));
    let endless = "0".repeat(30);
    assert_eq!(refused(&header(&[(&endless, None)])).0, Kind::SectionId);
    let largest = format!("{}11", "01".repeat(11));
    assert_eq!(
        refused(&header(&[(&largest, Some(&largest))])).0,
        Kind::SectionId
    );

    assert_eq!(
        refused("DBABM~BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA"),
        (Kind::VersionOne, 2, 0, 0)
    );
    assert_eq!(refused("DBABM~CPXx"), (Kind::Truncated, 2, 0, 6));
    // iabgpp-es reads this one, with 3 in five places (UsCa.test.ts).
    assert_eq!(refused("DBABBg~BbYbGwXY.YA"), (Kind::Value, 8, 0, 10));
    assert_eq!(refused("DBABBg~CVqqqqpY"), (Kind::Version(2), 8, 0, 0));
    assert_eq!(refused("DBABLA~DVVVVVVVVWA"), (Kind::Version(3), 7, 0, 0));
    assert_eq!(refused("DBABLA~BVVVVVVVV"), (Kind::Truncated, 7, 0, 54));
    assert_eq!(
        refused("DBABLA~BVVVVVVVVWA.YA.YA"),
        (Kind::SegmentTwice(1), 7, 2, 0)
    );
    assert_eq!(
        refused("DBABLA~BVVVVVVVVWA.AA"),
        (Kind::SegmentType(0), 7, 1, 0)
    );
    assert_eq!(refused("DBABLA~BVVVVVVVVWA."), (Kind::Truncated, 7, 1, 0));
    assert_eq!(refused("DBABBg~BVqqqqpY.YB"), (Kind::Garbage, 8, 1, 6));
}

#[test]
fn us_privacy_has_four_characters() {
    let read = |text| UsPrivacy::parse(text).map_err(|error| (error.kind, error.bit));
    assert_eq!(
        read("1---").map(|string| string.sale_opt_out),
        Ok(YesNo::NotApplicable)
    );
    assert_eq!(
        read("1-Y-").map(|string| string.sale_opt_out),
        Ok(YesNo::Yes)
    );
    assert_eq!(read("1NYY").map(|string| string.notice), Ok(YesNo::No));
    assert_eq!(read("2YNN"), Err((Kind::Version(2), 0)));
    assert_eq!(read("YYNN"), Err((Kind::UsPrivacy, 0)));
    assert_eq!(read(""), Err((Kind::UsPrivacy, 0)));
    assert_eq!(read("1YN"), Err((Kind::UsPrivacy, 3)));
    assert_eq!(read("1yNN"), Err((Kind::UsPrivacy, 1)));
    assert_eq!(
        read("1Y-N"),
        Err((Kind::UsPrivacy, 2)),
        "an opt-out is never unknown"
    );
    assert_eq!(read("1YNNN"), Err((Kind::UsPrivacy, 4)));
}

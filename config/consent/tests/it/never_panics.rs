//! Whatever comes, reading ends with a value or an error. Strings are cut at every length, every bit is turned, and
//! random text is read, from a fixed seed so that a failure repeats; `TRIBUTARY_FUZZ` sets the number of random
//! texts (default 200,000). What could be read is written and read again, and is the same.

use crate::support::{ALPHABET, GPP, cases, encode, string};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use tributary_consent::{Allowed, Basis, Boxes, Gpp, Numbers, Party, TcString, Terms, VendorList};

/// Two TC strings that are always here: of «TC String Format», and with restrictions and a publisher segment.
const STRINGS: [&str; 2] = [
    "COw4XqLOw4XqLAAAAAENAXCAAAAAAAAAAAAAAAAAAAAA.IFukWSQgAIQwgI0QEByFAAAAeIAACAIgSAAQAIAgEQACEABAAAgAQFAEAIAAAGBAAgAAAAQAIFAAMCQAAgAAQiRAEQAAAAANAAIAAggAIYQFAAARmggBC3ZCYzU2yIA.YAAAAAAAAAAAAAAAAAA",
    "CLcVDxRMWfGmWAVAHCENAXCkAKDAADnAABRgA5mdfCKZuYJez-NQm0TBMYA4oCAAGQYIAAAAAAEAIAEgAA.argAC0gAAAAAAAAAAAAA",
];

fn terms(party: Party) -> Terms {
    (1..=11)
        .fold(Terms::new(party), |terms, purpose| {
            terms.with(purpose, Basis::ConsentOrLegitimateInterest)
        })
        .with_special_features(Numbers::from_iter([1, 2]))
        .with_feature_2(true)
}

/// Reads text as everything, and asks what came of it. Says whether it was a TC string, and a GPP string.
fn read(text: &str, terms: &[Terms]) -> (bool, bool) {
    let string = TcString::parse(text);
    if let Ok(string) = &string {
        let allowed: Vec<Allowed> = terms.iter().map(|terms| string.allowed(terms)).collect();
        let again = TcString::parse(&encode(string)).unwrap();
        assert_eq!(&again, string, "{text}");
        let allowed_again = terms.iter().map(|terms| again.allowed(terms));
        assert!(allowed_again.eq(allowed), "{text}");
    }
    let gpp = Gpp::parse(text);
    if let Ok(gpp) = &gpp {
        let allowed = terms.iter().map(|terms| gpp.allowed(terms));
        assert_eq!(allowed.count(), terms.len());
        assert_eq!(gpp.sections().len(), text.split('~').count() - 1, "{text}");
    }
    (string.is_ok(), gpp.is_ok())
}

fn strings() -> Vec<String> {
    let kinds = [
        "valid",
        "valid_but_cmp_id_0",
        "reject_v1",
        "reject_malformed",
    ];
    let public = kinds.into_iter().flat_map(cases);
    let public = public.map(|case| string(&case).to_owned());
    public
        .chain(STRINGS.into_iter().chain(GPP).map(str::to_owned))
        .collect()
}

fn parties() -> Vec<Terms> {
    vec![
        terms(Party::Vendor(6)),
        terms(Party::Vendor(u16::MAX)),
        terms(Party::Publisher),
    ]
}

#[test]
fn strings_cut_at_every_length() {
    let terms = parties();
    for text in strings() {
        let segments = text.matches(['.', '~']).count();
        let good: usize = (0..text.len())
            .map(|end| read(&text[..end], &terms))
            .map(|(tc, gpp)| usize::from(tc) + usize::from(gpp))
            .sum();
        // What is left of a good string is good where a segment ends, and where only padding was cut.
        assert!(
            good <= segments + 40,
            "{good} of {} cuts are good: {text}",
            text.len()
        );
    }
}

#[test]
fn strings_with_any_bit_turned() {
    let terms = parties();
    for text in strings() {
        for at in 0..text.len() {
            let byte = text.as_bytes()[at];
            // Each of the six bits where there are any, and each of the eight of the character itself.
            let six = ALPHABET.iter().position(|letter| *letter == byte);
            let turned = six
                .into_iter()
                .flat_map(|six| (0..6).map(move |bit| ALPHABET[six ^ 1 << bit]));
            for byte in turned.chain((0..8).map(|bit| byte ^ 1 << bit)) {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                read(&String::from_utf8_lossy(&bytes), &terms);
            }
        }
    }
}

#[test]
fn random_text() {
    let texts = std::env::var("TRIBUTARY_FUZZ").map_or(200_000, |texts| texts.parse().unwrap());
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let terms = parties();
    let strings = strings();
    let (mut tc, mut gpp) = (0, 0);
    for number in 0..texts {
        let mut bytes: Vec<u8> = match number % 4 {
            // Any bytes.
            0 => (0..random.random_range(0..64))
                .map(|_| random.random())
                .collect(),
            // Base64url, mostly zeros, behind a good beginning: lengths and counts come out small, and fields agree.
            1 | 2 => {
                let rest = random.random_range(0..80);
                let sparse = random.random_range(1..8);
                let mut letter = || match random.random_range(0..sparse) {
                    0 => ALPHABET[random.random_range(0..64)],
                    _ => b'A',
                };
                let start = if number % 4 == 1 {
                    "CPXxRfAPXxRfAAfKABENB"
                } else {
                    "DBA"
                };
                start.bytes().chain((0..rest).map(|_| letter())).collect()
            }
            // A good string with some characters replaced, removed or put in.
            _ => strings.choose(&mut random).unwrap().clone().into_bytes(),
        };
        for _ in 0..random.random_range(0..3) {
            if bytes.is_empty() {
                break;
            }
            let at = random.random_range(0..bytes.len());
            let letter = *b"AQgIY.~-1Y".choose(&mut random).unwrap();
            match random.random_range(0..3) {
                0 => bytes[at] = letter,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, letter),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let (is_tc, is_gpp) = read(&text, &terms);
        tc += u64::from(is_tc);
        gpp += u64::from(is_gpp);
        let _ = Boxes::read([(&*text, true)]);
        if number % 16 == 0 {
            let _ = VendorList::parse(&bytes);
        }
    }
    assert!(
        tc > texts / 1000 && gpp > texts / 1000,
        "{tc} TC strings and {gpp} GPP strings of {texts}"
    );
}

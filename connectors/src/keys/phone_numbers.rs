//! Holds the reading of telephone numbers to libphonenumber's: every region's
//! example numbers of every type, in every usual spelling, from the region
//! itself and from others. The answers were written by an independent port
//! (`tests/phone_numbers.py`).

use super::canonical;
use super::phone::{Region, e164};

const ANSWERS: &str = include_str!("../../tests/phone_numbers.tsv");

/// The foreign regions, and which spellings are read there.
const FOREIGN: [Option<&str>; 6] = [
    Some("US"),
    Some("FR"),
    Some("RU"),
    Some("JP"),
    Some("IT"),
    None,
];
const ABROAD: [usize; 7] = [0, 1, 4, 6, 10, 15, 17];

/// The spellings of one number, as in `tests/phone_numbers.py`.
fn spellings([code, nsn, trunk, prefix, inter, national]: [&str; 6]) -> Vec<String> {
    let wide = |text: &str| -> String {
        let wide = |c: char| match c {
            ' ' => '\u{3000}',
            c if c.is_ascii_digit() || "+-()/.".contains(c) => {
                char::from_u32(u32::from(c) + 0xfee0).unwrap()
            }
            c => c,
        };
        text.chars().map(wide).collect()
    };
    let digits_from = |text: &str, zero: u32| -> String {
        let digit = |c: char| match c.to_digit(10) {
            Some(digit) => char::from_u32(zero + digit).unwrap(),
            None => c,
        };
        text.chars().map(digit).collect()
    };
    let written = format!("+{code}{nsn}");
    let mut short = national.to_owned();
    short.pop();
    vec![
        written.clone(),
        inter.to_owned(),
        inter.replace(' ', "-"),
        inter.replace(' ', "."),
        format!("00{code}{nsn}"),
        format!("{prefix} {}", &inter[1..]),
        national.to_owned(),
        national.chars().filter(char::is_ascii_digit).collect(),
        national.replace(' ', "-"),
        national.replace(' ', "/"),
        nsn.to_owned(),
        format!("{trunk}{nsn}"),
        format!("tel:{}", inter.replace(' ', "-")),
        format!("{code}{nsn}"),
        format!(
            "+{code} ({}) {nsn}",
            if trunk.is_empty() { "0" } else { trunk }
        ),
        format!("+{code} {trunk}{nsn}"),
        format!("({code}) {nsn}"),
        wide(inter),
        wide(national),
        digits_from(national, 0x660),
        digits_from(&written, 0x966),
        format!("tel:{nsn};phone-context=+{code}"),
        format!("{national} ext. 123"),
        national.replace(' ', "\u{a0}"),
        national.replace('-', "\u{2013}"),
        format!(" {national} "),
        format!("Tel: {inter}"),
        short,
        format!("{national}1"),
    ]
}

/// One answer a reading: the number itself, none, or another number.
fn answers(text: &str, own: &str) -> Vec<Option<String>> {
    let (mut answers, mut rest) = (Vec::new(), text.chars());
    while let Some(c) = rest.next() {
        answers.push(match c {
            '=' => Some(own.to_owned()),
            '-' => None,
            _ => Some(rest.by_ref().take_while(|c| *c != ')').collect()),
        });
    }
    answers
}

#[test]
fn every_regions_example_numbers_are_read_as_libphonenumber_reads_them() {
    let (mut tried, mut kept, mut wrong) = (0, 0, Vec::new());
    let mut regions = std::collections::BTreeSet::new();
    let mut clear = String::new();
    for line in ANSWERS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [region, code, nsn, trunk, prefix, inter, national, given] = fields[..] else {
            panic!("not eight fields: {line}");
        };
        regions.insert(region);
        let texts = spellings([code, nsn, trunk, prefix, inter, national]);
        let home = texts.iter().map(|text| (Some(region), text));
        let abroad = FOREIGN
            .iter()
            .flat_map(|region| ABROAD.map(|spelling| (*region, &texts[spelling])));
        let readings: Vec<_> = home.chain(abroad).collect();
        let given = answers(given, &format!("+{code}{nsn}"));
        assert_eq!(given.len(), readings.len(), "{line}");
        for ((region, text), expected) in readings.into_iter().zip(given) {
            canonical::lower(text, &mut clear);
            let found = e164(Region::of(region), &clear).map(|number| number.to_string());
            tried += 1;
            kept += usize::from(found.is_some());
            if found != expected {
                wrong.push(format!("{region:?} {text:?}: {found:?} for {expected:?}"));
            }
        }
    }
    println!(
        "{tried} readings in {} regions, {kept} of them numbers, {} wrong",
        regions.len(),
        wrong.len()
    );
    assert!(tried > 75_000 && kept > 60_000, "{tried} {kept}");
    assert_eq!(regions.len(), 245);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

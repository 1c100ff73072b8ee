//! Whatever comes, every line ends as exactly one event, one dead letter or one omission, and nothing
//! panics. Valid input is mutated from a fixed seed, so that a failure repeats; `TRIBUTARY_FUZZ` sets the
//! number of inputs (default 20,000).

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{AT, brand, config};
use crate::sink::{DecoderHarness, Kept};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use tributary_config::model::{
    Brand, Column, Config, Csv, DecimalMark, Encoding, Format, HashRule, Kind, Mapping, Source,
    TimeUnit,
};
use tributary_connectors::native::{amount, mac, time};
use tributary_connectors::{csv, trace};
use tributary_operators::event::Event;
use tributary_operators::label::{Label, OWN_WORDS};
use tributary_operators::record::{Body, RefundAmount};

const CORPUS: [(&str, &str); 20] = [
    (
        "web",
        r#"{"id":"8","ts":1700000000000,"type":"order","restates":"o","amount":"9.50","gpc":true,"click_id":["a","b"],"device":"7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB","email":["jane@example.org",null,7]}"#,
    ),
    (
        "ping",
        r#"{"ts":1700000000000,"store":"s1","sensor":"d1","mac":"92:22:33:44:55:66","rssi":-60,"associated":true}"#,
    ),
    (
        "web",
        r#"{"id":"1","ts":1700000000000,"type":"click","cookie":"c1","source":"google","medium":"cpc","campaign":"Spring","version":3}"#,
    ),
    (
        "web",
        r#"{"id":"2","ts":"2023-11-14T22:13:20.123+01:00","type":"view","landing":true,"url":"https://www.shop.example/p?utm_source=a%20b&utm_medium=e+mail&gclid=1#x","referrer":"https://news.google.co.uk/"}"#,
    ),
    (
        "web",
        r#"{"id":"3","ts":1700000000000,"type":"order","amount":"12.50","currency":"EUR","order_id":77,"email":"jane@example.org","phone":"06 12 34 56 78"}"#,
    ),
    (
        "web",
        r#"{"id":"4","ts":1700000000000,"type":"refund","order_id":"o","amount":-1.5e1,"customer":"\u0041B","tc_string":null}"#,
    ),
    (
        "transaction",
        r#"{"id":"5","ts":1700000000000,"store":"s1","amount":-3.99,"email":"d41d8cd98f00b204e9800998ecf8427ed41d8cd98f00b204e9800998ecf8427e","wallet":"w","first_name":"Zoë","last_name":"D","postcode":75001}"#,
    ),
    (
        "transaction",
        r#"{"id":"6","ts":1700000000000,"store":"s1","refund_of":"5","phone":"+44 20 7946 0018","order_id":"o"}"#,
    ),
    (
        "spend",
        r#"{"date":"2023-11-14","platform":"ads","source":"google","medium":"cpc","campaign":"Spring","cost":"10.00","currency":"usd","impressions":1000,"clicks":10}"#,
    ),
    (
        "ping",
        r#"{"ts":1700000000000,"store":"s1","sensor":"d1","mac":"8e:1e:1b:b8:f9:6b","rssi":-60}"#,
    ),
    (
        "ping",
        r#"{"ts":1700000000000,"store":"s1","sensor":"d1","device":"0a1b","rssi":20}"#,
    ),
    (
        "web",
        r#"{"id":"7","ts":1700000000000,"type":"view","cookie":"c1","email":"jane@example.org","tc_string":"CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA","gpp":"DBABLA~BVVVVVVVVWA.YA","gpp_sid":[7]}"#,
    ),
    (
        "ping",
        r#"{"ts":1700000000000,"store":"s1","sensor":"d1","mac":"8c:1e:1b:b8:f9:6b","rssi":-60,"offline_cookie":4294967295}"#,
    ),
    (
        "partner",
        r#"{"id":"11","ts":1700000000000,"type":"sighting","store":"s1","device":"D1D1D1D1-0000-4000-8000-000000000001","until":"2023-11-14T23:13:20Z","offline_cookie":7,"email":"jane@example.org","purposes":{"1":true,"9":true}}"#,
    ),
    (
        "partner",
        r#"{"id":"12","ts":1700000000000,"type":"sighting","store":"s1","device":"d2","mac":"8e-1e-1b-b8-f9-6b","tc_string":"CP1R2oAP1R2oAEsABBFRBkEgAAAAAAAAAAqIF5wAQF5gAAAA"}"#,
    ),
    (
        "partner",
        r#"{"id":"13","ts":1700000000000,"type":"exposure","touch":"click","source":"waze","campaign":"lyon","device":"d2","cookie":"c1","version":3}"#,
    ),
    (
        "partner",
        r#"{"id":"14","ts":1700000000000,"type":"link","device":["d2","d3"],"phone":"+44 20 7946 0018","gpp":"DBABLA~BVVVVVVVVWA.YA"}"#,
    ),
    (
        "consent",
        r#"{"id":"8","ts":1700000000000,"email":"jane@example.org","purposes":{"1":true,"7":false},"evidence":{"text":"Yes \"all\""}}"#,
    ),
    (
        "consent",
        r#"{"id":"9","ts":1700000000000,"device":"d1","phone":"+44 20 7946 0018","tc_string":"CP1R2oAP1R2oAEsABBFRBkEgAAAAAAAAAAqIF5wAQF5gAAAA"}"#,
    ),
    (
        "consent",
        r#"{"id":"10","ts":1700000000000,"cookie":"c1","version":2,"gpp":"DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YNN"}"#,
    ),
];

const TOKENS: [&str; 44] = [
    "null",
    "true",
    "NaN",
    "-0",
    "1e999999999",
    "1e-999999999",
    "\"\"",
    "{}",
    "[]",
    "[[[[",
    "}}}}",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\\",
    "\"",
    ":",
    ",",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\u{feff}",
    "\u{a0}",
    "\"id\":\"x\",",
    "\"ts\":",
    "\"amount\":",
    "9223372036854775808",
    "-9223372036854775809",
    "0.001",
    "\"1969-12-31T23:59:60Z\"",
    "\"9999-12-31T23:59:59.999-23:59\"",
    "\"2025-03-30T02:30:00\"",
    "XXX",
    "JPY",
    "http://[::1",
    "https://",
    "?utm_source=%ff&",
    "&utm_medium=+",
    "+33",
    "0000",
    "null@null.com",
    "\u{1f600}",
    "e\u{301}",
    "\u{130}",
];

pub fn inputs() -> usize {
    let set = std::env::var("TRIBUTARY_FUZZ")
        .ok()
        .and_then(|text| text.parse().ok());
    set.unwrap_or(20_000)
}

/// A small generator of its own, so that the sequence is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }

    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.roll(4) {
            let place = self.roll(bytes.len() + 1);
            let end = (place + 1 + self.roll(12)).min(bytes.len());
            match self.roll(7) {
                0 if place < bytes.len() => bytes[place] = self.roll(256) as u8,
                1 if place < bytes.len() => bytes[place] ^= 1 << self.roll(8),
                2 if place < end => drop(bytes.drain(place..end)),
                3 if place < end => {
                    let copy = bytes[place..end].to_vec();
                    let times = if self.roll(50) == 0 { 200 } else { 1 };
                    bytes.splice(place..place, copy.repeat(times));
                }
                4 => bytes.truncate(place),
                5 => {
                    // A value gives way to a token: from a colon to the next comma.
                    let colons: Vec<usize> =
                        (0..bytes.len()).filter(|&n| bytes[n] == b':').collect();
                    if let Some(&colon) = colons.get(self.roll(colons.len())) {
                        let rest = &bytes[colon + 1..];
                        let comma = rest.iter().position(|&c| c == b',').unwrap_or(rest.len());
                        let token = TOKENS[self.roll(TOKENS.len())];
                        bytes.splice(colon + 1..colon + 1 + comma, token.bytes());
                    }
                }
                _ => drop(bytes.splice(place..place, TOKENS[self.roll(TOKENS.len())].bytes())),
            }
        }
    }
}

fn source(name: &str, kind: Kind, format: Format) -> Source {
    Source {
        name: name.to_owned(),
        kind,
        format,
        zone: Some(jiff::tz::TimeZone::get("Europe/Paris").unwrap()),
        phone_region: None,
        hash_rule: HashRule::Uid2,
        basis: None,
        trust: None,
        unit: TimeUnit::default(),
        arrival_header: false,
        blur_ms: None,
        mapping: Mapping::default(),
    }
}

fn column_map(sum_rows: bool) -> Csv {
    let fields = ["id", "ts", "store", "amount", "email"];
    let name = |field: &str| (field.to_owned(), Column::Name(field.to_owned()));
    Csv {
        delimiter: b',',
        columns: fields.into_iter().map(name).collect(),
        sum_rows,
        only: BTreeMap::new(),
        decimal: DecimalMark::default(),
        encoding: Encoding::default(),
        time_patterns: Vec::new(),
        nulls: vec!["NULL".to_owned()],
    }
}

fn fuzz_brand() -> Brand {
    let mut acme = brand("acme");
    acme.identity.name_postcode = true;
    acme.consent.vendor = Some(755);
    acme.identity.rules = vec![
        HashRule::Plain,
        HashRule::Google,
        HashRule::Meta,
        HashRule::Uid2,
    ];
    acme.sensors.fixed_devices = vec!["8e:*".to_owned()];
    acme.sources = vec![
        source("web", Kind::Web, Format::Native),
        source("partner", Kind::Partner, Format::Native),
        source("till", Kind::Transaction, Format::Csv(column_map(false))),
    ];
    acme
}

fn fuzz_config() -> Config {
    config(vec![fuzz_brand()])
}

/// How many objects a message has, counted another way than the decoder counts.
fn objects(data: &[u8]) -> usize {
    let json = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
    // A byte order mark at the beginning of a line is passed over.
    let unmarked = |line: &[u8]| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).to_vec();
    let blank = |line: &Vec<u8>| line.iter().all(|c| b" \t\r\n".contains(c));
    // So is one before the message, and white space around it.
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let start = data.iter().position(|c| !b" \t\r\n".contains(c));
    let data = &data[start.unwrap_or(data.len())..];
    let lines: Vec<Vec<u8>> = data
        .split(|&c| c == b'\n')
        .map(unmarked)
        .filter(|line| !blank(line))
        .collect();
    match lines.first() {
        Some(first) if !json(first) && json(&unmarked(data)) => 1,
        _ => lines.len(),
    }
}

/// What holds of everything that a decoder gives.
pub fn check(kept: &Kept) {
    let mut announced: BTreeSet<Label> = OWN_WORDS.iter().map(|word| Label::of(word)).collect();
    let limit = 1_000_000_000_000_000;
    for event in &kept.events {
        match event {
            Event::LabelName { label, word, .. } => {
                assert_eq!(*label, Label::of(word));
                announced.insert(*label);
            }
            Event::Put { record, .. } => {
                assert!(
                    (time::MIN..=time::MAX).contains(&record.ts)
                        || matches!(record.body, Body::Spend { .. })
                );
                assert!(record.id.len() <= 256 && record.ids.ids().len() <= 64);
                match &record.body {
                    Body::Sale { amount, .. } => assert!((0..=limit).contains(amount)),
                    Body::Refund { amount, .. } | Body::Restatement { amount, .. } => match *amount
                    {
                        RefundAmount::All => {}
                        RefundAmount::Of(minor, _) => assert!((0..=limit).contains(&minor)),
                        RefundAmount::InCurrencyOfSale { digits, decimals } => {
                            assert!((0..=limit).contains(&digits) && decimals <= 4);
                        }
                    },
                    Body::Adjustment { amount, .. } => assert!((-limit..0).contains(amount)),
                    Body::Spend { cost, .. } => assert!((-limit..=limit).contains(cost)),
                    Body::Contact { channel, .. } | Body::Exposure { channel, .. } => {
                        assert!(announced.contains(&channel.source) || channel.source.is_absent())
                    }
                    Body::Wallet { store, channel, .. } => {
                        for label in [store, &channel.source] {
                            assert!(announced.contains(label) || label.is_absent());
                        }
                    }
                    Body::Sighting { store, until, .. } => {
                        assert!(announced.contains(store) && *until >= record.ts);
                    }
                    Body::Identify | Body::PartnerLink => {}
                    Body::SettledVisit { .. } | Body::PanelMember { .. } => {
                        panic!("a decoder settles nothing")
                    }
                    Body::Consent { .. } | Body::Right { .. } => assert!(!record.ids.is_empty()),
                }
            }
            Event::Ping { ping } => {
                assert!(announced.contains(&ping.store) && (-127..=20).contains(&ping.rssi));
            }
            Event::Evidence { ids, text, .. } => {
                assert!(!ids.is_empty());
                assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
            }
            Event::Drop { .. } | Event::DropDevice { .. } => panic!("a decoder drops nothing"),
            Event::TokenizedPing { .. }
            | Event::SettledHour { .. }
            | Event::SettledDevices { .. }
            | Event::ClosedVisits { .. }
            | Event::UnmatchedStays { .. }
            | Event::SightingsSettled { .. }
            | Event::SaltDaysClosed { .. }
            | Event::LinkTime { .. } => {
                panic!("a decoder salts nothing")
            }
        }
    }
    for dead in &kept.dead {
        assert!(!dead.detail.contains("jane") && !dead.detail.contains("7946"));
    }
}

#[test]
fn messages() {
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut harness = DecoderHarness::new(&fuzz_config());
    let unannounced = harness.decoder.clone();
    let mut accepted = 0;
    let total = inputs();
    for round in 0..total {
        let mut data = Vec::new();
        let kind = CORPUS[dice.roll(CORPUS.len())].0;
        for _ in 0..1 + dice.roll(3) {
            let of_kind: Vec<&str> = CORPUS
                .iter()
                .filter(|line| line.0 == kind)
                .map(|line| line.1)
                .collect();
            let mut line = of_kind[dice.roll(of_kind.len())].as_bytes().to_vec();
            if dice.roll(3) > 0 {
                dice.mutate(&mut line);
            }
            data.extend(line);
            data.push(b'\n');
        }
        if dice.roll(4) == 0 {
            dice.mutate(&mut data);
        }
        let mut subject = format!("tributary.in.acme.{kind}").into_bytes();
        if dice.roll(20) == 0 {
            dice.mutate(&mut subject);
        }
        let subject = String::from_utf8_lossy(&subject).into_owned();
        harness.send(&subject, &data);
        let known = subject == format!("tributary.in.acme.{kind}");
        let expected = match harness.kept.dead.first() {
            Some(dead) if !known && dead.payload == data => 1,
            _ => objects(&data),
        };
        let kept = std::mem::take(&mut harness.kept);
        let shown = String::from_utf8_lossy(&data);
        assert_eq!(
            kept.outcomes(),
            expected,
            "input {round} on {subject}: {shown}"
        );
        accepted += kept.outcomes() - kept.dead.len();
        // The labels of earlier messages are announced, so they are checked with a decoder of its own.
        if round % 16 == 0 {
            harness.decoder = unannounced.clone();
            harness.send(&subject, &data);
            check(&std::mem::take(&mut harness.kept));
        }
    }
    assert!(
        accepted > total / 4,
        "the corpus is not decoded any more: {accepted} of {total}"
    );
}

#[test]
fn traces_and_what_they_are_packed_in() {
    let mut dice = Dice(0x0f0f_1234_dead_beef);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let mut file = Vec::new();
    let mut lines = 0;
    for round in 0..inputs() / 8 {
        let (kind, data) = CORPUS[dice.roll(CORPUS.len())];
        let mut line = match round % 2 {
            0 => format!(r#"{{"subject":"tributary.in.acme.{kind}","at":{AT},"data":{data},"headers":{{"ce-id":"7"}}}}"#),
            _ => format!(r#"{{"subject":"tributary.in.acme.{kind}","at":{AT},"data_base64":"e30="}}"#),
        }
        .into_bytes();
        dice.mutate(&mut line);
        lines += line
            .split(|&c| c == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .count();
        file.extend(line);
        file.push(b'\n');
    }
    std::fs::write(&path, &file).unwrap();
    let mut reader = trace::open(&path).unwrap();
    let mut harness = DecoderHarness::new(&fuzz_config());
    let mut messages = 0;
    for line in reader.by_ref() {
        let line = line.unwrap();
        messages += 1;
        harness.send_with(&line.subject, line.at, &[], &line.data);
    }
    assert_eq!(messages + reader.skipped() as usize, lines);
    assert!(messages > lines / 4);
    check(&harness.kept);

    let sample = &file[..file.len().min(20_000)];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, sample).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::encode_all(sample, 1).unwrap()] {
        for _ in 0..100 {
            let mut broken = packed.clone();
            dice.mutate(&mut broken);
            std::fs::write(&path, &broken).unwrap();
            if let Ok(reader) = trace::open(&path) {
                let errors = reader.filter(Result::is_err).count();
                assert!(errors <= 1);
            }
        }
    }
}

#[test]
fn csv_files() {
    let mut dice = Dice(0x7777_1234_dead_0001);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.csv");
    let brand = fuzz_brand();
    for round in 0..inputs() / 100 {
        let mut file = b"id,ts,store,amount,email\n".to_vec();
        for row in 0..20 {
            let mut line = format!(
                "b{row},2017-03-0{} 10:20:30,\"s,1\",{row}.50,jane@example.org\n",
                row % 9 + 1
            )
            .into_bytes();
            dice.mutate(&mut line);
            file.extend(line);
        }
        std::fs::write(&path, &file).unwrap();
        let till = source(
            "till",
            Kind::Transaction,
            Format::Csv(column_map(round % 2 == 0)),
        );
        let mut harness = DecoderHarness::new(&fuzz_config());
        let mut rows = 0;
        for line in csv::open(&path, &brand, &till, i64::MAX).unwrap() {
            let line = line.unwrap();
            rows += 1;
            harness.send_with(&line.subject, line.at, &[], &line.data);
        }
        assert!(rows > 0);
        assert_eq!(harness.kept.outcomes(), rows);
        check(&harness.kept);
    }
}

proptest! {
    #[test]
    fn any_text_is_an_amount_or_none(text in "[-+0-9.eE]{0,40}|.*", exponent: bool, decimals in 0_u8..5) {
        if let Ok(minor) = amount::minor(&text, exponent, decimals) {
            prop_assert!(minor.abs() <= amount::MAX_MINOR);
        }
    }

    #[test]
    fn any_text_is_a_time_or_none(text in "[-0-9TtZz:+. ]{0,40}|[0-9]{4}-[0-1][0-9]-[0-3][0-9]T.*", loose: bool) {
        let zone = jiff::tz::TimeZone::get("Europe/Paris").unwrap();
        if let Ok(ms) = time::time(&text, Some(&zone), loose) {
            prop_assert!((time::MIN..=time::MAX).contains(&ms));
        }
    }

    #[test]
    fn times_are_those_of_a_library(ms in time::MIN..253_000_000_000_000, offset in -1_000_i32..1_000) {
        let moment = jiff::Timestamp::from_millisecond(ms).unwrap();
        let zone = jiff::tz::Offset::from_seconds(offset * 60).unwrap();
        let shown = zone.to_datetime(moment);
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        let text = format!("{shown:.3}{sign}{hours:02}:{minutes:02}");
        prop_assert_eq!(time::time(&text, None, false), Ok(ms), "{}", text);
    }

    #[test]
    fn any_text_is_a_mac_or_none(text in "[0-9a-fA-F:. -]{0,30}|.*") {
        if let Some(mac) = mac::parse(&text) {
            prop_assert_eq!(mac::parse(&format!("{mac:012X}")), Some(mac));
        }
    }

    #[test]
    fn any_addresses_give_one_contact_or_one_refusal(url in ".{0,80}|https?://.{0,60}", referrer in "https?://.{0,40}|.*") {
        let line = serde_json::json!({"id": "1", "ts": AT, "type": "view", "url": url, "referrer": referrer});
        let mut harness = DecoderHarness::new(&config(vec![]));
        harness.send("tributary.in.acme.web", line.to_string().as_bytes());
        prop_assert_eq!(harness.kept.outcomes(), 1);
        let mut harness = DecoderHarness::acme();
        harness.send("tributary.in.acme.web", line.to_string().as_bytes());
        prop_assert_eq!(harness.kept.outcomes(), 1);
        check(&harness.kept);
    }
}

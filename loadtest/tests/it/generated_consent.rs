//! Consent in a simulated shop: its trace is that of a shop that does not ask for consent, with
//! consent strings added.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Reason, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_operators::allowed_uses::{AllowedUses, Use};
use tributary_operators::event::Event;
use tributary_operators::record::{Body, Pseudonym};
use tributary_simulate::{Line, Options, SecretFrom, config_toml, lines};

/// The options of a small world.
fn options(consent: bool) -> Options {
    Options {
        days: Some(14),
        persons: Some(300),
        bad: 0.0,
        consent,
        ..Options::default()
    }
}

/// The lines of a world.
fn made(options: Options) -> Vec<Line> {
    lines(options).unwrap().collect()
}

/// Subject, arrival and content without consent strings.
fn plain(line: &Line) -> (String, i64, Value) {
    let mut data: Value = serde_json::from_str(&line.data).unwrap();
    data.as_object_mut().unwrap().remove("tc_string");
    (line.subject.clone(), line.at, data)
}

#[test]
fn asking_changes_nothing_else() {
    let silent = made(options(false));
    let asked = made(options(true));
    assert!(silent.iter().all(|line| !line.data.contains("tc_string")));
    let web = |line: &&Line| line.subject.ends_with(".web");
    assert!(
        asked
            .iter()
            .filter(web)
            .all(|line| line.data.contains("tc_string"))
    );
    let others = asked
        .iter()
        .filter(|line| !line.subject.ends_with(".consent"));
    let others: Vec<_> = others.map(plain).collect();
    assert_eq!(others.len(), silent.len());
    assert!(others == silent.iter().map(plain).collect::<Vec<_>>());
    assert!(asked == made(options(true)), "one seed, one trace");
}

/// The statements of each cookie in the order of time, and the number of rejected lines.
#[derive(Default)]
struct Said(BTreeMap<Pseudonym, BTreeSet<(i64, u8)>>, u64);

impl Sink for Said {
    fn event(&mut self, event: Event) {
        match event {
            Event::Put { record, .. } => {
                if let Body::Consent { steps, .. } = record.body {
                    let cookie = record.ids.ids()[0].pseudonym;
                    self.0
                        .entry(cookie)
                        .or_default()
                        .insert((record.ts, steps.bits()));
                }
            }
            Event::Evidence { .. } => self.1 += 1,
            _ => {}
        }
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        // A ping that arrives so late that its day is closed says nothing of consent.
        assert!(dead.reason == Reason::LatePing, "{dead:?}");
    }

    fn ignore(&mut self, _: Ignored) {}
}

#[test]
fn most_agree_some_refuse_and_some_change_their_minds() {
    let options = options(true);
    let text = config_toml(&options, SecretFrom::Env("S"));
    let secret = |name: &str| (name == "S").then(|| tributary_testkit::SECRET.to_owned());
    let config = tributary_config::parse_in(&text, "x.toml".as_ref(), &secret).unwrap();
    assert!(
        config
            .warnings
            .iter()
            .all(|warning| { warning.path == "release.k" || warning.path.contains("retention") })
    );
    let mut decoder = Decoder::new(&config.config);
    let mut said = Said::default();
    let mut statements = 0;
    for (number, line) in (0..).zip(made(options)) {
        statements += u64::from(line.subject.ends_with(".consent"));
        let message = Message {
            subject: &line.subject,
            at: line.at,
            number,
            headers: &[],
            data: line.data.as_bytes(),
        };
        decoder.decode(&message, &mut said);
    }
    let everything = AllowedUses::ALL.without(Use::Position);
    let last = |steps: AllowedUses| {
        let newest = said.0.values().filter_map(|said| said.last());
        newest.filter(|(_, bits)| *bits == steps.bits()).count() as f64 / said.0.len() as f64
    };
    let nothing = AllowedUses::NONE.with(Use::Share);
    assert!(
        (0.55..0.85).contains(&last(everything)),
        "{}",
        last(everything)
    );
    assert!((0.05..0.25).contains(&last(nothing)), "{}", last(nothing));
    for refused in [Use::Credit, Use::Join] {
        assert!(last(everything.without(refused)) > 0.02);
    }
    // Withdrawn after it was agreed, and agreed again after that.
    let turns = |pattern: &[u8]| {
        let matches = |said: &&BTreeSet<(i64, u8)>| {
            let mut bits: Vec<u8> = said.iter().map(|(_, bits)| *bits).collect();
            bits.dedup();
            bits.windows(pattern.len()).any(|window| window == pattern)
        };
        said.0.values().filter(matches).count()
    };
    assert!(turns(&[everything.bits(), nothing.bits()]) > 3);
    assert!(turns(&[nothing.bits(), everything.bits()]) > 0);
    assert!(statements > 10 && said.1 > statements);
}

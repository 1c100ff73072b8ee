//! Messages of every kind and of vendors' formats: nothing panics, and what is accepted comes back from the ledger as it went in.
#![no_main]

use std::cell::RefCell;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use tributary_connectors::dead_letter::{DeadLetter, Sink};
use tributary_connectors::decode::{Decoder, Ignored, Message};
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;

const CONFIG: &str = r#"
[nats]
url = "nats://127.0.0.1:4222"
[[brand]]
name = "acme"
timezone = "Europe/Paris"
secret_env = "SECRET"
[[brand.source]]
name = "visits"
kind = "partner"
[[brand.source]]
name = "segment"
kind = "web"
format = "segment"
[[brand.source]]
name = "google-ads"
kind = "transaction"
format = "google_offline"
[[brand.source]]
name = "meta"
kind = "transaction"
format = "meta"
"#;

const SUBJECTS: [&str; 10] = [
    "tributary.in.acme.web",
    "tributary.in.acme.transaction",
    "tributary.in.acme.ping",
    "tributary.in.acme.spend",
    "tributary.in.acme.consent",
    "tributary.in.acme.wallet",
    "tributary.in.acme.partner.visits",
    "tributary.in.acme.web.segment",
    "tributary.in.acme.transaction.google-ads",
    "tributary.in.acme.transaction.meta",
];

#[derive(Default)]
struct Accepted(Vec<Event>);

impl Sink for Accepted {
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }

    fn dead_letter(&mut self, _: DeadLetter) {}

    fn ignore(&mut self, _: Ignored) {}
}

fn decoder() -> Decoder {
    let environment =
        |name: &str| (name == "SECRET").then(|| "224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
    let loaded = tributary_config::parse_in(CONFIG, Path::new("fuzz.toml"), &environment);
    Decoder::new(
        &loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config,
    )
}

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(decoder());
}

fuzz_target!(|input: (u8, &[u8])| {
    let (subject, data) = input;
    let message = Message {
        subject: SUBJECTS[usize::from(subject) % SUBJECTS.len()],
        at: 1_700_000_000_000,
        number: 1,
        headers: &[],
        data,
    };
    let mut accepted = Accepted::default();
    DECODER.with(|decoder| decoder.borrow_mut().decode(&message, &mut accepted));
    // What the ledger never stores, and the day, which it derives.
    accepted
        .0
        .retain(|event| !matches!(event, Event::Ping { .. }));
    let stored = tributary_ledger::encode(&accepted.0);
    let mut read = Vec::new();
    let brand = BrandId::of("acme");
    let count =
        tributary_ledger::decode(&stored, brand, &mut |_, _| 0, &mut |event| read.push(event));
    assert_eq!(
        count.map(|count| count.total()),
        Ok(accepted.0.len() as u64)
    );
    assert_eq!(tributary_ledger::encode(&read), stored);
});

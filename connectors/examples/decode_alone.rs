//! Decodes every line of a trace and counts what comes out; with `--digest`, prints a hash of all of it, by which two builds can
//! be compared.
//!
//! ```text
//! cargo run --release --example decode_alone -- TRACE CONFIG [--digest | --read-only | --identifiers | --pseudonyms]
//! ```
//!
//! `--read-only` stops before the decoder. `--pseudonyms` decodes nothing, but hashes the identifiers of all records, and
//! `--identifiers` only looks them up: the difference of their CPU times is what the keyed hashes of the identifiers take, however a
//! record is read.

use std::hint::black_box;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tributary_connectors::brand::BrandContext;
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_connectors::keys::Scratch;
use tributary_connectors::native::mac;
use tributary_connectors::trace;
use tributary_operators::event::Event;
use tributary_operators::record::IdKind;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages between two epochs of the decoder.
const BATCH: u64 = 10_000;

/// Counts what the decoder emits, and hashes it where that is asked for.
#[derive(Default)]
struct Counts {
    events: u64,
    refused: u64,
    ignored: u64,
    hash: Option<Sha256>,
}

impl Sink for Counts {
    fn event(&mut self, event: Event) {
        self.events += 1;
        if let Some(hash) = &mut self.hash {
            hash.update(serde_json::to_vec(&event).unwrap_or_default());
        }
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.refused += 1;
        if let Some(hash) = &mut self.hash {
            hash.update(format!("{dead:?}"));
        }
    }

    fn ignore(&mut self, what: Ignored) {
        self.ignored += 1;
        if let Some(hash) = &mut self.hash {
            hash.update(what.label());
        }
    }
}

/// The identifiers of a record, as texts.
#[derive(Deserialize)]
struct Identifying {
    mac: Option<String>,
    cookie: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    customer: Option<String>,
    wallet: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (trace, config) = args.next().zip(args.next()).ok_or("TRACE CONFIG")?;
    let mode = args.next().unwrap_or_default();
    let config = tributary_config::load(Path::new(&config)).map_err(|_| "no configuration")?;
    let config = config.config;
    let lines = trace::open(Path::new(&trace))?;
    if mode == "--pseudonyms" || mode == "--identifiers" {
        let brand = BrandContext::new(config.brands.first().ok_or("no brand")?);
        return pseudonyms(lines, &brand, mode == "--pseudonyms");
    }
    let mut counts = Counts {
        hash: (mode == "--digest").then(Sha256::new),
        ..Counts::default()
    };
    let mut decoder = Decoder::new(&config);
    let mut bytes = 0;
    for (number, line) in (0_u64..).zip(lines) {
        let line = line?;
        bytes += line.data.len();
        if mode == "--read-only" {
            continue;
        }
        if number % BATCH == 0 {
            decoder.begin_epoch(number / BATCH);
        }
        let message = Message {
            subject: &line.subject,
            at: line.at,
            number,
            headers: &line.headers,
            data: &line.data,
        };
        decoder.decode(&message, &mut counts);
    }
    println!(
        "{bytes} bytes, {} events, {} refused, {} ignored",
        counts.events, counts.refused, counts.ignored
    );
    if let Some(hash) = counts.hash {
        println!("{:x}", hash.finalize());
    }
    Ok(())
}

/// Looks up the identifiers of all records, and hashes them if `hashes`.
fn pseudonyms(
    lines: trace::TraceReader,
    brand: &BrandContext,
    hashes: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let key = &brand.key;
    let (rules, mut scratch, mut out) = (key.default_rules(), Scratch::default(), Vec::new());
    let (mut values, mut addresses) = (0_u64, 0_u64);
    for line in lines {
        let Ok(record) = serde_json::from_slice::<Identifying>(&line?.data) else {
            continue;
        };
        if let Some(address) = record.mac.and_then(|text| mac::parse(&text)) {
            addresses += 1;
            if hashes {
                black_box(key.mac(address));
            }
        }
        let ids = [
            (IdKind::Cookie, record.cookie),
            (IdKind::Email, record.email),
            (IdKind::Phone, record.phone),
            (IdKind::Customer, record.customer),
            (IdKind::Wallet, record.wallet),
        ];
        for (kind, text) in ids
            .into_iter()
            .filter_map(|(kind, text)| Some((kind, text?)))
        {
            values += 1;
            if hashes {
                key.identifiers(kind, &text, rules, &mut scratch, &mut out);
                out.clear();
            }
        }
    }
    println!("{values} values and {addresses} addresses");
    Ok(())
}

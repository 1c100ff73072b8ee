//! What it costs to decode a record in each vendor's format, beside the same record in the native format.
//!
//! Both are decoded in turn, nine rounds each, and the best round counts. A record that a format cannot express is left out
//! of neither, so that the ratio is of whole traces.

use std::path::Path;
use std::time::{Duration, Instant};

use tributary_config::model::Config;
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_operators::event::Event;
use tributary_simulate::{Line, MERAKI_SECRET, Options, SecretFrom, Vendor, config_toml, lines};

/// The number of rounds.
const ROUNDS: usize = 9;

/// Counts the accepted records.
#[derive(Default)]
struct Accepted(u64);

impl Sink for Accepted {
    fn event(&mut self, event: Event) {
        self.0 += u64::from(matches!(event, Event::Put { .. } | Event::Ping { .. }));
    }
    fn dead_letter(&mut self, _: DeadLetter) {}
    fn ignore(&mut self, _: Ignored) {}
}

/// The messages of a kind in a world, and its configuration.
fn world(
    folder: &Path,
    kind: &str,
    vendor: Option<Vendor>,
) -> Result<(Config, Vec<Line>), Box<dyn std::error::Error>> {
    let options = Options {
        events: Some(60_000),
        bad: 0.0,
        vendor,
        ..Options::default()
    };
    let of_kind = format!("tributary.in.orchard.{kind}");
    let mut messages: Vec<Line> = lines(options.clone())?.collect();
    messages.retain(|line| line.subject == of_kind);
    let config = config_toml(&options, SecretFrom::File(Path::new("orchard.secret")));
    let parsed = tributary_config::parse(&config, &folder.join("orchard.toml"));
    let parsed = parsed.map_err(|_| "the configuration of a world is not valid")?;
    Ok((parsed.config, messages))
}

/// The time of one round, and the number of accepted records.
fn decode(config: &Config, messages: &[Line]) -> (Duration, u64) {
    let mut decoder = Decoder::new(config);
    let mut accepted = Accepted::default();
    let begun = Instant::now();
    for (number, line) in messages.iter().enumerate() {
        let message = Message {
            subject: &line.subject,
            at: line.at,
            number: number as u64,
            headers: &[],
            data: line.data.as_bytes(),
        };
        decoder.decode(&message, &mut accepted);
    }
    (begun.elapsed(), accepted.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("tributary-formats-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let secret = folder.join("orchard.secret");
    std::fs::write(&secret, tributary_testkit::SECRET)?;
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    std::fs::write(folder.join("meraki.secret"), MERAKI_SECRET)?;
    println!("| format | records | ns per record | native | ratio | bytes per message, ratio |");
    println!("|---|--:|--:|--:|--:|--:|");
    for vendor in Vendor::ALL {
        let kind = vendor.kind().name();
        let sides = [
            world(&folder, kind, Some(vendor))?,
            world(&folder, kind, None)?,
        ];
        let mut best = [Duration::MAX; 2];
        let mut accepted = [0; 2];
        for _ in 0..ROUNDS {
            for (side, (config, messages)) in sides.iter().enumerate() {
                let (time, records) = decode(config, messages);
                best[side] = best[side].min(time);
                accepted[side] = records;
            }
        }
        let ns = |side: usize| best[side].as_nanos() as u64 / sides[side].1.len().max(1) as u64;
        let bytes = |side: usize| -> usize { sides[side].1.iter().map(|of| of.data.len()).sum() };
        println!(
            "| `{}` | {} of {} | {} | {} | {:.1} | {:.1} |",
            vendor.name(),
            accepted[0],
            accepted[1],
            ns(0),
            ns(1),
            ns(0) as f64 / ns(1) as f64,
            bytes(0) as f64 / bytes(1) as f64,
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

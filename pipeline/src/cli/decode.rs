//! `tributary decode`: what becomes of each line of a file, without running
//! anything: how senders find out why their data is refused.
//!
//! A line may be a message of a trace, whose payload, headers and arrival are
//! taken, or the payload itself. A file with a header (CSV, offline conversions
//! for Google Ads) is read by rows. Without `--at`, a line that states no arrival
//! arrives as it does for `tributary replay`, at its own time, so that both
//! commands say the same of it. Nothing leaves the process but the output,
//! which shows the native records in clear text.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tributary_config::model::{Brand, Config, Format, Kind, Source};
use tributary_connectors::dead_letter::{DeadLetter, Ignored, Reason, Sink};
use tributary_connectors::decode::{Decoder, Message};
use tributary_connectors::item_file::{self, ItemArrivals};
use tributary_connectors::rights_request::RightsRequest;
use tributary_connectors::trace::TraceLine;
use tributary_connectors::{csv, files, formats, terminal};
use tributary_operators::event::Event;

use crate::cli::args as cli;

/// Executes the command.
///
/// # Errors
///
/// A configuration that is not valid, an unknown source, a file that cannot be
/// read or has no line.
pub fn command(args: &cli::Decode) -> anyhow::Result<()> {
    let config = tributary_config::load(&args.config)?.config;
    let latest = item_file::latest_arrival(&config);
    let (brand, source) = find(&config, &args.source)?;
    let mut decode = Decode {
        decoder: Decoder::new(&config),
        arrivals: ItemArrivals::new(brand, source, latest),
        subject: format!(
            "tributary.in.{}.{}.{}",
            brand.name,
            source.kind.name(),
            source.name
        ),
        at: args.at,
        number: 0,
        json: args.json,
        counts: [0; 3],
        out: terminal::stdout(),
    };
    if matches!(source.format, Format::Csv(_)) {
        let mut rows = csv::open(&args.file, brand, source, latest)?;
        for (row, line) in (1..).zip(rows.by_ref()) {
            decode.message("row", row, &line?)?;
        }
        return decode.finish(&args.file, rows.left_out());
    }
    let mut data = Vec::new();
    let opened = files::open(&args.file);
    let opened = opened.with_context(|| format!("cannot open {}", args.file.display()))?;
    let mut reader = opened.reader;
    reader
        .read_to_end(&mut data)
        .with_context(|| format!("cannot read {}", args.file.display()))?;
    if let Some(fault) = formats::fault(&source.format, &data) {
        bail!("cannot read {}: {fault}", args.file.display());
    }
    match formats::is_document(&source.format, &data) {
        true => {
            for (row, item) in (1..).zip(formats::items(&source.format, &data)) {
                let line = decode.payload(item.into_owned());
                decode.message("row", row, &line)?;
            }
        }
        false => {
            for (number, line) in lines(&data) {
                match TraceLine::parse(line) {
                    Some(line) => decode.message("line", number, &line)?,
                    None => {
                        let line = decode.payload(line.to_vec());
                        decode.message("line", number, &line)?;
                    }
                }
            }
        }
    }
    decode.finish(&args.file, 0)
}

/// The source `BRAND/SOURCE`, or `SOURCE` of the only brand.
///
/// # Errors
///
/// Names that are not in the configuration, with those that are.
fn find<'a>(config: &'a Config, name: &str) -> anyhow::Result<(&'a Brand, &'a Source)> {
    let (brand, source) = match name.split_once('/') {
        Some((brand, source)) => (Some(brand), source),
        None => (None, name),
    };
    let all = || {
        let brands = config.brands.iter();
        brands.flat_map(|brand| brand.sources.iter().map(move |source| (brand, source)))
    };
    let mut found = all()
        .filter(|(owner, one)| brand.is_none_or(|brand| owner.name == brand) && one.name == source);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => {
            bail!("several brands have the source {source}: write BRAND/{source}")
        }
        (None, _) => {
            let known = all().map(|(brand, source)| format!("{}/{}", brand.name, source.name));
            let known: Vec<String> = known.collect();
            bail!(
                "the configuration has no source {name}; it has {}",
                known.join(", ")
            )
        }
    }
}

/// Now, Unix milliseconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// The lines of a file that are not blank, with their numbers from 1. A file
/// that is one JSON object over several lines is one line.
fn lines(data: &[u8]) -> Vec<(u64, &[u8])> {
    let data = files::strip_bom(data);
    let whole: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(data);
    if whole.is_ok() {
        return vec![(1, data)];
    }
    let lines = (1..).zip(data.split(|byte| *byte == b'\n'));
    lines
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .collect()
}

/// A decoder and where its results go.
struct Decode {
    decoder: Decoder,
    /// The arrivals of lines that state none, without `--at`.
    arrivals: ItemArrivals,
    /// The subject of the source.
    subject: String,
    /// The arrival of lines that state none by `--at`, Unix milliseconds.
    at: Option<i64>,
    /// The number of the last message.
    number: u64,
    /// Whether the output is JSON.
    json: bool,
    /// The records, omissions and refusals so far.
    counts: [u64; 3],
    out: terminal::Stdout,
}

impl Decode {
    /// A message with a payload and nothing else. What has no time arrives now.
    fn payload(&mut self, data: Vec<u8>) -> TraceLine {
        let at = self.at.or_else(|| self.arrivals.of(&data));
        TraceLine {
            subject: self.subject.clone(),
            at: at.unwrap_or_else(now),
            headers: Vec::new(),
            data,
        }
    }

    /// Decodes a message, which may state its arrival, and prints what becomes
    /// of it.
    fn message(&mut self, what: &str, number: u64, line: &TraceLine) -> std::io::Result<()> {
        self.number += 1;
        let mut outcomes = Outcomes::default();
        let message = Message {
            subject: &self.subject,
            at: line.at,
            number: self.number,
            headers: &line.headers,
            data: &line.data,
        };
        self.decoder.decode(&message, &mut outcomes);
        outcomes.accept();
        for outcome in &outcomes.list {
            let place = match outcome {
                Outcome::Record(..) => 0,
                Outcome::Ignored(_) => 1,
                Outcome::Refused(..) => 2,
            };
            if let Some(count) = self.counts.get_mut(place) {
                *count += 1;
            }
        }
        if self.json {
            let gives: Vec<Value> = outcomes.list.iter().map(Outcome::json).collect();
            // The keys of the object are sorted, because the map is.
            return writeln!(self.out, "{}", json!({what: number, "gives": gives}));
        }
        for (place, outcome) in outcomes.list.iter().enumerate() {
            match place {
                0 => write!(self.out, "{what} {number:<5} ")?,
                _ => write!(self.out, "{:width$}", "", width = what.len() + 7)?,
            }
            outcome.write(&mut self.out)?;
        }
        Ok(())
    }

    /// Prints the counts, and how many rows the filter of the source left out.
    ///
    /// # Errors
    ///
    /// A file without any line, or an output that cannot be written.
    fn finish(mut self, file: &std::path::Path, left_out: u64) -> anyhow::Result<()> {
        if self.number == 0 && left_out == 0 {
            bail!(
                "no line of {} is a message; a trace has one {{\"subject\", \"at\", \"data\"}} per line, and a file of \
                 this source one record per line or row",
                file.display()
            );
        }
        let [records, ignored, refused] = self.counts;
        match (self.json, left_out) {
            (true, 0) => {}
            (true, rows) => writeln!(self.out, "{}", json!({"left_out": rows}))?,
            (false, rows) => {
                let left_out = match rows {
                    0 => String::new(),
                    rows => format!(", {rows} left out by `only`"),
                };
                writeln!(
                    self.out,
                    "\n{records} records, {ignored} ignored, {refused} refused{left_out}"
                )?;
            }
        }
        self.out.flush()?;
        Ok(())
    }
}

/// What becomes of a part of a line.
enum Outcome {
    /// A native record, or a rights request, by the name of its kind.
    Record(&'static str, String),
    /// An omission.
    Ignored(Ignored),
    /// A dead letter, with its detail.
    Refused(Reason, String),
}

impl Outcome {
    /// The outcome as JSON.
    fn json(&self) -> Value {
        match self {
            Outcome::Record(kind, text) => {
                let data: Value = serde_json::from_str(text).unwrap_or_default();
                json!({"data": data, "kind": kind})
            }
            Outcome::Ignored(what) => json!({"ignored": what.label()}),
            Outcome::Refused(reason, detail) => match brief(*reason, detail) {
                Some(detail) => json!({"detail": detail, "refused": reason.name()}),
                None => json!({"refused": reason.name()}),
            },
        }
    }

    /// The outcome for people, one line.
    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        match self {
            Outcome::Record(kind, text) => {
                let data: Value = serde_json::from_str(text).unwrap_or_default();
                let members = data.as_object().into_iter().flatten();
                let members = members.map(|(name, value)| format!("{name}={value}"));
                let members: Vec<String> = members.collect();
                writeln!(out, "{kind:<11} {}", members.join(" "))
            }
            Outcome::Ignored(what) => writeln!(out, "{:<11} {}", "ignored", what.name()),
            Outcome::Refused(reason, detail) => {
                writeln!(out, "{:<11} {}: {detail}", "refused", reason.name())
            }
        }
    }
}

/// What a reason leaves open, where one word completes it: the field that is
/// missing, and the number of fields of a line of TSV.
fn brief(reason: Reason, detail: &str) -> Option<&str> {
    match reason {
        Reason::MissingField => detail.split('`').nth(1),
        Reason::MalformedTsv => Some(detail),
        _ => None,
    }
}

/// The outcomes of one line. A native record is accepted unless a dead letter
/// or an omission follows it.
#[derive(Default)]
struct Outcomes {
    list: Vec<Outcome>,
    /// The record that is being read.
    pending: Option<(Kind, String)>,
}

impl Outcomes {
    /// Accepts the record that was being read.
    fn accept(&mut self) {
        let pending = self.pending.take();
        self.list
            .extend(pending.map(|(kind, text)| Outcome::Record(kind.name(), text)));
    }
}

impl Sink for Outcomes {
    fn event(&mut self, event: Event) {
        // The statements that a record carries have no id of their own, and precede it. Spend has none
        // either, and no adapter yields it.
        let is_record = match event {
            Event::Put { record, .. } => !record.id.is_empty(),
            Event::Ping { .. } => true,
            _ => false,
        };
        if is_record {
            self.accept();
        }
    }

    fn native_record(&mut self, kind: Kind, json: &dyn Fn() -> String) {
        self.accept();
        self.pending = Some((kind, json()));
    }

    fn rights_request(&mut self, _: &Arc<str>, request: &RightsRequest) {
        self.accept();
        self.list.push(Outcome::Record("rights", request.to_json()));
    }

    fn dead_letter(&mut self, dead: DeadLetter) {
        self.pending = None;
        self.list.push(Outcome::Refused(dead.reason, dead.detail));
    }

    fn ignore(&mut self, what: Ignored) {
        match what {
            Ignored::NotMapped => self.accept(),
            _ => self.pending = None,
        }
        self.list.push(Outcome::Ignored(what));
    }
}

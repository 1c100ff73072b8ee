//! `loadtest record`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use tributary_connectors::nats::{ensure_input_stream, stream_state, subject};
use tributary_connectors::terminal;
use tributary_loadtest::record::{
    Pseudonyms, Range, RecordOptions, Recording, RotationOptions, record,
};

use super::{bar, interrupt};

/// Record the input stream into a trace, beside a running worker.
///
/// Every message is written with its arrival, its headers and its bytes, into files of bounded size,
/// trace.000001.ndjson.zst and so on, that `loadtest replay`, `tributary replay` and `loadtest verify`
/// read. A recording that was stopped or killed resumes where it left off with the same --out. It
/// leaves nothing behind at the broker, and takes nothing away from the worker.
///
///   loadtest record --config t.toml --out recorded.ndjson.zst
///   loadtest record --config t.toml --out all.ndjson.zst --from all --to end
///   loadtest record --config t.toml --out ring.ndjson.zst --max-file 100MB --max-disk 2GB
///   loadtest record --config t.toml --out safe.ndjson.zst --pseudonymise
///
/// Pings, and sightings of partners by MAC address, have a stream of their own (nats.pings_stream): record
/// them with --pings into a trace of their own, beside that of all other records; a replay takes both.
///
/// A recording contains identifiers in clear text: keep it as carefully as the input stream. With
/// --pseudonymise, identifiers are replaced under a secret that is thrown away, so that the same value
/// is the same pseudonym throughout the recording and nobody can look it up: such a recording is not
/// resumed. Addresses lose their path, network addresses, positions and evidence are left out, and what is no native record is withheld.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Record {
    /// The configuration of the worker
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The trace, ending in .ndjson.zst; a number is put before the ending
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// The subjects to record; `*` and `>` are wildcards
    #[arg(long, default_value = subject::INPUT)]
    subjects: String,
    /// Record the stream of pings (nats.pings_stream) instead of the input stream
    #[arg(long)]
    pings: bool,
    /// Where to begin: `new`, `all` that the stream holds, or a sequence
    #[arg(long, default_value = "new", value_parser = from)]
    from: From,
    /// Where to end: `never`, the `end` of the stream as it is now, or a sequence
    #[arg(long, default_value = "never", value_parser = to)]
    to: To,
    /// The size after which a new file begins, compressed
    #[arg(long, default_value = "256MB", value_name = "SIZE", value_parser = size)]
    max_file: u64,
    /// The size of all files together, after which the oldest are deleted [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_disk: Option<u64>,
    /// Replace identifiers by pseudonyms under a secret that is thrown away
    #[arg(long)]
    pseudonymise: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Where a recording begins.
#[derive(Clone, Copy)]
enum From {
    New,
    All,
    Sequence(u64),
}

/// Where it ends.
#[derive(Clone, Copy)]
enum To {
    Never,
    End,
    Sequence(u64),
}

fn from(text: &str) -> Result<From, String> {
    match text {
        "new" => Ok(From::New),
        "all" => Ok(From::All),
        _ => text
            .parse()
            .map(From::Sequence)
            .map_err(|_| "write new, all or a sequence".to_owned()),
    }
}

fn to(text: &str) -> Result<To, String> {
    match text {
        "never" => Ok(To::Never),
        "end" => Ok(To::End),
        _ => text
            .parse()
            .map(To::Sequence)
            .map_err(|_| "write never, end or a sequence".to_owned()),
    }
}

/// A size such as `256MB`.
fn size(text: &str) -> Result<u64, String> {
    let units = [
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1_000),
        ("B", 1),
    ];
    let found = units.iter().find_map(|(name, unit)| {
        let number: u64 = text.strip_suffix(name)?.trim().parse().ok()?;
        number.checked_mul(*unit).filter(|size| *size > 0)
    });
    found.ok_or_else(|| "a size is written as 256MB or 2GB".to_owned())
}

impl Record {
    /// Records until the end of the range or a signal, and prints what was recorded.
    ///
    /// # Errors
    ///
    /// A stream that does not exist, files that cannot be written, and sources that cannot be
    /// pseudonymised.
    pub fn run(self) -> anyhow::Result<()> {
        let config = super::configuration::of_broker(&self.config)?;
        if self
            .max_disk
            .is_some_and(|most| most < self.max_file.saturating_mul(2))
        {
            bail!(
                "--max-disk must be at least twice --max-file, so that a file is complete before another is deleted"
            );
        }
        let is_recorded = |subject: &str| {
            let whole = format!("{subject}.0");
            let (kind, _) = subject.rsplit_once('.').unwrap_or((subject, ""));
            [subject, &whole, kind]
                .iter()
                .any(|subject| subject::covers(&self.subjects, subject))
        };
        let pseudonyms = match self.pseudonymise {
            true => Some(Pseudonyms::new(&config, is_recorded)?),
            false => None,
        };
        let brands: Vec<&str> = config
            .brands
            .iter()
            .map(|brand| brand.name.as_str())
            .collect();
        let stream = match (self.pings, &config.nats.pings_stream) {
            (false, _) => config.nats.input_stream.clone(),
            (true, Some(pings)) => pings.clone(),
            (true, None) => bail!(
                "--pings records nats.pings_stream, which the configuration does not set: pings are in the input stream"
            ),
        };
        let bar = bar::counting();
        let runtime = tokio::runtime::Runtime::new()?;
        let (recording, left_out) = runtime.block_on(async {
            let stop = interrupt::watch();
            let client = super::connection::connected(&config.nats).await?;
            ensure_input_stream(&client, &config.nats, &brands).await?;
            let last = stream_state(&client, &stream).await?.last_sequence;
            let range = Range {
                from: match self.from {
                    From::New => None,
                    From::All => Some(1),
                    From::Sequence(sequence) => Some(sequence),
                },
                to: match self.to {
                    To::Never => None,
                    To::End => Some(last),
                    To::Sequence(sequence) => Some(sequence),
                },
            };
            let options = RecordOptions {
                stream,
                subjects: self.subjects.clone(),
                range,
                files: RotationOptions {
                    path: self.out.clone(),
                    file_bytes: self.max_file,
                    all_bytes: self.max_disk,
                    pseudonymised: self.pseudonymise,
                },
                pseudonyms,
                stop,
            };
            let seen = |recording: &Recording| bar.set_position(recording.messages);
            let recording = record(&client, &config, options, seen).await?;
            // What has a stream of its own is easily forgotten.
            let pings = config.nats.pings_stream.as_ref().filter(|_| !self.pings);
            let left_out = match pings {
                Some(pings) => {
                    let messages = stream_state(&client, pings).await?.messages;
                    Some((pings.clone(), messages)).filter(|(_, messages)| *messages > 0)
                }
                None => None,
            };
            anyhow::Ok((recording, left_out))
        })?;
        bar.finish_and_clear();
        if let Some((stream, messages)) = left_out {
            terminal::note(format_args!(
                "note: {messages} messages of {stream} (nats.pings_stream) are not in this recording: record them with \
                 --pings into a trace of their own, and replay both"
            ));
        }
        match self.json {
            true => terminal::print_line(serde_json::to_string(&recording)?)?,
            false => {
                terminal::print_line(format_args!(
                    "{} messages, {} bytes of payload, up to sequence {}{}{}{}",
                    recording.messages,
                    recording.bytes,
                    recording.sequence,
                    match recording.missed {
                        0 => String::new(),
                        missed => format!(
                            ", {missed} messages before them were deleted from the stream unrecorded"
                        ),
                    },
                    match recording.withheld {
                        0 => String::new(),
                        withheld => format!(", {withheld} lines withheld"),
                    },
                    match recording.deleted {
                        0 => String::new(),
                        deleted => format!(", {deleted} old files deleted"),
                    },
                ))?;
                for file in &recording.files {
                    terminal::print_line(file.display())?;
                }
            }
        }
        Ok(())
    }
}

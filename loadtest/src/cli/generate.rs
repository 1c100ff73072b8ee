//! `loadtest generate`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use data_encoding::HEXLOWER;
use jiff::civil::Date;
use tributary_connectors::output_files::{Contents, OutputFile, OutputFiles, write_new};
use tributary_connectors::terminal;
use tributary_simulate::{
    MERAKI_SECRET, Mix, Options, SecretFrom, TrueVisit, Vendor, config_toml, ending_at, lines,
};

use super::bar::{self, Unit};

/// Generate a trace of a fictional brand.
///
/// People with several cookies and devices, campaigns that start and end journeys, store visits,
/// tills, refunds, corrections, duplicates, late arrivals and malformed lines. The trace ends now, so
/// that it can be fed to a worker; with --start, the same seed and options always give the same
/// bytes.
///
///   loadtest generate --events 1000000 --out million.ndjson.zst --config-out million.toml
///   loadtest generate --persons 500 --days 7 | head
///   loadtest generate --partners --wallet --out p.ndjson --truth visits.ndjson --config-out p.toml
///   loadtest generate --format segment --events 100000 --out s.ndjson --config-out s.toml
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Generate {
    /// The seed: the same seed gives the same trace
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of events [default: 100000, unless --persons or --days is given]
    #[arg(long)]
    events: Option<u64>,
    /// The number of people [default: enough for the events in 28 days, or --days]
    #[arg(long)]
    persons: Option<u32>,
    /// The number of days [default: 28 with --persons, otherwise until all events are generated]
    #[arg(long)]
    days: Option<u32>,
    /// The brand's name, used in its subjects
    #[arg(long, default_value = "orchard")]
    brand: String,
    /// The brand's time zone
    #[arg(long, default_value = "Europe/Paris")]
    timezone: String,
    /// The currency of amounts, an ISO 4217 code with two decimals
    #[arg(long, default_value = "EUR")]
    currency: String,
    /// The number of stores
    #[arg(long, default_value_t = 4)]
    stores: u32,
    /// The number of campaigns
    #[arg(long, default_value_t = 8)]
    campaigns: u32,
    /// The first day [default: such that the trace ends today, or yesterday if it would end in the future
    /// or, with --days 1, before noon]
    #[arg(long)]
    start: Option<Date>,
    /// The share of events that arrive 10 minutes to 36 hours late
    #[arg(long, default_value_t = 0.01)]
    late: f64,
    /// The share of malformed lines
    #[arg(long, default_value_t = 0.001)]
    bad: f64,
    /// The share of sales that are fully or partly refunded
    #[arg(long, default_value_t = 0.04)]
    refunds: f64,
    /// The proportions of pings/web/transactions
    #[arg(long, default_value = "45/45/10")]
    mix: Mix,
    /// Ask visitors for consent: web events carry TC strings, and some people change their minds
    #[arg(long)]
    consent: bool,
    /// Give members of the loyalty program wallet passes, which get messages and are read by tills. With --consent,
    /// members tick the boxes of a form first
    #[arg(long)]
    wallet: bool,
    /// Let partners see phones in stores and show them advertisements: sightings, exposures and links
    #[arg(long)]
    partners: bool,
    /// With --partners, also write whose visits are whose: NDJSON of the visits of phones that partners can see
    #[arg(long, value_name = "FILE", requires = "partners")]
    truth: Option<PathBuf>,
    /// Write the records of its kind in this vendor's format, and give their source that format in --config-out
    #[arg(long, value_name = "FORMAT", value_parser = vendor)]
    format: Option<Vendor>,
    /// Events per trace line: above 1, a line is NDJSON and arrives with its last event
    #[arg(long, default_value_t = 1)]
    pack: u32,
    /// The output file [default: standard output]; compressed if it ends in .gz or .zst
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Also write a configuration for the brand, and a random secret next to it (an existing secret
    /// is kept; an existing configuration is overwritten only with --force)
    #[arg(long, value_name = "FILE")]
    config_out: Option<PathBuf>,
    /// Overwrite an existing configuration, and a file of --out that is not a trace
    #[arg(long)]
    force: bool,
}

/// Number of days that every default retention period covers.
const RETAINED_DAYS: u32 = 180;

impl Generate {
    /// Generates the trace and the configuration. All options and files are checked before anything
    /// is written.
    ///
    /// # Errors
    ///
    /// Invalid options, or a file that cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        let options = Options {
            seed: self.seed,
            events: self.events,
            days: self.days,
            persons: self.persons,
            brand: self.brand,
            timezone: self.timezone,
            currency: self.currency,
            start: self.start.unwrap_or(Options::default().start),
            until: i64::MAX,
            stores: self.stores,
            campaigns: self.campaigns,
            late: self.late,
            bad: self.bad,
            refunds: self.refunds,
            mix: self.mix,
            consent: self.consent,
            wallet: self.wallet,
            partners: self.partners,
            pack: self.pack,
            vendor: self.format,
            k: 1,
            // A trace that ends now is within the default retention, which a longer one is not.
            keeps_past: self.start.is_some() || self.days.is_some_and(|days| days > RETAINED_DAYS),
        };
        let options = match self.start {
            Some(_) => options,
            None => ending_at(options, jiff::Timestamp::now())?,
        };
        options.check()?;
        // Everything is checked before anything is written.
        let secret = self.config_out.as_deref().map(secret_beside).transpose()?;
        let mut outputs = OutputFiles::new(secret.iter().cloned().collect(), self.force);
        let configuration = match &self.config_out {
            Some(path) => Some(outputs.file(path, Contents::Nothing)?),
            None => None,
        };
        let truth = match &self.truth {
            Some(path) => Some(outputs.file(path, Contents::Nothing)?),
            None => None,
        };
        let trace = match &self.out {
            Some(path) => Some(outputs.file(path, Contents::Trace)?),
            None => None,
        };
        if let (Some(file), Some(secret)) = (&configuration, &secret) {
            write_configuration(&options, file, secret)?;
        }
        let mut visits = truth.as_ref().map(|_| Vec::new());
        match &trace {
            None => {
                let mut out = terminal::stdout();
                write_lines(options, visits.as_mut(), &mut out)?;
                out.flush()?;
            }
            Some(file) => {
                let path = file.path();
                file.write(|out| write_file(options, visits.as_mut(), path, out))
                    .with_context(|| format!("writing {}", path.display()))?;
            }
        }
        if let (Some(file), Some(visits)) = (&truth, &visits) {
            let path = file.path();
            file.write(|out| write_truth(visits, out))
                .with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

/// Writes the trace to a file, compressed according to its extension.
fn write_file(
    options: Options,
    truth: Option<&mut Vec<TrueVisit>>,
    path: &Path,
    mut file: &mut dyn Write,
) -> anyhow::Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::default());
            write_lines(options, truth, &mut packer)?;
            packer.finish()?.flush()?;
        }
        Some("zst") => {
            let mut packer = zstd::Encoder::new(file, 3)?;
            write_lines(options, truth, &mut packer)?;
            packer.finish()?.flush()?;
        }
        _ => {
            write_lines(options, truth, &mut file)?;
            file.flush()?;
        }
    }
    Ok(())
}

/// Writes the visits of phones that partners can see, one per line.
fn write_truth(visits: &[TrueVisit], out: &mut dyn Write) -> anyhow::Result<()> {
    for visit in visits {
        let line = serde_json::json!({
            "device": visit.device, "store": visit.store, "sensed": visit.sensed,
            "from": visit.from, "until": visit.until,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes the lines of the trace, with a progress bar. Adds the visits of phones that partners can see to `truth`.
fn write_lines(
    options: Options,
    mut truth: Option<&mut Vec<TrueVisit>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let bar = match options.events {
        Some(events) => bar::towards(events, Unit::Events),
        None => bar::counting(),
    };
    let start = options.start;
    let mut written = 0;
    let mut world = lines(options)?;
    while let Some(line) = world.next() {
        let visits = world.take_true_visits();
        if let Some(truth) = &mut truth {
            truth.extend(visits);
        }
        let events = match line.object {
            true => 1,
            false => 1 + line.data.matches('\n').count() as u64,
        };
        let mut text = line.to_trace_line();
        text.push('\n');
        out.write_all(text.as_bytes())?;
        bar.inc(events);
        written += events;
    }
    bar.finish_and_clear();
    terminal::note(format_args!("{written} events from {start} on"));
    Ok(())
}

/// The format of a name.
fn vendor(name: &str) -> Result<Vendor, String> {
    let found = Vendor::ALL.into_iter().find(|vendor| vendor.name() == name);
    found.ok_or_else(|| {
        let known = Vendor::ALL.map(Vendor::name).join(", ");
        format!("the formats are {known}; without one, records are native")
    })
}

/// The path of the secret that belongs to a configuration.
fn secret_beside(configuration: &Path) -> anyhow::Result<PathBuf> {
    let secret = configuration.with_extension("secret");
    if secret == configuration {
        bail!("{} is reserved for the secret", secret.display());
    }
    Ok(secret)
}

/// Writes the configuration and, unless it exists, the secret `<name>.secret` beside it, readable
/// by the owner only.
fn write_configuration(options: &Options, file: &OutputFile, secret: &Path) -> anyhow::Result<()> {
    if !secret.exists() {
        let bytes: [u8; 32] = rand::random();
        let mut text = HEXLOWER.encode(&bytes);
        text.push('\n');
        write_new(secret, text.as_bytes())
            .with_context(|| format!("cannot write {}", secret.display()))?;
    }
    if options.vendor == Some(Vendor::Meraki) {
        let meraki = secret.with_file_name("meraki.secret");
        if !meraki.exists() {
            write_new(&meraki, MERAKI_SECRET.as_bytes())
                .with_context(|| format!("cannot write {}", meraki.display()))?;
        }
    }
    // The configuration names it relative to itself, so that both can be moved.
    let name = secret.file_name().map(Path::new).unwrap_or(secret);
    let text = config_toml(options, SecretFrom::File(name));
    file.write(|out| -> anyhow::Result<()> {
        out.write_all(text.as_bytes())
            .with_context(|| format!("cannot write {}", file.path().display()))
    })
}

//! The command line, in the words of the specification.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures, live, how online marketing and shops feed each other, without watching individuals.
///
/// Start with `tributary demo`: it needs nothing installed. Then replay data of your own with
/// `tributary replay`, and run a worker on a NATS broker with `tributary run`.
#[derive(Debug, Parser)]
#[command(name = "tributary", version = crate::version::TEXT, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How logs are written.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "TRIBUTARY_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

/// How logs are written, always to standard error. `TRIBUTARY_LOG` filters them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a few weeks of one brand, measure them, and show what comes out
    Demo(Demo),
    /// Run a worker process: NATS in, NATS and Prometheus out, until a signal
    Run(Run),
    /// Run the same dataflow over traces, in process, and write every released cell
    Replay(Replay),
    /// Ask a running worker for released cells
    Query(Query),
    /// Ask a running worker why two identifiers are one person, or why a cell is what it is
    #[command(subcommand)]
    Explain(Explain),
    /// Say what a TC string, a GPP string or plain boxes allow, purpose by purpose, and why not
    Consent(Consent),
    /// Ask a running worker how much is past its retention, or will be on a day to come; nothing is taken back
    Retention(Retention),
    /// Ask for a data subject's right, and wait until it is answered: access, erase, restrict, object …
    Rights(Rights),
    /// Verify the audit log of rights requests
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look into a ledger, or read all of it and say whether it is sound
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Draw a brand's secret, or move ledgers to the newest one
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check, print or describe the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the recording and alerting rules for Prometheus, with the address of your runbook
    Rules(Rules),
    /// Print the reference of every metric, as Markdown
    #[command(hide = true)]
    Reference {
        /// The tables of `config/DATA-PROTECTION.md` instead: what is held for how long, and which step needs what
        #[arg(long)]
        data_protection: bool,
    },
}

impl Command {
    /// What is logged unless `TRIBUTARY_LOG` says otherwise: a worker tells what it does, a command that
    /// answers a question only what went wrong.
    pub fn log_level(&self) -> &'static str {
        match self {
            Command::Run(_) => "info",
            Command::Replay(_) => "warn",
            _ => "error",
        }
    }
}

/// More threads than any machine has cores are a typing error.
fn threads() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=1024)
}

/// `tributary demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The seed of the simulated world: the same seed gives the same numbers
    #[arg(long, default_value_t = 2025)]
    pub seed: u64,
    /// About how many events happen in it; the persons follow from that
    #[arg(long, default_value = "200000")]
    pub events: Option<u64>,
    /// How many days are simulated
    #[arg(long, default_value_t = 28)]
    pub days: u32,
    /// Worker threads
    #[arg(long, default_value_t = 2, value_parser = threads())]
    pub workers: usize,
    /// Where the page and /metrics are served; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9464")]
    pub listen: std::net::SocketAddr,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// End after the summary instead of serving on
    #[arg(long)]
    pub once: bool,
    /// Serve the numbers of the summary as they are, instead of going on with the simulation
    #[arg(long)]
    pub still: bool,
}

/// `tributary run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Worker threads of this process, instead of `workers.threads`
    #[arg(long, value_parser = threads())]
    pub workers: Option<usize>,
    /// This process's position in `workers.hosts`, instead of `workers.process`
    #[arg(long)]
    pub process: Option<usize>,
    /// Go on after a loss, which is logged: where the input stream no longer holds what was to be read or is another one,
    /// and where the ledger, the objection list, the audit log or the receipts at the broker are missing, older or damaged
    #[arg(long)]
    pub accept_loss: bool,
    /// A file with the `host:port` of every process, one a line, instead of `workers.hosts`
    #[arg(long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// Where /metrics is served, instead of `http.listen`
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
}

/// `tributary replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Traces (NDJSON, plain, .gz or .zst), and CSV files of csv sources as SOURCE=FILE or BRAND/SOURCE=FILE
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<String>,
    /// Where the released cells go, NDJSON sorted by bytes; - is standard output
    #[arg(long, value_name = "OUT")]
    pub cells: PathBuf,
    /// Where refused lines go. Default: beside the cells, as OUT.dead-letters.ndjson
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,
    /// Worker threads: they change the speed, never a byte of OUT. Default: `workers.threads`
    #[arg(long, value_parser = threads())]
    pub workers: Option<usize>,
    /// Replace files of these outputs that hold something else; an input is never replaced
    #[arg(long)]
    pub force: bool,
    /// Messages an epoch: the batch changes the speed, never a byte of OUT
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub batch: u64,
    /// Keep what is accepted in a new ledger too, from which `tributary run` then goes on: the bulk load of a worker.
    /// It is the directory `process-0` of `ledger.directory`
    #[arg(long, value_name = "DIRECTORY")]
    pub ledger: Option<PathBuf>,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// No progress bar and no summary
    #[arg(long, short)]
    pub quiet: bool,
}

/// `tributary query`.
#[derive(Debug, Args)]
pub struct Query {
    /// The configuration file that says how to reach the broker
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand; may be left out where there is only one
    #[arg(long)]
    pub brand: Option<String>,
    /// The family of cells, as `attribution` or `store_day`; all where left out
    #[arg(value_name = "FAMILY")]
    pub family: Option<String>,
    /// Only cells with this dimension, as `model=linear` or `day=2025-10-26`; may be repeated
    #[arg(long = "where", value_name = "DIM=TEXT")]
    pub filters: Vec<String>,
    /// Print one cell a line as JSON, as a replay does
    #[arg(long)]
    pub json: bool,
}

/// `tributary explain`.
#[derive(Debug, Subcommand)]
pub enum Explain {
    /// Why two identifiers are one person: a shortest chain of links, with source and day, no values
    Person(ExplainPerson),
    /// Why an attribution cell is what it is: how many persons stand behind it, by path
    Cell(ExplainCell),
}

/// `tributary explain person`.
#[derive(Debug, Args)]
pub struct ExplainPerson {
    /// The configuration file, which holds the brand's secret: the values never leave this command
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand; may be left out where there is only one
    #[arg(long)]
    pub brand: Option<String>,
    /// The two identifiers, each as KIND=VALUE: email=a@b.example, cookie=…, phone=…, customer=…, wallet=…
    #[arg(num_args = 2, value_name = "KIND=VALUE")]
    pub identifiers: Vec<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary explain cell`.
#[derive(Debug, Args)]
pub struct ExplainCell {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand; may be left out where there is only one
    #[arg(long)]
    pub brand: Option<String>,
    /// The channel's source
    #[arg(long)]
    pub source: Option<String>,
    /// The channel's medium
    #[arg(long)]
    pub medium: Option<String>,
    /// The channel's campaign
    #[arg(long)]
    pub campaign: Option<String>,
    /// The kind of the conversions: order or transaction
    #[arg(long)]
    pub kind: String,
    /// The store, for transactions
    #[arg(long)]
    pub store: Option<String>,
    /// The day, 2025-10-26
    #[arg(long)]
    pub day: String,
    /// The currency; the brand's where left out
    #[arg(long)]
    pub currency: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary retention`.
///
/// A dry run: it counts, for each brand and category of `[brand.retention]`, the records that a pass of the retention
/// would take back, and changes nothing. The worker itself makes a pass at every start and once a day.
#[derive(Debug, Args)]
pub struct Retention {
    /// The configuration file that says how to reach the broker
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Only this brand; all of the configuration where left out
    #[arg(long)]
    pub brand: Option<String>,
    /// A day, as 2027-01-01, or a time as RFC 3339; now where left out. A day to come says what will have gone by then
    /// of what is held today, with the retention as the worker has it: to plan by
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Print one brand a line as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary consent`.
#[derive(Debug, Args)]
pub struct Consent {
    /// The string, or boxes as {"7": true, "do_not_sell": false}; - reads it from standard input, where no process list
    /// shows it
    #[arg(value_name = "STRING")]
    pub string: String,
    /// The vendor whose permission is asked for; the publisher's own where left out
    #[arg(long)]
    pub vendor: Option<u16>,
    /// A Global Vendor List (JSON), which says on which basis the vendor declared each purpose
    #[arg(long, value_name = "FILE", requires = "vendor")]
    pub vendor_list: Option<PathBuf>,
    /// Let a legitimate interest count where there is no consent
    #[arg(long, conflicts_with = "vendor_list")]
    pub legitimate_interest: bool,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary rights`.
///
/// The request waits at the broker until a worker has answered it everywhere: in the numbers, in the ledgers of all
/// processes, among the messages that came in and among the dead letters. Send it again with the same --id as often as
/// you like: it is done once.
#[derive(Debug, Args)]
pub struct Rights {
    /// Which right: access and portability (all records, as JSON), rectify (one record), restrict and unrestrict (held,
    /// but out of every number), object (as erase, and nothing new is taken), erase, do_not_sell, directive (what is to
    /// happen after death)
    #[arg(value_name = "TYPE", value_parser = ["access", "portability", "rectify", "restrict", "unrestrict", "object", "erase", "do_not_sell", "directive"])]
    pub right: String,
    /// Whom it is about, as KIND=VALUE: email=a@b.example, phone=…, cookie=…, customer=…, wallet=…, device=…,
    /// name_postcode=FIRST/LAST/POSTCODE. Process lists show it: see --request
    #[arg(value_name = "KIND=VALUE")]
    pub identifiers: Vec<String>,
    /// The configuration file that says how to reach the broker
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand; may be left out where there is only one
    #[arg(long)]
    pub brand: Option<String>,
    /// Where the proof of the requester's identity is kept, as a ticket's number; required
    #[arg(long, value_name = "REFERENCE")]
    pub proof: Option<String>,
    /// All records of the linked person, and not only those that name an identifier
    #[arg(long)]
    pub whole_person: bool,
    /// The request's id: the same one again is the same request. Drawn where it is left out
    #[arg(long)]
    pub id: Option<String>,
    /// Read the request, or what of it is not given here, from a JSON file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// rectify: a JSON file with the record as it should be
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// rectify: the kind of the record, web or transaction
    #[arg(long, default_value = "transaction")]
    pub kind: String,
    /// rectify: the source of the record; the kind's own where left out
    #[arg(long)]
    pub source: Option<String>,
    /// directive: erase or keep
    #[arg(long, value_name = "ACTION")]
    pub directive: Option<String>,
    /// directive: the person has died, and what was directed applies now
    #[arg(long)]
    pub notice: bool,
    /// Where the answer or the receipt goes, readable by its owner alone; standard output where left out
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace the file of --out where it is there already
    #[arg(long, requires = "out")]
    pub force: bool,
    /// Send it and end
    #[arg(long)]
    pub no_wait: bool,
    /// Print how it stands as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Read every entry and hold it to the one before; fails at the first that was changed, moved or taken out
    Verify {
        /// The configuration file, which holds the brands' secrets and says where the logs lie
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Only this brand
        #[arg(long)]
        brand: Option<String>,
        /// An entry that the log must still hold, as NUMBER:HASH from a receipt
        #[arg(long, value_name = "NUMBER:HASH", requires = "brand")]
        head: Option<String>,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tributary ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Say what a ledger holds, without its keys and without changing anything: segments, entries, position
    Inspect {
        /// The directory of one process's ledger, as tributary-data/process-0
        directory: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Open every block and read every entry, without changing anything; fails where one is not sound
    Verify {
        /// The directory of one process's ledger, as tributary-data/process-0
        directory: PathBuf,
        /// The configuration file, which holds the brands' secrets
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Print it as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tributary keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Draw a brand's secret into a new file
    ///
    /// Only the file's owner can read it, and it is not shown. The brand names it as `secret_file`. To exchange a
    /// secret, draw another one, name that as `secret_file`, and add the file it had to the end of
    /// `previous_secret_files`. All of them stay there: every pseudonym is re-keyed over the one before. Keep a copy
    /// of each where no ledger is: without them what is held cannot be opened, and new records do not meet old ones.
    New {
        /// The file, as acme.2025.secret; one that is there is never replaced
        file: PathBuf,
        /// Print the secret on standard output, too
        #[arg(long)]
        print: bool,
    },
    /// Move what ledgers keep to the newest secrets of a configuration, in running workers or in a stopped one's
    ///
    /// Without a directory the running workers are asked. Each process reads its configuration file again, seals all
    /// that is new under the newest secrets, moves what it kept, and goes on reading and counting meanwhile. Every
    /// process must have the same file and the same secrets: before any begins, each says that it could. They go on
    /// with the pseudonyms that they began with, and take the newest secret for them at their next start, all together.
    ///
    /// With a directory, that of a stopped worker is moved. In a cluster, run it for the directory of each process.
    ///
    /// What was kept loses no link, and when it is done, nothing in the ledger opens under an older secret. Stopped or
    /// killed half way, a worker that starts with the newest secrets reads what it has, and this is run again.
    Rotate {
        /// The directory of a stopped process's ledger, as tributary-data/process-0; the running workers where left out
        directory: Option<PathBuf>,
        /// The configuration file, with the newest secret and all before it
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Print what was done as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tributary rules`.
#[derive(Debug, Args)]
pub struct Rules {
    /// Where whoever is woken reads grafana/RUNBOOK.md: each alert's runbook_url is this address and #itsname
    #[arg(long, value_name = "URL")]
    pub runbook_url: String,
}

/// `tributary config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with a file at once, with its line and what would be right
    Check {
        /// The configuration file
        #[arg(default_value = "tributary.toml")]
        file: PathBuf,
        /// Print the problems as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print every setting as it counts, defaults included, secrets masked
    Print {
        /// The configuration file
        #[arg(default_value = "tributary.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the file, or with --markdown a table of all settings
    Schema {
        /// A table for people instead
        #[arg(long)]
        markdown: bool,
    },
    /// Print a commented example to start from
    Example,
}

//! The command line: every command, option and help text.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures live how online marketing and stores feed each other, without tracking individuals.
///
/// Start with `tributary demo`, which has no prerequisites. Then replay your own data with
/// `tributary replay`, and run a worker against a NATS broker with `tributary run`.
#[derive(Debug, Parser)]
#[command(name = "tributary", version = crate::version::TEXT, max_term_width = 100)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
    /// The format of log messages
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        env = "TRIBUTARY_LOG_FORMAT"
    )]
    pub log_format: LogFormat,
}

/// The format of log messages. They go to standard error; `TRIBUTARY_LOG` filters them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines
    Text,
    /// One JSON object per line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a few weeks of a brand, measure them, and show the results
    Demo(Demo),
    /// Run a worker process that reads from NATS and publishes to NATS and Prometheus, until a signal
    Run(Run),
    /// Serve the live page, business metrics and queries from the output stream alone, in any number of replicas
    Serve(Serve),
    /// Run the dataflow over recorded traces and write every released cell
    Replay(Replay),
    /// Show what becomes of each line of a file, without running anything
    Decode(Decode),
    /// Count, show and resend the records that were rejected
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Query released cells from a running worker
    Query(Query),
    /// Explain why two identifiers belong to one person, or how a cell's value came about
    #[command(subcommand)]
    Explain(Explain),
    /// Show what a TC string, GPP string or set of checkboxes allows, purpose by purpose, and why
    Consent(Consent),
    /// Preview how many records are past their retention, now or on a future day, without deleting any
    Retention(Retention),
    /// Submit a data subject's request (access, erase, restrict, object, …) and wait for the answer
    Rights(RightsCommand),
    /// Verify the audit log of rights requests
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Verify the receipt of a rights request
    #[command(subcommand)]
    Receipt(ReceiptCommand),
    /// Inspect or verify a ledger, move a brand to another one, or change the number of processes
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Generate a brand's secret, or rotate ledgers to the newest one
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check before an upgrade what this version would do with the configuration, the ledgers and the cluster
    #[command(subcommand)]
    Upgrade(UpgradeCommand),
    /// Check, print or describe the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the Prometheus recording and alerting rules, with links to your runbook
    Rules(Rules),
    /// Print the completion script of a shell
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
    /// Print the reference of metrics or cells as Markdown
    #[command(hide = true)]
    Reference {
        /// Print the tables of `config/DATA-PROTECTION.md` instead: retention periods, and the permission each use requires
        #[arg(long)]
        data_protection: bool,
        /// Print `connectors/CELLS.md` instead: the families of cells with their dimensions and values
        #[arg(long, conflicts_with = "data_protection")]
        cells: bool,
    },
}

impl Command {
    /// The default log level, which `TRIBUTARY_LOG` overrides: a worker reports its actions, a command that
    /// answers a question only errors.
    pub fn log_level(&self) -> &'static str {
        match self {
            Command::Run(_) | Command::Serve(_) => "info",
            Command::Replay(_) => "warn",
            _ => "error",
        }
    }

    /// Whether `[telemetry]` applies to the command.
    pub fn may_export(&self) -> bool {
        matches!(self, Command::Run(_) | Command::Serve(_))
    }
}

/// Accepts 1 to 1024 threads; more is most likely a typing error.
fn threads() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=1024)
}

/// `tributary demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The seed of the simulation: the same seed gives the same numbers
    #[arg(long, default_value_t = 2025)]
    pub seed: u64,
    /// The approximate number of events, which determines the number of people
    #[arg(long, default_value = "200000")]
    pub events: Option<u64>,
    /// The number of days to simulate
    #[arg(long, default_value_t = 28)]
    pub days: u32,
    /// The number of worker threads
    #[arg(long, default_value_t = 2, value_parser = threads())]
    pub workers: usize,
    /// The address that serves the live page and /metrics; port 0 selects a free port
    #[arg(long, default_value = "127.0.0.1:9464")]
    pub listen: std::net::SocketAddr,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Exit after the summary instead of serving the live page
    #[arg(long)]
    pub once: bool,
    /// Keep serving the numbers of the summary instead of continuing the simulation
    #[arg(long)]
    pub still: bool,
    /// Show every number (release.k = 1) instead of only those that the gates of 20 and 10 people release
    #[arg(long)]
    pub show_all: bool,
    /// The brand whose tables the summary prints
    #[arg(long, value_parser = ["orchard", "willow"], default_value = "orchard")]
    pub brand: String,
    /// Follow one person from the click to the till, through a refund and an erasure, and exit
    #[arg(long, conflicts_with_all = ["once", "still", "brand"])]
    pub story: bool,
    /// Wait for the Enter key after each step of the story
    #[arg(long, requires = "story", conflicts_with = "json")]
    pub pause: bool,
}

/// `tributary run`.
///
/// SIGTERM or SIGINT ends it in order, a second one at once. SIGHUP, or a change of the configuration file or of the file of a token,
/// has it read the configuration again: it takes new brands, new sources, a stricter release gate, access tokens, host names, the memory budget and the level of the log without a
/// restart; if anything else differs, nothing changes and the log says what needs a restart.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The number of worker threads of this process [default: `workers.threads`]
    #[arg(long, value_parser = threads())]
    pub workers: Option<usize>,
    /// The index of this process in `workers.hosts` [default: `workers.process`]
    #[arg(long)]
    pub process: Option<usize>,
    /// Start despite a data loss, and log it: unread messages were deleted from the input stream or the stream was replaced,
    /// or the ledger, objection list, audit log or receipts at the broker are missing, outdated or damaged
    #[arg(long)]
    pub accept_loss: bool,
    /// A file with the `host:port` of every process, one per line [default: `workers.hosts`]
    #[arg(long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// The address that serves /metrics and the live page [default: `http.listen`]
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
}

/// `tributary serve`.
///
/// It reads released cells from the output stream and nothing else, so that it needs no ledger and replicas need not know
/// each other. Rights requests and operational metrics are those of workers. SIGHUP, or a change of the configuration
/// file or of the file of a token, has it read the configuration again: it takes access tokens, host names and the level of the log.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The address that serves the page, /metrics and /v1 [default: `http.listen`]
    #[arg(long)]
    pub listen: Option<std::net::SocketAddr>,
}

/// `tributary replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Traces (NDJSON: plain, .gz or .zst), and files of sources in the CSV format or a vendor's as SOURCE=FILE or
    /// BRAND/SOURCE=FILE
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<String>,
    /// The output file for released cells (NDJSON, sorted by bytes); - is standard output
    #[arg(long, value_name = "OUT")]
    pub cells: PathBuf,
    /// The output file for rejected lines [default: OUT.dead-letters.ndjson]
    #[arg(long, value_name = "FILE")]
    pub dead_letters: Option<PathBuf>,
    /// The number of worker threads; affects speed, never the contents of OUT [default: `workers.threads`]
    #[arg(long, value_parser = threads())]
    pub workers: Option<usize>,
    /// Overwrite output files that this command did not write; inputs are never overwritten
    #[arg(long)]
    pub force: bool,
    /// The number of messages per epoch; affects speed, never the contents of OUT
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub batch: u64,
    /// Also write the accepted records to a new ledger, to load a worker in bulk: `tributary run` continues from it.
    /// The ledger is the directory `process-0` of DIRECTORY, as in `ledger.directory`
    #[arg(long, value_name = "DIRECTORY")]
    pub ledger: Option<PathBuf>,
    /// Replay brands with noise. Each replay draws noise of its own and spends their privacy budget once more: readers of
    /// several draws average the noise out
    #[arg(long)]
    pub redraw_noise: bool,
    /// Also report what each operator of the dataflow did and keeps: updates, entries, memory, time, and the longest step
    #[arg(long)]
    pub profile: bool,
    /// Print the summary as JSON on standard output
    #[arg(long)]
    pub json: bool,
    /// Suppress the progress bar and the summary
    #[arg(long, short)]
    pub quiet: bool,
}

/// `tributary decode`.
#[derive(Debug, Args)]
pub struct Decode {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The source to whose format the file belongs: BRAND/SOURCE, or SOURCE if only one brand has it
    #[arg(long, value_name = "BRAND/SOURCE")]
    pub source: String,
    /// Messages of a trace (NDJSON), whose subjects are not used, or payloads as the source sends them: a line each, or a CSV
    /// file (plain, .gz or .zst)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The arrival of payloads, in Unix milliseconds [default: unknown, so that each arrives at its own time, as with `tributary replay`, and no time is corrected]
    #[arg(long, value_name = "MS")]
    pub at: Option<i64>,
    /// Print one JSON object for each line
    #[arg(long)]
    pub json: bool,
}

/// `tributary dead-letters`.
///
/// A line that cannot be read becomes a dead letter with a reason, and does not affect the lines around it. Start with
/// `list`, look at the records of one reason with `show`, correct the sender or the configuration, and then `resend`.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// Count dead letters by brand, kind and reason, with what to do about each
    List(DeadLettersList),
    /// Show the newest dead letters, with values that may identify a person hidden
    Show(DeadLettersShow),
    /// Publish dead letters to their source again, once what caused them is corrected
    ///
    /// Each is sent once: it is deleted from the stream of dead letters when the input stream has stored it, and one that is
    /// rejected again is not resent without --again. They arrive now, which matters for pings only: those of days that have
    /// been closed are rejected.
    Resend(DeadLettersResend),
}

/// Where dead letters come from, and which of them.
#[derive(Debug, Args)]
pub struct DeadLetters {
    /// The configuration file, with the broker and the stream of dead letters
    #[arg(long, short, value_name = "FILE", required_unless_present = "file")]
    pub config: Option<PathBuf>,
    /// Read a file of dead letters, as `tributary replay` writes it, instead of the stream
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only letters of this brand; `unknown` if the message names none
    #[arg(long)]
    pub brand: Option<String>,
    /// Only letters of this kind, such as `web`
    #[arg(long)]
    pub kind: Option<String>,
    /// Only letters with this reason, such as `missing_field`
    #[arg(long)]
    pub reason: Option<String>,
}

/// `tributary dead-letters list`.
#[derive(Debug, Args)]
pub struct DeadLettersList {
    /// The letters
    #[command(flatten)]
    pub letters: DeadLetters,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Print CSV with a header, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `tributary dead-letters show`.
#[derive(Debug, Args)]
pub struct DeadLettersShow {
    /// The letters
    #[command(flatten)]
    pub letters: DeadLetters,
    /// The maximum number of letters, the newest ones
    #[arg(long, default_value_t = 20, value_name = "LETTERS")]
    pub limit: usize,
    /// Show records as they were received, including personal data
    #[arg(long)]
    pub clear: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub json: bool,
    /// Print CSV with a header, for spreadsheets
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// `tributary dead-letters resend`.
#[derive(Debug, Args)]
pub struct DeadLettersResend {
    /// The letters
    #[command(flatten)]
    pub letters: DeadLetters,
    /// Resend without a filter
    #[arg(long)]
    pub all: bool,
    /// Also resend letters that were resent before and rejected again
    #[arg(long)]
    pub again: bool,
    /// Count what would be resent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary query`.
#[derive(Debug, Args)]
pub struct Query {
    /// The configuration file, or a client configuration with the broker and the brand
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand [default: the only configured brand]
    #[arg(long)]
    pub brand: Option<String>,
    /// The family of cells, such as `attribution` or `store_day` [default: all]
    #[arg(value_name = "FAMILY")]
    pub family: Option<String>,
    /// Only cells with this dimension, such as `model=linear` or `day=2025-10-26`; can be repeated
    #[arg(long = "where", value_name = "DIM=TEXT")]
    pub filters: Vec<String>,
    /// The words of the query
    #[command(flatten)]
    pub words: QueryWords,
    /// Print one JSON cell per line, in the format of `replay`
    #[arg(long)]
    pub json: bool,
}

/// The words of `tributary query` that `/v1/cells` has as well.
#[derive(Debug, Default, Args)]
pub struct QueryWords {
    /// The first day or month, such as 2025-10-01 or 2025-10
    #[arg(long, value_name = "DAY", requires = "family")]
    pub from: Option<String>,
    /// The last day or month; a month counts if all of its finished days lie in the range
    #[arg(long, value_name = "DAY", requires = "family")]
    pub to: Option<String>,
    /// Add cells up and keep only these dimensions, separated by commas; an empty text adds up everything.
    /// `model` and `currency` always stay apart, and each sum says what share it covers
    #[arg(long, value_name = "DIMS", requires = "family")]
    pub group_by: Option<String>,
    /// Sort by a dimension or a value, descending with a leading -, such as -value_minor
    #[arg(
        long,
        value_name = "KEY",
        allow_hyphen_values = true,
        requires = "family"
    )]
    pub sort: Option<String>,
    /// The maximum number of rows [default: 1000]
    #[arg(long, value_name = "ROWS", requires = "family")]
    pub limit: Option<String>,
    /// Continue after this position, the `next` of the previous page
    #[arg(long, value_name = "NEXT", requires = "family")]
    pub after: Option<String>,
    /// `previous`: also show the period of the same length before
    #[arg(long, value_name = "PERIOD", requires = "family")]
    pub compare: Option<String>,
    /// The format of the rows: json, ndjson, csv or arrow, as from /v1/cells [default: a table]
    #[arg(
        long,
        value_name = "FORMAT",
        requires = "family",
        conflicts_with = "json"
    )]
    pub format: Option<String>,
}

/// `tributary explain`.
#[derive(Debug, Subcommand)]
pub enum Explain {
    /// Why two identifiers belong to one person: the shortest chain of links, with source and day but no values
    Person(ExplainPerson),
    /// How an attribution cell's value came about: the published cell that counts it, and the published paths
    Cell(ExplainCell),
}

/// `tributary explain person`.
#[derive(Debug, Args)]
pub struct ExplainPerson {
    /// The configuration file, which contains the brand's secret; the values never leave this command
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand [default: the only configured brand]
    #[arg(long)]
    pub brand: Option<String>,
    /// The two identifiers as KIND=VALUE: email=a@b.example, cookie=…, phone=…, customer=…, wallet=…
    #[arg(num_args = 2, value_name = "KIND=VALUE")]
    pub identifiers: Vec<String>,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary explain cell`.
#[derive(Debug, Args)]
pub struct ExplainCell {
    /// The configuration file, or a client configuration
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand [default: the only configured brand]
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
    /// The kind of conversion: order, transaction or visit
    #[arg(long)]
    pub kind: String,
    /// The store (transactions and visits only)
    #[arg(long)]
    pub store: Option<String>,
    /// The day, such as 2025-10-26, or the month, such as 2025-10
    #[arg(long)]
    pub day: String,
    /// The currency [default: the brand's currency]
    #[arg(long)]
    pub currency: Option<String>,
    /// Count the persons behind a day's cell by path instead of answering from what is published; needs the
    /// configuration and credentials of a worker
    #[arg(long)]
    pub exact: bool,
    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary retention`.
///
/// A dry run: counts the records that a retention run would delete, by brand and category of `[brand.retention]`, and
/// changes nothing. The worker runs retention at every startup and once a day.
#[derive(Debug, Args)]
pub struct Retention {
    /// The configuration file, which contains the broker's address
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Only this brand [default: all configured brands]
    #[arg(long)]
    pub brand: Option<String>,
    /// A day, such as 2027-01-01, or an RFC 3339 time [default: now]. For a future day, counts which of the currently
    /// stored records will have been deleted by then
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Print one JSON object per brand and line
    #[arg(long)]
    pub json: bool,
}

/// `tributary consent`.
#[derive(Debug, Args)]
pub struct Consent {
    /// The consent string, or checkboxes as {"7": true, "do_not_sell": false}; - reads from standard input, which keeps the
    /// string out of process lists
    #[arg(value_name = "STRING")]
    pub string: String,
    /// The vendor ID to check [default: the publisher itself]
    #[arg(long)]
    pub vendor: Option<u16>,
    /// A Global Vendor List (JSON) with the legal basis that the vendor declares for each purpose
    #[arg(long, value_name = "FILE", requires = "vendor")]
    pub vendor_list: Option<PathBuf>,
    /// Accept legitimate interest where there is no consent
    #[arg(long, conflicts_with = "vendor_list")]
    pub legitimate_interest: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary rights`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct RightsCommand {
    /// What to do instead of submitting a request.
    #[command(subcommand)]
    pub action: Option<RightsAction>,
    /// The request to submit.
    #[command(flatten)]
    pub request: Option<Rights>,
}

/// The commands about requests that were submitted.
#[derive(Debug, Subcommand)]
pub enum RightsAction {
    /// List the requests of a brand with their state and the last day for an answer, the most urgent first
    List {
        /// Which brand.
        #[command(flatten)]
        of: RightsOf,
        /// Only requests that are neither completed nor rejected
        #[arg(long)]
        open: bool,
        /// Only open requests whose last day has passed; fails if there is one
        #[arg(long)]
        late: bool,
        /// Print one JSON object per request
        #[arg(long)]
        json: bool,
    },
    /// Show one request
    Show {
        /// The ID of the request
        id: String,
        /// Which brand.
        #[command(flatten)]
        of: RightsOf,
        /// Print the request as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write all requests of a brand as CSV, for the record of what was answered when
    Export {
        /// Which brand.
        #[command(flatten)]
        of: RightsOf,
        /// The output file, readable only by its owner [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Overwrite the file of --out if it exists
        #[arg(long, requires = "out")]
        force: bool,
    },
}

/// The brand whose requests a command concerns.
#[derive(Debug, Args)]
pub struct RightsOf {
    /// The configuration file, which contains the broker's address
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand [default: the only configured brand]
    #[arg(long)]
    pub brand: Option<String>,
}

/// A request of `tributary rights`.
///
/// The request stays at the broker until a worker has applied it everywhere: to the numbers, the ledgers of all
/// processes, the input messages and the dead letters. Sending it again with the same --id is safe: a request is
/// processed once.
#[derive(Debug, Args)]
pub struct Rights {
    /// The type of request: access and portability (all records as JSON), rectify (one record), restrict and unrestrict
    /// (kept, but excluded from all numbers), object (like erase, and new records are rejected), erase, do_not_sell,
    /// directive (instructions for after death)
    #[arg(value_name = "TYPE", value_parser = ["access", "portability", "rectify", "restrict", "unrestrict", "object", "erase", "do_not_sell", "directive"])]
    pub right: String,
    /// The data subject, as KIND=VALUE: email=a@b.example, phone=…, cookie=…, customer=…, wallet=…, device=…,
    /// name_postcode=FIRST/LAST/POSTCODE. Visible in process lists: use --request to avoid that
    #[arg(value_name = "KIND=VALUE")]
    pub identifiers: Vec<String>,
    /// The configuration file, or a client configuration with the broker and the brand
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand [default: the only configured brand]
    #[arg(long)]
    pub brand: Option<String>,
    /// Where you keep the proof of the requester's identity, such as a ticket number; required
    #[arg(long, value_name = "REFERENCE")]
    pub proof: Option<String>,
    /// Cover all records of the linked person, not only those that contain the identifiers
    #[arg(long)]
    pub whole_person: bool,
    /// The request ID; requests with the same ID are the same request [default: random]
    #[arg(long)]
    pub id: Option<String>,
    /// Read the request, or the parts not given as options, from a JSON file; - is standard input
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// rectify: a JSON file with the corrected record
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// rectify: the kind of the record: web, transaction, wallet or partner
    #[arg(long, default_value = "transaction")]
    pub kind: String,
    /// rectify: the source of the record [default: the source named like the kind]
    #[arg(long)]
    pub source: Option<String>,
    /// directive: erase or keep
    #[arg(long, value_name = "ACTION")]
    pub directive: Option<String>,
    /// directive: the person has died, and the directive applies now
    #[arg(long)]
    pub notice: bool,
    /// The output file for the answer or receipt, readable only by its owner; access with a name that ends with .html
    /// writes a page for the person [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// access and portability: also write the receipt to this file, which names the answer by its SHA-256
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// access and portability: seal the answer for this recipient of age (age1…, from age-keygen) and write it to --out as it
    /// is sealed; only the holder of its identity opens it, with `age -d` [default: a key for this answer alone, which
    /// this command opens it with]
    #[arg(long, value_name = "RECIPIENT", requires = "out")]
    pub reply_key: Option<String>,
    /// Verify the receipt with the brand's public key in this file, as `tributary keys public` prints it. The workers'
    /// configuration knows the key; a client configuration has no secret to derive it from
    #[arg(long, value_name = "PEM")]
    pub key: Option<PathBuf>,
    /// Overwrite the files of --out and --receipt if they exist
    #[arg(long)]
    pub force: bool,
    /// Submit the request and exit without waiting
    #[arg(long)]
    pub no_wait: bool,
    /// Print the status as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary audit`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify the hash chain of every entry; fails at the first entry that was changed, moved or removed
    ///
    /// A chain does not show that its end is missing. So the log is also compared with what names its entries elsewhere:
    /// the manifest of the ledger beside it, and the receipts at the broker.
    Verify {
        /// The configuration file, which contains the brands' secrets and the directory of the logs
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Only this brand
        #[arg(long)]
        brand: Option<String>,
        /// An entry that the log must still contain, as NUMBER:HASH from a receipt
        #[arg(long, value_name = "NUMBER:HASH", requires = "brand")]
        head: Option<String>,
        /// Compare with the files alone, without the broker
        #[arg(long)]
        offline: bool,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the entries of the log in words, each verified
    Show {
        /// The configuration file, which contains the brands' secrets and the directory of the logs
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Only this brand
        #[arg(long)]
        brand: Option<String>,
        /// Print at most this many of the last entries of each brand
        #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
        last: usize,
        /// Print one JSON object per entry
        #[arg(long)]
        json: bool,
    },
}

/// `tributary receipt`.
#[derive(Debug, Subcommand)]
pub enum ReceiptCommand {
    /// Verify a receipt with the brand's public key; needs neither a secret nor a configuration
    ///
    /// A receipt is a JSON Web Signature (Ed25519), which other tools verify as well: see DATA-PROTECTION.md.
    Verify {
        /// The file of the receipt; - is standard input
        file: PathBuf,
        /// The file of the brand's public key, or of several, as `tributary keys public` prints them
        #[arg(long, short, value_name = "PEM")]
        key: PathBuf,
        /// Print the content as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tributary ledger`.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Show a ledger's segments and position, and with the brands' secrets its entries by kind; changes nothing
    Inspect {
        /// The ledger directory of one process, such as tributary-data/process-0
        directory: PathBuf,
        /// The configuration file, whose secrets open the counts of entries and the days of salts
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Decrypt every block and read every entry, without changing anything; fails on the first damaged one
    Verify {
        /// The ledger directory of one process, such as tributary-data/process-0
        directory: PathBuf,
        /// The configuration file, which contains the brands' secrets
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Take a brand from one shard to another, while the workers of both are stopped
    ///
    /// The records, salts, objections, tombstones and audit log of the brand go to the other ledger, and nothing of it
    /// stays: replaced files are overwritten. Neither worker starts with the brand before the command has ended; if it is
    /// interrupted, run it again. The published numbers stay as they are.
    Move(LedgerMove),
    /// Change the number of processes of a cluster, while all of them are stopped
    ///
    /// Reads the ledgers of all processes in `ledger.directory` and shares their entries out among as many processes as
    /// are wanted, at one position. If it is interrupted, run it again. The published numbers stay as they are.
    Reshard(LedgerReshard),
    /// Put the backup of a process back into a data directory that has no ledger of it
    ///
    /// Opens what a worker has written to `ledger.backup`, with the key at the broker. If it is interrupted, run it again.
    /// Then start the worker as after any restart: it reads again what had arrived since.
    Restore(LedgerRestore),
}

/// `tributary ledger restore`.
#[derive(Debug, Args)]
pub struct LedgerRestore {
    /// The configuration file of the worker
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The directory of the backup [default: `ledger.backup`]
    #[arg(long, value_name = "DIRECTORY")]
    pub from: Option<PathBuf>,
    /// The process of a cluster [default: `workers.process`]
    #[arg(long)]
    pub process: Option<usize>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary ledger move`.
#[derive(Debug, Args)]
pub struct LedgerMove {
    /// The configuration file, with all brands that either ledger has
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The brand
    #[arg(long)]
    pub brand: String,
    /// The ledger that has the brand, such as tributary-data/process-north-0 [default: the one in `ledger.directory`
    /// that has it]
    #[arg(long, value_name = "DIRECTORY")]
    pub from: Option<PathBuf>,
    /// The ledger that the brand goes to, which is begun if it does not exist [default: that of the brand's `shard` in
    /// `ledger.directory`]
    #[arg(long, value_name = "DIRECTORY")]
    pub to: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary ledger reshard`.
#[derive(Debug, Args)]
pub struct LedgerReshard {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// The number of processes that there will be
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub to: u16,
    /// The shard of the processes, such as north [default: `workers.shard`]
    #[arg(long)]
    pub shard: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary upgrade`.
#[derive(Debug, Subcommand)]
pub enum UpgradeCommand {
    /// Tell whether this version can take over from the one that runs now; changes nothing
    ///
    /// Run it with the new program, while the old one runs. It checks the configuration, the format of each ledger on this
    /// machine and what becomes of it, the room on the disk, and the processes that hold a lease at the broker. The exit code
    /// is 0 if the upgrade is possible and can be undone, 3 if it is possible and the older version cannot open the ledger
    /// afterwards, and 1 if this version would refuse to start or something could not be checked.
    Check(UpgradeCheck),
}

/// `tributary upgrade check`.
#[derive(Debug, Args)]
pub struct UpgradeCheck {
    /// The configuration file
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// What `tributary config schema` of the version that runs now prints: names the settings that were added, removed,
    /// or have another default
    #[arg(long, value_name = "SCHEMA")]
    pub before: Option<PathBuf>,
    /// The host file that the processes of a cluster are started with, if they are
    #[arg(long, value_name = "FILE")]
    pub hostfile: Option<PathBuf>,
    /// Do not ask the broker which processes run
    #[arg(long)]
    pub offline: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// `tributary keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Generate a brand's secret in a new file
    ///
    /// Only the file's owner can read it, and the secret is not printed. Set it as the brand's `secret_file`. To rotate
    /// a secret, generate another one, set it as `secret_file`, and append the previous file to `previous_secret_files`.
    /// Keep all of them in the configuration: every pseudonym is re-keyed through the previous ones. Keep a copy of each
    /// separate from the ledger: without them, stored data cannot be read, and new records do not match old ones.
    New {
        /// The file, such as acme.2025.secret; an existing file is never overwritten
        file: PathBuf,
        /// Also print the secret to standard output
        #[arg(long)]
        print: bool,
    },
    /// Generate an access token for the HTTP server, and print it once
    ///
    /// The file receives its SHA-256 and never the token. Set it as `sha256_file` of an `[[http.token]]`, and give the
    /// token to whoever may use it: as `Authorization: Bearer TOKEN`, or on the page when it asks.
    Token {
        /// The file, such as acme-read.sha256; an existing file is never overwritten
        file: PathBuf,
    },
    /// Print the public key with which anybody verifies a brand's receipts, as PEM
    ///
    /// The key pair is derived from the brand's newest secret, and a rotation of the secret changes it: publish the new
    /// key, and keep the previous ones for receipts from before the rotation.
    Public {
        /// The configuration file, which contains the brand's secrets
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// The brand [default: the only configured brand]
        #[arg(long)]
        brand: Option<String>,
        /// Print the keys of the previous secrets as well, newest first
        #[arg(long)]
        all: bool,
        /// Print a JSON Web Key Set instead of PEM
        #[arg(long)]
        json: bool,
    },
    /// Rotate ledgers to the newest secrets of the configuration, for running workers or a stopped one
    ///
    /// Without a directory, this command asks the running workers. Each process rereads its configuration file, seals new
    /// data under the newest secrets, and re-encrypts stored data while it continues to process input. Every process
    /// must have the same file and the same secrets; rotation begins only after all have confirmed that. Until their
    /// next start, the processes keep using their current pseudonyms.
    ///
    /// With a directory, this command rotates the ledger of a stopped worker. In a cluster, run it for every process.
    ///
    /// No link between records is lost, and afterwards no older secret can read the ledger. If rotation is interrupted,
    /// workers can still start with the newest secrets; run this command again to complete it.
    Rotate {
        /// The ledger directory of a stopped process, such as tributary-data/process-0 [default: running workers]
        directory: Option<PathBuf>,
        /// The configuration file, with the newest secret and all previous ones
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tributary rules`.
#[derive(Debug, Args)]
pub struct Rules {
    /// The address of your copy of grafana/RUNBOOK.md; the runbook_url of each alert is this address plus #alertname
    #[arg(long, value_name = "URL")]
    pub runbook_url: String,
}

/// `tributary completions`.
///
/// For one user of bash: `tributary completions bash > ~/.local/share/bash-completion/completions/tributary`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `tributary man`.
///
/// Without a directory, it prints the page of the program: `tributary man > tributary.1`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write the pages of all commands to this directory, which is created, such as ~/.local/share/man/man1
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
}

/// `tributary config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every problem in a file, with its line and a suggested fix
    Check {
        /// The configuration file
        #[arg(default_value = "tributary.toml")]
        file: PathBuf,
        /// Print the problems as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the effective settings, including defaults, with secrets masked
    Print {
        /// The configuration file
        #[arg(default_value = "tributary.toml")]
        file: PathBuf,
    },
    /// Print the JSON Schema of the configuration file, or a table of all settings with --markdown
    Schema {
        /// Print a Markdown table instead of the JSON Schema
        #[arg(long)]
        markdown: bool,
    },
    /// Print a commented example configuration
    Example,
}

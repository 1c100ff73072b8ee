//! The configuration as the rest of the program reads it: typed, complete, already checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use secrecy::SecretString;
use tributary_consent::Vendor;

/// Everything an operator may choose.
#[derive(Clone, Debug)]
pub struct Config {
    /// The broker.
    pub nats: Nats,
    /// Worker threads and the processes of the cluster.
    pub workers: Workers,
    /// What is kept on disk.
    pub ledger: Ledger,
    /// The HTTP server for `/metrics`, `/livez`, `/readyz` and `/config`.
    pub http: Http,
    /// What is refused at the door.
    pub ingest: Ingest,
    /// The release gate.
    pub release: Release,
    /// The tenants, sorted by name.
    pub brands: Vec<Brand>,
}

/// A secret that lets this process in somewhere, and that may be exchanged while it runs.
#[derive(Clone, Debug)]
pub struct Credential {
    /// As it was at the start.
    first: SecretString,
    /// Where it is read again; none where it came from the environment, which does not change.
    file: Option<PathBuf>,
}

impl Credential {
    /// What stands in a file, which is read again whenever the credential is used.
    pub fn in_file(first: SecretString, file: PathBuf) -> Credential {
        let file = Some(file);
        Credential { first, file }
    }

    /// The secret as it is now, without the line ends behind it.
    ///
    /// # Errors
    /// Where its file cannot be read any more.
    pub fn read(&self) -> std::io::Result<SecretString> {
        let Some(file) = &self.file else {
            return Ok(self.first.clone());
        };
        let text = std::fs::read_to_string(file)?;
        Ok(SecretString::from(text.trim_end_matches(['\n', '\r'])))
    }

    /// Where it is read again.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }
}

impl From<String> for Credential {
    fn from(first: String) -> Credential {
        SecretString::from(first).into()
    }
}

impl From<SecretString> for Credential {
    fn from(first: SecretString) -> Credential {
        Credential { first, file: None }
    }
}

/// How to reach the broker and which streams to use.
#[derive(Clone, Debug)]
pub struct Nats {
    /// `nats://` or `tls://` addresses, comma separated.
    pub url: String,
    /// A `.creds` file (JWT and nkey seed).
    pub credentials_file: Option<PathBuf>,
    /// An nkey seed, from `nkey_seed_file` or the environment variable that `nkey_seed_env` names.
    pub nkey_seed: Option<Credential>,
    /// A user name, with `password`.
    pub user: Option<String>,
    /// A password, from `password_file` or the environment variable that `password_env` names.
    pub password: Option<Credential>,
    /// Require TLS even where the URL does not say so.
    pub tls: bool,
    /// PEM file of certificate authorities to trust, instead of the system's.
    pub tls_ca_file: Option<PathBuf>,
    /// PEM file of the client certificate, with `tls_key_file`.
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file of the client key.
    pub tls_key_file: Option<PathBuf>,
    /// The stream that captures `tributary.in.>`. Default `TRIBUTARY_IN`.
    pub input_stream: String,
    /// The stream that keeps the last value of every output subject. Default `TRIBUTARY_OUT`.
    pub output_stream: String,
    /// The stream of dead letters. Default `TRIBUTARY_DEAD`.
    pub dead_letter_stream: String,
    /// The stream of rights requests and their statuses. Default `TRIBUTARY_RIGHTS`.
    pub rights_stream: String,
    /// Into how many partitions the input stream sorts subjects with a sixth token; 0 for none.
    /// Default 0.
    pub partitions: u32,
}

/// Threads and processes.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Worker threads of each process. Default 1.
    pub threads: usize,
    /// This process's position in `hosts`. Default 0.
    pub process: usize,
    /// `host:port` of every process of the cluster; empty for a single process.
    pub hosts: Vec<String>,
    /// The shortest tick, milliseconds. Default 50.
    pub tick_ms: u64,
    /// The region where this process runs: `[a-z0-9-]+`. No default.
    pub region: Option<String>,
    /// How far the wall clock may disagree with the broker's and the newest arrival, milliseconds. Default 10 minutes.
    pub max_clock_skew_ms: i64,
}

/// What a process keeps on disk.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The data directory; the ledger of process n lies in `process-n` within. Default `tributary-data` beside
    /// the configuration.
    pub directory: PathBuf,
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens. Default `127.0.0.1:9464`.
    pub listen: SocketAddr,
    /// The names under which it is reached, in lower case, besides addresses and names without a dot. Default none.
    pub hosts: Vec<String>,
    /// Series per metric and brand, the rest in `other`. Default 200.
    pub max_series: usize,
    /// The domain of the processor in OpenDSR; none keeps that door closed.
    pub opendsr_domain: Option<String>,
}

/// What is refused at the door.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// How far a `ts` may lie after its arrival, milliseconds. Default 10 minutes.
    pub max_future_ms: i64,
    /// Refuse records with fields that the kind does not know. Default false.
    pub strict: bool,
    /// The largest message, bytes. Default 8 MiB.
    pub max_message_bytes: usize,
}

/// The grains in which cells of conversions are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ladder {
    /// Months by channel, source and medium, and source; revenue by store and day.
    Month,
    /// Store, day and channel.
    Finest,
}

/// The release gate.
#[derive(Clone, Debug)]
pub struct Release {
    /// Contributors behind a released cell. Default 50.
    pub k: u64,
    /// Contributors behind a cell of pure traffic counts (`visits`). Default the smaller of 10 and `k`.
    pub k_traffic: u64,
    /// The grains of conversions, if `k` hides anything. Default `month`.
    pub ladder: Ladder,
    /// The share of a cell that one contributor may hold, percent. Default 80; 100 turns the check off.
    pub dominance: u64,
    /// How often released values may change, milliseconds. Default one minute.
    pub cadence_ms: u64,
    /// Persons' worth of change that a released value needs to change. Default the smaller of 10 and `k`.
    pub k_delta: u64,
    /// How long a change that is smaller may be held back, milliseconds. Default one hour.
    pub max_hold_ms: u64,
    /// The age from which a day is corrected in batches only, milliseconds. Default 90 days.
    pub freeze_after_ms: u64,
}

/// One tenant.
#[derive(Clone, Debug)]
pub struct Brand {
    /// Its name: the subject token and the `brand` dimension. `[a-z0-9_-]+`.
    pub name: String,
    /// The time zone of its days.
    pub timezone: TimeZone,
    /// The currency of amounts that name none, ISO 4217. Default `EUR`.
    pub currency: String,
    /// The default region of phone numbers without a country code, ISO 3166 alpha-2. No default.
    pub phone_region: Option<String>,
    /// The region that it is pinned to, which is then that of [`Workers::region`]: `[a-z0-9-]+`. No default.
    pub region: Option<String>,
    /// The newest secret, which keys its pseudonyms: at least 32 bytes, from `secret_file` or the environment
    /// variable that `secret_env` names.
    pub secret: SecretString,
    /// The secrets that it had before, the oldest first, from `previous_secret_files`. Default none.
    pub previous_secrets: Vec<SecretString>,
    /// Identity.
    pub identity: Identity,
    /// Attribution.
    pub attribution: Attribution,
    /// Channels.
    pub channels: Channels,
    /// Sensors.
    pub sensors: Sensors,
    /// Consent.
    pub consent: Consent,
    /// How long records are held.
    pub retention: Retention,
    /// Noise on what leaves.
    pub noise: Noise,
    /// Where its records come from. Kinds without a source have one in the `native` format whose name is
    /// the kind's.
    pub sources: Vec<Source>,
}

impl Brand {
    /// Whether a source's records rest on consent. By default web records do as soon as the brand can read strings.
    pub fn rests_on_consent(&self, source: &Source) -> bool {
        match source.basis {
            Some(basis) => basis == Basis::Consent,
            None => source.kind == Kind::Web && self.consent.reads_strings(),
        }
    }

    /// All its secrets, from the oldest to the newest: see [`crate::key_chain::KeyChain`].
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.previous_secrets.iter().chain([&self.secret])
    }
}

/// Under which vendor's rule a clear value is normalised before SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashRule {
    /// SHA-256 of the canonical value, hex. Always the first.
    Plain,
    /// Google Customer Match: gmail dots stripped, hashed both with and without `+suffix`; phones keep `+`.
    Google,
    /// Meta: dots kept; phones as digits without `+`.
    Meta,
    /// UID2: gmail dots and `+suffix` stripped; SHA-256 in base64.
    Uid2,
}

/// Identity settings of a brand.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Hub guard per kind of identifier: email, phone, cookie, customer, wallet, device, name_postcode.
    pub max_degree: BTreeMap<String, u32>,
    /// How long a record links identifiers of a kind, milliseconds, by the same kinds. Default: for as long as it is held.
    pub link_ttl: BTreeMap<String, Option<i64>>,
    /// Size guard. Default 100.
    pub max_identifiers: u32,
    /// Whether name and postcode together link. Default false.
    pub name_postcode: bool,
    /// The enabled hash rules, without repetition. Default `plain` alone.
    pub rules: Vec<HashRule>,
    /// Values that never identify, besides [`crate::placeholders`]; compared in any case and spelling.
    pub blocked: Vec<String>,
}

/// Attribution settings of a brand.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// Milliseconds. Default 30 days.
    pub click_window_ms: i64,
    /// Milliseconds. Default 30 days.
    pub view_window_ms: i64,
    /// Milliseconds. Default 7 days.
    pub impression_window_ms: i64,
    /// The newest touches that make a path. Default 200.
    pub max_path: usize,
    /// The channels of a month that the Markov model tells apart. Default 500.
    pub max_channels: usize,
    /// Milliseconds. Default 7 days.
    pub half_life_ms: i64,
    /// First, middle, last. Default 40, 20, 40. First and last are not both zero.
    pub position: [u32; 3],
}

/// Sensor settings of a brand.
#[derive(Clone, Debug)]
pub struct Sensors {
    /// dBm. Default -75.
    pub min_rssi: i8,
    /// Seconds. Default 60.
    pub min_dwell_s: i64,
    /// Seconds. Default 8 hours.
    pub max_presence_s: i64,
    /// Devices of a store and day that count, and as many random ones. Default 200 000.
    pub max_devices: usize,
    /// The stores that have sensors; any where there is none. Default none.
    pub stores: Vec<String>,
    /// When a salt day begins, seconds after midnight. Default 0.
    pub day_start_s: u32,
    /// MACs (12 hex digits, any separators) or OUI prefixes (`dc:fb:48:*`) of fixed devices.
    pub fixed_devices: Vec<String>,
}

/// How a brand reads signals of consent.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// Its id in the Global Vendor List, from 1. No default.
    pub vendor: Option<u16>,
    /// Whether it reads what was asked for the publisher itself, instead of a vendor. Default false.
    pub publisher: bool,
    /// The vendor list that says what the vendor declared.
    pub vendor_list_file: Option<PathBuf>,
    /// Without a list: the purposes that rest on legitimate interest; the others rest on consent. Default none.
    pub legitimate_interest: Vec<u8>,
    /// Without a list: whether linking devices (feature 2) was disclosed. Default false.
    pub feature_2: bool,
    /// Purposes that a step needs besides those of the specification: hold, credit, join, link, position, share.
    pub also_needs: BTreeMap<String, Vec<u8>>,
    /// What the vendor declared in the list.
    pub declared: Option<Vendor>,
}

impl Consent {
    /// Whether consent strings can be evaluated: the brand names a vendor or is the publisher.
    pub fn reads_strings(&self) -> bool {
        self.vendor.is_some() || self.publisher
    }
}

/// For how many whole calendar months a brand holds its records, by category; each at least one.
#[derive(Clone, Debug)]
pub struct Retention {
    /// What identifies a person, from the last interaction. Default 24.
    pub identification_months: u32,
    /// Transactions. Default 24.
    pub transactions_months: u32,
    /// Web records of a cookie, from its placement. Default 13.
    pub cookies_months: u32,
    /// Statements of consent and their evidence. Default 60.
    pub consent_months: u32,
}

/// How the channels of a brand's web records and spend are named.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Hosts that are the brand's own besides the site of the page, each with all below it, in lower case. Default none.
    pub own_hosts: Vec<String>,
    /// Hosts that bring nobody when they refer, each with all below it, in lower case. Default payment providers.
    pub ignored_referrers: Vec<String>,
    /// The case of labels. Default as they come.
    pub case: LabelCase,
}

/// The case of the labels of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelCase {
    /// As they come.
    Keep,
    /// Lower case.
    Lower,
}

/// Noise on what leaves of a brand.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The budget of a day, thousandths; none for no noise, which is the default. Not without `money_minor`.
    pub epsilon_thousandths: Option<u64>,
    /// The most that one person is taken to move a count of a day. Default 1.
    pub count: u64,
    /// The most that one person is taken to pay in a day, minor units.
    pub money_minor: Option<u64>,
}

/// On what the processing of a source's records rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Consent: without a statement nothing is allowed.
    Consent,
    /// Legitimate interest: everything is that nobody refuses.
    LegitimateInterest,
}

/// The kind of a source's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Sensor pings.
    Ping,
    /// Web events.
    Web,
    /// In-store transactions.
    Transaction,
    /// What platforms charged.
    Spend,
    /// Statements of consent.
    Consent,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [
        Kind::Ping,
        Kind::Web,
        Kind::Transaction,
        Kind::Spend,
        Kind::Consent,
    ];

    /// The specification's word, and the subject token.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Web => "web",
            Kind::Transaction => "transaction",
            Kind::Spend => "spend",
            Kind::Consent => "consent",
        }
    }
}

/// Where records of one kind come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name within the brand: `[a-z0-9_-]+`. Record ids are unique per brand and source.
    pub name: String,
    /// The kind of its records.
    pub kind: Kind,
    /// Its format.
    pub format: Format,
    /// The zone of time stamps without one.
    pub zone: Option<TimeZone>,
    /// The default region of its phone numbers; the brand's where absent.
    pub phone_region: Option<String>,
    /// The rule of values that come as 64 hex digits. Default `plain`.
    pub hash_rule: HashRule,
    /// On what the processing of its records rests; [`Brand::rests_on_consent`] knows the default.
    pub basis: Option<Basis>,
    /// The unit of time stamps that are integers. Default milliseconds.
    pub unit: TimeUnit,
    /// Whether the header `Tributary-At` of its messages may name an earlier arrival than the stream's own. Default
    /// false.
    pub arrival_header: bool,
}

/// The unit of time stamps that are integers, from 1970 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    #[default]
    Milliseconds,
}

/// How a source's bytes become records.
#[derive(Clone, Debug)]
pub enum Format {
    /// The product's own fields, JSON or NDJSON.
    Native,
    /// Rows of a CSV file with a header.
    Csv(Csv),
}

/// A CSV column map.
#[derive(Clone, Debug)]
pub struct Csv {
    /// Separator, one ASCII character. Default `,`.
    pub delimiter: u8,
    /// From a record's field to where its text comes from.
    pub columns: BTreeMap<String, Column>,
    /// Rows that share an `id` are one record: their `amount`s are added. Default false.
    pub sum_rows: bool,
    /// Rows are taken only where every one of these columns has the given text.
    pub only: BTreeMap<String, String>,
    /// How the decimals of its amounts are written. Default [`DecimalMark::Auto`].
    pub decimal: DecimalMark,
    /// How its bytes are read as text. Default [`Encoding::Auto`].
    pub encoding: Encoding,
    /// Patterns of its time stamps besides RFC 3339, as strptime has them. Default none.
    pub time_patterns: Vec<String>,
}

/// How the decimals of amounts are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalMark {
    /// With a point, or with a comma where it cannot group thousands: `12,50`, but not `1,250`.
    #[default]
    Auto,
    /// With a point.
    Point,
    /// With a comma; points, spaces and apostrophes may group thousands.
    Comma,
}

/// How bytes are read as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, and a cell that is not UTF-8 as windows-1252.
    #[default]
    Auto,
    /// UTF-8 alone.
    Utf8,
    /// An encoding of one byte a character, by its label of the WHATWG.
    OneByte(&'static str),
}

/// Where the text of a field comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// A column by its header.
    Name(String),
    /// The same text in every row.
    Const(String),
    /// Several columns, joined.
    Join {
        /// Their headers.
        columns: Vec<String>,
        /// What stands between them.
        with: String,
    },
    /// A value of another CSV file, found by the text of a column here. The file stands beside the CSV
    /// file that is read, plain, `.gz` or `.zst`.
    Lookup {
        /// The other file.
        file: String,
        /// The column here.
        by: String,
        /// The column there that equals it.
        key: String,
        /// The column there that gives the text.
        value: String,
    },
}

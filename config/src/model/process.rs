//! The settings of a process: the broker, the cluster, the disk, the HTTP
//! server, ingest limits and the release gate.
//!
//! Environment variables override the first four sections (`TRIBUTARY_NATS_URL`
//! sets `nats.url`), so that one file serves every process of a cluster.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{BrandRelease, Credential, HttpToken, IngestToken};

/// `[nats]`: how to reach the broker, and which JetStream streams to use.
///
/// At most one method of authentication is set: `credentials_file`,
/// `nkey_seed`, or `user` with `password`. No address contains a user or a
/// password.
#[derive(Clone, Debug)]
pub struct Nats {
    /// `nats://host:port` or `tls://host:port`, several separated by commas;
    /// the client tries them in random order. Default `nats://127.0.0.1:4222`.
    pub url: String,
    /// A `.creds` file with a user JWT and its nkey seed, reread at every
    /// connection. Replacing the file rotates the credentials; the next
    /// connection uses them.
    pub credentials_file: Option<PathBuf>,
    /// A user nkey seed (58 characters that begin with `SU`), from
    /// `nkey_seed_file` or the environment variable that `nkey_seed_env` names.
    pub nkey_seed: Option<Credential>,
    /// A user name; always set together with `password`.
    pub user: Option<String>,
    /// The user's password, from `password_file` or the environment variable
    /// that `password_env` names.
    pub password: Option<Credential>,
    /// Require TLS even if the address does not begin with `tls://`. Default
    /// false. Any of the certificate files below implies it.
    pub tls: bool,
    /// A PEM file of the certificate authorities to trust instead of the
    /// system's. Requires TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// A PEM file with the client certificate; always set together with
    /// `tls_key_file`.
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with the private key of the client certificate.
    pub tls_key_file: Option<PathBuf>,
    /// Whether addresses beyond this machine may do without TLS. Default false.
    pub private_network: bool,
    /// The stream that captures `tributary.in.>`, without pings if
    /// `pings_stream` captures them. Default `TRIBUTARY_IN`. If it
    /// does not exist, Tributary creates it with an age limit of three days,
    /// because it contains records in clear.
    pub input_stream: String,
    /// The stream of the messages with MAC addresses in clear: pings, and
    /// sightings with a `mac`. Default `TRIBUTARY_PINGS`; without one, the input
    /// stream captures them too. If it does not exist, Tributary creates it with
    /// the age limit `pings_max_age_ms`.
    pub pings_stream: Option<String>,
    /// The age at which the broker deletes pings in `pings_stream`,
    /// milliseconds. Default 1 hour. From 1 minute to 24 hours. An existing
    /// stream must keep them no longer.
    pub pings_max_age_ms: i64,
    /// The stream that keeps the latest value of every output subject, one
    /// message per cell. Default `TRIBUTARY_OUT`. Readers of the published
    /// numbers subscribe to it; cells never expire.
    pub output_stream: String,
    /// The stream of rejected lines. Default `TRIBUTARY_DEAD`. Created with an
    /// age limit of seven days, because it contains rejected lines in clear.
    pub dead_letter_stream: String,
    /// The stream of data-subject requests, their statuses and receipts.
    /// Default `TRIBUTARY_RIGHTS`. Requests are deleted from it once they are
    /// answered.
    pub rights_stream: String,
    /// The number of partitions, from 0 to 256, into which the input stream
    /// maps subjects with a sixth token. 0, the default, disables partitioning:
    /// every process reads the whole stream. Applied when Tributary creates the
    /// stream; an existing stream must be partitioned alike.
    pub partitions: u32,
    /// The number of servers, from 1 to 5, that store each of the four streams.
    /// 1, the default, fits a broker that is no cluster. Applied when Tributary
    /// creates a stream; an existing one must have as many or more.
    pub replicas: usize,
}

/// `[workers]`: the threads of this process and the processes of the cluster.
/// Results do not depend on these settings.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Worker threads per process, from 1. Default 1. At most 1024. The
    /// dataflow distributes its state over all threads of all processes by
    /// hash.
    pub threads: usize,
    /// The index of this process in `hosts`, from 0 and below the number of
    /// processes. Default 0. Usually set by `TRIBUTARY_WORKERS_PROCESS`, so
    /// that all processes share one file.
    pub process: usize,
    /// `host:port` of every process of the cluster, in the same order in each;
    /// empty for a single process. Processes connect to each other on these
    /// addresses, with TLS if the three files below are given.
    pub hosts: Vec<String>,
    /// A PEM file of the certificate authorities of all processes; always set
    /// together with the two below. With them, processes connect with TLS 1.3, and
    /// both ends show a certificate.
    pub tls_ca_file: Option<PathBuf>,
    /// A PEM file with the certificate of this process, which has its name in
    /// `hosts` and is for servers and clients, followed by its chain.
    pub tls_cert_file: Option<PathBuf>,
    /// A PEM file with the private key of the certificate.
    pub tls_key_file: Option<PathBuf>,
    /// Whether `hosts` may be beyond this machine without TLS, although connections
    /// between them are then neither encrypted nor authenticated. Default false.
    pub private_network: bool,
    /// Where this process listens for the others of its cluster, and where they find
    /// it, `host:port`, if that is not its address in `hosts`: that of a standby is
    /// not. Default none.
    pub address: Option<String>,
    /// Whether this process follows while another one with the same setting and the
    /// same number leads, and takes its place when that ends. Default false.
    pub standby: bool,
    /// How long an epoch collects messages at least, from its first one on,
    /// milliseconds. It continues while the epoch before it is being computed, up
    /// to one second. Default 5. From 1 to 60,000. Longer ticks save CPU time,
    /// shorter ones give fresher numbers.
    pub tick_ms: u64,
    /// The region of this process, `[a-z0-9-]+`. Without one, the process
    /// refuses brands that are pinned to a region.
    pub region: Option<String>,
    /// The shard of this process, `[a-z0-9-]+`: it serves the brands with the same
    /// shard, and without one those without.
    pub shard: Option<String>,
    /// The largest difference, milliseconds, between this machine's clock and
    /// the broker's, and by which it may trail the newest arrival. Beyond it no
    /// expired data is deleted and no day is frozen. Default 10 minutes. From
    /// one second to one day.
    pub max_clock_skew_ms: i64,
    /// The resident memory of this process that input may fill, mebibytes; none
    /// by default. From 64 to 16,777,216. Beyond it input waits at the broker.
    pub memory_mib: Option<u64>,
}

/// The least severe lines that the log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// What an operator must act on.
    Error,
    /// What may need an operator.
    Warn,
    /// What a process does.
    Info,
    /// Its steps, for whoever looks for a fault.
    Debug,
    /// Its smallest steps.
    Trace,
}

impl LogLevel {
    /// Its name in the configuration, which is also a filter of the log.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

impl Workers {
    /// Whether the processes of the cluster connect with TLS.
    pub fn has_tls(&self) -> bool {
        self.tls_cert_file.is_some()
    }
}

/// `[log]`: the log of processes that run until a signal.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least severe lines. Default `info`. The environment variable
    /// `TRIBUTARY_LOG` takes precedence.
    pub level: LogLevel,
}

/// `[telemetry]`: the export of traces and log lines by OTLP.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The collector, `http://` or `https://`, to whose path `/v1/traces` and
    /// `/v1/logs` are added; without a trailing slash. `None`, the default, turns
    /// the export off.
    pub otlp_endpoint: Option<String>,
    /// The headers of each export, one `Name: value` per line, from
    /// `otlp_headers_file` or the environment variable that `otlp_headers_env`
    /// names.
    pub otlp_headers: Option<Credential>,
    /// A PEM file of the certificate authorities to trust instead of the system's.
    pub otlp_ca_file: Option<PathBuf>,
    /// Whether `http://` may lead beyond this machine. Default false.
    pub private_network: bool,
    /// The share of epochs that are traced, thousandths. Default 10. At most 1,000.
    pub epoch_share: u64,
    /// The `service.name` of everything that is exported. Default `tributary`.
    pub service_name: String,
}

/// `[ledger]`: where the process stores accepted records.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The data directory, an absolute path; process n of a cluster stores its
    /// ledger in the subdirectory `process-n`. Default `tributary-data` beside
    /// the configuration file. Created if it is missing. Records in it are
    /// encrypted with keys that derive from the brands' secrets.
    pub directory: PathBuf,
    /// How long backups of the data directory exist, in days; tombstones of erased
    /// people are kept for so long. Default 35. From 0 to 3,650.
    pub backup_days: u32,
    /// The directory in which each process keeps an encrypted backup of its part of
    /// the data directory, an absolute path. Default none.
    pub backup: Option<PathBuf>,
    /// The interval at which the backup is brought up to date, milliseconds.
    /// Default one minute. From 1 second to 1 hour.
    pub backup_every_ms: u64,
}

/// `[http]`: the HTTP server.
#[derive(Clone, Debug)]
pub struct Http {
    /// The listen address. Default `127.0.0.1:9464`. Any address other than
    /// loopback requires `tokens` or `open`.
    pub listen: SocketAddr,
    /// The host names, in lower case, that a request may carry besides IP
    /// addresses and names without a dot; other names are refused, which
    /// protects against DNS rebinding. Default none.
    pub hosts: Vec<String>,
    /// The maximum number of label values per metric and brand; the rest is
    /// summed up as `other`. Default 200. From 1 to 100,000. Bounds the size of
    /// `/metrics`, whatever labels records contain.
    pub max_series: usize,
    /// The processor's domain in OpenDSR 2.0, in lower case; enables its
    /// endpoints. Default none. A proxy in front of the server must
    /// authenticate requesters unless there are tokens.
    pub opendsr_domain: Option<String>,
    /// The PEM file with the certificate chain of the domain. Default none:
    /// responses are not signed here.
    pub opendsr_certificate: Option<PathBuf>,
    /// The PEM file with the private key of the certificate; present exactly if
    /// the certificate is.
    pub opendsr_key: Option<PathBuf>,
    /// The origins, all `https`, whose URLs may be called when the status of a
    /// request changes. Default none. Requires the certificate.
    pub opendsr_callbacks: Vec<String>,
    /// Whether such an origin may resolve to an address that is not public.
    /// Default false.
    pub opendsr_private_callbacks: bool,
    /// Whether everyone who can reach an address other than loopback may read
    /// every brand and submit rights requests without a token. Default false.
    pub open: bool,
    /// The access tokens, in the order of the file. If there are any, each
    /// request needs one, on loopback as well.
    pub tokens: Vec<HttpToken>,
}

impl Http {
    /// Whether the server may listen on its address: it is loopback, tokens
    /// protect it, or the operator has opened it.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let secret = folder.path().join("acme.secret");
    /// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
    /// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    /// let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
    /// let loaded = tributary_config::parse(&text, std::path::Path::new("tributary.toml"))?;
    /// let mut http = loaded.config.http;
    /// assert!(http.is_protected());
    /// http.listen = "0.0.0.0:9464".parse()?;
    /// assert!(!http.is_protected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_protected(&self) -> bool {
        self.open || !self.tokens.is_empty() || self.listen.ip().is_loopback()
    }
}

/// `[http_ingest]`: the server that receives records over HTTP and publishes
/// them to the input stream.
#[derive(Clone, Debug)]
pub struct HttpIngest {
    /// The listen address; `None`, the default, turns the server off. An address
    /// other than loopback requires `tokens`.
    pub listen: Option<SocketAddr>,
    /// The maximum size of a body, as sent and decompressed, bytes. Default 16
    /// MiB. From 1 KiB to 1 GiB.
    pub max_body_bytes: usize,
    /// The origins (RFC 6454) whose pages may send records from a browser.
    /// Default none.
    pub origins: Vec<String>,
    /// The maximum number of messages that the stream has not acknowledged yet.
    /// Default 1,000. From 1 to 100,000.
    pub window: usize,
    /// The tokens, in the order of the file. If there are any, each request
    /// needs one, on loopback as well.
    pub tokens: Vec<IngestToken>,
}

impl HttpIngest {
    /// Whether the server may listen on its address: it is off, loopback, or
    /// tokens protect it.
    pub fn is_protected(&self) -> bool {
        let is_loopback = |listen: SocketAddr| listen.ip().is_loopback();
        !self.tokens.is_empty() || self.listen.is_none_or(is_loopback)
    }
}

/// `[ingest]`: limits for input. What exceeds them becomes a dead letter.
#[derive(Clone, Debug)]
pub struct Ingest {
    /// How far a record's `ts` may lie after its arrival, milliseconds. Default
    /// 10 minutes. A record with a wrong clock would otherwise count for a day
    /// that has not come.
    pub max_future_ms: i64,
    /// Whether a field that the kind does not define rejects the record,
    /// instead of being ignored. Default false. Useful while a new source is
    /// set up, when an unknown field is usually a misspelled one.
    pub strict: bool,
    /// The maximum size of a message and of each of its lines, bytes. Default 8
    /// MiB. From 1 KiB to 1 GiB.
    pub max_message_bytes: usize,
}

/// The grains in which cells of conversions are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ladder {
    /// Months by channel; what is too small is added to its source and medium,
    /// its source, or the month. Revenue by store and day.
    Month,
    /// Every store, day and channel; what is too small is hidden.
    Finest,
}

/// `[release]`: the release gate, which decides when a cell is published and
/// may change.
///
/// A *contributor* of a cell is a distinct person behind its values, or a
/// record without an identifier.
#[derive(Clone, Debug)]
pub struct Release {
    /// The minimum number of contributors of a published cell. Default 50. From
    /// 1; 1 releases every cell, and values below 10 produce a warning.
    pub k: u64,
    /// The minimum for cells with traffic counts only (`visits`). Default the
    /// smaller of 10 and `k`. Counts of visits are not linked to persons beyond
    /// the day, so their minimum may be lower.
    pub k_traffic: u64,
    /// The grains of conversions, if `k` hides anything. Default `month`.
    pub ladder: Ladder,
    /// The maximum share of a cell's value that one contributor may hold,
    /// percent. Default 80. From 1 to 100; 100 turns the check off.
    pub dominance: u64,
    /// The minimum time between two updates of a published cell, milliseconds.
    /// Default one minute. At most ten years. 0 publishes a change with the
    /// epoch that produced it.
    pub cadence_ms: u64,
    /// The minimum number of persons whose data changed before a published
    /// value is updated, so that the difference of two releases does not reveal
    /// one person. Default the smaller of 10 and `k`.
    pub k_delta: u64,
    /// The maximum delay of a smaller change, milliseconds; then it is
    /// published together with others. Default one hour. At most ten years.
    /// Also the period of releases with noise.
    pub max_hold_ms: u64,
    /// The age from which a day is corrected in batches only, milliseconds.
    /// Default 90 days. At most ten years. Late corrections of old days are
    /// rare, so each alone would stand out.
    pub freeze_after_ms: u64,
}

impl Release {
    /// The gate of one brand: its own thresholds where it has them. A brand with a
    /// `k` of its own derives the other two from it.
    pub fn of_brand(&self, own: &BrandRelease) -> Release {
        let derived = |common: u64| own.k.map_or(common, |k| k.min(10));
        Release {
            k: own.k.unwrap_or(self.k),
            k_traffic: own.k_traffic.unwrap_or_else(|| derived(self.k_traffic)),
            k_delta: own.k_delta.unwrap_or_else(|| derived(self.k_delta)),
            ..self.clone()
        }
    }
}

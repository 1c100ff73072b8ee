//! The configuration as the rest of the program reads it: typed, complete and
//! already checked.
//!
//! Every value is present (a setting that the file omits has its default),
//! every file that a setting names has been opened, and every cross-check of
//! [`crate::parse`] has passed, so readers of the model check nothing again. A
//! program may also build a model itself, as tests do; it then owes the same
//! invariants.
//!
//! | suffix of a field | unit |
//! |---|---|
//! | `_ms` | milliseconds |
//! | `_s` | seconds |
//! | `_minor` | minor units of a currency (ISO 4217) |
//! | `_thousandths` | thousandths |
//! | `_months` | calendar months |
//! | `_bytes` | bytes |
//!
//! Fields that contain secrets are [`Secret`]s or [`Credential`]s, whose clones
//! share one place in memory and whose debug output shows no secret.

mod access;
mod brand;
mod client;
mod credential;
mod csv;
mod mapping;
mod measure;
mod process;
mod secret;
mod shard;
mod source;

pub use access::{HttpToken, IngestToken, Role, TokenDigest};
pub use brand::{
    Brand, BrandRelease, Channels, Consent, FormBox, Identity, LabelCase, Names, Noise, Partner,
    Partners, Retention, Wallet,
};
pub use client::{ClientBrand, ClientConfig};
pub use credential::Credential;
pub use csv::{Column, Csv, DecimalMark, Encoding};
pub use mapping::{AccountDelete, EventMeaning, Mapping, UserId};
pub use measure::{Attribution, Sensors};
pub use process::{
    Http, HttpIngest, Ingest, Ladder, Ledger, Log, LogLevel, Nats, Release, Telemetry, Workers,
};
pub use secret::Secret;
pub use shard::{NoBrands, OtherBrand};
pub use source::{Basis, Format, HashRule, Kind, Source, TimeUnit, Trust};

/// The whole configuration of one process.
///
/// All processes of a cluster share the file; [`Workers::process`], which an
/// environment variable may set, distinguishes them.
/// ```
/// use std::path::Path;
/// use tributary_config::model::{Config, Kind};
///
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// let Config { release, brands, .. } =
///     tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
///
/// // Every default is filled in, including those that derive from others.
/// assert_eq!((release.k, release.k_traffic, release.k_delta), (50, 10, 10));
/// // Each kind has a source, although none is configured, except partners.
/// let kinds: Vec<Kind> = brands[0].sources.iter().map(|source| source.kind).collect();
/// let implied: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_implied()).collect();
/// assert_eq!(kinds, implied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// `[nats]`: the connection to the broker and the names of the streams.
    pub nats: Nats,
    /// `[workers]`: worker threads and the processes of the cluster.
    pub workers: Workers,
    /// `[log]`: what is logged.
    pub log: Log,
    /// `[telemetry]`: the export of traces and log lines by OTLP.
    pub telemetry: Telemetry,
    /// `[ledger]`: the data directory.
    pub ledger: Ledger,
    /// `[http]`: the server of `/metrics`, `/livez`, `/readyz` and `/config`.
    pub http: Http,
    /// `[http_ingest]`: the server that receives records over HTTP.
    pub http_ingest: HttpIngest,
    /// `[ingest]`: the limits beyond which the decoder rejects a message or a
    /// record.
    pub ingest: Ingest,
    /// `[release]`: when a cell may be published and how often it may change.
    pub release: Release,
    /// `[[brand]]`: at least one, sorted by name. Names, secrets and the hashes
    /// of names ([`crate::brand_number`]) are unique.
    pub brands: Vec<Brand>,
    /// The brands of the file that other shards serve, sorted by name; none before
    /// [`Config::of_its_shard`].
    pub others: Vec<OtherBrand>,
}

impl Config {
    /// The release gate of a brand by its name; that of `[release]` for a brand
    /// that is not configured.
    pub fn release_of(&self, brand: &str) -> Release {
        let own = self.brands.iter().find(|known| known.name == brand);
        own.map_or_else(
            || self.release.clone(),
            |brand| self.release.of_brand(&brand.release),
        )
    }

    /// The configuration of the process alone: without the brands of other shards. Their
    /// tokens stay, because a server without tokens would be open.
    ///
    /// # Errors
    ///
    /// A process to which no brand belongs.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// let brand = |name: &str, shard: &str| {
    ///     format!("[[brand]]\nname = \"{name}\"\ntimezone = \"UTC\"\nsecret_env = \"{name}\"\nshard = \"{shard}\"\n")
    /// };
    /// let text = brand("acme", "north") + &brand("beta", "south");
    /// let environment = |name: &str| match name {
    ///     "TRIBUTARY_WORKERS_SHARD" => Some("north".to_owned()),
    ///     "acme" | "beta" => Some(format!("{name} 224ff3c627f30dd0f8e3fdb63bf28aa6")),
    ///     _ => None,
    /// };
    /// let config = tributary_config::parse_in(&text, Path::new("t.toml"), &environment)?.config;
    /// let config = config.of_its_shard()?;
    /// assert_eq!(config.brands.len(), 1);
    /// assert_eq!(config.workers.name(), "north-0");
    /// assert_eq!(config.others[0].place(), "the shard south");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_its_shard(mut self) -> Result<Config, NoBrands> {
        let shard = self.workers.shard.clone();
        let brands = std::mem::take(&mut self.brands);
        let (own, others): (Vec<Brand>, Vec<Brand>) =
            brands.into_iter().partition(|brand| brand.shard == shard);
        if own.is_empty() {
            return Err(NoBrands::of(&others));
        }
        self.others = others.iter().map(OtherBrand::of).collect();
        self.brands = own;
        Ok(self)
    }

    /// Who serves a brand of the file that is not served here.
    pub fn other(&self, brand: &str) -> Option<&OtherBrand> {
        self.others.iter().find(|other| other.name == brand)
    }

    /// Whether what belongs to a brand is for another shard; of an unknown brand, for
    /// the first one.
    pub fn is_of_other_shard(&self, brand: &str) -> bool {
        let is_known = self.brands.iter().any(|own| own.name == brand);
        !is_known && (self.other(brand).is_some() || !self.is_first_shard())
    }

    /// Whether this process is of the first shard, which answers for what belongs to no
    /// brand of the file.
    pub fn is_first_shard(&self) -> bool {
        let others = self.others.iter();
        others
            .map(|other| &other.shard)
            .all(|other| *other > self.workers.shard)
    }
}

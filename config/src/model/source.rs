//! A source: one origin of a brand's records, with their kind and format.

use jiff::tz::TimeZone;

use super::{Csv, Mapping};

/// `[[brand.source]]`: where records of one kind come from. Messages on
/// `tributary.in.<brand>.<kind>.<source>` belong to the source of that name.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name, `[a-z0-9_-]+`, unique within the brand. Record IDs are unique
    /// per brand and source.
    pub name: String,
    /// The kind of its records; [`Kind::Consent`] has the native format only.
    pub kind: Kind,
    /// How its bytes become records. Default [`Format::Native`].
    pub format: Format,
    /// The time zone of time stamps without an offset; without one they are
    /// rejected. A time that occurs twice there is the earlier one; a time that
    /// clocks skip moves forward.
    pub zone: Option<TimeZone>,
    /// The ISO 3166 alpha-2 region of phone numbers without a country code; the
    /// brand's if absent.
    pub phone_region: Option<String>,
    /// The rule by which values that arrive as digests were hashed. Default
    /// [`HashRule::Plain`].
    pub hash_rule: HashRule,
    /// The legal basis of processing;
    /// [`Brand::rests_on_consent`](super::Brand::rests_on_consent) defines the
    /// default. Set for records of persons only.
    pub basis: Option<Basis>,
    /// Who can write to the source, if the operator says so; [`Source::is_open`]
    /// has the default.
    pub trust: Option<Trust>,
    /// The unit of integer time stamps. Default milliseconds.
    pub unit: TimeUnit,
    /// Whether the header `Tributary-At` of its messages may state an earlier
    /// arrival than the stream's own time stamp, for load tests. Default false.
    /// Anyone who may publish for such a source can choose arrival times, but
    /// never later ones than the stream's.
    pub arrival_header: bool,
    /// How far a partner blurs the times of its sightings, milliseconds: a
    /// sighting reaches from `ts` minus this to `until` plus this. Only a source
    /// of kind [`Kind::Partner`] has one. Default 0. At most 2 hours.
    pub blur_ms: Option<i64>,
    /// How the names of a vendor's format become those of the product.
    pub mapping: Mapping,
}

impl Source {
    /// Whether anybody can write to the source. Its conversions are part of
    /// every number, but do not count among the contributors of a cell: whoever
    /// can invent them could invent a crowd around a known person.
    /// ```
    /// use tributary_config::model::{Format, Trust};
    ///
    /// assert_eq!(Format::Native.default_trust(), Trust::Verified);
    /// ```
    pub fn is_open(&self) -> bool {
        let trust = self.trust.unwrap_or(self.format.default_trust());
        trust == Trust::Open
    }
}

/// Who can write to a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Systems of the brand, such as its tills or its order system.
    Verified,
    /// Anybody, as through a tag in a web page.
    Open,
}

/// The vendor rule by which a clear value is canonicalized before it is hashed
/// with SHA-256.
///
/// The order of the variants is the order in which rules apply; `Plain` comes
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashRule {
    /// The canonical value as it is, digest in hex.
    Plain,
    /// Google Customer Match: removes the dots of Gmail addresses and hashes
    /// them both with and without the `+suffix`; phone numbers keep their `+`.
    Google,
    /// Meta Conversions API: keeps dots; phone numbers lose their `+`.
    Meta,
    /// UID2: removes the dots and the `+suffix` of Gmail addresses; digest in
    /// base64.
    Uid2,
}

/// The legal basis of processing (GDPR, article 6(1)(a) and (f)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Consent: nothing is allowed without a statement that allows it.
    Consent,
    /// Legitimate interest: everything is allowed that no statement refuses.
    LegitimateInterest,
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A sensor in a store received a signal from a device.
    Ping,
    /// A web event: a contact, an identification, an order or a refund.
    Web,
    /// A transaction in a store.
    Transaction,
    /// The advertising spend of a platform for one campaign and day.
    Spend,
    /// A consent statement.
    Consent,
    /// A wallet pass was made, registered, sent a message, or read by a till.
    Wallet,
    /// An advertising or location partner saw a device in a store, showed it an
    /// advertisement, or says which identifiers belong together.
    Partner,
}

impl Kind {
    /// Every kind, in the order of the reference.
    pub const ALL: [Kind; 7] = [
        Kind::Ping,
        Kind::Web,
        Kind::Transaction,
        Kind::Spend,
        Kind::Consent,
        Kind::Wallet,
        Kind::Partner,
    ];

    /// The name in the configuration and in subjects
    /// (`tributary.in.<brand>.<kind>`).
    /// ```
    /// use tributary_config::model::Kind;
    ///
    /// assert_eq!(Kind::Transaction.name(), "transaction");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Web => "web",
            Kind::Transaction => "transaction",
            Kind::Spend => "spend",
            Kind::Consent => "consent",
            Kind::Wallet => "wallet",
            Kind::Partner => "partner",
        }
    }

    /// The word for [`Kind::Partner`] in the subjects of records with a `mac`.
    /// What is published there goes the way of pings, because the broker keeps
    /// MAC addresses in clear for a short time only (`nats.pings_stream`).
    pub const PARTNER_MAC: &'static str = "partner_mac";

    /// The kind that a word in a subject stands for: its name, or
    /// [`Kind::PARTNER_MAC`].
    /// ```
    /// use tributary_config::model::Kind;
    ///
    /// assert_eq!(Kind::of_subject("web"), Some(Kind::Web));
    /// assert_eq!(Kind::of_subject("partner_mac"), Some(Kind::Partner));
    /// assert_eq!(Kind::of_subject("visit"), None);
    /// ```
    pub fn of_subject(word: &str) -> Option<Kind> {
        match word {
            Kind::PARTNER_MAC => Some(Kind::Partner),
            _ => Kind::ALL.into_iter().find(|kind| kind.name() == word),
        }
    }

    /// Whether a brand without a configured source of the kind has one in the
    /// native format, named like the kind. Not of partners: whose records a
    /// brand takes is a decision, and a brand without partners stores no visits
    /// for them.
    pub fn is_implied(self) -> bool {
        self != Kind::Partner
    }
}

/// The unit of integer time stamps, counted from 1970-01-01T00:00Z.
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
    /// JSON or NDJSON with the product's own fields ([`crate::fields`]).
    Native,
    /// Rows of a CSV file (RFC 4180) with a header, through a column map.
    Csv(Csv),
    /// Messages of Segment, and of RudderStack, which copies its form.
    Segment,
    /// Enriched events of Snowplow, as TSV or as JSON of its analytics SDKs.
    Snowplow,
    /// Posts of the Cisco Meraki Scanning API, versions 2 and 3.
    Meraki,
    /// Offline conversions for Google Ads: the CSV files, and events of the
    /// Data Manager API.
    GoogleOffline,
    /// Bodies of Meta's Conversions API.
    Meta,
    /// Rows of the BigQuery export of Google Analytics 4, as NDJSON.
    Ga4Bigquery,
    /// Log lines of the web service that Apple Wallet calls.
    AppleWallet,
    /// Callbacks of Google Wallet.
    GoogleWallet,
    /// Notifications of Sign in with Apple.
    AppleSignin,
}

impl Format {
    /// The name in the configuration.
    /// ```
    /// use tributary_config::model::Format;
    ///
    /// assert_eq!(Format::Ga4Bigquery.name(), "ga4_bigquery");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Format::Native => "native",
            Format::Csv(_) => "csv",
            Format::Segment => "segment",
            Format::Snowplow => "snowplow",
            Format::Meraki => "meraki",
            Format::GoogleOffline => "google_offline",
            Format::Meta => "meta",
            Format::Ga4Bigquery => "ga4_bigquery",
            Format::AppleWallet => "apple_wallet",
            Format::GoogleWallet => "google_wallet",
            Format::AppleSignin => "apple_signin",
        }
    }

    /// Whether an adapter turns the items of the format into native records.
    pub fn has_adapter(&self) -> bool {
        !matches!(self, Format::Native | Format::Csv(_))
    }

    /// The kinds of sources that may have the format. A source of any of them
    /// may also yield consent statements.
    pub fn kinds(&self) -> &'static [Kind] {
        match self {
            Format::Native => &Kind::ALL,
            Format::Csv(_) => &[
                Kind::Ping,
                Kind::Web,
                Kind::Transaction,
                Kind::Spend,
                Kind::Wallet,
                Kind::Partner,
            ],
            Format::Segment | Format::Snowplow | Format::Ga4Bigquery => &[Kind::Web],
            Format::Meraki => &[Kind::Ping],
            Format::GoogleOffline => &[Kind::Transaction],
            Format::Meta => &[Kind::Web, Kind::Transaction],
            Format::AppleWallet | Format::GoogleWallet => &[Kind::Wallet],
            Format::AppleSignin => &[Kind::Consent],
        }
    }

    /// The settings of a source, besides those of every source, that the format
    /// uses.
    pub fn settings(&self) -> &'static [&'static str] {
        const EVENTS: &[&str] = &[
            "ce_source",
            "events",
            "store",
            "stores",
            "user_id",
            "consent_categories",
        ];
        match self {
            Format::Native | Format::AppleWallet | Format::GoogleWallet => &["ce_source"],
            Format::AppleSignin => &["ce_source", "account_delete"],
            Format::Csv(_) => &["stores"],
            Format::Segment | Format::Snowplow | Format::Ga4Bigquery => EVENTS,
            Format::Meraki => &[
                "ce_source",
                "store",
                "stores",
                "secret_file",
                "secret_env",
                "validator",
                "noise_floor",
                "bluetooth",
            ],
            Format::GoogleOffline => &["ce_source", "conversions", "store", "stores"],
            Format::Meta => &["ce_source", "events", "store", "stores", "cookies"],
        }
    }
}

impl Format {
    /// The trust of a source whose operator does not state it. A format that
    /// browsers send is [`Trust::Open`]: a browser belongs to anybody.
    pub fn default_trust(&self) -> Trust {
        match self {
            // What these export began in a browser, too.
            Format::Segment | Format::Snowplow | Format::Ga4Bigquery => Trust::Open,
            Format::Native
            | Format::Csv(_)
            | Format::Meraki
            | Format::GoogleOffline
            | Format::Meta
            | Format::AppleWallet
            | Format::GoogleWallet
            | Format::AppleSignin => Trust::Verified,
        }
    }
}

//! `[[brand]]` and `[[brand.source]]`: the brands and the sources of their
//! records.
//!
//! A brand must state its name and its secret. The secret comes from a file or
//! an environment variable, of which exactly one is named; rotation adds the
//! old file to `previous_secret_files`.

use jiff::tz::TimeZone;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{
    Attribution, Brand, BrandRelease, Channels, Consent, Format, HashRule, Identity, Kind, Mapping,
    Names, Noise, Partners, Retention, Secret, Sensors, Source, TimeUnit, Wallet,
};
use crate::value_type::Opt;
use crate::value_type::choice::{
    ACCOUNT_DELETES, BASES, CONVERSION_MEANINGS, EVENT_MEANINGS, FormatWord, KINDS, META_COOKIES,
    RULES, TIME_UNITS, TRUSTS, USER_IDS,
};
use crate::value_type::duration::Duration;
use crate::value_type::file::{SecretFile, SecretFiles, SecretVariable};
use crate::value_type::list::Named;
use crate::value_type::number::{Int, Switch};
use crate::value_type::region::{Currency, Region, Zone};
use crate::value_type::scalar::{FreeText, Text};
use crate::value_type::table::{Categories, NameTable};
use crate::value_type::token::{self, NAME};

/// The minimum length of a brand's secret, bytes: 256 bits if drawn at random.
const SECRET_BYTES: usize = 32;

/// A brand has no usable defaults of its name and secret, so both are demanded:
/// `name` as a required row, the secret as one of two rows. The sections below
/// a brand are read by `build::brand`.
impl SettingsModel for Brand {
    const SECTION: Section = Section {
        many: true,
        exclusive: &[&["secret_file", "secret_env"]],
        one_of: &[&["secret_file", "secret_env"]],
        ..Section::of::<Brand>(
            "brand",
            "Brands",
            "The brands, at least one. Brands are isolated: each has its own secret, pseudonyms and numbers.",
        )
    };

    fn blank() -> Brand {
        Brand {
            name: String::new(),
            timezone: TimeZone::UTC,
            currency: String::new(),
            phone_region: None,
            region: None,
            shard: None,
            secret: Secret::default(),
            previous_secrets: Vec::new(),
            identity: Identity::blank(),
            attribution: Attribution::blank(),
            channels: Channels::blank(),
            names: Names::blank(),
            sensors: Sensors::blank(),
            wallet: Wallet::blank(),
            partners: Partners::blank(),
            partner: Vec::new(),
            consent: Consent::blank(),
            boxes: Vec::new(),
            retention: Retention::blank(),
            release: BrandRelease::blank(),
            noise: Noise::blank(),
            sources: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Brand>] {
        static ROWS: &[&dyn TypedSetting<Brand>] = &[
            &Setting {
                key: "name",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The name: the subject token in `tributary.in.<brand>.<kind>` and the `brand` of every cell. `[a-z0-9_-]+`, unique.",
                field: |brand: &mut Brand| &mut brand.name,
            },
            &Setting {
                key: "timezone",
                value_type: Text(Zone),
                default: DefaultValue::Toml(r#""UTC""#),
                unit: "",
                meaning: "The time zone of days and hours. Omitting it produces a warning.",
                field: |brand: &mut Brand| &mut brand.timezone,
            },
            &Setting {
                key: "currency",
                value_type: Text(Currency),
                default: DefaultValue::Toml(r#""EUR""#),
                unit: "",
                meaning: "The currency of amounts without one.",
                field: |brand: &mut Brand| &mut brand.currency,
            },
            &Setting {
                key: "phone_region",
                value_type: Opt(Text(Region)),
                default: DefaultValue::Absent("none: such numbers are not used as identifiers"),
                unit: "",
                meaning: "The region of phone numbers without a country code.",
                field: |brand: &mut Brand| &mut brand.phone_region,
            },
            &Setting {
                key: "region",
                value_type: Opt(Text(token::REGION)),
                default: DefaultValue::Absent("none: any region"),
                unit: "",
                meaning: "The region the brand is pinned to: `[a-z0-9-]+`. A worker whose `workers.region` is different or not set refuses to start.",
                field: |brand: &mut Brand| &mut brand.region,
            },
            &Setting {
                key: "shard",
                value_type: Opt(Text(token::SHARD)),
                default: DefaultValue::Absent("none: served by the process without a shard"),
                unit: "",
                meaning: "The shard that serves the brand: the process whose `workers.shard` is the same. Brands of one file may have different shards. `tributary ledger move` takes a brand to another one.",
                field: |brand: &mut Brand| &mut brand.shard,
            },
            &Setting {
                key: "secret_file",
                value_type: SecretFile { min: SECRET_BYTES },
                default: DefaultValue::Absent("one of the two is required"),
                unit: "",
                meaning: "A file with the secret for pseudonyms: text of at least 32 bytes, for example from `openssl rand -base64 48`, readable only by the program's user. To rotate the secret, add the previous file to `previous_secret_files`.",
                field: |brand: &mut Brand| &mut brand.secret,
            },
            &Setting {
                key: "secret_env",
                value_type: SecretVariable { min: SECRET_BYTES },
                default: DefaultValue::Absent("one of the two is required"),
                unit: "",
                meaning: "The environment variable with the secret.",
                field: |brand: &mut Brand| &mut brand.secret,
            },
            &Setting {
                key: "previous_secret_files",
                value_type: SecretFiles { min: SECRET_BYTES },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The files of all previous secrets, oldest first. Keep them permanently: every pseudonym is re-keyed through the previous secrets, and data encrypted under an older secret is rotated to the newest.",
                field: |brand: &mut Brand| &mut brand.previous_secrets,
            },
        ];
        ROWS
    }
}

/// The settings of a source that only formats of vendors use.
pub(crate) const MAPPING: [&str; 14] = [
    "account_delete",
    "events",
    "conversions",
    "store",
    "stores",
    "user_id",
    "consent_categories",
    "ce_source",
    "secret_file",
    "secret_env",
    "validator",
    "noise_floor",
    "bluetooth",
    "cookies",
];

/// Settings that a kind or format does not permit are reported by
/// `build::source`, not here, because they depend on two rows.
impl SettingsModel for Source {
    const SECTION: Section = Section {
        many: true,
        exclusive: &[&["secret_file", "secret_env"]],
        ..Section::of::<Source>(
            "brand.source",
            "Sources",
            "The sources of the brand's records. A kind without a configured source has one in the `native` format, named like the kind; only `partner` has none.",
        )
    };

    fn blank() -> Source {
        Source {
            name: String::new(),
            kind: Kind::Ping,
            format: Format::Native,
            zone: None,
            phone_region: None,
            hash_rule: HashRule::Plain,
            basis: None,
            trust: None,
            unit: TimeUnit::default(),
            arrival_header: false,
            blur_ms: None,
            mapping: Mapping::default(),
        }
    }

    /// A setting of a vendor's format concerns that format only, and blurred
    /// times those of partners.
    fn uses(&self, key: &str) -> bool {
        match key {
            "blur" => self.kind == Kind::Partner,
            _ => !MAPPING.contains(&key) || self.format.settings().contains(&key),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Source>] {
        static ROWS: &[&dyn TypedSetting<Source>] = &[
            &Setting {
                key: "name",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The name: `[a-z0-9_-]+`, unique within the brand. Record IDs are unique per brand and source.",
                field: |source: &mut Source| &mut source.name,
            },
            &Setting {
                key: "kind",
                value_type: Text(KINDS),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The kind of records.",
                field: |source: &mut Source| &mut source.kind,
            },
            &Setting {
                key: "format",
                value_type: Text(FormatWord),
                default: DefaultValue::Toml(r#""native""#),
                unit: "",
                meaning: "`native` is JSON with the product's own fields, `csv` is a CSV file with a header and a column map. The others are formats of vendors, which become native records: Segment and RudderStack (`web`), Snowplow's enriched events (`web`), Cisco Meraki's Scanning API (`ping`), offline conversions for Google Ads (`transaction`), Meta's Conversions API (`web` or `transaction`), the BigQuery export of Google Analytics 4 (`web`), log lines of the web service that Apple Wallet calls (`wallet`), callbacks of Google Wallet (`wallet`), and notifications of Sign in with Apple (`consent`).",
                field: |source: &mut Source| &mut source.format,
            },
            &Setting {
                key: "zone",
                value_type: Opt(Text(Zone)),
                default: DefaultValue::Absent("none: such timestamps are rejected"),
                unit: "",
                meaning: "The time zone of timestamps without one.",
                field: |source: &mut Source| &mut source.zone,
            },
            &Setting {
                key: "phone_region",
                value_type: Opt(Text(Region)),
                default: DefaultValue::Absent("the brand's"),
                unit: "",
                meaning: "The region of phone numbers without a country code.",
                field: |source: &mut Source| &mut source.phone_region,
            },
            &Setting {
                key: "hash_rule",
                value_type: Text(RULES),
                default: DefaultValue::Toml(r#""plain""#),
                unit: "",
                meaning: "The rule by which values of 64 hex digits were hashed.",
                field: |source: &mut Source| &mut source.hash_rule,
            },
            &Setting {
                key: "basis",
                value_type: Opt(Text(BASES)),
                default: DefaultValue::Absent(
                    "`consent` for records of partners, and for web records of a brand that reads consent strings; `legitimate_interest` for the others",
                ),
                unit: "",
                meaning: "The legal basis of processing: with `consent`, nothing is allowed without a statement; with `legitimate_interest`, everything is allowed that no statement refuses. Records of partners rest on `consent` alone.",
                field: |source: &mut Source| &mut source.basis,
            },
            &Setting {
                key: "trust",
                value_type: Opt(Text(TRUSTS)),
                default: DefaultValue::Absent(
                    "`open` for `segment`, `snowplow` and `ga4_bigquery`, whose events begin in a browser; `verified` for the others",
                ),
                unit: "",
                meaning: "Who can write to the source: `verified` if only systems of the brand, `open` if anybody, as through a tag in a web page. Sales of an open source are in every number, but do not count for `release.k` and `release.k_delta`: otherwise invented ones could carry a real one over the gate. In `campaign_day` and `visits` everybody counts.",
                field: |source: &mut Source| &mut source.trust,
            },
            &Setting {
                key: "unit",
                value_type: Text(TIME_UNITS),
                default: DefaultValue::Toml(r#""ms""#),
                unit: "",
                meaning: "The unit of an integer `ts`: `s` for Unix seconds, `ms` for Unix milliseconds. Other forms of `ts` are not affected. Only with the formats `native` and `csv`: those of vendors have a unit of their own.",
                field: |source: &mut Source| &mut source.unit,
            },
            &Setting {
                key: "arrival_header",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "For load tests: whether the header `Tributary-At` (Unix milliseconds) may set an arrival time earlier than the stream's own, and drive the brand's sensor days. Publishers can then choose arrival times; a header never counts beyond the stream's time.",
                field: |source: &mut Source| &mut source.arrival_header,
            },
            &Setting {
                key: "blur",
                value_type: Opt(Text(Duration::<i64>::millis(0, 7_200_000))),
                default: DefaultValue::Absent("none: times are exact"),
                unit: "",
                meaning: "How far the partner blurs the times of its sightings on purpose, at most 2 hours: a sighting reaches from its `ts` minus this to its `until` plus this. With the kind `partner`.",
                field: |source: &mut Source| &mut source.blur_ms,
            },
            &Setting {
                key: "events",
                value_type: NameTable {
                    each: EVENT_MEANINGS,
                    form: r#"events = { "Course Clicked" = "view" }"#,
                },
                default: DefaultValue::Absent("none: those of the format"),
                unit: "",
                meaning: "What an event is, by the vendor's name; adds to the defaults of the format and overrides them. With `segment`, `snowplow`, `meta` and `ga4_bigquery`.",
                field: |source: &mut Source| &mut source.mapping.events,
            },
            &Setting {
                key: "conversions",
                value_type: NameTable {
                    each: CONVERSION_MEANINGS,
                    form: r#"conversions = { "In store" = "transaction" }"#,
                },
                default: DefaultValue::Absent("none: all are transactions"),
                unit: "",
                meaning: "What a conversion is, by its name in the files; others are ignored. With `google_offline`.",
                field: |source: &mut Source| &mut source.mapping.conversions,
            },
            &Setting {
                key: "store",
                value_type: Opt(Text(FreeText("a text"))),
                default: DefaultValue::Absent("none: such records are rejected"),
                unit: "",
                meaning: "The store of records that name none. With every format of a vendor.",
                field: |source: &mut Source| &mut source.mapping.store,
            },
            &Setting {
                key: "stores",
                value_type: NameTable {
                    each: FreeText("a text"),
                    form: r#"stores = { "ap-lyon" = "Lyon 2" }"#,
                },
                default: DefaultValue::Absent("none: places keep the vendor's names"),
                unit: "",
                meaning: "The stores by the vendor's names of places: store numbers; with `meraki` tags and addresses of access points, and networks; with `csv` the cells of `store`.",
                field: |source: &mut Source| &mut source.mapping.stores,
            },
            &Setting {
                key: "user_id",
                value_type: Opt(Text(USER_IDS)),
                default: DefaultValue::Absent("`customer`"),
                unit: "",
                meaning: "What the user id of the vendor is. With `segment`, `snowplow` and `ga4_bigquery`.",
                field: |source: &mut Source| &mut source.mapping.user_id,
            },
            &Setting {
                key: "consent_categories",
                value_type: Categories,
                default: DefaultValue::Absent("none: categories are not read"),
                unit: "",
                meaning: "The checkboxes that a consent category of the vendor decides. A checkbox of several categories needs all of them. With `segment` (category preferences), `snowplow` (consent scopes) and `ga4_bigquery` (`analytics_storage`, `ads_storage`).",
                field: |source: &mut Source| &mut source.mapping.consent_categories,
            },
            &Setting {
                key: "account_delete",
                value_type: Opt(Text(ACCOUNT_DELETES)),
                default: DefaultValue::Absent("`ignore`"),
                unit: "",
                meaning: "What a deleted account (`account-delete`) asks for: `ignore` counts it as an item that is not mapped, `erase` and `object` are rights requests for the customer. With `apple_signin`.",
                field: |source: &mut Source| &mut source.mapping.account_delete,
            },
            &Setting {
                key: "ce_source",
                value_type: Opt(Text(FreeText("a text"))),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The CloudEvents attribute `source` of messages that belong to this source if their subject names none.",
                field: |source: &mut Source| &mut source.mapping.ce_source,
            },
            &Setting {
                key: "secret_file",
                value_type: SecretFile { min: 1 },
                default: DefaultValue::Absent("none: required with `meraki`"),
                unit: "",
                meaning: "A file with the secret that each post repeats; posts with another one are rejected. With `meraki`.",
                field: |source: &mut Source| &mut source.mapping.secret,
            },
            &Setting {
                key: "secret_env",
                value_type: SecretVariable { min: 1 },
                default: DefaultValue::Absent("none: required with `meraki`"),
                unit: "",
                meaning: "The environment variable with that secret.",
                field: |source: &mut Source| &mut source.mapping.secret,
            },
            &Setting {
                key: "validator",
                value_type: Opt(Text(FreeText("a text"))),
                default: DefaultValue::Absent("none: such requests are answered with 404"),
                unit: "",
                meaning: "The validator that the vendor's dashboard shows; `[http_ingest]` returns it to the vendor's first request. With `meraki`.",
                field: |source: &mut Source| &mut source.mapping.validator,
            },
            &Setting {
                key: "noise_floor",
                value_type: Opt(Int::<i64>::new(-127, 0)),
                default: DefaultValue::Absent("-95"),
                unit: "dBm",
                meaning: "What is added to a signal strength that is given above the noise floor. With `meraki`, version 2.",
                field: |source: &mut Source| &mut source.mapping.noise_floor,
            },
            &Setting {
                key: "bluetooth",
                value_type: Opt(Switch),
                default: DefaultValue::Absent("`false`"),
                unit: "",
                meaning: "Whether Bluetooth devices are read as well. With `meraki`.",
                field: |source: &mut Source| &mut source.mapping.bluetooth,
            },
            &Setting {
                key: "cookies",
                value_type: Named { each: META_COOKIES },
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The vendor's cookies that are read as cookies: `fbp`. With `meta`.",
                field: |source: &mut Source| &mut source.mapping.cookies,
            },
        ];
        ROWS
    }
}

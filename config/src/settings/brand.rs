//! `[[brand]]` and `[[brand.source]]`: the brands and the sources of their
//! records.
//!
//! A brand must state its name and its secret. The secret comes from a file or
//! an environment variable, of which exactly one is named; rotation adds the
//! old file to `previous_secret_files`.

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{
    Attribution, Brand, Channels, Consent, Format, HashRule, Identity, Kind, Noise, Retention,
    Sensors, Source, TimeUnit,
};
use crate::value_type::Opt;
use crate::value_type::choice::{BASES, FormatWord, KINDS, RULES, TIME_UNITS, TRUSTS};
use crate::value_type::file::{SecretFile, SecretFiles, SecretVariable};
use crate::value_type::number::Switch;
use crate::value_type::region::{Currency, Region, Zone};
use crate::value_type::scalar::Text;
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
            secret: SecretString::default(),
            previous_secrets: Vec::new(),
            identity: Identity::blank(),
            attribution: Attribution::blank(),
            channels: Channels::blank(),
            sensors: Sensors::blank(),
            consent: Consent::blank(),
            retention: Retention::blank(),
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

/// Settings that a kind or format does not permit are reported by
/// `build::source`, not here, because they depend on two rows.
impl SettingsModel for Source {
    const SECTION: Section = Section {
        many: true,
        ..Section::of::<Source>(
            "brand.source",
            "Sources",
            "The sources of the brand's records. A kind without a configured source has one in the `native` format, named like the kind.",
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
                meaning: "`native` is JSON with the product's own fields, `csv` is a CSV file with a header and a column map.",
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
                    "`consent` for web records of a brand that reads consent strings, `legitimate_interest` for the others",
                ),
                unit: "",
                meaning: "The legal basis of processing: with `consent`, nothing is allowed without a statement; with `legitimate_interest`, everything is allowed that no statement refuses.",
                field: |source: &mut Source| &mut source.basis,
            },
            &Setting {
                key: "trust",
                value_type: Opt(Text(TRUSTS)),
                default: DefaultValue::Absent("`verified`, in every format"),
                unit: "",
                meaning: "Who can write to the source: `verified` if only systems of the brand, `open` if anybody, as through a tag in a web page. Sales of an open source are in every number, but do not count for `release.k` and `release.k_delta`: otherwise invented ones could carry a real one over the gate. In `campaign_day` and `visits` everybody counts.",
                field: |source: &mut Source| &mut source.trust,
            },
            &Setting {
                key: "unit",
                value_type: Text(TIME_UNITS),
                default: DefaultValue::Toml(r#""ms""#),
                unit: "",
                meaning: "The unit of an integer `ts`: `s` for Unix seconds, `ms` for Unix milliseconds. Other forms of `ts` are not affected.",
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
        ];
        ROWS
    }
}

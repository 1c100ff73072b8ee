//! `[[brand]]` and `[[brand.source]]`: the tenants and where their records come from.

use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::{Fallback, Fields, Row, Section, Setting};
use crate::model::{
    Attribution, Brand, Channels, Consent, Format, HashRule, Identity, Kind, Noise, Retention,
    Sensors, Source, TimeUnit,
};
use crate::shape::Opt;
use crate::shape::choice::{BASES, FormatWord, KINDS, RULES, TIME_UNITS};
use crate::shape::file::{SecretFile, SecretFiles, SecretVariable};
use crate::shape::number::Switch;
use crate::shape::region::{Currency, Region, Zone};
use crate::shape::word::{self, Name, One};

/// The fewest bytes of a brand's secret.
const SECRET_BYTES: usize = 32;

impl Fields for Brand {
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

    fn rows() -> &'static [&'static dyn Row<Brand>] {
        static ROWS: &[&dyn Row<Brand>] = &[
            &Setting {
                key: "name",
                shape: One(Name),
                fallback: Fallback::Required,
                unit: "",
                meaning: "The name: the subject token in `tributary.in.<brand>.<kind>` and the `brand` of every cell. `[a-z0-9_-]+`, unique.",
                field: |brand: &mut Brand| &mut brand.name,
            },
            &Setting {
                key: "timezone",
                shape: One(Zone),
                fallback: Fallback::Toml(r#""UTC""#),
                unit: "",
                meaning: "The time zone of days and hours. Omitting it produces a warning.",
                field: |brand: &mut Brand| &mut brand.timezone,
            },
            &Setting {
                key: "currency",
                shape: One(Currency),
                fallback: Fallback::Toml(r#""EUR""#),
                unit: "",
                meaning: "The currency of amounts without one.",
                field: |brand: &mut Brand| &mut brand.currency,
            },
            &Setting {
                key: "phone_region",
                shape: Opt(One(Region)),
                fallback: Fallback::Absent("none: such numbers are not used as identifiers"),
                unit: "",
                meaning: "The region of phone numbers without a country code.",
                field: |brand: &mut Brand| &mut brand.phone_region,
            },
            &Setting {
                key: "region",
                shape: Opt(One(word::Region)),
                fallback: Fallback::Absent("none: any region"),
                unit: "",
                meaning: "The region the brand is pinned to: `[a-z0-9-]+`. A worker whose `workers.region` is different or not set refuses to start.",
                field: |brand: &mut Brand| &mut brand.region,
            },
            &Setting {
                key: "secret_file",
                shape: SecretFile { min: SECRET_BYTES },
                fallback: Fallback::Absent("one of the two is required"),
                unit: "",
                meaning: "A file with the secret for pseudonyms: text of at least 32 bytes, for example from `openssl rand -base64 48`, readable only by the program's user. To rotate the secret, add the previous file to `previous_secret_files`.",
                field: |brand: &mut Brand| &mut brand.secret,
            },
            &Setting {
                key: "secret_env",
                shape: SecretVariable { min: SECRET_BYTES },
                fallback: Fallback::Absent("one of the two is required"),
                unit: "",
                meaning: "The environment variable with the secret.",
                field: |brand: &mut Brand| &mut brand.secret,
            },
            &Setting {
                key: "previous_secret_files",
                shape: SecretFiles { min: SECRET_BYTES },
                fallback: Fallback::Toml("[]"),
                unit: "",
                meaning: "The files of all previous secrets, oldest first. Keep them permanently: every pseudonym is re-keyed through the previous secrets, and data encrypted under an older secret is rotated to the newest.",
                field: |brand: &mut Brand| &mut brand.previous_secrets,
            },
        ];
        ROWS
    }
}

impl Fields for Source {
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
            unit: TimeUnit::default(),
            arrival_header: false,
        }
    }

    fn rows() -> &'static [&'static dyn Row<Source>] {
        static ROWS: &[&dyn Row<Source>] = &[
            &Setting {
                key: "name",
                shape: One(Name),
                fallback: Fallback::Required,
                unit: "",
                meaning: "The name: `[a-z0-9_-]+`, unique within the brand. Record IDs are unique per brand and source.",
                field: |source: &mut Source| &mut source.name,
            },
            &Setting {
                key: "kind",
                shape: One(KINDS),
                fallback: Fallback::Required,
                unit: "",
                meaning: "The kind of records.",
                field: |source: &mut Source| &mut source.kind,
            },
            &Setting {
                key: "format",
                shape: One(FormatWord),
                fallback: Fallback::Toml(r#""native""#),
                unit: "",
                meaning: "`native` is JSON with the product's own fields, `csv` is a CSV file with a header and a column map.",
                field: |source: &mut Source| &mut source.format,
            },
            &Setting {
                key: "zone",
                shape: Opt(One(Zone)),
                fallback: Fallback::Absent("none: such timestamps are rejected"),
                unit: "",
                meaning: "The time zone of timestamps without one.",
                field: |source: &mut Source| &mut source.zone,
            },
            &Setting {
                key: "phone_region",
                shape: Opt(One(Region)),
                fallback: Fallback::Absent("the brand's"),
                unit: "",
                meaning: "The region of phone numbers without a country code.",
                field: |source: &mut Source| &mut source.phone_region,
            },
            &Setting {
                key: "hash_rule",
                shape: One(RULES),
                fallback: Fallback::Toml(r#""plain""#),
                unit: "",
                meaning: "The rule by which values of 64 hex digits were hashed.",
                field: |source: &mut Source| &mut source.hash_rule,
            },
            &Setting {
                key: "basis",
                shape: Opt(One(BASES)),
                fallback: Fallback::Absent(
                    "`consent` for web records of a brand that reads consent strings, `legitimate_interest` for the others",
                ),
                unit: "",
                meaning: "The legal basis of processing: with `consent`, nothing is allowed without a statement; with `legitimate_interest`, everything is allowed that no statement refuses.",
                field: |source: &mut Source| &mut source.basis,
            },
            &Setting {
                key: "unit",
                shape: One(TIME_UNITS),
                fallback: Fallback::Toml(r#""ms""#),
                unit: "",
                meaning: "The unit of an integer `ts`: `s` for Unix seconds, `ms` for Unix milliseconds. Other forms of `ts` are not affected.",
                field: |source: &mut Source| &mut source.unit,
            },
            &Setting {
                key: "arrival_header",
                shape: Switch,
                fallback: Fallback::Toml("false"),
                unit: "",
                meaning: "For load tests: whether the header `Tributary-At` (Unix milliseconds) may set an arrival time earlier than the stream's own, and drive the brand's sensor days. Publishers can then choose arrival times; a header never counts beyond the stream's time.",
                field: |source: &mut Source| &mut source.arrival_header,
            },
        ];
        ROWS
    }
}

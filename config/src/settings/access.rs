//! `[[http.token]]`, `[[http_ingest.token]]` and `[client]`: who may read and
//! write what, and the small configuration of a brand's own commands.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{ClientBrand, HttpToken, IngestToken, Role, TokenDigest};
use crate::value_type::Opt;
use crate::value_type::choice::ROLES;
use crate::value_type::file::DigestFile;
use crate::value_type::scalar::Text;
use crate::value_type::token::NAME;

/// A token is stored as its SHA-256, so that whoever reads the configuration
/// cannot use it.
impl SettingsModel for HttpToken {
    const SECTION: Section = Section {
        many: true,
        ..Section::of::<HttpToken>(
            "http.token",
            "Access token",
            "A bearer token of the HTTP server. With at least one, the page, `/v1/cells`, `/metrics` of a brand, `/config` and OpenDSR require a token with the role for it; `/livez`, `/readyz` and the totals of `/metrics` in steps do not.",
        )
    };

    fn blank() -> HttpToken {
        HttpToken {
            brand: None,
            role: Role::Read,
            digest: TokenDigest::default(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<HttpToken>] {
        static ROWS: &[&dyn TypedSetting<HttpToken>] = &[
            &Setting {
                key: "role",
                value_type: Text(ROLES),
                default: DefaultValue::Required,
                unit: "",
                meaning: "What the token permits. `read`: the page, `/v1/cells` and the business metrics of the brand. `privacy`: rights requests of the brand over OpenDSR, and nothing else. `operate`: what `read` permits, and exact operational metrics; for all brands, also `/config`.",
                field: |token: &mut HttpToken| &mut token.role,
            },
            &Setting {
                key: "brand",
                value_type: Opt(Text(NAME)),
                default: DefaultValue::Absent("none: all brands, with the role `operate` only"),
                unit: "",
                meaning: "The brand that the token is for.",
                field: |token: &mut HttpToken| &mut token.brand,
            },
            &Setting {
                key: "sha256_file",
                value_type: DigestFile,
                default: DefaultValue::Required,
                unit: "",
                meaning: "A file that begins with the hexadecimal SHA-256 of the token, as `tributary keys token FILE` and `sha256sum` write it. It is read at startup.",
                field: |token: &mut HttpToken| &mut token.digest,
            },
        ];
        ROWS
    }
}

/// As an access token; each is for one source, so that whoever has one can
/// write nowhere else.
impl SettingsModel for IngestToken {
    const SECTION: Section = Section {
        many: true,
        ..Section::of::<IngestToken>(
            "http_ingest.token",
            "Ingest token",
            "A token of the HTTP ingest server: the bearer token of requests to a source, or the write key of a Segment or RudderStack SDK. With at least one, every request needs one.",
        )
    };

    fn blank() -> IngestToken {
        IngestToken {
            brand: String::new(),
            source: String::new(),
            digest: TokenDigest::default(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<IngestToken>] {
        static ROWS: &[&dyn TypedSetting<IngestToken>] = &[
            &Setting {
                key: "brand",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The brand of the source.",
                field: |token: &mut IngestToken| &mut token.brand,
            },
            &Setting {
                key: "source",
                value_type: Text(NAME),
                default: DefaultValue::Required,
                unit: "",
                meaning: "The source that the token may write to. A kind without a configured source has one named like the kind.",
                field: |token: &mut IngestToken| &mut token.source,
            },
            &Setting {
                key: "sha256_file",
                value_type: DigestFile,
                default: DefaultValue::Required,
                unit: "",
                meaning: "A file that begins with the hexadecimal SHA-256 of the token, as `tributary keys token FILE` and `sha256sum` write it. It is read at startup.",
                field: |token: &mut IngestToken| &mut token.digest,
            },
        ];
        ROWS
    }
}

/// A brand needs no secret to query released cells or to submit a rights
/// request.
impl SettingsModel for ClientBrand {
    const SECTION: Section = Section::of::<ClientBrand>(
        "client",
        "Client",
        "In a client configuration, beside `[nats]` and instead of everything else: the brand whose cells and requests the commands `query`, `explain cell` and `rights` concern. No secret is needed.",
    );

    fn blank() -> ClientBrand {
        ClientBrand {
            brand: String::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<ClientBrand>] {
        static ROWS: &[&dyn TypedSetting<ClientBrand>] = &[&Setting {
            key: "brand",
            value_type: Text(NAME),
            default: DefaultValue::Required,
            unit: "",
            meaning: "The name of the brand.",
            field: |client: &mut ClientBrand| &mut client.brand,
        }];
        ROWS
    }
}

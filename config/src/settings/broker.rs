//! `[nats]`: the broker.
//!
//! The section permits one method of authentication. Each secret has a `…_file`
//! row and a `…_env` row that fill the same field; the row of the file prints
//! the mask for both.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Nats;
use crate::value_type::address::Broker;
use crate::value_type::duration::Duration;
use crate::value_type::file::{
    CredentialFile, CredentialVariable, Readable, SecretFile, SecretVariable,
};
use crate::value_type::number::{Int, Switch};
use crate::value_type::scalar::{FreeText, Text};
use crate::value_type::token::STREAM;
use crate::value_type::{Opt, OrNone};

/// The defaults fit a broker on the same machine without authentication, so
/// that a first run needs no `[nats]` section. Everything else is a decision of
/// the operator.
impl SettingsModel for Nats {
    const SECTION: Section = Section {
        variables: true,
        exclusive: &[
            &[
                "credentials_file",
                "nkey_seed_file",
                "nkey_seed_env",
                "user",
            ],
            &["password_file", "password_env"],
        ],
        needs: &[
            ("user", &["password_file", "password_env"]),
            ("password_file", &["user"]),
            ("password_env", &["user"]),
            ("tls_cert_file", &["tls_key_file"]),
            ("tls_key_file", &["tls_cert_file"]),
        ],
        ..Section::of::<Nats>(
            "nats",
            "Broker",
            "The connection to NATS and the names of the JetStream streams. Use at most one authentication method: a credentials file, an nkey seed, or a user with a password.",
        )
    };

    fn blank() -> Nats {
        Nats {
            url: String::new(),
            credentials_file: None,
            nkey_seed: None,
            user: None,
            password: None,
            tls: false,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            private_network: false,
            input_stream: String::new(),
            pings_stream: None,
            pings_max_age_ms: 0,
            output_stream: String::new(),
            dead_letter_stream: String::new(),
            rights_stream: String::new(),
            partitions: 0,
            replicas: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Nats>] {
        static ROWS: &[&dyn TypedSetting<Nats>] = &[
            &Setting {
                key: "url",
                value_type: Text(Broker),
                default: DefaultValue::Toml(r#""nats://127.0.0.1:4222""#),
                unit: "",
                meaning: "Broker addresses: `nats://host:port` or `tls://host:port`. They must not contain a user or password. Name every server of a NATS cluster, separated by commas: other servers, which one of them announces, are not used.",
                field: |nats: &mut Nats| &mut nats.url,
            },
            &Setting {
                key: "credentials_file",
                value_type: Opt(Readable { secret: true }),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A `.creds` file with a JWT and its nkey seed. It is reread at every connection, so it can be replaced while the program runs.",
                field: |nats: &mut Nats| &mut nats.credentials_file,
            },
            &Setting {
                key: "nkey_seed_file",
                value_type: Opt(CredentialFile(SecretFile { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A file with an nkey seed. It is reread at every connection.",
                field: |nats: &mut Nats| &mut nats.nkey_seed,
            },
            &Setting {
                key: "nkey_seed_env",
                value_type: Opt(CredentialVariable(SecretVariable { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The environment variable with an nkey seed.",
                field: |nats: &mut Nats| &mut nats.nkey_seed,
            },
            &Setting {
                key: "user",
                value_type: Opt(Text(FreeText("a user name"))),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A user name; requires a password.",
                field: |nats: &mut Nats| &mut nats.user,
            },
            &Setting {
                key: "password_file",
                value_type: Opt(CredentialFile(SecretFile { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A file with the user's password. It is reread at every connection.",
                field: |nats: &mut Nats| &mut nats.password,
            },
            &Setting {
                key: "password_env",
                value_type: Opt(CredentialVariable(SecretVariable { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The environment variable with the user's password.",
                field: |nats: &mut Nats| &mut nats.password,
            },
            &Setting {
                key: "tls",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Require TLS even if the address does not begin with `tls://`.",
                field: |nats: &mut Nats| &mut nats.tls,
            },
            &Setting {
                key: "tls_ca_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("the system's authorities"),
                unit: "",
                meaning: "A PEM file with the trusted certificate authorities.",
                field: |nats: &mut Nats| &mut nats.tls_ca_file,
            },
            &Setting {
                key: "tls_cert_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A PEM file with the client certificate; requires `tls_key_file`.",
                field: |nats: &mut Nats| &mut nats.tls_cert_file,
            },
            &Setting {
                key: "tls_key_file",
                value_type: Opt(Readable { secret: true }),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A PEM file with the client key; requires `tls_cert_file`.",
                field: |nats: &mut Nats| &mut nats.tls_key_file,
            },
            &Setting {
                key: "private_network",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Permit `nats://` without TLS beyond this machine, because nobody else can read or change what the network transports: records, requests and passwords in clear text.",
                field: |nats: &mut Nats| &mut nats.private_network,
            },
            &Setting {
                key: "input_stream",
                value_type: Text(STREAM),
                default: DefaultValue::Toml(r#""TRIBUTARY_IN""#),
                unit: "",
                meaning: "The stream that captures `tributary.in.>`; without what `pings_stream` captures.",
                field: |nats: &mut Nats| &mut nats.input_stream,
            },
            &Setting {
                key: "pings_stream",
                value_type: OrNone(Text(STREAM)),
                default: DefaultValue::Toml(r#""TRIBUTARY_PINGS""#),
                unit: "",
                meaning: "The stream of the messages with MAC addresses in clear: pings, and sightings of partners with `mac`. It captures `tributary.in.*.ping`, `tributary.in.*.partner_mac` and what is below these subjects; the input stream captures every other kind. With `\"\"`, the input stream captures all of them, and the broker keeps these addresses as long as everything else.",
                field: |nats: &mut Nats| &mut nats.pings_stream,
            },
            &Setting {
                key: "pings_max_age",
                value_type: Text(Duration::<i64>::millis(60_000, 86_400_000)),
                default: DefaultValue::Toml(r#""1h""#),
                unit: "",
                meaning: "The age at which the broker deletes messages in `pings_stream`, from 1 minute to 24 hours. A worker that does not run for longer loses them. Applied when Tributary creates the stream; an existing stream that keeps them for longer is refused.",
                field: |nats: &mut Nats| &mut nats.pings_max_age_ms,
            },
            &Setting {
                key: "output_stream",
                value_type: Text(STREAM),
                default: DefaultValue::Toml(r#""TRIBUTARY_OUT""#),
                unit: "",
                meaning: "The stream that keeps the latest value of every output subject.",
                field: |nats: &mut Nats| &mut nats.output_stream,
            },
            &Setting {
                key: "dead_letter_stream",
                value_type: Text(STREAM),
                default: DefaultValue::Toml(r#""TRIBUTARY_DEAD""#),
                unit: "",
                meaning: "The stream of rejected messages.",
                field: |nats: &mut Nats| &mut nats.dead_letter_stream,
            },
            &Setting {
                key: "rights_stream",
                value_type: Text(STREAM),
                default: DefaultValue::Toml(r#""TRIBUTARY_RIGHTS""#),
                unit: "",
                meaning: "The stream of rights requests, which are deleted once answered, and their statuses.",
                field: |nats: &mut Nats| &mut nats.rights_stream,
            },
            &Setting {
                key: "partitions",
                value_type: Int::<u32>::new(0, 256),
                default: DefaultValue::Toml("0"),
                unit: "partitions",
                meaning: "The number of partitions of the input stream. Messages to `tributary.in.<brand>.<kind>.<source>.<key>` are partitioned by the hash of the key, and each process of the cluster reads only its own partitions. With 0, every process reads everything. Applied when Tributary creates the stream; set it yourself on an existing stream.",
                field: |nats: &mut Nats| &mut nats.partitions,
            },
            &Setting {
                key: "replicas",
                value_type: Int::<usize>::new(1, 5),
                default: DefaultValue::Toml("1"),
                unit: "servers",
                meaning: "The number of servers of a NATS cluster that store each stream. With 3, records and released cells outlast the loss of one server. Applied when Tributary creates a stream; an existing stream with fewer is refused: `nats stream update NAME --replicas 3`.",
                field: |nats: &mut Nats| &mut nats.replicas,
            },
        ];
        ROWS
    }
}

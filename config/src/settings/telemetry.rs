//! `[telemetry]`: the export of traces and log lines by OTLP, which is off without
//! an endpoint.
//!
//! The headers contain the key of a collector and are therefore a credential, in a
//! file or an environment variable, and never in the configuration itself.

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::Telemetry;
use crate::value_type::Opt;
use crate::value_type::address::Collector;
use crate::value_type::decimal::Thousandths;
use crate::value_type::file::{
    CredentialFile, CredentialVariable, Readable, SecretFile, SecretVariable,
};
use crate::value_type::number::Switch;
use crate::value_type::scalar::{FreeText, Text};

/// Only the endpoint has to be given. One epoch in a hundred shows where time goes,
/// and costs neither the process nor the collector anything to speak of.
impl SettingsModel for Telemetry {
    const SECTION: Section = Section {
        variables: true,
        exclusive: &[&["otlp_headers_file", "otlp_headers_env"]],
        needs: &[
            ("otlp_headers_file", &["otlp_endpoint"]),
            ("otlp_headers_env", &["otlp_endpoint"]),
            ("otlp_ca_file", &["otlp_endpoint"]),
        ],
        ..Section::of::<Telemetry>(
            "telemetry",
            "Telemetry",
            "The export of traces and log lines to an OpenTelemetry collector, by OTLP over HTTP with Protobuf. Off without `otlp_endpoint`. Spans have counts and durations only, and lines are those of standard error. A collector that is slow or away delays nothing: what it does not take is dropped and counted.",
        )
    };

    fn blank() -> Telemetry {
        Telemetry {
            otlp_endpoint: None,
            otlp_headers: None,
            otlp_ca_file: None,
            private_network: false,
            epoch_share: 0,
            service_name: String::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Telemetry>] {
        static ROWS: &[&dyn TypedSetting<Telemetry>] = &[
            &Setting {
                key: "otlp_endpoint",
                value_type: Opt(Text(Collector)),
                default: DefaultValue::Absent("none: nothing is exported"),
                unit: "",
                meaning: "The address of the collector, such as `https://otel.example:4318`. `/v1/traces` and `/v1/logs` are added to it. It must not contain a user or password.",
                field: |telemetry: &mut Telemetry| &mut telemetry.otlp_endpoint,
            },
            &Setting {
                key: "otlp_headers_file",
                value_type: Opt(CredentialFile(SecretFile { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "A file with the headers of each export, one `Name: value` per line, such as the key of the collector. It is reread at every export.",
                field: |telemetry: &mut Telemetry| &mut telemetry.otlp_headers,
            },
            &Setting {
                key: "otlp_headers_env",
                value_type: Opt(CredentialVariable(SecretVariable { min: 1 })),
                default: DefaultValue::Absent("none"),
                unit: "",
                meaning: "The environment variable with these headers.",
                field: |telemetry: &mut Telemetry| &mut telemetry.otlp_headers,
            },
            &Setting {
                key: "otlp_ca_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("the system's authorities"),
                unit: "",
                meaning: "A PEM file with the certificate authorities that are trusted for `https://`.",
                field: |telemetry: &mut Telemetry| &mut telemetry.otlp_ca_file,
            },
            &Setting {
                key: "private_network",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Permit `http://` beyond this machine, because nobody else can read or change what the network transports: logs, traces and the headers with their keys in clear text.",
                field: |telemetry: &mut Telemetry| &mut telemetry.private_network,
            },
            &Setting {
                key: "epoch_share",
                value_type: Text(Thousandths { min: 0, max: 1_000 }),
                default: DefaultValue::Toml(r#""0.01""#),
                unit: "",
                meaning: "The share of epochs that are traced, from 0 to 1. Restores, compactions, retention passes and the work on rights requests are always traced.",
                field: |telemetry: &mut Telemetry| &mut telemetry.epoch_share,
            },
            &Setting {
                key: "service_name",
                value_type: Text(FreeText("a name")),
                default: DefaultValue::Toml(r#""tributary""#),
                unit: "",
                meaning: "The resource attribute `service.name`. `service.instance.id` is the number of the process, after its shard if it has one.",
                field: |telemetry: &mut Telemetry| &mut telemetry.service_name,
            },
        ];
        ROWS
    }
}

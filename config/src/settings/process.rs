//! `[workers]`, `[ledger]` and `[http]`: the process itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Http, Ledger, Workers};
use crate::value_type::Opt;
use crate::value_type::address::{Host, Listen};
use crate::value_type::duration::Duration;
use crate::value_type::file::Directory;
use crate::value_type::list::Many;
use crate::value_type::number::Int;
use crate::value_type::scalar::{Domain, HostName, Region, Text};

impl SettingsModel for Workers {
    const SECTION: Section = Section {
        variables: true,
        ..Section::of::<Workers>(
            "workers",
            "Workers",
            "The threads of this process and the processes of the cluster. All of this may change between \
             runs; no number depends on it.",
        )
    };

    fn blank() -> Workers {
        Workers {
            threads: 0,
            process: 0,
            hosts: Vec::new(),
            tick_ms: 0,
            region: None,
            max_clock_skew_ms: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Workers>] {
        static ROWS: &[&dyn TypedSetting<Workers>] = &[
            &Setting {
                key: "threads",
                value_type: Int::<usize>::new(1, 1024),
                default: DefaultValue::Toml("1"),
                unit: "threads",
                meaning: "Worker threads of each process.",
                field: |workers: &mut Workers| &mut workers.threads,
            },
            &Setting {
                key: "process",
                value_type: Int::<usize>::new(0, 1023),
                default: DefaultValue::Toml("0"),
                unit: "",
                meaning: "This process's position in `hosts`, from 0.",
                field: |workers: &mut Workers| &mut workers.process,
            },
            &Setting {
                key: "hosts",
                value_type: Many {
                    each: Host,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The address of every process of the cluster, the same list in each; empty for a single process.",
                field: |workers: &mut Workers| &mut workers.hosts,
            },
            &Setting {
                key: "tick",
                value_type: Text(Duration::<u64>::millis(1, 60_000)),
                default: DefaultValue::Toml(r#""50ms""#),
                unit: "",
                meaning: "The shortest time between two epochs: longer is more throughput, shorter is fresher numbers. Under lag it widens by itself, up to a second.",
                field: |workers: &mut Workers| &mut workers.tick_ms,
            },
            &Setting {
                key: "region",
                value_type: Opt(Text(Region)),
                default: DefaultValue::Absent(
                    "none: brands that are pinned to a region are refused",
                ),
                unit: "",
                meaning: "The region where this process runs: `[a-z0-9-]+`, as the brands' `region`.",
                field: |workers: &mut Workers| &mut workers.region,
            },
            &Setting {
                key: "max_clock_skew",
                value_type: Text(Duration::<i64>::millis(1_000, 86_400_000)),
                default: DefaultValue::Toml(r#""10m""#),
                unit: "",
                meaning: "How far this machine's clock may be away from the broker's, or behind the newest arrival. While it is                           further away nothing is erased for its age and no day is frozen, and `/readyz` says which clock                           disagrees and by how much.",
                field: |workers: &mut Workers| &mut workers.max_clock_skew_ms,
            },
        ];
        ROWS
    }
}

impl SettingsModel for Ledger {
    const SECTION: Section = Section {
        variables: true,
        ..Section::of::<Ledger>(
            "ledger",
            "Ledger",
            "Where a worker keeps the records that it holds, sealed with keys derived from the brands' secrets. A worker \
             that has lost its ledger reads what the input stream still has, and no more.",
        )
    };

    fn blank() -> Ledger {
        Ledger {
            directory: PathBuf::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Ledger>] {
        static ROWS: &[&dyn TypedSetting<Ledger>] = &[&Setting {
            key: "directory",
            value_type: Directory,
            default: DefaultValue::Toml(r#""tributary-data""#),
            unit: "",
            meaning: "The data directory, made where it is missing; process n of a cluster keeps its ledger in `process-n` \
                      within. It belongs on a local disk.",
            field: |ledger: &mut Ledger| &mut ledger.directory,
        }];
        ROWS
    }
}

impl SettingsModel for Http {
    const SECTION: Section = Section {
        variables: true,
        ..Section::of::<Http>(
            "http",
            "HTTP server",
            "The server of `/metrics`, `/livez`, `/readyz`, `/config` and, where it is opened, of OpenDSR. It asks nobody who they \
             are.",
        )
    };

    fn blank() -> Http {
        Http {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hosts: Vec::new(),
            max_series: 0,
            opendsr_domain: None,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Http>] {
        static ROWS: &[&dyn TypedSetting<Http>] = &[
            &Setting {
                key: "listen",
                value_type: Text(Listen),
                default: DefaultValue::Toml(r#""127.0.0.1:9464""#),
                unit: "",
                meaning: "Where it listens. Beyond the loopback address everybody who reaches it can read it, which gives a warning.",
                field: |http: &mut Http| &mut http.listen,
            },
            &Setting {
                key: "hosts",
                value_type: Many {
                    each: HostName,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The names under which it is reached, such as those of a reverse proxy. It answers by its address, by names without a dot and by these alone, so that no foreign page can make a browser read it.",
                field: |http: &mut Http| &mut http.hosts,
            },
            &Setting {
                key: "max_series",
                value_type: Int::<usize>::new(1, 100_000),
                default: DefaultValue::Toml("200"),
                unit: "series",
                meaning: "Channels, stores or platforms per metric and brand; the rest is added up in `other`.",
                field: |http: &mut Http| &mut http.max_series,
            },
            &Setting {
                key: "opendsr_domain",
                value_type: Opt(Text(Domain)),
                default: DefaultValue::Absent("none: no rights request comes in over HTTP"),
                unit: "",
                meaning: "Opens the door for rights requests by OpenDSR 2.0 (`/v2/discovery`, `/v2/requests`) and is the domain of the \
                          processor in it. Who asks there is let in by whatever terminates TLS before it, which also signs, with \
                          the certificate that it shows at `https://<domain>/opendsr.pem`.",
                field: |http: &mut Http| &mut http.opendsr_domain,
            },
        ];
        ROWS
    }
}

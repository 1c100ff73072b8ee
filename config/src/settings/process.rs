//! `[workers]`, `[log]`, `[ledger]`, `[http]` and `[http_ingest]`: the process itself.
//!
//! Environment variables override these sections and `[nats]`, because they are
//! what differs between the processes of one cluster and between a laptop and a
//! container.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{DefaultValue, Section, Setting, SettingsModel, TypedSetting};
use crate::model::{Http, HttpIngest, Ledger, Log, LogLevel, Workers};
use crate::value_type::Opt;
use crate::value_type::address::{Host, Listen, Origin};
use crate::value_type::choice::LOG_LEVELS;
use crate::value_type::duration::Duration;
use crate::value_type::file::{Directory, Readable};
use crate::value_type::list::Many;
use crate::value_type::number::{Int, Switch};
use crate::value_type::scalar::Text;
use crate::value_type::token::{DOMAIN, HOST_NAME, REGION, SHARD};

/// The defaults are one thread in one process. More of either changes the speed
/// and no number. All processes of a cluster must agree on `hosts`, and each
/// must have its own `process`; `build` checks the index, and the cluster
/// itself everything that needs the other processes.
impl SettingsModel for Workers {
    const SECTION: Section = Section {
        variables: true,
        needs: &[
            ("tls_ca_file", &["tls_cert_file"]),
            ("tls_cert_file", &["tls_key_file"]),
            ("tls_key_file", &["tls_ca_file"]),
        ],
        ..Section::of::<Workers>(
            "workers",
            "Workers",
            "The threads of this process and the processes of the cluster. These settings may change between runs; results do not depend on them.",
        )
    };

    fn blank() -> Workers {
        Workers {
            threads: 0,
            process: 0,
            hosts: Vec::new(),
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            private_network: false,
            address: None,
            standby: false,
            tick_ms: 0,
            region: None,
            shard: None,
            max_clock_skew_ms: 0,
            memory_mib: None,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Workers>] {
        static ROWS: &[&dyn TypedSetting<Workers>] = &[
            &Setting {
                key: "threads",
                value_type: Int::<usize>::new(1, 1024),
                default: DefaultValue::Toml("1"),
                unit: "threads",
                meaning: "The number of worker threads per process.",
                field: |workers: &mut Workers| &mut workers.threads,
            },
            &Setting {
                key: "process",
                value_type: Int::<usize>::new(0, 1023),
                default: DefaultValue::Toml("0"),
                unit: "",
                meaning: "The index of this process in `hosts`, starting at 0.",
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
                meaning: "The addresses of all processes in the cluster, identical in each; empty for a single process.",
                field: |workers: &mut Workers| &mut workers.hosts,
            },
            &Setting {
                key: "tls_ca_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("none: processes connect without TLS"),
                unit: "",
                meaning: "The PEM file with the certificate authorities that issue the certificates of all processes of the cluster. With it, processes connect to each other with TLS 1.3, and each end shows a certificate. All processes have it, or none.",
                field: |workers: &mut Workers| &mut workers.tls_ca_file,
            },
            &Setting {
                key: "tls_cert_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("none; required with `tls_ca_file`"),
                unit: "",
                meaning: "The PEM file with the certificate of this process, followed by its chain. It has the host name or address of this process in `hosts`, and is for servers and clients. One certificate may have the names of all processes.",
                field: |workers: &mut Workers| &mut workers.tls_cert_file,
            },
            &Setting {
                key: "tls_key_file",
                value_type: Opt(Readable { secret: true }),
                default: DefaultValue::Absent("none; required with `tls_ca_file`"),
                unit: "",
                meaning: "The PEM file with the private key of the certificate.",
                field: |workers: &mut Workers| &mut workers.tls_key_file,
            },
            &Setting {
                key: "private_network",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Permit `hosts` beyond this machine without TLS, because only the processes of the cluster reach their ports: connections between them are then neither encrypted nor authenticated.",
                field: |workers: &mut Workers| &mut workers.private_network,
            },
            &Setting {
                key: "address",
                value_type: Opt(Text(Host)),
                default: DefaultValue::Absent("none: its address in `hosts`"),
                unit: "",
                meaning: "Where this process of a cluster listens for the others, as `host:port`, and where they find it, if not at its address in `hosts`: a standby is elsewhere than the process whose place it takes. Usually set by `TRIBUTARY_WORKERS_ADDRESS`.",
                field: |workers: &mut Workers| &mut workers.address,
            },
            &Setting {
                key: "standby",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Run two or more processes with this configuration, each with a ledger directory of its own: one leads, and the others copy its ledger, answer the page and queries, and publish nothing. One of them takes over when the lease of the leader is given back or has not been renewed for 10 seconds. In a cluster, the processes with the same `process` are standbys for each other, and each has an `address`.",
                field: |workers: &mut Workers| &mut workers.standby,
            },
            &Setting {
                key: "tick",
                value_type: Text(Duration::<u64>::millis(1, 60_000)),
                default: DefaultValue::Toml(r#""5ms""#),
                unit: "",
                meaning: "How long an epoch collects messages at least, from its first one on. It continues while the epoch before it is being computed, up to one second, so that epochs grow with the load. Longer ticks save CPU time, shorter ticks give fresher numbers.",
                field: |workers: &mut Workers| &mut workers.tick_ms,
            },
            &Setting {
                key: "region",
                value_type: Opt(Text(REGION)),
                default: DefaultValue::Absent("none: brands pinned to a region are refused"),
                unit: "",
                meaning: "The region of this process: `[a-z0-9-]+`, compared with the brands' `region`.",
                field: |workers: &mut Workers| &mut workers.region,
            },
            &Setting {
                key: "shard",
                value_type: Opt(Text(SHARD)),
                default: DefaultValue::Absent("none: the brands without a `shard`"),
                unit: "",
                meaning: "The shard of this process: `[a-z0-9-]+`. It serves the brands with the same `shard` and no others. Usually set by `TRIBUTARY_WORKERS_SHARD`, so that all shards have one file.",
                field: |workers: &mut Workers| &mut workers.shard,
            },
            &Setting {
                key: "max_clock_skew",
                value_type: Text(Duration::<i64>::millis(1_000, 86_400_000)),
                default: DefaultValue::Toml(r#""10m""#),
                unit: "",
                meaning: "The maximum difference between this machine's clock and the broker's, and the maximum by which it may trail the newest arrival. Beyond it, no expired data is deleted, no day is frozen, and `/readyz` shows the clock and the offset.",
                field: |workers: &mut Workers| &mut workers.max_clock_skew_ms,
            },
            &Setting {
                key: "memory",
                value_type: Opt(Int::<u64>::new(64, 16_777_216)),
                default: DefaultValue::Absent("none: memory is not limited"),
                unit: "MiB",
                meaning: "The resident memory of this process that input may fill. From 80 % of it on, input is slowed; from 95 % on, it waits at the broker, until memory is below 90 %. Set it below the limit of the container, so that the process is not killed.",
                field: |workers: &mut Workers| &mut workers.memory_mib,
            },
        ];
        ROWS
    }
}

/// Environment variables do not override it: `TRIBUTARY_LOG` alone does, which
/// applies before the file is read.
impl SettingsModel for Log {
    const SECTION: Section = Section::of::<Log>(
        "log",
        "Log",
        "What `tributary run` and `tributary serve` write to standard error.",
    );

    fn blank() -> Log {
        Log {
            level: LogLevel::Info,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Log>] {
        static ROWS: &[&dyn TypedSetting<Log>] = &[&Setting {
            key: "level",
            value_type: Text(LOG_LEVELS),
            default: DefaultValue::Toml(r#""info""#),
            unit: "",
            meaning: "The least severe lines of the log. No level shows the content of a record. The environment variable `TRIBUTARY_LOG` takes precedence, and may filter by module.",
            field: |log: &mut Log| &mut log.level,
        }];
        ROWS
    }
}

/// The directory must be durable: without it a restart depends on what the
/// input stream still stores.
impl SettingsModel for Ledger {
    const SECTION: Section = Section {
        variables: true,
        ..Section::of::<Ledger>(
            "ledger",
            "Ledger",
            "Where a worker stores accepted records, encrypted with keys derived from the brands' secrets. A worker that has lost its ledger can only reread what the input stream still contains.",
        )
    };

    fn blank() -> Ledger {
        Ledger {
            directory: PathBuf::new(),
            backup_days: 0,
            backup: None,
            backup_every_ms: 0,
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Ledger>] {
        static ROWS: &[&dyn TypedSetting<Ledger>] = &[
            &Setting {
                key: "directory",
                value_type: Directory,
                default: DefaultValue::Toml(r#""tributary-data""#),
                unit: "",
                meaning: "The data directory, created if it is missing; process n of a cluster stores its ledger in the subdirectory `process-n`. Use a local disk.",
                field: |ledger: &mut Ledger| &mut ledger.directory,
            },
            &Setting {
                key: "backup_days",
                value_type: Int::new(0, 3_650),
                default: DefaultValue::Toml("35"),
                unit: "days",
                meaning: "How long your backups of the data directory exist. For so long a worker keeps keyed hashes of erased people's identifiers, so that a restored backup does not bring them back. 0 keeps none.",
                field: |ledger: &mut Ledger| &mut ledger.backup_days,
            },
            &Setting {
                key: "backup",
                value_type: Opt(Directory),
                default: DefaultValue::Absent("none: no backup"),
                unit: "",
                meaning: "A directory on another disk, in which each process keeps an encrypted backup of its part of the data directory. What an erasure removes is unreadable in every copy of it. `tributary ledger restore` puts it back.",
                field: |ledger: &mut Ledger| &mut ledger.backup,
            },
            &Setting {
                key: "backup_every",
                value_type: Text(Duration::<u64>::millis(1_000, 3_600_000)),
                default: DefaultValue::Toml(r#""1m""#),
                unit: "",
                meaning: "How often the backup is brought up to date.",
                field: |ledger: &mut Ledger| &mut ledger.backup_every_ms,
            },
        ];
        ROWS
    }
}

/// The default listens on loopback only and needs no token; any other address
/// needs a decision.
impl SettingsModel for Http {
    const SECTION: Section = Section {
        variables: true,
        needs: &[
            ("opendsr_certificate_file", &["opendsr_domain"]),
            ("opendsr_certificate_file", &["opendsr_key_file"]),
            ("opendsr_key_file", &["opendsr_certificate_file"]),
            ("opendsr_callbacks", &["opendsr_certificate_file"]),
        ],
        ..Section::of::<Http>(
            "http",
            "HTTP server",
            "The server of the page, `/v1/cells`, `/metrics`, `/livez`, `/readyz`, `/config` and, if enabled, OpenDSR. Access tokens are listed under `[[http.token]]`; without any, everything is open to the machine itself.",
        )
    };

    fn blank() -> Http {
        Http {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            hosts: Vec::new(),
            max_series: 0,
            opendsr_domain: None,
            opendsr_certificate: None,
            opendsr_key: None,
            opendsr_callbacks: Vec::new(),
            opendsr_private_callbacks: false,
            open: false,
            tokens: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<Http>] {
        static ROWS: &[&dyn TypedSetting<Http>] = &[
            &Setting {
                key: "listen",
                value_type: Text(Listen),
                default: DefaultValue::Toml(r#""127.0.0.1:9464""#),
                unit: "",
                meaning: "The listen address. An address other than loopback requires access tokens, or `open`.",
                field: |http: &mut Http| &mut http.listen,
            },
            &Setting {
                key: "open",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Permits an address other than loopback without access tokens: everyone who can reach it may read all released numbers of all brands and, if OpenDSR is enabled, submit rights requests. `/config` and exact operational metrics stay closed.",
                field: |http: &mut Http| &mut http.open,
            },
            &Setting {
                key: "hosts",
                value_type: Many {
                    each: HOST_NAME,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The host names under which the server is reachable, such as those of a reverse proxy. It answers requests only to its address, to names without a dot, and to these names, which protects against DNS rebinding by other web pages.",
                field: |http: &mut Http| &mut http.hosts,
            },
            &Setting {
                key: "max_series",
                value_type: Int::<usize>::new(1, 100_000),
                default: DefaultValue::Toml("200"),
                unit: "series",
                meaning: "The maximum number of channels, stores or platforms per metric and brand; the rest is summed up as `other`.",
                field: |http: &mut Http| &mut http.max_series,
            },
            &Setting {
                key: "opendsr_domain",
                value_type: Opt(Text(DOMAIN)),
                default: DefaultValue::Absent("none: no rights requests over HTTP"),
                unit: "",
                meaning: "Enables rights requests by OpenDSR 2.0 (`/v2/discovery`, `/v2/requests`) and sets the processor domain. Requests need an access token with the role `privacy` if there are tokens; otherwise the TLS proxy in front of the server must authenticate requesters. Without `opendsr_certificate_file`, the proxy must also sign responses and publish its certificate at `https://<domain>/opendsr.pem`.",
                field: |http: &mut Http| &mut http.opendsr_domain,
            },
            &Setting {
                key: "opendsr_certificate_file",
                value_type: Opt(Readable { secret: false }),
                default: DefaultValue::Absent("none: responses are not signed here"),
                unit: "",
                meaning: "The PEM file with the certificate of the processor domain, followed by its chain. With it, every response and callback has an `X-OpenDSR-Signature`, and `/opendsr.pem` publishes the certificate. The key is RSA (at least 2048 bits) or ECDSA over P-256.",
                field: |http: &mut Http| &mut http.opendsr_certificate,
            },
            &Setting {
                key: "opendsr_key_file",
                value_type: Opt(Readable { secret: true }),
                default: DefaultValue::Absent("none; required with a certificate"),
                unit: "",
                meaning: "The PEM file with the private key of the certificate.",
                field: |http: &mut Http| &mut http.opendsr_key,
            },
            &Setting {
                key: "opendsr_callbacks",
                value_type: Many {
                    each: Origin,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The origins of controllers, such as `https://controller.example`, whose `status_callback_urls` are called when the status of a request changes. A submission with any other URL is refused. Requires a certificate.",
                field: |http: &mut Http| &mut http.opendsr_callbacks,
            },
            &Setting {
                key: "opendsr_private_callbacks",
                value_type: Switch,
                default: DefaultValue::Toml("false"),
                unit: "",
                meaning: "Permits callbacks to addresses that are not public, such as those of an internal network. Otherwise a name that resolves to one is not called.",
                field: |http: &mut Http| &mut http.opendsr_private_callbacks,
            },
        ];
        ROWS
    }
}

/// Off by default: whoever reaches the address writes records.
impl SettingsModel for HttpIngest {
    const SECTION: Section = Section {
        variables: true,
        ..Section::of::<HttpIngest>(
            "http_ingest",
            "HTTP ingest server",
            "The server that receives records over HTTP and publishes them to the input stream: `/v1/in/<brand>/<kind>[/<source>]`, and the paths of Segment's API. Off without `listen`. Each source has tokens of its own, listed under `[[http_ingest.token]]`; without any, the server is open to the machine itself.",
        )
    };

    fn blank() -> HttpIngest {
        HttpIngest {
            listen: None,
            max_body_bytes: 0,
            origins: Vec::new(),
            window: 0,
            tokens: Vec::new(),
        }
    }

    fn rows() -> &'static [&'static dyn TypedSetting<HttpIngest>] {
        static ROWS: &[&dyn TypedSetting<HttpIngest>] = &[
            &Setting {
                key: "listen",
                value_type: Opt(Text(Listen)),
                default: DefaultValue::Absent("none: no records over HTTP"),
                unit: "",
                meaning: "The listen address, such as `127.0.0.1:9465`. An address other than loopback requires tokens.",
                field: |ingest: &mut HttpIngest| &mut ingest.listen,
            },
            &Setting {
                key: "max_body",
                value_type: Int::<usize>::new(1024, 1 << 30),
                default: DefaultValue::Toml("16_777_216"),
                unit: "bytes",
                meaning: "The maximum size of a body, both as sent and decompressed; larger ones are answered with 413.",
                field: |ingest: &mut HttpIngest| &mut ingest.max_body_bytes,
            },
            &Setting {
                key: "origins",
                value_type: Many {
                    each: Origin,
                    private: false,
                },
                default: DefaultValue::Toml("[]"),
                unit: "",
                meaning: "The origins whose pages may send records from a browser, such as `https://shop.example`. Requests of other pages are answered with 403. No cookie is set.",
                field: |ingest: &mut HttpIngest| &mut ingest.origins,
            },
            &Setting {
                key: "window",
                value_type: Int::<usize>::new(1, 100_000),
                default: DefaultValue::Toml("1000"),
                unit: "messages",
                meaning: "The maximum number of messages that the input stream has not acknowledged yet. Requests beyond it are answered with 429 and `Retry-After`.",
                field: |ingest: &mut HttpIngest| &mut ingest.window,
            },
        ];
        ROWS
    }
}

//! Configurations for tests, and a sink that keeps what it is given.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use tributary_config::model::{
    Attribution, Brand, BrandRelease, Channels, Config, Consent, HashRule, Http, HttpIngest,
    Identity, Ingest, LabelCase, Ledger, Log, LogLevel, Names, Nats, Noise, Partners, Release,
    Retention, Sensors, Telemetry, Wallet, Workers,
};

/// A brand with the specification's defaults, in Paris.
pub fn brand(name: &str) -> Brand {
    const DAY: i64 = 86_400_000;
    Brand {
        name: name.to_owned(),
        timezone: TimeZone::get("Europe/Paris").unwrap(),
        currency: "EUR".to_owned(),
        phone_region: Some("FR".to_owned()),
        region: None,
        shard: None,
        secret: format!("a secret of {name} with at least thirty-two bytes").into(),
        previous_secrets: Vec::new(),
        identity: Identity {
            max_degree: BTreeMap::new(),
            link_ttl: BTreeMap::new(),
            max_identifiers: 100,
            name_postcode: false,
            click_id: false,
            rules: vec![HashRule::Plain],
            blocked: Vec::new(),
            relay_domains: Vec::new(),
        },
        attribution: Attribution {
            click_window_ms: 30 * DAY,
            view_window_ms: 30 * DAY,
            impression_window_ms: 7 * DAY,
            max_path: 200,
            max_channels: 500,
            half_life_ms: 7 * DAY,
            position: [40, 20, 40],
        },
        sensors: Sensors {
            min_rssi: -75,
            min_dwell_s: 60,
            max_presence_s: 8 * 3600,
            max_devices: 200_000,
            associated: true,
            day_start_s: 0,
            fixed_devices: Vec::new(),
            stores: Vec::new(),
            cookie_bits: 10,
            cookie_share: 3,
        },
        wallet: Wallet {
            gap_ms: 30 * 60_000,
        },
        partners: Partners {
            slack_ms: 5 * 60_000,
            settle_after_ms: 7 * DAY,
        },
        partner: Vec::new(),
        names: Names {
            stores: BTreeMap::new(),
            channels: BTreeMap::new(),
        },
        boxes: Vec::new(),
        channels: Channels {
            own_hosts: Vec::new(),
            ignored_referrers: vec!["paypal.com".to_owned()],
            case: LabelCase::Keep,
        },
        consent: Consent::default(),
        retention: Retention {
            identification_months: 24,
            transactions_months: 24,
            cookies_months: 13,
            consent_months: 60,
            visits_months: 13,
            exposures_months: 13,
        },
        release: BrandRelease::default(),
        noise: Noise {
            epsilon_thousandths: None,
            count: 1,
            money_minor: None,
        },
        sources: Vec::new(),
    }
}

/// A configuration of some brands.
pub fn config(brands: Vec<Brand>) -> Config {
    Config {
        nats: Nats {
            url: "nats://127.0.0.1:4222".to_owned(),
            credentials_file: None,
            nkey_seed: None,
            user: None,
            password: None,
            tls: false,
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            input_stream: "TRIBUTARY_IN".to_owned(),
            pings_stream: None,
            pings_max_age_ms: 3_600_000,
            output_stream: "TRIBUTARY_OUT".to_owned(),
            dead_letter_stream: "TRIBUTARY_DEAD".to_owned(),
            rights_stream: "TRIBUTARY_RIGHTS".to_owned(),
            partitions: 0,
            replicas: 1,
            private_network: false,
        },
        workers: Workers {
            threads: 1,
            process: 0,
            hosts: Vec::new(),
            tls_ca_file: None,
            tls_cert_file: None,
            tls_key_file: None,
            private_network: false,
            tick_ms: 50,
            region: None,
            shard: None,
            address: None,
            standby: false,
            max_clock_skew_ms: 600_000,
            memory_mib: None,
        },
        log: Log {
            level: LogLevel::Info,
        },
        telemetry: Telemetry {
            otlp_endpoint: None,
            otlp_headers: None,
            otlp_ca_file: None,
            private_network: false,
            epoch_share: 10,
            service_name: "tributary".to_owned(),
        },
        ledger: Ledger {
            directory: "tributary-data".into(),
            backup_days: 35,
            backup: None,
            backup_every_ms: 60_000,
        },
        http: Http {
            listen: ([127, 0, 0, 1], 9464).into(),
            max_series: 200,
            hosts: Vec::new(),
            opendsr_domain: None,
            opendsr_certificate: None,
            opendsr_key: None,
            opendsr_callbacks: Vec::new(),
            opendsr_private_callbacks: false,
            open: false,
            tokens: Vec::new(),
        },
        http_ingest: HttpIngest {
            listen: None,
            max_body_bytes: 16 << 20,
            origins: Vec::new(),
            window: 1000,
            tokens: Vec::new(),
        },
        ingest: Ingest {
            max_future_ms: 600_000,
            strict: false,
            max_message_bytes: 8 << 20,
        },
        release: Release {
            k: 1,
            k_traffic: 1,
            ladder: tributary_config::model::Ladder::Month,
            dominance: 80,
            cadence_ms: 60_000,
            k_delta: 1,
            max_hold_ms: 86_400_000,
            freeze_after_ms: 90 * 86_400_000,
        },
        brands,
        others: Vec::new(),
    }
}

/// Some moment, Unix milliseconds: 2023-11-14T22:13:20Z.
pub const AT: i64 = 1_700_000_000_000;

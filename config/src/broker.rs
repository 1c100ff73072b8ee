//! The `[nats]` section of a configuration that defines nothing but an address.

use crate::model::Nats;

/// The settings of a broker at an address, with every other default. For
/// commands that need a broker but no brand, and for tests.
///
/// ```
/// let nats = tributary_config::nats_at("nats://broker.example:4222");
/// assert_eq!(nats.input_stream, "TRIBUTARY_IN");
/// assert!(!nats.tls && nats.user.is_none());
/// ```
pub fn nats_at(url: &str) -> Nats {
    Nats {
        url: url.to_owned(),
        credentials_file: None,
        nkey_seed: None,
        user: None,
        password: None,
        tls: false,
        tls_ca_file: None,
        tls_cert_file: None,
        tls_key_file: None,
        private_network: false,
        input_stream: "TRIBUTARY_IN".to_owned(),
        pings_stream: Some("TRIBUTARY_PINGS".to_owned()),
        pings_max_age_ms: 3_600_000,
        output_stream: "TRIBUTARY_OUT".to_owned(),
        dead_letter_stream: "TRIBUTARY_DEAD".to_owned(),
        rights_stream: "TRIBUTARY_RIGHTS".to_owned(),
        partitions: 0,
        replicas: 1,
    }
}

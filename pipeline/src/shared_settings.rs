//! Shared settings: what the processes that compute the same numbers must have in common.
//!
//! Every setting takes part, new ones automatically, except those that `may_differ` lists: where a process listens, where it
//! keeps its files, how it connects to the broker. Secrets are compared by keyed fingerprints and never sent. The processes of a
//! cluster must have all of them in common; a standby all but its version and its secrets, which it proves by themselves.

use std::collections::BTreeMap;

use tributary_config::key_chain::derive_key;
use tributary_config::model::{Brand, Config};
use zeroize::Zeroizing;

use crate::version::TEXT;

/// Value of every shared setting, by its path.
pub type Shared = BTreeMap<String, String>;

/// Context of the key under which secrets and devices are fingerprinted.
const FINGERPRINT: &str = "tributary 2026-11 fingerprint of what the processes of a cluster share";

/// The path of the version and the commit among the settings.
const VERSION: &str = "version of tributary";

/// The settings that a process shares with the others of its cluster, including
/// its build and the number of processes: of one version, two builds of different commits may compute other numbers.
pub fn shared(config: &Config) -> Shared {
    let mut all = tributary_config::values(config);
    all.retain(|path, _| !may_differ(path));
    for brand in &config.brands {
        let path = |key: &str| format!("brand.{}.{key}", brand.name);
        let secrets: Vec<String> = brand
            .secrets()
            .map(|secret| {
                let key = derive_key(FINGERPRINT, &brand.name, secret);
                fingerprint(&key, &[])
            })
            .collect();
        all.insert(path("secret"), secrets.join(", "));
        let fixed = fixed_devices(brand);
        all.insert(path("sensors.fixed_devices"), fixed);
    }
    all.insert(VERSION.to_owned(), TEXT.to_owned());
    let processes = config.workers.hosts.len().max(1).to_string();
    all.insert("number of workers.hosts".to_owned(), processes);
    all
}

/// A digest of the settings that a process shares with its standbys, 16 hexadecimal digits: by
/// the same build, two processes with the same one compute the same numbers.
pub fn digest(config: &Config) -> String {
    let mut hasher = blake3::Hasher::new();
    for (path, value) in &of_standby(&shared(config)) {
        for text in [path, value] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    let hex = hasher.finalize().to_hex();
    hex.get(..16).unwrap_or_default().to_owned()
}

/// Whether processes may have different values of a setting, because it affects
/// no result and no guarantee.
fn may_differ(path: &str) -> bool {
    const STREAMS: [&str; 6] = [
        "nats.input_stream",
        "nats.pings_stream",
        "nats.output_stream",
        "nats.dead_letter_stream",
        "nats.rights_stream",
        "nats.partitions",
    ];
    const OWN: [&str; 5] = [
        "workers.process",
        "workers.hosts",
        "workers.address",
        "workers.standby",
        "workers.memory",
    ];
    let own = ["ledger.", "http.", "http_ingest.", "log.", "nats."];
    let is_own = own.iter().any(|section| path.starts_with(section));
    let is_place = ["_file", "_env", "_files", "_envs"];
    let is_place = is_place.iter().any(|end| path.ends_with(end));
    is_own && !STREAMS.contains(&path) || is_place || OWN.contains(&path)
}

/// Fingerprint of the fixed devices of a brand. Devices may identify a person:
/// they are compared and never shown.
fn fixed_devices(brand: &Brand) -> String {
    let mut devices = brand.sensors.fixed_devices.clone();
    devices.sort_unstable();
    let key = derive_key(FINGERPRINT, &brand.name, &brand.secret);
    fingerprint(&key, &devices)
}

/// The first 16 hexadecimal digits of keyed BLAKE3 over the parts, each
/// preceded by its length.
fn fingerprint(key: &[u8; 32], parts: &[String]) -> String {
    let mut hasher = Zeroizing::new(blake3::Hasher::new_keyed(key));
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hex = hasher.finalize().to_hex();
    format!("*** ({})", hex.get(..16).unwrap_or_default())
}

/// The first setting that two processes do not share, with both values.
pub fn difference(here: &Shared, there: &Shared) -> Option<(String, String, String)> {
    let paths = here.keys().chain(there.keys());
    let differs = paths.filter(|path| here.get(*path) != there.get(*path));
    let path = differs.min()?;
    let value = |of: &Shared| of.get(path).map_or("not set", String::as_str).to_owned();
    Some((path.clone(), value(here), value(there)))
}

/// The first setting in which a standby differs from the process that leads, with both values. Its version may be another,
/// so that it can be upgraded first. So may its secrets, of which it proves the newest, and with them the fingerprint of
/// devices.
pub fn difference_of_standby(here: &Shared, there: &Shared) -> Option<(String, String, String)> {
    difference(&of_standby(here), &of_standby(there))
}

/// The settings that a standby has in common with the process that leads.
fn of_standby(shared: &Shared) -> Shared {
    let ends = [".secret", ".sensors.fixed_devices"];
    let is_compared =
        |path: &String| path != VERSION && !ends.iter().any(|end| path.ends_with(end));
    let settings = shared.iter().filter(|(path, _)| is_compared(path));
    settings
        .map(|(path, value)| (path.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::path::Path;

    use super::*;

    fn config(text: &str, letter: &str) -> Config {
        let secret = |name: &str| format!("{name} {letter} {}", tributary_testkit::SECRET);
        let environment = |name: &str| ["ACME", "BETA"].contains(&name).then(|| secret(name));
        let loaded = tributary_config::parse_in(text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    const ACME: &str = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"ACME\"\n";
    const BETA: &str = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"BETA\"\n";

    fn differs(one: &str, other: &str) -> Option<String> {
        let (one, other) = (shared(&config(one, "s")), shared(&config(other, "s")));
        difference(&one, &other).map(|(path, ..)| path)
    }

    #[test]
    fn the_order_of_brands_and_what_belongs_to_a_process_may_differ() {
        assert_eq!(
            differs(&format!("{ACME}{BETA}"), &format!("{BETA}{ACME}")),
            None
        );
        let own = "[http]\nlisten = \"127.0.0.1:1\"\n[ledger]\ndirectory = \"elsewhere\"\n";
        assert_eq!(differs(ACME, &format!("{own}{ACME}")), None);
    }

    #[test]
    fn a_standby_may_have_another_version_and_other_secrets() {
        let (here, mut there) = (shared(&config(ACME, "s")), shared(&config(ACME, "t")));
        there.insert(VERSION.to_owned(), "another".to_owned());
        assert!(difference(&here, &there).is_some());
        assert_eq!(difference_of_standby(&here, &there), None);
        assert_eq!(here[VERSION], TEXT);
        let other = shared(&config(&format!("[release]\nk = 7\n{ACME}"), "s"));
        let (path, ..) = difference_of_standby(&here, &other).unwrap();
        assert_eq!(path, "release.k");
    }

    #[test]
    fn every_other_setting_is_named() {
        let both = format!("{ACME}{BETA}");
        assert!(differs(ACME, &both).unwrap().starts_with("brand.beta."));
        let zone = ACME.replace("UTC", "Asia/Tokyo");
        assert_eq!(differs(ACME, &zone).unwrap(), "brand.acme.timezone");
        let gate = format!("[release]\nk = 7\n{ACME}");
        assert!(differs(ACME, &gate).unwrap().starts_with("release.k"));
        let fixed = |mac: &str| format!("{ACME}[brand.sensors]\nfixed_devices = [\"{mac}\"]\n");
        let (one, other) = (fixed("00:11:22:33:44:55"), fixed("00:11:22:33:44:56"));
        assert_eq!(
            differs(&one, &other).unwrap(),
            "brand.acme.sensors.fixed_devices"
        );
        let (one, other) = (shared(&config(ACME, "s")), shared(&config(ACME, "t")));
        let (path, mine, theirs) = difference(&one, &other).unwrap();
        assert_eq!(path, "brand.acme.secret");
        assert!(mine.starts_with("***") && theirs.starts_with("***") && mine != theirs);
    }
}

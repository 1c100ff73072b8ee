//! Files of the rights directory, which lies beside the ledger, and the keys
//! under which they are written.

use std::path::PathBuf;

use tributary_config::model::{Brand, Config};
use tributary_rights::BrandKeys;

/// Keys of a brand's requests, receipts and objections, from its oldest secret
/// to its newest.
pub fn keys(brand: &Brand) -> BrandKeys {
    let mut secrets = brand.secrets();
    let oldest = secrets.next().unwrap_or(&brand.secret);
    let keys = BrandKeys::new(&brand.name, oldest);
    secrets.fold(keys, |keys, newer| keys.with_newer_secret(newer))
}

/// The rights directory of a process: `rights-<name>` in the data directory
/// of the ledger.
pub fn directory(config: &Config) -> PathBuf {
    let name = config.workers.name();
    config.ledger.directory.join(format!("rights-{name}"))
}

/// Name of a brand's audit log relative to the rights directory.
pub fn log(brand: &str) -> String {
    format!("audit/{brand}.jsonl")
}

/// Whether this process is the registrar, which keeps the audit logs: process
/// 0.
pub fn is_registrar(config: &Config) -> bool {
    config.workers.process == 0
}

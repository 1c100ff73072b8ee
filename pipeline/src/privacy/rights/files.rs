//! The files of a process's rights, beside its ledger, and the keys that they are written with.

use std::path::PathBuf;

use tributary_config::model::{Brand, Config};
use tributary_rights::BrandKeys;

/// The keys of a brand's requests and objections, from its oldest secret to its newest.
pub fn keys(brand: &Brand) -> BrandKeys {
    let mut secrets = brand.secrets();
    let oldest = secrets.next().unwrap_or(&brand.secret);
    let keys = BrandKeys::new(&brand.name, oldest);
    secrets.fold(keys, |keys, newer| keys.with_newer_secret(newer))
}

/// Where what lasts of the rights of a process lies.
pub fn directory(config: &Config) -> PathBuf {
    let process = config.workers.process;
    config.ledger.directory.join(format!("rights-{process}"))
}

/// The audit log of a brand, below the directory of the rights.
pub(super) fn log(brand: &str) -> String {
    format!("audit/{brand}.jsonl")
}

//! The configuration of the demo: brands whose customers do not exist.

use anyhow::Context;
use tributary_config::model::Config;
use tributary_simulate::{Options, SecretFrom, configs_toml};

use crate::cli::args as cli;

/// Environment variables of the secrets of brands whose customers do not exist, and
/// their values.
const SECRETS: [(&str, &str); 2] = [
    (
        "TRIBUTARY_DEMO_SECRET",
        "nobody in this world exists, so that its key need not be one",
    ),
    (
        "TRIBUTARY_DEMO_SECRET_2",
        "nobody in this world exists, and two brands share no key",
    ),
];

/// The configuration of simulated brands.
///
/// # Errors
///
/// None in practice: the text is valid.
pub(super) fn configuration(brands: &[&Options], args: &cli::Demo) -> anyhow::Result<Config> {
    let secrets = SECRETS.map(|(name, _)| SecretFrom::Env(name));
    let brands: Vec<_> = brands.iter().copied().zip(secrets).collect();
    let environment = |name: &str| {
        let mut secrets = SECRETS.into_iter();
        let (_, secret) = secrets.find(|(known, _)| *known == name)?;
        Some(secret.to_owned())
    };
    let origin = std::path::Path::new("demo.toml");
    let mut config = tributary_config::parse_in(&configs_toml(&brands), origin, &environment)
        .context("the demo's own configuration is invalid")?
        .config;
    config.workers.threads = args.workers.max(1);
    config.http.listen = args.listen;
    // Nobody here is real.
    config.http.open = true;
    Ok(config)
}

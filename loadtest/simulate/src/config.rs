//! The configuration for the trace of a world.

use std::path::Path;

use tributary_config::model::Kind;

use crate::options::Options;
use crate::shops::store_name;
use crate::tc_string::VENDOR;

/// The source of the brand's secret.
#[derive(Clone, Copy, Debug)]
pub enum SecretFrom<'a> {
    /// An environment variable.
    Env(&'a str),
    /// A file, relative to the configuration.
    File(&'a Path),
}

/// The text of a configuration file for the brand of a world. Everything else keeps its default.
///
/// Retention periods are 100 years if the days of the trace may be long past
/// ([`Options::keeps_past`]), and the sources use the arrival times of the trace. With [`Options::consent`] the brand is a vendor of the
/// consent strings.
///
/// ```
/// use tributary_simulate::{Options, SecretFrom, config_toml};
///
/// let text = config_toml(&Options::default(), SecretFrom::Env("SECRET"));
/// assert!(text.contains("name = \"orchard\""));
/// ```
pub fn config_toml(options: &Options, secret: SecretFrom<'_>) -> String {
    configs_toml(&[(options, secret)])
}

/// The text of a configuration file for several brands. `[release]` is that of the first; the
/// others have `[brand.release]` if theirs differs.
pub fn configs_toml(brands: &[(&Options, SecretFrom<'_>)]) -> String {
    let k = brands.first().map_or(1, |(options, _)| options.k);
    let seed = brands.first().map_or(1, |(options, _)| options.seed);
    let mut text = format!(
        "# The brand of a generated trace, seed {seed}. Nobody in it exists, so that small cells may be shown.\n\
         [release]\n\
         k = {k}\n"
    );
    for (options, secret) in brands {
        text.push('\n');
        text.push_str(&brand_toml(options, *secret, k));
    }
    text
}

/// Retention periods for a trace whose days may be long past.
const RETENTION: &str = "\
# Its days are long past: a worker is to hold them all the same.
[brand.retention]
identification_months = 1200
transactions_months = 1200
cookies_months = 1200
consent_months = 1200
visits_months = 1200
exposures_months = 1200
";

/// The table of one brand and those below it. `common` is the threshold of `[release]`.
fn brand_toml(options: &Options, secret: SecretFrom<'_>, common: u64) -> String {
    let secret = match secret {
        SecretFrom::Env(name) => format!("secret_env = {}", quoted(name)),
        SecretFrom::File(path) => format!("secret_file = {}", quoted(&path.to_string_lossy())),
    };
    let Options {
        brand,
        timezone,
        currency,
        k,
        ..
    } = options;
    let gate = match *k == common {
        true => String::new(),
        false => format!("\n[brand.release]\nk = {k}\n"),
    };
    let consent = match options.consent {
        true => format!("\n[brand.consent]\nvendor = {VENDOR}\nfeature_2 = true\n"),
        false => String::new(),
    };
    let retention = match options.keeps_past {
        true => RETENTION,
        false => "",
    };
    format!(
        "[[brand]]\n\
         name = {}\n\
         timezone = {}\n\
         currency = {}\n\
         phone_region = \"FR\"\n\
         {secret}\n\
         {gate}{consent}\n\
         {retention}\
         {}",
        quoted(brand),
        quoted(timezone),
        quoted(currency),
        sources(options),
    )
}

/// The default sources of a brand, which use the arrival times of a replayed trace.
fn sources(options: &Options) -> String {
    let stores = (0..options.stores).map(|store| store_name(store as u16));
    let stores: Vec<String> = stores.collect();
    let source = |kind: Kind| {
        let vendor = options.vendor.filter(|vendor| vendor.kind() == kind);
        format!(
            "\n[[brand.source]]\nname = \"{0}\"\nkind = \"{0}\"\narrival_header = true\n{1}",
            kind.name(),
            vendor.map(|of| of.settings(&stores)).unwrap_or_default()
        )
    };
    let kinds = Kind::ALL.into_iter();
    let kinds = kinds.filter(|kind| kind.is_implied() || options.partners);
    let mut sources: String = kinds.map(source).collect();
    if options.partners {
        sources.push_str("\n[[brand.partner]]\nname = \"waze\"\nsources = [\"waze\"]\n");
    }
    format!(
        "\n# A load test plays the trace with the time at which each message once arrived.{sources}"
    )
}

/// A TOML basic string. TOML accepts the escapes of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

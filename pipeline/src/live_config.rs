//! The configuration of a running process, of which a reload may change a part.
//!
//! Most settings are read once, at the start: the dataflow, the ledger and the
//! streams are made by them. Those that [`may_change`] lists are read where they
//! are used, from a [`LiveConfig`]. A reload replaces the whole configuration at
//! once or nothing of it: if anything else differs, [`replace`] refuses all of it
//! and names each setting. So the configuration that `/config` shows is always
//! the one that the process works by.
//!
//! Nothing that the processes of a cluster must share may change, so that each of
//! them can be reloaded by itself.

use std::sync::Arc;

use tokio::sync::watch;
use tributary_config::model::Config;
use tributary_config::{Change, changes};

/// The current configuration; clones follow the same process.
#[derive(Clone)]
pub struct LiveConfig(watch::Receiver<Arc<Config>>);

impl LiveConfig {
    /// A configuration, and the end that replaces it.
    pub fn new(config: &Config) -> (watch::Sender<Arc<Config>>, LiveConfig) {
        let (sender, receiver) = watch::channel(Arc::new(config.clone()));
        (sender, LiveConfig(receiver))
    }

    /// A configuration that never changes.
    pub fn fixed(config: &Config) -> LiveConfig {
        LiveConfig::new(config).1
    }

    /// The configuration now.
    pub fn now(&self) -> Arc<Config> {
        self.0.borrow().clone()
    }

    /// Whether a configuration is still the one in use.
    pub fn is(&self, config: &Arc<Config>) -> bool {
        Arc::ptr_eq(&self.0.borrow(), config)
    }
}

/// Whether a running process can take another value of a setting, or an entry
/// that was added or removed. What it lists, [`replace`] copies.
fn may_change(path: &str) -> bool {
    const SETTINGS: [&str; 4] = ["http.hosts", "http.open", "log.level", "workers.memory"];
    const ENTRIES: [&str; 2] = ["http.token[", "http_ingest.token["];
    SETTINGS.contains(&path) || ENTRIES.iter().any(|entry| path.starts_with(entry))
}

/// Replaces the configuration by one that was read since, and returns what is
/// different now.
///
/// # Errors
///
/// One sentence for each setting that cannot change while the process runs. The
/// configuration is then as before.
pub fn replace(
    live: &watch::Sender<Arc<Config>>,
    config: Config,
) -> Result<Vec<Change>, Vec<String>> {
    let before = live.borrow().clone();
    let changes = changes(&before, &config);
    let restart = match config.workers.hosts.len() > 1 {
        true => "needs a restart of all processes of the cluster, together",
        false => "needs a restart",
    };
    let refused: Vec<String> = changes
        .iter()
        .filter(|change| !may_change(&change.path))
        .map(|change| format!("{change}: {restart}"))
        .collect();
    if !refused.is_empty() {
        return Err(refused);
    }
    if !changes.is_empty() {
        // Everything else stays the same in memory, too: a secret stands there once.
        let mut next = Config::clone(&before);
        next.http.hosts.clone_from(&config.http.hosts);
        next.http.open = config.http.open;
        next.http.tokens.clone_from(&config.http.tokens);
        next.http_ingest
            .tokens
            .clone_from(&config.http_ingest.tokens);
        next.log = config.log;
        next.workers.memory_mib = config.workers.memory_mib;
        debug_assert!(
            self::changes(&next, &config).is_empty(),
            "whatever may change is copied"
        );
        live.send_replace(Arc::new(next));
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use std::path::Path;

    use super::*;

    fn config(head: &str, brand: &str) -> Config {
        let text = format!(
            "{head}\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n{brand}"
        );
        let environment = |name: &str| match name {
            "A" => Some("acme 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned()),
            "B" => Some("beta 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned()),
            _ => None,
        };
        let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    /// What a reload refuses.
    fn refused(head: &str, brand: &str) -> Vec<String> {
        let (sender, live) = LiveConfig::new(&config("", ""));
        let refused = replace(&sender, config(head, brand)).unwrap_err();
        let same = changes(&live.now(), &config("", ""));
        assert!(same.is_empty(), "{same:?}");
        refused
    }

    #[test]
    fn what_is_read_where_it_is_used_changes() {
        let (sender, live) = LiveConfig::new(&config("", ""));
        let head = "[log]\nlevel = \"debug\"\n[workers]\nmemory = 64\n[http]\nhosts = [\"m.example\"]\nopen = true\n";
        let changed = replace(&sender, config(head, "")).unwrap();
        let paths: Vec<&str> = changed.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(
            paths,
            ["http.hosts", "http.open", "log.level", "workers.memory"]
        );
        assert_eq!(live.now().workers.memory_mib, Some(64));
        assert!(replace(&sender, config(head, "")).unwrap().is_empty());
    }

    #[test]
    fn everything_else_is_refused_by_name_and_nothing_is_applied() {
        let head = "[log]\nlevel = \"debug\"\n[workers]\nthreads = 3\n[release]\nk = 60\n";
        assert_eq!(
            refused(head, ""),
            [
                "release.k changed from 50 to 60: needs a restart",
                "workers.threads changed from 1 to 3: needs a restart"
            ]
        );
        let telemetry =
            "[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\nepoch_share = \"1\"\n";
        assert_eq!(
            refused(telemetry, ""),
            [
                "telemetry.epoch_share changed from \"0.01\" to \"1\": needs a restart",
                "telemetry.otlp_endpoint changed from not set to \"http://127.0.0.1:4318\": needs a restart"
            ]
        );
        let brand = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"B\"\n";
        assert_eq!(refused("", brand), ["brand.beta is new: needs a restart"]);
        let source = "[[brand.source]]\nname = \"shop\"\nkind = \"web\"\n";
        assert_eq!(
            refused("", source),
            [
                "brand.acme.source.shop is new: needs a restart",
                // The one that the kind has by itself.
                "brand.acme.source.web was removed: needs a restart"
            ]
        );
        let hosts = "[workers]\nhosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";
        assert_eq!(
            refused(hosts, ""),
            [
                "workers.hosts changed from [] to [\"127.0.0.1:1\", \"127.0.0.1:2\"]: needs a restart of all processes of the cluster, together"
            ]
        );
    }

    #[test]
    fn a_secret_is_named_and_never_shown() {
        let text = |secret: &str| {
            let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n[brand.identity]\nblocked = [\"BLOCKED\"]\n"
                .replace("BLOCKED", secret);
            let environment = |name: &str| {
                (name == "A").then(|| format!("{secret} {}", tributary_testkit::SECRET))
            };
            tributary_config::parse_in(&text, Path::new("t"), &environment)
                .unwrap()
                .config
        };
        let (sender, _live) = LiveConfig::new(&text("one"));
        assert_eq!(
            replace(&sender, text("two")).unwrap_err(),
            [
                "brand.acme.identity.blocked changed: needs a restart",
                "brand.acme.secret changed: needs a restart"
            ]
        );
    }
}

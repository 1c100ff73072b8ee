//! The configuration of a running process, of which a reload may change a part.
//!
//! Most settings are read once, at the start. A reload takes two kinds of changes:
//!
//! - Settings that [`is_read_where_used`] lists are read where they are used, from a [`LiveConfig`].
//! - Brands and sources that are new, and a release gate that is made stricter, need the process itself to change
//!   ([`crate::start::reload`]), which it does without a restart: no record of the new ones came before, and what a
//!   stricter gate might not publish is withdrawn.
//!
//! A reload replaces the whole configuration at once or nothing of it: if anything
//! else differs, [`plan`] refuses all of it and names each setting. So the
//! configuration that `/config` shows is always the one that the process works by.
//!
//! Nothing that the processes of a cluster must share may change, so that each of
//! them can be reloaded by itself.

use std::sync::Arc;

use tokio::sync::watch;
use tributary_config::model::{Brand, Config, OtherBrand, Source};
use tributary_config::{Change, ChangeKind, changes};

mod gate;

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

/// Whether a setting, or an entry that was added or removed, is read where it is used.
/// What it lists, [`plan`] copies.
fn is_read_where_used(path: &str) -> bool {
    const SETTINGS: [&str; 4] = ["http.hosts", "http.open", "log.level", "workers.memory"];
    const ENTRIES: [&str; 2] = ["http.token[", "http_ingest.token["];
    SETTINGS.contains(&path) || ENTRIES.iter().any(|entry| path.starts_with(entry))
}

/// A reload that nothing refuses.
pub struct Reload {
    /// What is different.
    pub changes: Vec<Change>,
    /// The configuration from then on.
    pub next: Arc<Config>,
    /// Whether the process itself has to change; otherwise it is enough to replace the
    /// configuration.
    pub of_the_process: bool,
}

/// How a running process takes a change.
enum Taken {
    /// Where the setting is used.
    WhereUsed,
    /// By changing itself.
    ByTheProcess,
    /// Not at all; with a reason, if it is not that of most settings.
    Refused(Option<&'static str>),
}

/// Plans a reload to a configuration that was read since. `has_dataflow` says whether the
/// process can take brands and sources.
///
/// # Errors
///
/// One sentence for each setting that cannot change while the process runs.
pub fn plan(before: &Config, config: Config, has_dataflow: bool) -> Result<Reload, Vec<String>> {
    let mut changes = changes(before, &config);
    let is_cluster = config.workers.hosts.len() > 1 || before.workers.hosts.len() > 1;
    let restart = match is_cluster {
        true => "needs a restart of all processes of the cluster, together",
        false => "needs a restart",
    };
    let mut refused = Vec::new();
    let mut of_the_process = false;
    for change in &changes {
        match taken(change, before, &config) {
            Taken::WhereUsed => {}
            Taken::ByTheProcess if has_dataflow && !is_cluster => of_the_process = true,
            Taken::ByTheProcess => refused.push(format!("{change}: {restart}")),
            Taken::Refused(None) => refused.push(format!("{change}: {restart}")),
            Taken::Refused(Some(why)) => refused.push(format!("{change}: {restart}, {why}")),
        }
    }
    let others = changes_of_others(before, &config);
    if !others.is_empty() && (is_cluster || !has_dataflow) {
        let why = |change| format!("{change}: {restart}");
        refused.extend(others.iter().map(why));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    of_the_process |= !others.is_empty();
    changes.extend(others);
    let next = match of_the_process {
        true => config,
        false => {
            // Everything else stays the same in memory, too: a secret stands there once.
            let mut next = before.clone();
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
                "whatever is read where it is used is copied"
            );
            next
        }
    };
    Ok(Reload {
        changes,
        next: Arc::new(next),
        of_the_process,
    })
}

/// What is different of the brands that other shards serve. A process knows them, to leave their records to them.
fn changes_of_others(before: &Config, after: &Config) -> Vec<Change> {
    let kind = |of: &OtherBrand, in_config: &Config, kind: ChangeKind| {
        let is_own = in_config.brands.iter().any(|brand| brand.name == of.name);
        match in_config.other(&of.name) {
            // That it is or was an own one is a change of its own.
            None if is_own => None,
            None => Some(kind),
            Some(other) if other.shard == of.shard => None,
            Some(other) if kind == ChangeKind::Added => Some(ChangeKind::Value {
                before: other.place(),
                after: of.place(),
            }),
            Some(_) => None,
        }
    };
    let added = after
        .others
        .iter()
        .filter_map(|of| Some((of, kind(of, before, ChangeKind::Added)?)));
    let removed = before
        .others
        .iter()
        .filter_map(|of| Some((of, kind(of, after, ChangeKind::Removed)?)));
    let change = |(of, kind): (&OtherBrand, ChangeKind)| Change {
        path: match &kind {
            ChangeKind::Value { .. } => format!("brand.{}.shard", of.name),
            _ => format!("brand.{} of {}", of.name, of.place()),
        },
        kind,
    };
    added.chain(removed).map(change).collect()
}

/// How a running process takes a change.
fn taken(change: &Change, before: &Config, after: &Config) -> Taken {
    if is_read_where_used(&change.path) {
        return Taken::WhereUsed;
    }
    match gate::judge(&change.path, before, after) {
        Some(Ok(())) => return Taken::ByTheProcess,
        Some(Err(why)) => return Taken::Refused(Some(why)),
        None => {}
    }
    let path = change.path.strip_prefix("brand.");
    let Some(path) = path.filter(|_| change.kind == ChangeKind::Added) else {
        return Taken::Refused(None);
    };
    let (brand, entry) = path.split_once('.').unwrap_or((path, ""));
    match (find(before, brand), find(after, brand)) {
        (None, Some(_)) if entry.is_empty() => Taken::ByTheProcess,
        (Some(before), Some(after)) if entry.starts_with("source.") => {
            if before.has_partners() != after.has_partners() {
                let why = "because visits of before would have to be matched with its sightings";
                return Taken::Refused(Some(why));
            }
            let by_header = |brand: &Brand| brand.sources.iter().any(|of| of.arrival_header);
            if by_header(before) != by_header(after) {
                let why = "because the brand's days would follow the times of its messages";
                return Taken::Refused(Some(why));
            }
            let is_open = |brand: &Brand| brand.sources.iter().any(Source::is_open);
            if is_open(before) != is_open(after) {
                let why = "because the journeys of before would vouch for nobody any more";
                return Taken::Refused(Some(why));
            }
            Taken::ByTheProcess
        }
        _ => Taken::Refused(None),
    }
}

/// The brand with a name.
fn find<'a>(config: &'a Config, name: &str) -> Option<&'a Brand> {
    config.brands.iter().find(|brand| brand.name == name)
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
        let refused = plan(&config("", ""), config(head, brand), true);
        refused.err().unwrap()
    }

    /// The paths that a reload changes, and whether the process has to change for them.
    fn changed(head: &str, brand: &str) -> (Vec<String>, bool) {
        let next = config(head, brand);
        let plan = plan(&config("", ""), next.clone(), true).ok().unwrap();
        let left = changes(&plan.next, &next);
        assert!(left.is_empty(), "{left:?}");
        let paths = plan.changes.into_iter().map(|change| change.path);
        (paths.collect(), plan.of_the_process)
    }

    #[test]
    fn what_is_read_where_it_is_used_changes() {
        let head = "[log]\nlevel = \"debug\"\n[workers]\nmemory = 64\n[http]\nhosts = [\"m.example\"]\nopen = true\n";
        let (paths, of_the_process) = changed(head, "");
        assert_eq!(
            paths,
            ["http.hosts", "http.open", "log.level", "workers.memory"]
        );
        assert!(!of_the_process);
        assert!(changed("", "").0.is_empty());
    }

    const BETA: &str = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"B\"\n";
    const WEB: &str = "[[brand.source]]\nname = \"web\"\nkind = \"web\"\n[[brand.source]]\nname = \"shop\"\nkind = \"web\"\n";

    #[test]
    fn the_process_takes_brands_and_sources() {
        let (paths, of_the_process) = changed("[log]\nlevel = \"debug\"\n", BETA);
        assert_eq!(paths, ["brand.beta", "log.level"]);
        assert!(of_the_process);
        let (paths, of_the_process) = changed("", WEB);
        assert_eq!(paths, ["brand.acme.source.shop"]);
        assert!(of_the_process);
    }

    #[test]
    fn what_has_no_dataflow_of_its_own_takes_no_brand() {
        let refused = plan(&config("", ""), config("", BETA), false).err();
        assert_eq!(refused.unwrap(), ["brand.beta is new: needs a restart"]);
        let hosts = "[workers]\nhosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";
        let refused = plan(&config(hosts, ""), config(hosts, BETA), true).err();
        assert_eq!(
            refused.unwrap(),
            ["brand.beta is new: needs a restart of all processes of the cluster, together"]
        );
    }

    #[test]
    fn the_process_takes_a_gate_that_hides_more_and_no_other() {
        let of = |release: &str| config(&format!("[release]\n{release}\n"), "");
        let planned = |before: &str, after: &str| plan(&of(before), of(after), true);
        let taken = |before: &str, after: &str| {
            let plan = planned(before, after).ok().unwrap();
            assert!(plan.of_the_process);
            let paths = plan.changes.into_iter().map(|change| change.path);
            paths.collect::<Vec<_>>()
        };
        assert_eq!(
            taken("k = 2", "k = 20"),
            ["release.k", "release.k_delta", "release.k_traffic"]
        );
        assert_eq!(
            taken("k = 20\ndominance = 80", "k = 20\ndominance = 70"),
            ["release.dominance"]
        );
        assert_eq!(
            taken("max_hold = \"1h\"", "max_hold = \"2h\""),
            ["release.max_hold"]
        );
        for (before, after) in [
            ("k = 20", "k = 19"),
            ("k = 20\ndominance = 70", "k = 20\ndominance = 71"),
            ("k = 20\nk_delta = 5", "k = 21\nk_delta = 4"),
            ("k_traffic = 10", "k_traffic = 9"),
            ("max_hold = \"2h\"", "max_hold = \"1h\""),
        ] {
            let refused = planned(before, after).err().unwrap();
            let why = "needs a restart, because only a gate that hides more is taken without one";
            assert!(refused.iter().any(|of| of.ends_with(why)), "{refused:?}");
        }
        let refused = planned("k = 1", "k = 20").err().unwrap();
        let why = "needs a restart, because a gate with k = 1 publishes other cells";
        assert!(refused.iter().all(|of| of.ends_with(why)), "{refused:?}");
        let random = planned("k = 5\nk_traffic = 1", "k = 5\nk_traffic = 5").err();
        assert_eq!(random.unwrap().len(), 1);
        // The gate of a brand that is new is its own matter.
        let own = format!("{BETA}[brand.release]\nk = 3\n");
        assert_eq!(changed("", &own).0, ["brand.beta"]);
    }

    #[test]
    fn a_shard_learns_of_the_brands_of_others() {
        let of = |beta: &str| {
            let brands = format!("shard = \"north\"\n{beta}");
            let config = config("[workers]\nshard = \"north\"\n", &brands);
            config.of_its_shard().unwrap()
        };
        let [south, west] = ["south", "west"].map(|shard| format!("{BETA}shard = \"{shard}\"\n"));
        let changed = |before: &str, after: &str| {
            let reload = plan(&of(before), of(after), true).ok().unwrap();
            assert!(reload.of_the_process);
            assert_eq!(reload.next.others, of(after).others);
            let changes = reload.changes.iter().map(Change::to_string);
            changes.collect::<Vec<_>>()
        };
        assert_eq!(
            changed("", &south),
            ["brand.beta of the shard south is new"]
        );
        assert_eq!(
            changed(&south, ""),
            ["brand.beta of the shard south was removed"]
        );
        let moved = "brand.beta.shard changed from the shard south to the shard west";
        assert_eq!(changed(&south, &west), [moved]);
    }

    #[test]
    fn a_source_that_changes_what_came_before_is_refused() {
        let partner = "[[brand.source]]\nname = \"mall\"\nkind = \"partner\"\n";
        assert_eq!(
            refused("", partner),
            [
                "brand.acme.source.mall is new: needs a restart, because visits of before would have to be matched with its sightings"
            ]
        );
        let open = "[[brand.source]]\nname = \"tags\"\nkind = \"web\"\ntrust = \"open\"\n[[brand.source]]\nname = \"web\"\nkind = \"web\"\n";
        assert_eq!(
            refused("", open),
            [
                "brand.acme.source.tags is new: needs a restart, because the journeys of before would vouch for nobody any more"
            ]
        );
    }

    #[test]
    fn everything_else_is_refused_by_name_and_nothing_is_applied() {
        let head = "[log]\nlevel = \"debug\"\n[workers]\nthreads = 3\n[release]\nk = 40\n";
        assert_eq!(
            refused(head, ""),
            [
                "release.k changed from 50 to 40: needs a restart, because only a gate that hides more is taken without one",
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
        let source = "[[brand.source]]\nname = \"shop\"\nkind = \"web\"\n";
        assert_eq!(
            refused("", source),
            // The one that the kind has by itself.
            ["brand.acme.source.web was removed: needs a restart"]
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
        let refused = plan(&text("one"), text("two"), true).err();
        assert_eq!(
            refused.unwrap(),
            [
                "brand.acme.identity.blocked changed: needs a restart",
                "brand.acme.secret changed: needs a restart"
            ]
        );
    }
}

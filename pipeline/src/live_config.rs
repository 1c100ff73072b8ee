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
mod tests;

//! Verifies the audit logs of the registrar again and again, for metrics and the
//! alert on them.
//!
//! A log is opened, and verified, once at startup; what changes it afterwards is
//! otherwise noticed at the next start. Each check starts from the head of the
//! check before: a log whose end was removed no longer contains it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tributary_config::model::{Brand, Config};
use tributary_rights::audit::verify;
use tributary_rights::{FileError, Head};

use super::files;
use crate::report::metrics::Metrics;

/// Interval between two checks.
const EVERY: Duration = Duration::from_secs(600);

/// Checks until `stop`; returns at once on a process that is not the registrar.
pub async fn watch(config: Config, metrics: Arc<Metrics>, stop: impl Future<Output = ()>) {
    if !files::is_registrar(&config) {
        return;
    }
    let mut heads = BTreeMap::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let (config, metrics) = (config.clone(), metrics.clone());
        let checked = tokio::task::spawn_blocking(move || {
            check(&config, &mut heads, &metrics);
            heads
        });
        match checked.await {
            Ok(checked) => heads = checked,
            Err(error) => {
                tracing::error!(%error, "the audit logs are no longer checked");
                return;
            }
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Checks the log of each brand. `heads` has those of the last check.
pub fn check(config: &Config, heads: &mut BTreeMap<String, Head>, metrics: &Metrics) {
    let directory = files::directory(config).join("audit");
    for brand in &config.brands {
        let known = heads.get(&brand.name).copied();
        match verified(&directory, brand, known) {
            Ok(head) => {
                metrics.audit_chain(&brand.name, Some(head));
                heads.insert(brand.name.clone(), head);
            }
            Err(error) => {
                tracing::error!(brand = brand.name, %error, "the audit log is damaged");
                metrics.audit_chain(&brand.name, None);
            }
        }
    }
}

/// The head of the log of a brand, if the log is whole and contains `known`.
///
/// # Errors
///
/// A damaged, shortened or unreadable log.
fn verified(directory: &Path, brand: &Brand, known: Option<Head>) -> Result<Head, FileError> {
    let path = directory.join(format!("{}.jsonl", brand.name));
    let log = verify(&path, &files::keys(brand), known)?;
    Ok(Head {
        seq: log.entries,
        hash: log.last_hash,
    })
}

#[cfg(test)]
mod tests {
    use tributary_rights::audit::{AuditLog, Event};
    use tributary_rights::{Reason, Request, Right};

    use super::*;

    #[test]
    fn a_changed_and_a_shortened_log_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[ledger]\ndirectory = {:?}\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"ACME\"\n",
            folder.path()
        );
        let secret = |name: &str| (name == "ACME").then(|| tributary_testkit::SECRET.to_owned());
        let loaded = tributary_config::parse_in(&text, Path::new("test.toml"), &secret);
        let config = loaded.unwrap().config;
        let keys = files::keys(&config.brands[0]);
        let directory = files::directory(&config).join("audit");
        let mut log = AuditLog::open(&directory, &keys).unwrap().log;
        let request = r#"{"id":"r-1","ts":"2025-11-20T09:00:00Z","type":"erase","proof":"ticket 1","identifiers":[{"kind":"email","value":"jane@example.org"}]}"#;
        let request = Request::parse(request.as_bytes(), Some("acme"), &|_| true).unwrap();
        let (key, content) = (keys.request(&request.id), request.fingerprint(&keys));
        let mut append = |event| log.append(1, key, Right::Erase, event).unwrap();
        append(Event::Received { content });
        append(Event::Started);

        let metrics = Metrics::new(&config);
        let mut heads = BTreeMap::new();
        let mut seen = || {
            check(&config, &mut heads, &metrics);
            let text = metrics.encode();
            let value = |name: &str| {
                let series = format!("tributary_audit_chain_{name}{{brand=\"acme\"}} ");
                let mut values = text.lines().filter_map(|line| line.strip_prefix(&series));
                values.next().unwrap().parse::<f64>().unwrap()
            };
            (value("verified"), value("entries"))
        };
        assert_eq!(seen(), (1.0, 2.0));
        append(Event::Rejected {
            reason: Reason::NotFound,
        });
        assert_eq!(seen(), (1.0, 3.0));

        let path = directory.join("acme.jsonl");
        let whole = std::fs::read(&path).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let changed = text.replace("not_found", "not_theirs");
        assert_ne!(changed, text);
        std::fs::write(&path, changed).unwrap();
        assert_eq!(seen().0, 0.0);
        let cut = text.trim_end().rfind('\n').unwrap() + 1;
        std::fs::write(&path, &text[..cut]).unwrap();
        assert_eq!(seen().0, 0.0, "the last entry is missing");
        std::fs::write(&path, whole).unwrap();
        assert_eq!(seen(), (1.0, 3.0));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen().0, 0.0);
    }
}

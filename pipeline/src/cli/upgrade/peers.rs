//! Which processes run now, by the leases at the broker, and whether this program
//! would run beside them.

use tributary_config::model::Config;
use tributary_connectors::nats::{self, Holder, RENEWAL};

use super::finding::{Finding, Outcome};
use crate::version::{COMMIT, TEXT, VERSION};

/// Checks the processes that hold a lease. A broker that does not answer is a finding.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let found = ask(config).await;
    found.unwrap_or_else(|error| {
        let text = format!("cannot be asked who runs now: {error:#}");
        let found = Finding::new(Outcome::Refused, "broker", text);
        vec![found.fix("start it, or leave it out with --offline")]
    })
}

/// Asks the broker for the processes that hold a lease.
///
/// # Errors
///
/// A broker that does not answer.
async fn ask(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let client = nats::connect(&config.nats, "tributary upgrade").await?;
    let stream = &config.nats.output_stream;
    let before = nats::holders(&client, stream).await?;
    if before.is_empty() {
        let text = format!("no process has published to {stream} yet");
        return Ok(vec![Finding::new(Outcome::Ok, "broker", text)]);
    }
    // Whoever runs renews its lease meanwhile.
    tokio::time::sleep(RENEWAL + RENEWAL / 2).await;
    let now = nats::holders(&client, stream).await?;
    let of_shard = |(holder, _): &(Holder, u64)| holder.shard == config.workers.shard;
    let runs = now
        .into_iter()
        .filter(of_shard)
        .filter(|(holder, sequence)| {
            let is_same =
                |(other, last): &(Holder, u64)| other.name() == holder.name() && last == sequence;
            !holder.released && !before.iter().any(is_same)
        });
    let processes = config.workers.hosts.len().max(1);
    let mut findings: Vec<Finding> = runs
        .map(|(holder, _)| of_process(&holder, processes))
        .collect();
    if findings.is_empty() {
        let text = format!("no process that publishes to {stream} runs now");
        findings.push(Finding::new(Outcome::Ok, "broker", text));
    }
    Ok(findings)
}

/// What a process that runs means for the upgrade.
fn of_process(holder: &Holder, processes: usize) -> Finding {
    let Holder {
        processes: of,
        host,
        version,
        since,
        ..
    } = holder;
    let subject = format!("process {}", holder.name());
    let build = holder.build_in_words();
    let text = format!("runs version {version}{build} on {host} since {since}");
    let is_this = version == VERSION && (holder.build.is_empty() || holder.build == COMMIT);
    if *of != processes {
        let text = format!("{text}, in a cluster of {of}, and the configuration has {processes}");
        return Finding::new(Outcome::Refused, subject, text)
            .fix("give workers.hosts as many processes as the cluster has");
    }
    match (processes, is_this) {
        (1, _) => Finding::new(Outcome::Note, subject, text)
            .fix("stop it before this version starts; it gives its lease back at once"),
        (_, true) => {
            let text = format!("{text}, which is this build: both may run beside each other");
            Finding::new(Outcome::Ok, subject, text)
        }
        (_, false) => {
            let text = format!("{text}, and this is {TEXT}, which does not run beside it");
            Finding::new(Outcome::Warning, subject, text)
                .fix("stop all processes of the cluster, and start all of them in this version")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        processes: usize,
        (version, build): (&str, &str),
        configured: usize,
    ) -> (Outcome, String) {
        let holder = Holder {
            process: 0,
            processes,
            shard: None,
            brands: Vec::new(),
            ledger: String::new(),
            copy: String::new(),
            barrier: 0,
            address: String::new(),
            manifest: 0,
            commits: 0,
            host: "a".to_owned(),
            version: version.to_owned(),
            build: build.to_owned(),
            settings: String::new(),
            since: "now".to_owned(),
            released: false,
        };
        let found = of_process(&holder, configured);
        (found.outcome, found.text)
    }

    #[test]
    fn versions_do_not_mix_in_a_cluster() {
        assert_eq!(found(1, ("0.0.1", ""), 1).0, Outcome::Note);
        assert_eq!(found(3, (VERSION, COMMIT), 3).0, Outcome::Ok);
        let (outcome, text) = found(3, (VERSION, "another"), 3);
        assert_eq!(outcome, Outcome::Warning);
        assert!(text.contains("another") && text.contains(COMMIT), "{text}");
        let (outcome, text) = found(3, ("0.0.1", ""), 3);
        assert_eq!(outcome, Outcome::Warning);
        assert!(text.contains("0.0.1") && text.contains(VERSION), "{text}");
        assert_eq!(found(3, (VERSION, COMMIT), 2).0, Outcome::Refused);
    }
}

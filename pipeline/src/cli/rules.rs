//! `tributary rules`: the recording and alerting rules of `grafana/rules` as
//! one file for Prometheus, with the address of the operator's runbook.
//!
//! The files contain a placeholder for that address, because only the operator
//! knows it.

use anyhow::{anyhow, bail};
use tributary_connectors::terminal;

use crate::cli::args as cli;

/// The recording rules.
const RECORDING: &str = include_str!("../../../grafana/rules/recording.yml");
/// The alerting rules.
const ALERTS: &str = include_str!("../../../grafana/rules/alerts.yml");

/// Placeholder for the address of the runbook.
pub const RUNBOOK: &str = "https://runbooks.example.com/tributary";

/// Executes the command.
///
/// # Errors
///
/// Those of [`rules`].
pub fn command(args: &cli::Rules) -> anyhow::Result<()> {
    Ok(terminal::print(rules(&args.runbook_url)?)?)
}

/// The rules with the address of the runbook; the section of an alert is
/// `address#alert`.
///
/// # Errors
///
/// An address that is not an HTTP URL, or that could change the meaning of the
/// file.
pub fn rules(runbook: &str) -> anyhow::Result<String> {
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| runbook.strip_prefix(scheme));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/?[]@!$&()*+,;=%".contains(c);
    if !rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(is_plain)) {
        bail!(
            "--runbook-url {runbook:?} is not a valid address: expected https://HOST/PATH without #, where \
             grafana/RUNBOOK.md is published; each alert appends #alertname"
        );
    }
    let groups = |text: &'static str| {
        let found = text.split_once("groups:\n").map(|(_, groups)| groups);
        found.ok_or_else(|| anyhow!("the rules contain no groups"))
    };
    let (recording, alerts) = (groups(RECORDING)?, groups(ALERTS)?);
    let alerts = alerts.replace(RUNBOOK, runbook);
    Ok(format!(
        "# Prometheus rules of Tributary {}: `tributary rules --runbook-url {runbook}`.\ngroups:\n{recording}\n{alerts}",
        crate::version::VERSION
    ))
}

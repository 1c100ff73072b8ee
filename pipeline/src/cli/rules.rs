//! `tributary rules`: the recording and alerting rules of `grafana/rules`, as one file for Prometheus, with the address
//! under which whoever is woken finds the runbook.
//!
//! The files hold a placeholder for that address, because only an operator knows where the runbook is read.

use anyhow::{anyhow, bail};
use tributary_connectors::terminal;

use crate::cli::args as cli;

const RECORDING: &str = include_str!("../../../grafana/rules/recording.yml");
const ALERTS: &str = include_str!("../../../grafana/rules/alerts.yml");

/// What stands in the files for the runbook's address.
pub const RUNBOOK: &str = "https://runbooks.example.com/tributary";

/// The command.
///
/// # Errors
/// See [`rules`].
pub fn command(args: &cli::Rules) -> anyhow::Result<()> {
    Ok(terminal::print(rules(&args.runbook_url)?)?)
}

/// The rules, with the address of the runbook: a section of it is `address#alert`.
///
/// # Errors
/// Where the address is no URL for people, or could change what the file says.
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

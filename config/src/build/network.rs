//! The network: what is neither encrypted nor authenticated stays on this machine,
//! unless the operator states that the network belongs to nobody else.

use std::net::IpAddr;

use crate::context::Context;
use crate::model::{Nats, Telemetry, Workers};
use crate::read::SectionReading;

/// Reports a broker beyond this machine without TLS.
pub(super) fn check_broker(nats: &SectionReading<Nats>, cx: &mut Context<'_>) {
    let model = &nats.model;
    let tls = model.tls || model.tls_ca_file.is_some() || model.tls_cert_file.is_some();
    if model.private_network || tls || !nats.are_valid(&["url", "private_network"]) {
        return;
    }
    let plain = model.url.split(',').filter_map(|url| {
        // A scheme is the same in capitals (RFC 3986, section 3.1).
        let (scheme, address) = url.trim().split_once("://")?;
        (scheme.eq_ignore_ascii_case("nats") && !is_this_machine(address)).then_some(address)
    });
    if let Some(address) = plain.into_iter().next() {
        let (place, path) = nats.location_of("url");
        let message = format!(
            "{address} is beyond this machine, and nats:// transports records and passwords in clear text"
        );
        let fix = "use tls://, or set nats.private_network = true if nobody else can read or change what the network transports";
        cx.report(place, &path, message, fix);
    }
}

/// Reports a collector of telemetry beyond this machine without TLS.
pub(super) fn check_collector(telemetry: &SectionReading<Telemetry>, cx: &mut Context<'_>) {
    let model = &telemetry.model;
    if model.private_network || !telemetry.are_valid(&["otlp_endpoint", "private_network"]) {
        return;
    }
    let plain = model.otlp_endpoint.as_deref().unwrap_or_default();
    let host = plain.strip_prefix("http://").unwrap_or_default();
    let host = host.split('/').next().unwrap_or_default();
    if host.is_empty() || is_this_machine(host) {
        return;
    }
    let (place, path) = telemetry.location_of("otlp_endpoint");
    let message = format!(
        "{host} is beyond this machine, and http:// transports logs and the headers with their keys in clear text"
    );
    let fix = "use https://, or set telemetry.private_network = true if nobody else can read or change what the network transports";
    cx.report(place, &path, message, fix);
}

/// Reports processes of a cluster beyond this machine.
pub(super) fn check_peers(workers: &SectionReading<Workers>, cx: &mut Context<'_>) {
    let model = &workers.model;
    let settings = ["hosts", "address", "private_network", "tls_cert_file"];
    if model.private_network || model.has_tls() || !workers.are_valid(&settings) {
        return;
    }
    let own = beyond_this_machine(model.address.as_slice()).map(|address| (address, "address"));
    let other = beyond_this_machine(&model.hosts).map(|host| (host, "hosts"));
    if let Some((host, setting)) = other.or(own) {
        let (place, path) = workers.location_of(setting);
        let message = format!(
            "{host} is beyond this machine, and processes exchange records neither encrypted nor authenticated"
        );
        let fix = "set workers.tls_ca_file, tls_cert_file and tls_key_file, or workers.private_network = true if only the processes of the cluster can reach these ports";
        cx.report(place, &path, message, fix);
    }
}

/// The first of these hosts that is beyond this machine.
pub fn beyond_this_machine(hosts: &[String]) -> Option<&str> {
    let mut beyond = hosts.iter().filter(|host| !is_this_machine(host));
    beyond.next().map(String::as_str)
}

/// Whether an address, with or without a port, is one of this machine.
fn is_this_machine(address: &str) -> bool {
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => address.split(':').next().unwrap_or_default(),
    };
    let is_loopback = |address: IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_few_names() {
        for mine in [
            "localhost",
            "LOCALHOST:4222",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:4222",
        ] {
            assert!(is_this_machine(mine), "{mine}");
        }
        for other in [
            "nats:4222",
            "10.0.0.1:4222",
            "[2001:db8::1]:4222",
            "localhost.example:1",
            "127.example:1",
            "",
        ] {
            assert!(!is_this_machine(other), "{other}");
        }
    }
}

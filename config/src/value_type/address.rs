//! Addresses: of the broker, of the HTTP server, and of the cluster's
//! processes.

use std::net::SocketAddr;

use serde_json::{Value as Json, json};
use url::Url;

use super::scalar::{CheckedText, Invalid, Scalar, invalid};
use crate::context::quote;

/// The broker's addresses, separated by commas. They must not contain a login,
/// and because one may be there by mistake, no message repeats an address with
/// an `@`.
pub(crate) struct Broker;

/// Accepts `nats://host`, `nats://host:port` and the same with `tls://`,
/// several separated by commas and white space. Rejects other schemes, paths,
/// queries, fragments, and any login.
impl CheckedText for Broker {
    fn kind(&self) -> String {
        "addresses, comma separated".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*(nats|tls)://[^@/]+/?(\\s*,\\s*(nats|tls)://[^@/]+/?)*\\s*$"})
    }

    /// Parses all addresses and joins them with commas, without white space.
    ///
    /// # Errors
    /// The first address that is invalid; the remedy suggests `nats://` for an
    /// address without a scheme.
    fn check(&self, text: &str) -> Result<String, Invalid> {
        let addresses: Vec<&str> = text.split(',').map(str::trim).collect();
        for address in &addresses {
            one_broker(address)?;
        }
        Ok(addresses.join(","))
    }
}

/// Whether a character does not show in an address. Parsers of URLs drop some of
/// them, so that the scheme would be another one than the one that is compared.
fn is_hidden(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// What is wrong with an address that has such a character.
fn hidden() -> Invalid {
    invalid(
        "holds white space or a control character inside an address",
        "write the address without it",
    )
}

/// Checks one address.
fn one_broker(address: &str) -> Result<(), Invalid> {
    if address.contains('@') {
        return Err(invalid(
            "holds a user, a password or a token, and would be shown wherever the address is",
            "leave nats://host:port, and use user with password_file or password_env, \
             nkey_seed_file or credentials_file",
        ));
    }
    if address.contains(is_hidden) {
        return Err(hidden());
    }
    let shown = quote(address);
    let example = r#"write it like "nats://127.0.0.1:4222" or "tls://broker.example:4222""#;
    if !address.contains("://") {
        let meant = format!("nats://{address}");
        let fix = match address.is_empty() || one_broker(&meant).is_err() {
            true => example.to_owned(),
            false => format!("did you mean {}?", quote(&meant)),
        };
        return Err(invalid(format!("{shown} is not a broker address"), fix));
    }
    let url = Url::parse(address)
        .map_err(|error| invalid(format!("{shown} is not a broker address: {error}"), example))?;
    if !matches!(url.scheme(), "nats" | "tls") {
        let message = format!("{shown} does not begin with nats:// or tls://");
        return Err(invalid(message, example));
    }
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if url.host_str().is_none_or(str::is_empty) || !bare {
        let message = format!("{shown} is more or less than a host and a port");
        return Err(invalid(message, example));
    }
    Ok(())
}

/// The listen address of the HTTP server: an IP address and a port, never a
/// name, because a name may resolve to an address that others can reach.
pub(crate) struct Listen;

/// Accepts what `SocketAddr` parses: `127.0.0.1:9464`, `[::1]:9464`.
impl Scalar for Listen {
    type Out = SocketAddr;

    fn kind(&self) -> String {
        "an IP address and a port".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^([0-9.]+|\\[[0-9A-Fa-f:.%]+\\]):[0-9]{1,5}$"})
    }

    /// Parses an IP address and a port.
    ///
    /// # Errors
    /// Anything else; the remedy suggests the loopback address for
    /// `localhost:9464`, `:9464` and `9464`.
    fn parse(&self, text: &str) -> Result<SocketAddr, Invalid> {
        text.trim().parse().map_err(|_| {
            let meant = match text.trim().rsplit_once(':') {
                Some(("" | "localhost", port)) => port.parse::<u16>().ok(),
                None => text.trim().parse::<u16>().ok(),
                _ => None,
            };
            let fix = match meant {
                Some(port) => format!("did you mean \"127.0.0.1:{port}\"?"),
                None => r#"write it like "127.0.0.1:9464" or "[::1]:9464""#.to_owned(),
            };
            invalid(
                format!("{} is not an IP address with a port", quote(text)),
                fix,
            )
        })
    }

    fn write(&self, out: &SocketAddr) -> String {
        out.to_string()
    }
}

/// The origin of a page (RFC 6454): a scheme, a host and perhaps a port.
pub(crate) struct Origin;

/// Accepts `https://shop.example` and the same with `http://` or a port. Keeps
/// it as browsers send it: in lower case, without a default port.
impl CheckedText for Origin {
    fn kind(&self) -> String {
        "an origin such as https://shop.example".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$"})
    }

    /// Parses an origin.
    ///
    /// # Errors
    /// Anything else, such as `*`, a host without a scheme, or an address with
    /// a path.
    fn check(&self, text: &str) -> Result<String, Invalid> {
        let shown = quote(text);
        let wrong = || {
            invalid(
                format!("{shown} is not the origin of a page"),
                r#"write it like "https://shop.example" or "https://shop.example:8443""#,
            )
        };
        let url = Url::parse(text.trim()).map_err(|_| wrong())?;
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        match matches!(url.scheme(), "http" | "https") && is_bare {
            true => Ok(url.origin().ascii_serialization()),
            false => Err(wrong()),
        }
    }
}

/// The address of an OTLP collector, to whose path those of the signals are added.
/// It must not contain a login, and no message repeats an address with an `@`.
pub(crate) struct Collector;

/// Accepts `https://host`, the same with `http://`, a port or a path. Keeps it in
/// lower case up to the path, without a trailing slash.
impl CheckedText for Collector {
    fn kind(&self) -> String {
        "an address such as https://otel.example:4318".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^\\s*[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$"})
    }

    /// Parses the address of a collector.
    ///
    /// # Errors
    /// Another scheme, and anything besides host, port and path.
    fn check(&self, text: &str) -> Result<String, Invalid> {
        if text.contains('@') {
            return Err(invalid(
                "holds a user, a password or a token, and would be shown wherever the address is",
                "leave https://host:port, and use otlp_headers_file or otlp_headers_env",
            ));
        }
        if text.trim().contains(is_hidden) {
            return Err(hidden());
        }
        let shown = quote(text);
        let wrong = || {
            invalid(
                format!("{shown} is not the address of a collector"),
                r#"write it like "https://otel.example:4318" or "http://127.0.0.1:4318""#,
            )
        };
        let url = Url::parse(text.trim()).map_err(|_| wrong())?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        match matches!(url.scheme(), "http" | "https") && is_plain {
            true => Ok(url.as_str().trim_end_matches('/').to_owned()),
            false => Err(wrong()),
        }
    }
}

/// The address of a process of the cluster: `host:port`, with IPv6 addresses in
/// brackets.
pub(crate) struct Host;

/// Accepts a name or an IPv4 address, or an IPv6 address in brackets, each with
/// a port from 1. The port is required because a cluster has no standard one.
impl CheckedText for Host {
    fn kind(&self) -> String {
        "`host:port`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "pattern": "^[^\\s/:]+:[0-9]{1,5}$|^\\[[^\\s/]+\\]:[0-9]{1,5}$"})
    }

    /// Trims white space and returns the address as it is; names are resolved
    /// when the cluster connects.
    ///
    /// # Errors
    /// A missing host or port, port 0, and an IPv6 address without brackets,
    /// whose port would be ambiguous.
    fn check(&self, text: &str) -> Result<String, Invalid> {
        let text = text.trim();
        let example = r#"write it like "worker-0.example:2101""#;
        let wrong = || {
            invalid(
                format!("{} is not a host with a port", quote(text)),
                example,
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = !host.is_empty() && host.chars().all(plain);
        let bracketed = (host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']')))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        let listens = digits && port.parse::<u16>().is_ok_and(|port| port > 0);
        if !(named || bracketed) || !listens {
            return Err(wrong());
        }
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_addresses_hold_no_password() {
        for good in [
            "nats://127.0.0.1:4222",
            "tls://broker.example",
            "nats://[::1]:4222",
        ] {
            assert_eq!(Broker.parse(good).unwrap(), good);
        }
        assert_eq!(
            Broker.parse("nats://a:1, nats://b:2").unwrap(),
            "nats://a:1,nats://b:2"
        );
        for bad in [
            "nats://bob:hunter2@h:4222",
            "nats://hunter2@h",
            "bob:hunter2@h:4222",
        ] {
            let fault = Broker.parse(bad).unwrap_err();
            assert!(!format!("{fault:?}").contains("hunter2"));
            assert!(fault.fix.contains("password_file"));
        }
        for bad in [
            "",
            "http://h:1",
            "nats://",
            "nats://h:1/path",
            "nats://h:99999",
            "nats://h:1,",
        ] {
            assert!(Broker.parse(bad).is_err(), "{bad}");
        }
        let fix = Broker.parse("localhost:4222").unwrap_err().fix;
        assert_eq!(fix, "did you mean \"nats://localhost:4222\"?");
    }

    #[test]
    fn listening_needs_an_ip_address() {
        assert!(Listen.parse("[::1]:9464").is_ok());
        for bad in ["localhost:9464", ":9464", "9464"] {
            let fix = Listen.parse(bad).unwrap_err().fix;
            assert_eq!(fix, "did you mean \"127.0.0.1:9464\"?");
        }
    }

    #[test]
    fn collectors_have_a_host_and_perhaps_a_path() {
        for (given, kept) in [
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318"),
            (" https://OTEL.example ", "https://otel.example"),
            ("https://otel.example:443/a/B/", "https://otel.example/a/B"),
            ("http://[::1]:4318", "http://[::1]:4318"),
        ] {
            assert_eq!(Collector.parse(given).unwrap(), kept);
        }
        for bad in [
            "",
            "otel.example:4318",
            "grpc://otel.example",
            "https://",
            "https://otel.example/?a=b",
            "https://otel.example/#a",
        ] {
            assert!(Collector.parse(bad).is_err(), "{bad}");
        }
        let fault = Collector.parse("https://bob:hunter2@h").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"));
    }

    #[test]
    fn hosts_have_ports() {
        for good in [
            "h:1",
            "worker-0.example:2101",
            "[::1]:2101",
            "10.0.0.1:65535",
        ] {
            assert_eq!(Host.parse(good).unwrap(), good);
        }
        for bad in [
            "",
            "h",
            "h:",
            ":1",
            "h:0",
            "h:65536",
            "h:+1",
            "::1:2101",
            "a b:1",
            "http://h:1",
        ] {
            assert!(Host.parse(bad).is_err(), "{bad}");
        }
    }
}

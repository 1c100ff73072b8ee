//! Sites: hosts that belong together.
//!
//! A site is a registrable domain: a public suffix and the label before it,
//! which somebody registered. Suffixes come from the [Public Suffix
//! List](https://publicsuffix.org/), private ones (`github.io`,
//! `myshopify.com`) included, so that two shops on one platform are two sites.
//! An address without a registrable domain is a site of its own.

use std::net::IpAddr;

/// The registrable domain of a host in lower case; the host itself if it has
/// none.
///
/// ```
/// use tributary_connectors::native::site::registrable_domain;
///
/// assert_eq!(registrable_domain("www.shop.example.co.uk"), "example.co.uk");
/// assert_eq!(registrable_domain("acme.myshopify.com"), "acme.myshopify.com");
/// assert_eq!(registrable_domain("192.0.2.1"), "192.0.2.1");
/// ```
pub fn registrable_domain(host: &str) -> &str {
    if is_address(host) {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

/// A host in lower case without its public suffix and the dot before it. `None`
/// if the suffix is not one of a registry, or nothing precedes it.
pub(super) fn stem(host: &str) -> Option<&str> {
    if is_address(host) {
        return None;
    }
    let suffix = psl::suffix(host.as_bytes())?;
    if suffix.typ() != Some(psl::Type::Icann) {
        return None;
    }
    let rest = host.len().checked_sub(suffix.as_bytes().len() + 1)?;
    host.get(..rest)
}

/// Whether a host is one of `hosts` or below one of them.
/// ```
/// use tributary_connectors::native::site::is_within;
///
/// assert!(is_within("www.paypal.com", &["paypal.com"]));
/// assert!(!is_within("notpaypal.com", &["paypal.com"]));
/// ```
pub fn is_within<T: AsRef<str>>(host: &str, hosts: &[T]) -> bool {
    hosts.iter().any(|parent| {
        host.strip_suffix(parent.as_ref())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether a host is an IP address; IPv6 in the brackets of RFC 3986.
fn is_address(host: &str) -> bool {
    // Others than these need not be parsed.
    let may_be = host.ends_with(|c: char| c.is_ascii_digit()) || host.contains(':');
    host.starts_with('[') || may_be && host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_what_was_registered() {
        for (host, site) in [
            ("shop.example", "shop.example"),
            ("www.shop.example", "shop.example"),
            ("a.b.shop.co.uk", "shop.co.uk"),
            ("shop.github.io", "shop.github.io"),
            ("a.shop.myshopify.com", "shop.myshopify.com"),
            ("co.uk", "co.uk"),
            ("localhost", "localhost"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(registrable_domain(host), site, "{host}");
        }
    }

    #[test]
    fn only_suffixes_of_registries_are_taken_off() {
        assert_eq!(stem("www.google.co.uk"), Some("www.google"));
        assert_eq!(stem("google.com"), Some("google"));
        for host in [
            "google.blogspot.com",
            "google.example",
            "com",
            "",
            "192.0.2.7",
        ] {
            assert_eq!(stem(host), None, "{host}");
        }
    }

    #[test]
    fn a_host_stands_for_all_below_it() {
        let hosts = ["paypal.com", "pay.example"];
        assert!(is_within("paypal.com", &hosts));
        assert!(is_within("www.paypal.com", &hosts));
        assert!(!is_within("notpaypal.com", &hosts));
        assert!(!is_within("example", &hosts));
    }
}

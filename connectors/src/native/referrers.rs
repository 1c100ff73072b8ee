//! Referring hosts: search engines, social networks, and everybody else.
//!
//! The table is `config/referrers.toml`, part of the binary. A host is looked up by its suffixes at
//! label boundaries, longest first, so that `news.google.co.uk` is Google and `notgoogle.com` is not.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use toml_edit::{DocumentMut, Item};

const TABLE: &str = include_str!("../../../config/referrers.toml");

/// The medium of a known host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A search engine.
    Organic,
    /// A social network.
    Social,
}

impl Medium {
    /// The word in the channel.
    pub fn name(self) -> &'static str {
        match self {
            Medium::Organic => "organic",
            Medium::Social => "social",
        }
    }
}

#[derive(Default)]
struct Table {
    hosts: FxHashMap<String, (String, Medium)>,
    names: FxHashMap<String, (String, Medium)>,
}

static KNOWN: LazyLock<Table> = LazyLock::new(|| read(TABLE).unwrap_or_default());

/// The name and medium of a host in lower case, where it is a search engine or a social network.
pub fn known(host: &str) -> Option<(&'static str, Medium)> {
    let mut suffix = host;
    loop {
        if let Some((name, medium)) = KNOWN.hosts.get(suffix) {
            return Some((name, *medium));
        }
        let (label, rest) = suffix.split_once('.')?;
        match KNOWN.names.get(label) {
            Some((name, medium)) if is_top_level(rest) => return Some((name, *medium)),
            _ => suffix = rest,
        }
    }
}

/// Whether names are registered directly below this domain.
fn is_top_level(domain: &str) -> bool {
    let country = |label: &str| label.len() == 2 && label.bytes().all(|c| c.is_ascii_lowercase());
    match domain.split_once('.') {
        Some((second, first)) => matches!(second, "co" | "com" | "net" | "org") && country(first),
        None => matches!(domain, "com" | "net" | "org" | "info" | "cat") || country(domain),
    }
}

fn read(text: &str) -> Option<Table> {
    let document: DocumentMut = text.parse().ok()?;
    let mut table = Table::default();
    for (section, medium) in [("search", Medium::Organic), ("social", Medium::Social)] {
        for (name, hosts) in document.get(section).and_then(Item::as_table)? {
            for host in hosts.as_array()?.iter() {
                let entry = (name.to_owned(), medium);
                match host.as_str()?.strip_suffix(".*") {
                    Some(label) => table.names.insert(label.to_owned(), entry),
                    None => table.hosts.insert(host.as_str()?.to_owned(), entry),
                };
            }
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_repository_is_read() {
        let table = read(TABLE).unwrap();
        for name in [
            "google",
            "bing",
            "duckduckgo",
            "yahoo",
            "ecosia",
            "qwant",
            "baidu",
            "yandex",
        ] {
            let all = table.hosts.values().chain(table.names.values());
            assert!(
                all.clone()
                    .any(|entry| *entry == (name.to_owned(), Medium::Organic)),
                "{name}"
            );
        }
        for name in [
            "facebook",
            "instagram",
            "linkedin",
            "pinterest",
            "reddit",
            "tiktok",
        ] {
            let all = table.hosts.values().chain(table.names.values());
            assert!(
                all.clone()
                    .any(|entry| *entry == (name.to_owned(), Medium::Social)),
                "{name}"
            );
        }
    }

    #[test]
    fn subdomains_and_countries_match_and_lookalikes_do_not() {
        for (host, name) in [
            ("google.com", "google"),
            ("news.google.com", "google"),
            ("google.co.uk", "google"),
            ("google.com.br", "google"),
            ("fr.search.yahoo.com", "yahoo"),
            ("yandex.ru", "yandex"),
            ("m.facebook.com", "facebook"),
            ("l.instagram.com", "instagram"),
            ("t.co", "twitter"),
            ("pinterest.fr", "pinterest"),
            ("out.reddit.com", "reddit"),
            ("cn.bing.com", "bing"),
        ] {
            assert_eq!(known(host).map(|found| found.0), Some(name), "{host}");
        }
        for host in [
            "notgoogle.com",
            "google.evil.com",
            "google.example",
            "google",
            "mybing.com",
            "facebook.com.evil.org",
            "com",
            "",
            "reddit.t.com",
            "brave.com",
            "google.co.uk.org",
        ] {
            assert_eq!(known(host), None, "{host}");
        }
    }
}

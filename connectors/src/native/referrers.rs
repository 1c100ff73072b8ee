//! Referring hosts: search engines, social networks, and all others.
//!
//! Two tables are part of the binary: `config/referrers.toml`, maintained by
//! hand, and `config/referrers-public.toml`, generated from a public list; the
//! first takes precedence. A host is looked up as it is, then without its first
//! label, and so on.
//!
//! Everything below a social network's host is that network. Below a search
//! engine's host only what is named like a search page is the engine:
//! `news.google.com` is, `mail.google.com` is somebody reading mail.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;
use toml_edit::{DocumentMut, Item};

use super::site;

/// The tables, in the order of precedence.
const TABLES: [&str; 2] = [
    include_str!("../../../config/referrers.toml"),
    include_str!("../../../config/referrers-public.toml"),
];

/// The labels below a search engine's host that are pages of the search itself,
/// besides languages and countries.
const SEARCH_LABELS: [&str; 19] = [
    "www",
    "www1",
    "www2",
    "www3",
    "m",
    "mobile",
    "touch",
    "search",
    "r",
    "html",
    "lite",
    "safe",
    "encrypted",
    "image",
    "images",
    "news",
    "shopping",
    "video",
    "videos",
];

/// The medium of a known referrer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A search engine.
    Organic,
    /// A social network.
    Social,
}

impl Medium {
    /// The medium in the channel.
    pub fn name(self) -> &'static str {
        match self {
            Medium::Organic => "organic",
            Medium::Social => "social",
        }
    }
}

/// A host of the tables: its name and medium. Without a medium it is another
/// service of a search company, and its referrals are ordinary.
type Entry = (String, Option<Medium>);

/// The hosts of all tables.
#[derive(Default)]
struct Table {
    /// By the whole host.
    hosts: FxHashMap<String, Entry>,
    /// By the host without its public suffix, for companies with one domain per
    /// country.
    names: FxHashMap<String, Entry>,
}

/// The parsed tables; a test checks that they parse.
static KNOWN: LazyLock<Table> = LazyLock::new(|| read(&TABLES).unwrap_or_default());

/// The name and medium of a host in lower case, if it is a search engine or a
/// social network.
///
/// ```
/// use tributary_connectors::native::referrers::{Medium, known};
///
/// assert_eq!(known("www.google.fr"), Some(("google", Medium::Organic)));
/// assert_eq!(known("mail.google.com"), None);
/// assert_eq!(known("shop.example"), None);
/// ```
pub fn known(host: &str) -> Option<(&'static str, Medium)> {
    let stem = site::stem(host);
    let (mut rest, mut below) = (host, true);
    loop {
        let entry = KNOWN.hosts.get(rest).or_else(|| {
            // What is left of the stem once the labels in front have been passed over.
            let passed = host.len() - rest.len();
            KNOWN.names.get(stem?.get(passed..)?)
        });
        if let Some((name, medium)) = entry {
            let medium = (*medium)?;
            return (medium == Medium::Social || below).then_some((name, medium));
        }
        let (label, parent) = rest.split_once('.')?;
        below &= is_search_label(label);
        rest = parent;
    }
}

/// Whether a label below a search engine's host names a page of the search: a
/// label of the list, a language, a country, or both joined by a hyphen.
fn is_search_label(label: &str) -> bool {
    let letters = |text: &str| text.len() == 2 && text.bytes().all(|c| c.is_ascii_lowercase());
    let locale = |text: &str| {
        letters(text)
            || text
                .split_once('-')
                .is_some_and(|(a, b)| letters(a) && letters(b))
    };
    SEARCH_LABELS.contains(&label) || locale(label)
}

/// Parses tables; an entry of an earlier table takes precedence.
fn read(texts: &[&str]) -> Option<Table> {
    let mut table = Table::default();
    let sections = [
        ("service", None),
        ("search", Some(Medium::Organic)),
        ("social", Some(Medium::Social)),
    ];
    for text in texts {
        let document: DocumentMut = text.parse().ok()?;
        for (section, medium) in sections {
            for (name, hosts) in document.get(section).and_then(Item::as_table)? {
                for host in hosts.as_array()?.iter() {
                    let host = host.as_str()?;
                    let (map, host) = match host.strip_suffix(".*") {
                        Some(stem) => (&mut table.names, stem),
                        None => (&mut table.hosts, host),
                    };
                    map.entry(host.to_owned())
                        .or_insert_with(|| (name.to_owned(), medium));
                }
            }
        }
    }
    Some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_repository_are_read() {
        let table = read(&TABLES).unwrap();
        let all = || table.hosts.values().chain(table.names.values());
        assert!(all().count() > 500);
        let has = |name: &str, medium| {
            assert!(
                all().any(|entry| *entry == (name.to_owned(), Some(medium))),
                "{name}"
            );
        };
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
            has(name, Medium::Organic);
        }
        for name in [
            "facebook",
            "instagram",
            "linkedin",
            "pinterest",
            "reddit",
            "tiktok",
        ] {
            has(name, Medium::Social);
        }
    }

    #[test]
    fn every_host_of_the_tables_is_written_as_a_host() {
        let table = read(&TABLES).unwrap();
        for host in table.hosts.keys().chain(table.names.keys()) {
            let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-_".contains(&c);
            assert!(host.bytes().all(fits) && !host.is_empty(), "{host}");
        }
    }

    #[test]
    fn search_pages_and_countries_match() {
        for (host, name) in [
            ("google.com", "google"),
            ("www.google.com", "google"),
            ("news.google.com", "google"),
            ("images.google.fr", "google"),
            ("google.co.uk", "google"),
            ("google.com.br", "google"),
            ("com.google.android.googlequicksearchbox", "google"),
            ("fr.search.yahoo.com", "yahoo"),
            ("yahoo.co.jp", "yahoo"),
            ("yandex.ru", "yandex"),
            ("yandex.com.tr", "yandex"),
            ("m.facebook.com", "facebook"),
            ("l.instagram.com", "instagram"),
            ("t.co", "twitter"),
            ("pinterest.fr", "pinterest"),
            ("www.pinterest.co.uk", "pinterest"),
            ("out.reddit.com", "reddit"),
            ("cn.bing.com", "bing"),
            ("html.duckduckgo.com", "duckduckgo"),
            ("m.baidu.com", "baidu"),
            ("id.search.yahoo.com", "yahoo"),
            ("go.mail.ru", "mail.ru"),
            ("digg.com", "digg"),
            ("search.seznam.cz", "seznam"),
        ] {
            assert_eq!(known(host).map(|found| found.0), Some(name), "{host}");
        }
    }

    #[test]
    fn other_services_and_lookalikes_do_not_match() {
        for host in [
            "accounts.youtube.com",
            "id.google.com",
            "id.yandex.ru",
            "mail.ru",
            "e.mail.ru",
            "amazon.com",
            "www.pricerunner.co.uk",
            "accounts.google.com",
            "mail.google.com",
            "docs.google.com",
            "drive.google.com",
            "calendar.google.com",
            "meet.google.com",
            "translate.google.fr",
            "sites.google.com",
            "maps.google.co.uk",
            "com.google.android.gm",
            "login.yahoo.com",
            "mail.yahoo.com",
            "mail.yahoo.co.jp",
            "mail.yandex.ru",
            "disk.yandex.ru",
            "passport.yandex.com",
            "pan.baidu.com",
            "login.live.com",
            "notgoogle.com",
            "google.evil.com",
            "google.example",
            "google.blogspot.com",
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

//! Subjects of cells, dead letters and data-subject requests.
//!
//! Anyone who may list subjects sees their tokens, so only closed sets become
//! tokens: the configured brands, families, kinds, and for a cell the hash of
//! its dimensions, which belong to an aggregate. Text from outside may contain
//! anything, such as an e-mail address, and is never repeated in a subject.
//!
//! | subject | content |
//! |---|---|
//! | `tributary.in.<brand>.<kind>[.<source>[.<partition>]]` | records |
//! | `tributary.in.<brand>.partner_mac[.<source>[.<partition>]]` | partner records with a `mac` |
//! | `tributary.out.<brand>.<family>.<hash>` | the latest value of one cell |
//! | `tributary.deadletter.<brand>.<kind>` | rejected lines |
//! | `tributary.rights.<brand>.request` | data-subject requests |
//! | `tributary.rights.<brand>.status`, `.receipt` | statuses and receipts |
//! | `tributary.rights.<brand>.callback` | statuses to post to the URLs of controllers |
//! | `tributary.rights.<brand>.cancel` | cancellations of requests |
//! | `tributary.rights.<brand>.answer.<key>` | answers, sealed for the requester |
//! | `tributary.rights.<brand>.part.<process>` | completed parts of a request |
//! | `tributary.rights.<brand>.start` | requests that process 0 began with |
//! | `tributary.rights.cluster.<topic>.<process>` | messages between the processes |

use data_encoding::HEXLOWER;
use tributary_config::model::{Kind, Nats};
use tributary_operators::cell::Family;

/// Captures every input message.
pub const INPUT: &str = "tributary.in.>";

/// A subject that ends before the kind, which is rejected by name.
const WITHOUT_KIND: &str = "tributary.in.*";

/// The words for what has MAC addresses in clear, and so goes to the pings
/// stream.
pub(super) fn words_of_pings() -> [&'static str; 2] {
    [Kind::Ping.name(), Kind::PARTNER_MAC]
}

/// The words for everything else.
pub(super) fn words_of_others() -> impl Iterator<Item = &'static str> {
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Ping);
    kinds.map(Kind::name)
}

/// The subjects of the input stream. Where messages with MAC addresses in clear
/// have a stream of their own, these are the subjects of all others.
pub fn input(nats: &Nats) -> Vec<String> {
    match nats.pings_stream {
        None => vec![INPUT.to_owned()],
        Some(_) => {
            let of_kinds = words_of_others().flat_map(|word| of_word("*", word));
            of_kinds.chain([WITHOUT_KIND.to_owned()]).collect()
        }
    }
}

/// The subjects of the pings stream.
pub fn pings() -> Vec<String> {
    let words = words_of_pings().into_iter();
    words.flat_map(|word| of_word("*", word)).collect()
}

/// The subjects with a word for the kind, of a brand; `*` for every brand.
pub(super) fn of_word(brand: &str, word: &str) -> [String; 2] {
    let subject = format!("tributary.in.{brand}.{word}");
    let longer = format!("{subject}.>");
    [subject, longer]
}

/// Whether a subject is one of the pings stream.
///
/// ```
/// use tributary_connectors::nats::subject::is_ping;
///
/// assert!(is_ping("tributary.in.acme.ping.boxes"));
/// assert!(is_ping("tributary.in.acme.partner_mac.portal"));
/// assert!(!is_ping("tributary.in.acme.web.ping"));
/// ```
pub fn is_ping(subject: &str) -> bool {
    pings().iter().any(|pattern| covers(pattern, subject))
}

/// Why no stream may capture an input subject, as an addition to an error; empty
/// for other subjects.
pub(super) fn hint(subject: &str) -> String {
    let word = match subject.strip_prefix("tributary.in.") {
        Some(rest) => rest.split('.').nth(1).unwrap_or_default(),
        None => return String::new(),
    };
    if Kind::of_subject(word).is_some() {
        return ": start the worker, which creates its streams, or create them".to_owned();
    }
    let words = words_of_others().chain(words_of_pings());
    format!(
        ": the word after the brand must be one of {}",
        words.collect::<Vec<_>>().join(", ")
    )
}

/// Captures every cell.
pub const OUTPUT: &str = "tributary.out.>";
/// Captures every dead letter.
pub const DEAD_LETTER: &str = "tributary.deadletter.>";
/// Captures every data-subject request and every message about it.
pub const RIGHTS: &str = "tributary.rights.>";

/// The subject of data-subject requests to a brand; `*` for every brand.
pub fn rights_requests(brand: &str) -> String {
    format!("tributary.rights.{brand}.request")
}

/// The subject of the statuses of a brand's requests.
pub fn rights_status(brand: &str) -> String {
    format!("tributary.rights.{brand}.status")
}

/// The subject of a brand's receipts.
pub fn rights_receipt(brand: &str) -> String {
    format!("tributary.rights.{brand}.receipt")
}

/// The subject of a brand's statuses that are to be posted to a URL; `*` for
/// every brand.
pub fn rights_callbacks(brand: &str) -> String {
    format!("tributary.rights.{brand}.callback")
}

/// The subject of cancellations of a brand's requests; `*` for every brand.
pub fn rights_cancellations(brand: &str) -> String {
    format!("tributary.rights.{brand}.cancel")
}

/// The subjects of a brand's sealed answers.
pub fn rights_answers(brand: &str) -> String {
    format!("tributary.rights.{brand}.answer.*")
}

/// The subject on which process 0 tells the others of its cluster whose records a
/// request erases, sealed; `*` for every brand.
pub fn rights_starts(brand: &str) -> String {
    format!("tributary.rights.{brand}.start")
}

/// The subjects on which processes confirm what they have done of a start.
pub fn rights_parts() -> String {
    "tributary.rights.*.part.*".to_owned()
}

/// The subject on which one process confirms what it has done of a start.
pub fn rights_part(brand: &str, process: usize) -> String {
    format!("tributary.rights.{brand}.part.{process}")
}

/// The subjects on which any process confirms what it has done of the starts of a brand.
pub fn rights_part_of_any(brand: &str) -> String {
    format!("tributary.rights.{brand}.part.*")
}

/// The subject of the answer sealed for a one-time key; its last token is the
/// first 16 bytes of the key's SHA-256.
pub fn rights_answer(brand: &str, key: &[u8; 32]) -> String {
    use sha2::Digest;
    let hash: [u8; 32] = sha2::Sha256::digest(key).into();
    let (hash, _) = hash.split_at(16);
    let hex = HEXLOWER.encode(hash);
    format!("tributary.rights.{brand}.answer.{hex}")
}

/// The subject of a topic on which a process informs the others of its cluster;
/// `*` for every process.
pub fn cluster_topic(topic: &str, process: &str) -> String {
    format!("tributary.rights.cluster.{topic}.{process}")
}

/// The token of an unknown brand or kind.
const UNKNOWN: &str = "unknown";

/// The subject of one cell, `tributary.out.<brand>.<family>.<hash>`. The hash
/// is the 64-bit XXH3 of the cell's canonical JSON in 16 hex digits, so that a
/// stream with one message per subject keeps the last value of every cell.
///
/// ```
/// use tributary_connectors::nats::subject;
/// use tributary_operators::cell::Family;
///
/// let json = r#"{"brand":"acme"}"#;
/// let subject = subject::cell("acme", Family::ALL[0], json);
/// assert!(subject.starts_with("tributary.out.acme."));
/// assert_eq!(subject, subject::cell("acme", Family::ALL[0], json));
/// ```
pub fn cell(brand: &str, family: Family, cell_json: &str) -> String {
    format!(
        "tributary.out.{brand}.{}.{:016x}",
        family.name(),
        xxhash_rust::xxh3::xxh3_64(cell_json.as_bytes())
    )
}

/// The subject of a dead letter, `tributary.deadletter.<brand>.<kind>`, with
/// `unknown` for a brand that is not configured and for a kind that the
/// specification does not define.
///
/// ```
/// use tributary_connectors::nats::subject::dead_letter;
///
/// assert_eq!(dead_letter(Some("acme"), Some("web")), "tributary.deadletter.acme.web");
/// assert_eq!(dead_letter(None, None), "tributary.deadletter.unknown.unknown");
/// ```
pub fn dead_letter(brand: Option<&str>, kind: Option<&str>) -> String {
    format!(
        "tributary.deadletter.{}.{}",
        brand.unwrap_or(UNKNOWN),
        kind.unwrap_or(UNKNOWN)
    )
}

/// Whether every subject that matches `wanted` also matches `pattern`. Both may
/// contain the wildcards `*` (one token) and, at the end, `>` (one token or
/// more).
///
/// ```
/// use tributary_connectors::nats::subject::covers;
///
/// assert!(covers("tributary.>", "tributary.in.>"));
/// assert!(covers("tributary.in.*.web", "tributary.in.acme.web"));
/// assert!(!covers("tributary.in.*", "tributary.in.>"));
/// ```
pub fn covers(pattern: &str, wanted: &str) -> bool {
    let mut pattern = pattern.split('.');
    let mut wanted = wanted.split('.');
    loop {
        match (pattern.next(), wanted.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(left), Some(right)) if left == right => {}
            _ => return false,
        }
    }
}

/// Whether a subject may match both patterns.
pub(super) fn overlap(left: &str, right: &str) -> bool {
    let mut left = left.split('.');
    let mut right = right.split('.');
    loop {
        match (left.next(), right.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(one), Some(other)) if one == other || one == "*" || other == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covering_goes_token_by_token() {
        let covered = [
            (">", "tributary.in.>"),
            ("tributary.>", "tributary.in.>"),
            ("tributary.in.>", "tributary.in.>"),
            ("tributary.in.*.*", "tributary.in.acme.web"),
            ("tributary.in.*.*", "tributary.in.acme.*"),
            ("tributary.in.>", "tributary.in.acme.*"),
        ];
        for (pattern, wanted) in covered {
            assert!(covers(pattern, wanted), "{pattern} {wanted}");
        }
        let not_covered = [
            ("tributary.in.*", "tributary.in.>"),
            ("tributary.in.*.*", "tributary.in.>"),
            ("tributary.in.acme.>", "tributary.in.>"),
            ("tributary.in.acme.web", "tributary.in.acme.*"),
            ("tributary.in.>", "tributary.in"),
            ("tributary.out.>", "tributary.in.>"),
            ("tributary.in.acme", "tributary.in.acme.web"),
        ];
        for (pattern, wanted) in not_covered {
            assert!(!covers(pattern, wanted), "{pattern} {wanted}");
        }
    }

    #[test]
    fn pings_and_the_other_kinds_share_no_subject() {
        let mut nats = tributary_config::nats_at("nats://127.0.0.1:4222");
        assert!(nats.pings_stream.is_some());
        let meets_pings = |subjects: &[String]| {
            let pings = pings();
            let mut all = subjects.iter();
            all.any(|subject| pings.iter().any(|ping| overlap(subject, ping)))
        };
        let others = input(&nats);
        assert_eq!(others.len(), 2 * (Kind::ALL.len() - 1) + 1);
        assert!(!meets_pings(&others));
        for subject in ["tributary.in.a.web", "tributary.in.a.partner.p.3"] {
            assert!(
                others.iter().any(|pattern| covers(pattern, subject)),
                "{subject}"
            );
        }
        for pattern in ["tributary.in.*.*", "tributary.in.acme.>", "*.in.acme.ping"] {
            assert!(meets_pings(&[pattern.to_owned()]), "{pattern}");
        }
        nats.pings_stream = None;
        assert!(meets_pings(&input(&nats)));
    }

    #[test]
    fn a_subject_without_a_stream_is_explained() {
        let misspelt = hint("tributary.in.acme.pings");
        assert!(misspelt.contains("ping, partner_mac"), "{misspelt}");
        assert!(hint("tributary.in.acme.web.shop").contains("start the worker"));
        assert_eq!(hint("tributary.out.acme"), "");
    }

    #[test]
    fn what_is_not_known_is_not_repeated() {
        assert_eq!(
            dead_letter(Some("acme"), Some("web")),
            "tributary.deadletter.acme.web"
        );
        assert_eq!(
            dead_letter(None, None),
            "tributary.deadletter.unknown.unknown"
        );
    }

    #[test]
    fn a_cell_keeps_its_subject() {
        let subject = cell("acme", Family::Identity, r#"{"brand":"acme"}"#);
        let hash = subject
            .strip_prefix("tributary.out.acme.identity.")
            .unwrap();
        assert_eq!(hash.len(), 16);
        assert!(hash.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(
            subject,
            cell("acme", Family::Identity, r#"{"brand":"acme"}"#)
        );
        assert_ne!(
            subject,
            cell("acme", Family::Identity, r#"{"brand":"acmf"}"#)
        );
    }
}

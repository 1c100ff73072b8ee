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
use tributary_operators::cell::Family;

/// Captures every input message.
pub const INPUT: &str = "tributary.in.>";
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

/// The subject on which process 0 tells the others of its cluster that it began
/// with a request; `*` for every brand.
pub fn rights_starts(brand: &str) -> String {
    format!("tributary.rights.{brand}.start")
}

/// The subjects on which processes report that they completed their part of a
/// request.
pub fn rights_parts() -> String {
    "tributary.rights.*.part.*".to_owned()
}

/// The subject on which one process reports that it completed its part of a
/// request.
pub fn rights_part(brand: &str, process: usize) -> String {
    format!("tributary.rights.{brand}.part.{process}")
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

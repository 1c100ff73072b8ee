//! Requests: from JSON to a [`Question`] or a [`Refusal`], and the JSON that
//! commands send.
//!
//! A refusal names the field and what would be valid, and repeats nothing of
//! the request, because the service reports its last error to anyone who
//! requests statistics. Identifiers are pseudonyms of 32 hexadecimal digits; a
//! clear-text value is not a pseudonym and is refused unread.
//!
//! Objects are read strictly: an unknown field is refused, because a misspelled
//! filter would otherwise select more than its sender intended. `null` and an
//! absent field mean the same. Labels are normalized like those of records, so
//! that a question matches whatever spelling the records had.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tributary_connectors::calendar;
use tributary_connectors::native::labels;
use tributary_operators::ask::{ConversionGroup, Question};
use tributary_operators::cell::{Dimension, Family};
use tributary_operators::currency;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{BrandId, Currency, Day, Identifier, Pseudonym, SaleKind};

use crate::report::cell_query::{CellQuery, QueryError, WORDS};

/// Maximum number of pseudonyms on one side: more than one clear-text value can
/// have.
pub const MAX_PSEUDONYMS: usize = 64;

/// Maximum length of a label in bytes.
pub(super) const MAX_LABEL: usize = 256;

/// Reason why a request is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Refusal {
    /// Code of the error: 400 for an invalid request, 403 for a forbidden one, 503 while stopping or without
    /// a broker, 504 for a timeout.
    pub code: usize,
    /// What is wrong, for people, on one line.
    pub sentence: String,
}

impl Refusal {
    /// An invalid request.
    pub fn bad(sentence: impl Into<String>) -> Refusal {
        Refusal {
            code: 400,
            sentence: sentence.into(),
        }
    }

    /// A request for what its sender may not see.
    pub fn forbidden(sentence: impl Into<String>) -> Refusal {
        Refusal {
            code: 403,
            sentence: sentence.into(),
        }
    }

    /// The broker is not available.
    pub fn unavailable(sentence: impl Into<String>) -> Refusal {
        Refusal {
            code: 503,
            sentence: sentence.into(),
        }
    }

    /// The worker stops before it could answer.
    pub fn stopping() -> Refusal {
        Refusal::unavailable("this worker is stopping: ask again, another one may answer")
    }

    /// The dataflow, or for a rights request the broker, did not answer in time.
    pub fn too_slow(limit: Duration) -> Refusal {
        Refusal {
            code: 504,
            sentence: format!(
                "the worker did not answer within {limit:?}: it is behind, ask again later"
            ),
        }
    }
}

/// Parses `{"family": "store_day"|null}`; an empty request selects every
/// family. With a family, the words of a query and dimensions are further fields,
/// each a text, a number or a list of them: the answer then has their rows.
///
/// # Errors
///
/// A refusal with code 400.
pub fn query(payload: &[u8], brand: BrandId) -> Result<(Question, Option<CellQuery>), Refusal> {
    let mut known = vec!["family"];
    known.extend(WORDS.iter().map(|(word, ..)| *word));
    known.extend(Dimension::ALL.iter().map(|of| of.name()));
    let mut fields = match payload.trim_ascii() {
        [] => Map::new(),
        text => object(parse(text)?, "the request", &known)?,
    };
    let family = match fields.remove("family") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(Family::of(&name).ok_or_else(|| {
            Refusal::bad(format!(
                "`family` is none of {}",
                Family::ALL.map(Family::name).join(", ")
            ))
        })?),
        Some(_) => return Err(Refusal::bad("`family` must be a text or null")),
    };
    let words = words(&fields)?;
    let query = match (family, words.is_empty()) {
        (_, true) => None,
        (None, false) => {
            return Err(Refusal::bad("`family` is needed with the other fields"));
        }
        (Some(family), false) => {
            let pairs = words.iter().map(|(name, text)| (*name, text.as_str()));
            // The names are known, so that none of them repeats anything of the request.
            let read = CellQuery::read(family, pairs);
            let wrong = |wrong: QueryError| {
                Refusal::bad(format!(
                    "`{}` {}: {}",
                    wrong.parameter, wrong.message, wrong.fix
                ))
            };
            Some(read.map_err(wrong)?)
        }
    };
    Ok((Question::Cells { brand, family }, query))
}

/// The words of a query as pairs; a list is a pair for each element, and one text
/// for `group_by`.
///
/// # Errors
///
/// 400 for another type of value.
fn words(fields: &Map<String, Value>) -> Result<Vec<(&str, String)>, Refusal> {
    let mut words = Vec::new();
    for (name, value) in fields {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Null => Ok(String::new()),
            _ => Err(Refusal::bad(format!(
                "`{name}` must be a text, a number or a list of them"
            ))),
        };
        match value {
            Value::Array(list) => {
                let texts = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
                match name.as_str() {
                    "group_by" => words.push((name.as_str(), texts.join(","))),
                    _ => words.extend(texts.into_iter().map(|text| (name.as_str(), text))),
                }
            }
            Value::Null if WORDS.iter().any(|(word, ..)| word == name) => {}
            value => words.push((name.as_str(), text(value)?)),
        }
    }
    Ok(words)
}

/// Parses `{"person": {"from": […], "to": […]}}` or `{"cell": {…}}`. `own` is
/// the brand's currency.
///
/// # Errors
///
/// A refusal with code 400.
pub fn explain(payload: &[u8], brand: BrandId, own: Option<Currency>) -> Result<Question, Refusal> {
    let mut fields = object(parse(payload)?, "the request", &["person", "cell"])?;
    match (fields.remove("person"), fields.remove("cell")) {
        (Some(person), None) => {
            let person = object(person, "`person`", &["from", "to"])?;
            Ok(Question::Link {
                brand,
                from: pseudonyms(&person, "from")?,
                to: pseudonyms(&person, "to")?,
            })
        }
        (None, Some(cell)) => {
            let known = [
                "source", "medium", "campaign", "kind", "store", "day", "currency",
            ];
            paths(&object(cell, "`cell`", &known)?, brand, own)
        }
        _ => Err(Refusal::bad(
            "the request must hold either `person` or `cell`",
        )),
    }
}

/// The request for the cells of one family or of all.
pub fn query_json(family: Option<Family>) -> String {
    json!({ "family": family.map(Family::name) }).to_string()
}

/// The request for the chain between two identifiers; it contains pseudonyms
/// only.
pub fn person_json(from: &[Identifier], to: &[Identifier]) -> String {
    let hex = |ids: &[Identifier]| -> Vec<String> {
        ids.iter()
            .map(|id| format!("{:032x}", id.pseudonym))
            .collect()
    };
    json!({ "person": { "from": hex(from), "to": hex(to) } }).to_string()
}

/// Parses JSON. The error of the library is not repeated, because it may quote
/// the input.
///
/// # Errors
///
/// 400, with line and column.
pub(super) fn parse(payload: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(payload).map_err(|error| {
        // The library's own text may quote the input.
        Refusal::bad(format!(
            "the request is not JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

/// The fields of an object, which has no other fields than `known`.
///
/// # Errors
///
/// 400 for another type of value or an unknown field.
pub(super) fn object(
    value: Value,
    what: &str,
    known: &[&str],
) -> Result<Map<String, Value>, Refusal> {
    let Value::Object(fields) = value else {
        return Err(Refusal::bad(format!("{what} must be a JSON object")));
    };
    match fields.keys().all(|key| known.contains(&key.as_str())) {
        true => Ok(fields),
        false => Err(Refusal::bad(format!(
            "{what} holds a field that is none of `{}`",
            known.join("`, `")
        ))),
    }
}

/// The pseudonyms in a field, sorted, without duplicates.
///
/// # Errors
///
/// 400 for anything other than 1 to [`MAX_PSEUDONYMS`] pseudonyms.
fn pseudonyms(fields: &Map<String, Value>, name: &str) -> Result<Vec<Pseudonym>, Refusal> {
    let wrong = || {
        Refusal::bad(format!(
            "`person.{name}` must be a list of 1 to {MAX_PSEUDONYMS} pseudonyms, each a text of 32 hex digits"
        ))
    };
    let Some(Value::Array(list)) = fields.get(name) else {
        return Err(wrong());
    };
    if list.is_empty() || list.len() > MAX_PSEUDONYMS {
        return Err(wrong());
    }
    let mut found = list
        .iter()
        .map(|item| item.as_str().and_then(pseudonym).ok_or_else(wrong))
        .collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A pseudonym from 32 hexadecimal digits.
fn pseudonym(text: &str) -> Option<Pseudonym> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// The question about the paths of a cell.
///
/// # Errors
///
/// 400 for the first field that is missing or invalid.
fn paths(
    fields: &Map<String, Value>,
    brand: BrandId,
    own: Option<Currency>,
) -> Result<Question, Refusal> {
    let label = |name| label(fields, name);
    let channel = Channel {
        source: label("source")?,
        medium: label("medium")?,
        campaign: label("campaign")?,
    };
    if channel == Channel::default() {
        return Err(Refusal::bad(
            "`cell.source`, `cell.medium` and `cell.campaign` are all absent, which no channel is: \
             direct has the source `direct` and the medium `none`",
        ));
    }
    let kind = text(fields, "kind")?
        .and_then(|word| SaleKind::ALL.into_iter().find(|kind| kind.name() == word))
        .ok_or_else(|| Refusal::bad("`cell.kind` must be order, transaction or visit"))?;
    let store = label("store")?;
    match kind {
        SaleKind::Order if !store.is_absent() => {
            return Err(Refusal::bad(
                "`cell.store` must be absent: orders have none",
            ));
        }
        SaleKind::Transaction | SaleKind::Visit if store.is_absent() => {
            return Err(Refusal::bad(
                "`cell.store` is needed: transactions and visits have one",
            ));
        }
        _ => {}
    }
    let day = text(fields, "day")?
        .and_then(day)
        .ok_or_else(|| Refusal::bad("`cell.day` must be a day, as 2025-10-26"))?;
    let currency = match text(fields, "currency")? {
        Some(_) if kind == SaleKind::Visit => {
            return Err(Refusal::bad(
                "`cell.currency` must be absent: visits have no value",
            ));
        }
        None if kind == SaleKind::Visit => Some(Currency::NONE),
        Some(code) => currency::of(code).map(|(currency, _)| currency),
        None => own,
    }
    .ok_or_else(|| Refusal::bad("`cell.currency` must be a currency of ISO 4217, as EUR"))?;
    Ok(Question::Paths {
        brand,
        of: ConversionGroup {
            kind,
            store,
            day,
            currency,
        },
        channel,
    })
}

/// A text; `None` if it is absent, null or empty.
///
/// # Errors
///
/// 400 for another type of value, or a text above the limit.
pub(super) fn text<'a>(
    fields: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() > MAX_LABEL => Err(Refusal::bad(format!(
            "`cell.{name}` is longer than {MAX_LABEL} bytes"
        ))),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text.as_str())),
        Some(_) => Err(Refusal::bad(format!(
            "`cell.{name}` must be a text or null"
        ))),
    }
}

/// A label, normalized like those of records: NFC and trimmed.
fn label(fields: &Map<String, Value>, name: &str) -> Result<Label, Refusal> {
    let text = text(fields, name)?.unwrap_or_default();
    Ok(Label::of(&labels::normalize(text.into())))
}

/// A day in ISO 8601.
fn day(text: &str) -> Option<Day> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        parts
            .next()
            .filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let (year, month, of_month) = (part(4)?, part(2)?, part(2)?);
    match parts.next() {
        Some(_) => None,
        None => calendar::day(
            year.parse().ok()?,
            month.parse().ok()?,
            of_month.parse().ok()?,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAND: BrandId = BrandId(3);

    fn explained(request: &str) -> Result<Question, Refusal> {
        explain(request.as_bytes(), BRAND, Some(Currency(*b"EUR")))
    }

    #[test]
    fn a_query_names_a_family_or_none() {
        let cells = |family| {
            Ok(Question::Cells {
                brand: BRAND,
                family,
            })
        };
        for all in ["", " \n", "{}", r#"{"family":null}"#] {
            assert_eq!(
                query(all.as_bytes(), BRAND).map(|(question, _)| question),
                cells(None),
                "{all:?}"
            );
        }
        for family in Family::ALL {
            let request = query_json(Some(family));
            let read = query(request.as_bytes(), BRAND).unwrap();
            assert_eq!((Ok(read.0), read.1), (cells(Some(family)), None));
        }
    }

    #[test]
    fn the_words_of_a_query_are_fields() {
        let request = r#"{"family":"store_day","group_by":["store","day"],"store":["lyon",null],
            "sort":"-revenue_minor","limit":5,"compare":null}"#;
        let (_, read) = query(request.as_bytes(), BRAND).unwrap();
        let words = [
            ("group_by", "store,day"),
            ("store", "lyon"),
            ("store", ""),
            ("sort", "-revenue_minor"),
            ("limit", "5"),
        ];
        let expected = CellQuery::read(Family::StoreDay, words).unwrap();
        let read = read.unwrap();
        assert_eq!((read.limit, &read.sort), (5, &expected.sort));
        assert_eq!(read.group_by, expected.group_by);
        assert_eq!(read.filters, expected.filters);
        for (request, says) in [
            (r#"{"limit":5}"#, "`family`"),
            (r#"{"family":"store_day","limit":"many"}"#, "`limit`"),
            (r#"{"family":"store_day","model":"last"}"#, "`model`"),
            (r#"{"family":"store_day","store":{"jane":1}}"#, "`store`"),
            (r#"{"family":"store_day","jane":1}"#, "none of `family`"),
        ] {
            let refusal = query(request.as_bytes(), BRAND).unwrap_err();
            assert!(refusal.sentence.contains(says), "{request}: {refusal}");
            assert!(!refusal.sentence.contains("jane"), "{refusal}");
        }
    }

    #[test]
    fn pseudonyms_travel_as_hex() {
        let id = |pseudonym| Identifier {
            pseudonym,
            value: pseudonym,
            kind: tributary_operators::record::IdKind::Email,
        };
        let request = person_json(&[id(u128::MAX), id(1)], &[id(0xabc)]);
        assert_eq!(
            explained(&request),
            Ok(Question::Link {
                brand: BRAND,
                from: vec![1, u128::MAX],
                to: vec![0xabc],
            })
        );
    }

    #[test]
    fn a_cell_is_spelled_like_the_records() {
        let request = r#"{"cell":{"source":" Caf\u0065\u0301 ","medium":"","kind":"transaction",
            "store":"paris","day":"2025-10-26","currency":"usd"}}"#;
        let expected = Question::Paths {
            brand: BRAND,
            of: ConversionGroup {
                kind: SaleKind::Transaction,
                store: Label::of("paris"),
                day: 20_387,
                currency: Currency(*b"USD"),
            },
            channel: Channel::of("Caf\u{e9}", "", ""),
        };
        assert_eq!(explained(request), Ok(expected));
        let own =
            r#"{"cell":{"source":"direct","medium":"none","kind":"order","day":"2024-02-29"}}"#;
        assert!(matches!(
            explained(own),
            Ok(Question::Paths { of, .. }) if of.currency == Currency(*b"EUR")
        ));
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_repeated() {
        let cell = |fields: &str| format!(r#"{{"cell":{{"source":"jane@x.org",{fields}}}}}"#);
        let cases = [
            ("jane@x.org".to_owned(), "not JSON"),
            ("[]".to_owned(), "must be a JSON object"),
            ("{}".to_owned(), "either `person` or `cell`"),
            (r#"{"jane@x.org":1}"#.to_owned(), "none of `person`, `cell`"),
            (
                r#"{"person":{"from":["jane@x.org"],"to":["00"]}}"#.to_owned(),
                "`person.from`",
            ),
            (
                r#"{"person":{"from":["+0000000000000000000000000000000"],"to":[]}}"#.to_owned(),
                "`person.from`",
            ),
            (
                format!(r#"{{"person":{{"from":["{:032x}"],"to":[]}}}}"#, 7),
                "`person.to`",
            ),
            (
                r#"{"cell":{"kind":"order","day":"2025-10-26"}}"#.to_owned(),
                "`cell.source`",
            ),
            (cell(r#""kind":"jane@x.org""#), "`cell.kind`"),
            (
                cell(r#""kind":"order","store":"jane@x.org""#),
                "`cell.store`",
            ),
            (cell(r#""kind":"transaction""#), "`cell.store`"),
            (cell(r#""kind":"order","day":"2025-02-29""#), "`cell.day`"),
            (
                cell(r#""kind":"order","day":"2025-10-26-jane@x.org""#),
                "`cell.day`",
            ),
            (cell(r#""kind":"order","day":20387"#), "`cell.day`"),
            (
                cell(r#""kind":"order","day":"2025-10-26","currency":"XXX""#),
                "`cell.currency`",
            ),
        ];
        for (request, names) in cases {
            let refusal = explained(&request).unwrap_err();
            assert_eq!(refusal.code, 400, "{request}");
            assert!(refusal.sentence.contains(names), "{request}: {refusal}");
            assert!(!refusal.sentence.contains("jane"), "{refusal}");
            assert!(!refusal.sentence.contains(['\n', '\r']), "{refusal:?}");
        }
        let refusal = query(br#"{"family":"jane@x.org"}"#, BRAND).unwrap_err();
        assert!(refusal.sentence.contains("store_day") && !refusal.sentence.contains("jane"));
    }
}

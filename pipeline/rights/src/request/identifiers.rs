//! The identifiers of a request, in clear text. A request with a malformed
//! identifier is refused as a whole.

use serde::Deserialize;
use serde_json::value::RawValue;
use tributary_operators::record::IdKind;

use super::{Identifier, MAX_IDENTIFIERS, MAX_VALUE};
use crate::clear_text::ClearText;
use crate::json::{Raw, field, object};
use crate::refusal::{Reason, Refusal};

/// Fields of an identifier, not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentifierFields<'a> {
    #[serde(borrow)]
    kind: Raw<'a>,
    #[serde(borrow)]
    value: Raw<'a>,
    #[serde(borrow)]
    first_name: Raw<'a>,
    #[serde(borrow)]
    last_name: Raw<'a>,
    #[serde(borrow)]
    postcode: Raw<'a>,
}

/// Parses the identifiers of a request: 1 to [`MAX_IDENTIFIERS`], each
/// complete.
pub(crate) fn identifiers(raw: Raw<'_>) -> Result<Vec<Identifier>, Refusal> {
    let list: Vec<&RawValue> = match raw {
        None => Vec::new(),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
            Refusal::new(
                Reason::BadIdentifier,
                "`identifiers` must be a list of objects",
            )
        })?,
    };
    if list.is_empty() {
        return Err(Refusal::new(
            Reason::NoIdentifier,
            "`identifiers` is required: name at least one",
        ));
    }
    if list.len() > MAX_IDENTIFIERS {
        return Err(Refusal::new(
            Reason::BadIdentifier,
            format!("`identifiers` has more than {MAX_IDENTIFIERS} entries: send several requests"),
        ));
    }
    list.iter().enumerate().map(identifier).collect()
}

/// What is wrong with the form of a value: it would identify nobody, and the person
/// would read that nothing is stored.
pub(crate) fn malformed(kind: IdKind, value: &ClearText) -> Option<&'static str> {
    let is_email = value.expose().contains(['@', '\u{ff20}']) || is_digest(value.expose());
    (kind == IdKind::Email && !is_email).then_some(
        "must be an e-mail address, such as ada@example.org, or the 64 hexadecimal digits of its SHA-256",
    )
}

/// Whether a value has the form of a SHA-256 digest in hexadecimal.
pub(crate) fn is_digest(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Parses one identifier; `place` is its index, for the refusal.
fn identifier((place, raw): (usize, &&RawValue)) -> Result<Identifier, Refusal> {
    let at = format!("identifiers[{place}]");
    let fields: IdentifierFields<'_> = object(
        raw.get(),
        Reason::BadIdentifier,
        &format!("`{at}`"),
        "`kind` `value`, or `kind` `first_name` `last_name` `postcode`",
    )?;
    let read = |name: &str, raw| {
        let name = format!("{at}.{name}");
        field(&name, Reason::BadIdentifier, MAX_VALUE).text(raw)
    };
    let refuse = |name: &str, what: &str| {
        let name = format!("{at}.{name}");
        field(&name, Reason::BadIdentifier, MAX_VALUE).refuse(what)
    };
    let named = read("kind", fields.kind)?;
    let kind = IdKind::ALL.into_iter().find(|kind| {
        named
            .as_ref()
            .is_some_and(|named| named.expose() == kind.name())
    });
    let kind = kind.ok_or_else(|| {
        let names: Vec<&str> = IdKind::ALL.iter().map(|kind| kind.name()).collect();
        refuse("kind", &format!("must be one of: {}", names.join(", ")))
    })?;
    let required = |name: &str, raw| read(name, raw)?.ok_or_else(|| refuse(name, "is required"));
    let parts = [
        ("first_name", fields.first_name),
        ("last_name", fields.last_name),
        ("postcode", fields.postcode),
    ];
    let unused = match kind {
        IdKind::NamePostcode => fields.value.map(|_| "value"),
        _ => parts.iter().find_map(|(name, raw)| raw.map(|_| *name)),
    };
    if let Some(name) = unused {
        return Err(refuse(name, &format!("is not a part of `{}`", kind.name())));
    }
    Ok(match kind {
        IdKind::NamePostcode => {
            let [first, last, postcode] = parts.map(|(name, raw)| required(name, raw));
            Identifier::NamePostcode([first?, last?, postcode?])
        }
        kind => {
            let value = required("value", fields.value)?;
            if let Some(wrong) = malformed(kind, &value) {
                return Err(refuse("value", wrong));
            }
            Identifier::One { kind, value }
        }
    })
}

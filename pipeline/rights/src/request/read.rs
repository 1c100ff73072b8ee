//! Parser of requests: from bytes to a valid request, or to a refusal that
//! names the field and the remedy.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::clear_text::ClearText;
use crate::json::{Field, Raw, field, object};
use crate::refusal::{Reason, Refusal};
use crate::request::identifiers::identifiers;
use crate::request::{
    AfterDeath, Correction, Identifier, MAX_ID, MAX_REQUEST, MAX_VALUE, RecordKind, Request,
    RequestBody, RequestId, Right,
};
use crate::sealed::ReplyKey;
use crate::time;

/// Fields of a request, not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    id: Raw<'a>,
    #[serde(borrow)]
    ts: Raw<'a>,
    #[serde(borrow, rename = "type")]
    right: Raw<'a>,
    #[serde(borrow)]
    brand: Raw<'a>,
    #[serde(borrow)]
    identifiers: Raw<'a>,
    #[serde(borrow)]
    whole_person: Raw<'a>,
    #[serde(borrow)]
    proof: Raw<'a>,
    #[serde(borrow)]
    reply_key: Raw<'a>,
    #[serde(borrow)]
    record: Raw<'a>,
    #[serde(borrow)]
    directive: Raw<'a>,
}

/// Fields of a corrected record, not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordFields<'a> {
    #[serde(borrow)]
    kind: Raw<'a>,
    #[serde(borrow)]
    source: Raw<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
}

/// Fields of instructions for after death, not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DirectiveFields<'a> {
    #[serde(borrow)]
    action: Raw<'a>,
    #[serde(borrow)]
    notice: Raw<'a>,
}

/// The field `id`, which is read in two places.
const ID: Field<'_> = field("id", Reason::Malformed, MAX_ID);

impl Request {
    /// Parses a request. `subject` is the brand of the subject on which it arrived,
    /// if that names one; `known` returns whether a brand is configured.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] of the first thing that is wrong; it repeats no value.
    ///
    /// # Example
    ///
    /// ```
    /// use tributary_rights::{Reason, Request};
    ///
    /// let known = |brand: &str| brand == "acme";
    /// let misspelled = br#"{"id": "r-1", "ts": "2025-11-20T09:00:00Z", "type": "erase",
    ///     "identifiers": [{"kind": "email", "value": "jane@example.org"}],
    ///     "hole_person": true, "proof": "ticket 117"}"#;
    /// let refusal = Request::parse(misspelled, Some("acme"), &known).map(|_| ()).err();
    /// assert_eq!(refusal.map(|refusal| refusal.reason), Some(Reason::Malformed));
    /// ```
    pub fn parse(
        bytes: &[u8],
        subject: Option<&str>,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<Request, Refusal> {
        let text = text(bytes)?;
        let fields: Fields<'_> = object(
            text,
            Reason::Malformed,
            "the request",
            "`id` `ts` `type` `brand` `identifiers` `whole_person` `proof` `reply_key` `record` `directive`",
        )?;
        let id = ID.text(fields.id)?;
        let id = RequestId::new(id.ok_or_else(|| ID.refuse("is required"))?);
        let brand = brand(fields.brand, subject, known)?;
        let right = right(fields.right)?;
        let ts = field("ts", Reason::Malformed, 64);
        let request = Request {
            ts: ts
                .text(fields.ts)?
                .and_then(|text| time::read(text.expose()))
                .ok_or_else(|| {
                    ts.refuse(
                        "must be Unix milliseconds or RFC 3339 with a zone, from 1970 to 9999",
                    )
                })?,
            brand,
            asked: asked(right, &fields)?,
            identifiers: identifiers(fields.identifiers)?,
            whole_person: field("whole_person", Reason::Malformed, 0)
                .boolean(fields.whole_person)?,
            proof: proof(fields.proof)?,
            id,
        };
        request.id_names_nobody()?;
        Ok(request)
    }

    /// The ID of a message that may be refused, so that its sender can be answered;
    /// `None` if it cannot be read.
    pub fn read_id(bytes: &[u8]) -> Option<RequestId> {
        #[derive(Deserialize)]
        struct OnlyId<'a> {
            #[serde(borrow)]
            id: Raw<'a>,
        }
        let fields: OnlyId<'_> = serde_json::from_str(text(bytes).ok()?).ok()?;
        ID.text(fields.id).ok()?.map(RequestId::new)
    }

    /// Refuses an ID that contains an identifier of the request. The ID appears in
    /// statuses and stays in the broker's streams, which must not contain any.
    fn id_names_nobody(&self) -> Result<(), Refusal> {
        let id = self.id.expose().to_lowercase();
        let mut values = self.identifiers.iter().flat_map(Identifier::values);
        // A few letters or digits are in any id by accident.
        let named = values.any(|value| {
            let value = value.expose().trim();
            value.len() >= 6 && id.contains(&value.to_lowercase())
        });
        match named {
            true => Err(ID.refuse("contains an identifier: choose one that names nobody")),
            false => Ok(()),
        }
    }
}

/// The text of a message that is not too large.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    if bytes.len() > MAX_REQUEST {
        return Err(Refusal::new(
            Reason::TooLarge,
            format!("the request has more than {MAX_REQUEST} bytes: name less in one request"),
        ));
    }
    std::str::from_utf8(bytes)
        .map_err(|_| Refusal::new(Reason::Malformed, "the request is not UTF-8"))
}

/// The brand of the request or of its subject, which must agree.
fn brand(
    raw: Raw<'_>,
    subject: Option<&str>,
    known: &dyn Fn(&str) -> bool,
) -> Result<String, Refusal> {
    let field = field("brand", Reason::UnknownBrand, 256);
    let named = field.text(raw)?;
    let brand = match (named.as_ref().map(ClearText::expose), subject) {
        (Some(named), Some(subject)) if named != subject => {
            return Err(field.refuse("is not that of the subject: leave it out"));
        }
        (Some(brand), _) | (None, Some(brand)) => brand,
        (None, None) => return Err(field.refuse("is required")),
    };
    match known(brand) {
        true => Ok(brand.to_owned()),
        false => Err(field.refuse("is none of the configuration")),
    }
}

/// Parses the type.
fn right(raw: Raw<'_>) -> Result<Right, Refusal> {
    let field = field("type", Reason::UnknownType, 64);
    let text = field.text(raw)?;
    let named = text.as_ref().map(ClearText::expose);
    let right = Right::ALL
        .into_iter()
        .find(|right| Some(right.name()) == named);
    right.ok_or_else(|| {
        let names: Vec<&str> = Right::ALL.iter().map(|right| right.name()).collect();
        field.refuse(&format!("must be one of: {}", names.join(", ")))
    })
}

/// Parses the reference to the requester's proof of identity.
fn proof(raw: Raw<'_>) -> Result<ClearText, Refusal> {
    let field = field("proof", Reason::NoProof, MAX_VALUE);
    field.text(raw)?.ok_or_else(|| {
        field.refuse("is required: say where the requester's proof of identity is kept")
    })
}

/// Parses the key that an answer is sealed for.
pub(crate) fn reply_key(raw: Raw<'_>) -> Result<ReplyKey, Refusal> {
    let field = field("reply_key", Reason::BadReplyKey, MAX_VALUE);
    match field.text(raw)? {
        None => Err(Refusal::new(
            Reason::NoReplyKey,
            "`reply_key` is required: the recipient of age (age1…, from age-keygen) that the answer is sealed for",
        )),
        Some(text) => ReplyKey::read(text.expose()).ok_or_else(|| {
            field.refuse("must be an X25519 recipient of age (age1…), as age-keygen prints it")
        }),
    }
}

/// Parses the parameters of a right. Parameters of another right are refused.
fn asked(right: Right, fields: &Fields<'_>) -> Result<RequestBody, Refusal> {
    for (name, raw, of) in [
        ("record", fields.record, Right::Rectify),
        ("directive", fields.directive, Right::Directive),
    ] {
        if raw.is_some() && right != of {
            let field = field(name, Reason::Malformed, 0);
            return Err(field.refuse(&format!("belongs to `{}` alone: leave it out", of.name())));
        }
    }
    Ok(match right {
        Right::Access => RequestBody::Access(reply_key(fields.reply_key)?),
        Right::Portability => RequestBody::Portability(reply_key(fields.reply_key)?),
        Right::Rectify => RequestBody::Rectify(correction(fields.record)?),
        Right::Directive => directive(fields.directive)?,
        Right::Restrict => RequestBody::Restrict,
        Right::Unrestrict => RequestBody::Unrestrict,
        Right::Object => RequestBody::Object,
        Right::Erase => RequestBody::Erase,
        Right::DoNotSell => RequestBody::DoNotSell,
    })
}

/// Parses a corrected record.
fn correction(raw: Raw<'_>) -> Result<Correction, Refusal> {
    let of = |name| field(name, Reason::BadRecord, MAX_ID);
    let raw =
        raw.ok_or_else(|| of("record").refuse("is required: the whole record as it should be"))?;
    let fields: RecordFields<'_> = object(
        raw.get(),
        Reason::BadRecord,
        "`record`",
        "`kind` `source` `data`",
    )?;
    let kind = of("record.kind").text(fields.kind)?;
    let kind = match kind.as_ref().map(ClearText::expose) {
        Some("web") => RecordKind::Web,
        Some("transaction") => RecordKind::Transaction,
        Some("wallet") => RecordKind::Wallet,
        Some("partner") => RecordKind::Partner,
        _ => {
            let detail = "must be `web`, `transaction`, `wallet` or `partner`";
            return Err(of("record.kind").refuse(detail));
        }
    };
    let source = of("record.source").text(fields.source)?;
    let source = source.ok_or_else(|| of("record.source").refuse("is required"))?;
    let data = fields.data.map(RawValue::get).unwrap_or_default();
    if !named(data) {
        return Err(of("record.data").refuse("must be a JSON object with the `id` of the record"));
    }
    Ok(Correction {
        kind,
        source: source.expose().to_owned(),
        data: ClearText::new(data.to_owned()),
    })
}

/// Whether a text is a JSON object with an `id`.
fn named(data: &str) -> bool {
    #[derive(Deserialize)]
    struct Named {
        id: Option<IgnoredAny>,
    }
    // An array would do for the derived reader.
    data.starts_with('{') && serde_json::from_str::<Named>(data).is_ok_and(|data| data.id.is_some())
}

/// Parses instructions for after death.
fn directive(raw: Raw<'_>) -> Result<RequestBody, Refusal> {
    let of = |name| field(name, Reason::Malformed, 64);
    let raw = raw.ok_or_else(|| of("directive").refuse("is required"))?;
    let fields: DirectiveFields<'_> = object(
        raw.get(),
        Reason::Malformed,
        "`directive`",
        "`action` `notice`",
    )?;
    let action = of("directive.action").text(fields.action)?;
    Ok(RequestBody::Directive {
        action: match action.as_ref().map(ClearText::expose) {
            Some("erase") => AfterDeath::Erase,
            Some("keep") => AfterDeath::Keep,
            _ => return Err(of("directive.action").refuse("must be `erase` or `keep`")),
        },
        notice: of("directive.notice").boolean(fields.notice)?,
    })
}

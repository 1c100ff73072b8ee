//! The body of a submission, read strictly and mapped to a request. Section
//! numbers refer to OpenDSR 2.0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::vocabulary::{IDENTITIES, TYPES};
use crate::clear_text::ClearText;
use crate::json::{Field, Raw, object};
use crate::refusal::{Reason, Refusal};
use crate::request::{
    Identifier, MAX_IDENTIFIERS, MAX_REQUEST, MAX_VALUE, Request, RequestBody, RequestId, Right,
    identifiers, is_digest, malformed, reply_key, text,
};
use crate::time;
use tributary_operators::record::IdKind;

/// Maximum number of callback URLs of a request.
const MAX_CALLBACKS: usize = 8;

/// Regulation under which a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Regulation {
    /// The General Data Protection Regulation, Regulation (EU) 2016/679.
    Gdpr,
    /// The California Consumer Privacy Act, Cal. Civ. Code § 1798.100 ff.
    Ccpa,
}

/// A valid submission: the request, and what only OpenDSR has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The request. Its ID is the `subject_request_id`.
    pub request: Request,
    /// The regulation under which it is made.
    pub regulation: Regulation,
    /// URLs to which each change of status is posted; `https` only.
    pub callbacks: Vec<String>,
}

/// Fields of a submission (7.1.1), not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields<'a> {
    #[serde(borrow)]
    regulation: Raw<'a>,
    #[serde(borrow)]
    subject_request_id: Raw<'a>,
    #[serde(borrow)]
    subject_request_type: Raw<'a>,
    #[serde(borrow)]
    subject_identities: Raw<'a>,
    #[serde(borrow)]
    submitted_time: Raw<'a>,
    #[serde(borrow)]
    api_version: Raw<'a>,
    #[serde(borrow)]
    status_callback_urls: Raw<'a>,
    #[serde(borrow)]
    extensions: Raw<'a>,
}

/// Fields of an identity (7.1.1), not read yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFields<'a> {
    #[serde(borrow)]
    identity_type: Raw<'a>,
    #[serde(borrow)]
    identity_value: Raw<'a>,
    #[serde(borrow)]
    identity_format: Raw<'a>,
}

/// Fields of this product, under the domain of the processor (7.1.2).
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension<'a> {
    #[serde(borrow)]
    proof: Raw<'a>,
    #[serde(borrow)]
    whole_person: Raw<'a>,
    #[serde(borrow)]
    reply_key: Raw<'a>,
    #[serde(borrow)]
    identifiers: Raw<'a>,
}

/// A field with the usual limit.
const fn field(name: &str, reason: Reason) -> Field<'_> {
    Field {
        name,
        reason,
        limit: MAX_VALUE,
    }
}

impl Submission {
    /// Parses the body of `POST /requests`. `brand` is the brand whose controller
    /// sent it, as its credentials determine; `domain` is that of the processor,
    /// the key of its extension.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] of the first thing that is wrong; it repeats no value.
    pub fn parse(bytes: &[u8], brand: &str, domain: &str) -> Result<Submission, Refusal> {
        let fields: Fields<'_> = object(
            text(bytes)?,
            Reason::Malformed,
            "the request",
            "`regulation` `subject_request_id` `subject_request_type` `subject_identities` `submitted_time` `api_version` `status_callback_urls` `extensions`",
        )?;
        let version = version(fields.api_version)?;
        let regulation = match (version, fields.regulation) {
            (Version::OpenGdpr, None) => Regulation::Gdpr,
            (_, raw) => regulation(raw)?,
        };
        let id = id(fields.subject_request_id)?;
        let extension = extension(fields.extensions, domain)?;
        let right = right(fields.subject_request_type)?;
        let time = field("submitted_time", Reason::Malformed);
        let proof = field("proof", Reason::NoProof).text(extension.proof)?;
        let request = Request {
            ts: time
                .text(fields.submitted_time)?
                .filter(|text| text.expose().contains('-'))
                .and_then(|text| time::read(text.expose()))
                .ok_or_else(|| time.refuse("must be RFC 3339 with a zone, from 1970 to 9999"))?,
            brand: brand.to_owned(),
            asked: match right {
                Right::Access => RequestBody::Access(reply_key(extension.reply_key)?),
                Right::Portability => RequestBody::Portability(reply_key(extension.reply_key)?),
                _ => RequestBody::Erase,
            },
            identifiers: subjects(fields.subject_identities, extension.identifiers)?,
            whole_person: field("whole_person", Reason::Malformed)
                .boolean(extension.whole_person)?,
            proof: proof.unwrap_or_else(|| ClearText::new(format!("opendsr:{}", id.expose()))),
            id: RequestId::new(id),
        };
        Ok(Submission {
            request,
            regulation,
            callbacks: callbacks(fields.status_callback_urls)?,
        })
    }
}

impl Submission {
    /// The request as a message for the rights subject ([`crate::request`]);
    /// parsing it yields the same request.
    pub fn to_request(&self) -> Zeroizing<Vec<u8>> {
        #[derive(Serialize)]
        struct Json<'a> {
            id: &'a RequestId,
            ts: i64,
            #[serde(rename = "type")]
            right: Right,
            brand: &'a str,
            identifiers: Vec<BTreeMap<&'static str, &'a str>>,
            whole_person: bool,
            proof: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            reply_key: Option<String>,
        }
        let request = &self.request;
        let identifiers = request.identifiers.iter().map(|identifier| {
            let kind = ("kind", identifier.kind().name());
            match identifier {
                Identifier::One { value, .. } => BTreeMap::from([kind, ("value", value.expose())]),
                Identifier::NamePostcode([first, last, postcode]) => BTreeMap::from([
                    kind,
                    ("first_name", first.expose()),
                    ("last_name", last.expose()),
                    ("postcode", postcode.expose()),
                ]),
            }
        });
        let json = Json {
            id: &request.id,
            ts: request.ts,
            right: request.asked.right(),
            brand: &request.brand,
            identifiers: identifiers.collect(),
            whole_person: request.whole_person,
            proof: request.proof.expose(),
            reply_key: match &request.asked {
                RequestBody::Access(key) | RequestBody::Portability(key) => Some(key.to_string()),
                _ => None,
            },
        };
        // Growing would leave copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(2 * MAX_REQUEST));
        // Texts and numbers: nothing in it can fail.
        let _ = serde_json::to_writer(&mut *out, &json);
        out
    }
}

/// The versions of the specification that are spoken.
#[derive(Clone, Copy)]
enum Version {
    /// 0.1 and 1.0, under the earlier name, which knew one regulation.
    OpenGdpr,
    /// 2.0.
    OpenDsr,
}

/// Accepts version 2.0, or none, and those of OpenGDPR.
fn version(raw: Raw<'_>) -> Result<Version, Refusal> {
    let field = field("api_version", Reason::Unsupported);
    // Some write it as a number.
    match raw.map(RawValue::get) {
        Some("2" | "2.0") => return Ok(Version::OpenDsr),
        Some("0.1" | "1" | "1.0") => return Ok(Version::OpenGdpr),
        _ => {}
    }
    match field.text(raw)?.as_ref().map(ClearText::expose) {
        None | Some("2" | "2.0") => Ok(Version::OpenDsr),
        Some("0.1" | "1" | "1.0") => Ok(Version::OpenGdpr),
        Some(_) => Err(field.refuse("must be 2.0, 1.0 or 0.1, or absent")),
    }
}

/// Parses the regulation.
fn regulation(raw: Raw<'_>) -> Result<Regulation, Refusal> {
    let field = field("regulation", Reason::Malformed);
    match field.text(raw)?.as_ref().map(ClearText::expose) {
        Some("gdpr") => Ok(Regulation::Gdpr),
        Some("ccpa") => Ok(Regulation::Ccpa),
        _ => Err(field.refuse("must be `gdpr` or `ccpa`")),
    }
}

/// "Global Unique Identifiers (GUID) MUST be lowercase and v4 format" (1.1).
fn id(raw: Raw<'_>) -> Result<ClearText, Refusal> {
    let field = field("subject_request_id", Reason::Malformed);
    let text = field.text(raw)?;
    let is_uuid = |text: &ClearText| {
        let text = text.expose().as_bytes();
        let place = |(place, byte): (usize, &u8)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            14 => *byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        text.len() == 36 && text.iter().enumerate().all(place)
    };
    text.filter(is_uuid)
        .ok_or_else(|| field.refuse("must be a UUID of version 4 in lower case"))
}

/// Parses the type of a request (6.2).
fn right(raw: Raw<'_>) -> Result<Right, Refusal> {
    let field = field("subject_request_type", Reason::UnknownType);
    let text = field.text(raw)?;
    let named = text.as_ref().map(ClearText::expose);
    let known = TYPES.iter().find(|(name, _)| Some(*name) == named);
    known
        .map(|(_, right)| *right)
        .ok_or_else(|| field.refuse("must be `access`, `portability` or `erasure`"))
}

/// The fields under the domain of this processor. Those of other processors are
/// ignored.
fn extension<'a>(raw: Raw<'a>, domain: &str) -> Result<Extension<'a>, Refusal> {
    let Some(raw) = raw else {
        return Ok(Extension::default());
    };
    let all: BTreeMap<String, &'a RawValue> = object(
        raw.get(),
        Reason::Malformed,
        "`extensions`",
        "the domains of processors",
    )?;
    match all.get(domain) {
        None => Ok(Extension::default()),
        Some(ours) => object(
            ours.get(),
            Reason::Malformed,
            "our part of `extensions`",
            "`proof` `whole_person` `reply_key` `identifiers`",
        ),
    }
}

/// The identifiers of the identities and of the extension, at least one and at
/// most [`MAX_IDENTIFIERS`].
fn subjects(identities: Raw<'_>, own: Raw<'_>) -> Result<Vec<Identifier>, Refusal> {
    let list: Vec<&RawValue> = match identities {
        None => Vec::new(),
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| {
            let detail = "`subject_identities` must be a list of objects";
            Refusal::new(Reason::BadIdentifier, detail)
        })?,
    };
    // Ours are read by the rules of ours, which want one at least.
    let mut all = match own {
        None if !list.is_empty() => Vec::new(),
        None => {
            let detail = "`subject_identities` is required: name at least one";
            return Err(Refusal::new(Reason::NoIdentifier, detail));
        }
        own => identifiers(own)?,
    };
    if all.len() + list.len() > MAX_IDENTIFIERS {
        let detail = format!(
            "`subject_identities` and `identifiers` have more than {MAX_IDENTIFIERS} entries: send several requests"
        );
        return Err(Refusal::new(Reason::BadIdentifier, detail));
    }
    for (place, raw) in list.iter().enumerate() {
        all.push(identity(place, raw)?);
    }
    Ok(all)
}

/// Parses an identity. The digest of an identity that is not hashed before its
/// canonical form is refused.
fn identity(place: usize, raw: &RawValue) -> Result<Identifier, Refusal> {
    let at = format!("subject_identities[{place}]");
    let fields: IdentityFields<'_> = object(
        raw.get(),
        Reason::BadIdentifier,
        &format!("`{at}`"),
        "`identity_type` `identity_value` `identity_format`",
    )?;
    let of = |name: &str, reason, raw| {
        let name = format!("{at}.{name}");
        let field = field(&name, reason);
        field.text(raw)?.ok_or_else(|| field.refuse("is required"))
    };
    let unsupported = |name: &str, what: &str| {
        let detail = format!("`{at}.{name}` {what}");
        Refusal::new(Reason::Unsupported, detail)
    };
    let named = of("identity_type", Reason::BadIdentifier, fields.identity_type)?;
    let (_, kind, hashed) = IDENTITIES
        .iter()
        .find(|(name, ..)| *name == named.expose())
        .ok_or_else(|| unsupported("identity_type", "is none that `/discovery` names"))?;
    let value = of(
        "identity_value",
        Reason::BadIdentifier,
        fields.identity_value,
    )?;
    let format = of(
        "identity_format",
        Reason::BadIdentifier,
        fields.identity_format,
    )?;
    let digest = is_digest(value.expose());
    match format.expose() {
        "raw" if digest && *hashed => Err(unsupported(
            "identity_value",
            "is a digest, which is not `raw`: say `sha256`",
        )),
        "raw" => match malformed(*kind, &value) {
            Some(wrong) => Err(Refusal::new(
                Reason::BadIdentifier,
                format!("`{at}.identity_value` {wrong}"),
            )),
            None => Ok(()),
        },
        "sha256" if *hashed && digest => Ok(()),
        "sha256" if *hashed => Err(Refusal::new(
            Reason::BadIdentifier,
            format!("`{at}.identity_value` must be the 64 hexadecimal digits of a SHA-256"),
        )),
        _ => Err(unsupported(
            "identity_format",
            "is none that `/discovery` names for this type: send it `raw`",
        )),
    }?;
    Ok(one(*kind, value))
}

/// An identifier with one value.
fn one(kind: IdKind, value: ClearText) -> Identifier {
    Identifier::One { kind, value }
}

/// Parses the callback URLs.
fn callbacks(raw: Raw<'_>) -> Result<Vec<String>, Refusal> {
    let Some(raw) = raw else {
        return Ok(Vec::new());
    };
    let urls: Vec<String> = serde_json::from_str(raw.get()).unwrap_or_default();
    let is_valid = |url: &String| {
        url.starts_with("https://")
            && url.len() <= MAX_VALUE
            && url.bytes().all(|c| c.is_ascii_graphic())
    };
    match (1..=MAX_CALLBACKS).contains(&urls.len()) && urls.iter().all(is_valid) {
        true => Ok(urls),
        false => Err(field("status_callback_urls", Reason::Malformed)
            .refuse("must be a list of 1 to 8 `https` URLs in ASCII, or absent")),
    }
}

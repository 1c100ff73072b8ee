//! CloudEvents 1.0: the id, the time and the source that a message supplies to
//! records without their own.
//!
//! In the binary mode of the NATS protocol binding (sections 3.1 and 3.2) the
//! attributes are headers that begin with `ce-`, percent-encoded, and the payload
//! is the data. In the structured mode (JSON format, section 3) the payload is an
//! event with its data, and in the batched mode of the HTTP binding a list of
//! events. `ce_` is accepted for `ce-`, because some clients cannot send
//! hyphens, and so are single attributes without `specversion`. An event that
//! states a version must be complete, and the version 1.0.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::dead_letter::{Reason, Refusal};
use crate::formats::json::{Json, Object};

/// The start of the media types of structured and batched messages.
const MEDIA_TYPE: &str = "application/cloudevents";

/// The attributes of a message or an event that a record may use.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes<'a> {
    /// `id`: the id of a record.
    pub(super) id: Option<Cow<'a, str>>,
    /// `time`: the `ts` of records without one, RFC 3339.
    pub(super) time: Option<Cow<'a, str>>,
    /// `source`: the source, if the subject names none.
    pub(super) source: Option<Cow<'a, str>>,
}

/// One event of a structured or batched message.
pub(super) struct CloudEvent<'a> {
    /// Its attributes.
    pub(super) attributes: Attributes<'a>,
    /// Its data.
    pub(super) data: Cow<'a, [u8]>,
}

/// An event, or its text and why it is refused.
pub(super) type Opened<'a> = Result<CloudEvent<'a>, (&'a str, Refusal)>;

/// What a message contains.
pub(super) enum Content<'a> {
    /// Its payload, with the attributes of its headers.
    Payload(Attributes<'a>),
    /// Events, each with data of its own.
    Events(Vec<Opened<'a>>),
}

/// The attribute of a header, if its name begins with `ce-`.
fn attribute(name: &str) -> Option<&str> {
    let is_prefixed = name
        .get(..2)
        .is_some_and(|ce| ce.eq_ignore_ascii_case("ce"));
    let rest = name.get(2..)?.strip_prefix(['-', '_']);
    rest.filter(|_| is_prefixed)
}

/// The attribute `source` among headers, by names in any case; the last of
/// several counts. `None` also if it cannot be decoded.
pub(super) fn source(headers: &[(String, String)]) -> Option<Cow<'_, str>> {
    let mut headers = headers.iter().rev();
    let (_, value) = headers.find(|(name, _)| {
        attribute(name).is_some_and(|name| name.eq_ignore_ascii_case("source"))
    })?;
    let value = percent_decode_str(value).decode_utf8().ok()?;
    (!value.is_empty()).then_some(value)
}

/// Opens a message.
///
/// # Errors
/// `malformed_cloudevent` for the message as a whole.
pub(super) fn open<'a>(
    headers: &'a [(String, String)],
    data: &'a [u8],
) -> Result<Content<'a>, Refusal> {
    let mut attributes = Attributes::default();
    let (mut version, mut kind) = (None, None);
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("content-type") && is_event(value) {
            return structured(data);
        }
        let Some(name) = attribute(name) else {
            continue;
        };
        let place = if name.eq_ignore_ascii_case("id") {
            &mut attributes.id
        } else if name.eq_ignore_ascii_case("time") {
            &mut attributes.time
        } else if name.eq_ignore_ascii_case("source") {
            &mut attributes.source
        } else if name.eq_ignore_ascii_case("specversion") {
            &mut version
        } else if name.eq_ignore_ascii_case("type") {
            &mut kind
        } else {
            continue;
        };
        let value = percent_decode_str(value).decode_utf8();
        let value = value.map_err(|_| {
            refusal(format!(
                "the header `ce-{}` is not UTF-8",
                name.to_ascii_lowercase()
            ))
        })?;
        *place = Some(value).filter(|value| !value.is_empty());
    }
    if let Some(version) = version {
        check(&version, &attributes, kind.is_some(), "the header `ce-")?;
    }
    Ok(Content::Payload(attributes))
}

/// Whether a media type is one of CloudEvents.
fn is_event(media_type: &str) -> bool {
    let start = media_type.trim_start().get(..MEDIA_TYPE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE))
}

/// Checks that an event is complete and of the version that is read.
fn check(
    version: &str,
    attributes: &Attributes<'_>,
    has_type: bool,
    prefix: &str,
) -> Result<(), Refusal> {
    if version != "1.0" {
        return Err(refusal(format!("{prefix}specversion` must be 1.0")));
    }
    let required = [
        ("id", attributes.id.is_some()),
        ("source", attributes.source.is_some()),
        ("type", has_type),
    ];
    match required.iter().find(|(_, is_present)| !is_present) {
        None => Ok(()),
        Some((name, _)) => Err(refusal(format!("{prefix}{name}` is required"))),
    }
}

/// The events of a structured or batched payload.
fn structured(data: &[u8]) -> Result<Content<'_>, Refusal> {
    let text = std::str::from_utf8(crate::files::strip_bom(data));
    let text = text.map_err(|_| refusal("the event is not UTF-8"))?;
    let whole = Json::of(text);
    let list = match whole.raw().starts_with('[') {
        false => vec![whole],
        true => {
            let list = whole.list();
            list.ok_or_else(|| refusal("the batch is no JSON list"))?
        }
    };
    let events = list.into_iter().map(|event| {
        let opened = event
            .object()
            .ok_or_else(|| refusal("the event is no JSON object"));
        let opened = opened.and_then(|event| read(&event));
        opened.map_err(|refusal| (event.raw(), refusal))
    });
    Ok(Content::Events(events.collect()))
}

/// One event of the JSON format.
fn read<'a>(event: &Object<'a>) -> Result<CloudEvent<'a>, Refusal> {
    let attributes = Attributes {
        id: event.get("id").text(),
        time: event.get("time").text(),
        source: event.get("source").text(),
    };
    let version = event.get("specversion").text().unwrap_or_default();
    let has_type = event.get("type").text().is_some();
    check(&version, &attributes, has_type, "the attribute `")?;
    let data = event.get("data");
    let encoded = event.get("data_base64");
    let data = if let Some(encoded) = encoded.present() {
        let bytes = encoded.text().and_then(|text| STANDARD.decode(&*text).ok());
        Cow::Owned(bytes.ok_or_else(|| refusal("`data_base64` is not base64"))?)
    } else if data.is_absent() {
        Cow::Borrowed(&b"{}"[..])
    } else {
        match data.text() {
            Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            None => Cow::Borrowed(data.raw().as_bytes()),
        }
    };
    Ok(CloudEvent { attributes, data })
}

/// The refusal of a message or an event.
fn refusal(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::MalformedCloudEvent, detail)
}

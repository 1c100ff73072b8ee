//! Segment's HTTP API, as its SDKs and those of RudderStack call it.
//!
//! | path | from |
//! |---|---|
//! | `/v1/track`, `/v1/page`, `/v1/screen`, `/v1/identify`, `/v1/alias`, `/v1/group` | RudderStack's SDKs, servers |
//! | `/v1/batch`, `/v1/import` | analytics-node and the other servers' and phones' SDKs |
//! | `/v1/t`, `/v1/p`, `/v1/s`, `/v1/i`, `/v1/a`, `/v1/g`, `/v1/b` | analytics.js 2 |
//! | `/beacon/v1/batch?writeKey=` | RudderStack's SDK, when a page is left |
//!
//! The write key is the user of Basic authentication, or `writeKey` in the body
//! or in the address. It is a token, so that the messages do not repeat it. The
//! content type does not matter: analytics.js sends JSON as `text/plain`, which
//! needs no preflight.

use tributary_connectors::files::strip_bom;
use tributary_connectors::formats::json::{Json, Object};

use super::reply::Rejection;
use super::split::{Messages, object_in_parts, quoted};
use tributary_config::model::Format;

/// The member of a body that holds the write key.
const WRITE_KEY: &str = "writeKey";

/// The `type` of the messages of a path; empty for a path of batches, `None` for
/// no path of the API.
pub(super) fn message_type(call: &str) -> Option<&'static str> {
    Some(match call {
        "track" | "t" => "track",
        "page" | "p" => "page",
        "screen" | "s" => "screen",
        "identify" | "i" => "identify",
        "alias" | "a" => "alias",
        "group" | "g" => "group",
        "batch" | "b" | "import" => "",
        _ => return None,
    })
}

/// A body of the API.
pub(super) struct Call<'a> {
    object: Object<'a>,
}

impl<'a> Call<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// 400 for a body that is no JSON object.
    pub(super) fn parse(data: &'a [u8]) -> Result<Call<'a>, Rejection> {
        let object: Object<'a> = serde_json::from_slice(strip_bom(data)).map_err(|error| {
            Rejection::malformed(format!("the body is not a valid JSON object: {error}"))
        })?;
        Ok(Call { object })
    }

    /// The write key, if the body holds one.
    pub(super) fn write_key(&self) -> Option<std::borrow::Cow<'a, str>> {
        self.object.get(WRITE_KEY).text()
    }

    /// The messages of the call, without write keys. A body of a single message
    /// becomes one of `of_type`, unless it states a type.
    ///
    /// # Errors
    /// 400 for a batch without a list, 413 for a message that is too large.
    pub(super) fn messages(&self, of_type: &str, max: usize) -> Result<Messages, Rejection> {
        let mut members: Vec<String> = Vec::new();
        for (name, value) in self.object.members() {
            match name {
                WRITE_KEY => {}
                "batch" => members.push(format!("\"batch\":[{}]", batch(value)?)),
                _ => members.push(format!("{}:{}", quoted(name), value.raw())),
            }
        }
        let has = |name| !self.object.get(name).is_absent();
        if !of_type.is_empty() && !has("type") && !has("batch") {
            members.push(format!("\"type\":{}", quoted(of_type)));
        }
        if of_type.is_empty() && !has("batch") {
            return Err(Rejection::malformed("`batch` must be a list of messages"));
        }
        let mut messages = Messages::new(max);
        let body = format!("{{{}}}", members.join(","));
        object_in_parts(&body, &Format::Segment, &mut messages)?;
        Ok(messages.complete())
    }
}

/// The elements of a batch, without their write keys.
fn batch(value: Json<'_>) -> Result<String, Rejection> {
    let list = value.list();
    let list = list.ok_or_else(|| Rejection::malformed("`batch` must be a list of messages"))?;
    let elements = list.into_iter().map(|element| {
        let object = element.raw().contains(WRITE_KEY).then(|| element.object());
        let Some(object) = object.flatten() else {
            return element.raw().to_owned();
        };
        let members = object.members().filter(|(name, _)| *name != WRITE_KEY);
        let members: Vec<String> = members
            .map(|(name, value)| format!("{}:{}", quoted(name), value.raw()))
            .collect();
        format!("{{{}}}", members.join(","))
    });
    Ok(elements.collect::<Vec<String>>().join(","))
}

//! The channel of a web record: what brought the visitor.
//!
//! The first of these that names a channel counts: the record's own fields; the
//! `utm_*` parameters of the page's address; the click identifier that an
//! advertising platform appends to it; a referrer of another site. Without any
//! of them the visit is direct.
//!
//! Addresses follow the WHATWG URL Standard. An address that cannot be parsed
//! names no channel; it never rejects the record, because senders cannot repair
//! what browsers report.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use percent_encoding::percent_decode_str;
use tributary_config::model::{Channels, LabelCase};
use url::{ParseError, Url};

use super::fields::Field;
use super::reader::{FieldResult, MAX_LABEL, Reader};
use super::{labels, referrers, site};
use crate::dead_letter::{Reason, Refusal};
use crate::keys::{MAX_IDENTIFIER, is_placeholder};

/// The maximum length of an address, bytes; a longer one names no channel.
const MAX_URL: usize = 65_536;

/// The parameters that advertising platforms append to a landing page's
/// address, with the source and medium of their clicks. Of several parameters
/// the first in this list counts.
const CLICK_IDS: [(&str, &str, &str); 9] = [
    ("gclid", "google", "cpc"),
    ("gbraid", "google", "cpc"),
    ("wbraid", "google", "cpc"),
    ("dclid", "google", "display"),
    ("msclkid", "bing", "cpc"),
    ("fbclid", "facebook", "social"),
    ("ttclid", "tiktok", "paid"),
    ("twclid", "x", "paid"),
    ("li_fat_id", "linkedin", "paid"),
];

/// The parameters whose values identify a click.
const IDENTIFYING: [&str; 5] = ["gclid", "gbraid", "wbraid", "fbclid", "msclkid"];

/// The source of conversions without a touchpoint.
const UNATTRIBUTED: &str = "unattributed";

/// Source, medium and campaign. An empty word is absent; at least one is not
/// empty.
pub type ChannelWords<'a> = [Cow<'a, str>; 3];

/// The channel that the record's own fields name, by the rule of channel
/// labels; `None` if all three are absent.
///
/// # Errors
/// `wrong_type` and `text_too_long`.
pub fn of_fields<'a>(
    reader: &Reader<'_, 'a>,
    channels: &Channels,
) -> FieldResult<Option<ChannelWords<'a>>> {
    let label = |field| -> FieldResult<Cow<'a, str>> {
        let label = reader.label(field)?;
        Ok(label.map_or(Cow::Borrowed(""), |label| word(label, channels)))
    };
    Ok(some([
        label(Field::Source)?,
        label(Field::Medium)?,
        label(Field::Campaign)?,
    ]))
}

/// The channel of a contact; `None` for a direct visit.
///
/// # Errors
/// As [`of_fields`], and `text_too_long` for a `utm_*` parameter.
/// ```
/// use tributary_config::model::{Channels, DecimalMark, LabelCase};
/// use tributary_connectors::native::channel::derive;
/// use tributary_connectors::native::fields::Fields;
/// use tributary_connectors::native::reader::Reader;
///
/// let channels = Channels {
///     own_hosts: Vec::new(),
///     ignored_referrers: Vec::new(),
///     case: LabelCase::Keep,
/// };
/// let line = r#"{"url": "https://shop.example/?utm_source=news&utm_medium=email"}"#;
/// let fields = Fields::read(line).expect("JSON");
/// let reader = Reader { fields: &fields, loose: false, decimal: DecimalMark::Point };
/// let channel = derive(&reader, &channels).expect("valid fields").expect("a channel");
/// assert_eq!(channel, ["news", "email", ""]);
/// ```
pub fn derive<'a>(
    reader: &Reader<'_, 'a>,
    channels: &Channels,
) -> FieldResult<Option<ChannelWords<'a>>> {
    let fields = of_fields(reader, channels)?;
    let url = reader.short_text(Field::Url, MAX_URL)?;
    let referrer = reader.short_text(Field::Referrer, MAX_URL)?;
    if fields.is_some() {
        return Ok(fields);
    }
    let url = url.as_deref();
    let of_url = url.map(|url| of_address(url, channels)).transpose()?;
    if let Some(words) = of_url.flatten() {
        return Ok(Some(words));
    }
    Ok(referrer.and_then(|referrer| of_referrer(&referrer, url, channels)))
}

/// The identifiers of clicks in the field `url`, decoded, in the order of the
/// address. Of `dclid` and the others that are no identifiers here, none; an
/// address that is no text has none either, and is for [`derive`] to reject.
pub fn click_ids(reader: &Reader<'_, '_>) -> Vec<String> {
    let url = reader.short_text(Field::Url, MAX_URL).ok().flatten();
    let Some(query) = url.as_deref().and_then(query) else {
        return Vec::new();
    };
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let clicks = pairs.filter(|(key, _)| IDENTIFYING.contains(&&*decode(key)));
    let values = clicks.map(|(_, value)| decode(value).into_owned());
    values
        .filter(|value| value.len() <= MAX_IDENTIFIER && !is_placeholder(value))
        .collect()
}

/// Normalizes a label of a channel, in the case that the brand has chosen.
fn word<'b>(text: Cow<'b, str>, channels: &Channels) -> Cow<'b, str> {
    let label = labels::normalize_channel(text);
    match channels.case {
        LabelCase::Lower
            if label
                .chars()
                .any(|c| !c.is_lowercase() && c.is_alphabetic()) =>
        {
            Cow::Owned(labels::normalize(Cow::Owned(label.to_lowercase())).into_owned())
        }
        _ => label,
    }
}

/// The words, if any is not empty. [`UNATTRIBUTED`] is the channel of conversions without a touchpoint, which the release gate
/// takes for nobody's: as a source that was sent it counts as absent, or one person's credit could stand there by itself.
fn some(mut words: ChannelWords<'_>) -> Option<ChannelWords<'_>> {
    let [source, _, _] = &mut words;
    if source.eq_ignore_ascii_case(UNATTRIBUTED) {
        *source = Cow::Borrowed("");
    }
    words.iter().any(|word| !word.is_empty()).then_some(words)
}

/// The channel that the parameters of an address name.
fn of_address<'b>(url: &str, channels: &Channels) -> FieldResult<Option<ChannelWords<'b>>> {
    let Some(query) = query(url) else {
        return Ok(None);
    };
    let mut utm: ChannelWords<'b> = Default::default();
    let mut click_id = None;
    for (key, value) in query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    {
        let key = decode(key);
        let place = match &*key {
            "utm_source" => 0,
            "utm_medium" => 1,
            "utm_campaign" => 2,
            key => {
                let known = CLICK_IDS.iter().position(|(id, ..)| *id == key);
                if known.is_some() && !is_placeholder(&decode(value)) {
                    click_id = known.into_iter().chain(click_id).min();
                }
                continue;
            }
        };
        if let Some(place) = utm.get_mut(place).filter(|place| place.is_empty()) {
            *place = Cow::Owned(word(decode(value), channels).into_owned());
        }
    }
    let click_id = click_id.and_then(|place| CLICK_IDS.get(place));
    let of_click = |(_, source, medium): &(_, &'static str, &'static str)| {
        [(*source).into(), (*medium).into(), "".into()]
    };
    let words = some(utm).or_else(|| click_id.map(of_click));
    match words {
        Some(_) if is_bad(url) => Ok(None),
        Some(words) if words.iter().any(|word| word.len() > MAX_LABEL) => Err(Refusal::new(
            Reason::TextTooLong,
            format!("a `utm_` parameter of `url` has more than {MAX_LABEL} bytes"),
        )),
        words => Ok(words),
    }
}

/// The query of an address: what lies between its first question mark and its
/// fragment. `None` without a question mark there.
fn query(url: &str) -> Option<&str> {
    let mark = memchr::memchr2(b'?', b'#', url.as_bytes())?;
    let query = url.get(mark..)?.strip_prefix('?')?;
    match memchr::memchr(b'#', query.as_bytes()) {
        Some(fragment) => query.get(..fragment),
        None => Some(query),
    }
}

/// Decodes a key or a value of a query: percent-encoding, and `+` for a space
/// (`application/x-www-form-urlencoded`). Bytes that are not UTF-8 are read as
/// windows-1252, as older newsletters and shops write them, so that two words
/// that differ there stay distinct.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|c| c == b'%' || c == b'+') {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    let bytes: Vec<u8> = percent_decode_str(&spaced).collect();
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| {
        let decoded = WINDOWS_1252.decode_without_bom_handling(error.as_bytes());
        decoded.0.into_owned()
    }))
}

/// Whether a text is not an address. One without scheme and host is a path on
/// the sender's own site.
fn is_bad(url: &str) -> bool {
    plain_host(url).is_none()
        && !matches!(
            Url::parse(url),
            Ok(_) | Err(ParseError::RelativeUrlWithoutBase)
        )
}

/// The channel of a referrer that belongs to another site than the page. A page
/// whose address has no host belongs to the brand's own, unknown site; then
/// only search engines and social networks count.
fn of_referrer<'b>(
    referrer: &str,
    url: Option<&str>,
    channels: &Channels,
) -> Option<ChannelWords<'b>> {
    let host = host(referrer)?;
    let page = url.and_then(|url| match plain_host(url) {
        Some(plain) => Some(as_host(plain.into())),
        None => (!is_bad(url)).then(|| self::host(url)),
    });
    // Most come from the page before.
    if let Some(Some(page)) = &page
        && *page == host
    {
        return None;
    }
    let passed_over = [&channels.own_hosts, &channels.ignored_referrers];
    if passed_over
        .iter()
        .any(|hosts| site::is_within(&host, hosts))
    {
        return None;
    }
    if let Some(Some(page)) = &page
        && site::registrable_domain(page) == site::registrable_domain(&host)
    {
        return None;
    }
    match referrers::known(&host) {
        Some((name, medium)) => Some([name.into(), medium.name().into(), "".into()]),
        None if page == Some(None) => None,
        None => Some([Cow::Owned(host.into_owned()), "referral".into(), "".into()]),
    }
}

/// The host of an address in lower case, with `www.` if it has it and without a
/// trailing dot.
pub(crate) fn host(url: &str) -> Option<Cow<'_, str>> {
    as_host(match plain_host(url) {
        Some(host) => Cow::Borrowed(host),
        None => Cow::Owned(Url::parse(url).ok()?.host_str()?.to_owned()),
    })
}

/// A host in the form of [`host`]; `None` if nothing remains, or too much.
fn as_host(host: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let host = match host.bytes().any(|c| c.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => host,
    };
    let bare = host.strip_suffix('.').unwrap_or(&host);
    if bare.is_empty() || bare.len() > MAX_LABEL {
        return None;
    }
    Some(match bare.len() == host.len() {
        true => host,
        false => Cow::Owned(bare.to_owned()),
    })
}

/// The host of an address so plain that it needs no URL parser: `http(s)://`,
/// letters, digits, dots and hyphens, no port, nothing that could be a number
/// or an encoded name. It is a shortcut only: the parser returns the same.
fn plain_host(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let (mut end, mut dot, mut hyphens) = (rest.len(), None, false);
    for (place, byte) in rest.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => {}
            b'.' => dot = Some(place),
            b'-' => hyphens = true,
            b'/' | b'?' | b'#' => {
                end = place;
                break;
            }
            _ => return None,
        }
    }
    let host = rest.get(..end)?;
    let named = host.as_bytes().get(dot? + 1)?.is_ascii_alphabetic();
    let is_encoded = |label: &[u8]| label.eq_ignore_ascii_case(b"xn--");
    let encoded = hyphens && host.as_bytes().windows(4).any(is_encoded);
    (named && !encoded).then_some(host)
}

#[cfg(test)]
mod tests;

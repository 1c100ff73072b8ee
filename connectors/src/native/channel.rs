//! The channel of a web record: what brought the visitor.
//!
//! The first that says anything counts: the record's own fields; the `utm_*` parameters of the page's
//! address; a click identifier of Google or Microsoft; a referrer of another host. Nothing at all is a
//! direct visit. An address that is none says nothing; it never refuses the record.

use std::borrow::Cow;

use url::{ParseError, Url, form_urlencoded};

use super::fields::Field;
use super::labels;
use super::reader::{MAX_LABEL, Read, Reader};
use super::referrers;
use crate::dead::{Reason, Refusal};

/// Longer addresses say nothing.
const MAX_URL: usize = 65_536;

/// Source, medium and campaign; an empty word is absent, and not all three are.
pub type ChannelWords<'a> = [Cow<'a, str>; 3];

/// The three fields by the rule of channel labels, none where all are absent.
pub fn of_fields<'a>(reader: &Reader<'_, 'a>) -> Read<Option<ChannelWords<'a>>> {
    let label = |field| -> Read<Cow<'a, str>> {
        Ok(labels::of_channel(reader.label(field)?.unwrap_or_default()))
    };
    Ok(some([
        label(Field::Source)?,
        label(Field::Medium)?,
        label(Field::Campaign)?,
    ]))
}

/// The channel of a contact, none where it is direct.
pub fn derive<'a>(reader: &Reader<'_, 'a>) -> Read<Option<ChannelWords<'a>>> {
    let fields = of_fields(reader)?;
    let url = reader.short_text(Field::Url, MAX_URL)?;
    let referrer = reader.short_text(Field::Referrer, MAX_URL)?;
    if fields.is_some() {
        return Ok(fields);
    }
    if let Some(words) = url.as_deref().map(of_address).transpose()?.flatten() {
        return Ok(Some(words));
    }
    Ok(referrer.and_then(|referrer| of_referrer(&referrer, url.as_deref())))
}

fn some(words: ChannelWords<'_>) -> Option<ChannelWords<'_>> {
    words.iter().any(|word| !word.is_empty()).then_some(words)
}

/// What the parameters of an address say.
fn of_address<'b>(url: &str) -> Read<Option<ChannelWords<'b>>> {
    let address = url.split_once('#').map_or(url, |(address, _)| address);
    let Some((_, query)) = address.split_once('?') else {
        return Ok(None);
    };
    let mut utm: ChannelWords<'b> = Default::default();
    let (mut google, mut microsoft) = (false, false);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let place = match &*key {
            "utm_source" => 0,
            "utm_medium" => 1,
            "utm_campaign" => 2,
            "gclid" => {
                google |= !value.trim().is_empty();
                continue;
            }
            "msclkid" => {
                microsoft |= !value.trim().is_empty();
                continue;
            }
            _ => continue,
        };
        if let Some(word) = utm.get_mut(place).filter(|word| word.is_empty()) {
            *word = Cow::Owned(labels::of_channel(value).into_owned());
        }
    }
    let words = some(utm).or(match (google, microsoft) {
        (true, _) => Some(["google".into(), "cpc".into(), "".into()]),
        (_, true) => Some(["bing".into(), "cpc".into(), "".into()]),
        _ => None,
    });
    match words {
        Some(_) if is_bad(url) => Ok(None),
        Some(words) if words.iter().any(|word| word.len() > MAX_LABEL) => Err(Refusal::new(
            Reason::TextTooLong,
            format!("a `utm_` parameter of `url` has more than {MAX_LABEL} bytes"),
        )),
        words => Ok(words),
    }
}

/// Whether an address is none. One without scheme and host is a path on the sender's own site.
fn is_bad(url: &str) -> bool {
    plain_host(url).is_none()
        && !matches!(
            Url::parse(url),
            Ok(_) | Err(ParseError::RelativeUrlWithoutBase)
        )
}

/// What a referrer says, where it is of another host than the page.
fn of_referrer<'b>(referrer: &str, url: Option<&str>) -> Option<ChannelWords<'b>> {
    let host = host(referrer)?;
    if url.and_then(self::host).is_some_and(|own| own == host) {
        return None;
    }
    Some(match referrers::known(&host) {
        Some((name, medium)) => [name.into(), medium.name().into(), "".into()],
        None => [Cow::Owned(host.into_owned()), "referral".into(), "".into()],
    })
}

/// The host of an address in lower case, as it is written: `www.` is a part of it, as any other label is.
fn host(url: &str) -> Option<Cow<'_, str>> {
    let host = match plain_host(url) {
        Some(host) => Cow::Borrowed(host),
        None => Cow::Owned(Url::parse(url).ok()?.host_str()?.to_owned()),
    };
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

/// The host of an address so plain that it needs no parser: `http(s)://`, letters, digits, dots and hyphens,
/// no port, nothing that could be a number or an encoded name.
fn plain_host(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end)?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'-';
    let (_, last) = host.rsplit_once('.')?;
    let named = last.bytes().next().is_some_and(|c| c.is_ascii_alphabetic());
    let encoded = host
        .as_bytes()
        .windows(4)
        .any(|c| c.eq_ignore_ascii_case(b"xn--"));
    (named && !encoded && host.bytes().all(plain)).then_some(host)
}

#[cfg(test)]
mod tests;

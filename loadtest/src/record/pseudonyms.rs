//! Pseudonymised recordings: identifiers are replaced by keyed hashes under a secret that is drawn for
//! the recording and thrown away with it, so that the same value is the same pseudonym everywhere in
//! the recording, and nowhere else.
//!
//! A value is canonicalized as the worker does it before it is hashed, so that spellings, and clear
//! text and digest, stay one person, and what identifies no one stays that. What is no identifier and
//! may name somebody is left out: network addresses, positions, evidence, paths of addresses, members
//! that no native record has. What cannot be read as native records is withheld as a whole: a payload
//! takes its place that is rejected as the original was.

use tributary_config::model::{Brand, Config, Format, Secret};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::native::{mac, robots};
use tributary_connectors::trace::TraceLine;
use tributary_operators::record::IdKind;
use url::Url;

use crate::members::{Member, rewrite_payload};

/// What takes the place of a payload that is withheld. It is no JSON.
const WITHHELD: &str = "withheld";

/// What takes the place of a value that identifies no one.
const NO_ONE: &str = "n/a";

/// The parameters of addresses that name a campaign.
const CAMPAIGN: [&str; 5] = [
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
];

/// The parameters of addresses that identify a click.
const CLICKS: [&str; 7] = [
    "gclid", "gbraid", "wbraid", "fbclid", "msclkid", "dclid", "ttclid",
];

/// Members that stay as they are: times, money, channels, stores, consent, and the numbers that boxes make for a day.
const KEPT: [&str; 26] = [
    "ts",
    "version",
    "type",
    "source",
    "medium",
    "campaign",
    "landing",
    "amount",
    "currency",
    "store",
    "gpc",
    "tc_string",
    "gpp",
    "gpp_sid",
    "purposes",
    "sensor",
    "associated",
    "rssi",
    "offline_cookie",
    "until",
    "touch",
    "date",
    "platform",
    "cost",
    "impressions",
    "clicks",
];

/// A source whose records cannot be pseudonymised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "source {brand}/{name} has a vendor's format, and only native records can be pseudonymised: record other subjects with \
     --subjects, or without --pseudonymise"
)]
pub struct PseudonymError {
    brand: String,
    name: String,
}

/// Replaces identifiers.
#[derive(Debug)]
pub struct Pseudonyms {
    /// The key of each brand.
    keys: Vec<(String, BrandKey)>,
    /// Lines and payloads that were withheld.
    withheld: u64,
}

impl Pseudonyms {
    /// Pseudonyms under a new secret, for the sources that `is_recorded` names by brand and kind.
    ///
    /// # Errors
    ///
    /// A recorded source has a vendor's format.
    pub fn new(
        config: &Config,
        is_recorded: impl Fn(&str) -> bool,
    ) -> Result<Pseudonyms, PseudonymError> {
        let drawn: [u8; 32] = rand::random();
        let secret = Secret::from(data_encoding::HEXLOWER.encode(&drawn));
        let mut keys = Vec::new();
        for brand in &config.brands {
            for source in &brand.sources {
                let subject = format!(
                    "tributary.in.{}.{}.{}",
                    brand.name,
                    source.kind.name(),
                    source.name
                );
                if !matches!(source.format, Format::Native) && is_recorded(&subject) {
                    return Err(PseudonymError {
                        brand: brand.name.clone(),
                        name: source.name.clone(),
                    });
                }
            }
            let drawn = Brand {
                secret: secret.clone(),
                previous_secrets: Vec::new(),
                ..brand.clone()
            };
            keys.push((brand.name.clone(), BrandKey::new(&drawn)));
        }
        Ok(Pseudonyms { keys, withheld: 0 })
    }

    /// Lines and payloads so far that were withheld.
    pub fn withheld(&self) -> u64 {
        self.withheld
    }

    /// Replaces the identifiers of a message.
    pub fn apply(&mut self, line: &mut TraceLine) {
        let brand = line.subject.split('.').nth(2).unwrap_or_default();
        let kind = line.subject.split('.').nth(3).unwrap_or_default();
        let key = self.keys.iter().find(|(name, _)| name == brand);
        let withheld = std::cell::Cell::new(0);
        line.data = match key {
            Some((_, key)) => rewrite_payload(
                &line.data,
                |name, raw| member(key, kind, name, raw),
                |_| {
                    withheld.set(withheld.get() + 1);
                    WITHHELD.to_owned()
                },
            ),
            None => {
                withheld.set(1);
                WITHHELD.as_bytes().to_vec()
            }
        };
        self.withheld += withheld.get();
        let keyed = |value: &str| match key {
            Some((_, key)) => hex(key, value),
            None => NO_ONE.to_owned(),
        };
        line.headers.retain(|(name, _)| {
            let name = name.to_ascii_lowercase();
            [
                "content-type",
                "ce-id",
                "ce-source",
                "ce-type",
                "ce-specversion",
                "ce-time",
            ]
            .contains(&name.as_str())
        });
        for (name, value) in &mut line.headers {
            if name.eq_ignore_ascii_case("ce-id") {
                *value = keyed(value);
            }
        }
    }
}

/// What becomes of a member of a record.
fn member(key: &BrandKey, kind: &str, name: &str, raw: &str) -> Member {
    if KEPT.contains(&name) || raw == "null" {
        return Member::Keep;
    }
    let replaced = match name {
        "email" => each(raw, |text| digest(key, IdKind::Email, text)),
        "phone" => each(raw, |text| digest(key, IdKind::Phone, text)),
        "customer" => each(raw, |text| digest(key, IdKind::Customer, text)),
        "cookie" => each(raw, |text| opaque(key, IdKind::Cookie, text)),
        "wallet" => each(raw, |text| opaque(key, IdKind::Wallet, text)),
        "device" if kind == "ping" => each(raw, |text| hex(key, text)),
        "device" => each(raw, |text| opaque(key, IdKind::Device, text)),
        "click_id" => each(raw, |text| opaque(key, IdKind::ClickId, text)),
        "id" | "order_id" | "refund_of" | "restates" => each(raw, |text| hex(key, text)),
        "first_name" | "last_name" | "postcode" => each(raw, |text| match text.trim() {
            "" => String::new(),
            text => hex(key, &text.to_lowercase()),
        }),
        "mac" => each(raw, |text| address(key, text)),
        "url" => each(raw, |text| page(key, text)),
        "referrer" => each(raw, host),
        // It says whether a robot sent the record, and otherwise what somebody's browser is.
        "user_agent" => each(raw, |text| match robots::is_robot(text) {
            true => "Googlebot/2.1".to_owned(),
            false => String::new(),
        }),
        _ => None,
    };
    replaced.map_or(Member::Drop, Member::Replace)
}

/// A text or number, or a list of them, with each replaced; another value as it is if it is no text at
/// all, so that it is rejected as before.
fn each(raw: &str, replace: impl Fn(&str) -> String) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(raw).ok()?;
    let one = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => serde_json::Value::from(replace(&text)),
        serde_json::Value::Number(number) => serde_json::Value::from(replace(&number.to_string())),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => serde_json::json!({}),
        other => other,
    };
    Some(match value {
        serde_json::Value::Array(list) => {
            serde_json::Value::from_iter(list.into_iter().map(one)).to_string()
        }
        value => one(value).to_string(),
    })
}

/// The pseudonym of an identifier in 32 hexadecimal digits; none if it identifies no one.
fn pseudonym(key: &BrandKey, kind: IdKind, text: &str) -> Option<String> {
    let id = key.identify(kind, text).into_iter().next()?;
    Some(format!("{:032x}", id.value))
}

/// A digest that stands for an identifier that may come as a digest.
fn digest(key: &BrandKey, kind: IdKind, text: &str) -> String {
    match pseudonym(key, kind, text) {
        Some(first) => format!("{first}{}", hex(key, &first)),
        None => NO_ONE.to_owned(),
    }
}

/// What stands for an opaque identifier.
fn opaque(key: &BrandKey, kind: IdKind, text: &str) -> String {
    pseudonym(key, kind, text).unwrap_or_else(|| NO_ONE.to_owned())
}

/// What stands for any text, 32 hexadecimal digits; an empty one stays.
fn hex(key: &BrandKey, text: &str) -> String {
    match text.is_empty() {
        true => String::new(),
        false => format!("{:032x}", key.sensor_device(text)),
    }
}

/// What stands for the address of a device: another one, random where it is random.
fn address(key: &BrandKey, text: &str) -> String {
    let Some(address) = mac::parse(text).filter(|address| mac::is_device(*address)) else {
        return NO_ONE.to_owned();
    };
    const LOCAL: u64 = 0x0200_0000_0000;
    const GROUP: u64 = 0x0100_0000_0000;
    let hashed = (key.mac(address) as u64) & 0xffff_ffff_ffff;
    let kept = hashed & !(LOCAL | GROUP) | address & LOCAL | 1;
    format!("{kept:012x}")
}

/// An address of a page without its path: its campaign stays, and its clicks are replaced.
fn page(key: &BrandKey, text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return String::new();
    };
    let mut page = format!("{}://{}/", url.scheme(), url.host_str().unwrap_or_default());
    let mut before = '?';
    for (name, value) in url.query_pairs() {
        let value = match &*name {
            name if CAMPAIGN.contains(&name) => value.into_owned(),
            name if CLICKS.contains(&name) => opaque(key, IdKind::ClickId, &value),
            _ => continue,
        };
        let pair = url::form_urlencoded::Serializer::new(String::new())
            .append_pair(&name, &value)
            .finish();
        page.push(before);
        page.push_str(&pair);
        before = '&';
    }
    page
}

/// The host of an address.
fn host(text: &str) -> String {
    let url = Url::parse(text).ok();
    let host = url
        .as_ref()
        .and_then(|url| Some((url.scheme(), url.host_str()?)));
    host.map_or(String::new(), |(scheme, host)| {
        format!("{scheme}://{host}/")
    })
}

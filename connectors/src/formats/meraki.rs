//! Posts of the Cisco Meraki Scanning API, versions 2.0, 2.1 and 3.0.
//!
//! Facts: <https://developer.cisco.com/meraki/scanning-api/>. Version 2 posts
//! what one access point saw, with signal strengths above the noise floor, so
//! that positive ones are shifted by it. Version 3 posts what a network saw of
//! each client in a minute: one ping for each place where it was, by the access
//! point that received it best, and one for the newest record.
//!
//! Each post repeats a secret, which is compared by its hash. A dead letter
//! holds the refused observation or place alone: the post has the secret, and
//! the addresses of others. The names that visitors enter in a portal
//! (`userId`) are not read.

use std::borrow::Cow;

use secrecy::{ExposeSecret, SecretString};
use tributary_config::model::Kind;

use super::adapter::{Adapter, Emit, Item, object};
use super::json::{Json, Object, quote};
use super::record::{NativeRecord, Outcome, missing, wrong_type};
use crate::dead_letter::{Reason, Refusal};
use crate::native::fields::Field;

/// The noise floor of version 2, dBm, unless the source has another.
const NOISE_FLOOR: i64 = -95;

/// What a post is about.
struct Post<'a> {
    /// The tags of the access point; of version 3 those of each place.
    tags: Json<'a>,
    /// The access point; version 2.
    access_point: Json<'a>,
    /// The network; version 3.
    network: Json<'a>,
}

/// Reads a post.
pub fn read<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let mut count = 0;
    let mut counted = |text, outcome| {
        count += 1;
        emit(text, outcome);
    };
    if let Err(refusal) = post(adapter, item, &mut counted) {
        counted(item.text, Outcome::Refused(refusal));
    }
    if count == 0 {
        emit(item.text, Outcome::NotMapped);
    }
}

/// Emits the pings of a post.
fn post<'a>(adapter: &Adapter, item: Item<'a>, emit: &mut Emit<'_, 'a>) -> Result<(), Refusal> {
    let whole = object(item.text)?;
    if !has_secret(&whole, &adapter.mapping.secret) {
        let detail = "`secret` is not that of the source";
        return Err(Refusal::new(Reason::WrongSecret, detail));
    }
    let kind = whole.get("type").text();
    let kind = kind.ok_or_else(|| missing("type"))?;
    let with_bluetooth = adapter.mapping.bluetooth.unwrap_or_default();
    let is_read = match &*kind {
        "DevicesSeen" | "WiFi" => true,
        "BluetoothDevicesSeen" | "Bluetooth" | "BLE" => with_bluetooth,
        _ => false,
    };
    if !is_read {
        return Ok(());
    }
    let data = whole.get("data").object();
    let data = data.ok_or_else(|| wrong_type("data", "an object"))?;
    let observations = match data.get("observations").present() {
        None => Vec::new(),
        Some(list) => {
            let list = list.list();
            list.ok_or_else(|| wrong_type("data.observations", "a list"))?
        }
    };
    let post = Post {
        tags: data.get("apTags"),
        access_point: data.get("apMac"),
        network: data.get("networkId"),
    };
    let by_access_point = matches!(&*kind, "DevicesSeen" | "BluetoothDevicesSeen");
    for observation in observations {
        let text = observation.raw();
        let Some(observation) = observation.object() else {
            let refusal = wrong_type("data.observations", "a list of objects");
            emit(text, Outcome::Refused(refusal));
            continue;
        };
        match by_access_point {
            true => emit(text, seen(adapter, &post, &observation)),
            false => located(adapter, &post, &observation, text, emit),
        }
    }
    Ok(())
}

/// Whether a post repeats the secret of its source. False without a secret of
/// the source. Hashes are compared, whose comparison takes the same time
/// wherever they differ.
fn has_secret(post: &Object<'_>, own: &SecretString) -> bool {
    let own = own.expose_secret();
    let given = post.get("secret").text().unwrap_or_default();
    !own.is_empty() && blake3::hash(given.as_bytes()) == blake3::hash(own.as_bytes())
}

/// Whether a text is a post that repeats the secret of its source, so that it
/// needs no other proof of where it comes from.
///
/// ```
/// use tributary_connectors::formats::meraki::is_from;
///
/// assert!(is_from(r#"{"secret": "s3", "data": {}}"#, &"s3".into()));
/// assert!(!is_from(r#"{"secret": "s4"}"#, &"s3".into()));
/// assert!(!is_from(r#"{"secret": ""}"#, &"".into()));
/// ```
pub fn is_from(text: &str, own: &SecretString) -> bool {
    object(text).is_ok_and(|post| has_secret(&post, own))
}

/// The ping of an observation of version 2.
fn seen<'a>(adapter: &Adapter, post: &Post<'a>, observation: &Object<'a>) -> Outcome<'a> {
    let mut ping = client(observation);
    match observation.get("seenEpoch").present() {
        Some(seconds) => {
            let Some(seconds) = seconds.integer() else {
                let must = "integer Unix seconds";
                return Outcome::Refused(wrong_type("data.observations.seenEpoch", must));
            };
            let ms = seconds.saturating_mul(1000).to_string();
            ping.put_json(Field::Ts, "data.observations.seenEpoch", ms);
        }
        None => {
            let time = observation.get("seenTime");
            ping.put(Field::Ts, "data.observations.seenTime", time);
        }
    }
    ping.put(Field::Sensor, "data.apMac", post.access_point);
    let rssi = observation.get("rssi");
    let path = "data.observations.rssi";
    match strength(rssi) {
        Some(above @ 0..) => {
            let floor = adapter.mapping.noise_floor.unwrap_or(NOISE_FLOOR);
            ping.put_json(Field::Rssi, path, above.saturating_add(floor).to_string());
        }
        Some(dbm) => ping.put_json(Field::Rssi, path, dbm.to_string()),
        None => ping.put(Field::Rssi, path, rssi),
    }
    finish(adapter, post, post.tags, post.access_point, ping)
}

/// Emits the pings of an observation of version 3.
fn located<'a>(
    adapter: &Adapter,
    post: &Post<'a>,
    observation: &Object<'a>,
    text: &'a str,
    emit: &mut Emit<'_, 'a>,
) {
    let locations = observation.get("locations");
    let places = locations.present().map(Json::list);
    match places {
        Some(None) => {
            let refusal = wrong_type("data.observations.locations", "a list");
            emit(text, Outcome::Refused(refusal));
        }
        Some(Some(places)) => {
            for place in places {
                let text = place.raw();
                let outcome = match place.object() {
                    Some(place) => located_at(adapter, post, observation, &place),
                    None => {
                        let path = "data.observations.locations";
                        Outcome::Refused(wrong_type(path, "a list of objects"))
                    }
                };
                emit(text, outcome);
            }
        }
        None => {}
    }
    let Some(latest) = observation.get("latestRecord").present() else {
        return;
    };
    let outcome = match latest.object() {
        Some(latest) => {
            let path = |name: &str| format!("data.observations.latestRecord.{name}");
            let mut ping = client(observation);
            ping.put(Field::Ts, path("time"), latest.get("time"));
            let sensor = latest.get("nearestApMac");
            ping.put(Field::Sensor, path("nearestApMac"), sensor);
            let rssi = latest.get("nearestApRssi");
            put_strength(&mut ping, path("nearestApRssi"), rssi);
            finish(adapter, post, latest.get("nearestApTags"), sensor, ping)
        }
        None => {
            let path = "data.observations.latestRecord";
            Outcome::Refused(wrong_type(path, "an object"))
        }
    };
    emit(latest.raw(), outcome);
}

/// The ping of a place: by the access point that received the client best, of
/// several the one with the smallest address.
fn located_at<'a>(
    adapter: &Adapter,
    post: &Post<'a>,
    observation: &Object<'a>,
    place: &Object<'a>,
) -> Outcome<'a> {
    const RECORDS: &str = "data.observations.locations.rssiRecords";
    let mut ping = client(observation);
    let time = place.get("time");
    ping.put(Field::Ts, "data.observations.locations.time", time);
    let records = match place.get("rssiRecords").present().map(Json::list) {
        Some(None) => return Outcome::Refused(wrong_type(RECORDS, "a list")),
        Some(Some(records)) => records,
        None => Vec::new(),
    };
    let records = records.iter().filter_map(|record| record.object());
    let mut best: Option<(i64, Cow<'a, str>, Object<'a>)> = None;
    for record in records {
        let Some(rssi) = strength(record.get("rssi")) else {
            return Outcome::Refused(wrong_type(RECORDS, "a list with an integer `rssi` each"));
        };
        let mac = record.get("apMac").text().unwrap_or_default();
        let is_better = best.as_ref().is_none_or(|(of, by, _)| {
            let smaller = mac.to_ascii_lowercase() < by.to_ascii_lowercase();
            rssi > *of || rssi == *of && smaller
        });
        if is_better {
            best = Some((rssi, mac, record));
        }
    }
    let Some((rssi, _, record)) = best else {
        return Outcome::Refused(missing(RECORDS));
    };
    let sensor = record.get("apMac");
    ping.put(Field::Sensor, format!("{RECORDS}.apMac"), sensor);
    ping.put_json(Field::Rssi, format!("{RECORDS}.rssi"), rssi.to_string());
    finish(adapter, post, place.get("nearestApTags"), sensor, ping)
}

/// A ping of the client of an observation, without time, sensor and store.
fn client<'a>(observation: &Object<'a>) -> NativeRecord<'a> {
    let mut ping = NativeRecord::new(Kind::Ping);
    let mac = observation.get("clientMac");
    ping.put(Field::Mac, "data.observations.clientMac", mac);
    if !observation.get("ssid").is_absent() {
        ping.put_json(Field::Associated, "data.observations.ssid", "true");
    }
    ping
}

/// A signal strength: a number, or a text of one, rounded down.
fn strength(value: Json<'_>) -> Option<i64> {
    let text = value.text_or_number()?;
    let text = text.trim();
    match text.split_once('.') {
        None => text.parse().ok(),
        Some((whole, fraction)) => {
            let is_fraction = fraction.bytes().all(|c| c.is_ascii_digit());
            let whole: i64 = whole.parse().ok().filter(|_| is_fraction)?;
            let is_whole = fraction.bytes().all(|c| c == b'0');
            let below = i64::from(text.starts_with('-') && !is_whole);
            Some(whole.saturating_sub(below))
        }
    }
}

/// Sets the signal strength of a ping.
fn put_strength<'a>(ping: &mut NativeRecord<'a>, path: String, value: Json<'a>) {
    match strength(value) {
        Some(dbm) => ping.put_json(Field::Rssi, path, dbm.to_string()),
        None => ping.put(Field::Rssi, path, value),
    }
}

/// Sets the store of a ping: the first that the source knows of the tags, the
/// access point and the network, else the network.
fn finish<'a>(
    adapter: &Adapter,
    post: &Post<'a>,
    tags: Json<'a>,
    access_point: Json<'a>,
    mut ping: NativeRecord<'a>,
) -> Outcome<'a> {
    let tags = match tags.present().map(Json::list) {
        Some(None) => return Outcome::Refused(wrong_type("apTags", "a list of strings")),
        Some(Some(tags)) => tags,
        None => Vec::new(),
    };
    let known = |place: &Json<'_>| {
        let place = place.text_or_number()?;
        let stores = &adapter.mapping.stores;
        stores.get(&*place).or_else(|| {
            let mut stores = stores.iter();
            let same = |name: &str| name.contains(':') && name.eq_ignore_ascii_case(&place);
            stores.find(|(name, _)| same(name)).map(|(_, store)| store)
        })
    };
    let mut places = tags.iter().chain([&access_point, &post.network]);
    match places.find_map(known) {
        Some(store) => ping.put_text(Field::Store, "data.apTags", store),
        None => match (post.network.text(), &adapter.mapping.store) {
            (Some(network), _) => {
                ping.put_json(Field::Store, "data.networkId", quote(&network));
            }
            (None, Some(store)) => ping.put_text(Field::Store, "data.networkId", store),
            (None, None) => ping.put(Field::Store, "data.networkId", Json::ABSENT),
        },
    }
    Outcome::Record(ping)
}

//! The days of a simulated store, with the truth about its phones.

use std::collections::BTreeMap;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tributary_simulate::{Mix, Options, TrueVisit, lines};

use super::judge::{Heard, SLACK, Seen, StoreDay, number_of};

/// One day, seconds.
const DAY: i64 = 86_400;

/// The days of the trace: locations arrive two days later.
const DAYS: u32 = 5;

/// A time as number or text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Milliseconds(i64),
    Text(String),
}

impl Time {
    /// Unix seconds.
    fn seconds(&self) -> anyhow::Result<i64> {
        match self {
            Time::Milliseconds(ms) => Ok(ms.div_euclid(1_000)),
            Time::Text(at) => Ok(at.parse::<Timestamp>()?.as_second()),
        }
    }
}

/// The fields of pings and sightings.
#[derive(Deserialize)]
struct Fields {
    ts: Time,
    #[serde(default)]
    store: String,
    mac: Option<String>,
    device: Option<String>,
    rssi: Option<i64>,
    #[serde(default)]
    associated: bool,
    offline_cookie: Option<u32>,
    until: Option<i64>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    purposes: BTreeMap<String, bool>,
}

/// A store and a day, as the number of the day.
type Place = (String, i64);

/// The days of one store with so many people around it, by [`Options::partners`].
///
/// # Errors
/// A record that is not what the simulation writes.
pub fn simulated(persons: u32) -> anyhow::Result<Vec<StoreDay>> {
    let options = Options {
        days: Some(DAYS),
        persons: Some(persons),
        stores: 1,
        bad: 0.0,
        late: 0.0,
        mix: Mix {
            pings: 90,
            web: 0,
            transactions: 10,
        },
        partners: true,
        ..Options::default()
    };
    let mut days: BTreeMap<Place, StoreDay> = BTreeMap::new();
    let mut sightings: Vec<Fields> = Vec::new();
    let mut truth: Vec<TrueVisit> = Vec::new();
    let mut world = lines(options)?;
    while let Some(line) = world.next() {
        truth.extend(world.take_true_visits());
        let (is_ping, is_partner) = (
            line.subject.ends_with(".ping"),
            line.subject.ends_with(".partner") || line.subject.ends_with(".partner_mac"),
        );
        if !is_ping && !is_partner {
            continue;
        }
        let fields: Fields = serde_json::from_str::<Value>(&line.data)
            .and_then(serde_json::from_value)
            .with_context(|| format!("{} is not what the simulation writes", line.subject))?;
        if is_ping {
            add_ping(&mut days, &fields)?;
        } else if fields.kind == "sighting" && fields.purposes.get("1") == Some(&true) {
            sightings.push(fields);
        }
    }
    for fields in sightings {
        add_sighting(&mut days, &truth, fields)?;
    }
    Ok(days.into_values().collect())
}

/// An address as the token's name: 12 digits.
fn digits(mac: &str) -> String {
    let digits = mac.chars().filter(char::is_ascii_hexdigit);
    digits.collect::<String>().to_ascii_lowercase()
}

/// Adds a ping, unless it is of a random address.
fn add_ping(days: &mut BTreeMap<Place, StoreDay>, fields: &Fields) -> anyhow::Result<()> {
    let token = match (&fields.mac, &fields.device) {
        (Some(mac), _) => digits(mac),
        (None, Some(device)) => device.clone(),
        (None, None) => return Ok(()),
    };
    let is_random =
        fields.mac.is_some() && matches!(token.as_bytes().get(1), Some(b'2' | b'6' | b'a' | b'e'));
    if is_random && !fields.associated {
        return Ok(());
    }
    let second = fields.ts.seconds()?;
    let place = (fields.store.clone(), second.div_euclid(DAY));
    let device = days
        .entry(place)
        .or_default()
        .devices
        .entry(token)
        .or_default();
    device.pings.push(Heard {
        second,
        rssi: fields.rssi.unwrap_or(i64::MIN),
    });
    device.number = match (device.number, fields.offline_cookie) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Ok(())
}

/// Adds a sighting, with the token of the device at that time.
fn add_sighting(
    days: &mut BTreeMap<Place, StoreDay>,
    truth: &[TrueVisit],
    fields: Fields,
) -> anyhow::Result<()> {
    let Some(who) = fields.device else {
        return Ok(());
    };
    let from = fields.ts.seconds()?;
    let until = fields.until.map_or(from, |until| until.div_euclid(1_000));
    let own = truth.iter().find(|visit| {
        visit.device == who
            && visit.store == fields.store
            && visit.from.div_euclid(1_000) <= until + SLACK
            && visit.until.div_euclid(1_000) >= from - SLACK
    });
    let token = own.map_or_else(String::new, |visit| visit.sensed.clone());
    let Some(day) = days.get_mut(&(fields.store, from.div_euclid(DAY))) else {
        return Ok(());
    };
    let of_mac = fields.mac.as_deref().map(digits).map(|token| {
        let device = day.devices.get(&token);
        let number = device.and_then(|device| device.number);
        number.unwrap_or_else(|| number_of(&token))
    });
    day.sightings.push(Seen {
        who,
        token,
        from,
        until,
        cookie: fields.offline_cookie.or(of_mac),
    });
    Ok(())
}

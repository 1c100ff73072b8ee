//! The days of a real room: probe requests of a public data set, with simulated sightings.
//!
//! Nobody knows whose phone is whose there, so that sightings are made of visits themselves: every second one is seen by time
//! alone, and every other one by the number of a box, each blurred by up to two minutes.

use std::io::BufRead;
use std::path::Path;

use anyhow::Context;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tributary_connectors::files;

use super::judge::{Heard, Seen, StoreDay, number_of};

/// The addresses of the laboratory's own devices begin with these.
const OWN: [&str; 2] = ["dc:fb:48", "40:ec:99"];

/// One day of a file of the data set `wifi_probe_brno`.
///
/// # Errors
/// A file that cannot be read, or has other columns.
pub fn probes(path: &Path) -> anyhow::Result<StoreDay> {
    let zone = TimeZone::get("Europe/Prague")?;
    let opened = files::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut day = StoreDay::default();
    for line in opened.reader.lines().skip(1) {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let mut cells = line.split(',');
        let (Some(at), Some(_), Some(mac)) = (cells.next(), cells.next(), cells.next()) else {
            continue;
        };
        // Names of makers contain commas: what follows them is found from the flag on.
        let rest: Vec<&str> = cells.collect();
        let flag = rest.windows(2).find_map(|pair| match pair {
            [flag @ ("0" | "1"), rssi] => Some((*flag, rssi.parse::<i64>().ok()?)),
            _ => None,
        });
        let Some((random, rssi)) = flag else { continue };
        if random == "1" || OWN.iter().any(|own| mac.starts_with(own)) {
            continue;
        }
        let at: DateTime = at.replace(' ', "T").parse().context("a time of the file")?;
        let second = zone
            .to_ambiguous_zoned(at)
            .compatible()?
            .timestamp()
            .as_second();
        let device = day.devices.entry(mac.to_owned()).or_default();
        device.pings.push(Heard { second, rssi });
    }
    day.sightings = sightings(&day);
    Ok(day)
}

/// A sighting of every visit of the day.
fn sightings(day: &StoreDay) -> Vec<Seen> {
    let seen = day.visits().into_iter().map(|visit| {
        let bits = i64::from(number_of(&format!("{} {}", visit.token, visit.first)));
        let from = visit.first + bits % 240 - 120;
        Seen {
            who: visit.token.to_owned(),
            token: visit.token.to_owned(),
            from,
            until: (visit.last + (bits >> 8) % 240 - 120).max(from),
            cookie: ((bits >> 20) % 2 == 0).then_some(visit.cookie),
        }
    });
    seen.collect()
}

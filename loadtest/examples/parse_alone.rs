//! Parses every line of a trace with serde_json and counts what it finds: what a program spends on these bytes at least.
//!
//! ```text
//! parse_alone TRACE [--map]
//! ```
//!
//! Each record is parsed into a struct that knows the names of its fields and borrows their texts, so that nothing is allocated.
//! With `--map` it is a map by key instead, as of a program that does not know the names; it allocates every key.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    subject: Cow<'a, str>,
    at: i64,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The fields of all kinds of records that a trace has.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    ts: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    cookie: Option<&'a RawValue>,
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow)]
    medium: Option<&'a RawValue>,
    #[serde(borrow)]
    campaign: Option<&'a RawValue>,
    #[serde(borrow)]
    landing: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    referrer: Option<&'a RawValue>,
    #[serde(borrow)]
    email: Option<&'a RawValue>,
    #[serde(borrow)]
    phone: Option<&'a RawValue>,
    #[serde(borrow)]
    customer: Option<&'a RawValue>,
    #[serde(borrow)]
    wallet: Option<&'a RawValue>,
    #[serde(borrow)]
    order_id: Option<&'a RawValue>,
    #[serde(borrow)]
    refund_of: Option<&'a RawValue>,
    #[serde(borrow)]
    amount: Option<&'a RawValue>,
    #[serde(borrow)]
    currency: Option<&'a RawValue>,
    #[serde(borrow)]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    sensor: Option<&'a RawValue>,
    #[serde(borrow)]
    mac: Option<&'a RawValue>,
    #[serde(borrow)]
    rssi: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    date: Option<&'a RawValue>,
    #[serde(borrow)]
    platform: Option<&'a RawValue>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    #[serde(borrow)]
    impressions: Option<&'a RawValue>,
    #[serde(borrow)]
    clicks: Option<&'a RawValue>,
}

impl Record<'_> {
    /// How many fields it has.
    fn count(&self) -> usize {
        let all = [
            self.id,
            self.ts,
            self.kind,
            self.cookie,
            self.source,
            self.medium,
            self.campaign,
            self.landing,
            self.url,
            self.referrer,
            self.email,
            self.phone,
            self.customer,
            self.wallet,
            self.order_id,
            self.refund_of,
            self.amount,
            self.currency,
            self.store,
            self.sensor,
            self.mac,
            self.rssi,
            self.version,
            self.date,
            self.platform,
            self.cost,
            self.impressions,
            self.clicks,
        ];
        all.iter().flatten().count()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("name a trace")?;
    let by_key = args.next().is_some_and(|arg| arg == "--map");
    let mut reader = std::io::BufReader::with_capacity(1 << 18, std::fs::File::open(path)?);
    let (mut line, mut lines, mut fields, mut sum) = (String::new(), 0u64, 0usize, 0i64);
    while reader.read_line(&mut line)? > 0 {
        let message: Line<'_> = serde_json::from_str(&line)?;
        lines += 1;
        sum = sum
            .wrapping_add(message.at)
            .wrapping_add(message.subject.len() as i64);
        let data = message.data.get();
        // Malformed data is part of every trace.
        fields += match by_key {
            true => serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(data)
                .map_or(0, |record| record.len()),
            false => serde_json::from_str::<Record<'_>>(data).map_or(0, |record| record.count()),
        };
        line.clear();
    }
    println!("{lines} lines, {fields} fields, checksum {sum}");
    Ok(())
}

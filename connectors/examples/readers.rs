//! What the readers of time stamps and amounts cost beside those of libraries, a text each:
//! `cargo run --release -p tributary-connectors --example readers`.

use std::hint::black_box;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};
use rust_decimal::Decimal;
use tributary_connectors::native::{amount, time};

/// How many texts there are of each sort.
const TEXTS: i64 = 200_000;

/// How many rounds are measured; the fastest counts.
const ROUNDS: usize = 9;

/// The decimals of the amounts' currency.
const DECIMALS: u8 = 2;

fn main() -> Result<(), jiff::Error> {
    let times = (0..TEXTS).map(time_stamp).collect::<Result<Vec<_>, _>>()?;
    let ours = measure("RFC 3339", &times, |text| {
        time::time(text, None, false).ok()
    });
    let jiff = measure("RFC 3339, jiff", &times, |text| {
        text.parse().ok().map(Timestamp::as_millisecond)
    });
    assert_eq!(ours, jiff, "both read the same moments");

    let amounts: Vec<String> = (0..TEXTS).map(price).collect();
    let ours = measure("amount", &amounts, |text| {
        amount::minor(text, true, DECIMALS).ok()
    });
    let decimal = measure("amount, rust_decimal", &amounts, minor);
    assert_eq!(ours, decimal, "both read the same amounts");
    Ok(())
}

/// With milliseconds, without, and with an offset.
fn time_stamp(number: i64) -> Result<String, jiff::Error> {
    let moment = Timestamp::from_millisecond(1_600_000_000_123 + number * 787_123)?;
    Ok(match number % 3 {
        0 => format!("{moment:.3}"),
        1 => format!("{moment:.0}"),
        _ => {
            let local = moment.to_zoned(TimeZone::fixed(offset(2)));
            local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
        }
    })
}

/// With two decimals, with one, with none, and below zero.
fn price(number: i64) -> String {
    match number % 4 {
        0 => format!("{}.{:02}", number % 3_000, number % 100),
        1 => format!("{}.{}", number % 90, number % 10),
        2 => format!("{}", number % 500),
        _ => format!("-{}.50", number % 900),
    }
}

/// The minor units of an amount, as [`amount::minor`] reads it.
fn minor(text: &str) -> Option<i64> {
    let mut decimal = Decimal::from_str_exact(text).ok()?.normalize();
    if decimal.scale() > DECIMALS.into() {
        return None;
    }
    decimal.rescale(DECIMALS.into());
    decimal.mantissa().try_into().ok()
}

/// Prints the nanoseconds that a text takes; returns the sum of what was read.
fn measure(what: &str, texts: &[String], read: impl Fn(&str) -> Option<i64>) -> i64 {
    let mut fastest = f64::INFINITY;
    let mut sum = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        sum = texts
            .iter()
            .filter_map(|text| read(black_box(text)))
            .fold(0, i64::wrapping_add);
        fastest = fastest.min(begun.elapsed().as_secs_f64());
    }
    let nanoseconds = fastest * 1e9 / texts.len() as f64;
    println!("{what:<22} {nanoseconds:>6.1} ns");
    sum
}

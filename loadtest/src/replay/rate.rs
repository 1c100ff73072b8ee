//! Rates that change: a curve of straight pieces, and when it has let a number of events pass.
//!
//! A curve begins at zero seconds and keeps its last rate for ever. The time of an event is exact: the
//! integral of the curve up to it is the number of events before it. It never depends on when earlier
//! events were sent, so that a slow receiver cannot slow down the schedule.

use std::str::FromStr;
use std::time::Duration;

/// A rate over time, events per second.
#[derive(Clone, Debug, PartialEq)]
pub struct RateCurve {
    /// The pieces in order.
    pieces: Vec<Piece>,
    /// The rate after all of them.
    last: f64,
}

/// A piece of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Its length, seconds.
    seconds: f64,
    /// The rate at its beginning.
    from: f64,
    /// The rate at its end.
    to: f64,
}

/// A text that is no rate, ramp or spike.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RateError(String);

impl RateCurve {
    /// The same rate for ever.
    pub fn constant(rate: f64) -> RateCurve {
        RateCurve {
            pieces: Vec::new(),
            last: rate,
        }
    }

    /// A rate that grows, or falls, evenly and then stays.
    pub fn ramp(from: f64, to: f64, over: Duration) -> RateCurve {
        let seconds = over.as_secs_f64();
        RateCurve {
            pieces: vec![Piece { seconds, from, to }],
            last: to,
        }
    }

    /// A rate that jumps to a peak for a while and falls back.
    pub fn spike(base: f64, peak: f64, after: Duration, length: Duration) -> RateCurve {
        let piece = |seconds: Duration, rate| Piece {
            seconds: seconds.as_secs_f64(),
            from: rate,
            to: rate,
        };
        RateCurve {
            pieces: vec![piece(after, base), piece(length, peak)],
            last: base,
        }
    }

    /// When as many events have passed; `Duration::MAX` if they never do.
    pub fn time_of(&self, events: u64) -> Duration {
        let mut left = events as f64;
        let mut before = 0.0;
        for piece in &self.pieces {
            let all = piece.seconds * (piece.from + piece.to) / 2.0;
            if left < all {
                return duration(before + piece.time_of(left));
            }
            left -= all;
            before += piece.seconds;
        }
        match left > 0.0 {
            true => duration(before + left / self.last),
            false => duration(before),
        }
    }
}

impl Piece {
    /// When as many of the piece's own events have passed, seconds from its beginning: the positive
    /// root of `from·t + (to - from)/(2·seconds)·t² = events`, in the form that does not cancel.
    fn time_of(&self, events: f64) -> f64 {
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * events).max(0.0);
        2.0 * events / (self.from + root.sqrt()).max(f64::MIN_POSITIVE)
    }
}

/// A duration of seconds; what is no time is one that never comes.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// `RATE`, `FROM..TO/DURATION` for a ramp, or `BASE^PEAK@AFTER/LENGTH` for a spike, such as `2000`,
/// `0..5000/1m` and `500^5000@30s/10s`.
impl FromStr for RateCurve {
    type Err = RateError;

    fn from_str(text: &str) -> Result<RateCurve, RateError> {
        let wrong = || {
            RateError(format!(
                "{text:?} is no rate: write events per second such as 2000, a ramp such as 0..5000/1m, or a spike such \
                 as 500^5000@30s/10s"
            ))
        };
        let number = |text: &str, zero: bool| {
            let rate: f64 = text.trim().parse().map_err(|_| wrong())?;
            let fits = rate.is_finite() && rate <= 1e9 && (rate > 0.0 || zero && rate == 0.0);
            fits.then_some(rate).ok_or_else(wrong)
        };
        let length = |text: &str| {
            let length = length_of(text).ok_or_else(wrong)?;
            (!length.is_zero()).then_some(length).ok_or_else(wrong)
        };
        if let Some((base, rest)) = text.split_once('^') {
            let (peak, rest) = rest.split_once('@').ok_or_else(wrong)?;
            let (after, lasting) = rest.split_once('/').ok_or_else(wrong)?;
            let (base, peak) = (number(base, false)?, number(peak, false)?);
            return Ok(RateCurve::spike(
                base,
                peak,
                length(after)?,
                length(lasting)?,
            ));
        }
        if let Some((from, rest)) = text.split_once("..") {
            let (to, over) = rest.split_once('/').ok_or_else(wrong)?;
            return Ok(RateCurve::ramp(
                number(from, true)?,
                number(to, false)?,
                length(over)?,
            ));
        }
        Ok(RateCurve::constant(number(text, false)?))
    }
}

/// A length of time such as `250ms`, `30s`, `1.5m`, `2h`; `None` if it is none.
pub fn length_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(curve: &str, events: u64) -> f64 {
        let curve: RateCurve = curve.parse().unwrap();
        (curve.time_of(events).as_secs_f64() * 1e6).round() / 1e6
    }

    #[test]
    fn an_event_is_due_when_the_curve_has_let_those_before_it_pass() {
        assert_eq!(seconds("500", 0), 0.0);
        assert_eq!(seconds("500", 1_000), 2.0);
        // A ramp from 0 to 100 within ten seconds lets 500 events pass, a quarter of them in half the time.
        assert_eq!(seconds("0..100/10s", 125), 5.0);
        assert_eq!(seconds("0..100/10s", 500), 10.0);
        assert_eq!(seconds("0..100/10s", 600), 11.0);
        assert_eq!(seconds("100..50/10s", 750), 10.0);
        // A spike: 1000 in ten seconds, 5000 within the next five, and 100 a second again.
        assert_eq!(seconds("100^1000@10s/5s", 1_000), 10.0);
        assert_eq!(seconds("100^1000@10s/5s", 3_500), 12.5);
        assert_eq!(seconds("100^1000@10s/5s", 6_100), 16.0);
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_forms() {
        for text in [
            "", "0", "-1", "x", "1..2", "0..0/1s", "1..2/0s", "1^2@3s", "1^2@3/4s", "inf", "nan",
            "1e12",
        ] {
            let error = text.parse::<RateCurve>().unwrap_err();
            assert!(error.to_string().contains("0..5000/1m"), "{text}");
        }
    }
}

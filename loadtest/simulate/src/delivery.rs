//! Delivery: the delay of a record, and what goes wrong on its way.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::pack::QueuedRecord;
use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

/// The share of records that are delivered twice.
const TWICE: f64 = 0.004;

impl World {
    /// Sends a record with the time `ts` (Unix milliseconds).
    ///
    /// It arrives within 15 seconds for a ping and 3 seconds for anything else. The share
    /// `options.late` arrives 10 minutes to 36 hours late.
    pub(crate) fn send(&mut self, kind: Kind, ts: i64, text: String) {
        let delay = match kind {
            Kind::Ping => self.random.whole(SECOND / 2, 15 * SECOND),
            _ => self.random.whole(SECOND / 8, 3 * SECOND),
        };
        let delay = match self.random.chance(self.options.late) {
            true => self.random.whole(10 * MINUTE, 36 * HOUR),
            false => delay,
        };
        self.send_at(kind, ts, ts + delay, text);
    }

    /// Sends a record that arrives at the time `at`, Unix milliseconds.
    ///
    /// The share [`TWICE`] is delivered again within ten minutes, and the share `options.bad` is
    /// preceded by a malformed copy.
    pub(crate) fn send_at(&mut self, kind: Kind, ts: i64, at: i64, text: String) {
        if self.random.chance(TWICE) {
            let again = at + self.random.whole(SECOND, 10 * MINUTE);
            self.enqueue(kind, again, true, text.clone());
        }
        if self.random.chance(self.options.bad) {
            let (object, corrupted) = self.corrupt(kind, ts, at, &text);
            self.enqueue(kind, at, object, corrupted);
        }
        self.enqueue(kind, at, true, text);
    }

    /// Enqueues a record without delay or faults.
    pub(crate) fn enqueue(&mut self, kind: Kind, at: i64, object: bool, text: String) {
        match kind {
            Kind::Ping => self.generated[0] += 1,
            Kind::Web => self.generated[1] += 1,
            Kind::Transaction => self.generated[2] += 1,
            Kind::Spend | Kind::Consent | Kind::Wallet | Kind::Partner => {}
        }
        let vendor = self.options.vendor.filter(|vendor| vendor.kind() == kind);
        let text = vendor.and_then(|vendor| vendor.item(&text)).unwrap_or(text);
        let has_mac = kind == Kind::Partner && text.contains(r#""mac":"#);
        let word = if has_mac {
            Kind::PARTNER_MAC
        } else {
            kind.name()
        };
        let order = self.queued;
        self.queued += 1;
        self.queue.push(std::cmp::Reverse(QueuedRecord {
            at,
            order,
            word,
            object,
            text,
        }));
    }

    /// A copy of a record that must be rejected, and whether it is still a JSON object.
    ///
    /// The faults are a time that is no number, a time without a zone, a time in the future, an
    /// amount with a decimal comma, a missing required field, a text that is not JSON, and a
    /// truncated object. The last of duplicate JSON keys counts, so a wrong value is simply
    /// appended.
    fn corrupt(&mut self, kind: Kind, ts: i64, at: i64, text: &str) -> (bool, String) {
        let mut body = text.to_owned();
        body.pop();
        match self.random.whole(0, 6) {
            0 => (true, format!("{body},\"ts\":true}}")),
            1 => (true, format!("{body},\"ts\":\"{}\"}}", local(ts))),
            2 => (true, format!("{body},\"ts\":{}}}", at + DAY)),
            3 if kind == Kind::Transaction => (true, format!("{body},\"amount\":\"12,50\"}}")),
            3 | 4 => {
                let required = match kind {
                    Kind::Ping => "store",
                    Kind::Web => "type",
                    Kind::Transaction | Kind::Consent | Kind::Wallet | Kind::Partner => "id",
                    Kind::Spend => "platform",
                };
                (true, format!("{body},\"{required}\":null}}"))
            }
            5 => (false, format!("kind={};ts={ts}", kind.name())),
            // Cut in the middle, as a full disk does it.
            _ => {
                let mut middle = text.len() * 2 / 3;
                while !text.is_char_boundary(middle) {
                    middle -= 1;
                }
                body.truncate(middle);
                (false, body)
            }
        }
    }

    /// Adds the field `ts`, mostly as a number, sometimes as text.
    pub(crate) fn add_time(&mut self, object: Object, ts: i64) -> Object {
        match self.random.whole(0, 15) {
            0 => match jiff::Timestamp::from_millisecond(ts) {
                Ok(moment) => object.text("ts", &moment.to_string()),
                Err(_) => object.raw("ts", ts),
            },
            _ => object.raw("ts", ts),
        }
    }

    /// Adds the field `amount` from minor units, as text or as a number.
    pub(crate) fn amount(&mut self, object: Object, minor: i64) -> Object {
        let text = major(minor);
        match self.random.chance(0.5) {
            true => object.text("amount", &text),
            false => object.raw("amount", text),
        }
    }
}

/// Minor units of a currency with two decimals, as decimal text.
pub(crate) fn major(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let units = minor.unsigned_abs();
    format!("{sign}{}.{:02}", units / 100, units % 100)
}

/// A timestamp without a time zone.
fn local(ts: i64) -> String {
    jiff::Timestamp::from_millisecond(ts)
        .map(|moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .unwrap_or_default()
}

//! The consent of visitors: most agree, some refuse part of what they are asked for, some change
//! their minds.
//!
//! A choice belongs to a browser, and is computed from the seed and its cookie whenever it is
//! needed. It draws no random numbers, so a world that asks for consent has the same events as one
//! that does not, apart from the consent strings.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::Person;
use crate::random::mixed;
use crate::tc_string::tc_string;
use crate::world::{DAY, SECOND, World};

/// The choice of one browser, and its changes.
struct Choice {
    /// The purposes that are refused at first.
    refuses: &'static [u8],
    /// When everything is withdrawn, Unix milliseconds.
    withdrawn: Option<i64>,
    /// When everything is agreed to again, Unix milliseconds.
    renewed: Option<i64>,
}

/// All purposes.
const EVERYTHING: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

impl World {
    /// Adds the consent string of a browser at a time, if the world asks for consent.
    pub(crate) fn add_consent_string(&self, object: Object, ts: i64, cookie: &str) -> Object {
        match self.options.consent {
            true => object.text("tc_string", &self.choice(cookie).string(self.first(), ts)),
            false => object,
        }
    }

    /// Sends the withdrawals and renewals of the day, each as a statement of its own.
    pub(crate) fn send_consent_changes(&mut self, person: &Person) {
        if !self.options.consent {
            return;
        }
        let identity = person.identity(self.options.seed);
        let today = self.midnight..self.midnight + DAY;
        for browser in 0..u64::from(person.cookies) {
            let cookie = identity.cookie(browser);
            let choice = self.choice(&cookie);
            let changes = [("w", choice.withdrawn), ("r", choice.renewed)];
            for (what, ts) in changes {
                let Some(ts) = ts.filter(|ts| today.contains(ts)) else {
                    continue;
                };
                let object = Object::new()
                    .text("id", &format!("k{what}-{cookie}"))
                    .raw("ts", ts)
                    .text("cookie", &cookie)
                    .text("tc_string", &choice.string(self.first(), ts))
                    .text("evidence", "preference centre, version 3");
                self.enqueue(Kind::Consent, ts + SECOND, true, object.end());
            }
        }
    }

    /// The start of the world, Unix milliseconds.
    fn first(&self) -> i64 {
        self.midnight_of(0)
    }

    /// The choice of the browser with a cookie.
    ///
    /// - 70 % agree to everything, 10 % to nothing, and 20 % refuse that advertising is measured or
    ///   audiences are analyzed, or both (purposes 7 and 9).
    /// - 5 % withdraw everything between the second and the 21st day, and half of these agree again
    ///   within six days.
    fn choice(&self, cookie: &str) -> Choice {
        let mut parts = vec![self.options.seed, 900];
        parts.extend(cookie.bytes().map(u64::from));
        let chance = mixed(&parts);
        let moment = |after: u64, within: u64, bits: u64| {
            (after + bits % within) as i64 * DAY + (bits >> 8) as i64 % DAY
        };
        let withdrawn = (chance >> 8) % 100 < 5;
        let renewed = withdrawn && (chance >> 16).is_multiple_of(2);
        let withdrawn = withdrawn.then(|| self.first() + moment(1, 20, chance >> 20));
        Choice {
            refuses: match chance % 100 {
                0..10 => EVERYTHING,
                10..18 => &[7],
                18..26 => &[9],
                26..30 => &[7, 9],
                _ => &[],
            },
            renewed: withdrawn
                .filter(|_| renewed)
                .map(|ts| ts + moment(1, 5, chance >> 30)),
            withdrawn,
        }
    }
}

impl Choice {
    /// The consent string at a time, in a world that starts at `first`; both in Unix milliseconds.
    fn string(&self, first: i64, ts: i64) -> String {
        match (self.withdrawn, self.renewed) {
            (_, Some(renewed)) if ts >= renewed => tc_string(renewed, |_| true),
            (Some(withdrawn), _) if ts >= withdrawn => tc_string(withdrawn, |_| false),
            _ => tc_string(first, |purpose| !self.refuses.contains(&purpose)),
        }
    }
}

//! What people choose in the banner of the shop: most agree, some refuse what they are asked for, some change their
//! minds.
//!
//! A choice belongs to a browser and is computed from the seed and its cookie whenever it is asked for. It draws no
//! random, so that a world whose people are asked is the world in which they are not, event for event.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::Person;
use crate::random::mixed;
use crate::tc_string::tc_string;
use crate::world::{DAY, SECOND, World};

/// What one browser chose, and when it was changed.
struct Choice {
    refuses: &'static [u8],
    /// When everything is withdrawn, Unix milliseconds.
    withdrawn: Option<i64>,
    /// When everything is agreed to again.
    renewed: Option<i64>,
}

/// All that is asked for.
const EVERYTHING: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

impl World {
    /// Adds the consent string of a browser at a moment, where people are asked.
    pub(crate) fn add_consent_string(&self, object: Object, ts: i64, cookie: &str) -> Object {
        match self.options.consent {
            true => object.text("tc_string", &self.choice(cookie).string(self.first(), ts)),
            false => object,
        }
    }

    /// Withdrawals and renewals of the day, each a statement of its own.
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

    /// When the world begins, Unix milliseconds.
    fn first(&self) -> i64 {
        self.midnight_of(0)
    }

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
    /// The string at a moment in a world that begins at another.
    fn string(&self, first: i64, ts: i64) -> String {
        match (self.withdrawn, self.renewed) {
            (_, Some(renewed)) if ts >= renewed => tc_string(renewed, |_| true),
            (Some(withdrawn), _) if ts >= withdrawn => tc_string(withdrawn, |_| false),
            _ => tc_string(first, |purpose| !self.refuses.contains(&purpose)),
        }
    }
}

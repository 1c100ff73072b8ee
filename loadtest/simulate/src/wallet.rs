//! Wallet passes: members of the loyalty program keep their card in the wallet of a phone, get messages, and let tills read it.
//!
//! A pass is issued and installed within the first two weeks. One in twelve is removed later, and one in thirty is void. On
//! Tuesdays every installed pass gets a message with a voucher; one holder in six opens it, and then plans to come to a store.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::{Person, Trait};
use crate::random::mixed;
use crate::shops::store_name;
use crate::world::{HOUR, MINUTE, SECOND, World};

/// What becomes of a person's pass, by day.
struct PassLife {
    /// The day on which it is issued and installed.
    installed: u32,
    /// The day on which it is removed or voided, and as what.
    ends: Option<(u32, &'static str)>,
    /// The platform.
    platform: &'static str,
}

impl PassLife {
    /// The life of the pass of a person; `None` without one.
    fn of(person: &Person, number: u64, seed: u64) -> Option<PassLife> {
        let bits = mixed(&[seed, 1 << 41, number]);
        let installed = (bits % 14) as u32;
        let later = installed + 5 + ((bits >> 16) % 20) as u32;
        person.has(Trait::Wallet).then_some(PassLife {
            installed,
            ends: match (bits >> 8) % 60 {
                0..5 => Some((later, "remove")),
                5..7 => Some((later, "void")),
                _ => None,
            },
            platform: match (bits >> 32) % 10 {
                0..6 => "apple",
                6..9 => "google",
                _ => "samsung",
            },
        })
    }

    /// Whether a phone holds it on a day, from its beginning to its end.
    fn is_held(&self, day: u32) -> bool {
        self.installed < day && self.ends.is_none_or(|(end, _)| day < end)
    }
}

impl World {
    /// The day of a person's pass: registrations and messages.
    pub(crate) fn simulate_pass(&mut self, person: &mut Person) {
        let Some(life) = self.pass_life(person) else {
            return;
        };
        if life.installed == self.day {
            let ts = self.midnight + self.random.whole(8 * HOUR, 21 * HOUR);
            let issue = self.pass_record(person, &life, "issue", ts);
            self.send(Kind::Wallet, ts, issue.end());
            self.send_form(person, ts);
            self.register(person, &life, "install", ts + 20 * SECOND);
        }
        self.send_taken_back(person, life.installed);
        if let Some((_, end)) = life.ends.filter(|(day, _)| *day == self.day) {
            let ts = self.midnight + self.random.whole(8 * HOUR, 21 * HOUR);
            self.register(person, &life, end, ts);
        }
        if self.tuesday && life.is_held(self.day) {
            let ts = self.midnight + 9 * HOUR + self.random.whole(0, 10 * MINUTE);
            let voucher = self.voucher();
            let push = self.pass_record(person, &life, "push", ts);
            self.send(Kind::Wallet, ts, push.text("campaign", &voucher).end());
            if self.random.chance(1.0 / 6.0) {
                let ts = ts + self.random.whole(MINUTE, 10 * HOUR);
                let open = self.pass_record(person, &life, "open", ts);
                self.send(Kind::Wallet, ts, open.text("campaign", &voucher).end());
                person.plans_until = self.day + 4;
            }
        }
    }

    /// A till reads the pass of a person: two times out of three, and sometimes twice. One reading in five redeems a voucher.
    pub(crate) fn scan_pass(&mut self, person: &Person, store: u16, ts: i64) {
        let Some(life) = self.pass_life(person) else {
            return;
        };
        if !life.is_held(self.day) || !self.random.chance(0.66) {
            return;
        }
        let ts = ts - self.random.whole(5 * SECOND, MINUTE);
        let redeems = self.random.chance(0.2);
        let kind = if redeems { "redeem" } else { "scan" };
        let scan = self.pass_record(person, &life, kind, ts);
        let scan = scan.text("store", &store_name(store));
        let scan = match redeems {
            true => {
                let scan = scan.text("source", "wallet").text("medium", "push");
                scan.text("campaign", &self.voucher())
            }
            false => scan,
        };
        self.send(Kind::Wallet, ts, scan.end());
        if self.random.chance(0.1) {
            let ts = ts + self.random.whole(5 * SECOND, 10 * MINUTE);
            let again = self.pass_record(person, &life, "scan", ts);
            let again = again.text("store", &store_name(store));
            self.send(Kind::Wallet, ts, again.end());
        }
    }

    /// The life of a person's pass, if there are passes in this world.
    fn pass_life(&self, person: &Person) -> Option<PassLife> {
        let seed = self.options.seed;
        let number = u64::from(person.number);
        let life = PassLife::of(person, number, seed);
        life.filter(|_| self.options.wallet)
    }

    /// Sends the registration of a pass by the phone of its person.
    fn register(&mut self, person: &Person, life: &PassLife, kind: &str, ts: i64) {
        let holder = mixed(&[self.options.seed, 1 << 42, u64::from(person.number)]);
        let record = self.pass_record(person, life, kind, ts);
        let record = record.text("holder", &format!("{holder:016x}"));
        self.send(Kind::Wallet, ts, record.end());
    }

    /// A record of a person's pass, which links it with the customer number now and then.
    fn pass_record(&mut self, person: &Person, life: &PassLife, kind: &str, ts: i64) -> Object {
        self.passes += 1;
        let object = Object::new().text("id", &format!("p-{}", self.passes));
        let identity = person.identity(self.options.seed);
        let object = self
            .add_time(object, ts)
            .text("type", kind)
            .text("wallet", &identity.wallet())
            .text("platform", life.platform);
        match kind {
            "issue" => object
                .text("customer", &identity.customer())
                .text("email", &identity.email()),
            _ => object,
        }
    }

    /// The voucher of the week.
    fn voucher(&self) -> String {
        format!("week-{}", self.day / 7 + 1)
    }
}

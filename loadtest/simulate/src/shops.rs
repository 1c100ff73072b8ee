//! The stores: visits that sensors detect, sales at the tills, and the pings of passers-by and
//! staff.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::{Person, Trait, mac, mac_text};
use crate::random::mixed;
use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

/// When stores open, in milliseconds after midnight.
const OPEN: i64 = 10 * HOUR;
/// When stores close.
const CLOSE: i64 = 19 * HOUR;

impl World {
    /// The day of a person in the stores: shopping trips, and visits without a purchase.
    ///
    /// People come more often with more activity and interest. While they plan to, for up to four
    /// days after a session that sent them to a store, most come the next day. On Sundays fewer
    /// than a third of the others come.
    pub(crate) fn simulate_stores(&mut self, person: &mut Person) {
        let (ping_factor, sale_factor) = (self.need(Kind::Ping), self.need(Kind::Transaction));
        let likes = f64::from(person.activity)
            * (0.15 + f64::from(person.interest) / 100.0)
            * if self.sunday { 0.3 } else { 1.0 };
        let trips = match self.day < person.plans_until {
            true => 0.8,
            false => 0.01 * likes,
        };
        for _ in 0..self.random.times(trips * sale_factor).min(6) {
            self.shop(person, ping_factor / sale_factor);
        }
        if person.has(Trait::Device) {
            for _ in 0..self.random.times(0.2 * likes * ping_factor).min(6) {
                let (store, from, dwell) = self.trip(person);
                self.visit(person, store, from, dwell);
            }
        }
    }

    /// A random trip: the store, its start (Unix milliseconds) and its duration (milliseconds).
    fn trip(&mut self, person: &Person) -> (u16, i64, i64) {
        let store = match self.random.chance(0.85) {
            true => person.home,
            false => self.random.whole(0, i64::from(self.options.stores) - 1) as u16,
        };
        let dwell = 3 * MINUTE + (self.random.heavy(12.0) * 240_000.0) as i64;
        let from = self.midnight + self.random.whole(OPEN, CLOSE - dwell.min(2 * HOUR));
        (store, from, dwell)
    }

    /// A shopping trip, which three times out of four ends with a sale. `ping_factor` scales the
    /// probability that sensors detect it.
    fn shop(&mut self, person: &mut Person, ping_factor: f64) {
        let (store, from, dwell) = self.trip(person);
        if person.has(Trait::Device) && self.random.chance((0.4 * ping_factor).min(1.0)) {
            self.visit(person, store, from, dwell);
        }
        if self.random.chance(0.75) {
            let before_leaving = self.random.whole(30 * SECOND, 2 * MINUTE);
            let till = from + dwell - before_leaving;
            self.scan_pass(person, store, till);
            self.sale(person, store, till);
            person.interest = person.interest / 2 + 5;
            person.plans_until = 0;
        }
    }

    /// The pings of one visit: one at the entrance with a weak signal, then one every 20 seconds to
    /// 3 minutes with a strong one. Sometimes a second sensor detects the same signal with 6 dB
    /// less.
    fn visit(&mut self, person: &Person, store: u16, from: i64, dwell: i64) {
        let phone = self.phone(person);
        let portal = phone.as_ref().and_then(|phone| phone.portal());
        let random = person.has(Trait::RandomMac);
        let mac = match (portal, random) {
            (Some(address), _) => address,
            (None, true) => mac(self.random.bits(), true),
            (None, false) => person.identity(self.options.seed).mac(),
        };
        if let Some(phone) = &phone {
            self.sight(phone, store, mac, (from, from + dwell));
        }
        let mut ts = from;
        while ts <= from + dwell {
            let at_the_door = ts == from;
            let rssi = match at_the_door {
                true => self.random.whole(-84, -70),
                false => self.random.whole(-72, -44),
            };
            self.ping(store, ts, mac, rssi, portal.is_some());
            // Two sensors may hear the same call.
            if self.random.chance(0.08) {
                self.ping(store, ts + 40, mac, rssi - 6, portal.is_some());
            }
            ts += self.random.whole(20 * SECOND, 3 * MINUTE);
        }
    }

    /// Sends a ping of one of two sensors of a store. `rssi` is in dBm, and `associated` says whether the device is joined to
    /// the store's Wi-Fi.
    fn ping(&mut self, store: u16, ts: i64, mac: u64, rssi: i64, associated: bool) {
        let sensor = self.random.whole(1, 2);
        let way = u64::from(store);
        let object = self
            .add_time(Object::new(), ts)
            .text("store", &store_name(store))
            .text("sensor", &format!("{}-{sensor}", store_name(store)));
        // One maker's sensors hash before they send.
        let object = match hashes(store) {
            true => object.text("device", &self.sensed(store, mac)),
            false => object.text("mac", &mac_text(mac, way)),
        };
        let object = match associated {
            true => object.raw("associated", true),
            false => object,
        };
        let object = match self.box_number(store, mac) {
            Some(number) => object.raw("offline_cookie", number),
            None => object,
        };
        self.send(Kind::Ping, ts, object.raw("rssi", rssi).end());
    }

    /// What the sensors of a store make of an address: 12 lower-case hex digits, or a hash.
    pub(crate) fn sensed(&self, store: u16, mac: u64) -> String {
        match hashes(store) {
            true => format!("{:016x}", mixed(&[self.options.seed, mac])),
            false => mac_text(mac, 0),
        }
    }

    /// The pings of passers-by and staff in all stores.
    ///
    /// Passers-by send one to three weak pings within a minute, mostly with random MAC addresses.
    /// Staff have one device per store, which is present from an hour before the store opens until
    /// half an hour after it closes; the size of the world limits how many stores have staff
    /// devices.
    pub(crate) fn add_passers_by(&mut self) {
        let need = self.need(Kind::Ping);
        if need == 0.0 {
            return;
        }
        let stores = self.options.stores;
        let passing = f64::from(self.population) * 0.05 / f64::from(stores);
        // Staff of a store make some forty pings a day, whoever comes; in a small world that would
        // be most.
        let staffed = (self.population / 300).clamp(u32::from(self.population >= 100), stores);
        for store in 0..stores as u16 {
            for _ in 0..self.random.times(passing * need) {
                let bits = self.random.bits();
                let device = mac(bits, bits % 100 < 85);
                let mut ts = self.midnight + self.random.whole(OPEN - HOUR, CLOSE + HOUR);
                for _ in 0..self.random.whole(1, 3) {
                    let rssi = self.random.whole(-94, -76);
                    self.ping(store, ts, device, rssi, false);
                    ts += self.random.whole(3 * SECOND, 25 * SECOND);
                }
            }
            // Where few pings are wanted, staff leave their telephones at home.
            if u32::from(store) < staffed && !self.sunday && self.need(Kind::Ping) > 0.5 {
                let device = mac(
                    mixed(&[self.options.seed, 1 << 40, u64::from(store)]),
                    false,
                );
                let mut ts = self.midnight + OPEN - HOUR + self.random.whole(0, 20 * MINUTE);
                while ts < self.midnight + CLOSE + HOUR / 2 {
                    let rssi = self.random.whole(-66, -40);
                    self.ping(store, ts, device, rssi, false);
                    ts += self.random.whole(6 * MINUTE, 26 * MINUTE);
                }
            }
        }
    }

    /// Sends a sale, and sometimes further records.
    ///
    /// The amount is 4 to 32 units of currency times a heavy-tailed factor of 2 on average. Of
    /// 1,000 sales, 4 are deposits returned instead (an adjustment of -0.25), 8 are corrected, and
    /// the share `options.refunds` is refunded within ten days: in full without an amount, in full
    /// with one, or by a third. Tills disagree about the sign of a refund.
    fn sale(&mut self, person: &Person, store: u16, ts: i64) {
        let minor = (400 + self.random.whole(0, 2_800)) as f64 * self.random.heavy(25.0);
        let minor = minor as i64;
        let id = self.sale_number(store);
        // A till now and then gives money for a bottle: an adjustment that belongs to no sale.
        if self.random.chance(0.004) {
            let object = self.transaction(&id, ts, store);
            let object = self.amount(object, -25);
            return self.send(Kind::Transaction, ts, object.end());
        }
        let object = self.transaction(&id, ts, store);
        let object = self.amount(object, minor);
        let object = match self.random.whole(0, 9) {
            0 => object.text("currency", &self.options.currency),
            _ => object,
        };
        let object = self.add_identifier_at_till(object, person);
        let text = object.end();
        self.send(Kind::Transaction, ts, text.clone());
        if self.random.chance(0.008) {
            self.correct(ts, text, minor);
        }
        if self.random.chance(self.options.refunds) {
            let back = ts + self.random.whole(HOUR, 10 * DAY);
            let part = match self.random.whole(0, 3) {
                0 => None,
                1 => Some(minor / 3),
                _ => Some(minor),
            };
            let refund = self.sale_number(store);
            let object = self
                .transaction(&refund, back, store)
                .text("refund_of", &id);
            let object = match part {
                None => object,
                // Tills disagree about the sign of what they give back.
                Some(part) if self.random.chance(0.5) => self.amount(object, -part),
                Some(part) => self.amount(object, part),
            };
            self.send(Kind::Transaction, back, object.end());
        }
        self.sign_up_on_tablet(person, store, ts);
    }

    /// Sends a correction: the same ID with another amount. With a version it wins by version,
    /// without one by arriving later. The last of duplicate JSON keys counts, so the new amount is
    /// appended.
    fn correct(&mut self, ts: i64, text: String, minor: i64) {
        let at = ts + self.random.whole(MINUTE, 2 * DAY);
        let mut body = text;
        body.pop();
        let amount = crate::delivery::major(minor + 100);
        let corrected = match self.random.chance(0.6) {
            true => format!("{body},\"amount\":\"{amount}\",\"version\":2}}"),
            false => format!("{body},\"amount\":\"{amount}\"}}"),
        };
        self.send_at(Kind::Transaction, ts, at, corrected);
        // A version that is out of date, and changes nothing.
        if self.random.chance(0.2) {
            let later = at + self.random.whole(MINUTE, HOUR);
            let outdated = format!("{body},\"amount\":\"1.00\",\"version\":-1}}");
            self.send_at(Kind::Transaction, ts, later, outdated);
        }
    }

    /// Sends the refund of an online order at a till.
    pub(crate) fn till_refunds_order(&mut self, store: u16, ts: i64, order: &str, minor: i64) {
        if self.options.mix.transactions == 0 {
            return;
        }
        let id = self.sale_number(store);
        let object = self.transaction(&id, ts, store).text("order_id", order);
        let object = self.amount(object, -minor);
        self.send(Kind::Transaction, ts, object.end());
    }

    /// A newsletter registration on the till's tablet: one cookie for everyone, which the hub guard
    /// must detect.
    fn sign_up_on_tablet(&mut self, person: &Person, store: u16, ts: i64) {
        if self.options.mix.web == 0 || !person.has(Trait::Email) || !self.random.chance(0.01) {
            return;
        }
        let cookie = format!("tablet-{}", store_name(store));
        let object = self.web("identify", ts + 20 * SECOND, &cookie);
        let object = object.text("email", &person.identity(self.options.seed).email());
        self.send(Kind::Web, ts + 20 * SECOND, object.end());
    }

    /// Adds the identifier that a customer presents at the till.
    ///
    /// Of 100 members of the loyalty program 60 present the card, half of them with the e-mail
    /// address for the receipt, 20 a customer number and 8 an e-mail address. Of 100 others 30 give
    /// an e-mail address for the receipt and 5 a telephone number, if they have one. Of 100
    /// customers 4 give their name and postcode, and 3 cause the cashier to enter a placeholder; the
    /// rest presents nothing.
    fn add_identifier_at_till(&mut self, object: Object, person: &Person) -> Object {
        let identity = person.identity(self.options.seed);
        let member = person.has(Trait::Customer);
        let draw = self.random.whole(0, 99);
        match (draw, member) {
            (0..60, true) if person.has(Trait::Wallet) => {
                let object = object.text("wallet", &identity.wallet());
                match self.random.chance(0.5) {
                    true => object.text("email", &identity.email()),
                    false => object,
                }
            }
            (0..80, true) => object.text("customer", &identity.customer()),
            (80..88, true) | (0..30, false) if person.has(Trait::Email) => {
                object.text("email", &identity.email())
            }
            (30..35, false) if person.has(Trait::Phone) => {
                let way = self.random.bits();
                object.text("phone", &identity.phone(way))
            }
            (88..92, _) => object
                .text("first_name", identity.first_name())
                .text("last_name", identity.last_name())
                .text("postcode", &identity.postcode()),
            // What a cashier types when somebody has no address.
            (92..94, _) => object.text("email", "test@test.com"),
            (94, _) => object.text("customer", "0000000"),
            _ => object,
        }
    }

    /// A transaction record without an amount.
    fn transaction(&mut self, id: &str, ts: i64, store: u16) -> Object {
        let object = Object::new().text("id", id);
        self.add_time(object, ts).text("store", &store_name(store))
    }

    /// The ID of the next sale.
    fn sale_number(&mut self, store: u16) -> String {
        self.sales += 1;
        format!("{}-{}", store_name(store), self.sales)
    }
}

/// Whether the sensors of a store hash addresses before they send them.
fn hashes(store: u16) -> bool {
    store % 7 == 6
}

/// The name of a store: `s01` and up.
pub(crate) fn store_name(store: u16) -> String {
    format!("s{:02}", store + 1)
}

//! Partners: phones with an advertising identifier, which an app, a captive portal and a navigation app see.
//!
//! Seven of ten phones that sensors detect carry one. Of these, a location partner reports every second visit, two days later
//! and by time alone; the portal of a store's Wi-Fi reports those of a phone that logs in at once, with its address; and in the
//! stores with a box, the brand's own app reports the number that the box gave the phone. A navigation app shows its pins,
//! and who clicks one plans to come to a store. One person in six refuses all of it.

use tributary_config::model::Kind;

use crate::json::Object;
use crate::people::{Person, Trait, mac, mac_text};
use crate::random::mixed;
use crate::shops::store_name;
use crate::truth::TrueVisit;
use crate::world::{DAY, HOUR, MINUTE, SECOND, World};

/// Everything that a person can allow.
const ALLOWED: &str = r#"{"1":true,"7":true,"9":true,"feature_2":true,"special_feature_1":true}"#;

/// A phone as partners see it.
pub(crate) struct Phone {
    /// The advertising identifier.
    device: String,
    /// The address for the Wi-Fi of the stores, if it logs in there.
    portal: Option<u64>,
    /// What its owner allows.
    purposes: &'static str,
}

impl World {
    /// The phone of a person, if there are partners in this world and they can see it.
    pub(crate) fn phone(&self, person: &Person) -> Option<Phone> {
        let bits = mixed(&[self.options.seed, 1 << 43, u64::from(person.number)]);
        let is_seen = self.options.partners && person.has(Trait::Device) && bits % 10 < 7;
        is_seen.then(|| {
            let more = mixed(&[bits, 1]);
            Phone {
                device: format!(
                    "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                    bits >> 32,
                    (bits >> 16) & 0xffff,
                    bits & 0xfff,
                    more >> 52,
                    more & 0xffff_ffff_ffff
                ),
                portal: (more >> 50).is_multiple_of(4).then(|| mac(more, true)),
                purposes: match (bits >> 8) % 6 {
                    0 => r#"{"1":false,"7":false,"9":false}"#,
                    _ => ALLOWED,
                },
            }
        })
    }

    /// The number that the box of a store gives a device on a day; `None` in a store without a box.
    pub(crate) fn box_number(&self, store: u16, mac: u64) -> Option<u32> {
        let has_box = self.options.partners && store.is_multiple_of(2);
        let day = u64::from(self.day);
        has_box.then(|| mixed(&[self.options.seed, 1 << 44, u64::from(store), day, mac]) as u32)
    }

    /// Sends what partners see of a visit, and remembers whose it was.
    pub(crate) fn sight(&mut self, phone: &Phone, store: u16, sensed: u64, span: (i64, i64)) {
        let (from, until) = span;
        self.true_visits.push(TrueVisit {
            device: phone.device.clone(),
            store: store_name(store),
            sensed: self.sensed(store, sensed),
            from,
            until,
        });
        if self.random.chance(0.5) {
            let ts = from + self.random.whole(-MINUTE, 2 * MINUTE);
            let end = (until + self.random.whole(-2 * MINUTE, MINUTE)).max(ts);
            let late = ts + 2 * DAY + self.random.whole(0, 6 * HOUR);
            let sighting = self.sighting(phone, store, ts).raw("until", end);
            self.send_at(Kind::Partner, ts, late, sighting.end());
        }
        if phone.portal.is_some() {
            let ts = from + self.random.whole(20 * SECOND, 3 * MINUTE);
            let sighting = self.sighting(phone, store, ts);
            let sighting = sighting.text("mac", &mac_text(sensed, u64::from(store)));
            self.send(Kind::Partner, ts, sighting.end());
        } else if let Some(number) = self.box_number(store, sensed) {
            let sighting = self.sighting(phone, store, from);
            let sighting = sighting.raw("until", until).raw("offline_cookie", number);
            self.send_at(Kind::Partner, from, until + MINUTE, sighting.end());
        }
    }

    /// The day of a person with partners: the pins that a navigation app shows, and the link with the customer's e-mail
    /// address, which the brand's app reports once.
    pub(crate) fn simulate_partners(&mut self, person: &mut Person) {
        let Some(phone) = self.phone(person) else {
            return;
        };
        for _ in 0..self.random.times(0.15) {
            let ts = self.midnight + self.random.whole(7 * HOUR, 20 * HOUR);
            let click = self.random.chance(0.2);
            let exposure = self
                .partner_record(&phone, "exposure", ts)
                .text("touch", if click { "click" } else { "impression" })
                .text("source", "waze")
                .text("medium", "pin")
                .text("campaign", &store_name(person.home));
            self.send(Kind::Partner, ts, exposure.end());
            if click && self.random.chance(0.5) {
                person.plans_until = self.day + 2;
            }
        }
        let linked = mixed(&[self.options.seed, 1 << 45, u64::from(person.number)]) % 14;
        if person.has(Trait::Email) && linked == u64::from(self.day) {
            let ts = self.midnight + self.random.whole(8 * HOUR, 21 * HOUR);
            let email = person.identity(self.options.seed).email();
            let link = self.partner_record(&phone, "link", ts);
            self.send(Kind::Partner, ts, link.text("email", &email).end());
        }
    }

    /// A sighting of a phone in a store, without its end.
    fn sighting(&mut self, phone: &Phone, store: u16, ts: i64) -> Object {
        let record = self.partner_record(phone, "sighting", ts);
        record.text("store", &store_name(store))
    }

    /// A record of a phone.
    fn partner_record(&mut self, phone: &Phone, kind: &str, ts: i64) -> Object {
        self.partner_records += 1;
        Object::new()
            .text("id", &format!("x-{}", self.partner_records))
            .raw("ts", ts)
            .text("type", kind)
            .text("device", &phone.device)
            .raw("purposes", phone.purposes)
    }
}

impl Phone {
    /// The address that it has in the Wi-Fi of the stores, if it logs in.
    pub(crate) fn portal(&self) -> Option<u64> {
        self.portal
    }
}

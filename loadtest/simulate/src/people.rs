//! People: their activity, their identifiers, and their interest in the brand.
//!
//! Identifiers are computed from the seed and the number of the person whenever they are needed, so
//! a person takes few bytes. Names, addresses and numbers are fictional; the mail domains are
//! reserved for examples (RFC 2606).

use crate::random::{Random, mixed};

/// First names.
const FIRST: [&str; 16] = [
    "Camille", "Louis", "Inès", "Hugo", "Zoé", "Karim", "Anaïs", "Paul", "Léa", "Noé", "Emma",
    "Yanis", "Chloé", "Jules", "Manon", "Théo",
];
/// Last names.
const LAST: [&str; 16] = [
    "Martin", "Bernard", "Petit", "Robert", "Durand", "Leroy", "Moreau", "Simon", "Laurent",
    "Lefèvre", "Michel", "Garcia", "Roux", "Fournier", "Girard", "Bonnet",
];

/// A customer or visitor of the brand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// The number of the person, from 0.
    pub(crate) number: u32,
    /// The activity of the person relative to others; 1 on average.
    pub(crate) activity: f32,
    /// The store that the person usually visits.
    pub(crate) home: u16,
    /// The number of browsers, 1 to 4.
    pub(crate) cookies: u8,
    /// The interest in the brand, 0 to 100: touchpoints raise it, and it decreases every day.
    pub(crate) interest: u8,
    /// The day until which an earlier session makes a store visit more likely.
    pub(crate) plans_until: u32,
    /// The traits of the person, as bits.
    traits: u8,
}

/// A trait, as a bit of [`Person::traits`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trait {
    /// Has an e-mail address that the brand may learn.
    Email = 1,
    /// Has a telephone number that the brand may learn.
    Phone = 2,
    /// Is a member of the loyalty program, with a customer account.
    Customer = 4,
    /// Has the loyalty card in a wallet.
    Wallet = 8,
    /// Receives the newsletter.
    Subscriber = 16,
    /// Carries a device that sensors detect.
    Device = 32,
    /// The device uses another random MAC address at every visit.
    RandomMac = 64,
}

impl Person {
    /// A random person.
    ///
    /// Of 100 people 55 are members of the loyalty program. Members have a customer account and an
    /// e-mail address; 85 % of them have the card in a wallet, 50 % gave a telephone number and
    /// 55 % receive the newsletter. Of the others 60 % have an e-mail address, 20 % a telephone
    /// number and 5 % the newsletter. A device that sensors detect has 70 % of all, with a random
    /// MAC address in 55 % of cases. Half of the people use one browser, 6 % use four. Activity has
    /// a heavy tail, limited to 20 times the average, and members are three times as active as
    /// others.
    pub(crate) fn random(number: u32, stores: u32, random: &mut Random) -> Person {
        let mut traits = 0;
        let mut may = |p: f64, what: Trait| {
            if random.chance(p) {
                traits |= what as u8;
            }
        };
        may(0.70, Trait::Device);
        may(0.55, Trait::RandomMac);
        may(0.55, Trait::Customer);
        let member = traits & Trait::Customer as u8 != 0;
        let (email, phone, wallet, subscriber) = match member {
            true => (1.0, 0.50, 0.85, 0.55),
            false => (0.60, 0.20, 0.0, 0.05),
        };
        let mut may = |p: f64, what: Trait| {
            if random.chance(p) {
                traits |= what as u8;
            }
        };
        may(email, Trait::Email);
        may(phone, Trait::Phone);
        may(wallet, Trait::Wallet);
        may(subscriber, Trait::Subscriber);
        Person {
            number,
            // The tail's mean is 2, and that of the factor is 0.47.
            activity: (random.heavy(40.0) * if member { 0.7 } else { 0.23 }) as f32,
            home: random.whole(0, i64::from(stores) - 1) as u16,
            cookies: 1 + random.weighted([0.5, 0.3, 0.14, 0.06].into_iter()) as u8,
            interest: random.whole(0, 40) as u8,
            plans_until: 0,
            traits,
        }
    }

    /// Whether the person has a trait.
    pub(crate) fn has(&self, what: Trait) -> bool {
        self.traits & what as u8 != 0
    }

    /// Raises the interest, up to 100.
    pub(crate) fn raise_interest(&mut self, by: u8) {
        self.interest = self.interest.saturating_add(by).min(100);
    }

    /// The identifiers of the person for a seed.
    pub(crate) fn identity(&self, seed: u64) -> Identity {
        Identity {
            seed,
            number: u64::from(self.number),
        }
    }
}

/// The identifiers of a person.
///
/// Each identifier is a hash of the seed, the number of the person and the kind of identifier, so
/// equal seeds have equal people.
#[derive(Clone, Copy)]
pub(crate) struct Identity {
    seed: u64,
    number: u64,
}

impl Identity {
    /// 64 bits for a kind of identifier.
    fn mix(&self, what: u64) -> u64 {
        mixed(&[self.seed, self.number, what])
    }

    /// The cookie of one of the person's browsers.
    pub(crate) fn cookie(&self, browser: u64) -> String {
        format!("{:016x}", self.mix(100 + browser))
    }

    /// The first name.
    pub(crate) fn first_name(&self) -> &'static str {
        FIRST[(self.mix(1) % 16) as usize]
    }

    /// The last name.
    pub(crate) fn last_name(&self) -> &'static str {
        LAST[(self.mix(2) % 16) as usize]
    }

    /// The postcode: five digits, as in France.
    pub(crate) fn postcode(&self) -> String {
        format!("{:05}", 1000 + self.mix(3) % 95_000)
    }

    /// The e-mail address, unique to the person.
    pub(crate) fn email(&self) -> String {
        let ascii = |name: &str| name.to_lowercase().replace(['é', 'è', 'ï'], "e");
        format!(
            "{}.{}{}@example.{}",
            ascii(self.first_name()),
            ascii(self.last_name()),
            self.number,
            ["org", "com", "net"][(self.mix(4) % 3) as usize]
        )
    }

    /// Nine digits of a French mobile number, without the leading zero.
    fn phone_digits(&self) -> String {
        format!("6{:08}", 10_000_000 + self.mix(5) % 85_000_000)
    }

    /// The telephone number in one of three notations.
    pub(crate) fn phone(&self, way: u64) -> String {
        let digits = self.phone_digits();
        match way % 3 {
            0 => format!("+33{digits}"),
            1 => format!("0{digits}"),
            _ => format!("0{} {} {}", &digits[..1], &digits[1..5], &digits[5..]),
        }
    }

    /// The customer number.
    pub(crate) fn customer(&self) -> String {
        format!("C{:07}", self.number)
    }

    /// The number of the loyalty card: 13 digits.
    pub(crate) fn wallet(&self) -> String {
        format!("{:013}", self.mix(6) % 10_000_000_000_000)
    }

    /// The MAC address of the device, globally administered.
    pub(crate) fn mac(&self) -> u64 {
        mac(self.mix(7), false)
    }
}

/// A MAC address from 48 bits: locally administered (random) or not, never a group address (IEEE
/// 802).
pub(crate) fn mac(bits: u64, random: bool) -> u64 {
    let plain = bits & 0xfcff_ffff_ffff;
    match random {
        true => plain | 0x0200_0000_0000,
        false => plain,
    }
}

/// A MAC address in one of the notations of sensor vendors.
pub(crate) fn mac_text(mac: u64, way: u64) -> String {
    let byte = |index: u32| (mac >> (40 - 8 * index)) & 0xff;
    match way % 8 {
        0 => format!("{mac:012x}"),
        1 => format!(
            "{:02X}-{:02X}-{:02X}-{:02X}-{:02X}-{:02X}",
            byte(0),
            byte(1),
            byte(2),
            byte(3),
            byte(4),
            byte(5)
        ),
        _ => format!(
            "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}",
            byte(0),
            byte(1),
            byte(2),
            byte(3),
            byte(4),
            byte(5)
        ),
    }
}

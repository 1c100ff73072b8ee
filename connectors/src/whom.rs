//! Whom: the identifiers of a person who is named from outside of any record, by a data subject's request or by an
//! operator's question.
//!
//! A record carries the identifiers that its source gives and the brand's rules make of them; here every way is
//! gone in which a record of the brand may have named the same value, so that none is missed.

use tributary_config::model::{Brand, HashRule};
use tributary_operators::record::{IdKind, Identifier, Pseudonym};

use crate::keys::{BrandKey, Reading, Scratch};
use crate::native::mac;

/// The identifiers of a value, under every rule that the brand enables; none where it names nobody.
pub fn identifiers(brand: &Brand, key: &BrandKey, kind: IdKind, value: &str) -> Vec<Identifier> {
    let mut ids = Vec::new();
    let region = key.default_reading().region;
    let others = brand.identity.rules.iter().copied();
    let others = others.filter(|rule| *rule != HashRule::Plain);
    for rule in [HashRule::Plain].into_iter().chain(others) {
        let reading = Reading { region, rule };
        key.identifiers(kind, value, reading, &mut Scratch::default(), &mut ids);
    }
    ids = key.newest(&ids);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The identifier of first name, last name and postcode; none where one of them names nobody.
pub fn name_postcode(key: &BrandKey, parts: [&str; 3]) -> Vec<Identifier> {
    let mut ids = Vec::new();
    key.name_postcode(parts, &mut Scratch::default(), &mut ids);
    key.newest(&ids)
}

/// What a sensor calls a device: by its MAC, and by what the sensor has already made of it.
pub fn devices(key: &BrandKey, value: &str) -> Vec<Pseudonym> {
    let mac = mac::parse(value).map(|mac| key.mac(mac));
    mac.into_iter().chain([key.sensor_device(value)]).collect()
}

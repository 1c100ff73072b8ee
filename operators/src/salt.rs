//! Salts: what makes a sensor token good for one store and one day only.
//!
//! A salt is drawn at random when the first ping of a store and day arrives at the worker that owns
//! them, is kept in memory only, and is destroyed when the day has been over for 24 hours. Tokens never
//! show in any output, so a random salt cannot make two runs differ.

use std::collections::BTreeMap;

use crate::label::Label;
use crate::record::{BrandId, Day, Pseudonym};

/// The salts of the stores and days that one worker owns.
#[derive(Default)]
pub struct Salts {
    salts: BTreeMap<(BrandId, Day, Label), [u8; 32]>,
}

impl Salts {
    /// The token of a device in a store on a salt day: BLAKE3 keyed with the salt, cut to 128 bits.
    pub fn token(
        &mut self,
        brand: BrandId,
        store: Label,
        day: Day,
        device: Pseudonym,
    ) -> Pseudonym {
        let salt = self
            .salts
            .entry((brand, day, store))
            .or_insert_with(rand::random);
        let hash = blake3::keyed_hash(salt, &device.to_le_bytes());
        let mut token = [0; 16];
        for (to, from) in token.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        Pseudonym::from_le_bytes(token)
    }

    /// Destroys the salts of a brand's days before the given one.
    pub fn destroy_before(&mut self, brand: BrandId, day: Day) {
        self.salts.retain(|(of, salted, _), salt| {
            let keep = *of != brand || *salted >= day;
            if !keep {
                salt.fill(0);
            }
            keep
        });
    }
}

//! Phone numbers: from what people type to E.164.
//!
//! A number counts when it can be written as E.164 with a known country code and a length that the
//! country has; whether the range is in service today is not asked, so that a new range of numbers
//! identifies people before the library's tables know it. Reading a number costs a thousand times
//! what a cookie costs, so the pseudonyms of the numbers seen last are remembered, found by a keyed hash.

use phonenumber::Type;
use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use tributary_operators::record::{Identifier, Pseudonym};
use zeroize::Zeroizing;

/// No phone number has more characters than this, whatever stands around it.
const LONGEST: usize = 64;

/// The region whose numbers need no country code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region(Option<Id>);

impl Region {
    /// The region of an ISO 3166 alpha-2 code; none where the code has no numbering plan.
    pub fn of(code: Option<&str>) -> Region {
        let id = code.and_then(|code| code.to_ascii_uppercase().parse::<Id>().ok());
        Region(id.filter(|id| DATABASE.by_id(id.as_ref()).is_some()))
    }

    /// Whether numbers need their country code.
    pub fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// A byte that differs between the regions of a cache.
    pub fn tag(self) -> u8 {
        self.0.map_or(0, |id| (id as u8).wrapping_add(1))
    }
}

/// What the numbers of a plan are for; each use has its own lengths.
const USES: [Type; 10] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
];

/// The E.164 form of a number, or none.
pub fn e164(region: Region, text: &str) -> Option<Zeroizing<String>> {
    if text.len() > LONGEST {
        return None;
    }
    let number = phonenumber::parse(region.0, text).ok()?;
    let national = Zeroizing::new(number.national().to_string());
    let code = number.code().value();
    let length = u16::try_from(national.len()).ok()?;
    let possible = DATABASE.by_code(&code)?.iter().any(|plan| {
        let mut uses = USES.iter().filter_map(|of| plan.descriptors().get(*of));
        uses.any(|of| of.possible_length().contains(&length))
    });
    let written = Zeroizing::new(format!("+{code}{}", *national));
    (possible && written.len() <= 16).then_some(written)
}

/// How many numbers are remembered.
const PLACES: usize = 16_384;

/// What is known of a number.
pub enum Known<'a> {
    /// It is no phone number.
    Nobody,
    /// Its pseudonyms, one a rule.
    Pseudonyms(&'a [Pseudonym]),
}

#[derive(Clone, Copy)]
struct Entry {
    place: u128,
    count: usize,
    pseudonyms: [Pseudonym; 4],
}

/// The pseudonyms of the numbers seen last.
#[derive(Clone, Default)]
pub struct PhoneCache(Vec<Option<Entry>>);

impl PhoneCache {
    /// What is known of the number with this keyed hash.
    pub fn get(&self, place: u128) -> Option<Known<'_>> {
        let entry = self.0.get(index(place))?.as_ref()?;
        if entry.place != place {
            return None;
        }
        Some(match entry.count {
            0 => Known::Nobody,
            count => Known::Pseudonyms(entry.pseudonyms.get(..count)?),
        })
    }

    /// Remembers the identifiers of a number, none where it is no number.
    pub fn put(&mut self, place: u128, ids: &[Identifier]) {
        if ids.len() > 4 {
            return;
        }
        if self.0.is_empty() {
            self.0.resize(PLACES, None);
        }
        let mut pseudonyms = [0; 4];
        for (slot, id) in pseudonyms.iter_mut().zip(ids) {
            *slot = id.pseudonym;
        }
        if let Some(entry) = self.0.get_mut(index(place)) {
            *entry = Some(Entry {
                place,
                count: ids.len(),
                pseudonyms,
            });
        }
    }
}

fn index(place: u128) -> usize {
    (place % PLACES as u128) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(region: Option<&str>, text: &str) -> Option<String> {
        e164(Region::of(region), text).map(|number| number.to_string())
    }

    #[test]
    fn spellings_of_one_number_meet() {
        for text in [
            "06 12 34 56 78",
            "06.12.34.56.78",
            "+33 6 12 34 56 78",
            "0033612345678",
        ] {
            assert_eq!(
                read(Some("FR"), text).as_deref(),
                Some("+33612345678"),
                "{text}"
            );
        }
        assert_eq!(read(None, "+33612345678").as_deref(), Some("+33612345678"));
        assert_eq!(
            read(Some("IT"), "06 1234 5678").as_deref(),
            Some("+390612345678")
        );
        assert_eq!(
            read(Some("US"), "(650) 253-0000").as_deref(),
            Some("+16502530000")
        );
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "",
            "12",
            "hello",
            "+999123456789",
            "12345",
            "+33 1",
            "1".repeat(30).as_str(),
        ] {
            assert_eq!(read(Some("FR"), text), None, "{text}");
        }
        assert_eq!(read(None, "06 12 34 56 78"), None);
        assert!(Region::of(Some("AQ")).is_none());
        assert!(Region::of(Some("nowhere")).is_none());
    }

    /// The library slices strings and looks tables up; whatever it is given, it must give an answer.
    #[test]
    fn no_text_makes_the_library_panic() {
        let regions: Vec<Option<String>> = DATABASE
            .iter()
            .map(|plan| Some(plan.id().to_owned()))
            .chain([None])
            .collect();
        let alphabet: Vec<char> =
            "0123456789012345678900+ -().x#;/~,*abctelxtint:=\u{ff0b}\u{661}\u{ff11}\u{e9}"
                .chars()
                .collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        for round in 0..40_000 {
            let region = regions[next(regions.len())].as_deref();
            let only_digits = round % 2 == 0;
            let bound = if only_digits { 20 } else { alphabet.len() };
            let mut text: String = (0..next(22)).map(|_| alphabet[next(bound)]).collect();
            if round % 3 == 0 {
                text.insert(0, '+');
            }
            let _ = read(region, &text);
        }
    }
}

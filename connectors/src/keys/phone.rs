//! Phone numbers: from what people type to E.164.
//!
//! A number is parsed by a port of libphonenumber with that library's metadata.
//! It counts if its length is one that numbers of its country have when dialed
//! from anywhere (`IsPossible`, not `IsPossibleLocalOnly`); whether its range
//! is in service is not checked, so that a new range identifies people before
//! the metadata know it. A number that begins with `+` or with the
//! international prefix of the source's region is parsed by the rules of its
//! own country; the source's region decides how any other number is parsed.
//!
//! Parsing a number costs many times as much as hashing a cookie, so the
//! pseudonyms of the numbers seen last are cached under a keyed hash.

use std::sync::LazyLock;

use rlibphonenumber::{NumberLengthType, PHONE_NUMBER_UTIL, PhoneNumberFormat};
use tributary_operators::record::{Identifier, Pseudonym};
use zeroize::{Zeroizing, zeroize_stack};

/// The regions with a numbering plan, in a fixed order.
static REGIONS: LazyLock<Vec<rlibphonenumber::Region>> = LazyLock::new(|| {
    let mut regions: Vec<_> = PHONE_NUMBER_UTIL.get_supported_regions().collect();
    regions.sort_unstable_by_key(|region| *region as u16);
    regions
});

/// The region whose numbers need no country code, as its position in the list
/// of libphonenumber's regions, from 1; or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region(Option<u8>);

impl Region {
    /// The region of an ISO 3166 alpha-2 code in any case; none if the code has
    /// no numbering plan.
    pub fn of(code: Option<&str>) -> Region {
        let place = code.and_then(|code| {
            let is_it = |region: &rlibphonenumber::Region| {
                region.as_region_str().eq_ignore_ascii_case(code.trim())
            };
            u8::try_from(REGIONS.iter().position(is_it)? + 1).ok()
        });
        Region(place)
    }

    /// Whether every number needs its country code.
    pub fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// A byte that differs between regions; 0 for none. Part of the cache key,
    /// never stored.
    pub fn tag(self) -> u8 {
        self.0.unwrap_or(0)
    }

    /// The region in libphonenumber's terms.
    fn library(self) -> Option<rlibphonenumber::Region> {
        REGIONS.get(usize::from(self.0?.checked_sub(1)?)).copied()
    }
}

/// The calling codes of all regions.
pub fn calling_codes() -> impl Iterator<Item = i32> {
    let codes = REGIONS
        .iter()
        .filter_map(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region));
    codes
        .collect::<std::collections::BTreeSet<i32>>()
        .into_iter()
}

/// The E.164 form (ITU-T recommendation E.164, `+` and up to 15 digits) of a
/// number; `None` if the text is not a possible number. A national number of
/// zeros alone belongs to no one.
pub fn e164(region: Region, text: &str) -> Option<Zeroizing<String>> {
    let number = parse(region, text);
    zeroize_stack::<PARSE_STACK>();
    number
}

/// [`e164`] before the stack is overwritten.
#[inline(never)]
fn parse(region: Region, text: &str) -> Option<Zeroizing<String>> {
    let library = &*PHONE_NUMBER_UTIL;
    let number = library.parse(text, region.library()).ok()?;
    let possible = library.is_possible_number_with_reason(&number);
    if !matches!(possible, Ok(NumberLengthType::IsPossible)) || number.national_number == 0 {
        return None;
    }
    let written = library.format(&number, PhoneNumberFormat::E164);
    Some(Zeroizing::new(written.into_owned()))
}

/// How much of the stack is overwritten after a number was parsed, bytes; more
/// than the library uses.
const PARSE_STACK: usize = 16 << 10;

/// The number of cached numbers; a power of two.
const PLACES: usize = 16_384;

/// The identifiers of one number. A cached number with a count of 0 is not a
/// phone number.
#[derive(Clone, Copy)]
struct Entry {
    /// The keyed hash of region and text, by which the number is found.
    place: u128,
    /// How many of the pseudonyms are set.
    count: usize,
    /// One pseudonym per enabled rule; there are four rules.
    pseudonyms: [Pseudonym; 4],
}

/// An unused slot: no number has this keyed hash. All of it is written, because what an
/// unset option leaves as it was on the stack would be copied into every slot.
const UNUSED: Entry = Entry {
    place: 0,
    count: 0,
    pseudonyms: [0; 4],
};

/// The pseudonyms of the numbers seen last: a direct-mapped cache, allocated
/// with the first number.
#[derive(Clone, Default)]
pub struct PhoneCache(Vec<Entry>);

impl PhoneCache {
    /// The pseudonyms of the number with this keyed hash, one per rule; an
    /// empty slice if the text is not a phone number, `None` if it is not
    /// cached.
    pub fn get(&self, place: u128) -> Option<&[Pseudonym]> {
        let entry = self.0.get(index(place))?;
        if entry.place != place {
            return None;
        }
        entry.pseudonyms.get(..entry.count)
    }

    /// Caches the identifiers of a number, none if the text is not a number.
    /// Evicts what has the same slot.
    pub fn put(&mut self, place: u128, ids: &[Identifier]) {
        if ids.len() > 4 {
            return;
        }
        if self.0.is_empty() {
            self.0.resize(PLACES, UNUSED);
        }
        let mut pseudonyms = [0; 4];
        for (slot, id) in pseudonyms.iter_mut().zip(ids) {
            *slot = id.pseudonym;
        }
        if let Some(entry) = self.0.get_mut(index(place)) {
            *entry = Entry {
                place,
                count: ids.len(),
                pseudonyms,
            };
        }
    }
}

/// The slot of a keyed hash.
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
        for (region, number, spellings) in [
            (
                "FR",
                "+33612345678",
                &[
                    "06 12 34 56 78",
                    "06.12.34.56.78",
                    "+33 6 12 34 56 78",
                    "+33 (0)6 12 34 56 78",
                    "+33 06 12 34 56 78",
                    "0033612345678",
                    "00 33 0612345678",
                    "tel:+33-6-12-34-56-78",
                    "6 12 34 56 78",
                    "33612345678",
                ][..],
            ),
            ("IT", "+390612345678", &["06 1234 5678", "+39 06 1234 5678"]),
            ("IT", "+393912345678", &["391 234 5678", "+39 391 234 5678"]),
            (
                "US",
                "+16502530000",
                &["(650) 253-0000", "1-650-253-0000", "011 1 650 253 0000"],
            ),
            ("NO", "+4747833049", &["47 83 30 49", "0047 47 83 30 49"]),
            (
                "RU",
                "+78005553535",
                &["8 (800) 555-35-35", "+7 800 555-35-35", "800 555 35 35"],
            ),
            (
                "JP",
                "+819012345678",
                &[
                    "\u{ff10}\u{ff19}\u{ff10}\u{2212}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{2212}\u{ff15}\u{ff16}\u{ff17}\u{ff18}",
                    "\u{ff0b}\u{ff18}\u{ff11} 90 1234 5678",
                    "\u{660}\u{669}\u{660}\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}\u{667}\u{668}",
                ],
            ),
        ] {
            for text in spellings {
                assert_eq!(read(Some(region), text).as_deref(), Some(number), "{text}");
            }
        }
        assert_eq!(read(None, "+33612345678").as_deref(), Some("+33612345678"));
    }

    #[test]
    fn a_foreign_number_loses_nothing_to_the_region_of_its_source() {
        for (region, text, number) in [
            ("US", "+43 1 664804732", "+431664804732"),
            ("US", "+43 664 804732", "+43664804732"),
            ("US", "+49 174 1226279", "+491741226279"),
            ("US", "011 86 138 1234 5678", "+8613812345678"),
            ("FR", "+39 0331 123456", "+390331123456"),
            ("FR", "00 39 06 6981 2345", "+390669812345"),
            ("RU", "+81 80 1234 5678", "+818012345678"),
            ("FR", "+225 07 12 34 56 78", "+2250712345678"),
        ] {
            assert_eq!(read(Some(region), text).as_deref(), Some(number), "{text}");
            let home = text.trim_start_matches("011 ").trim_start_matches("00 ");
            let home = format!("+{}", home.trim_start_matches('+'));
            assert_eq!(read(None, &home).as_deref(), Some(number), "{text}");
        }
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
            "+33 000000000",
            "1".repeat(30).as_str(),
            "1".repeat(1024).as_str(),
        ] {
            assert_eq!(read(Some("FR"), text), None, "{text}");
        }
        // A number of the town is no number of the world.
        assert_eq!(read(Some("US"), "253-0000"), None);
        assert_eq!(read(None, "06 12 34 56 78"), None);
        assert!(Region::of(Some("AQ")).is_none());
        assert!(Region::of(Some("nowhere")).is_none());
        assert!(Region::of(Some("")).is_none());
    }

    /// The library slices strings and looks tables up; whatever it is given, it
    /// must give an answer.
    #[test]
    fn no_text_makes_the_library_panic() {
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
            let region = REGIONS.get(next(REGIONS.len() + 1));
            let region = region.map(|region| region.as_region_str().to_string());
            let only_digits = round % 2 == 0;
            let bound = if only_digits { 20 } else { alphabet.len() };
            let mut text: String = (0..next(22)).map(|_| alphabet[next(bound)]).collect();
            if round % 3 == 0 {
                text.insert(0, '+');
            }
            let _ = read(region.as_deref(), &text);
        }
    }
}

//! Consent strings, as a registered consent management platform would write them for the brand.
//!
//! This is the core segment of a TC string, version 2, with the policies of v2.2, and no other
//! segment: service-specific, with the purposes that were consented to, for one vendor on the basis
//! of consent. See IAB Europe, *Transparency and Consent String with Global Vendor & CMP List
//! Formats*, section *The Core String*.

/// The ID of the brand in the vendor list.
pub(crate) const VENDOR: u16 = 755;

/// The purposes of the policies.
pub(crate) const PURPOSES: std::ops::RangeInclusive<u8> = 1..=11;

/// A TC string that consents to some purposes, created on the day of a time in Unix milliseconds.
pub(crate) fn tc_string(at: i64, consents: impl Fn(u8) -> bool) -> String {
    // Since v2.2 both times are those of the day's start, in tenths of a second.
    let day = at.div_euclid(86_400_000) as u64 * 864_000;
    let purposes = PURPOSES
        .filter(|purpose| consents(*purpose))
        .fold(0, |field, purpose| field | 1 << (24 - purpose));
    let none = u64::from(purposes == 0);
    let mut bits = Bits::default();
    bits.put(2, 6); // Version
    bits.put(day, 36); // Created
    bits.put(day, 36); // LastUpdated
    bits.put(300, 12); // CmpId
    bits.put(1, 12); // CmpVersion
    bits.put(1, 6); // ConsentScreen
    bits.letters(*b"FR"); // ConsentLanguage
    bits.put(100, 12); // VendorListVersion
    bits.put(4, 6); // TcfPolicyVersion
    bits.put(1, 1); // IsServiceSpecific
    bits.put(0, 1); // UseNonStandardTexts
    bits.put(0, 12); // SpecialFeatureOptIns
    bits.put(purposes, 24); // PurposesConsent
    bits.put(0, 24); // PurposesLITransparency
    bits.put(0, 1); // PurposeOneTreatment
    bits.letters(*b"FR"); // PublisherCC
    bits.put(u64::from(VENDOR) * (1 - none), 16); // Vendors consented to: MaxVendorId
    bits.put(1 - none, 1); // IsRangeEncoding
    if none == 0 {
        bits.put(1, 12); // NumEntries
        bits.put(0, 1); // IsARange
        bits.put(VENDOR.into(), 16);
    }
    bits.put(0, 16); // Vendors on legitimate interest: MaxVendorId
    bits.put(0, 1); // IsRangeEncoding
    bits.put(0, 12); // NumPubRestrictions
    bits.text()
}

/// A string of bits, most significant first, as base64url text: six bits per character.
#[derive(Default)]
struct Bits {
    /// The complete characters.
    text: String,
    /// The bits of the incomplete character.
    open: u8,
    /// Their number.
    count: u8,
}

impl Bits {
    /// Appends the lowest `bits` bits of a value.
    fn put(&mut self, value: u64, bits: u32) {
        for bit in (0..bits).rev() {
            self.open = self.open << 1 | (value >> bit & 1) as u8;
            self.count += 1;
            if self.count == 6 {
                self.text.push(base64url(self.open));
                (self.open, self.count) = (0, 0);
            }
        }
    }

    /// Appends two upper-case letters, six bits each, as in language and country codes.
    fn letters(&mut self, letters: [u8; 2]) {
        for letter in letters {
            self.put(u64::from(letter - b'A'), 6);
        }
    }

    /// The text; the last character is padded with zeros.
    fn text(mut self) -> String {
        while self.count != 0 {
            self.put(0, 1);
        }
        self.text
    }
}

/// The character of a six-bit value (RFC 4648, section 5).
fn base64url(six: u8) -> char {
    char::from(match six {
        0..26 => b'A' + six,
        26..52 => b'a' + six - 26,
        52..62 => b'0' + six - 52,
        62 => b'-',
        _ => b'_',
    })
}

#[cfg(test)]
mod tests {
    use tributary_consent::{Basis, Outcome, TcString};

    use super::*;

    const AT: i64 = 1_700_000_000_000;

    #[test]
    fn every_choice_is_read_as_it_was_written() {
        for choice in 0..1 << 11_u32 {
            let consents = |purpose: u8| choice >> (purpose - 1) & 1 == 1;
            let text = tc_string(AT, consents);
            let string = TcString::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let read: Vec<u8> = string.purpose_consents.iter().collect();
            assert_eq!(read, PURPOSES.filter(|n| consents(*n)).collect::<Vec<_>>());
            for purpose in PURPOSES {
                let outcome = string.permits(VENDOR, purpose, Basis::Consent);
                assert_eq!(outcome == Outcome::Consent, consents(purpose), "{text}");
                let other = string.permits(VENDOR + 1, purpose, Basis::Consent);
                assert!(!other.permitted());
            }
        }
    }

    #[test]
    fn the_string_is_that_of_another_encoder() {
        let string = TcString::parse(&tc_string(AT, |_| true)).unwrap();
        assert_eq!(string.created, 1_699_920_000 * 10);
        assert_eq!((string.cmp_id, string.policy_version), (300, 4));
        assert!(string.is_service_specific);
        // Written bit by bit with another tool, on another day.
        let all = "CP1R2oAP1R2oAEsABBFRBkEgAP_gAAAAAAqIF5wAQF5gAAAA";
        assert_eq!(tc_string(AT, |_| true)[14..], all[14..]);
    }
}

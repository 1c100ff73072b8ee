//! The TC string of the IAB Europe Transparency and Consent Framework, versions
//! 2.x.
//!
//! The fields have the order and the names of «The Core String». This file only
//! decodes; [`TcString::permits`] defines what they mean for a vendor.

use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::numbers::Numbers;
use crate::restriction::Restriction;
use crate::vendor_ids::VendorIds;

/// A TC string, decoded. Each field is what the string states, not what it
/// permits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcString {
    /// When it was first created, tenths of a second since 1970-01-01T00:00Z.
    pub created: u64,
    /// When it was last updated, tenths of a second since 1970-01-01T00:00Z.
    pub last_updated: u64,
    /// The consent management platform that updated it last; 0 and 1 are not
    /// assigned.
    pub cmp_id: u16,
    /// The version of that platform.
    pub cmp_version: u16,
    /// The number of the screen on which the person chose, as that platform
    /// counts them.
    pub consent_screen: u8,
    /// The language of the dialog, two capital letters of ISO 639-1.
    pub consent_language: [u8; 2],
    /// The version of the Global Vendor List.
    pub vendor_list_version: u16,
    /// The version of the TCF Policies: 2 (v2.0), 3 (v2.1), 4 (v2.2), 5 (v2.3);
    /// later ones are decoded alike.
    pub policy_version: u8,
    /// Whether it applies to this service only; false for the global scope,
    /// which has ended.
    pub is_service_specific: bool,
    /// Whether the platform changed the standard texts.
    pub use_non_standard_texts: bool,
    /// The special features that the person opted in to, from 1.
    pub special_feature_opt_ins: Numbers,
    /// The purposes consented to, from 1.
    pub purpose_consents: Numbers,
    /// The purposes whose legitimate interest was disclosed and not objected
    /// to.
    pub purpose_legitimate_interests: Numbers,
    /// Whether purpose 1 was not disclosed at all.
    pub purpose_one_treatment: bool,
    /// The country whose law applies, two capital letters of ISO 3166-1; `AA`
    /// if unknown.
    pub publisher_country: [u8; 2],
    /// The vendors consented to.
    pub vendor_consents: VendorIds,
    /// The vendors whose legitimate interest was disclosed and not objected to.
    pub vendor_legitimate_interests: VendorIds,
    /// The publisher's restrictions, in the order of the string.
    pub restrictions: Vec<Restriction>,
    /// The vendors that were disclosed, if the segment exists.
    pub disclosed_vendors: Option<VendorIds>,
    /// The vendors that the publisher permitted bases outside of the framework
    /// (v2.0, v2.1). Not a permission here.
    pub allowed_vendors: Option<VendorIds>,
    /// The publisher's own permissions, if the segment exists.
    pub publisher: Option<PublisherTc>,
}

/// The permissions for the publisher's own purposes (segment `PublisherTC`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublisherTc {
    /// The purposes consented to.
    pub consents: Numbers,
    /// The purposes whose legitimate interest was disclosed and not objected
    /// to.
    pub legitimate_interests: Numbers,
    /// The number of the publisher's custom purposes, at most 63.
    pub custom_purposes: u8,
    /// The custom purposes consented to.
    pub custom_consents: Numbers,
    /// The custom purposes whose legitimate interest was disclosed and not
    /// objected to.
    pub custom_legitimate_interests: Numbers,
}

impl TcString {
    /// The UTC day of the last update, days since 1970-01-01.
    pub fn updated_day(&self) -> i32 {
        // 36 bits of tenths of a second are less than 80,000 days.
        i32::try_from(self.last_updated / (10 * 86_400)).unwrap_or(i32::MAX)
    }

    /// Parses a TC string.
    ///
    /// ```
    /// use tributary_consent::{Kind, TcString};
    ///
    /// let string = TcString::parse("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA")?;
    /// assert_eq!(&string.consent_language, b"EN");
    /// assert_eq!(string.purpose_consents.iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// assert_eq!(string.vendor_consents.iter().collect::<Vec<_>>(), [2, 6, 8]);
    ///
    /// let error = TcString::parse("COvFyGBOvFyGBAbAAAENAPCAAO").unwrap_err();
    /// assert_eq!(error.kind, Kind::Truncated);
    /// # Ok::<(), tributary_consent::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the segment and the bit, for everything that the
    /// crate's documentation lists as rejected.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut segments = text.split('.').enumerate();
        let (_, core) = segments.next().unwrap_or_default();
        let mut string = Self::core(Bits::new(core, 0)?)?;
        for (number, segment) in segments {
            let mut bits = Bits::new(segment, number)?;
            let start = bits.clone();
            let kind = bits.byte(3)?;
            let twice = match kind {
                1 => put(
                    &mut string.disclosed_vendors,
                    VendorIds::section(&mut bits)?,
                ),
                2 => put(&mut string.allowed_vendors, VendorIds::section(&mut bits)?),
                3 => put(&mut string.publisher, PublisherTc::segment(&mut bits)?),
                _ => return Err(start.error(Kind::SegmentType(kind))),
            };
            if twice {
                return Err(start.error(Kind::SegmentTwice(kind)));
            }
            bits.finish()?;
        }
        Ok(string)
    }

    /// Reads the core string.
    fn core(mut bits: Bits<'_>) -> Result<Self, Malformed> {
        let start = bits.clone();
        match bits.byte(6)? {
            2 => {}
            1 => return Err(start.error(Kind::VersionOne)),
            version => return Err(start.error(Kind::Version(version))),
        }
        // Fields of a struct are evaluated as they are written: in the order of the string.
        let string = Self {
            created: bits.take(36)?,
            last_updated: bits.take(36)?,
            cmp_id: bits.word(12)?,
            cmp_version: bits.word(12)?,
            consent_screen: bits.byte(6)?,
            consent_language: bits.letters()?,
            vendor_list_version: bits.word(12)?,
            policy_version: bits.byte(6)?,
            is_service_specific: bits.flag()?,
            use_non_standard_texts: bits.flag()?,
            special_feature_opt_ins: numbers(&mut bits, 12)?,
            purpose_consents: numbers(&mut bits, 24)?,
            purpose_legitimate_interests: numbers(&mut bits, 24)?,
            purpose_one_treatment: bits.flag()?,
            publisher_country: bits.letters()?,
            vendor_consents: VendorIds::section(&mut bits)?,
            vendor_legitimate_interests: VendorIds::section(&mut bits)?,
            restrictions: Restriction::section(&mut bits)?,
            disclosed_vendors: None,
            allowed_vendors: None,
            publisher: None,
        };
        bits.finish()?;
        Ok(string)
    }
}

impl PublisherTc {
    /// Reads the segment *Publisher TC* behind its type.
    fn segment(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let consents = numbers(bits, 24)?;
        let legitimate_interests = numbers(bits, 24)?;
        let custom_purposes = bits.byte(6)?;
        Ok(Self {
            consents,
            legitimate_interests,
            custom_purposes,
            custom_consents: numbers(bits, custom_purposes.into())?,
            custom_legitimate_interests: numbers(bits, custom_purposes.into())?,
        })
    }
}

/// Reads a bit field of `count` bits.
fn numbers(bits: &mut Bits<'_>, count: usize) -> Result<Numbers, Malformed> {
    Ok(Numbers::from_field(bits.take(count)?, count))
}

/// Sets a segment. Returns whether it was set before.
fn put<T>(place: &mut Option<T>, segment: T) -> bool {
    place.replace(segment).is_some()
}

//! Errors of signals: a kind to match on, and the position.
//!
//! Neither contains any part of the string: a consent string with a rare set of
//! vendors may single out a person.

/// A signal that cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", self.place())]
pub struct Malformed {
    /// What is wrong.
    pub kind: Kind,
    /// The GPP section that contains the error; 0 for the GPP header and
    /// outside of GPP.
    pub section: u16,
    /// The segment (between dots), from 0; of checkboxes, the position of the
    /// checkbox.
    pub segment: usize,
    /// The bit in the segment, from 0; in a US Privacy string, which has no
    /// bits, the character.
    pub bit: usize,
}

/// What is wrong with a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// A TCF version 1 string.
    #[error("a TCF version 1 string, which no longer counts")]
    VersionOne,
    /// An unknown version of a TC string, a GPP header or a section.
    #[error("version {0} is not known")]
    Version(u8),
    /// A character outside of base64url.
    #[error("not a character of base64url")]
    Alphabet,
    /// The text ends within a field.
    #[error("cut off")]
    Truncated,
    /// A bit is set behind the last field.
    #[error("bits are set behind the last field")]
    Garbage,
    /// An unknown segment type, or a second core.
    #[error("segment type {0} is not known here")]
    SegmentType(u8),
    /// A repeated segment.
    #[error("segment type {0} stands there twice")]
    SegmentTwice(u8),
    /// Vendor id 0.
    #[error("vendor ids begin at 1")]
    VendorZero,
    /// A range that ends before it starts, or, in a vendor section, starts
    /// before the previous one ended.
    #[error("ranges of vendor ids must ascend and be disjoint")]
    RangeOrder,
    /// A range beyond the largest vendor id.
    #[error("a range reaches beyond the largest vendor id")]
    RangeBeyondMax,
    /// A language or country that does not consist of letters.
    #[error("not a letter")]
    Letter,
    /// A purpose other than 1 to 24.
    #[error("purpose {0} does not exist")]
    Purpose(u8),
    /// A GPP header of another type than 3.
    #[error("not a GPP header (type {0})")]
    HeaderType(u8),
    /// A section id beyond 65535.
    #[error("a section id is too large")]
    SectionId,
    /// The header names more or fewer sections than follow.
    #[error("the header names {named} sections, there are {found}")]
    SectionCount {
        /// The number of sections that the header names.
        named: usize,
        /// The number of sections that follow.
        found: usize,
    },
    /// A value that the section does not define.
    #[error("a value that is not defined")]
    Value,
    /// A character that a US Privacy string does not have at this position.
    #[error("not a US Privacy string")]
    UsPrivacy,
    /// An unknown checkbox.
    #[error("no such box")]
    Box,
    /// A repeated checkbox.
    #[error("a box stands there twice")]
    BoxTwice,
}

impl Malformed {
    /// An error outside of GPP sections.
    pub(crate) fn new(kind: Kind, segment: usize, bit: usize) -> Self {
        Self {
            kind,
            section: 0,
            segment,
            bit,
        }
    }

    /// The same error inside of a GPP section.
    pub(crate) fn in_section(self, section: u16) -> Self {
        Self { section, ..self }
    }

    /// The position, for messages.
    fn place(&self) -> String {
        let section = match self.section {
            0 => String::new(),
            section => format!(" of section {section}"),
        };
        format!(", at {} in segment {}{section}", self.bit, self.segment)
    }
}

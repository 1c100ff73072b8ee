//! The string of the Global Privacy Platform: a header that names sections, and
//! the sections, joined by `~`.
//!
//! All sections count at once. Which of them applies to a person is stated
//! outside of the string, if at all; so the purposes are those of section 2,
//! and every US section removes what the person opted out of. A section that is
//! not supported may be the one that refuses, so [`Gpp::unread`] reports it.

use crate::allowed::Allowed;
use crate::bits::Bits;
use crate::error::{Kind, Malformed};
use crate::tcf::TcString;
use crate::terms::Terms;
use crate::us::UsPrivacy;
use crate::us_sections::{UsCalifornia, UsNational};
use crate::us_states::UsState;

/// A GPP string, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpp {
    /// The sections by id, ascending.
    sections: Vec<(u16, Section)>,
}

/// One section («GPP Section Information» assigns the ids).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// 2: a TC string of IAB Europe.
    TcfEu(Box<TcString>),
    /// 6: US Privacy, deprecated in favor of 7 to 23.
    UsPrivacy(UsPrivacy),
    /// 7: US National.
    UsNational(UsNational),
    /// 8: California.
    UsCalifornia(UsCalifornia),
    /// 9 to 23: a single state.
    UsState(UsState),
    /// Any other, which is not decoded.
    Other,
}

impl Gpp {
    /// Parses a GPP string.
    ///
    /// ```
    /// use tributary_consent::{Gpp, Kind, Section};
    ///
    /// let gpp = Gpp::parse("DBABTA~1YNN")?;
    /// assert!(matches!(gpp.sections(), [(6, Section::UsPrivacy(_))]));
    /// assert!(gpp.tc_string().is_none() && gpp.unread().next().is_none());
    ///
    /// // The header names one section, and none follows.
    /// let error = Gpp::parse("DBABTA").unwrap_err();
    /// assert_eq!(error.kind, Kind::SectionCount { named: 1, found: 0 });
    /// # Ok::<(), tributary_consent::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the section, the sub-section and the bit, for an
    /// invalid header, another number of sections than the header's, and a
    /// malformed section 2 or 6 to 23.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parts = text.split('~');
        let header = parts.next().unwrap_or_default();
        let found = parts.clone().count();
        let ids = header_ids(Bits::new(header, 0)?, found)?;
        let sections = ids.into_iter().zip(parts).map(|(id, part)| {
            let section = Section::parse(id, part).map_err(|error| error.in_section(id))?;
            Ok((id, section))
        });
        Ok(Self {
            sections: sections.collect::<Result<_, _>>()?,
        })
    }

    /// The sections by id, ascending.
    pub fn sections(&self) -> &[(u16, Section)] {
        &self.sections
    }

    /// The ids of the sections that are not supported, ascending.
    pub fn unread(&self) -> impl Iterator<Item = u16> {
        let sections = self.sections.iter();
        let unread = sections.filter(|(_, section)| matches!(section, Section::Other));
        unread.map(|(id, _)| *id)
    }

    /// The TC string of section 2.
    pub fn tc_string(&self) -> Option<&TcString> {
        self.sections.iter().find_map(|(_, section)| match section {
            Section::TcfEu(string) => Some(&**string),
            _ => None,
        })
    }

    /// What the string allows a party: what its TC string allows, if it has
    /// one, without what any US section opts out of.
    pub fn allowed(&self, terms: &Terms) -> Allowed {
        let allowed = self.tc_string().map(|string| string.allowed(terms));
        let allowed = allowed.unwrap_or_default();
        self.sections
            .iter()
            .fold(allowed, |allowed, (_, section)| match section {
                Section::UsPrivacy(section) => section.restrict(allowed),
                Section::UsNational(section) => section.restrict(allowed),
                Section::UsCalifornia(section) => section.restrict(allowed),
                Section::UsState(section) => section.restrict(allowed),
                Section::TcfEu(_) | Section::Other => allowed,
            })
    }
}

impl Section {
    /// Decodes the section with an id.
    fn parse(id: u16, text: &str) -> Result<Self, Malformed> {
        match id {
            2 => Ok(Self::TcfEu(Box::new(TcString::parse(text)?))),
            6 => Ok(Self::UsPrivacy(UsPrivacy::parse(text)?)),
            7 => Ok(Self::UsNational(UsNational::parse(text)?)),
            8 => Ok(Self::UsCalifornia(UsCalifornia::parse(text)?)),
            _ => Ok(UsState::parse(id, text)?.map_or(Self::Other, Self::UsState)),
        }
    }
}

/// The ids that a header names, ascending. Entries are offsets from the
/// previous id; a Fibonacci number is never 0, so ids never repeat. `found`
/// bounds the memory: further ids are only counted.
fn header_ids(mut bits: Bits<'_>, found: usize) -> Result<Vec<u16>, Malformed> {
    let start = bits.clone();
    match bits.byte(6)? {
        3 => {}
        kind => return Err(start.error(Kind::HeaderType(kind))),
    }
    let start = bits.clone();
    match bits.byte(6)? {
        1 => {}
        version => return Err(start.error(Kind::Version(version))),
    }
    let mut ids = Vec::new();
    let mut named = 0_usize;
    let mut last = 0_u16;
    for _ in 0..bits.word(12)? {
        let start = bits.clone();
        let after = |last: u16, offset: u16| {
            last.checked_add(offset)
                .ok_or_else(|| start.error(Kind::SectionId))
        };
        let is_group = bits.flag()?;
        let first = after(last, bits.fibonacci()?)?;
        last = if is_group {
            after(first, bits.fibonacci()?)?
        } else {
            first
        };
        named += usize::from(last - first) + 1;
        // Ids beyond the sections that there are need only be counted.
        ids.extend((first..=last).take(found.saturating_sub(ids.len())));
    }
    let end = bits.clone();
    bits.finish()?;
    if named == found {
        Ok(ids)
    } else {
        Err(end.error(Kind::SectionCount { named, found }))
    }
}

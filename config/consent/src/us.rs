//! US signals: answers with a third value, and the US Privacy string of four
//! characters.
//!
//! «U.S. Privacy String», version 1, GPP section 6: a version, whether notice
//! was given, whether the person opted out of sale, whether the transaction is
//! covered by the service provider agreement. `1---` states that no US law
//! applies; where one does, "Opt-Out of Sale may never be unknown".

use crate::allowed::{Allowed, OptOut};
use crate::bits::Bits;
use crate::error::{Kind, Malformed};

/// Whether notice was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Notice {
    /// 0: there was nothing to give notice of.
    #[default]
    NotApplicable,
    /// 1: yes.
    Provided,
    /// 2: no.
    NotProvided,
}

/// Whether the person opted out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OptedOut {
    /// 0: there was nothing to opt out of.
    #[default]
    NotApplicable,
    /// 1: yes.
    Out,
    /// 2: no.
    DidNot,
}

/// Whether the person consented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consented {
    /// 0: there was nothing to consent to.
    #[default]
    NotApplicable,
    /// 1: no.
    No,
    /// 2: yes.
    Yes,
}

/// Whether something is so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum YesNo {
    /// 0 or `-`.
    #[default]
    NotApplicable,
    /// 1 or `Y`.
    Yes,
    /// 2 or `N`.
    No,
}

/// An answer of two bits. Which value means yes differs between the kinds of
/// answers.
pub(crate) trait Answer: Copy + Default {
    /// The meanings of 0, 1 and 2.
    const VALUES: [Self; 3];

    /// Reads one. 3 is not defined.
    fn read(bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        let error = bits.error(Kind::Value);
        let value = usize::from(bits.byte(2)?);
        Self::VALUES.get(value).copied().ok_or(error)
    }

    /// Reads an answer if the section has it; otherwise it does not apply.
    fn read_if(there: bool, bits: &mut Bits<'_>) -> Result<Self, Malformed> {
        match there {
            true => Self::read(bits),
            false => Ok(Self::default()),
        }
    }

    /// Reads `count` answers, up to `N`; the others do not apply.
    fn several<const N: usize>(bits: &mut Bits<'_>, count: usize) -> Result<[Self; N], Malformed> {
        let mut answers = [Self::default(); N];
        for answer in answers.iter_mut().take(count) {
            *answer = Self::read(bits)?;
        }
        Ok(answers)
    }
}

impl Answer for Notice {
    const VALUES: [Self; 3] = [Self::NotApplicable, Self::Provided, Self::NotProvided];
}

impl Answer for OptedOut {
    const VALUES: [Self; 3] = [Self::NotApplicable, Self::Out, Self::DidNot];
}

impl Answer for Consented {
    const VALUES: [Self; 3] = [Self::NotApplicable, Self::No, Self::Yes];
}

impl Answer for YesNo {
    const VALUES: [Self; 3] = [Self::NotApplicable, Self::Yes, Self::No];
}

/// Whether the processing that `notice` covers is off: the person opted out, or
/// received no notice of the choice.
pub(crate) fn out(notice: Notice, opted_out: OptedOut) -> bool {
    notice == Notice::NotProvided || opted_out == OptedOut::Out
}

/// Removes what the person opted out of.
pub(crate) fn take_away(allowed: Allowed, outs: &[(OptOut, bool)]) -> Allowed {
    let outs = outs.iter().filter(|(_, out)| *out);
    outs.fold(allowed, |allowed, (out, _)| allowed.without(*out))
}

/// The core, and the Global Privacy Control of the sub-section of type 1 if it
/// exists.
///
/// # Errors
/// [`Kind::SegmentTwice`] and [`Kind::SegmentType`] for another sub-section.
pub(crate) fn subsections(text: &str) -> Result<(&str, Option<bool>), Malformed> {
    let mut parts = text.split('.').enumerate();
    let (_, core) = parts.next().unwrap_or_default();
    let mut gpc = None;
    for (number, part) in parts {
        let mut bits = Bits::new(part, number)?;
        let start = bits.clone();
        match bits.byte(2)? {
            1 if gpc.is_none() => gpc = Some(bits.flag()?),
            1 => return Err(start.error(Kind::SegmentTwice(1))),
            kind => return Err(start.error(Kind::SegmentType(kind))),
        }
        bits.finish()?;
    }
    Ok((core, gpc))
}

/// A US Privacy string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UsPrivacy {
    /// Whether notice and the opportunity to opt out were given.
    pub notice: YesNo,
    /// Whether the person opted out of the sale of personal data.
    pub sale_opt_out: YesNo,
    /// Whether the transaction is covered by the Limited Service Provider
    /// Agreement.
    pub lspa_covered: YesNo,
}

impl UsPrivacy {
    /// Parses `1` and three of `Y`, `N` and `-`.
    ///
    /// ```
    /// use tributary_consent::{UsPrivacy, YesNo};
    ///
    /// assert_eq!(UsPrivacy::parse("1YYN")?.sale_opt_out, YesNo::Yes);
    /// assert!(UsPrivacy::parse("1Y-N").is_err(), "where a law applies, the opt-out is never unknown");
    /// # Ok::<(), tributary_consent::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Kind::Version`] for another digit, [`Kind::UsPrivacy`] for anything
    /// else, with the character.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let wrong = |place| Malformed::new(Kind::UsPrivacy, 0, place);
        let bytes = text.as_bytes();
        match bytes.first() {
            Some(b'1') => {}
            Some(digit) if digit.is_ascii_digit() => {
                return Err(Malformed::new(Kind::Version(digit - b'0'), 0, 0));
            }
            _ => return Err(wrong(0)),
        }
        let answer = |place| match bytes.get(place) {
            Some(b'Y') => Ok(YesNo::Yes),
            Some(b'N') => Ok(YesNo::No),
            Some(b'-') => Ok(YesNo::NotApplicable),
            _ => Err(wrong(place)),
        };
        let string = Self {
            notice: answer(1)?,
            sale_opt_out: answer(2)?,
            lspa_covered: answer(3)?,
        };
        let unknown = string.sale_opt_out == YesNo::NotApplicable;
        match string {
            _ if bytes.len() > 4 => Err(wrong(4)),
            Self {
                notice: YesNo::NotApplicable,
                lspa_covered: YesNo::NotApplicable,
                ..
            } => Ok(string),
            _ if unknown => Err(wrong(2)),
            _ => Ok(string),
        }
    }

    /// Removes what the person opted out of. The string is older than the terms
    /// of the later law, in which the same right covers sale and sharing, and
    /// sharing is what serves targeted advertising.
    pub(crate) fn restrict(&self, allowed: Allowed) -> Allowed {
        if self.sale_opt_out == YesNo::Yes || self.notice == YesNo::No {
            allowed
                .without(OptOut::Sale)
                .without(OptOut::Sharing)
                .without(OptOut::TargetedAdvertising)
        } else {
            allowed
        }
    }
}

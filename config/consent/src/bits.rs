//! Reads bits from base64url text (RFC 4648, section 5, without padding): six
//! per character, the highest first.
//!
//! Nothing is decoded in advance: a reader has a position, and every error
//! states it. The alphabet is checked at the start, so that reading can only
//! run out of bits.
//!
//! A general decoder does not replace this: it decodes whole bytes, but a field
//! may begin at any bit, strings of 4n + 1 characters are valid, and an error
//! names the position of the field that failed.

use crate::error::{Kind, Malformed};

/// Reads one segment from its first bit to its last.
#[derive(Clone, Debug)]
pub(crate) struct Bits<'a> {
    /// The segment; every byte is in the alphabet.
    text: &'a [u8],
    /// The position of the segment in its string, for errors.
    segment: usize,
    /// The next bit, from 0.
    at: usize,
}

/// Bits per character.
const PER_CHARACTER: usize = 6;

impl<'a> Bits<'a> {
    /// A reader at the first bit of a segment; `segment` is its position in its
    /// string.
    ///
    /// # Errors
    /// [`Kind::Alphabet`] for a character outside of base64url.
    pub(crate) fn new(text: &'a str, segment: usize) -> Result<Self, Malformed> {
        let text = text.as_bytes();
        let strange = text.iter().position(|byte| value(*byte).is_none());
        match strange {
            Some(place) => Err(Malformed::new(
                Kind::Alphabet,
                segment,
                place * PER_CHARACTER,
            )),
            None => Ok(Self {
                text,
                segment,
                at: 0,
            }),
        }
    }

    /// An error at the next bit.
    pub(crate) fn error(&self, kind: Kind) -> Malformed {
        Malformed::new(kind, self.segment, self.at)
    }

    /// The number of bits, including padding.
    pub(crate) fn len(&self) -> usize {
        self.text.len() * PER_CHARACTER
    }

    /// The next `count` bits, at most 64, as a big-endian integer.
    ///
    /// # Errors
    /// [`Kind::Truncated`] if fewer bits are left; the position is then
    /// unchanged.
    pub(crate) fn take(&mut self, count: usize) -> Result<u64, Malformed> {
        let end = self.at + count;
        if end > self.len() {
            return Err(self.error(Kind::Truncated));
        }
        let mut taken = 0;
        while self.at < end {
            let character = self.text.get(self.at / PER_CHARACTER);
            let six = character.and_then(|byte| value(*byte)).unwrap_or(0);
            let left = PER_CHARACTER - self.at % PER_CHARACTER;
            let some = left.min(end - self.at);
            let fresh = (six >> (left - some)) & ((1 << some) - 1);
            taken = (taken << some) | u64::from(fresh);
            self.at += some;
        }
        Ok(taken)
    }

    /// The next `count` bits, at most 8.
    pub(crate) fn byte(&mut self, count: usize) -> Result<u8, Malformed> {
        debug_assert!(count <= 8);
        Ok(self.take(count)? as u8)
    }

    /// The next `count` bits, at most 16.
    pub(crate) fn word(&mut self, count: usize) -> Result<u16, Malformed> {
        debug_assert!(count <= 16);
        Ok(self.take(count)? as u16)
    }

    /// The next bit.
    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.take(1)? == 1)
    }

    /// Two letters of six bits each, as capitals. Lower case (32 to 57) is what
    /// a deployed encoder writes.
    pub(crate) fn letters(&mut self) -> Result<[u8; 2], Malformed> {
        Ok([self.letter()?, self.letter()?])
    }

    /// One letter.
    fn letter(&mut self) -> Result<u8, Malformed> {
        let error = self.error(Kind::Letter);
        match self.byte(6)? {
            letter @ 0..=25 => Ok(b'A' + letter),
            letter @ 32..=57 => Ok(b'A' + letter - 32),
            _ => Err(error),
        }
    }

    /// The next Fibonacci code («Global Privacy Platform String», "Fibonacci
    /// Coding"): a 1 in place `n` adds the `n`th of 1, 2, 3, 5, …, and two 1 in
    /// a row end it.
    ///
    /// # Errors
    /// [`Kind::SectionId`] for a number beyond 65535.
    pub(crate) fn fibonacci(&mut self) -> Result<u16, Malformed> {
        let start = self.error(Kind::SectionId);
        let (mut sum, mut this, mut next) = (0_u32, 1_u32, 2_u32);
        let mut last = false;
        loop {
            let one = self.flag()?;
            if one && last {
                return u16::try_from(sum).map_err(|_| start);
            }
            if this > u32::from(u16::MAX) {
                return Err(start);
            }
            if one {
                sum += this;
            }
            last = one;
            (this, next) = (next, this + next);
        }
    }

    /// Ends the segment: every remaining bit must be zero.
    ///
    /// # Errors
    /// [`Kind::Garbage`] at the first character with a bit that is set.
    pub(crate) fn finish(mut self) -> Result<(), Malformed> {
        while self.at < self.len() {
            let here = self.error(Kind::Garbage);
            let rest = PER_CHARACTER - self.at % PER_CHARACTER;
            if self.take(rest)? != 0 {
                return Err(here);
            }
        }
        Ok(())
    }
}

/// The six bits of a character of base64url.
fn value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

//! The members of a JSON object as raw text, for the hot path: every line of a
//! trace and every record passes through here.
//!
//! [`members`] decides nothing that `serde_json` would decide otherwise. It either
//! returns every member of a text that `serde_json` accepts too, or gives up: on
//! a text that is no JSON object, on a key with an escape, and below [`DEPTH`]
//! levels. The caller then asks `serde_json`, which knows what is wrong and where.
//! So the only invariant is that nothing passes that `serde_json` refuses, and that
//! the texts are the same; a test holds both against it.

/// How many objects and arrays may be open within each other.
const DEPTH: u32 = 64;

/// A value as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    /// The text, without white space around it.
    pub(crate) text: &'a str,
    /// Whether it is a string without escapes, which is its own characters, or a number
    /// without fraction and exponent.
    pub(crate) is_plain: bool,
}

impl<'a> Raw<'a> {
    /// A value by its text.
    pub(crate) fn of(text: &'a str) -> Raw<'a> {
        Raw {
            text,
            is_plain: match text.as_bytes() {
                [b'"', rest @ ..] => memchr::memchr(b'\\', rest).is_none(),
                [b'-' | b'0'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
                _ => false,
            },
        }
    }
}

/// Calls `each` with the key and the value of every member, in the order of the text.
/// `None` if this is for `serde_json` to judge; `each` may then have been called with
/// members that it would find, too.
pub(crate) fn members<'a>(text: &'a str, mut each: impl FnMut(&'a str, Raw<'a>)) -> Option<()> {
    let mut scan = Scan {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    scan.white_space();
    scan.take(b'{')?;
    scan.white_space();
    if scan.peek()? == b'}' {
        scan.at += 1;
    } else {
        loop {
            let key = scan.key()?;
            let begin = scan.at;
            let is_plain = scan.value()?;
            let raw = Raw {
                text: text.get(begin..scan.at)?,
                is_plain,
            };
            each(key, raw);
            scan.white_space();
            match scan.next()? {
                b',' => scan.white_space(),
                b'}' => break,
                _ => return None,
            }
        }
    }
    scan.white_space();
    (scan.at == text.len()).then_some(())
}

/// A text, and how much of it was read. What is called for every member is inlined,
/// and what is not takes a copy, so that the position stays in a register.
#[derive(Clone, Copy)]
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    #[inline(always)]
    fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// A key without escapes, and the colon behind it with its white space.
    #[inline(always)]
    fn key(&mut self) -> Option<&'a str> {
        self.take(b'"')?;
        let begin = self.at;
        let end = self.special()?;
        let key = self.text.get(begin..end)?;
        self.take(b'"')?;
        self.white_space();
        self.take(b':')?;
        self.white_space();
        Some(key)
    }

    /// Skips a value, and tells whether it is plain ([`Raw::is_plain`]).
    #[inline(always)]
    fn value(&mut self) -> Option<bool> {
        match self.peek()? {
            b'{' | b'[' => {
                *self = self.nested()?;
                Some(false)
            }
            _ => self.scalar(),
        }
    }

    /// Skips a value that is neither an object nor an array, and tells whether it is
    /// plain.
    #[inline(always)]
    fn scalar(&mut self) -> Option<bool> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                self.string()
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => None,
        }
    }

    /// Skips an object or an array. Which of the two each open one is, is a bit of a
    /// stack, the innermost the lowest.
    #[inline(never)]
    fn nested(mut self) -> Option<Scan<'a>> {
        let (mut objects, mut depth) = (0_u64, 0);
        loop {
            // A value is to follow.
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    depth += 1;
                    if depth > DEPTH {
                        return None;
                    }
                    objects = objects << 1 | u64::from(open == b'{');
                    self.white_space();
                    match (self.peek()?, objects & 1) {
                        (b'}', 1) | (b']', 0) => {}
                        (_, 1) => {
                            self.key()?;
                            continue;
                        }
                        _ => continue,
                    }
                }
                _ => {
                    self.scalar()?;
                    self.white_space();
                }
            }
            // A value has ended.
            loop {
                match (self.next()?, objects & 1) {
                    (b'}', 1) | (b']', 0) => {
                        objects >>= 1;
                        depth -= 1;
                        if depth == 0 {
                            return Some(self);
                        }
                        self.white_space();
                    }
                    (b',', is_object) => {
                        self.white_space();
                        if is_object == 1 {
                            self.key()?;
                        }
                        break;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Skips a word.
    fn word(&mut self, word: &[u8]) -> Option<bool> {
        self.bytes.get(self.at..)?.starts_with(word).then_some(())?;
        self.at += word.len();
        Some(false)
    }

    /// Skips a number.
    #[inline(always)]
    fn number(&mut self) -> Option<bool> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' if matches!(self.peek(), Some(b'0'..=b'9')) => return None,
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        let mut is_plain = true;
        if self.peek() == Some(b'.') {
            is_plain = false;
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            is_plain = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(is_plain)
    }

    #[inline(always)]
    fn digits(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if let Some(chunk) = rest.first_chunk()
            && are_digits(u64::from_le_bytes(*chunk))
        {
            self.at += chunk.len();
        }
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn some_digits(&mut self) -> Option<()> {
        let begin = self.at;
        self.digits();
        (self.at > begin).then_some(())
    }

    /// Skips the rest of a string, with its quotation mark.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        let mut is_plain = true;
        loop {
            self.special()?;
            match self.next()? {
                b'"' => return Some(is_plain),
                b'\\' => {
                    is_plain = false;
                    *self = self.escape()?;
                }
                // Control characters must be escaped.
                _ => return None,
            }
        }
    }

    /// Skips an escape behind its backslash.
    #[inline(never)]
    fn escape(mut self) -> Option<Scan<'a>> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(self),
            b'u' => {
                let hex = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                hex.iter().all(u8::is_ascii_hexdigit).then_some(self)
            }
            _ => None,
        }
    }

    /// Goes to the next quotation mark, backslash or control character, and returns its
    /// position.
    #[inline(always)]
    fn special(&mut self) -> Option<usize> {
        let mut rest = self.bytes.get(self.at..)?;
        while let Some((chunk, tail)) = rest.split_first_chunk() {
            let found = special_bytes(u64::from_le_bytes(*chunk));
            if found != 0 {
                self.at += (found.trailing_zeros() / 8) as usize;
                return Some(self.at);
            }
            self.at += chunk.len();
            rest = tail;
        }
        let is_special = |c: &u8| matches!(c, b'"' | b'\\' | 0..0x20);
        self.at += rest.iter().position(is_special)?;
        Some(self.at)
    }
}

/// Whether eight bytes are digits: none leaves the sixteen characters of its first four
/// bits, and none does if six is added.
fn are_digits(bytes: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    let high = |bytes: u64| bytes & (ONES * 0xf0);
    let zeros = ONES * u64::from(b'0');
    high(bytes) == zeros && high(bytes.wrapping_add(ONES * 6)) == zeros
}

/// Eight bytes, of which the first is the lowest: its lowest bit that is set is the
/// highest of the first byte that is a quotation mark, a backslash or a control
/// character; 0 if none is.
fn special_bytes(bytes: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // A borrow reaches only bytes behind the first that is found.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    // Without its second bit the quotation mark follows the control characters, and the space does not.
    let marks = below(bytes ^ (ONES * 2), 0x21);
    let backslashes = below(bytes ^ (ONES * u64::from(b'\\')), 1);
    (marks | backslashes) & HIGH
}

#[cfg(test)]
mod tests;

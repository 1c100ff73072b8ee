//! A validated request: the right that is exercised, the data subject, and the parameters of each right.

use serde::{Serialize, Serializer};
use tributary_operators::record::IdKind;

use crate::clear_text::ClearText;
use crate::keys::Fingerprint;
use crate::refusal::{Reason, Refusal};
use crate::sealed::ReplyKey;

/// The most bytes of a request.
pub const MAX_REQUEST: usize = 64 << 10;
/// The most bytes of a request's id.
pub const MAX_ID: usize = 256;
/// The most identifiers of a request.
pub const MAX_IDENTIFIERS: usize = 64;
/// The most bytes of an identifier's value, and of a proof's reference.
pub const MAX_VALUE: usize = 1024;

/// A right, the `type` of a request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// All records of the person, disclosed to the person.
    Access,
    /// The same, to be taken elsewhere.
    Portability,
    /// A record is corrected.
    Rectify,
    /// Records are held, but out of every number.
    Restrict,
    /// They are back in.
    Unrestrict,
    /// Erases everything and rejects later records of the identifiers.
    Object,
    /// Erases everything.
    Erase,
    /// No step that shares with partners.
    DoNotSell,
    /// Instructions for after death.
    Directive,
}

impl Right {
    /// Every right.
    pub const ALL: [Right; 9] = [
        Right::Access,
        Right::Portability,
        Right::Rectify,
        Right::Restrict,
        Right::Unrestrict,
        Right::Object,
        Right::Erase,
        Right::DoNotSell,
        Right::Directive,
    ];

    /// The word of the specification.
    pub fn name(self) -> &'static str {
        match self {
            Right::Access => "access",
            Right::Portability => "portability",
            Right::Rectify => "rectify",
            Right::Restrict => "restrict",
            Right::Unrestrict => "unrestrict",
            Right::Object => "object",
            Right::Erase => "erase",
            Right::DoNotSell => "do_not_sell",
            Right::Directive => "directive",
        }
    }
}

/// The id of a request, as it was given. A person may have chosen it: debug output does not show it, and what lasts
/// holds a keyed hash of it ([`crate::BrandKeys::request`]).
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(ClearText);

impl RequestId {
    pub(crate) fn new(text: ClearText) -> RequestId {
        RequestId(text)
    }

    /// An id that is asked about; none where it is empty or has more than 256 bytes.
    pub fn read(text: &str) -> Option<RequestId> {
        let fits = (1..=MAX_ID).contains(&text.len());
        fits.then(|| RequestId(ClearText::new(text.to_owned())))
    }

    /// The id itself, 1 to 256 bytes.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

/// An identifier in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// Of a kind that has one value.
    One {
        /// The kind, never [`IdKind::NamePostcode`].
        kind: IdKind,
        /// The value, in clear or as the hex digits of its SHA-256.
        value: ClearText,
    },
    /// First name, last name and postcode.
    NamePostcode([ClearText; 3]),
}

impl Identifier {
    /// Its kind.
    pub fn kind(&self) -> IdKind {
        match self {
            Identifier::One { kind, .. } => *kind,
            Identifier::NamePostcode(_) => IdKind::NamePostcode,
        }
    }

    pub(super) fn values(&self) -> &[ClearText] {
        match self {
            Identifier::One { value, .. } => std::slice::from_ref(value),
            Identifier::NamePostcode(parts) => parts,
        }
    }
}

/// The kind of a record that can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A web record.
    Web,
    /// A transaction.
    Transaction,
}

impl RecordKind {
    /// The word of the specification.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Web => "web",
            RecordKind::Transaction => "transaction",
        }
    }
}

/// A record as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its kind.
    pub kind: RecordKind,
    /// Its configured source, at most 256 bytes.
    pub source: String,
    /// Its JSON object, as it came. It has an `id`; all else is for the decoder of its source to judge.
    pub data: ClearText,
}

/// What is to happen with the records after death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterDeath {
    /// They are erased.
    Erase,
    /// They stay until their retention ends.
    Keep,
}

/// What is asked, with what only that type of request has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the right of the same name")]
pub enum RequestBody {
    /// The answer is sealed for this key alone.
    Access(ReplyKey),
    /// The answer is sealed for this key alone.
    Portability(ReplyKey),
    Rectify(Correction),
    Restrict,
    Unrestrict,
    Object,
    Erase,
    DoNotSell,
    Directive {
        /// What is to happen.
        action: AfterDeath,
        /// Whether this is the notice of the death, upon which it does.
        notice: bool,
    },
}

impl RequestBody {
    /// Which right it is.
    pub fn right(&self) -> Right {
        match self {
            RequestBody::Access(_) => Right::Access,
            RequestBody::Portability(_) => Right::Portability,
            RequestBody::Rectify(_) => Right::Rectify,
            RequestBody::Restrict => Right::Restrict,
            RequestBody::Unrestrict => Right::Unrestrict,
            RequestBody::Object => Right::Object,
            RequestBody::Erase => Right::Erase,
            RequestBody::DoNotSell => Right::DoNotSell,
            RequestBody::Directive { .. } => Right::Directive,
        }
    }
}

/// A checked request. Debug output shows neither the id nor anything about the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// When it was made, Unix milliseconds.
    pub ts: i64,
    /// The name of a configured brand.
    pub brand: String,
    /// What is asked.
    pub asked: RequestBody,
    /// The identifiers of the data subject, 1 to 64.
    pub identifiers: Vec<Identifier>,
    /// Whether the linked person is meant, and not only what the identifiers name.
    pub whole_person: bool,
    /// Where the requester's proof is kept.
    pub proof: ClearText,
}

/// Whether a request is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Its id has not been seen: do it.
    New,
    /// The same request again: tell how it stands, and do nothing.
    Again,
}

/// Judges a request by what is known under its id.
///
/// # Errors
///
/// [`Reason::IdTaken`] where other content is.
pub fn replay(known: Option<Fingerprint>, request: Fingerprint) -> Result<Replay, Refusal> {
    match known {
        None => Ok(Replay::New),
        Some(known) if known == request => Ok(Replay::Again),
        Some(_) => Err(Refusal::new(
            Reason::IdTaken,
            "`id` is that of another request with other content: send this one under a new id",
        )),
    }
}

//! A validated request: the right that is exercised, the data subject, and the
//! parameters of each right.

use serde::{Serialize, Serializer};
use tributary_operators::record::IdKind;

use crate::clear_text::ClearText;
use crate::keys::Fingerprint;
use crate::refusal::{Reason, Refusal};
use crate::sealed::ReplyKey;

/// Maximum length of a request in bytes.
pub const MAX_REQUEST: usize = 64 << 10;
/// Maximum length of a request ID in bytes.
pub const MAX_ID: usize = 256;
/// Maximum number of identifiers in a request.
pub const MAX_IDENTIFIERS: usize = 64;
/// Maximum length in bytes of an identifier's value, and of the reference to a
/// proof.
pub const MAX_VALUE: usize = 1024;

/// A right of a data subject: the `type` of a request.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Disclosure of all records to the person (GDPR, Article 15).
    Access,
    /// The same in a machine-readable form (GDPR, Article 20).
    Portability,
    /// Correction of a record (GDPR, Article 16).
    Rectify,
    /// Exclusion of the records from every cell while they stay stored (GDPR,
    /// Article 18).
    Restrict,
    /// End of a restriction.
    Unrestrict,
    /// Erasure, and refusal of later records of the identifiers (GDPR, Article 21).
    Object,
    /// Erasure of all records (GDPR, Article 17).
    Erase,
    /// No use that shares data with partners (CCPA, § 1798.120).
    DoNotSell,
    /// Instructions for after death, and their execution.
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

    /// Name of the right in messages.
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

/// ID of a request. A person may have chosen it: debug output does not show it,
/// and files contain a keyed hash of it ([`crate::BrandKeys::request`]).
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(ClearText);

impl RequestId {
    pub(crate) fn new(text: ClearText) -> RequestId {
        RequestId(text)
    }

    /// An ID from outside; `None` if it is empty or has more than [`MAX_ID`] bytes.
    pub fn read(text: &str) -> Option<RequestId> {
        let fits = (1..=MAX_ID).contains(&text.len());
        fits.then(|| RequestId(ClearText::new(text.to_owned())))
    }

    /// The ID, 1 to 256 bytes.
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

/// An identifier in clear text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// An identifier with one value.
    One {
        /// The kind, never [`IdKind::NamePostcode`].
        kind: IdKind,
        /// The value, in clear or as the hex digits of its SHA-256.
        value: ClearText,
    },
    /// First name, last name and postcode, which identify a person only together.
    NamePostcode([ClearText; 3]),
}

impl Identifier {
    /// Kind of the identifier.
    pub fn kind(&self) -> IdKind {
        match self {
            Identifier::One { kind, .. } => *kind,
            Identifier::NamePostcode(_) => IdKind::NamePostcode,
        }
    }

    /// All values of the identifier.
    pub(super) fn values(&self) -> &[ClearText] {
        match self {
            Identifier::One { value, .. } => std::slice::from_ref(value),
            Identifier::NamePostcode(parts) => parts,
        }
    }
}

/// Kind of a record that can be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A web record.
    Web,
    /// A transaction.
    Transaction,
    /// A wallet record.
    Wallet,
    /// A partner record.
    Partner,
}

impl RecordKind {
    /// Name of the kind in messages.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Web => "web",
            RecordKind::Transaction => "transaction",
            RecordKind::Wallet => "wallet",
            RecordKind::Partner => "partner",
        }
    }
}

/// A corrected record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Its kind.
    pub kind: RecordKind,
    /// Its configured source, at most 256 bytes.
    pub source: String,
    /// The JSON object of the record, as received. It has an `id`; the decoder of
    /// its source validates the rest.
    pub data: ClearText,
}

/// Instruction about the records after death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterDeath {
    /// The records are erased.
    Erase,
    /// The records stay until their retention ends.
    Keep,
}

/// A right, with the parameters that only this right has.
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
        /// The instruction.
        action: AfterDeath,
        /// Whether this is the notice of the death, which executes the instruction.
        notice: bool,
    },
}

impl RequestBody {
    /// The right that is exercised.
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

/// A valid request. Debug output shows neither the ID nor anything about the
/// person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// ID of the request, unique within the brand.
    pub id: RequestId,
    /// When it was made, Unix milliseconds.
    pub ts: i64,
    /// The name of a configured brand.
    pub brand: String,
    /// The right that is exercised, with its parameters.
    pub asked: RequestBody,
    /// The identifiers of the data subject, 1 to 64.
    pub identifiers: Vec<Identifier>,
    /// Whether it covers the person that the identity graph links to the
    /// identifiers, or only the identifiers themselves.
    pub whole_person: bool,
    /// Reference to the requester's proof of identity.
    pub proof: ClearText,
}

/// Whether a request is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replay {
    /// Its ID is unknown: execute it.
    New,
    /// A repetition: report its state, and do nothing.
    Again,
}

/// Compares a request with the content that is known under its ID.
///
/// # Errors
///
/// [`Reason::IdTaken`] if the contents differ.
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

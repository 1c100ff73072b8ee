//! Consent signals, parsed strictly: what a person allowed, as one small value
//! that a dataflow can store and compare.
//!
//! Three kinds of signal become one [`Allowed`] for a party under its
//! [`Terms`]:
//!
//! ```text
//! TcString::parse   "CO….I….Y…"        IAB Europe TCF v2.0 to v2.3
//! Gpp::parse        "DBACNYA~C…~1YNN"  IAB Global Privacy Platform v1
//! Boxes::read       {"7": true}        plain checkboxes
//! ```
//!
//! The crate is pure: no clock, no I/O, no state. Input never makes it panic,
//! and an error never repeats the string, which may single out a person; it
//! states what is wrong and at which bit.
//!
//! # Example
//!
//! ```
//! use tributary_consent::{Allowed, Basis, Gpp, OptOut, Party, TcString, Terms};
//!
//! // Vendor 6 asks for purposes 1 to 4, all by consent.
//! let terms = (1..=4).fold(Terms::new(Party::Vendor(6)), |terms, purpose| {
//!     terms.with(purpose, Basis::Consent)
//! });
//!
//! // A TC string that consents to purposes 1 to 3 and to vendors 2, 6 and 8.
//! let string = TcString::parse("COvFyGBOvFyGBAbAAAENAPCAAOAAAAAAAAAAAEEUACCKAAA")?;
//! let allowed = string.allowed(&terms);
//! assert!(allowed.purpose(3) && !allowed.purpose(4));
//!
//! // A GPP string with a US Privacy section alone grants nothing and opts out of sale.
//! let gpp = Gpp::parse("DBABTA~1YYN")?;
//! assert!(gpp.allowed(&terms).opted_out(OptOut::Sale));
//!
//! // Without a signal nothing is allowed.
//! assert!(!Allowed::default().purpose(1));
//! # Ok::<(), tributary_consent::Malformed>(())
//! ```
//!
//! # Absence
//!
//! No signal, no segment, no section, no checkbox, no bit: no consent.
//! `Allowed::default()` allows nothing and represents a person without a
//! signal. US sections are the opposite, as US law is: they contain opt-outs,
//! and without a statement nobody has opted out. They never grant a purpose,
//! they only remove permissions.
//!
//! # TC strings
//!
//! The source is «Transparency and Consent String with Global Vendor & CMP List
//! Formats». Decoded are the core ("The Core String") and, after it in any
//! order, each at most once, the segments *Disclosed Vendors* (1), *Allowed
//! Vendors* (2, of v2.0 and v2.1, kept because strings of that time are
//! evidence too) and *Publisher TC* (3); "TC String Format" defines no others.
//!
//! | rejected | because |
//! |---|---|
//! | version 1, by name | it ended in 2020, and its purposes mean something else |
//! | any other version, any other segment type, a repeated segment | what is not known cannot be obeyed |
//! | characters outside of base64url, including `=` | the standard writes no padding |
//! | a truncated field | the missing part might have refused |
//! | a bit that is set behind the last field | the layout differs from the assumed one; padding is zero and of any length, because encoders pad to 6, 8 and 24 bits |
//! | vendor 0, a descending range, ids beyond `MaxVendorId`; in vendor sections, ranges that are out of order or overlap | "inclusive contiguous ascending-order series of Vendor IDs"; in restrictions, which only remove permissions, deployed encoders write ranges in any order, and all count |
//! | a restriction of a purpose other than 1 to 24 | no such purpose bit exists |
//! | languages and countries that are not two letters | the standard encodes a=0 to z=25; lower case, which a deployed encoder writes as 32 to 57, is accepted and capitalized |
//!
//! Well-formed strings that carry no permission are decoded and then permit
//! nothing, each with its reason ([`Refusal`]): evidence must be readable in
//! order to say why it does not count.
//!
//! - **A CMP id of 0 or 1** ([`Refusal::NoCmp`]): "A Transparency & Consent
//!   String may only be created by an IAB Europe TCF registered CMP using its
//!   assigned CMP ID number", and ids are assigned from 2 on. Nobody answers
//!   for such a string. It is not malformed, because every field of it can be
//!   read.
//! - **Global scope from policy version 4 (v2.2) on**
//!   ([`Refusal::GlobalScope`]): "When a Vendor encounters a TC String with
//!   IsServiceSpecific=0 then it is considered invalid" («IAB TCF Europe
//!   Technical Specification», the standard's form as GPP section 2, which is
//!   that of v2.2).
//! - **No Disclosed Vendors segment from policy version 5 (v2.3) on, in a
//!   string created from 2026-03-01 on** ([`Refusal::NoDisclosedVendors`]):
//!   from that day on the segment is mandatory for every party.
//! - **A vendor that is missing from an existing Disclosed Vendors segment**
//!   ([`Refusal::NotDisclosed`]): nobody can consent to a vendor that was not
//!   shown. An older string without the segment does not say.
//! - **Legitimate interest for purpose 1, and from policy version 4 on for
//!   purposes 3 to 6** ([`Refusal::InterestUnavailable`]): it never was, or no
//!   longer is, a basis there, whatever the bit is.
//! - **Purpose 1 under `PurposeOneTreatment`**
//!   ([`Refusal::PurposeOneNotDisclosed`]): it "was NOT disclosed at all".
//!
//! # Publisher restrictions
//!
//! [`TcString::permits`] follows the table of `RestrictionType`: *not allowed*
//! refuses whatever the vendor declared; *require consent* and *require
//! legitimate interest* choose the basis of a flexible vendor, and refuse one
//! that declared the other basis as inflexible. Both at once leave no basis and
//! refuse. Type 3, "UNDEFINED (not used)", occurs in strings nonetheless and is
//! treated as *not allowed*.
//!
//! # GPP
//!
//! The source is «Global Privacy Platform String». The header ("Header
//! Encoding": type 3, version 1, Fibonacci range) must name as many sections as
//! follow. Sections 2 (the TC string), 6 (US Privacy), 7 (US National, both
//! layouts), 8 (California) and 9 to 23 (single states) are decoded, and if one
//! of them is malformed, so is the whole string, because the unreadable part
//! may be the one that refuses. All others are kept by id and reported
//! ([`Gpp::unread`]). The two-bit value that the sections leave undefined (3)
//! is rejected.

#![deny(clippy::indexing_slicing)]

mod allowed;
mod bits;
mod boxes;
mod error;
mod gpp;
mod numbers;
mod party;
mod permit;
mod restriction;
mod tcf;
mod terms;
mod us;
mod us_sections;
mod us_states;
mod vendor_ids;
mod vendor_list;

pub use allowed::{Allowed, OptOut};
pub use boxes::Boxes;
pub use error::{Kind, Malformed};
pub use gpp::{Gpp, Section};
pub use numbers::Numbers;
pub use party::{Basis, Party};
pub use permit::{Outcome, Refusal};
pub use restriction::{Restriction, RestrictionType};
pub use tcf::{PublisherTc, TcString};
pub use terms::Terms;
pub use us::{Consented, Notice, OptedOut, UsPrivacy, YesNo};
pub use us_sections::{UsCalifornia, UsNational};
pub use us_states::UsState;
pub use vendor_ids::VendorIds;
pub use vendor_list::{ListError, Vendor, VendorList};

//! Consent signals, read strictly: what a person allowed, as one small value that a dataflow can hold and compare.
//!
//! Three kinds of signal become one [`Allowed`] for a party under its [`Terms`]:
//!
//! ```text
//! TcString::parse   "CO….I….Y…"     IAB Europe TCF v2.0 to v2.3
//! Gpp::parse        "DBACNYA~C…~1YNN"  IAB Global Privacy Platform v1
//! Boxes::read       {"7": true}        plain boxes
//! ```
//!
//! The crate is pure: no clock, no I/O, no state. Nothing that comes from outside makes it panic, and an error
//! never repeats the string, which may single out a person; it says what is wrong and at which bit.
//!
//! # What absence means
//!
//! No signal, no segment, no section, no box, no bit: no consent. `Allowed::default()` allows nothing and is what
//! stands for a person of whom nothing is known. US sections are the other way round, because that law is: they
//! hold opt-outs, and where nothing is said nobody has opted out. They never grant a purpose, they only take away.
//!
//! # TC strings
//!
//! «Transparency and Consent String with Global Vendor & CMP List Formats». Decoded: the core ("The
//! Core String"), and after it in any order, each at most once, the segments *Disclosed Vendors* (1), *Allowed
//! Vendors* (2, of v2.0 and v2.1, kept because strings of that time are evidence too) and *Publisher TC* (3); "TC
//! String Format" names no others.
//!
//! | refused | because |
//! |---|---|
//! | version 1, by name | it ended in 2020 and its purposes mean something else |
//! | any other version, any other segment type, a segment twice | what is not known cannot be obeyed |
//! | characters beyond base64url, `=` too | the standard writes without padding |
//! | a field cut off | a consent that was cut might have said no |
//! | a bit that is set beyond the last field | the layout is another one than was thought; padding is zero, of any length, since encoders pad to 6, 8 and 24 bits |
//! | vendor 0, a range that descends, ids beyond `MaxVendorId`; in vendor sections ranges that are out of order or overlap | "inclusive contiguous ascending-order series of Vendor IDs"; in restrictions, which only take away, encoders in the field write ranges in any order, and all count |
//! | a restriction of a purpose that is not one of 1 to 24 | no such purpose bit exists |
//! | languages and countries that are not two letters | the standard writes a=0..z=25; small letters, which an encoder in the field writes as 32 to 57, are read and made capital |
//!
//! Well-formed strings that carry no permission are decoded and then permit nothing, each with its reason
//! ([`Refusal`]): one needs to read evidence in order to say why it does not count.
//!
//! - **A CMP id of 0 or 1** ([`Refusal::NoCmp`]): "A Transparency & Consent String may only be created by an IAB
//!   Europe TCF registered CMP using its assigned CMP ID number", and ids are assigned from 2 on. Nobody answers for
//!   such a string. It is not refused as malformed, because every field of it can be read.
//! - **Global scope from policy version 4 (v2.2) on** ([`Refusal::GlobalScope`]): "When a Vendor encounters a TC
//!   String with IsServiceSpecific=0 then it is considered invalid" («IAB TCF Europe Technical Specification», the
//!   standard's form as GPP section 2, which is that of v2.2).
//! - **No Disclosed Vendors segment from policy version 5 (v2.3) on, in a string created from 2026-03-01 on**
//!   ([`Refusal::NoDisclosedVendors`]): from that day on the segment is mandatory, for every party.
//! - **A vendor that is missing from a Disclosed Vendors segment that is there**: nobody consents to whom he was
//!   not shown. An older string without the segment says nothing of it.
//! - **Legitimate interest for purpose 1, and from policy version 4 on for purposes 3 to 6**: it never is, or no
//!   longer is, a basis there, whatever the bit says.
//! - **Purpose 1 under `PurposeOneTreatment`**: it "was NOT disclosed at all".
//!
//! # Publisher restrictions
//!
//! [`TcString::permits`] follows the table of `RestrictionType`: *not allowed* refuses whatever the vendor declared;
//! *require consent* and *require legitimate interest* choose the basis of a vendor that is flexible, and refuse one
//! that is declared, unflexibly, on the other. Both at once leave no basis and refuse. Type 3, "UNDEFINED
//! (not used)", stands in strings nonetheless and is obeyed as *not allowed*.
//!
//! # GPP
//!
//! «Global Privacy Platform String». The header ("Header Encoding": type 3, version 1, Fibonacci range)
//! must name as many sections as there are. Sections 2 (the TC string), 6 (US Privacy), 7 (US National, both
//! layouts), 8 (California) and 9 to 23 (single states) are decoded, and a malformed one of them refuses the whole
//! string, since the part that could not be read may be the one that says no. All others are kept by id and told of
//! ([`Gpp::unread`]). Values of two bits that the sections leave undefined (3) are refused.

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

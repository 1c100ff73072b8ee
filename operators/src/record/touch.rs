//! The kinds of marketing contacts.

use serde::{Deserialize, Serialize};

/// The kind of a marketing contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TouchKind {
    /// An advertisement was shown.
    Impression,
    /// An advertisement was clicked.
    Click,
    /// A page was viewed.
    View,
}

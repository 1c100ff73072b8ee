//! Text that could identify a person, or that is a secret.

use zeroize::Zeroizing;

/// A clear value: overwritten when it goes, and never shown by debug output (I6).
#[derive(Clone, PartialEq, Eq)]
pub struct ClearText(Zeroizing<String>);

impl ClearText {
    /// Takes a text over. A text that was copied on its way here has left its copies where they were.
    pub fn new(text: String) -> ClearText {
        ClearText(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClearText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

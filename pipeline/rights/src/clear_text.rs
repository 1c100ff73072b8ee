//! Text that could identify a person, or that is a secret.

use zeroize::Zeroizing;

/// A clear-text value. It is overwritten when it is dropped, and debug output
/// does not show it (I6).
#[derive(Clone, PartialEq, Eq)]
pub struct ClearText(Zeroizing<String>);

impl ClearText {
    /// Takes ownership of a text. Copies made on its way here are not overwritten.
    pub fn new(text: String) -> ClearText {
        ClearText(Zeroizing::new(text))
    }

    /// The text. The caller must neither log nor store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ClearText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

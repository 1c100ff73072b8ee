//! A secret of the configuration, which stands in memory once.
//!
//! Many parts of a process have a configuration of their own. A clone of a secret
//! shares its memory, so that there is one place to overwrite, which happens when
//! the last of them is dropped.

use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;

/// A secret, shared by its clones. Debug output does not show it.
///
/// ```
/// use secrecy::ExposeSecret;
/// use tributary_config::model::Secret;
///
/// let secret = Secret::from("224ff3c627f30dd0f8e3fdb63bf28aa6");
/// let same = secret.clone();
/// assert!(std::ptr::eq(secret.expose_secret(), same.expose_secret()));
/// assert!(!format!("{secret:?}").contains("0123"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Secret(Arc<SecretString>);

impl Deref for Secret {
    type Target = SecretString;

    fn deref(&self) -> &SecretString {
        &self.0
    }
}

impl From<SecretString> for Secret {
    fn from(secret: SecretString) -> Secret {
        Secret(Arc::new(secret))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        SecretString::from(text).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        SecretString::from(text).into()
    }
}

//! Credentials of the broker, which an operator may rotate while the program
//! runs.
//!
//! A credential remembers the file that it came from and rereads it at each
//! use, that is, at each connection. A value from an environment variable
//! cannot change and is kept as it is.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Secret;

/// A password or an nkey seed. Debug output shows its file, never its value.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The value at startup; the only one if `file` is absent.
    first: Secret,
    /// The file that is reread at each use.
    file: Option<PathBuf>,
}

impl Credential {
    /// A credential whose file is reread at each use; `first` is its content at
    /// startup.
    pub fn in_file(first: Secret, file: PathBuf) -> Credential {
        let file = Some(file);
        Credential { first, file }
    }

    /// The current value, without trailing line breaks.
    ///
    /// ```
    /// use secrecy::ExposeSecret;
    /// use tributary_config::model::Credential;
    ///
    /// let password = Credential::from("from the environment".to_owned());
    /// assert_eq!(password.read()?.expose_secret(), "from the environment");
    /// assert_eq!(password.file(), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The operating system's error if the file can no longer be read as UTF-8.
    /// Blocks on the file system; call it where a connection is established
    /// anyway.
    pub fn read(&self) -> std::io::Result<Secret> {
        let Some(file) = &self.file else {
            return Ok(self.first.clone());
        };
        let text = Zeroizing::new(std::fs::read_to_string(file)?);
        Ok(Secret::from(text.trim_end_matches(['\n', '\r'])))
    }

    /// The file that is reread at each use; `None` for a value from the
    /// environment.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }
}

impl From<Secret> for Credential {
    fn from(first: Secret) -> Credential {
        Credential { first, file: None }
    }
}

impl From<SecretString> for Credential {
    fn from(first: SecretString) -> Credential {
        Secret::from(first).into()
    }
}

impl From<String> for Credential {
    fn from(first: String) -> Credential {
        Secret::from(first).into()
    }
}

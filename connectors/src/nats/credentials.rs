//! Credentials: how this process authenticates; they are read again for every
//! connection.
//!
//! An operator may rotate a password, a seed or a JWT while a worker runs: they
//! write the new one to its file and update the server, and the worker uses it
//! for the next connection. The client therefore receives a callback that reads
//! the file, not the secret itself.

use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError, ConnectOptions};
use nkeys::KeyPair;
use secrecy::{ExposeSecret, SecretString};
use tributary_config::model::{Credential, Nats, Secret};

use super::error::{NatsError, NatsErrorKind};

/// How a process authenticates.
#[derive(Clone)]
pub(super) enum Credentials {
    /// Not at all.
    None,
    /// With the JWT and the nkey seed of a `.creds` file.
    File(PathBuf),
    /// With an nkey seed.
    Seed(Credential),
    /// With a user and a password.
    Password(String, Option<Credential>),
    /// With the user and the password of the address.
    Address(String, SecretString),
}

impl Credentials {
    /// The credentials of a configuration; `login` is that of the address. The
    /// configuration permits one method at most.
    pub fn of(nats: &Nats, login: Option<(String, String)>) -> Credentials {
        if let Some(path) = &nats.credentials_file {
            return Credentials::File(path.clone());
        }
        if let Some(seed) = &nats.nkey_seed {
            return Credentials::Seed(seed.clone());
        }
        match (&nats.user, &nats.password, login) {
            (None, None, None) => Credentials::None,
            (None, None, Some((user, password))) => Credentials::Address(user, password.into()),
            (user, password, _) => {
                Credentials::Password(user.clone().unwrap_or_default(), password.clone())
            }
        }
    }

    /// Client options that authenticate with these credentials at every
    /// connection.
    ///
    /// # Errors
    /// [`NatsErrorKind::Config`] if a file cannot be read or contains no
    /// credentials.
    pub fn options(self) -> Result<ConnectOptions, NatsError> {
        if matches!(self, Credentials::None) {
            return Ok(ConnectOptions::new());
        }
        // A wrong file would else show only as a refusal by the server.
        self.sign(&[]).map_err(|error| {
            NatsError::new(NatsErrorKind::Config, format!("cannot sign in: {error}"))
        })?;
        Ok(ConnectOptions::with_auth_callback(move |nonce| {
            let auth = self.sign(&nonce);
            std::future::ready(auth.map_err(AuthError::new))
        }))
    }

    /// The response to the server's nonce, or why there is none.
    fn sign(&self, nonce: &[u8]) -> Result<Auth, String> {
        let mut auth = Auth::new();
        match self {
            Credentials::None => {}
            Credentials::File(path) => {
                let unusable = |what: &str| format!("nats.credentials_file {what}");
                let cannot =
                    |error| unusable(&format!("{} cannot be read: {error}", path.display()));
                let text = std::fs::read_to_string(path).map_err(cannot)?;
                let text = SecretString::from(text);
                let (jwt, seed) = parts(text.expose_secret())
                    .ok_or_else(|| unusable("holds no JWT with its seed"))?;
                let pair =
                    KeyPair::from_seed(seed).map_err(|_| unusable("holds a seed that is none"))?;
                auth.jwt = Some(jwt.to_owned());
                auth.signature = pair.sign(nonce).ok();
            }
            Credentials::Seed(seed) => {
                let seed = read(seed, "the nkey seed")?;
                let seed = seed.expose_secret().trim();
                let none = "the nkey seed is not a user seed: user seeds are 58 characters long and start with SU";
                if !(seed.starts_with("SU") && seed.len() == 58) {
                    return Err(none.to_owned());
                }
                let pair = KeyPair::from_seed(seed).map_err(|_| none.to_owned())?;
                auth.nkey = Some(pair.public_key());
                auth.signature = pair.sign(nonce).ok();
            }
            Credentials::Password(user, password) => {
                let password = password.as_ref();
                let password = password.map(|password| read(password, "the password"));
                let password = password.transpose()?.unwrap_or_default();
                auth.username = Some(user.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
            Credentials::Address(user, password) => {
                auth.username = Some(user.clone());
                auth.password = Some(password.expose_secret().to_owned());
            }
        }
        Ok(auth)
    }
}

/// The current value of a credential.
fn read(credential: &Credential, what: &str) -> Result<Secret, String> {
    credential.read().map_err(|error| {
        let file = credential.file().unwrap_or(Path::new(""));
        format!("{what} in {} cannot be read: {error}", file.display())
    })
}

/// The JWT and the seed of a `.creds` file, which has them between `-----BEGIN
/// …-----` lines.
fn parts(text: &str) -> Option<(&str, &str)> {
    let after = |title: &str| {
        let (_, rest) = text.split_once(title)?;
        // The dashes behind the title end its line.
        let mut lines = rest.lines().skip(1).map(str::trim);
        lines.find(|line| !line.is_empty())
    };
    Some((
        after("BEGIN NATS USER JWT")?,
        after("BEGIN USER NKEY SEED")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credentials_file_has_a_jwt_and_a_seed() {
        let text = "-----BEGIN NATS USER JWT-----\r\neyJ0\r\n------END NATS USER JWT------\n\nIMPORTANT\n\
                    -----BEGIN USER NKEY SEED-----\n\nSUAE\n------END USER NKEY SEED------\n";
        assert_eq!(parts(text), Some(("eyJ0", "SUAE")));
        assert_eq!(parts("-----BEGIN NATS USER JWT-----\neyJ0\n"), None);
        assert_eq!(parts(""), None);
    }
}

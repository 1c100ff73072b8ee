//! Addresses of servers, and the login that they may contain.
//!
//! The login is removed from an address at once, so whatever later prints, logs
//! or wraps the address cannot reveal it.

use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

use super::error::{NatsError, NatsErrorKind};

/// Server addresses without a login, and the login.
pub(super) struct Addresses {
    /// The servers, in the order of the list; at least one.
    pub(super) servers: Vec<ServerAddr>,
    /// User and password of the addresses, without percent-encoding; the same
    /// in all addresses.
    pub(super) login: Option<(String, String)>,
}

impl Addresses {
    /// Parses URLs that are separated by commas. An address that cannot be
    /// parsed is identified by its position only: its text may contain a
    /// password.
    ///
    /// # Errors
    /// [`NatsErrorKind::Config`] for a list without a server, an address that
    /// is no URL or has another scheme, and two different users.
    pub(super) fn parse(list: &str) -> Result<Addresses, NatsError> {
        let mut servers = Vec::new();
        let mut login = None;
        let texts = list.split(',').map(str::trim).filter(|t| !t.is_empty());
        for (index, text) in texts.enumerate() {
            let wrong = |what: &str| {
                NatsError::new(
                    NatsErrorKind::Config,
                    format!("address {} of nats.url {what}", index + 1),
                )
            };
            let text = match text.contains("://") {
                true => text.to_owned(),
                false => format!("nats://{text}"),
            };
            let mut url = Url::parse(&text)
                .map_err(|_| wrong("is not a URL; expected nats://host:4222 or tls://host:4222"))?;
            if !url.username().is_empty() {
                let found = (
                    decoded(url.username()),
                    decoded(url.password().unwrap_or_default()),
                );
                if login.as_ref().is_some_and(|known| *known != found) {
                    return Err(wrong("names another user than the addresses before it"));
                }
                login = Some(found);
                let cleared = url.set_username("").and_then(|()| url.set_password(None));
                cleared.map_err(|()| wrong("cannot carry a user"))?;
            }
            servers.push(
                ServerAddr::from_url(url)
                    .map_err(|_| wrong("has a scheme that is neither nats:// nor tls://"))?,
            );
        }
        if servers.is_empty() {
            return Err(NatsError::new(
                NatsErrorKind::Config,
                "nats.url names no server; expected nats://host:4222",
            ));
        }
        Ok(Addresses { servers, login })
    }

    /// Hosts and ports, for messages.
    pub(super) fn shown(&self) -> String {
        let shown: Vec<String> = self
            .servers
            .iter()
            .map(|server| format!("{}:{}", server.host(), server.port()))
            .collect();
        shown.join(", ")
    }
}

/// Decodes the percent-encoding (RFC 3986, section 2.1) of a URL's user or
/// password.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_of_a_url_is_taken_out_of_it() {
        let addresses = Addresses::parse("nats://shop:p%40ss@a:4333, b").unwrap();
        assert_eq!(addresses.login, Some(("shop".into(), "p@ss".into())));
        assert_eq!(addresses.shown(), "a:4333, b:4222");
        for server in &addresses.servers {
            assert!(!server.as_url_str().contains('@'), "{server:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_named_by_its_place() {
        for list in [
            "",
            " , ",
            "nats://a,nats://x:hunter2@:bad",
            "http://x:hunter2@a",
        ] {
            let error = Addresses::parse(list).err().unwrap();
            assert_eq!(error.kind(), NatsErrorKind::Config);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

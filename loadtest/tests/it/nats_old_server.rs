//! A server that is too old is rejected, because it would silently ignore what is requested.

use tributary_config::nats_at;
use tributary_connectors::nats::{NatsErrorKind, connect};
use tributary_testkit::{NatsServer, Proxy};

/// The data of the server with another version in its greeting.
fn aged(piece: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(piece) else {
        return piece.to_vec();
    };
    match text.split_once("\"version\":\"") {
        Some((before, behind)) if text.starts_with("INFO ") => {
            let rest = behind.split_once('"').unwrap().1;
            format!("{before}\"version\":\"2.11.9\"{rest}").into_bytes()
        }
        _ => piece.to_vec(),
    }
}

#[tokio::test]
async fn refused_with_the_way_out() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let proxy = Proxy::rewriting(server.address(), aged);
    let error = connect(&nats_at(&proxy.url()), "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::OldServer);
    assert!(!error.is_transient());
    for word in ["2.11.9", "2.12", "upgrade"] {
        assert!(error.to_string().contains(word), "{error}");
    }
}

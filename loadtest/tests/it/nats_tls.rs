//! TLS: a worker trusts the configured authority, presents its own certificate, and never falls
//! back to an unencrypted connection.

use std::path::Path;

use tributary_connectors::nats::{NatsErrorKind, connect};
use tributary_testkit::{NatsServer, openssl, skipped};

/// Creates an authority with certificates for a server and a client, and a second authority without
/// any.
fn certificates(directory: &Path) -> bool {
    let made = |arguments: &str| openssl(directory, arguments);
    if !made("version") {
        return false;
    }
    for name in ["ca", "stranger"] {
        made(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"
        ));
    }
    std::fs::write(
        directory.join("names.txt"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\n",
    )
    .unwrap();
    for name in ["server", "client"] {
        made(&format!(
            "req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        made(&format!(
            "x509 -req -days 2 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names.txt -out {name}.pem"
        ));
    }
    true
}

#[tokio::test]
async fn both_sides_show_certificates() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    if !certificates(folder) {
        skipped("no openssl to make certificates with");
        return;
    }
    let file = |name: &str| folder.join(name).display().to_string();
    let tls = format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    let Some(server) = NatsServer::start_or_skip(&tls) else {
        return;
    };
    let mut nats = server.nats();
    nats.tls_ca_file = Some(folder.join("ca.pem"));
    nats.tls_cert_file = Some(folder.join("client.pem"));
    nats.tls_key_file = Some(folder.join("client.key"));
    connect(&nats, "test").await.unwrap().flush().await.unwrap();

    nats.tls_ca_file = Some(folder.join("stranger.pem"));
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Tls, "{error}");

    nats.tls_ca_file = Some(folder.join("absent.pem"));
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Config, "{error}");

    nats.tls_ca_file = Some(folder.join("ca.pem"));
    nats.tls_key_file = None;
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Config, "{error}");

    nats.tls_cert_file = None;
    assert!(connect(&nats, "test").await.is_err());
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut nats = server.nats();
    nats.tls = true;
    assert!(connect(&nats, "test").await.is_err());
}

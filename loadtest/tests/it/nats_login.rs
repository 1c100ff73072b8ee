//! Authentication at the broker by each method of the configuration; an unknown client is rejected.

use secrecy::SecretString;
use tributary_connectors::nats::{NatsErrorKind, connect};
use tributary_testkit::NatsServer;

#[tokio::test]
async fn with_a_user_and_a_password() {
    let users = "authorization { users = [ { user: worker, password: \"correct horse\" } ] }";
    let Some(server) = NatsServer::start_or_skip(users) else {
        return;
    };
    let mut nats = server.nats();
    nats.user = Some("worker".to_owned());
    nats.password = Some(SecretString::from("correct horse").into());
    let client = connect(&nats, "test").await.unwrap();
    client.flush().await.unwrap();

    nats.password = Some(SecretString::from("hunter2").into());
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Authorization);
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn with_the_user_of_the_address() {
    let users = "authorization { user: worker, password: \"p@ss\" }";
    let Some(server) = NatsServer::start_or_skip(users) else {
        return;
    };
    let mut nats = server.nats();
    nats.url = nats.url.replace("nats://", "nats://worker:p%40ss@");
    connect(&nats, "test").await.unwrap().flush().await.unwrap();
}

#[tokio::test]
async fn with_an_nkey() {
    // A key pair that only this test knows.
    let seed = "SUAEI7TOQCYM4CSTZBR2EJI2NQKNJXRUCSS54CCZIODFRZUP6CHC375YHY";
    let public = "UDMNRC2BB46DVOJTASDQ7SXHSMKWFMA676K44WFV2PT4X35LUKPGC6O6";
    let users = format!("authorization {{ users = [ {{ nkey: {public} }} ] }}");
    let Some(server) = NatsServer::start_or_skip(&users) else {
        return;
    };
    let mut nats = server.nats();
    nats.nkey_seed = Some(SecretString::from(format!("{seed}\n")).into());
    connect(&nats, "test").await.unwrap().flush().await.unwrap();

    nats.nkey_seed = Some(SecretString::from(public).into());
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Config);
    assert!(!error.to_string().contains(public), "{error}");

    nats.nkey_seed = None;
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Authorization);
}

#[tokio::test]
async fn with_a_credentials_file() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/operator");
    let operator = std::fs::read_to_string(folder.join("operator.conf")).unwrap();
    let Some(server) = NatsServer::start_or_skip(&operator) else {
        return;
    };
    let mut nats = server.nats();
    nats.credentials_file = Some(folder.join("worker.creds"));
    connect(&nats, "test").await.unwrap().flush().await.unwrap();

    nats.credentials_file = Some(folder.join("nobody.creds"));
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Config);

    nats.credentials_file = None;
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Authorization);
}

#[tokio::test]
async fn nobody_is_there() {
    let Some(mut server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    server.kill();
    let error = connect(&nats, "test").await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Unreachable);
    assert!(error.is_transient());
}

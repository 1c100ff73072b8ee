//! A password, a seed or a JWT is exchanged while a worker runs: it is written to its file, the broker restarts with the
//! new one, and the worker signs in with it, without a restart.

use std::path::Path;
use std::time::Duration;

use crate::support::story::{last, play, until};
use crate::support::{Worker, World};
use async_nats::connection::State;
use tributary_config::model::{Credential, Nats};
use tributary_connectors::nats::{self, Client};
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

fn users(password: &str) -> String {
    format!("authorization {{ users = [ {{ user: worker, password: \"{password}\" }} ] }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reads_its_password_again() {
    let Some(mut server) = NatsServer::start_or_skip(&users("first one")) else {
        return;
    };
    let options = Options {
        events: Some(600),
        bad: 0.0,
        ..Options::default()
    };
    let signed_in = |server: &NatsServer, password: &str| Nats {
        user: Some("worker".to_owned()),
        password: Some(password.to_owned().into()),
        ..server.nats()
    };
    let world = World::of(options, Some(&server.nats()), "");
    let secret = world.path("password");
    tributary_testkit::write_secret(&secret, "first one\n");
    let file = world.path("tributary.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let login = format!(
        "[nats]\nuser = \"worker\"\npassword_file = \"{}\"\n",
        secret.display()
    );
    std::fs::write(&file, text.replace("[nats]\n", &login)).unwrap();

    let broker = signed_in(&server, "first one");
    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_input_stream(&client, &broker, &["orchard"])
        .await
        .unwrap();
    let lines: Vec<_> = world.trace().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    play(&client, before, None).await;
    let mut worker = Worker::start(&file, &[]);
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| worker.wait_until_read(end));
    drop(client);

    server.kill();
    std::fs::write(server.directory().join("server.conf"), users("second one")).unwrap();
    server.restart();
    // With the first password it comes back no more; nor is that its end.
    let violation = "Authorization Violation";
    let log = server.directory().join("server.log");
    let refused =
        || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("authentication error"));
    tokio::task::block_in_place(|| until("the first password is refused", refused));
    assert!(worker.lives(), "{violation} has ended it");
    tributary_testkit::write_secret(&secret, "second one\n");

    let broker = signed_in(&server, "second one");
    let client = nats::connect(&broker, "test").await.unwrap();
    play(&client, after, None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        worker.stop();
    });
}

/// Connects with what stands in a file, spoils the file, restarts the server, and puts the file right again.
async fn read_again(mut server: NatsServer, nats: &Nats, file: &Path) {
    let client = nats::connect(nats, "test").await.unwrap();
    client.flush().await.unwrap();
    let right = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, "nothing of use").unwrap();
    server.restart();
    // What it knew at the start would let it in within moments.
    until_state(&client, State::Disconnected).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_ne!(client.connection_state(), State::Connected);
    std::fs::write(file, right).unwrap();
    until_state(&client, State::Connected).await;
    client.flush().await.unwrap();
}

async fn until_state(client: &Client, state: State) {
    let begun = std::time::Instant::now();
    while client.connection_state() != state {
        assert!(
            begun.elapsed() < crate::support::PATIENCE,
            "in vain: {state}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_seed_is_read_again() {
    // A key pair that only this test knows.
    let seed = "SUAEI7TOQCYM4CSTZBR2EJI2NQKNJXRUCSS54CCZIODFRZUP6CHC375YHY";
    let public = "UDMNRC2BB46DVOJTASDQ7SXHSMKWFMA676K44WFV2PT4X35LUKPGC6O6";
    let users = format!("authorization {{ users = [ {{ nkey: {public} }} ] }}");
    let Some(server) = NatsServer::start_or_skip(&users) else {
        return;
    };
    let file = server.directory().join("seed");
    tributary_testkit::write_secret(&file, &format!("{seed}\n"));
    let nats = Nats {
        nkey_seed: Some(Credential::in_file(seed.into(), file.clone())),
        ..server.nats()
    };
    read_again(server, &nats, &file).await;
}

#[tokio::test]
async fn a_credentials_file_is_read_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/tests/operator");
    let operator = std::fs::read_to_string(folder.join("operator.conf")).unwrap();
    let Some(server) = NatsServer::start_or_skip(&operator) else {
        return;
    };
    let file = server.directory().join("worker.creds");
    std::fs::copy(folder.join("worker.creds"), &file).unwrap();
    let nats = Nats {
        credentials_file: Some(file.clone()),
        ..server.nats()
    };
    read_again(server, &nats, &file).await;
}

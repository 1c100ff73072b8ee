//! Streams are stored by as many servers as configured, and outlast the loss of one.

use std::time::{Duration, Instant};

use tributary_config::model::Nats;
use tributary_connectors::nats::{
    Client, NatsError, NatsErrorKind, connect, ensure_dead_letter_stream, ensure_input_stream,
    ensure_output_stream, ensure_rights_stream,
};
use tributary_testkit::{NatsServer, free_port};

use super::nats_support::{WAIT, publish};

/// The servers of the cluster.
const SERVERS: usize = 3;

/// Creates or checks all streams.
async fn ensure(client: &Client, nats: &Nats) -> Result<(), NatsError> {
    ensure_input_stream(client, nats, &["acme"]).await?;
    ensure_output_stream(client, nats, &["acme"]).await?;
    ensure_dead_letter_stream(client, nats).await?;
    ensure_rights_stream(client, nats).await?;
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_no_cluster_is_told_apart() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let one = server.nats();
    let three = Nats {
        replicas: 3,
        ..server.nats()
    };
    let client = connect(&one, "test").await.unwrap();
    let error = ensure(&client, &three).await.unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
    assert!(
        error.to_string().contains("Set nats.replicas to 1"),
        "{error}"
    );

    // A stream that is there already is not thought to be safer than it is.
    ensure(&client, &one).await.unwrap();
    let error = ensure(&client, &three).await.unwrap_err();
    let fix = "nats stream update TRIBUTARY_IN --replicas 3";
    assert!(error.to_string().contains(fix), "{error}");
}

#[tokio::test]
async fn streams_outlast_the_loss_of_a_server() {
    let ports: Vec<u16> = (0..SERVERS).map(|_| free_port()).collect();
    let routes: Vec<String> = ports
        .iter()
        .map(|port| format!("\"nats://127.0.0.1:{port}\""))
        .collect();
    let mut servers = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let configuration = format!(
            "server_name: s{number}\ncluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{}] }}\n",
            routes.join(", ")
        );
        let Some(server) = NatsServer::start_or_skip(&configuration) else {
            return;
        };
        servers.push(server);
    }
    let nats = Nats {
        replicas: SERVERS,
        ..servers[0].nats()
    };
    let client = connect(&nats, "test").await.unwrap();
    // A cluster elects a leader before it makes streams.
    let begun = Instant::now();
    while let Err(error) = ensure(&client, &nats).await {
        assert!(begun.elapsed() < WAIT, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let jetstream = async_nats::jetstream::new(client.clone());
    for name in [
        &nats.input_stream,
        &nats.output_stream,
        &nats.dead_letter_stream,
        &nats.rights_stream,
    ] {
        let stream = jetstream.get_stream(name).await.unwrap();
        assert_eq!(stream.cached_info().config.num_replicas, SERVERS, "{name}");
    }

    // The others go on, and hold what was acknowledged before.
    publish(&client, 0..10).await;
    servers[2].kill();
    let begun = Instant::now();
    let stored = loop {
        let found = ensure_input_stream(&client, &nats, &["acme"]).await;
        match found {
            Ok(state) => break state,
            Err(error) => assert!(begun.elapsed() < WAIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(stored.last_sequence, 10);
    publish(&client, 10..20).await;
    let stored = ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    assert_eq!(stored.last_sequence, 20);
}

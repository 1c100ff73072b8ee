//! Helpers for tests of the broker: numbered messages, and reading them.

use std::time::Duration;

use tributary_connectors::nats::{
    Brands, Client, InMessage, Input, InputRequest, NatsError, OutgoingMessage, Publisher, connect,
    ensure_input_stream,
};
use tributary_testkit::NatsServer;

/// The maximum duration of anything.
pub const WAIT: Duration = Duration::from_secs(120);
/// The input stream.
pub const STREAM: &str = "TRIBUTARY_IN";

/// A server with an input stream, and a client; `None` if no server is installed.
pub async fn broker() -> Option<(NatsServer, Client)> {
    let server = NatsServer::start_or_skip("")?;
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    Some((server, client))
}

/// Publishes a message to the input for every number.
pub async fn publish(client: &Client, numbers: impl IntoIterator<Item = u64>) {
    let mut publisher = Publisher::new(client, 64);
    for number in numbers {
        let message = OutgoingMessage {
            subject: "tributary.in.acme.web".to_owned(),
            headers: vec![],
            payload: number.to_string().into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();
    assert_eq!(publisher.in_flight(), 0);
}

/// The only process, at its first start.
pub fn wanted() -> InputRequest {
    InputRequest {
        stream: STREAM.to_owned(),
        shard: None,
        process: 0,
        processes: 1,
        partitions: 0,
        brands: Brands::All,
        next: 1,
        created: None,
        published: false,
        accept_loss: false,
    }
}

/// Reads until `count` messages have arrived, through transient errors.
pub async fn read(input: &mut Input, count: usize) -> Vec<InMessage> {
    let begin = std::time::Instant::now();
    let mut read = Vec::new();
    while read.len() < count {
        assert!(begin.elapsed() < 2 * WAIT, "{} of {count} came", read.len());
        match input
            .next_batch(count - read.len(), Duration::from_secs(1))
            .await
        {
            Ok(batch) => read.extend(batch),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    read
}

/// Reads until a permanent error.
pub async fn stopped(input: &mut Input) -> NatsError {
    let begin = std::time::Instant::now();
    loop {
        assert!(begin.elapsed() < 2 * WAIT, "nothing stops it");
        match input.next_batch(1_000, Duration::from_secs(1)).await {
            Err(error) if !error.is_transient() => return error,
            _ => {}
        }
    }
}

/// The sequences of messages.
pub fn sequences(messages: &[InMessage]) -> Vec<u64> {
    messages.iter().map(|message| message.sequence).collect()
}

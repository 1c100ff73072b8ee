//! The processes of a cluster share the input, by sequence or by partitions of the server. Every
//! message belongs to one process, and each process has a position of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::nats_support::{STREAM, broker, publish, read, sequences, wanted};
use tributary_connectors::nats::{
    Client, InMessage, Input, InputRequest, NatsErrorKind, OutgoingMessage, Publisher, Reader,
    connect, ensure_input_stream,
};
use tributary_testkit::NatsServer;

/// What a process reads until its position is past `last`.
async fn share(client: &Client, wanted: InputRequest, last: u64) -> (Input, Vec<InMessage>) {
    let mut input = Input::open(client, wanted).await.unwrap();
    let mut read = Vec::new();
    while input.next_sequence() <= last {
        read.extend(input.next_batch(100, Duration::from_secs(1)).await.unwrap());
    }
    (input, read)
}

#[tokio::test]
async fn by_sequence() {
    let Some((_server, client)) = broker().await else {
        return;
    };
    publish(&client, 0..100).await;
    for process in 0..3 {
        let wanted = InputRequest {
            process,
            processes: 3,
            ..wanted()
        };
        let (input, read) = share(&client, wanted, 100).await;
        let own = (1..=100).filter(|sequence| sequence % 3 == process as u64);
        assert_eq!(sequences(&read), own.collect::<Vec<u64>>());
        assert!(input.caught_up());
        assert_eq!(input.counts().gaps, 0);
    }
}

#[tokio::test]
async fn by_partition() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut nats = server.nats();
    nats.partitions = 8;
    let client = connect(&nats, "test").await.unwrap();
    for _ in 0..2 {
        ensure_input_stream(&client, &nats, &["acme"])
            .await
            .unwrap();
    }
    let mut publisher = Publisher::new(&client, 64);
    let mut sent = Vec::new();
    for number in 0..400 {
        let subject = match number % 10 {
            0 => "tributary.in.acme".to_owned(),
            1 => "tributary.in.acme.web".to_owned(),
            2 => "tributary.in.acme.web.shop".to_owned(),
            3 => "tributary.in.acme.web.shop.a.b".to_owned(),
            _ => format!("tributary.in.acme.web.shop.till-{}", number % 37),
        };
        sent.push(subject.clone());
        let message = OutgoingMessage {
            subject,
            headers: vec![],
            payload: number.to_string().into(),
            id: None,
        };
        publisher.send(message).await.unwrap();
    }
    publisher.flush().await.unwrap();

    // The server has sorted what has a key, and nothing else.
    let mut reader = Reader::open(&client, STREAM, 1).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 400 {
        held.extend(
            reader
                .next_batch(400, crate::nats_support::WAIT)
                .await
                .unwrap(),
        );
    }
    let mut partitions = BTreeMap::new();
    for (message, sent) in held.iter().zip(&sent) {
        match sent.strip_prefix("tributary.in.acme.web.shop.till-") {
            None => assert_eq!(message.subject.as_str(), sent),
            Some(till) => {
                let found = message.subject.strip_prefix("tributary.in.acme.web.shop.");
                let partition: u32 = found.unwrap().parse().unwrap();
                assert!(partition < 8);
                // One key, one partition.
                assert_eq!(*partitions.entry(till).or_insert(partition), partition);
            }
        }
    }
    assert!(
        partitions
            .values()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
            > 4
    );

    let mut all = Vec::new();
    let mut positions = Vec::new();
    for process in 0..3 {
        let wanted = InputRequest {
            process,
            processes: 3,
            partitions: 8,
            ..wanted()
        };
        // The position goes behind what is the others'.
        let (input, read) = share(&client, wanted.clone(), 400).await;
        assert!(sequences(&read).is_sorted_by(|a, b| a < b));
        for message in &read {
            let partition = message.subject.rsplit('.').next().unwrap().parse::<u64>();
            let number = partition.unwrap_or(message.sequence);
            assert_eq!(number % 3, process as u64, "{message:?}");
        }
        assert!(input.caught_up());
        all.extend(sequences(&read));
        positions.push(InputRequest {
            next: input.next_sequence(),
            created: Some(input.created()),
            ..wanted
        });
    }
    all.sort_unstable();
    assert_eq!(all, (1..=400).collect::<Vec<u64>>());

    // So what is purged was read by all.
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    stream.purge().await.unwrap();
    for wanted in positions {
        Input::open(&client, wanted).await.unwrap();
    }
}

#[tokio::test]
async fn the_stream_and_the_configuration_agree() {
    let Some((server, client)) = broker().await else {
        return;
    };
    let mut nats = server.nats();
    nats.partitions = 4;
    let error = ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
    assert!(error.to_string().contains("nats.partitions = 4"), "{error}");

    // The operator makes the stream sort; what came before has a sixth token that is no partition.
    let message = OutgoingMessage {
        subject: "tributary.in.acme.web.shop.till".to_owned(),
        headers: vec![],
        payload: "{}".into(),
        id: None,
    };
    let mut publisher = Publisher::new(&client, 8);
    publisher.send(message).await.unwrap();
    publisher.flush().await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    let stream = jetstream.get_stream(STREAM).await.unwrap();
    let mut config = stream.cached_info().config.clone();
    config.subject_transform = Some(async_nats::jetstream::stream::SubjectTransform {
        source: "tributary.in.*.*.*.*".to_owned(),
        destination:
            "tributary.in.{{Wildcard(1)}}.{{Wildcard(2)}}.{{Wildcard(3)}}.{{Partition(4, 4)}}"
                .to_owned(),
    });
    jetstream.update_stream(config).await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"])
        .await
        .unwrap();
    let two = InputRequest {
        processes: 2,
        partitions: 4,
        ..wanted()
    };
    let error = Input::open(&client, two.clone()).await.err().unwrap();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
    assert!(error.to_string().contains("no partition"), "{error}");
    let alone = InputRequest {
        partitions: 4,
        ..wanted()
    };
    let mut input = Input::open(&client, alone).await.unwrap();
    read(&mut input, 1).await;
    stream.purge().await.unwrap();
    Input::open(&client, two).await.unwrap();

    for partitions in [0, 8] {
        nats.partitions = partitions;
        let error = ensure_input_stream(&client, &nats, &["acme"])
            .await
            .unwrap_err();
        let text = error.to_string();
        let both = [
            format!("nats.partitions = {partitions}"),
            "Partition(4, 4)".to_owned(),
        ];
        assert!(both.iter().all(|part| text.contains(part)), "{text}");
    }
}

//! Streams are created if they are missing, reused if they exist, and rejected if their
//! configuration is unsuitable.

use async_nats::jetstream::stream::{Config, RetentionPolicy};
use tributary_connectors::nats::{
    NatsErrorKind, OutgoingMessage, Publisher, connect, ensure_dead_letter_stream,
    ensure_input_stream, ensure_output_stream, subject,
};
use tributary_testkit::NatsServer;

/// The brands.
const BRANDS: [&str; 2] = ["acme", "orchard"];

#[tokio::test]
async fn made_once_and_found_again() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    for _ in 0..2 {
        let input = ensure_input_stream(&client, &nats, &BRANDS).await.unwrap();
        assert_eq!(
            (input.name.as_str(), input.last_sequence),
            ("TRIBUTARY_IN", 0)
        );
        ensure_output_stream(&client, &nats, &BRANDS).await.unwrap();
        ensure_dead_letter_stream(&client, &nats).await.unwrap();
    }
    let jetstream = async_nats::jetstream::new(client);
    let output = jetstream.get_stream("TRIBUTARY_OUT").await.unwrap();
    assert_eq!(output.cached_info().config.max_messages_per_subject, 1);
}

#[tokio::test]
async fn what_an_operator_made_is_judged() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    let make = async |name: &str, config: Config| {
        let _ = jetstream.delete_stream(name).await;
        let name = name.to_owned();
        jetstream
            .create_stream(Config { name, ..config })
            .await
            .unwrap();
    };

    // One stream for each brand's subjects is as good as one for all.
    let subjects = vec![
        "tributary.in.acme.>".to_owned(),
        "tributary.in.orchard.>".to_owned(),
    ];
    make(
        "TRIBUTARY_IN",
        Config {
            subjects: subjects.clone(),
            ..Config::default()
        },
    )
    .await;
    ensure_input_stream(&client, &nats, &BRANDS).await.unwrap();
    let error = ensure_input_stream(&client, &nats, &["acme", "third"])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
    assert!(
        error.to_string().contains("tributary.in.third.>"),
        "{error}"
    );

    let retention = RetentionPolicy::WorkQueue;
    make(
        "TRIBUTARY_IN",
        Config {
            subjects,
            retention,
            ..Config::default()
        },
    )
    .await;
    let error = ensure_input_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("retention"), "{error}");

    let subjects = vec!["tributary.out.>".to_owned()];
    make(
        "TRIBUTARY_OUT",
        Config {
            subjects,
            ..Config::default()
        },
    )
    .await;
    let error = ensure_output_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("max_msgs_per_subject"),
        "{error}"
    );

    // Its subjects belong to another stream.
    nats.output_stream = "CELLS".to_owned();
    let error = ensure_output_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Stream);
    assert!(error.to_string().contains("another stream"), "{error}");

    nats.output_stream = "no.name".to_owned();
    let error = ensure_output_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::Config);
}

#[tokio::test]
async fn an_account_without_jetstream_gets_an_error_that_says_so() {
    let accounts = "accounts { plain: { users: [ { user: a, password: b } ] } }";
    let Some(server) = NatsServer::start_or_skip(accounts) else {
        return;
    };
    let mut nats = server.nats();
    nats.url = nats.url.replace("nats://", "nats://a:b@");
    let client = connect(&nats, "test").await.unwrap();
    let error = ensure_input_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), NatsErrorKind::NoJetStream, "{error}");
}

#[tokio::test]
async fn pings_have_a_stream_of_their_own() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    let jetstream = async_nats::jetstream::new(client.clone());
    ensure_input_stream(&client, &nats, &BRANDS).await.unwrap();
    nats.pings_stream = Some("PINGS".to_owned());
    // The stream of before captures pings: the error is the command that mends it.
    let error = ensure_input_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    let error = error.to_string();
    let subjects = subject::input(&nats);
    let wanted = format!("--subjects='{}'", subjects.join(","));
    assert!(error.contains(&wanted), "{error}");
    let mut config = jetstream
        .get_stream("TRIBUTARY_IN")
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    config.subjects = subjects;
    jetstream.update_stream(config).await.unwrap();
    for _ in 0..2 {
        ensure_input_stream(&client, &nats, &BRANDS).await.unwrap();
    }
    let publish = async |subject: &str| {
        let sent = jetstream.publish(subject.to_owned(), "{}".into()).await;
        sent.unwrap().await.map(|ack| ack.stream)
    };
    for (subject, stream) in [
        ("tributary.in.acme.ping", "PINGS"),
        ("tributary.in.acme.ping.boxes.7", "PINGS"),
        ("tributary.in.acme.partner_mac", "PINGS"),
        ("tributary.in.acme.partner_mac.portal.7", "PINGS"),
        ("tributary.in.acme", "TRIBUTARY_IN"),
        ("tributary.in.acme.web", "TRIBUTARY_IN"),
        ("tributary.in.acme.partner.x", "TRIBUTARY_IN"),
    ] {
        assert_eq!(publish(subject).await.unwrap(), stream, "{subject}");
    }
    // Whoever publishes to a kind that does not exist learns it at once.
    assert!(publish("tributary.in.acme.pings").await.is_err());
    let mut publisher = Publisher::new(&client, 1);
    let misspelt = OutgoingMessage {
        subject: "tributary.in.acme.pings".into(),
        headers: Vec::new(),
        payload: "{}".into(),
        id: None,
    };
    let error = match publisher.send(misspelt).await {
        Ok(()) => publisher.flush().await.unwrap_err(),
        Err(error) => error,
    };
    let error = error.to_string();
    for part in ["no stream captures", "must be one of", "ping, partner_mac"] {
        assert!(error.contains(part), "{part} in {error}");
    }

    let mut config = jetstream
        .get_stream("PINGS")
        .await
        .unwrap()
        .cached_info()
        .config
        .clone();
    assert_eq!(config.max_age.as_secs(), 3_600);
    config.max_age = std::time::Duration::from_secs(86_400);
    jetstream.update_stream(config).await.unwrap();
    let error = ensure_input_stream(&client, &nats, &BRANDS)
        .await
        .unwrap_err();
    for part in ["PINGS", "86400 s", "--max-age=3600s"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
}

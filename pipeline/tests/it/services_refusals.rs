//! What cannot be answered gets an error with a reason: bad requests, a dataflow that is behind, a worker that stops.
//! Micro counts it all, under the right endpoint and once a request.

use std::time::Duration;

use crate::services_common::{Running, answering, config_file, connect, store_day};
use tokio::task::JoinHandle;
use tributary::epochs::queries::Queries;
use tributary::serve::services::client::{AskError, ask};
use tributary::serve::services::{Services, Topic};
use tributary_operators::ask::Reply;
use tributary_testkit::NatsServer;

/// Waits until a question has reached the worker.
async fn asked<T>(queries: &Queries, question: &JoinHandle<T>) {
    while !queries.has_waiting() {
        assert!(!question.is_finished(), "answered by an unknown worker");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn every_request_gets_an_answer_or_a_reason() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let config = tributary::load(&config_file(&server, &["acme"], 1)).unwrap();
    let client = connect(&config).await;
    let refused = |topic, request: &str| {
        let (client, request) = (client.clone(), request.to_owned());
        async move {
            match ask(&client, topic, "acme", request).await {
                Err(AskError::Refused { code, sentence }) => (code, sentence),
                other => panic!("{other:?}"),
            }
        }
    };

    let queries = Queries::default();
    let dataflow = answering(&queries, |_| {
        vec![Reply::Cell(store_day("acme", "lyon", [1, 2, 3]))]
    });
    let services = Services::start(connect(&config).await, &config, queries)
        .await
        .unwrap();
    let running = Running::start(services);
    let (code, sentence) = refused(Topic::Query, r#"{"family": "jane@example.org"}"#).await;
    assert_eq!(code, 400);
    assert!(
        sentence.contains("`family`") && !sentence.contains("jane"),
        "{sentence}"
    );
    let (code, sentence) = refused(
        Topic::Explain,
        r#"{"person": {"from": ["jane@example.org"], "to": []}}"#,
    )
    .await;
    assert_eq!(code, 403);
    assert!(
        sentence.contains("tributary.contributions") && !sentence.contains("jane"),
        "{sentence}"
    );
    let (code, sentence) = refused(
        Topic::Contributions,
        r#"{"person": {"from": ["jane@example.org"], "to": []}}"#,
    )
    .await;
    assert_eq!(code, 400);
    assert!(
        sentence.contains("`person.from`") && !sentence.contains("jane"),
        "{sentence}"
    );
    for _ in 0..3 {
        ask(&client, Topic::Query, "acme", String::new())
            .await
            .unwrap();
    }
    // A question without a way back is nobody's, and stops nothing.
    client
        .publish("tributary.query.acme", "{}".into())
        .await
        .unwrap();
    ask(&client, Topic::Query, "acme", "{}".to_owned())
        .await
        .unwrap();

    let response = client
        .request("$SRV.STATS.tributary", "".into())
        .await
        .unwrap();
    let text = String::from_utf8(response.payload.to_vec()).unwrap();
    assert!(!text.contains("jane"), "{text}");
    let stats: serde_json::Value = serde_json::from_str(&text).unwrap();
    let counted = |subject: &str| {
        let endpoints = stats["endpoints"].as_array().unwrap();
        let found = endpoints
            .iter()
            .find(|endpoint| endpoint["subject"] == subject)
            .unwrap();
        (
            found["num_requests"].as_u64().unwrap(),
            found["num_errors"].as_u64().unwrap(),
        )
    };
    assert_eq!(counted("tributary.query.acme"), (5, 1));
    assert_eq!(counted("tributary.explain.acme"), (1, 1));
    assert_eq!(counted("tributary.contributions.acme"), (1, 1));

    let response = client
        .request("$SRV.INFO.tributary", "".into())
        .await
        .unwrap();
    let info: serde_json::Value = serde_json::from_slice(&response.payload).unwrap();
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    for endpoint in info["endpoints"].as_array().unwrap() {
        for schema in ["request_schema", "response_schema"] {
            let text = endpoint["metadata"][schema].as_str().unwrap();
            let schema: serde_json::Value = serde_json::from_str(text).unwrap();
            assert!(schema.is_object());
        }
    }
    running.stop().await;
    dataflow.abort();

    // A dataflow that never finishes the question's epoch.
    let services = Services::start(connect(&config).await, &config, Queries::default())
        .await
        .unwrap();
    let running = Running::start(services.answering_within(Duration::from_millis(20)));
    assert_eq!(refused(Topic::Query, "").await.0, 504);
    running.stop().await;

    // A worker that stops while it is asked: before the dataflow takes the question in ...
    let queries = Queries::default();
    let services = Services::start(connect(&config).await, &config, queries.clone())
        .await
        .unwrap();
    let running = Running::start(services);
    let question = tokio::spawn(refused(Topic::Query, ""));
    asked(&queries, &question).await;
    running.stop().await;
    assert_eq!(question.await.unwrap().0, 503);
    // ... and when the dataflow itself is closed.
    let queries = Queries::default();
    let services = Services::start(connect(&config).await, &config, queries.clone())
        .await
        .unwrap();
    let running = Running::start(services);
    let question = tokio::spawn(refused(Topic::Query, ""));
    asked(&queries, &question).await;
    queries.close();
    assert_eq!(question.await.unwrap().0, 503);
    running.stop().await;

    let answer = ask(&client, Topic::Query, "acme", String::new()).await;
    assert!(matches!(answer, Err(AskError::NoWorker(_))), "{answer:?}");
}

//! An answer that is larger than the broker lets a message be comes in numbered parts; a part that is lost is noticed.

use crate::services_common::{Running, answering, config_file, connect, store_day};
use async_nats::HeaderMap;
use futures::StreamExt;
use tributary::epochs::queries::Queries;
use tributary::serve::services::client::{AskError, ask};
use tributary::serve::services::parts::{LAST, PART};
use tributary::serve::services::{Services, Topic};
use tributary_connectors::out::cell_line;
use tributary_operators::ask::Reply;
use tributary_testkit::NatsServer;

const MAX_PAYLOAD: usize = 4096;
const CELLS: usize = 200;

#[tokio::test]
async fn a_large_answer_comes_whole_or_not_at_all() {
    let Some(server) = NatsServer::start_or_skip(&format!("max_payload: {MAX_PAYLOAD}\n")) else {
        return;
    };
    let config = tributary::load(&config_file(&server, &["acme", "zeta"], 1)).unwrap();
    let cells: Vec<_> = (0..CELLS)
        .map(|store| store_day("acme", &format!("store {store}"), [1, 2, 3]))
        .collect();
    let queries = Queries::default();
    let answered = cells.clone();
    let dataflow = answering(&queries, move |_| {
        answered.iter().cloned().map(Reply::Cell).collect()
    });
    let services = Services::start(connect(&config).await, &config, queries)
        .await
        .unwrap();
    let running = Running::start(services);
    let client = connect(&config).await;

    // As they come over the wire.
    let mut parts = client.subscribe("parts").await.unwrap();
    client
        .publish_with_reply("tributary.query.acme", "parts", "".into())
        .await
        .unwrap();
    let (mut number, mut answer) = (0, Vec::new());
    loop {
        let part = parts.next().await.unwrap();
        let headers = part.headers.unwrap();
        number += 1;
        assert_eq!(headers.get(PART).unwrap().as_str(), number.to_string());
        assert!(part.payload.ends_with(b"\n") && part.payload.len() < MAX_PAYLOAD);
        answer.extend_from_slice(&part.payload);
        if headers.get(LAST).is_some() {
            break;
        }
    }
    assert!(number > 5, "{number} parts");
    let mut lines: Vec<String> = cells.iter().map(cell_line).collect();
    lines.sort_unstable();
    assert_eq!(
        String::from_utf8(answer.clone()).unwrap(),
        lines.join("\n") + "\n"
    );
    // And as a client gathers them.
    let gathered = ask(&client, Topic::Query, "acme", String::new())
        .await
        .unwrap();
    assert_eq!(gathered, answer);
    running.stop().await;
    dataflow.abort();

    // A network that loses the second part.
    let mut lossy = client.subscribe("tributary.query.zeta").await.unwrap();
    client.flush().await.unwrap();
    let answers = client.clone();
    let loser = tokio::spawn(async move {
        let request = lossy.next().await.unwrap();
        for (number, last) in [("1", false), ("3", true)] {
            let mut headers = HeaderMap::new();
            headers.insert(PART, number);
            if last {
                headers.insert(LAST, "true");
            }
            let reply = request.reply.clone().unwrap();
            answers
                .publish_with_headers(reply, headers, "{}\n".into())
                .await
                .unwrap();
        }
    });
    let lost = ask(&client, Topic::Query, "zeta", String::new()).await;
    assert!(
        matches!(lost, Err(AskError::Gap { expected: 2 })),
        "{lost:?}"
    );
    loser.await.unwrap();
}

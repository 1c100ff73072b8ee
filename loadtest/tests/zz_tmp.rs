#![allow(missing_docs)]
use std::time::{Duration, Instant};
use tributary_connectors::nats::*;
use tributary_loadtest::testing::NatsServer;
#[tokio::test(flavor = "multi_thread")]
async fn speed() {
    let server = NatsServer::start_or_skip("").unwrap();
    let nats = server.nats();
    let client = connect(&nats, "test").await.unwrap();
    ensure_input_stream(&client, &nats, &["acme"]).await.unwrap();
    for i in 0..300_000u32 { 
        let mut h = async_nats::HeaderMap::new(); h.insert("Tributary-At", "1700000000000");
        client.publish_with_headers("tributary.in.acme.web", h, format!("{{\"id\":\"{i}\",\"ts\":1700000000000,\"type\":\"view\",\"cookie\":\"0123456789abcdef\",\"url\":\"https://www.example.org/shoes\"}}").into()).await.unwrap(); }
    client.flush().await.unwrap();
    while stream_state(&client, "TRIBUTARY_IN").await.unwrap().messages < 300_000 { }
    let begin = Instant::now();
    let mut input = Input::open(&client, "TRIBUTARY_IN", 1).await.unwrap();
    let mut n = 0; let mut batches = 0;
    while n < 300_000 { let b = input.next_batch(10_000, Duration::from_secs(5)).await.unwrap(); n += b.len(); batches += 1; }
    eprintln!("read {n} in {:?}, {batches} batches", begin.elapsed());
}

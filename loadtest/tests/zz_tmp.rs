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
    let mut p = Publisher::new(&client, 4096);
    for i in 0..300_000u32 {
        p.send(Outgoing { subject: "tributary.in.acme.web".into(), headers: vec![("Tributary-At".into(), "1700000000000".into())], id: None,
          payload: format!("{{\"id\":\"{i}\",\"ts\":1700000000000,\"type\":\"view\",\"cookie\":\"0123456789abcdef\",\"url\":\"https://www.example.org/shoes\"}}").into()}).await.unwrap(); }
    p.flush().await.unwrap();
    let begin = Instant::now();
    let mut input = Input::open(&client, "TRIBUTARY_IN", 1).await.unwrap();
    let mut n = 0; let mut batches = 0;
    while n < 300_000 { let b = input.next_batch(10_000, Duration::from_secs(5)).await.unwrap(); n += b.len(); batches += 1; }
    eprintln!("read {n} in {:?}, {batches} batches", begin.elapsed());
}

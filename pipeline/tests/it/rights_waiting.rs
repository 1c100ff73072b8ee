//! Requests wait at the broker with no worker to answer them: whoever watches hears how many and for how long, of each
//! brand alone, and that none does when they are answered.

use std::sync::Arc;

use crate::support::World;
use crate::support::story::until;
use tributary::report::metrics::Metrics;
use tributary::report::metrics::table::Id;
use tributary_connectors::nats::{self, subject};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_the_broker_is_counted_until_it_is_answered() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(10, Some(&broker), "");
    let config = world.config();
    let client = nats::connect(&broker, "test").await.unwrap();
    nats::ensure_rights_stream(&client, &broker).await.unwrap();
    let brand = config.brands[0].name.clone();
    let send = async |brand: &str| {
        let subject = subject::rights_requests(brand);
        let jetstream = async_nats::jetstream::new(client.clone());
        let sent = jetstream.publish(subject, "{}".into()).await.unwrap();
        sent.await.unwrap().sequence
    };
    let waiting = [send(&brand).await, send(&brand).await];
    send("another").await;

    let metrics = Arc::new(Metrics::new(&config));
    assert_eq!(metrics.gauges(Id::RightsOpen), [0.0]);
    let watch = tributary::privacy::rights::waiting::watch(config, client.clone(), metrics.clone());
    let watching = tokio::spawn(watch);
    let open = |count: f64| {
        let gauges = |id| metrics.gauges(id);
        let is = || gauges(Id::RightsOpen) == [count];
        tokio::task::block_in_place(|| until("the gauge follows", is));
        gauges(Id::RightsOldest)[0]
    };
    assert!(open(2.0) > 0.0);
    for (sequence, left) in waiting.into_iter().zip([1.0, 0.0]) {
        let stream = &broker.rights_stream;
        nats::delete_message(&client, stream, sequence)
            .await
            .unwrap();
        let oldest = open(left);
        assert_eq!(oldest > 0.0, left > 0.0);
    }
    watching.abort();
}

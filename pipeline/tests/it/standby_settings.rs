//! A standby with other settings than the worker that leads does not take its place: the numbers would become other ones.

use crate::support::candidates::{candidate, start, until_it_follows, until_it_leads};
use crate::support::story::{last, play, ready, until};
use crate::support::{World, published};
use tributary_connectors::nats::TERM;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_with_other_settings_does_not_lead() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let options = Options {
        events: Some(2_000),
        k: 1,
        ..Options::default()
    };
    let world = World::of(options, Some(&broker), "");
    let expected = world.replayed();
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let same = std::fs::read_to_string(&second).unwrap();
    let other = same.replace("[release]\nk = 1\n", "[release]\nk = 20\n");
    assert_ne!(same, other);
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    play(&client, &lines, None).await;
    let end = last(&client, &broker.input_stream).await;
    let leader = tokio::task::block_in_place(|| {
        let leader = start(&first);
        leader.wait_until_read(end);
        until("the cells are published", || {
            leader.metric("tributary_cells_unacknowledged") == Some(0.0)
        });
        std::fs::write(&second, &other).unwrap();
        let standby = start(&second);
        let mut said = String::new();
        until("it names the setting", || {
            let answer = standby.get("/readyz");
            said = answer.map_or(String::new(), |(status, text)| format!("{status} {text}"));
            said.contains("release.k is 20 here and 1 on")
        });
        assert!(said.starts_with("503"), "{said}");
        leader.kill();
        std::thread::sleep(TERM + TERM / 2);
        assert_eq!(standby.metric("tributary_lease_held"), Some(0.0));
        standby.stop();
        start(&first)
    });
    tokio::task::block_in_place(|| {
        until_it_leads(&leader);
        // With the same settings it takes over.
        std::fs::write(&second, &same).unwrap();
        let standby = start(&second);
        until_it_follows(&standby);
        leader.kill();
        until_it_leads(&standby);
        standby.stop();
    });
    assert_eq!(published(&broker).await, expected);
}

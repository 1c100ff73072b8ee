//! Two shards, each with a standby: a standby follows the leader of its own shard and takes its place when that is killed, and
//! both shards publish what one process would. What was moved to a shard is known to its standby, with the draw of its noise.

use crate::shards::ready;
use crate::support::brands::{candidate_of, give, of_brands, shard, stop_all, wait_for_all};
use crate::support::candidates::{until_it_follows, until_it_leads};
use crate::support::interrupted::ledger_with_kills;
use crate::support::story::{inspect, last, play, until};
use crate::support::{Worker, published, tributary};
use tributary_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_the_place_of_its_shard() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, lines) = of_brands(4_000, &broker, ["north", "north", "south"]);
    let expected = world.replayed();
    let client = ready(&broker).await;
    let parts: Vec<_> = lines.chunks(lines.len() / 3 + 1).collect();
    play(&client, parts[0], None).await;
    // The directory of the first of each shard is the same, and so is that of the second.
    let [north, south] = ["north", "south"].map(|name| candidate_of(&world, name, "first"));
    let [north_2, south_2] = tokio::task::block_in_place(|| {
        until_it_leads(&north);
        until_it_leads(&south);
        let second = ["north", "south"].map(|name| candidate_of(&world, name, "second"));
        second.iter().for_each(until_it_follows);
        second
    });
    play(&client, parts[1], None).await;
    tokio::task::block_in_place(|| {
        north.kill();
        until_it_leads(&north_2);
        assert!(north_2.said("taking over from"));
        assert_eq!(south.metric("tributary_lease_held"), Some(1.0));
        south.kill();
    });
    play(&client, parts[2], None).await;
    tokio::task::block_in_place(|| until_it_leads(&south_2));
    let first = candidate_of(&world, "north", "first");
    tokio::task::block_in_place(|| until_it_follows(&first));
    let mut leaders = vec![north_2, south_2];
    wait_for_all(&client, &broker, &leaders).await;
    drop(first);
    // The other shard sees that nobody serves the brands of this one, and that somebody does again.
    tokio::task::block_in_place(|| {
        let unserved = |of: &Worker| of.metric("tributary_unserved_brands");
        leaders.iter().for_each(|worker| {
            until("all brands are served", || unserved(worker) == Some(0.0));
        });
        leaders.remove(0).kill();
        until("two brands are not served", || {
            unserved(&leaders[0]) == Some(2.0)
        });
        until("it says which", || {
            leaders[0].said("nobody serves this brand, which belongs to the shard north")
        });
        leaders.push(candidate_of(&world, "north", "second"));
        until("all brands are served again", || {
            unserved(&leaders[0]) == Some(0.0)
        });
    });
    stop_all(&client, &broker, leaders).await;
    let actual = published(&broker).await;
    assert_eq!(actual.len(), expected.len());
    assert!(actual == expected, "shards with standbys differ");
    let id = |path: &str| inspect(&world.path(path))["ledger"].clone();
    for name in ["north", "south"] {
        let [one, other] = ["first", "second"].map(|at| id(&format!("{at}/process-{name}-0")));
        assert_eq!(one, other);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_draws_the_noise_of_a_brand_that_was_moved_to_its_shard() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let mut broker = server.nats();
    broker.pings_stream = Some("TRIBUTARY_PINGS".to_owned());
    let (world, lines) = of_brands(2_000, &broker, ["north", "north", "south"]);
    let file = world.path("tributary.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    // Steps of the noise are so long that none begins while the test runs.
    let text = text.replace(
        "cadence = \"1s\"",
        "cadence = \"1s\"\nmax_hold = \"3650d\"\nfreeze_after = \"3650d\"",
    );
    let noise = "\n[brand.noise]\nepsilon = \"1\"\nmoney = 20000\n";
    std::fs::write(&file, text + noise).expect("the configuration");
    let client = ready(&broker).await;
    play(&client, &lines, None).await;
    let data = "tributary-data";
    let north = candidate_of(&world, "north", data);
    let second = candidate_of(&world, "north", "second");
    tokio::task::block_in_place(|| {
        until_it_leads(&north);
        until_it_follows(&second);
    });
    drop(second);
    stop_all(&client, &broker, vec![north, shard(&world, "south")]).await;
    // The last brand of the file has the noise.
    tokio::task::block_in_place(|| {
        give(&world, "gamma", "north");
        ledger_with_kills(
            &world,
            &["move", "--brand", "gamma"],
            "was moved from",
            || (),
        );
    });
    // The lease is free, and the copy of before the move is not taken for the ledger.
    let early = candidate_of(&world, "north", "second");
    tokio::task::block_in_place(|| {
        until("it says why it cannot take over", || {
            let ready = early.get("/readyz");
            ready.is_some_and(|(_, text)| text.contains("its copy is older than"))
        });
        let copy = tributary()
            .args(["ledger", "move", "--brand", "beta", "--from"])
            .arg(world.path("second/process-north-0"))
            .arg("--to")
            .arg(world.path("tributary-data/process-south-0"))
            .arg("--config")
            .arg(world.path("tributary.toml"))
            .output()
            .expect("it runs");
        assert!(!copy.status.success());
    });
    drop(early);
    let moves = |at: &str| std::fs::read_to_string(world.path(at).join("moves-north-0.json"));
    let worker = candidate_of(&world, "north", data);
    let (worker, second) = tokio::task::block_in_place(|| {
        until_it_leads(&worker);
        let second = candidate_of(&world, "north", "second");
        until_it_follows(&second);
        (worker, second)
    });
    assert_eq!(moves("second").expect("moves"), moves(data).expect("moves"));
    let mut before = 0;
    loop {
        let now = last(&client, &broker.output_stream).await;
        if before == std::mem::replace(&mut before, now) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    let values = published(&broker).await;
    tokio::task::block_in_place(|| {
        worker.kill();
        until_it_leads(&second);
        until("it has released", || {
            second
                .metric("tributary_release_timestamp_seconds")
                .is_none_or(|at| at > 0.0)
        });
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    // All cells are published again. Another draw would change every one of the brand.
    assert!(last(&client, &broker.output_stream).await > before);
    assert!(!values.is_empty() && published(&broker).await == values);
}

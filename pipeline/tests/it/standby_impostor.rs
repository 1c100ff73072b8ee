//! Somebody in the account of the workers answers a standby before its leader does: with a refusal, a state of very many files, and
//! what the leader has answered before. The standby copies its leader all the same, and takes over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_nats::HeaderMap;
use futures::StreamExt;
use serde_json::json;
use tributary_simulate::Options;
use tributary_testkit::NatsServer;

use crate::support::World;
use crate::support::candidates::{candidate, start, until_it_follows, until_it_leads};
use crate::support::story::{assert_stands, last, play, ready, until};

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_in_the_place_of_the_leader_changes_nothing() {
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
    let (expected, refused) = (world.replayed(), world.refused());
    let [first, second] = [0, 1].map(|number| candidate(&world, number, None));
    let client = ready(&broker).await;
    let lines: Vec<_> = world.trace().collect();
    let half = lines.len() / 2;

    let answered = Arc::new(AtomicUsize::new(0));
    let impostor = {
        let (client, answered) = (client.clone(), answered.clone());
        let mut requests = client.subscribe("tributary.standby.>").await.unwrap();
        let mut answers = client.subscribe("_INBOX.>").await.unwrap();
        tokio::spawn(async move {
            let file = json!({"path": "objections", "bytes": 1 << 29, "changed": 0, "inode": 0});
            let state = json!({
                "state": 1, "manifest": "{}", "active": [1, 1], "rights": vec![file; 5_000],
            });
            let state = state.to_string();
            let mut kept: Option<async_nats::Message> = None;
            loop {
                tokio::select! {
                    Some(request) = requests.next() => {
                        let Some(reply) = request.reply else { continue };
                        let mut refusal = HeaderMap::new();
                        refusal.insert("Tributary-Refused", "go away");
                        let _ = client.publish_with_headers(reply.clone(), refusal, "".into()).await;
                        let _ = client.publish(reply.clone(), state.clone().into()).await;
                        if let Some(kept) = &kept {
                            let headers = kept.headers.clone().unwrap_or_default();
                            let _ = client.publish_with_headers(reply, headers, kept.payload.clone()).await;
                        }
                        answered.fetch_add(1, SeqCst);
                    }
                    Some(answer) = answers.next() => {
                        let of_leader = answer.headers.as_ref().is_some_and(|headers| headers.get("Tributary-Proof").is_some());
                        if of_leader && kept.is_none() {
                            kept = Some(answer);
                        }
                    }
                    else => return,
                }
            }
        })
    };
    play(&client, &lines[..half], None).await;
    let end = last(&client, &broker.input_stream).await;
    let (one, two) = tokio::task::block_in_place(|| {
        let one = start(&first);
        one.wait_until_read(end);
        let two = start(&second);
        until_it_follows(&two);
        (one, two)
    });
    play(&client, &lines[half..], None).await;
    let end = last(&client, &broker.input_stream).await;
    tokio::task::block_in_place(|| {
        one.wait_until_read(end);
        let before = answered.load(SeqCst);
        until("it goes on to ask", || answered.load(SeqCst) > before + 4);
        until_it_follows(&two);
        one.kill();
        until_it_leads(&two);
        two.wait_until_read(end);
        two.stop();
    });
    impostor.abort();
    assert!(answered.load(SeqCst) > 5);
    assert_stands(&broker, &expected, &refused).await;
}

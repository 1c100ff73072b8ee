//! Two worker processes, two brands with a login each: any process answers, once; a brand's login reaches that brand alone.

use crate::services_common::{Running, answering, config_file, connect, store_day};
use tributary::epochs::queries::Queries;
use tributary::serve::services::client::ask;
use tributary::serve::services::{Services, Topic};
use tributary_config::model::Config;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::record::BrandId;
use tributary_testkit::NatsServer;

const USERS: &str = r#"
authorization {
  users = [
    {user: worker, password: w}
    {user: acme, password: a, permissions: {
      publish: ["tributary.query.acme", "tributary.explain.acme"], subscribe: "_INBOX.>"
    }}
  ]
}
"#;

fn with_login(config: &Config, user: &str, password: &str) -> Config {
    let mut config = config.clone();
    config.nats.user = Some(user.to_owned());
    config.nats.password = Some(password.to_owned().into());
    config
}

fn answer(question: &Question) -> Vec<Reply> {
    let mut names = ["acme", "zeta"].into_iter();
    let brand = names.find(|name| BrandId::of(name) == question.brand());
    vec![Reply::Cell(store_day(brand.unwrap(), "lyon", [1, 2, 3]))]
}

#[tokio::test]
async fn a_login_of_a_brand_reaches_that_brand_only() {
    let Some(server) = NatsServer::start_or_skip(USERS) else {
        return;
    };
    let config = tributary::load(&config_file(&server, &["acme", "zeta"], 1)).unwrap();
    let workers = with_login(&config, "worker", "w");
    let (mut running, mut dataflows) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let queries = Queries::default();
        dataflows.push(answering(&queries, answer));
        let client = connect(&workers).await;
        running.push(Running::start(
            Services::start(client, &workers, queries).await.unwrap(),
        ));
    }

    let brand = connect(&with_login(&config, "acme", "a")).await;
    // The broker refuses this one; what follows on the same connection comes after it.
    brand
        .publish_with_reply("tributary.query.zeta", brand.new_inbox(), "".into())
        .await
        .unwrap();
    for _ in 0..20 {
        let answer = ask(&brand, Topic::Query, "acme", String::new())
            .await
            .unwrap();
        let text = String::from_utf8(answer).unwrap();
        assert_eq!(text.lines().count(), 1, "answered once: {text}");
        assert!(text.contains(r#""brand":"acme""#), "{text}");
    }

    let worker = connect(&workers).await;
    let mut inbox = worker.subscribe("stats").await.unwrap();
    worker
        .publish_with_reply("$SRV.STATS.tributary", "stats", "".into())
        .await
        .unwrap();
    let mut requests = std::collections::BTreeMap::new();
    for _ in 0..2 {
        let response = futures::StreamExt::next(&mut inbox).await.unwrap();
        let stats: serde_json::Value = serde_json::from_slice(&response.payload).unwrap();
        for endpoint in stats["endpoints"].as_array().unwrap() {
            let subject = endpoint["subject"].as_str().unwrap().to_owned();
            *requests.entry(subject).or_insert(0) += endpoint["num_requests"].as_u64().unwrap();
        }
    }
    let expected = [
        ("tributary.contributions.acme", 0),
        ("tributary.contributions.zeta", 0),
        ("tributary.explain.acme", 0),
        ("tributary.explain.zeta", 0),
        ("tributary.query.acme", 20),
        ("tributary.query.zeta", 0),
        ("tributary.retention.acme", 0),
        ("tributary.retention.zeta", 0),
        ("tributary.rights-request.acme", 0),
        ("tributary.rights-request.zeta", 0),
    ];
    let expected = expected.map(|(subject, count)| (subject.to_owned(), count));
    assert_eq!(requests, expected.into());
    for running in running {
        running.stop().await;
    }
    for dataflow in dataflows {
        dataflow.abort();
    }
}

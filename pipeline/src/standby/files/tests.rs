//! A leader that is lost while a follower copies what it has written last: the copy
//! stays what the ledger was, and does not have commits without their salts.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::sync::Arc;

use async_nats::{HeaderMap, Subscriber};
use tokio::task::JoinHandle;
use tributary_ledger::{Keyring, Ledger, Position, WriteBatch};
use tributary_operators::event::Event;
use tributary_operators::label::Label;
use tributary_operators::record::{BrandId, Day, Token, TokenizedPing};
use tributary_operators::salt::Salt;
use tributary_testkit::NatsServer;

use super::*;

/// A configuration with the ledger in a directory.
fn config(directory: &Path, server: &NatsServer) -> Config {
    let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n";
    // Settings are looked for in the environment as well.
    let environment =
        |name: &str| (name == "A").then(|| "own 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned());
    let loaded = tributary_config::parse_in(text, Path::new("tributary.toml"), &environment);
    let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
    let mut config = loaded.config;
    config.nats = server.nats();
    config.ledger.directory = directory.to_owned();
    config
}

/// The ledger of a configuration, and the days with salts in it.
fn open(config: &Config) -> (Ledger, Vec<Day>) {
    let keyring = Arc::new(Keyring::new(config));
    let (ledger, recovered) = Ledger::open(ledger_options(config), keyring).unwrap();
    let days = recovered.salts.iter().map(|(_, day, _)| *day).collect();
    (ledger, days)
}

/// Commits the first ping of a day, with the salt of that day, as the message with the
/// number of the day.
fn write_day(ledger: &mut Ledger, day: Day) {
    let brand = BrandId::of("acme");
    let ping = TokenizedPing {
        brand,
        store: Label::ABSENT,
        token: Token(7),
        random: false,
        salt_day: day,
        second: i64::from(day) * 86_400,
        utc_offset: 0,
        rssi: -60,
        offline_cookie: None,
    };
    let mut batch = WriteBatch::default();
    batch.push(brand, &Event::TokenizedPing { ping });
    batch.salt(brand, day, Salt::from_bytes([day as u8; 32]));
    ledger.append(batch);
    let sequence = day as u64;
    let position = Position {
        sequence,
        epoch: sequence,
        ..Position::default()
    };
    ledger.commit(position).unwrap();
}

/// A leader, whose ledger grows by a day between two states.
struct Leader {
    config: Config,
    ledger: Ledger,
}

impl Leader {
    fn state(&self, number: u64) -> State {
        let manifest = std::fs::read(ledger_options(&self.config).directory.join("MANIFEST"));
        let extent = self.ledger.extent();
        State {
            state: number,
            manifest: String::from_utf8(manifest.unwrap()).unwrap(),
            active: (extent.segment, extent.bytes),
            rights: Vec::new(),
            moves: String::new(),
            settings: Default::default(),
        }
    }

    /// Hands out the files of its ledger, whose names `answers` accepts, until it is
    /// aborted.
    async fn serve(&self, client: &Client, answers: fn(&str) -> bool) -> JoinHandle<()> {
        let requests = client.subscribe(subject("leader")).await.unwrap();
        client.flush().await.unwrap();
        let (client, config) = (client.clone(), self.config.clone());
        tokio::spawn(Leader::answer(client, config, requests, answers))
    }

    async fn answer(
        client: Client,
        config: Config,
        mut requests: Subscriber,
        answers: fn(&str) -> bool,
    ) {
        let directory = ledger_options(&config).directory;
        while let Some(message) = requests.next().await {
            let Some(Request::Ledger {
                file,
                offset,
                bytes,
            }) = Request::read(&message.payload, &config)
            else {
                continue;
            };
            let known = answers(&file);
            let content = match known {
                true => std::fs::read(directory.join(&file)).unwrap(),
                false => Vec::new(),
            };
            let end = content.len().min((offset + bytes) as usize);
            let content = content.get(offset as usize..end).unwrap_or_default();
            let answer = Answer {
                request: &message.payload,
                refused: if known { "" } else { "the worker ends" },
                content,
            };
            let mut headers = HeaderMap::new();
            headers.insert(PROOF, answer.prove(&config));
            headers.insert(REFUSED, answer.refused);
            let reply = message.reply.clone().unwrap();
            let sent = client.publish_with_headers(reply, headers, answer.content.to_vec().into());
            sent.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_lost_before_the_salts_of_its_last_commit_have_arrived() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let client = async_nats::connect(server.url()).await.unwrap();
    let [at, copy] = ["leader", "copy"].map(|name| server.directory().join(name));
    let [leads, follows] = [&at, &copy].map(|directory| config(directory, &server));
    let (ledger, _) = open(&leads);
    let mut leader = Leader {
        config: leads.clone(),
        ledger,
    };
    write_day(&mut leader.ledger, 1);
    let asking = Asking {
        client: &client,
        config: &follows,
        leader: "leader",
    };
    let of = Tenure {
        copy: "leader".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
    };
    let mut mark = MarkFile::open(&follows).unwrap();
    let mut files = CopyFiles::open(&follows).unwrap();
    let progress = &mut |_, _| ();

    let all = leader.serve(&client, |_| true).await;
    let first = leader.state(1);
    files
        .bring_to(first, &of, &mut mark, &asking, progress)
        .await
        .unwrap();
    assert!(mark.get().complete);
    all.abort();
    let _ = all.await;

    write_day(&mut leader.ledger, 2);
    let without_salts = |file: &str| !file.starts_with("SALTS");
    let dying = leader.serve(&client, without_salts).await;
    let second = leader.state(2);
    let brought = files
        .bring_to(second, &of, &mut mark, &asking, progress)
        .await;
    let why = format!("{:#}", brought.unwrap_err());
    assert!(why.contains("the worker ends"), "{why}");
    dying.abort();
    let _ = dying.await;
    // The copy may take over, as what it was before.
    assert!(mark.get().complete);
    files.close().unwrap();
    let (ledger, days) = open(&follows);
    assert_eq!((ledger.position().unwrap().sequence, days), (1, vec![1]));
    ledger.close().unwrap();

    // Under a leader that answers, it becomes what the ledger is.
    let all = leader.serve(&client, |_| true).await;
    let mut files = CopyFiles::open(&follows).unwrap();
    let third = leader.state(3);
    files
        .bring_to(third, &of, &mut mark, &asking, progress)
        .await
        .unwrap();
    write_day(&mut leader.ledger, 3);
    let fourth = leader.state(4);
    files
        .bring_to(fourth, &of, &mut mark, &asking, progress)
        .await
        .unwrap();
    all.abort();
    files.close().unwrap();
    let (ledger, days) = open(&follows);
    assert_eq!(
        (ledger.position().unwrap().sequence, days),
        (3, vec![1, 2, 3])
    );
}

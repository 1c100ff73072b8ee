//! The leader's end: answers its followers what the ledger consists of, and
//! parts of its files.
//!
//! A state is a [`Snapshot`]. Files that were replaced since are refused, and the
//! follower asks for a newer state.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use async_nats::{HeaderMap, Message};
use futures::StreamExt;
use tokio::sync::watch;
use tributary_config::model::Config;
use tributary_connectors::nats::Client;
use tributary_ledger::{Extent, is_ledger_file};

use super::mark::Tenure;
use super::wire::{Answer, PART, PROOF, REFUSED, Request, State, subject};
use crate::broker::retry::wait_until;
use crate::durability::location::ledger_options;
use crate::durability::rights_copy;
use crate::durability::snapshot::Snapshot;
use crate::durability::standbys::Standbys;
use crate::privacy::rights::files;
use crate::shared_settings::shared;

/// Bytes reserved in a message for its headers.
const HEADERS: u64 = 1 << 10;

/// Answers the followers of this process, whose copy of the ledger leads, until
/// `stop`. `extent` says how far the active segment is durable.
pub async fn serve(
    client: Client,
    config: Config,
    of: Tenure,
    extent: watch::Receiver<Extent>,
    standbys: Standbys,
    stop: watch::Receiver<bool>,
) {
    let leader = Leader {
        ledger: ledger_options(&config).directory,
        rights: files::directory(&config),
        client,
        config,
        since: of.since,
        extent,
        standbys,
    };
    tokio::select! {
        () = leader.answer_all(&of.copy) => {}
        () = wait_until(stop) => {}
    }
}

struct Leader {
    client: Client,
    config: Config,
    ledger: PathBuf,
    rights: PathBuf,
    /// Since when it leads.
    since: String,
    extent: watch::Receiver<Extent>,
    standbys: Standbys,
}

impl Leader {
    /// Answers requests, one after the other, for good.
    async fn answer_all(&self, copy: &str) {
        loop {
            let subject = subject(copy);
            match self.client.subscribe(subject.clone()).await {
                Ok(mut requests) => {
                    while let Some(request) = requests.next().await {
                        self.answer(request).await;
                    }
                }
                Err(error) => tracing::warn!(subject, %error, "cannot listen for standbys"),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn answer(&self, message: Message) {
        let Some(reply) = message.reply.clone() else {
            return;
        };
        let request = Request::read(&message.payload, &self.config);
        let answered = match request {
            None => Err(anyhow::anyhow!(
                "the request proves other secrets than those of this process, or is of another version"
            )),
            Some(request) => self.answer_to(request).await,
        };
        let (content, refused) = match answered {
            Ok(content) => (content, String::new()),
            Err(error) => (Vec::new(), format!("{error:#}").replace(['\r', '\n'], " ")),
        };
        let answer = Answer {
            request: &message.payload,
            refused: &refused,
            content: &content,
        };
        let mut headers = HeaderMap::new();
        headers.insert(PROOF, answer.prove(&self.config));
        if !refused.is_empty() {
            headers.insert(REFUSED, refused);
        }
        let sent = self
            .client
            .publish_with_headers(reply, headers, content.into())
            .await;
        if let Err(error) = sent {
            tracing::warn!(%error, "cannot answer a standby");
        }
    }

    /// The answer to a request.
    ///
    /// # Errors
    ///
    /// A file that is not what the request names, and any error of the disk.
    async fn answer_to(&self, request: Request) -> anyhow::Result<Vec<u8>> {
        let most = PART.min((self.client.max_payload() as u64).saturating_sub(HEADERS));
        match request {
            Request::State { copy, since, has } => {
                // Of another lease, it says nothing of the states of this one.
                if since == self.since {
                    self.standbys.has(&copy, has);
                }
                Ok(serde_json::to_vec(&self.state().await?)?)
            }
            Request::Ledger {
                file,
                offset,
                bytes,
            } => {
                if !is_ledger_file(&file) {
                    bail!("{file} is no file of a ledger");
                }
                let path = self.ledger.join(&file);
                let read = move || read(&path, offset, bytes.min(most));
                let read = tokio::task::spawn_blocking(read).await?;
                read.with_context(|| format!("the file {file} was replaced"))
            }
            Request::Rights {
                file,
                offset,
                bytes,
            } => {
                let rights = self.rights.clone();
                let name = file.path.clone();
                let read = move || rights_copy::read(&rights, &file, offset, bytes.min(most));
                let read = tokio::task::spawn_blocking(read).await??;
                read.with_context(|| format!("the file {name} was replaced"))
            }
        }
    }

    /// What the ledger consists of now.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, or change all the time.
    async fn state(&self) -> anyhow::Result<State> {
        let state = self.standbys.next_state();
        let snapshot = Snapshot::take(&self.ledger, &self.rights, &self.extent).await?;
        let Extent { segment, bytes } = snapshot.extent;
        Ok(State {
            state,
            manifest: String::from_utf8(snapshot.manifest.bytes().to_vec())?,
            active: (segment, bytes),
            rights: snapshot.rights,
            moves: snapshot.moves,
            settings: shared(&self.config),
        })
    }
}

/// Reads a part of a file.
fn read(path: &Path, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut part = Vec::new();
    file.take(bytes).read_to_end(&mut part)?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use tributary_connectors::nats::{Holder, Lease, connect, ensure_leases, ensure_output_stream};
    use tributary_testkit::NatsServer;

    use super::*;

    /// Numbers of states begin anew with each lease: what a standby has of an earlier one
    /// is no state of this one, however high its number is.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_state_of_another_lease_counts_for_nothing() {
        let Some(server) = NatsServer::start_or_skip("") else {
            return;
        };
        let nats = server.nats();
        let client = connect(&nats, "test").await.unwrap();
        ensure_output_stream(&client, &nats, &["acme"])
            .await
            .unwrap();
        ensure_leases(&client, &nats).await.unwrap();
        let since = "2026-01-01T00:00:00Z".to_owned();
        let holder = Holder {
            process: 0,
            processes: 1,
            shard: None,
            brands: Vec::new(),
            ledger: "0".repeat(32),
            copy: "leader".to_owned(),
            barrier: 0,
            address: String::new(),
            manifest: 0,
            commits: 0,
            host: "host".to_owned(),
            version: "1.0.0".to_owned(),
            build: String::new(),
            settings: String::new(),
            since: since.clone(),
            released: false,
        };
        let lease = Lease::take(&client, &nats, holder).await.unwrap();
        let environment = |name: &str| (name == "A").then(|| tributary_testkit::SECRET.to_owned());
        let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n";
        let loaded = tributary_config::parse_in(text, Path::new("tributary.toml"), &environment);
        let standbys = Standbys::of(lease.fence());
        let (_extent, extent) = watch::channel(Extent::default());
        let leader = Leader {
            client,
            config: loaded
                .unwrap_or_else(|problems| panic!("{problems}"))
                .config,
            ledger: server.directory().join("none"),
            rights: server.directory().join("none"),
            since: since.clone(),
            extent,
            standbys: standbys.clone(),
        };
        for (of, counted) in [("2025-12-31T00:00:00Z", 0), ("", 0), (&since, 1)] {
            let request = Request::State {
                copy: "standby".to_owned(),
                since: of.to_owned(),
                has: 1_000,
            };
            // There is no ledger whose state it could answer with.
            assert!(leader.answer_to(request).await.is_err());
            assert_eq!(standbys.count(), counted, "{of}");
        }
    }
}

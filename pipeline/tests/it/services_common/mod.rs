//! A broker, a configuration for it, the service, and a task that answers questions as the dataflow does.

use std::path::PathBuf;

use async_nats::Client;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tributary::epochs::queries::Queries;
use tributary::serve::services::Services;
use tributary_config::model::Config;
use tributary_connectors::nats;
use tributary_operators::ask::{Answer, Question, Reply};
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_testkit::NatsServer;

/// Writes a configuration of some brands for a server, beside its store.
pub fn config_file(server: &NatsServer, brands: &[&str], k: u64) -> PathBuf {
    let directory = server.directory();
    let mut text = format!("[nats]\nurl = \"{}\"\n[release]\nk = {k}\n", server.url());
    for brand in brands {
        let secret = format!("a secret of {brand} with at least thirty-two bytes");
        tributary_testkit::write_secret(directory.join(format!("{brand}.secret")), &secret);
        text += &format!(
            "[[brand]]\nname = \"{brand}\"\ntimezone = \"Europe/Paris\"\ncurrency = \"EUR\"\nphone_region = \"FR\"\n\
             secret_file = \"{brand}.secret\"\n[[brand.source]]\nname = \"tills\"\nkind = \"transaction\"\n"
        );
    }
    let file = directory.join("tributary.toml");
    std::fs::write(&file, text).unwrap();
    file
}

pub async fn connect(config: &Config) -> Client {
    nats::connect(&config.nats, "test").await.unwrap()
}

/// Answers questions as the dataflow does: with an epoch, in parts, and then finished.
pub fn answering(
    queries: &Queries,
    answer: impl Fn(&Question) -> Vec<Reply> + Send + 'static,
) -> JoinHandle<()> {
    let queries = queries.clone();
    tokio::spawn(async move {
        for epoch in 1.. {
            while !queries.has_waiting() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            for (number, question) in queries.drain(epoch) {
                for reply in answer(&question) {
                    queries.answer(Answer {
                        asker: 0,
                        number,
                        reply,
                    });
                }
            }
            queries.finished(epoch + 1);
        }
    })
}

/// A running service.
pub struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Serves in the background; the broker knows the subscriptions already.
    pub fn start(services: Services) -> Running {
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(services.run(async {
            let _ = stopped.await;
        }));
        Running { stop, served }
    }

    /// Stops the service and waits until it has.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.served.await.unwrap().unwrap();
    }
}

/// A cell of `store_day`.
pub fn store_day(brand: &str, store: &str, values: [i128; 3]) -> Cell {
    Cell {
        family: Family::StoreDay,
        dims: vec![
            Dim::Text(brand.into()),
            Dim::Text(store.into()),
            Dim::Day(20_387),
            Dim::Text("EUR".into()),
        ],
        values: values.to_vec(),
    }
}

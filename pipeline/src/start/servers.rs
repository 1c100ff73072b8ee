//! The HTTP servers of a configuration: that of pages and metrics, and that of
//! records.
//!
//! They are made for the brands of a configuration. A reload that adds one starts
//! others on the same addresses before it ends these, so that no connection is
//! refused meanwhile: a listening socket is shared, and belongs to the process.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tributary_config::model::Config;
use tributary_connectors::nats::Client;

use crate::broker::retry::wait_until;
use crate::live_config::LiveConfig;
use crate::privacy::rights::signature::Signer;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;
use crate::serve::http;
use crate::serve::ingest::{self, IngestServer};
use crate::serve::opendsr::OpenDsr;
use crate::serve::state::HttpState;
use crate::serve::v1::rights::RightsRegister;

/// The listening sockets of a process.
pub struct Listeners {
    http: TcpListener,
    /// `None` if the process takes no records over HTTP.
    ingest: Option<TcpListener>,
}

/// The running servers of a configuration.
pub struct Servers {
    /// Ends the servers when set to true.
    end: watch::Sender<bool>,
    http: JoinHandle<()>,
    ingest: JoinHandle<()>,
    opendsr: Arc<OpenDsr>,
    register: Arc<RightsRegister>,
    records: Option<Arc<IngestServer>>,
}

impl Listeners {
    /// Listens on the addresses of a configuration.
    ///
    /// # Errors
    ///
    /// An address that is not free.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Listeners> {
        let listen = |address, setting: &str| {
            let listener = TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address} ({setting})"))?;
            listener.set_nonblocking(true)?;
            anyhow::Ok(listener)
        };
        let http = listen(config.http.listen, "http.listen")?;
        let ingest = config.http_ingest.listen;
        Ok(Listeners {
            http,
            ingest: ingest
                .map(|address| listen(address, "http_ingest.listen"))
                .transpose()?,
        })
    }

    /// The address of the pages and metrics.
    ///
    /// # Errors
    ///
    /// Any error of the socket.
    pub(super) fn http_address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.http.local_addr()
    }

    /// The address that records are sent to.
    pub(super) fn ingest_address(&self) -> Option<std::net::SocketAddr> {
        self.ingest.as_ref()?.local_addr().ok()
    }
}

impl Servers {
    /// Starts the servers of the current configuration, over the telemetry and the
    /// cells of the process. What needs the broker responds with 503 before
    /// [`Servers::open`].
    ///
    /// # Errors
    ///
    /// Any error of the sockets.
    pub(super) fn start(
        listeners: &Listeners,
        live: &LiveConfig,
        telemetry: &Telemetry,
        cells: &SharedCells,
        signer: Option<Arc<Signer>>,
    ) -> anyhow::Result<Servers> {
        let config = live.now();
        let shared = |listener: &TcpListener| {
            let listener = listener.try_clone()?;
            tokio::net::TcpListener::from_std(listener)
        };
        let state = HttpState::new(&config, telemetry, cells)
            .following(live)
            .signed(&config, signer);
        let (opendsr, register) = (state.opendsr.clone(), state.rights.clone());
        let (end, ended) = watch::channel(false);
        let http = http::serve(shared(&listeners.http)?, state, wait_until(ended.clone()));
        let (records, ingest) = match &listeners.ingest {
            None => (None, tokio::spawn(async {})),
            Some(listener) => {
                let server = IngestServer::new(live, telemetry.metrics.clone());
                let until = wait_until(ended);
                let serving = ingest::serve(server.clone(), shared(listener)?, until);
                (Some(server), tokio::spawn(serving))
            }
        };
        Ok(Servers {
            end,
            http: tokio::spawn(http),
            ingest,
            opendsr,
            register,
            records,
        })
    }

    /// Provides the connection to the broker, whose streams exist from now on.
    pub(super) fn open(&self, client: &Client) {
        self.opendsr.open(client.clone());
        self.register.open(client.clone());
        if let Some(records) = &self.records {
            records.open(client);
        }
    }

    /// Ends the servers, and waits for responses in progress until a time.
    pub async fn end(self, until: Instant) {
        let _ = self.end.send(true);
        let _ = timeout_at(until, self.http).await;
        let _ = timeout_at(until, self.ingest).await;
    }
}

//! State of the HTTP server: a handle to each thing that it shows. Each handler
//! extracts those that it needs.

use std::sync::Arc;

use axum::extract::FromRef;
use tributary_config::model::Config;

use super::access::Access;
use super::opendsr::OpenDsr;
use super::page::{Page, PageState};
use super::v1::CellQueries;
use super::v1::rights::RightsRegister;
use crate::live_config::LiveConfig;
use crate::privacy::rights::signature::Signer;
use crate::report::published_cells::SharedCells;
use crate::report::telemetry::Telemetry;

/// What the HTTP server shows; clones share it.
#[derive(Clone)]
pub struct HttpState {
    /// The metrics and the health.
    pub telemetry: Telemetry,
    /// The released cells.
    pub cells: SharedCells,
    /// The live page.
    pub page: Arc<Page>,
    /// Queries over released cells.
    pub queries: Arc<CellQueries>,
    /// The registers of rights requests.
    pub rights: Arc<RightsRegister>,
    /// Who may see what.
    pub access: Arc<Access>,
    /// The endpoints of OpenDSR.
    pub opendsr: Arc<OpenDsr>,
    /// The effective configuration.
    pub live: LiveConfig,
}

impl HttpState {
    /// State of the server of a configuration, over the telemetry and the cells of
    /// its process.
    pub fn new(config: &Config, telemetry: &Telemetry, cells: &SharedCells) -> HttpState {
        let live = LiveConfig::fixed(config);
        let page = Arc::new(Page::new(config));
        HttpState {
            telemetry: telemetry.clone(),
            cells: cells.clone(),
            queries: Arc::new(CellQueries::new(&page, cells)),
            page,
            rights: Arc::new(RightsRegister::new(config)),
            access: Arc::new(Access::new(&live)),
            opendsr: Arc::new(OpenDsr::new(config, None)),
            live,
        }
    }

    /// The same, with what a reload may change as it is now.
    #[must_use]
    pub fn following(self, live: &LiveConfig) -> HttpState {
        HttpState {
            access: Arc::new(Access::new(live)),
            live: live.clone(),
            ..self
        }
    }

    /// The same, with responses of OpenDSR that `signer` signs.
    #[must_use]
    pub fn signed(self, config: &Config, signer: Option<Arc<Signer>>) -> HttpState {
        HttpState {
            opendsr: Arc::new(OpenDsr::new(config, signer)),
            ..self
        }
    }
}

impl FromRef<HttpState> for Telemetry {
    fn from_ref(state: &HttpState) -> Telemetry {
        state.telemetry.clone()
    }
}

impl FromRef<HttpState> for Arc<Page> {
    fn from_ref(state: &HttpState) -> Arc<Page> {
        state.page.clone()
    }
}

impl FromRef<HttpState> for LiveConfig {
    fn from_ref(state: &HttpState) -> LiveConfig {
        state.live.clone()
    }
}

impl FromRef<HttpState> for Arc<CellQueries> {
    fn from_ref(state: &HttpState) -> Arc<CellQueries> {
        state.queries.clone()
    }
}

impl FromRef<HttpState> for Arc<RightsRegister> {
    fn from_ref(state: &HttpState) -> Arc<RightsRegister> {
        state.rights.clone()
    }
}

impl FromRef<HttpState> for PageState {
    fn from_ref(state: &HttpState) -> PageState {
        PageState {
            page: state.page.clone(),
            telemetry: state.telemetry.clone(),
            cells: state.cells.clone(),
            live: state.live.clone(),
        }
    }
}

//! `GET /v1/rights`: the register of a brand's rights requests, as `tributary
//! rights list` prints it, and `GET /v1/audit`: the brand's audit log in words.
//!
//! Both need the role `privacy`, and contain nothing that identifies a data
//! subject. The register is read from the rights stream; the audit log is a file of
//! process 0, read and verified as a whole; elsewhere its answer has `"here":
//! false`. Both are kept for some seconds ([`kept`](super::kept)).

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tributary_config::model::{Brand, Config};
use tributary_connectors::nats::Client;
use tributary_rights::audit::history;
use url::form_urlencoded;

use super::error;
use super::kept::Kept;
use crate::privacy::rights::files;
use crate::privacy::rights::register::Register;
use crate::report::cell_query::QueryError;
use crate::serve::access::Viewer;
use crate::serve::response::{JSON, text};

/// Maximum time to read a register.
const WITHIN: Duration = Duration::from_secs(20);

/// Number of entries of the audit log in an answer.
const MOST_ENTRIES: usize = 200;

/// Token that the register needs.
const NEEDS: &str = "rights requests need a token of the brand in `?brand=` with the role privacy";

/// The registers and audit logs of the brands.
pub struct RightsRegister {
    /// The brands.
    brands: Vec<Brand>,
    /// Name of the rights stream.
    stream: String,
    /// Directory of the audit logs of this process.
    directory: PathBuf,
    /// Connection to the broker, once it exists.
    client: OnceLock<Client>,
    /// The last registers.
    registers: Kept<Register>,
    /// The last answers about audit logs.
    logs: Kept<String>,
}

impl RightsRegister {
    /// The registers of a configuration. They are unavailable before
    /// [`RightsRegister::open`].
    pub fn new(config: &Config) -> RightsRegister {
        RightsRegister {
            brands: config.brands.clone(),
            stream: config.nats.rights_stream.clone(),
            directory: files::directory(config).join("audit"),
            client: OnceLock::new(),
            registers: Kept::default(),
            logs: Kept::default(),
        }
    }

    /// Provides the connection to the broker; the rights stream exists from now on.
    pub fn open(&self, client: Client) {
        let _ = self.client.set(client);
    }

    /// The brand of a request, if the viewer may see its rights requests.
    fn brand(&self, viewer: &Viewer, uri: &Uri) -> Result<&Brand, Box<Response>> {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let mut named = pairs.filter(|(name, _)| name == "brand");
        let named = named.next().map(|(_, brand)| brand);
        let mut brands = self.brands.iter().filter(|brand| match &named {
            Some(named) => brand.name == **named,
            None => viewer.may_list_rights(&brand.name),
        });
        match (brands.next(), brands.next()) {
            (Some(brand), None) if viewer.may_list_rights(&brand.name) => Ok(brand),
            (None, _) if *viewer == Viewer::Local => {
                let unknown = QueryError::new("brand", "is not configured", "name a brand");
                Err(Box::new(error(StatusCode::BAD_REQUEST, &unknown)))
            }
            (Some(_), Some(_)) => {
                let missing = QueryError::new(
                    "brand",
                    "is missing, and there are several",
                    "name one of them",
                );
                Err(Box::new(error(StatusCode::BAD_REQUEST, &missing)))
            }
            // Whether another brand exists is not said.
            _ => Err(Box::new(viewer.refuse(NEEDS))),
        }
    }

    /// The register of a brand, read now or just before.
    async fn load(&self, brand: &Brand) -> Option<Arc<Register>> {
        let client = self.client.get()?;
        let read = async {
            let load = Register::load(client, &self.stream, &brand.name);
            let loaded = tokio::time::timeout(WITHIN, load).await.ok()?;
            loaded
                .inspect_err(|error| tracing::warn!(%error, "cannot read the rights requests"))
                .ok()
        };
        self.registers.get(&brand.name, Instant::now, read).await
    }

    /// The answer about the audit log of a brand, read now or just before.
    async fn log(&self, brand: &Brand) -> Option<Arc<String>> {
        let path = self.directory.join(format!("{}.jsonl", brand.name));
        let (name, keys) = (brand.name.clone(), files::keys(brand));
        let read = async move {
            let read = tokio::task::spawn_blocking(move || match path.exists() {
                true => history(&path, &keys, MOST_ENTRIES).map(|entries| (true, entries)),
                false => Ok((false, Vec::new())),
            });
            match read.await {
                Ok(Ok((here, entries))) => {
                    let body = json!({"brand": name, "here": here, "entries": entries});
                    Some(format!("{body}\n"))
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the audit log is damaged");
                    None
                }
                Err(error) => {
                    tracing::error!(%error, "cannot read the audit log");
                    None
                }
            }
        };
        self.logs.get(&brand.name, Instant::now, read).await
    }
}

/// An answer that may be asked for again.
fn unavailable(what: &str) -> Response {
    let busy = QueryError::new(what, "cannot be read now", "try again");
    error(StatusCode::SERVICE_UNAVAILABLE, &busy)
}

/// `GET /v1/rights`.
pub async fn register(
    State(registers): State<Arc<RightsRegister>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Response {
    let brand = match registers.brand(&viewer, &uri) {
        Ok(brand) => brand,
        Err(refusal) => return *refusal,
    };
    let Some(register) = registers.load(brand).await else {
        return unavailable("the rights stream");
    };
    let now = Timestamp::now().as_millisecond();
    let zone: &TimeZone = &brand.timezone;
    let body = json!({"brand": brand.name, "requests": register.entries(now, zone)});
    text(StatusCode::OK, JSON, format!("{body}\n"))
}

/// `GET /v1/audit`.
pub async fn audit(
    State(registers): State<Arc<RightsRegister>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Response {
    let brand = match registers.brand(&viewer, &uri) {
        Ok(brand) => brand,
        Err(refusal) => return *refusal,
    };
    match registers.log(brand).await {
        Some(body) => text(StatusCode::OK, JSON, body.to_string()),
        None => unavailable("the audit log"),
    }
}

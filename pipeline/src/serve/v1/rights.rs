//! `GET /v1/rights`: the register of a brand's rights requests, as `tributary
//! rights list` prints it, and `GET /v1/audit`: the brand's audit log in words.
//!
//! Both need the role `privacy`, and contain nothing that identifies a data
//! subject. The register is read from the rights stream, few at a time, and kept
//! for [`FRESH`], so that many open pages cost the broker one read. The audit log
//! is a file of process 0; elsewhere its answer has `"here": false`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use tokio::sync::Mutex;
use tributary_config::model::{Brand, Config};
use tributary_connectors::nats::Client;
use tributary_rights::audit::history;
use url::form_urlencoded;

use super::error;
use crate::privacy::rights::files;
use crate::privacy::rights::register::Register;
use crate::report::cell_query::QueryError;
use crate::serve::access::Viewer;
use crate::serve::response::{JSON, text};

/// How long a register is answered again.
const FRESH: Duration = Duration::from_secs(3);

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
    /// The last registers by brand. One read of the stream at a time.
    last: Mutex<BTreeMap<String, (Instant, Arc<Register>)>>,
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
            last: Mutex::default(),
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
        let mut last = self.last.lock().await;
        if let Some((at, register)) = last.get(&brand.name)
            && at.elapsed() < FRESH
        {
            return Some(register.clone());
        }
        let load = Register::load(client, &self.stream, &brand.name);
        let loaded = tokio::time::timeout(WITHIN, load).await.ok()?;
        let register = loaded
            .inspect_err(|error| tracing::warn!(%error, "cannot read the rights requests"))
            .ok()?;
        let register = Arc::new(register);
        last.insert(brand.name.clone(), (Instant::now(), register.clone()));
        Some(register)
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
    let path = registers.directory.join(format!("{}.jsonl", brand.name));
    let (name, keys) = (brand.name.clone(), files::keys(brand));
    let read = tokio::task::spawn_blocking(move || match path.exists() {
        true => history(&path, &keys, MOST_ENTRIES).map(|entries| (true, entries)),
        false => Ok((false, Vec::new())),
    });
    match read.await {
        Ok(Ok((here, entries))) => {
            let body = json!({"brand": name, "here": here, "entries": entries});
            text(StatusCode::OK, JSON, format!("{body}\n"))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the audit log is damaged");
            unavailable("the audit log")
        }
        Err(error) => {
            tracing::error!(%error, "cannot read the audit log");
            unavailable("the audit log")
        }
    }
}

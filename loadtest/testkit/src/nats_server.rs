//! A NATS server for a test, on a free port and with a store of its own. It ends with the test.
//!
//! The program is the one that `TRIBUTARY_NATS_SERVER` names, or `target/tools/bin/nats-server` of
//! the workspace, which `bash .ci/tools.sh nats` installs. If there is neither, a test reports that
//! it is skipped and returns; under continuous integration (`CI=true`) it fails, so that tests are
//! never skipped unnoticed:
//!
//! ```no_run
//! use tributary_testkit::NatsServer;
//!
//! # async fn test() {
//! let Some(server) = NatsServer::start_or_skip("") else { return };
//! let client = async_nats::connect(server.url()).await;
//! # }
//! ```

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tributary_config::model::Nats;

use crate::skip::skipped;

/// The maximum time until a server answers. It usually takes about 20 ms.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running server with JetStream. Dropping it kills it and deletes its store.
pub struct NatsServer {
    /// The program.
    binary: PathBuf,
    /// The process.
    child: Child,
    /// The port that it chose at its first start.
    port: u16,
    /// The store, the configuration and the log.
    directory: TempDir,
}

impl NatsServer {
    /// The path of the server's program, if it is installed.
    pub fn program() -> Option<PathBuf> {
        if let Some(named) = std::env::var_os("TRIBUTARY_NATS_SERVER") {
            return Some(PathBuf::from(named));
        }
        // Cargo runs the tests of a crate in the crate's directory.
        std::env::current_dir()
            .ok()?
            .ancestors()
            .map(|folder| folder.join("target/tools/bin/nats-server"))
            .find(|program| program.is_file())
    }

    /// Starts a server with a piece of server configuration (users, TLS; may be empty). Without a
    /// program, reports that the test is skipped and returns `None`.
    ///
    /// # Panics
    ///
    /// If the server does not start, and without a program if `CI` is `true`.
    pub fn start_or_skip(configuration: &str) -> Option<NatsServer> {
        match NatsServer::program() {
            Some(binary) => Some(NatsServer::start(binary, configuration)),
            None => {
                let reason =
                    "no nats-server: run `bash .ci/tools.sh nats`, or set TRIBUTARY_NATS_SERVER";
                skipped(reason);
                None
            }
        }
    }

    /// Starts a server.
    fn start(binary: PathBuf, configuration: &str) -> NatsServer {
        let directory = TempDir::new()
            .unwrap_or_else(|error| panic!("no temporary directory for a server: {error}"));
        std::fs::write(directory.path().join("server.conf"), configuration)
            .unwrap_or_else(|error| panic!("no configuration for a server: {error}"));
        let child = spawn(&binary, directory.path(), None);
        let mut server = NatsServer {
            binary,
            child,
            port: 0,
            directory,
        };
        server.port = server.chosen_port();
        server
    }

    /// The address of the server without credentials: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// The address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The `[nats]` section of a configuration for this server; everything else has its default.
    ///
    /// Except that pings have no stream of their own, because most tests wait for one sequence that counts
    /// every message. Those of the stream of pings set its name.
    pub fn nats(&self) -> Nats {
        Nats {
            pings_stream: None,
            ..tributary_config::nats_at(&self.url())
        }
    }

    /// A directory for the files of the test, deleted with the server.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Kills the server without a shutdown, as a power failure would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts the killed server again, with the same port and store.
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.binary, self.directory.path(), Some(self.port));
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            self.wait(begin);
        }
    }

    /// The free port that the server chose, which it writes to a file once it listens.
    fn chosen_port(&mut self) -> u16 {
        let name = self
            .binary
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let file = self
            .directory
            .path()
            .join(format!("{name}_{}.ports", self.child.id()));
        let begin = Instant::now();
        loop {
            let ports = std::fs::read(&file).ok();
            let ports = ports.and_then(|p| serde_json::from_slice::<serde_json::Value>(&p).ok());
            let port = ports.as_ref().and_then(|ports| {
                let url = ports.get("nats")?.get(0)?.as_str()?;
                url.rsplit(':').next()?.parse().ok()
            });
            if let Some(port) = port {
                return port;
            }
            self.wait(begin);
        }
    }

    /// Sleeps shortly. Panics with the server's log if it has ended or does not start in time.
    fn wait(&mut self, begin: Instant) {
        let ended = self.child.try_wait().ok().flatten();
        if ended.is_some() || begin.elapsed() > PATIENCE {
            let log = std::fs::read_to_string(self.directory.path().join("server.log"));
            panic!(
                "nats-server does not start ({ended:?}):\n{}",
                log.unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the process; without a `port` the server chooses one.
fn spawn(binary: &Path, directory: &Path, port: Option<u16>) -> Child {
    Command::new(binary)
        .args(["--addr", "127.0.0.1", "--jetstream"])
        .arg("--port")
        .arg(port.map_or("-1".to_owned(), |port| port.to_string()))
        .arg("--ports_file_dir")
        .arg(directory)
        .arg("--store_dir")
        .arg(directory.join("store"))
        .arg("--config")
        .arg(directory.join("server.conf"))
        .arg("--log")
        .arg(directory.join("server.log"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()))
}

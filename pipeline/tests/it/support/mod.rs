//! Real processes for story tests: the `tributary` binary, its configuration, and what it published.

pub mod brands;
pub mod candidates;
pub mod certificates;
pub mod disk;
pub mod http;
pub mod interrupted;
pub mod memory;
pub mod person;
pub mod secrets;
pub mod shim;
pub mod statuses;
pub mod story;
pub mod version;
pub mod wall_clock;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tributary_config::model::{Config, Nats};
use tributary_connectors::nats::{self, Reader};
use tributary_connectors::trace::TraceLine;
use tributary_simulate::{self as simulate, Options, SecretFrom};
use tributary_testkit::skipped;

/// How long anything may take before the test fails, on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Waits before the next look at something, which took since `asked`: much longer than a look takes, because the others need
/// the processors, too.
pub fn pause(asked: Instant) {
    let wait = (3 * asked.elapsed()).clamp(Duration::from_millis(20), Duration::from_secs(2));
    std::thread::sleep(wait);
}

/// Where the public data sets are, or none with a printed reason.
pub fn shared_data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if !path.exists() {
        skipped(&format!("no public data sets at {}", path.display()));
        return None;
    }
    Some(path)
}

/// Noon of a day, in UTC.
pub fn noon_of(day: i32) -> jiff::Timestamp {
    jiff::Timestamp::from_second(i64::from(day) * 86_400 + 43_200).expect("a day of the calendar")
}

/// The `tributary` command, logging only errors.
pub fn tributary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.env("TRIBUTARY_LOG", "error");
    command.env("TRIBUTARY_DATASET_SECRET", tributary_testkit::SECRET);
    command
}

/// Runs a command to its end, which must be good.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A directory with the configuration and the trace of a simulated brand.
pub struct World {
    pub directory: tempfile::TempDir,
    pub options: Options,
}

impl World {
    pub fn new(events: u64, nats: Option<&Nats>, more: &str) -> World {
        let options = Options {
            events: Some(events),
            k: 1,
            ..Options::default()
        };
        World::of(options, nats, more)
    }

    pub fn of(options: Options, nats: Option<&Nats>, more: &str) -> World {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("secret");
        tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
        let brand = simulate::config_toml(&options, SecretFrom::File(&secret))
            .replace("k = 1", "k = 1\ncadence = \"1s\"");
        let broker = nats.map_or(String::new(), |nats| {
            let pings = nats.pings_stream.as_deref().unwrap_or_default();
            format!(
                "[nats]\nurl = \"{}\"\npings_stream = \"{pings}\"\n",
                nats.url
            )
        });
        let text = format!("{broker}[http]\nlisten = \"127.0.0.1:0\"\n{more}\n{brand}");
        std::fs::write(directory.path().join("tributary.toml"), text).expect("the configuration");
        let world = World { directory, options };
        let mut trace = String::new();
        for line in world.lines() {
            trace.push_str(&line.to_trace_line());
            trace.push('\n');
        }
        std::fs::write(world.path("trace.ndjson"), trace).expect("the trace");
        world
    }

    /// Lets no bit of offline cookies count, so that what stays weigh depends on no random salt.
    pub fn without_cookies(self) -> World {
        let config = self.path("tributary.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let retention = "[brand.retention]\n";
        assert!(text.contains(retention) && !text.contains("[brand.sensors]"));
        let text = text.replace(
            retention,
            &format!("[brand.sensors]\ncookie_bits = 0\n{retention}"),
        );
        std::fs::write(&config, text).expect("the configuration");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self) -> Config {
        tributary_config::load(&self.path("tributary.toml"))
            .expect("the configuration holds")
            .config
    }

    pub fn lines(&self) -> simulate::World {
        simulate::lines(self.options.clone()).expect("a world")
    }

    pub fn trace(&self) -> impl Iterator<Item = TraceLine> {
        self.lines().map(|line| TraceLine {
            subject: line.subject,
            at: line.at,
            headers: Vec::new(),
            data: line.data.into_bytes(),
        })
    }

    /// The ledger of a process.
    pub fn ledger(&self, process: usize) -> PathBuf {
        self.path(&format!("tributary-data/process-{process}"))
    }

    /// The messages that a replay refuses; `replayed` comes first.
    pub fn refused(&self) -> Vec<TraceLine> {
        let file = self.path("replayed.ndjson.dead-letters.ndjson");
        let lines = tributary_connectors::trace::open(&file).expect("the refused lines");
        lines.map(|line| line.expect("a line")).collect()
    }

    /// What a replay says in the end.
    pub fn summary(&self) -> serde_json::Value {
        let mut command = tributary();
        command
            .args(["replay", "--json", "--config"])
            .arg(self.path("tributary.toml"))
            .args(["--cells", "-", "--dead-letters"])
            .arg(self.path("ignored.ndjson"));
        let output = succeed(command.arg(self.path("trace.ndjson")));
        let text = String::from_utf8(output.stdout).expect("text");
        let summary = text.lines().last().expect("a summary");
        serde_json::from_str(summary).expect("JSON")
    }

    /// The cells of a replay.
    pub fn replayed(&self) -> Vec<String> {
        let cells = self.path("replayed.ndjson");
        let config = self.path("tributary.toml");
        let mut command = tributary();
        command
            .args(["replay", "--quiet", "--config"])
            .arg(config)
            .arg("--cells")
            .arg(&cells);
        succeed(command.arg(self.path("trace.ndjson")));
        let text = std::fs::read_to_string(cells).expect("the cells");
        text.lines().map(str::to_owned).collect()
    }
}

/// A running worker. Dropping it kills it.
pub struct Worker {
    child: Child,
    pub address: String,
    log: Arc<Mutex<String>>,
    /// Whether the log has ended, and with it the process.
    silent: Arc<AtomicBool>,
}

impl Worker {
    /// Starts a worker and waits until it says where it serves.
    pub fn start(config: &Path, arguments: &[&str]) -> Worker {
        Worker::start_with(config, arguments, &[])
    }

    /// The same with variables of its environment.
    pub fn start_with(config: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Worker {
        let own = Path::new(env!("CARGO_BIN_EXE_tributary"));
        Worker::start_program(own, config, arguments, variables)
    }

    /// The same of another build of the program.
    pub fn start_program(
        program: &Path,
        config: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Worker {
        Worker::spawn(program, "run", config, arguments, variables)
    }

    /// Starts a process that serves released cells alone.
    pub fn serve(config: &Path) -> Worker {
        let own = Path::new(env!("CARGO_BIN_EXE_tributary"));
        Worker::spawn(own, "serve", config, &[], &[])
    }

    /// Starts a command and waits until it says where it serves.
    fn spawn(
        program: &Path,
        name: &str,
        config: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Worker {
        let mut command = Command::new(program);
        command
            .args(["--log-format", "json", name, "--config"])
            .arg(config)
            .args(arguments)
            .envs(variables.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the worker starts");
        let mut log = child.stderr.take().expect("a pipe");
        let (sender, receiver) = std::sync::mpsc::channel();
        let kept = Arc::new(Mutex::new(String::new()));
        let silent = Arc::new(AtomicBool::new(false));
        let (keep, end) = (kept.clone(), silent.clone());
        std::thread::spawn(move || {
            let mut seen = String::new();
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = log.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                eprint!("{text}");
                keep.lock().unwrap().push_str(&text);
                seen.push_str(&text);
                if let Some(at) = seen.find("\"address\":\"") {
                    let rest = &seen[at + 11..];
                    if let Some(end) = rest.find('"') {
                        let _ = sender.send(rest[..end].to_owned());
                        seen.clear();
                    }
                }
            }
            end.store(true, Relaxed);
        });
        let address = receiver
            .recv_timeout(PATIENCE)
            .expect("the worker says where it serves");
        Worker {
            child,
            address,
            log: kept,
            silent,
        }
    }

    /// Whether the log has a text.
    pub fn said(&self, text: &str) -> bool {
        self.log.lock().unwrap().contains(text)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether the process is there.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().expect("the worker").is_none()
    }

    /// The sum of a metric's series; none where the worker does not answer or shows no such series.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = self.get("/metrics")?;
        let values = body.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let rest = match rest.strip_prefix('{') {
                Some(labelled) => labelled.rsplit_once('}')?.1,
                None => rest,
            };
            rest.strip_prefix(' ')?.parse::<f64>().ok()
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Status and body of a page.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.send("GET", path, "", "")
    }

    /// The same of any request; each of `headers` ends its line.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        let text = self.exchange(method, path, headers, body)?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n")?.1.to_owned();
        Some((status, body))
    }

    /// The same with the whole answer.
    pub fn exchange(&self, method: &str, path: &str, headers: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .ok()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Waits until the worker is ready and has read the input stream up to a sequence.
    pub fn wait_until_read(&self, sequence: u64) {
        self.wait_until_read_both(sequence, 0);
    }

    /// Waits until the worker is ready and has read the input stream and that of pings up to these
    /// sequences.
    pub fn wait_until_read_both(&self, records: u64, pings: u64) {
        let (mut begun, mut far) = (Instant::now(), 0.0);
        loop {
            let asked = Instant::now();
            let ready = self.get("/readyz").is_some_and(|(status, _)| status == 200);
            let metrics = self
                .get("/metrics")
                .map(|(_, body)| body)
                .unwrap_or_default();
            let read = |stream: &str| {
                let name = format!("tributary_{stream}_stream_sequence ");
                metrics
                    .lines()
                    .filter_map(|line| line.strip_prefix(name.as_str()))
                    .filter_map(|value| value.parse::<f64>().ok())
                    .fold(0.0, f64::max)
            };
            let (of_records, of_pings) = (read("input"), read("pings"));
            if ready && of_records >= records as f64 && of_pings >= pings as f64 {
                return;
            }
            // Whoever gets on is waited for.
            if of_records + of_pings > far {
                (begun, far) = (Instant::now(), of_records + of_pings);
            }
            let ended = self.silent.load(Relaxed);
            assert!(!ended, "the worker has ended before it was ready");
            assert!(
                begun.elapsed() < PATIENCE,
                "the worker does not get ready: {metrics}"
            );
            pause(asked);
        }
    }

    /// The ID of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the worker without a warning.
    pub fn kill(mut self) {
        self.child.kill().expect("the worker can be killed");
        self.child.wait().expect("the worker has ended");
    }

    /// Queries the worker to stop, as an operator would; it must end well.
    pub fn stop(mut self) {
        self.signal();
        self.end();
    }

    pub fn signal(&self) {
        self.signal_with("-TERM");
    }

    /// Sends a signal, as `-INT`.
    pub fn signal_with(&self, signal: &str) {
        let pid = self.child.id().to_string();
        succeed(Command::new("kill").args([signal, &pid]));
    }

    /// Waits until the process has ended, and all that it said is in the log.
    pub fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            let status = self.child.try_wait().expect("the worker can be waited for");
            match status.filter(|_| self.silent.load(Relaxed)) {
                Some(status) => return status,
                None => assert!(begun.elapsed() < PATIENCE, "the worker does not stop"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn end(&mut self) {
        let status = self.ended();
        assert!(status.success(), "the worker ended with {status}");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The cells that the output stream holds now, as the lines of a replay.
pub async fn published(nats: &Nats) -> Vec<String> {
    let client = nats::connect(nats, "test").await.expect("a connection");
    let mut input = Reader::open(&client, &nats.output_stream, 1)
        .await
        .expect("the output stream");
    let mut lines = Vec::new();
    while !input.caught_up() {
        for message in input
            .next_batch(1000, Duration::from_secs(10))
            .await
            .expect("messages")
        {
            let family = message
                .subject
                .split('.')
                .nth(3)
                .expect("a family")
                .to_owned();
            let in_replay = tributary_operators::cell::Family::ALL
                .iter()
                .any(|f| f.name() == family && f.in_replay());
            let text = std::str::from_utf8(&message.payload).expect("text");
            let (cell, rest) = text
                .strip_prefix("{\"cell\":")
                .and_then(|t| t.split_once(",\"value\":"))
                .expect("a cell");
            let value = rest.split(",\"epoch\":").next().expect("a value");
            if in_replay && value != "null" {
                lines.push(format!(
                    "{{\"cell\":{cell},\"family\":\"{family}\",\"value\":{value}}}"
                ));
            }
        }
    }
    lines.sort_unstable();
    lines
}

/// How much of something a test takes: what the environment says, so that it can be run longer.
pub fn chosen(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The lines that the stream of dead letters holds.
pub async fn refused_by_broker(nats: &Nats) -> Vec<String> {
    let client = nats::connect(nats, "test").await.expect("a connection");
    let mut reader = Reader::open(&client, &nats.dead_letter_stream, 1)
        .await
        .expect("the stream of dead letters");
    let mut lines = Vec::new();
    while !reader.caught_up() {
        let messages = reader.next_batch(1000, Duration::from_secs(10)).await;
        for message in messages.expect("messages") {
            lines.push(String::from_utf8_lossy(&message.payload).into_owned());
        }
    }
    lines
}

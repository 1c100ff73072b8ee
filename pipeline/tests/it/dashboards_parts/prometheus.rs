//! A real Prometheus with the repository's configuration, asked as Grafana would ask it.
//!
//! `bash .ci/tools.sh promtool` brings it. The program is the one on the `PATH`, or else that in `target/tools/bin`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;
use tributary_testkit::skipped;

use super::{Dashboard, filled, read, text};
use crate::support::story::until;
use crate::support::{PATIENCE, pause, tributary};

pub fn program(name: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([tools]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A process that ends with the test.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first thing that the lines of a process say; the rest finds a reader too.
pub fn wait_for_line(
    from: impl Read + Send + 'static,
    find: impl Fn(&str) -> Option<String>,
) -> String {
    let mut lines = BufReader::new(from).lines();
    let found = lines.by_ref().find_map(|line| find(&line.expect("text")));
    std::thread::spawn(move || lines.for_each(drop));
    found.expect("the process says where it listens")
}

/// A Prometheus with the repository's configuration, which scrapes one address, every second.
pub struct Prometheus {
    address: String,
    _child: Ending,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    pub fn start_or_skip() -> Option<impl FnOnce(&str) -> Prometheus> {
        let Some(program) = program("prometheus") else {
            skipped("no prometheus: run `bash .ci/tools.sh promtool`");
            return None;
        };
        Some(move |target: &str| Prometheus::start(&program, target))
    }

    fn start(program: &Path, target: &str) -> Prometheus {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("rules")).unwrap();
        for file in ["prometheus.yml", "rules/recording.yml", "rules/alerts.yml"] {
            let own = read(file).replace("127.0.0.1:9464", target);
            let own = own
                .replace("interval: 15s", "interval: 1s")
                .replace("interval: 1m", "interval: 1s");
            std::fs::write(directory.path().join(file), own).unwrap();
        }
        let mut command = Command::new(program);
        command.current_dir(directory.path()).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
        ]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = Ending(child.expect("Prometheus starts"));
        let address = wait_for_line(child.0.stderr.take().unwrap(), |line| {
            let listens = line.contains("msg=\"Listening on\"");
            let address = line.split("address=").nth(1).filter(|_| listens)?;
            address.split(' ').next().map(str::to_owned)
        });
        Prometheus {
            address,
            _child: child,
            _directory: directory,
        }
    }

    /// The answer of its interface; nothing while it is still starting.
    fn get(&self, path: &str, parameter: &str, value: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let encoded: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        // Of version 1.0, so that the answer is not in chunks.
        write!(
            stream,
            "GET /api/v1/{path}?{parameter}={encoded} HTTP/1.0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        if head.starts_with("HTTP/1.0 503") {
            return Value::Null;
        }
        let json: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(json["status"], "success", "{value}: {json}");
        json["data"].clone()
    }

    /// The numbers that an expression has now, by the labels without the instance.
    pub fn numbers(&self, expr: &str) -> BTreeMap<String, f64> {
        let data = self.get("query", "query", expr);
        let series = data["result"].as_array().into_iter().flatten();
        let number = |of: &Value| of["value"][1].as_str().unwrap().parse::<f64>().unwrap();
        let labels = |of: &Value| {
            let mut labels = of["metric"].clone();
            labels
                .as_object_mut()
                .map(|labels| labels.remove("instance"));
            labels.to_string()
        };
        series
            .filter(|of| of["metric"].is_object())
            .map(|of| (labels(of), number(of)))
            .collect()
    }

    /// The labels of the series that have a number now.
    pub fn series(&self, expr: &str) -> Vec<Value> {
        let data = self.get("query", "query", expr);
        let series = data["result"].as_array().into_iter().flatten();
        let number = |of: &Value| {
            of["value"][1]
                .as_str()
                .unwrap()
                .parse::<f64>()
                .unwrap()
                .is_finite()
        };
        series
            .filter(|of| number(of))
            .map(|of| of["metric"].clone())
            .collect()
    }

    /// A dashboard's variables as Grafana would choose them at first, and whether each had a word to choose.
    pub fn choose(&self, dashboard: &Dashboard) -> (BTreeMap<String, String>, bool) {
        let (mut words, mut all) = (dashboard.words(), true);
        for (of, expr, label) in dashboard.asked_variables() {
            let data = self.get(
                &format!("label/{label}/values"),
                "match[]",
                &filled(expr, &words),
            );
            let first = data.as_array().and_then(|of| of.first()).map(text);
            all &= first.is_some();
            if let Some(first) = first.filter(|_| of["includeAll"] != true) {
                words.insert(text(&of["name"]), first);
            }
        }
        (words, all)
    }

    /// Waits until exactly these panels of a dashboard are without series; what the others have, in words.
    ///
    /// A series counts that has a number, and the labels that the legend names.
    pub fn fills(&self, dashboard: &Dashboard, left: &BTreeSet<String>) -> String {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let (words, all) = self.choose(dashboard);
            let (mut answers, mut series, mut empty) = (0, 0, BTreeSet::new());
            for query in dashboard.queries() {
                let found = self.series(&filled(&query.expr, &words));
                let mut legend = query.legend.split("{{").skip(1);
                let named = legend.all(|rest| {
                    let label = rest.split("}}").next().unwrap();
                    found.iter().all(|of| of[label].is_string())
                });
                if found.is_empty() || !named {
                    empty.insert(query.panel);
                } else {
                    answers += 1;
                    series += found.len();
                }
            }
            if all && empty == *left {
                let panels = dashboard.panels().count() - empty.len();
                return format!("{panels} panels, {answers} expressions, {series} series");
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{}: every variable has words: {all}; without series: {empty:?}",
                dashboard.name
            );
            pause(asked);
        }
    }

    /// Waits until every rule has been evaluated without an error and every recorded one of a group has series.
    pub fn rules_work(&self, group: &str) {
        let of_group = |of: &Value| of["rules"].as_array().unwrap().clone();
        let groups = || {
            let groups = self.get("rules", "type", "")["groups"].clone();
            groups.as_array().cloned().unwrap_or_default()
        };
        until("every rule is evaluated without an error", || {
            let rules: Vec<Value> = groups().iter().flat_map(of_group).collect();
            !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok")
        });
        let all = groups();
        let chosen = all
            .iter()
            .find(|of| of["name"] == group)
            .expect("the group");
        for rule in of_group(chosen) {
            let name = text(&rule["name"]);
            until(&name, || !self.series(&name).is_empty());
        }
    }
}

/// The demo, whose page and metrics stay as they are.
pub fn still_demo(more: &[&str]) -> (Ending, String) {
    let mut command = tributary();
    command.args([
        "demo",
        "--still",
        "--listen",
        "127.0.0.1:0",
        "--events",
        "20000",
    ]);
    let child = command
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut demo = Ending(child.expect("the demo starts"));
    let address = wait_for_line(demo.0.stdout.take().unwrap(), |line| {
        let address = line.split("http://").nth(1)?.split('/').next()?;
        Some(address.to_owned())
    });
    (demo, address)
}

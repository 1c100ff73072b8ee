//! A real browser for story tests: headless Chromium, spoken to over its debugging pipe.
//!
//! The program is the one that `TRIBUTARY_CHROMIUM` names, or else `target/tools/bin/chromium` of the workspace,
//! which `bash .ci/tools.sh chromium` brings, or else the one on the `PATH`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use serde_json::{Value, json};
use tributary_testkit::skipped;

/// The page shows what is chosen.
const DRAWN: &str =
    "!!document.body.dataset.drawn && document.body.dataset.drawn === document.body.dataset.wanted";

/// A browser with one page. Dropping it ends it.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: String,
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser; without a program to start, prints why the test is left out and returns nothing.
    pub fn start_or_skip() -> Option<Browser> {
        let Some(program) = program() else {
            skipped("no Chromium: run `bash .ci/tools.sh chromium`, or set TRIBUTARY_CHROMIUM");
            return None;
        };
        let profile = tempfile::tempdir().expect("a directory");
        // The debugging pipe is file descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            ])
            .arg(program)
            // The sandbox wants a user who is not root; nothing but pages of our own is opened.
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            .args([
                "--remote-debugging-pipe",
                "--disable-dev-shm-usage",
                "--lang=en-US",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let (sender, from) = channel();
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for message in out.split(0) {
                let Ok(message) = message else { return };
                let message = serde_json::from_slice(&message).expect("JSON");
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let to = child.stdin.take().expect("a pipe");
        let mut browser = Browser {
            child,
            to,
            from,
            calls: 0,
            session: String::new(),
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Calls a method of the debugging protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        write!(self.to, "{message}\0").expect("the browser listens");
        loop {
            let message = self
                .from
                .recv_timeout(PATIENCE)
                .expect("the browser answers");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// The value of an expression in the page.
    pub fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let result = self.call("Runtime.evaluate", params);
        let thrown = &result["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown:#}");
        result["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.eval(expression) != json!(true) {
            let patient = begun.elapsed() < PATIENCE;
            assert!(patient, "not in time: {expression}\n{}", self.text("body"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks an element of the page, and waits until the page has drawn what was chosen.
    pub fn choose(&mut self, selector: &str) {
        let clicked = self.eval(&format!(
            "(document.querySelector({selector})?.click(), !!document.querySelector({selector}))",
            selector = json!(selector)
        ));
        assert_eq!(clicked, json!(true), "{selector} is not on the page");
        self.until(DRAWN);
    }

    /// Chooses a value of a group of radio buttons.
    pub fn choose_radio(&mut self, name: &str, value: &str) {
        self.choose(&format!("input[name={name}][value='{value}']"));
    }

    /// Opens a tab.
    pub fn tab(&mut self, name: &str) {
        self.choose(&format!("#tab-{name}"));
    }

    /// The number under a key as the page got it, if it is shown.
    pub fn raw(&mut self, key: &str) -> Option<i128> {
        let of = format!("[data-key={}]", json!(key));
        let shown = self.eval(&format!(
            "document.querySelector({})?.dataset.raw",
            json!(of)
        ));
        shown.as_str().and_then(|raw| raw.parse().ok())
    }

    /// What axe-core finds; nothing without it. `bash .ci/tools.sh axe` brings it; `TRIBUTARY_AXE` names another.
    pub fn axe(&mut self) -> Value {
        let named = std::env::var_os("TRIBUTARY_AXE").map(PathBuf::from);
        let Some(file) = named.or_else(|| brought("axe.min.js")) else {
            skipped("no axe-core: run `bash .ci/tools.sh axe`, or set TRIBUTARY_AXE");
            return json!([]);
        };
        if self.eval("typeof axe") != json!("object") {
            let script = std::fs::read_to_string(file).expect("axe-core");
            self.eval(&format!("{script};0"));
        }
        self.eval(
            "axe.run().then((results) => results.violations.map((of) => \
             of.id + ': ' + of.nodes.map((node) => node.target.join(' ')).join(', ')))",
        )
    }

    /// Opens an address and waits until it is there.
    pub fn open(&mut self, url: &str) {
        let navigation = self.call("Page.navigate", json!({"url": url}));
        assert!(navigation["errorText"].is_null(), "{url}: {navigation}");
        self.until("document.readyState === 'complete'");
    }

    /// The visible text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!(
            "document.querySelector({}).innerText",
            json!(selector)
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Sets the size in CSS pixels, and the scheme `light` or `dark`.
    pub fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Takes a picture of the page's upper part into the folder that `TRIBUTARY_SCREENSHOTS` names, if it names one.
    pub fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("TRIBUTARY_SCREENSHOTS") else {
            return;
        };
        let width = self.eval("innerWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": 1180, "scale": 1});
        let params = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.call("Page.captureScreenshot", params);
        let png = base64::Engine::decode(
            &base64::engine::general_purpose::STANDARD,
            taken["data"].as_str().expect("a picture"),
        );
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        std::fs::create_dir_all(&root).expect("a folder");
        std::fs::write(root.join(name), png.expect("base64")).expect("the picture");
    }

    fn params(&self, method: &str) -> impl Iterator<Item = &Value> {
        let of = move |event: &&Value| event["method"] == method;
        self.events.iter().filter(of).map(|event| &event["params"])
    }

    /// What the page has complained of: errors of its script, of its policy, of the console.
    pub fn complaints(&self) -> Vec<String> {
        let thrown = self.params("Runtime.exceptionThrown");
        let logged = self.params("Log.entryAdded");
        let written = self.params("Runtime.consoleAPICalled");
        let logged = logged.filter(|entry| entry["entry"]["level"] != "info");
        thrown
            .chain(logged)
            .chain(written)
            .map(Value::to_string)
            .collect()
    }

    /// Every address that the page has asked for.
    pub fn asked_for(&self) -> Vec<String> {
        let sent = self.params("Network.requestWillBeSent");
        let url = |sent: &Value| sent["request"]["url"].as_str().unwrap().to_owned();
        sent.map(url).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TRIBUTARY_CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-headless-shell"];
    let installed =
        std::env::split_paths(&paths).flat_map(|folder| names.map(|name| folder.join(name)));
    brought("bin/chromium").or_else(|| installed.into_iter().find(|program| program.is_file()))
}

/// A file that `.ci/tools.sh` brought.
fn brought(name: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut files = here
        .ancestors()
        .map(|folder| folder.join("target/tools").join(name));
    files.find(|file| file.is_file())
}

//! Somebody who follows a guide: a shell in a fresh copy of the repository, with the programs built and a broker's program
//! on the path, in a network of its own, so that the ports of the defaults are free.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tributary_testkit::{NatsServer, skipped};

use super::commands::check_command;
use super::document::{Block, root};

/// How long a step may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(240);

/// Commands that only ask, and are asked again until the answer is the one that is shown.
const ASKS: [&str; 5] = [
    "tributary query",
    "tributary explain",
    "tributary retention",
    "tributary dead-letters",
    "curl",
];

/// Whoever has no network of their own takes turns.
static TURN: Mutex<()> = Mutex::new(());

pub struct Reader {
    directory: tempfile::TempDir,
    shell: Child,
    stdin: ChildStdin,
    steps: usize,
    shown: usize,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Reader {
    /// A reader who finds the programs where the README builds them.
    ///
    /// # Panics
    /// Where a tool is missing and `CI` is `true`.
    pub fn start_or_skip() -> Option<Reader> {
        let Some(broker) = NatsServer::program() else {
            skipped("no nats-server: run `bash .ci/tools.sh nats`, or set TRIBUTARY_NATS_SERVER");
            return None;
        };
        let own_network = Command::new("unshare")
            .args(["--map-root-user", "--net", "ip", "link", "set", "lo", "up"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        let turn = match own_network {
            true => None,
            false => {
                let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
                let free = |port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
                if !(free(4222) && free(9464) && free(9465)) {
                    skipped("the guides need the ports 4222, 9464 and 9465, or `unshare` and `ip`");
                    return None;
                }
                Some(turn)
            }
        };
        let directory = checkout(&broker);
        let mut command = match own_network {
            true => {
                let mut command = Command::new("unshare");
                command.args([
                    "--map-root-user",
                    "--net",
                    "bash",
                    "-c",
                    "ip link set lo up && exec bash --norc",
                ]);
                command
            }
            false => {
                let mut command = Command::new("bash");
                command.arg("--norc");
                command
            }
        };
        let system = std::env::var("PATH").unwrap_or_default();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin");
        command
            .env_clear()
            .env(
                "PATH",
                format!(
                    "{}:{system}:{}",
                    directory.path().join("bin").display(),
                    tools.display()
                ),
            )
            .env("HOME", directory.path())
            .env("LANG", "C.UTF-8")
            // What it would build is built.
            .env("CARGO", "true")
            .current_dir(directory.path().join("tributary"))
            .stdin(Stdio::piped())
            .process_group(0);
        let mut shell = command.spawn().expect("a shell");
        let stdin = shell.stdin.take().expect("a pipe");
        Some(Reader {
            directory,
            shell,
            stdin,
            steps: 0,
            shown: 0,
            _turn: turn,
        })
    }

    /// Has the programs on the path, as a reader has who comes from the README.
    pub fn with_programs(mut self) -> Reader {
        self.step("export PATH=\"$PWD/target/release:$PATH\"");
        self
    }

    /// Whether the public data sets are there.
    pub fn has_data(&self) -> bool {
        self.directory.path().join("tributary/data").exists()
    }

    /// Does what a block says.
    pub fn run(&mut self, block: &Block) {
        if block.not_run().is_some() {
            return;
        }
        let place = format!("{}:{}", block.file, block.line);
        match block.language.as_str() {
            "sh" if block.text.contains("make demo") => self.serve(&block.text, &place),
            "sh" => {
                let text = format!("set -e\n{}set +e", block.text);
                let (status, said) = self.step(&text);
                assert_eq!(status, 0, "{place}: {said}");
            }
            "console" => self.console(&block.text, &place),
            "json" => {
                let whole = serde_json::from_str::<serde_json::Value>(&block.text);
                let is_line = |line| serde_json::from_str::<serde_json::Value>(line).is_ok();
                let good = whole.is_ok() || block.text.lines().all(is_line);
                assert!(good, "{place} is no JSON");
            }
            "toml" => self.checked(block, "tributary config check"),
            "conf" => self.checked(block, "nats-server -t -c"),
            "text" => {}
            other => panic!("{place}: nobody knows what {other:?} is"),
        }
    }

    /// Has a program read a block.
    fn checked(&mut self, block: &Block, with: &str) {
        let file = self.directory.path().join("block");
        fs::write(&file, &block.text).unwrap();
        let (status, said) = self.step(&format!("{with} {}", file.display()));
        assert_eq!(status, 0, "{}:{}: {said}", block.file, block.line);
        self.shown += 1;
    }

    /// Runs what serves until somebody ends it, and looks at the page.
    fn serve(&mut self, text: &str, place: &str) {
        let out = self.begin(text);
        let begun = Instant::now();
        while !fs::read_to_string(&out)
            .unwrap_or_default()
            .contains("(press Ctrl-C to stop)")
        {
            self.wait(begun, &out, place);
        }
        let said = fs::read_to_string(&out).unwrap();
        let next = said
            .lines()
            .filter_map(|line| line.strip_prefix("  tributary "));
        for line in next {
            let command = line.split("  ").next().unwrap();
            let command = format!("tributary {command}");
            assert_eq!(check_command(&command), Some(Ok(())), "{place}: {command}");
        }
        let process = descendant(self.shell.id(), "tributary").expect("the program runs");
        let mut get = Command::new("nsenter");
        get.args([
            "--user",
            "--preserve-credentials",
            "--net",
            "--target",
            &process.to_string(),
        ]);
        get.args(["curl", "-sf", "http://127.0.0.1:9464/"]);
        if let Ok(page) = get.output()
            && self._turn.is_none()
        {
            let page = String::from_utf8_lossy(&page.stdout);
            assert!(page.contains("Tributary"), "{place}: no page: {page}");
        }
        let kill = Command::new("kill")
            .args(["-INT", &process.to_string()])
            .status();
        assert!(kill.unwrap().success());
        let (status, said) = self.end(&out, place);
        assert_eq!(status, 0, "{place}: {said}");
    }

    fn console(&mut self, text: &str, place: &str) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ");
            let command = command.unwrap_or_else(|| panic!("{place}: {line:?} is no command"));
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line);
            }
            let asks = ASKS.iter().any(|asks| command.starts_with(asks));
            let begun = Instant::now();
            loop {
                let (status, said) = self.step(command);
                let got: Vec<&str> = said.trim_end().lines().collect();
                let may_fail = expected.last().is_some_and(|last| {
                    last.starts_with("tributary: ") || last.starts_with("loadtest: ")
                });
                let good = matches(&expected, &got) && (status == 0) != may_fail;
                if good {
                    break;
                }
                assert!(
                    asks && begun.elapsed() < PATIENCE,
                    "{place}: $ {command}\nends with {status} and says\n{said}\nand not\n{}",
                    expected.join("\n")
                );
                std::thread::sleep(Duration::from_millis(200));
            }
            self.shown += 1;
        }
    }

    /// Runs lines in the shell, which goes on with what they leave; their status and all that they say.
    fn step(&mut self, lines: &str) -> (i32, String) {
        let out = self.begin(lines);
        self.end(&out, lines)
    }

    fn begin(&mut self, lines: &str) -> PathBuf {
        self.steps += 1;
        let out = self.directory.path().join(format!("steps/{}", self.steps));
        let place = out.display();
        let text = format!(
            "{{\n{lines}\n}} >{place} 2>&1 </dev/null\necho $? >{place}.part && mv {place}.part {place}.status\n"
        );
        self.stdin
            .write_all(text.as_bytes())
            .expect("the shell reads");
        self.stdin.flush().expect("the shell reads");
        out
    }

    fn end(&mut self, out: &Path, place: &str) -> (i32, String) {
        let begun = Instant::now();
        loop {
            if let Ok(status) = fs::read_to_string(out.with_extension("status")) {
                let said = String::from_utf8_lossy(&fs::read(out).unwrap()).into_owned();
                return (status.trim().parse().unwrap(), said);
            }
            self.wait(begun, out, place);
        }
    }

    fn wait(&mut self, begun: Instant, out: &Path, place: &str) {
        let ended = self.shell.try_wait().unwrap();
        let said = || fs::read_to_string(out).unwrap_or_default();
        assert!(ended.is_none(), "{place}: a line fails: {}", said());
        assert!(
            begun.elapsed() < PATIENCE,
            "{place}: it does not end: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(20));
    }

    /// Says how much was done.
    pub fn tell(&self, guide: &str) {
        eprintln!(
            "{guide}: {} steps, {} of them compared with what is shown",
            self.steps, self.shown
        );
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let group = format!("-{}", self.shell.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.shell.wait();
    }
}

/// What a reader has: the repository, with the programs where `make build` puts them.
fn checkout(broker: &Path) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for folder in ["bin", "steps", "tributary/target/release"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    let root = root().canonicalize().unwrap();
    for entry in fs::read_dir(&root).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let name = name.to_str().unwrap();
        if name != "target" && !name.starts_with('.') {
            symlink(entry.path(), at("tributary").join(name)).unwrap();
        }
    }
    if let Some(data) = crate::support::shared_data() {
        symlink(data.canonicalize().unwrap(), at("tributary/data")).unwrap();
    }
    for (name, program) in [
        ("tributary", PathBuf::from(env!("CARGO_BIN_EXE_tributary"))),
        ("loadtest", super::commands::loadtest()),
    ] {
        symlink(program, at("tributary/target/release").join(name)).unwrap();
    }
    symlink(broker.canonicalize().unwrap(), at("bin/nats-server")).unwrap();
    directory
}

/// A process of a name that another has started, by whatever steps.
fn descendant(of: u32, name: &str) -> Option<u32> {
    let mut parents = vec![of];
    while let Some(parent) = parents.pop() {
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let Some(id) = entry
                .file_name()
                .to_str()
                .and_then(|id| id.parse::<u32>().ok())
            else {
                continue;
            };
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let Some((head, rest)) = stat.rsplit_once(") ") else {
                continue;
            };
            let is_child = rest.split(' ').nth(1) == Some(parent.to_string().as_str());
            if is_child && head.ends_with(&format!("({name}")) {
                return Some(id);
            }
            if is_child {
                parents.push(id);
            }
        }
    }
    None
}

/// Whether lines are those that are shown.
fn matches(shown: &[&str], got: &[&str]) -> bool {
    match shown.split_first() {
        None => got.is_empty(),
        Some((&"…", rest)) => (0..=got.len()).any(|from| matches(rest, &got[from..])),
        Some((line, rest)) => got
            .split_first()
            .is_some_and(|(first, got)| is_line(line, first) && matches(rest, got)),
    }
}

/// Whether a line is the one that is shown.
fn is_line(shown: &str, got: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let got = got.trim_end();
    let Some(mut rest) = parts.next().and_then(|first| got.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn what_is_shown_stands_for_what_it_says() {
    assert!(matches(&["a", "…", "d … f"], &["a", "b", "c", "d e f"]));
    assert!(matches(&["…"], &[]));
    assert!(!matches(&["a"], &["a", "b"]));
    assert!(!matches(&["a", "b"], &["a"]));
    assert!(!matches(&["1 … 3"], &["1 2 4"]));
    assert!(!is_line("abc…cd", "abcd"));
}

//! The image is an OCI image with a bill of materials, and a worker runs from it as nobody in particular, in a root that cannot
//! be written to: unpacked by umoci and run by runc, as by a container engine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use serde_json::{Value, json};
use tributary_testkit::{NatsServer, free_port, skipped};

use super::{get, programs, script, shared};
use crate::guides_parts::document::root;
use crate::support::{PATIENCE, World, succeed};

/// A tool that `.ci/tools.sh` brings, or none with a printed reason.
fn tool_or_skip(name: &str) -> Option<PathBuf> {
    let path = root().join("target/tools/oci/usr").join(name);
    if path.exists() {
        return Some(path.canonicalize().unwrap());
    }
    skipped(&format!("no {name}: run `bash .ci/tools.sh deploy`"));
    None
}

/// The image of the worker, in a directory, unpacked into `layout`.
fn build(directory: &Path) -> PathBuf {
    let archive = directory.join("tributary.tar");
    let program = programs().join("tributary");
    let mut image = script("image.sh");
    image
        .args(["--name", "tributary:test", "--out"])
        .arg(&archive)
        .arg(program);
    succeed(&mut image);
    let layout = directory.join("layout");
    fs::create_dir(&layout).unwrap();
    succeed(
        Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&layout),
    );
    archive
}

/// The same, which is built once for all tests.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = shared("image");
        build(&directory);
        directory
    })
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_same_programs_give_the_same_image_with_a_bill_of_materials() {
    let (one, two) = (built(), tempfile::tempdir().unwrap());
    let archive = one.join("tributary.tar");
    assert!(fs::read(&archive).unwrap() == fs::read(build(two.path())).unwrap());

    let index = json_of(&one.join("layout/index.json"));
    let blob = |digest: &Value| {
        let digest = digest
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap()
            .to_owned();
        one.join("layout/blobs/sha256").join(digest)
    };
    let manifest = json_of(&blob(&index["manifests"][0]["digest"]));
    let config = json_of(&blob(&manifest["config"]["digest"]));
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(
        config["config"]["Entrypoint"],
        json!(["/usr/bin/tributary"])
    );

    // The bill names what the lock file names, with its checksum, and the C library.
    let bill = json_of(&archive.with_extension("tar.cdx.json"));
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().unwrap();
    let named = |name: &str| {
        components
            .iter()
            .find(|component| component["name"] == name)
    };
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["timely", "async-nats", "tokio"] {
        let component = named(name).unwrap_or_else(|| panic!("no {name}"));
        let sum = component["hashes"][0]["content"].as_str().unwrap();
        assert!(
            lock.contains(&format!("checksum = \"{sum}\"")),
            "{component}"
        );
        assert!(
            component["licenses"][0]["expression"].is_string(),
            "{component}"
        );
    }
    assert!(named("tributary-operators").is_some());
    // What only tests need is in no image.
    assert!(named("proptest").is_none() && named("tributary-testkit").is_none());
    let purls: std::collections::BTreeSet<&str> = components
        .iter()
        .map(|of| of["purl"].as_str().unwrap())
        .collect();
    assert_eq!(purls.len(), components.len());

    // A name that no registry takes is refused before anything is written.
    let out = two.path().join("other.tar");
    let mut image = script("image.sh");
    image
        .args(["--name", "No Name", "--out"])
        .arg(&out)
        .arg(programs().join("tributary"));
    assert!(!image.output().unwrap().status.success() && !out.exists());
}

/// A worker in a container.
struct Container<'a> {
    runc: &'a Path,
    state: PathBuf,
    process: Child,
}

impl Container<'_> {
    fn runc(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(self.runc);
        command.arg("--root").arg(&self.state).args(arguments);
        command.output().unwrap()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.runc(&["delete", "--force", "tributary-test"]);
        let _ = self.process.wait();
    }
}

#[test]
fn a_worker_runs_as_nobody_in_a_root_that_cannot_be_written_to() {
    let (Some(umoci), Some(runc)) = (tool_or_skip("bin/umoci"), tool_or_skip("sbin/runc")) else {
        return;
    };
    let is_root = String::from_utf8(succeed(Command::new("id").arg("-u")).stdout)
        .unwrap()
        .trim()
        == "0";
    if !is_root {
        skipped("a container as another user needs root");
        return;
    }
    let Some(broker) = NatsServer::start_or_skip("") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let bundle = directory.path().join("bundle");
    let layout = format!("{}:test", built().join("layout").display());
    succeed(
        Command::new(umoci)
            .args(["unpack", "--image", &layout])
            .arg(&bundle),
    );

    // The configuration and the secret are mounted as Kubernetes does, and the ledger has a volume of its own.
    let port = free_port();
    let world = World::new(50, None, "");
    let files = directory.path().join("files");
    let ledger = directory.path().join("ledger");
    fs::create_dir(&files).unwrap();
    fs::create_dir(&ledger).unwrap();
    let text = fs::read_to_string(world.path("tributary.toml")).unwrap();
    let text = text.replace(
        world.path("secret").to_str().unwrap(),
        "/etc/tributary/secret",
    );
    fs::write(files.join("tributary.toml"), &text).unwrap();
    fs::copy(world.path("secret"), files.join("secret")).unwrap();
    for path in [&files, &files.join("secret"), &ledger] {
        std::os::unix::fs::chown(path, Some(65532), Some(65532)).unwrap();
    }
    let spec = bundle.join("config.json");
    let mut config = json_of(&spec);
    assert_eq!(config["process"]["user"]["uid"], 65532);
    assert_eq!(config["process"]["args"][0], "/usr/bin/tributary");
    config["process"]["args"] = json!([
        "/usr/bin/tributary",
        "run",
        "--config",
        "/etc/tributary/tributary.toml"
    ]);
    config["process"]["terminal"] = json!(false);
    config["process"]["noNewPrivileges"] = json!(true);
    config["process"]["capabilities"] = json!({});
    let variables = config["process"]["env"].as_array_mut().unwrap();
    variables.push(json!(format!("TRIBUTARY_NATS_URL={}", broker.url())));
    variables.push(json!(format!("TRIBUTARY_HTTP_LISTEN=127.0.0.1:{port}")));
    variables.push(json!("TRIBUTARY_LEDGER_DIRECTORY=/var/lib/tributary"));
    config["root"]["readonly"] = json!(true);
    let mounts = config["mounts"].as_array_mut().unwrap();
    // umoci proposes an empty volume where the image has one.
    mounts.retain(|mount| mount["destination"] != "/var/lib/tributary");
    for (source, target, options) in [
        (&files, "/etc/tributary", json!(["rbind", "ro"])),
        (&ledger, "/var/lib/tributary", json!(["rbind", "rw"])),
    ] {
        mounts.push(
            json!({"source": source, "destination": target, "type": "bind", "options": options}),
        );
    }
    // The broker of the test is on this machine.
    let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    fs::write(&spec, config.to_string()).unwrap();

    let state = directory.path().join("state");
    let log = directory.path().join("log");
    let mut run = Command::new(&runc);
    run.arg("--root")
        .arg(&state)
        .args(["run", "--bundle"])
        .arg(&bundle)
        .arg("tributary-test");
    run.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).unwrap());
    let process = run.spawn().unwrap();
    let mut container = Container {
        runc: &runc,
        state,
        process,
    };
    let begun = Instant::now();
    while !get(port, "/readyz").is_some_and(|(ready, _)| ready) {
        let said = fs::read_to_string(&log).unwrap();
        let ended = container.process.try_wait().unwrap();
        assert!(
            ended.is_none() && begun.elapsed() < PATIENCE,
            "{ended:?}: {said}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let process: Value =
        serde_json::from_slice(&container.runc(&["state", "tributary-test"]).stdout).unwrap();
    let process = format!("/proc/{}", process["pid"]);
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    assert!(
        status.contains("Uid:\t65532\t65532\t65532\t65532"),
        "{status}"
    );
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let mounts = fs::read_to_string(format!("{process}/mountinfo")).unwrap();
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"))
        .unwrap();
    assert!(root.split(' ').nth(5).unwrap().starts_with("ro"), "{root}");
    assert!(
        ledger.join("process-0").is_dir(),
        "the ledger is in its volume"
    );
    assert!(
        get(port, "/metrics")
            .unwrap()
            .1
            .contains("tributary_build_info")
    );

    // It ends as it does everywhere.
    assert!(
        container
            .runc(&["kill", "tributary-test", "TERM"])
            .status
            .success()
    );
    let ended = container.process.wait().unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(
        ended.success() && said.contains("stopped"),
        "{ended}: {said}"
    );
}

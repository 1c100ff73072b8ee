//! Reports on the command line: whole after a signal, judged by thresholds, compared, and never written
//! over something else.

use std::process::Stdio;
use std::time::Duration;

use tributary_testkit::NatsServer;

use crate::bench_support::{done, loadtest, world};

#[test]
fn a_report_is_whole_judged_and_compared() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    world(folder, 20_000, &server.url());
    let replay = [
        "replay", "--config", "t.toml", "--rate", "50", "--report", "a.json", "--title", "first",
        "t.ndjson",
    ];
    let mut running = loadtest(folder, &replay)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(10));
    let pid = running.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    running.wait().unwrap();
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("a.json")).unwrap()).unwrap();
    assert_eq!(
        (&report["interrupted"], &report["title"]),
        (&true.into(), &"first".into())
    );
    let sent = report["load"]["messages"].as_u64().unwrap();
    assert!(sent > 50 && sent < 20_000, "{sent}");
    assert_eq!(report["times"]["latency"]["count"], sent);
    let digest = report["settings_sha256"].as_str().unwrap();
    assert_eq!(digest.len(), 64);
    assert!(report["machine"]["processors"].as_u64().unwrap() > 0);

    let status = |arguments: &[&str]| {
        done(folder, &[&["report"], arguments].concat())
            .status
            .code()
    };
    assert_eq!(
        status(&[
            "a.json",
            "--fail-if",
            "latency.p99>1h",
            "--fail-if",
            "throughput<1"
        ]),
        Some(0)
    );
    assert_eq!(status(&["a.json", "--fail-if", "p50>1us"]), Some(1));
    assert_eq!(status(&["a.json", "--fail-if", "lag>1s"]), Some(3));
    assert_eq!(status(&["t.toml"]), Some(2));
    let equal = done(folder, &["report", "a.json", "a.json", "--html", "a.html"]);
    assert_eq!(equal.status.code(), Some(0), "{equal:?}");
    assert!(
        String::from_utf8_lossy(&equal.stdout).contains("no difference found"),
        "{equal:?}"
    );
    // Its own page again, and nothing else.
    assert_eq!(status(&["a.json", "--html", "a.html"]), Some(0));
    assert_eq!(status(&["a.json", "--html", "t.toml"]), Some(2));
    let page = std::fs::read_to_string(folder.join("a.html")).unwrap();
    assert!(
        page.contains("<svg")
            && !page.contains("<script")
            && !page.contains("http://")
            && !page.contains("https://")
    );
    let before = std::fs::read(folder.join("t.toml")).unwrap();
    let refused = done(
        folder,
        &[
            "replay", "--config", "t.toml", "--report", "t.ndjson", "t.ndjson",
        ],
    );
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert_eq!(std::fs::read(folder.join("t.toml")).unwrap(), before);
}

#[test]
fn a_gate_that_hides_markers_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    world(folder, 100, "nats://127.0.0.1:1");
    let text = std::fs::read_to_string(folder.join("t.toml"))
        .unwrap()
        .replace("k = 1\n", "k = 20\n");
    std::fs::write(folder.join("t.toml"), text).unwrap();
    let refused = done(
        folder,
        &[
            "replay",
            "--config",
            "t.toml",
            "--markers",
            "10",
            "t.ndjson",
        ],
    );
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("fewer than 20 contributors") && said.contains("release.k = 1"),
        "{said}"
    );
}

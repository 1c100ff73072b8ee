//! Real SDKs from npm send through the HTTP ingest server into cells: those of Segment and RudderStack for Node.js, which
//! `bash .ci/tools.sh sdk` brings.

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use tributary_testkit::{NatsServer, free_port, skipped};

use crate::support::Worker;
use crate::support::story::until;

/// The directory of the packages, or none with a printed reason.
fn packages() -> Option<PathBuf> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/sdk/node_modules");
    let node = Command::new("node").arg("--version").output();
    if !sdk.is_dir() || node.is_err() {
        skipped("no SDKs: install Node.js 20 with npm, and run `bash .ci/tools.sh sdk`");
        return None;
    }
    Some(sdk)
}

/// The configuration of a brand with two sources in the format of Segment, each with a write key.
fn configure(directory: &Path, broker: &str, address: &str) {
    let mut text = format!(
        "[nats]\nurl = \"{broker}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[http_ingest]\nlisten = \"{address}\"\n"
    );
    let secret = directory.join("secret");
    tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
    for source in ["segment", "rudder"] {
        let digest = Sha256::digest(format!("{source}-key"));
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(directory.join(source), hex).unwrap();
        text += &format!(
            "[[http_ingest.token]]\nbrand = \"acme\"\nsource = \"{source}\"\nsha256_file = \"{source}\"\n"
        );
    }
    text += "[release]\nk = 1\ncadence = \"0s\"\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = \"secret\"\n";
    for source in ["segment", "rudder"] {
        text += &format!(
            "[[brand.source]]\nname = \"{source}\"\nkind = \"web\"\nformat = \"segment\"\nbasis = \"legitimate_interest\"\ntrust = \"verified\"\n"
        );
    }
    std::fs::write(directory.join("tributary.toml"), text).unwrap();
}

#[test]
fn unchanged_sdks_send_into_cells() {
    let (Some(packages), Some(broker)) = (packages(), NatsServer::start_or_skip("")) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    configure(directory.path(), &broker.url(), &address);
    let worker = Worker::start(&directory.path().join("tributary.toml"), &[]);
    worker.wait_until_read(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/http_ingest_sdk/send.js");
    let sent = Command::new("node")
        .arg(script)
        .args([&format!("http://{address}"), "segment-key", "rudder-key"])
        .env("NODE_PATH", packages)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success(), "{errors}");
    let rows = |path: &str| {
        let (status, body) = worker.get(path).unwrap_or_default();
        match status {
            200 => body.lines().skip(1).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    until("the orders are released", || {
        rows("/v1/cells/orders_day?format=csv&group_by=") == ["EUR,2,9980,2,1.0"]
    });
    until("the views are released", || {
        rows("/v1/cells/campaign_day?format=csv&group_by=source,medium,campaign")
            == [
                "rudder,cpc,spring,0,0,1,1,1.0",
                "segment,cpc,spring,0,0,1,1,1.0",
            ]
    });
    // What each ordered is credited to the campaign through which each came.
    until("the orders are credited", || {
        rows("/v1/cells/attribution?format=csv&group_by=source&model=last")
            == [
                "last,rudder,EUR,1000000,4990,1.0",
                "last,segment,EUR,1000000,4990,1.0",
            ]
    });
    assert_eq!(worker.metric("tributary_dead_letters_total"), None);
    until("the groups are counted", || {
        worker.metric("tributary_items_not_mapped_total") == Some(2.0)
    });
    worker.stop();
}

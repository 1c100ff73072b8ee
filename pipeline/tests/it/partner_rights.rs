//! The rights of a person whom partners know by a device: access shows what they reported and whence, erasure takes it out of every
//! number, and after an objection no partner's record of the device is taken any more.

use serde_json::{Value, json};
use tributary_connectors::nats;
use tributary_testkit::NatsServer;

use crate::support::{Worker, succeed, tributary};

const DEVICE: &str = "9745fc4b-13f4-477b-9dcc-47728a74f974";

const OTHER: &str = "11111111-2222-4333-8444-555555555555";

/// A brand with a source of partners.
fn configure(server: &NatsServer) -> std::path::PathBuf {
    let directory = server.directory();
    tributary_testkit::write_secret(
        directory.join("acme.secret"),
        "a secret of acme with at least thirty-two bytes",
    );
    let text = format!(
        "[nats]\nurl = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[ledger]\ndirectory = \"data\"\n\
         [release]\nk = 1\nk_delta = 1\ncadence = \"0s\"\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\n\
         secret_file = \"acme.secret\"\n[[brand.source]]\nname = \"locations\"\nkind = \"partner\"\n",
        server.url()
    );
    let file = directory.join("tributary.toml");
    std::fs::write(&file, text).unwrap();
    file
}

/// What a partner reports of a device: a sighting, an exposure and a link.
fn reports(device: &str, number: usize) -> Vec<String> {
    let now = jiff::Timestamp::now().as_millisecond();
    let purposes =
        json!({"1": true, "7": true, "9": true, "feature_2": true, "special_feature_1": true});
    let record = |id: &str, kind: &str, more: Value| {
        let mut record = json!({
            "id": format!("{id}-{number}"), "ts": now - 3_600_000, "type": kind, "device": device, "purposes": purposes,
        });
        let fields = record.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        record.to_string()
    };
    vec![
        record("s", "sighting", json!({"store": "Lyon 2"})),
        record(
            "x",
            "exposure",
            json!({"touch": "click", "source": "waze", "medium": "pin", "campaign": format!("c{number}")}),
        ),
        record(
            "l",
            "link",
            json!({"email": format!("p{number}@example.org")}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_the_rights_of_its_person() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let file = configure(&server);
    let worker = Worker::start(&file, &[]);
    tokio::task::block_in_place(|| worker.wait_until_read(0));
    let client = nats::connect(&server.nats(), "partner").await.unwrap();
    let deliver = async |records: Vec<String>| {
        for record in records {
            let subject = "tributary.in.acme.partner.locations";
            client.request(subject, record.into()).await.unwrap();
        }
    };
    deliver(reports(DEVICE, 1)).await;
    deliver(reports(OTHER, 2)).await;
    let ask = |right: &str, device: &str| {
        let mut command = tributary();
        let subject = format!("device={device}");
        command
            .args(["rights", right, &subject, "--proof", "ticket 9", "--config"])
            .arg(&file);
        String::from_utf8(succeed(&mut command).stdout).unwrap()
    };
    let clicks = || {
        let mut command = tributary();
        command
            .args([
                "query",
                "campaign_day",
                "--group-by",
                "campaign",
                "--format",
                "ndjson",
                "--config",
            ])
            .arg(&file);
        String::from_utf8(succeed(&mut command).stdout).unwrap()
    };
    tokio::task::block_in_place(|| {
        worker.wait_until_read(6);
        // Whatever the spelling of the identifier.
        let answer = ask("access", &DEVICE.to_uppercase());
        for part in [
            "sighting",
            "exposure",
            "link",
            "locations",
            "Lyon 2",
            "waze",
        ] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
        assert!(!answer.contains("\"c2\""), "{answer}");
        let before = clicks();
        assert!(before.contains("c1") && before.contains("c2"), "{before}");
        ask("erase", DEVICE);
        let after = clicks();
        assert!(!after.contains("c1") && after.contains("c2"), "{after}");
        ask("object", OTHER);
        let none = clicks();
        assert!(!none.contains("c2"), "{none}");
    });
    // What is erased may come again; what somebody objected to may not.
    deliver(reports(DEVICE, 3)).await;
    deliver(reports(&OTHER.to_uppercase(), 4)).await;
    tokio::task::block_in_place(|| {
        worker.wait_until_read(12);
        let mut last = String::new();
        for _ in 0..100 {
            last = clicks();
            if last.contains("c3") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(last.contains("c3") && !last.contains("c4"), "{last}");
        worker.stop();
    });
}

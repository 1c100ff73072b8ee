//! A customer deletes her account at Apple: the notification erases the records that name it from a running worker, with a receipt,
//! and the numbers are those of a world without them. Her click names a cookie alone, and stays.

use crate::support::person::{ask, found, receipt_of, rewrite};
use crate::support::statuses::Statuses;
use crate::support::story::{assert_stands, inspect_open, last, play, ready};
use crate::support::{Worker, World, succeed, tributary};
use serde_json::{Value, json};
use tributary_connectors::keys::BrandKey;
use tributary_connectors::nats;
use tributary_connectors::trace::TraceLine;
use tributary_operators::record::IdKind;
use tributary_testkit::NatsServer;

/// 2025-10-07 10:00 in Paris, Unix milliseconds.
const MORNING: i64 = 1_759_824_000_000;
/// The numbers of two customers at Apple.
const HERS: &str = "001342.54f3d8a1c0aa4c1eb2c7.0842";
const HIS: &str = "000977.c1a2b3d4e5f60718293a.1127";

fn line(kind: &str, second: i64, mut data: Value) -> TraceLine {
    let ts = MORNING + second * 1_000;
    if kind != "consent.apple" {
        data["ts"] = json!(ts);
    }
    TraceLine {
        subject: format!("tributary.in.orchard.{kind}"),
        at: ts + 100,
        headers: Vec::new(),
        data: data.to_string().into_bytes(),
    }
}

/// A click, the login that follows, and a sale in a store.
fn life(name: &str, customer: &str, second: i64) -> Vec<TraceLine> {
    let (cookie, email) = (format!("c-{name}"), format!("{name}@example.com"));
    vec![
        line(
            "web",
            second,
            json!({"id": format!("click {name}"), "type": "click", "cookie": cookie, "source": "google", "medium": "cpc"}),
        ),
        line(
            "web",
            second + 10,
            json!({"id": format!("login {name}"), "type": "identify", "cookie": cookie, "email": email, "customer": customer}),
        ),
        line(
            "transaction",
            second + 3_600,
            json!({"id": format!("sale {name}"), "store": "store-01", "amount": 40, "currency": "EUR", "email": email, "customer": customer}),
        ),
    ]
}

/// What Apple sends, once its token is verified.
fn deleted(customer: &str) -> TraceLine {
    let event = json!({"type": "account-delete", "sub": customer, "event_time": (MORNING + 7_200_000) / 1_000});
    let payload = json!({
        "iss": "https://appleid.apple.com", "aud": "com.example.orchard", "jti": "jti-4711", "events": event.to_string(),
    });
    line("consent.apple", 7_200, payload)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_account_is_erased_with_a_receipt() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(10, Some(&broker), "");
    let config = world.path("tributary.toml");
    let source = "\n[[brand.source]]\nname = \"apple\"\nkind = \"consent\"\nformat = \"apple_signin\"\naccount_delete = \"erase\"\n";
    let text = std::fs::read_to_string(&config).unwrap() + source;
    std::fs::write(&config, text).unwrap();
    let (hers, his) = (life("ada", HERS, 0), life("bob", HIS, 5));
    let stays = [&hers[..1], &his].concat();
    rewrite(&world, &stays);
    let expected = world.replayed();

    let client = ready(&broker).await;
    let worker = Worker::start(&config, &[]);
    play(&client, &[hers, his].concat(), None).await;
    let end = last(&client, &broker.input_stream).await;
    let key = BrandKey::new(&world.config().brands[0]);
    let pseudonyms = [(IdKind::Email, "ada@example.com"), (IdKind::Customer, HERS)]
        .map(|(kind, value)| key.identify(kind, value))
        .concat();
    let mut needles: Vec<Vec<u8>> = vec![b"ada@example.com".to_vec(), HERS.as_bytes().to_vec()];
    for id in pseudonyms {
        needles.push(id.pseudonym.to_le_bytes().to_ascii_lowercase());
        needles.push(format!("{:032x}", id.pseudonym).into_bytes());
    }
    let identifier = format!("customer={HERS}");
    let records = tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        let answer: Value = serde_json::from_str(&ask(&world, "access", &[&identifier])).unwrap();
        answer["records"].as_array().unwrap().len()
    });
    assert_eq!(records, 2);
    assert!(!found(server.directory(), &needles).is_empty());

    let mut statuses = Statuses::open(&client, &broker).await;
    play(&client, &[deleted(HERS)], None).await;
    let end = last(&client, &broker.input_stream).await;
    assert_eq!(statuses.end("jti-4711", 1).await, "completed");
    let receipts = nats::last_values(
        &client,
        &broker.rights_stream,
        "tributary.rights.orchard.receipt",
    );
    let mut receipts = receipts.await.unwrap();
    let receipt = receipts.next_batch(1).await.unwrap().remove(0);
    let receipt = receipt_of(&String::from_utf8_lossy(&receipt.payload));
    assert_eq!(receipt["request"], json!("jti-4711"));
    assert_eq!(receipt["counts"]["records"], json!(records));
    // The messages of her login and her sale, and the notification itself.
    assert_eq!(receipt["counts"]["raw_messages"], json!(records + 1));
    tokio::task::block_in_place(|| {
        worker.wait_until_read(end);
        for directory in [server.directory(), &world.path("tributary-data")] {
            assert_eq!(found(directory, &needles), [""; 0]);
        }
        let entries = &inspect_open(&world, 0)["brands"][0]["entries"];
        assert_eq!(
            entries["put"],
            json!(stays.len()),
            "other records stay: {entries}"
        );
        assert!(!worker.said("ada@example.com") && !worker.said(HERS));
        worker.stop();
        let mut audit = tributary();
        succeed(audit.args(["audit", "verify", "--config"]).arg(&config));
    });
    assert_stands(&broker, &expected, &[]).await;
}

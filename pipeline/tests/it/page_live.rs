//! The page of a running worker in a real browser: numbers move without a reload; a killed worker is reported;
//! and when it is back on its address the page goes on by itself.

use crate::page_browser::Browser;
use crate::support::{Worker, World};
use serde_json::{Value, json};
use tributary_connectors::nats::{self, Client};
use tributary_testkit::{NatsServer, free_port};

const AUDIT: &str = include_str!("page_browser/audit.js");

async fn tell(client: &Client, kind: &str, record: Value) {
    let subject = format!("tributary.in.orchard.{kind}");
    client
        .publish(subject, record.to_string().into())
        .await
        .unwrap();
    client.flush().await.unwrap();
}

fn shows(key: &str, raw: i64) -> String {
    format!("document.querySelector('[data-key=\"{key}\"]')?.dataset.raw === '{raw}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lives_and_heals() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let broker = server.nats();
    let world = World::new(10, Some(&broker), "");
    let config = world.path("tributary.toml");
    let client = nats::connect(&broker, "test").await.unwrap();
    // The page's address outlives the worker.
    let address = format!("127.0.0.1:{}", free_port());
    let listen = ["--listen", &address];
    let mut worker = tokio::task::block_in_place(|| Worker::start(&config, &listen));
    tokio::task::block_in_place(|| worker.wait_until_read(0));

    // The sales are those of yesterday: tables of channels end there. On the first of a month that is the last month.
    let clock = jiff::Timestamp::now();
    let now = clock.as_millisecond() - 86_400_000;
    let click = json!({"id": "e1", "ts": now - 9_000, "type": "click", "cookie": "c", "source": "google", "medium": "cpc"});
    let link = json!({"id": "e2", "ts": now - 8_000, "type": "identify", "cookie": "c", "email": "ada@example.org"});
    let sale = |id: &str, amount: &str| json!({"id": id, "ts": now - 5_000, "store": "<b>Lyon", "amount": amount, "email": "ada@example.org"});
    tell(&client, "web", click).await;
    tell(&client, "web", link).await;
    tell(&client, "transaction", sale("t1", "49.90")).await;

    browser.look(1280, 900, "light");
    let zone = world.config().brands[0].timezone.clone();
    let day = clock.to_zoned(zone).day();
    let month = if day == 1 { "last_month" } else { "month" };
    // The whole month, since a midnight may come between.
    browser.open(&format!("http://{address}/#period={month}&model=last"));
    browser.until(&shows("shops", 4_990));
    browser.until("document.querySelector('#pill').innerText === 'Live'");
    browser.until(&shows("value:google/cpc", 4_990));
    browser.until(&shows("conversions:google/cpc", 1_000_000));
    assert!(
        browser.text("#money").contains("€49.90"),
        "{}",
        browser.text("#money")
    );
    browser.tab("stores");
    assert!(
        browser.text("#shops").contains("<b>Lyon"),
        "text from outside stays text"
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('#shops b').length"),
        json!(0)
    );
    browser.tab("marketing");
    browser.eval("window.same = true");

    tell(&client, "transaction", sale("t2", "0.20")).await;
    browser.until(&shows("value:google/cpc", 5_010));
    let refund = json!({"id": "t3", "ts": now - 4_000, "store": "<b>Lyon", "refund_of": "t2"});
    tell(&client, "transaction", refund).await;
    browser.until(&shows("shops", 4_990));
    let bad = json!({"id": "t4", "ts": now});
    tell(&client, "transaction", bad).await;
    browser.until(&shows("dead:missing_field", 1));
    assert_eq!(browser.complaints(), Vec::<String>::new());

    worker.kill();
    browser.until("document.querySelector('#pill').innerText === 'Stale'");
    browser.until(
        "document.querySelector('#notice').innerText.includes('no update from the worker since')",
    );
    // The last numbers stand, and it is said aloud, once and politely.
    assert_eq!(browser.eval(&shows("shops", 4_990)), json!(true));
    assert!(browser.text("#said").contains("Stale"));
    for scheme in ["light", "dark"] {
        browser.look(1280, 900, scheme);
        assert_eq!(browser.eval(AUDIT), json!([]), "{scheme}");
    }
    browser.picture("stale.png");

    tell(&client, "transaction", sale("t5", "1.00")).await;
    worker = tokio::task::block_in_place(|| Worker::start(&config, &listen));
    browser.until(&shows("shops", 5_090));
    browser.until("document.querySelector('#pill').innerText === 'Live'");
    browser.until(&shows("value:google/cpc", 5_090));
    assert_eq!(browser.eval("window.same"), json!(true), "without a reload");

    let own = format!("http://{address}/");
    for asked in browser.asked_for() {
        assert!(
            asked.starts_with("data:") || asked.starts_with(&own),
            "{asked}"
        );
    }
    // An open page does not keep the worker from ending well.
    tokio::task::block_in_place(|| worker.stop());
}

//! The page asks for an access token once, in a real browser: nothing is shown before, a wrong one is asked for again, and the
//! right one is kept for the session.

use crate::page_browser::Browser;
use crate::support::statuses::Statuses;
use crate::support::story::ready;
use crate::support::{Worker, World, succeed, tributary};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_connectors::nats;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_testkit::NatsServer;

const TODAY: i32 = 20_387;

/// The SHA-256 of a token, as its file has it.
fn digest(token: &str) -> String {
    let digest = Sha256::digest(token);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Types a token as a person does.
fn give(browser: &mut Browser, token: &str) {
    browser.until("!document.getElementById('login').hidden");
    let give = format!(
        "(() => {{ const input = document.getElementById('token'); input.value = {}; \
         input.dispatchEvent(new Event('change', {{ bubbles: true }})); return true; }})()",
        json!(token)
    );
    assert_eq!(browser.eval(&give), json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_once_and_kept_for_the_session() {
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.sha256");
    std::fs::write(&file, digest("right")).unwrap();
    let text = format!(
        "[[http.token]]\nbrand = \"acme\"\nrole = \"read\"\nsha256_file = {file:?}\n\
         [[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n\
         [[brand]]\nname = \"zeta\"\ntimezone = \"UTC\"\nsecret_env = \"OTHER\"\n"
    );
    let secret = |name: &str| {
        Some(format!("{}{name}", tributary_testkit::SECRET))
            .filter(|_| matches!(name, "SECRET" | "OTHER"))
    };
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    let config = loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    let telemetry = Telemetry::new(&config);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    state.page.stand_at(crate::support::noon_of(TODAY));
    let text = |word: &str| Dim::Text(word.into());
    state.cells.lock().apply(&Cell {
        family: Family::OrdersDay,
        dims: vec![text("acme"), Dim::Day(TODAY), text("EUR")],
        values: vec![2, 123_456, 1],
    });
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(serve(door, state, async {
        let _ = stopped.await;
    }));
    tokio::task::block_in_place(|| {
        let online = "document.querySelector('[data-key=online]')?.dataset.raw";
        browser.look(390, 844, "light");
        browser.open(&format!("http://{address}/#period=today"));
        give(&mut browser, "wrong");
        browser.until("document.getElementById('pill').innerText === 'Locked'");
        assert_eq!(browser.eval(online), json!(null));
        give(&mut browser, "right");
        browser.until(&format!("{online} === '123456'"));
        browser.until("document.getElementById('login').hidden");
        assert_eq!(
            browser
                .eval("[...document.getElementById('brand').options].map((o) => o.value).join()"),
            json!("acme")
        );
        // The same session is not asked again.
        browser.open(&format!("http://{address}/?again#period=today"));
        browser.until(&format!("{online} === '123456'"));
        assert_eq!(
            browser.eval("document.getElementById('login').hidden"),
            json!(true)
        );
        // The token is in no address and in no cookie.
        assert_eq!(
            browser.eval("(location.href + document.cookie).includes('right')"),
            json!(false)
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_role_opens_the_tabs_of_the_role() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let broker = server.nats();
    let folder = tempfile::tempdir().unwrap();
    let mut tokens = String::new();
    for role in ["privacy", "read"] {
        let file = folder.path().join(role);
        std::fs::write(&file, digest(role)).unwrap();
        tokens += &format!(
            "[[http.token]]\nbrand = \"orchard\"\nrole = \"{role}\"\nsha256_file = {file:?}\n"
        );
    }
    let world = World::new(50, Some(&broker), &tokens);
    let client = ready(&broker).await;
    nats::ensure_rights_stream(&client, &broker).await.unwrap();
    let config = world.path("tributary.toml");
    let worker = tokio::task::block_in_place(|| {
        let mut submit = tributary();
        submit.args(["rights", "erase", "email=jane@example.org", "--no-wait"]);
        submit.args(["--proof", "ticket 1", "--id", "r-1", "--config"]);
        succeed(submit.arg(&config));
        Worker::start(&config, &[])
    });
    let mut statuses = Statuses::open(&client, &broker).await;
    let end = statuses.end("r-1", 1).await;
    let state = match end.as_str() {
        "completed" => "completed",
        _ => "rejected",
    };
    tokio::task::block_in_place(|| {
        let is_hidden =
            |tab: &str| format!("document.querySelector('[role=tab][data-tab={tab}]').hidden");
        let request = "document.querySelector('[data-key=\"request:r-1\"]')?.dataset.raw";
        browser.look(1280, 900, "light");
        browser.open(&format!("http://{}/#tab=privacy", worker.address));
        give(&mut browser, "privacy");
        browser.until(&format!("{request} === '{state}'"));
        browser.until("document.getElementById('login').hidden");
        assert_eq!(browser.eval(&is_hidden("privacy")), json!(false));
        assert_eq!(browser.eval(&is_hidden("marketing")), json!(true));
        // The same session is not asked again.
        browser.open(&format!("http://{}/?again#tab=privacy", worker.address));
        browser.until(&format!("{request} === '{state}'"));
        assert_eq!(
            browser.eval("document.getElementById('login').hidden"),
            json!(true)
        );
        // The role `read` has the numbers, and no request.
        browser.eval("sessionStorage.clear()");
        browser.open(&format!("http://{}/?read#tab=privacy", worker.address));
        give(&mut browser, "read");
        browser.until(&is_hidden("privacy"));
        browser.until(&format!("!{}", is_hidden("marketing")));
        assert_eq!(browser.eval(request), json!(null));
    });
    worker.stop();
}

//! The page asks for an access token once, in a real browser: nothing is shown before, a wrong one is asked for again, and the
//! right one is kept for the session.

use crate::page_browser::Browser;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_operators::cell::{Cell, Dim, Family};

const TODAY: i32 = 20_387;

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
    let digest = Sha256::digest("right");
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&file, hex).unwrap();
    let text = format!(
        "[[http.token]]\nbrand = \"acme\"\nrole = \"read\"\nsha256_file = {file:?}\n\
         [[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n\
         [[brand]]\nname = \"zeta\"\ntimezone = \"UTC\"\nsecret_env = \"OTHER\"\n"
    );
    let secret = |name: &str| Some(name.repeat(16)).filter(|_| matches!(name, "SECRET" | "OTHER"));
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    let config = loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config;
    let telemetry = Telemetry::new(&config);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    state.page.stand_at(TODAY);
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

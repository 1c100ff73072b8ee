//! What the page says of a process that is not ready, and how it shows brands and currencies, in a real browser: the
//! words are those of `/readyz`, numbers stay while a worker restores, and each currency has its own decimals.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::page_browser::Browser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::report::counts::Counts;
use tributary::report::published_cells::PublishedCells;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_operators::allowed_uses::Use;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::BrandId;
use tributary_rights::Right;

const AUDIT: &str = include_str!("page_browser/audit.js");
const TODAY: i32 = 20_387;

fn orders(brand: &str, currency: &str, value: i128) -> Cell {
    let text = |word: &str| Dim::Text(word.into());
    Cell {
        family: Family::OrdersDay,
        dims: vec![text(brand), Dim::Day(TODAY), text(currency)],
        values: vec![2, value, 1],
    }
}

fn shows(text: &str) -> String {
    let online = "document.querySelector('[data-key=online]')";
    format!("{online}?.innerText === {}", json!(text))
}

fn fact(key: &str, text: &str) -> String {
    let shown = format!("document.querySelector('[data-key=\"{key}\"]')");
    format!("{shown}?.innerText === {}", json!(text))
}

fn says(selector: &str, text: &str) -> String {
    format!(
        "document.querySelector('{selector}').innerText.includes({})",
        json!(text)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_is_the_matter() {
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let brand = |name: &str| {
        format!(
            "[[brand]]\nname = \"{name}\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET_{name}\"\n"
        )
    };
    let secret = |name: &str| {
        name.strip_prefix("SECRET_")
            .map(|brand| format!("{brand}{}", tributary_testkit::SECRET))
    };
    let text = brand("acme")
        + "[brand.names]\nstores = { s1 = \"Lyon, Part-Dieu\" }\n"
        + &brand("zeta")
        + &brand("yore");
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    let config = loaded.unwrap().config;
    let telemetry = Telemetry::new(&config);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    state.page.stand_at(crate::support::noon_of(TODAY));
    state.cells.lock().apply(&orders("acme", "EUR", 123_456));
    state
        .cells
        .lock()
        .apply(&orders("acme", "JPY", 9_007_199_254_740_993));
    state.cells.lock().apply(&orders("zeta", "TND", 1_005));
    let store = Cell {
        family: Family::StoreDay,
        dims: ["acme", "s1"]
            .map(|word: &str| Dim::Text(word.into()))
            .into_iter()
            .chain([Dim::Day(TODAY), Dim::Text("EUR".into())])
            .collect(),
        values: vec![1, 4_990, 1],
    };
    state.cells.lock().apply(&store);
    // A year and a half ago: 2024-05-03.
    let mut yore = orders("yore", "EUR", 4_200);
    yore.dims[1] = Dim::Day(TODAY - 541);
    state.cells.lock().apply(&yore);
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(serve(door, state.clone(), async {
        let _ = stopped.await;
    }));

    tokio::task::block_in_place(|| {
        browser.look(390, 844, "light");
        browser.open(&format!("http://{address}/#period=today"));
        browser.until(&says("#pill", "Not ready"));
        browser.until(&says("#notice", "Not connected to NATS"));
        assert!(
            browser.text("#said").starts_with("Not ready"),
            "it is said aloud"
        );
        state.telemetry.health.set_connected(true);
        state.telemetry.health.set_caught_up(true);
        browser.until(&says("#pill", "Live"));

        browser.tab("operations");
        // Rights and retention: nothing yet, then one refused, one that waits, and a pass.
        browser.until(&fact("rights", "0"));
        assert_eq!(
            browser.eval("document.querySelector('[data-key=retention]')"),
            json!(null)
        );
        let metrics = &state.telemetry.metrics;
        metrics.right_answered("acme", Some(Right::Erase), true);
        metrics.right_answered("zeta", None, false);
        metrics.rights_waiting("zeta", 1, Duration::from_secs(90));
        metrics.retention_pass("acme", 1_761_436_800_000, 3);
        metrics.retention_pass("zeta", 1_761_436_801_000, 0);
        metrics.retention_pass("yore", 1_761_436_802_000, 0);
        let consents = [(["acme", "zeta"].map(BrandId::of), Use::Credit, [30, 10])];
        let consents = consents
            .iter()
            .flat_map(|(brands, step, counts)| brands.map(|brand| ((brand, *step), *counts)));
        let counts = Counts {
            consents: consents.collect(),
            ..Counts::default()
        };
        metrics.sync(&counts, &BTreeMap::new());
        browser.until(&fact("consent:credit", "75.0% of 80"));
        metrics.sync(&Counts::default(), &BTreeMap::new());
        browser.until("document.querySelector('[data-key=\"consent:credit\"]') === null");
        browser.until(&fact("rights", "2, 1 rejected"));
        browser.until(&fact("rights-open", "1, oldest waiting 1.5 min"));
        browser
            .until("document.querySelector('[data-key=retention]')?.dataset.raw === '1761436800'");
        assert_eq!(
            browser.eval("document.querySelector('#notice').hidden"),
            json!(true)
        );

        browser.tab("marketing");
        browser.until(&shows("€1,234.56"));
        let choose = |browser: &mut Browser, id: &str, value: &str| {
            browser.until(&format!(
                "[...document.getElementById('{id}').options].some((of) => of.value === '{value}')"
            ));
            let change = "dispatchEvent(new Event('change', { bubbles: true }))";
            let of = format!("document.getElementById('{id}')");
            browser.eval(&format!("{of}.value = '{value}', {of}.{change}"));
        };
        // A store has its display name, and its own name in the address.
        browser.tab("stores");
        browser.choose("[data-row='shop/s1'] button");
        assert!(browser.text("#shops").contains("Lyon, Part-Dieu"));
        browser.until("location.hash.includes('store=s1')");
        browser.choose("#store-crumbs button");
        browser.tab("marketing");
        // No decimals, and more digits than a float holds.
        choose(&mut browser, "currency", "JPY");
        browser.until(&shows("¥9,007,199,254,740,993"));
        choose(&mut browser, "brand", "zeta");
        browser.until(&shows("TND\u{a0}1.005"));
        assert_eq!(
            browser.text("#day"),
            "zeta, Sunday, October 26, 2025, simulated"
        );
        // An address of another brand shows that brand with its currency, and so does the way back.
        browser.eval("location.hash = '#brand=acme&period=today'");
        browser.until(&shows("€1,234.56"));
        assert!(browser.text("#day").starts_with("acme, "));
        browser.eval("history.back()");
        browser.until(&shows("TND\u{a0}1.005"));
        assert!(browser.text("#day").starts_with("zeta, "));
        assert_eq!(
            browser.eval("document.querySelector('#currency').value"),
            json!("TND")
        );

        // A trace of another year is shown at its own time.
        choose(&mut browser, "brand", "yore");
        browser.choose_radio("period", "month");
        browser.until(&shows("€42.00"));
        assert!(browser.text("#ends").contains("May 3, 2024"));
        assert!(
            browser
                .text("#span")
                .starts_with("May 2024, compared with April 2024")
        );
        choose(&mut browser, "brand", "zeta");
        browser.choose_radio("period", "today");
        browser.until(&shows("TND\u{a0}1.005"));

        // A worker that restores has nothing yet: the last numbers stand, and the page says why they do not move.
        state.telemetry.health.set_restoring(Some(
            "the ledger is being restored: 3 of 7 segments".to_owned(),
        ));
        browser.until(&says("#notice", "3 of 7 segments"));
        *state.cells.lock() = PublishedCells::default();
        state.cells.lock().apply(&orders("acme", "EUR", 1));
        let now = "performance.now()";
        let now = browser.eval(now).as_f64().unwrap();
        browser.until(&format!("performance.now() > {} + 1500", now));
        assert_eq!(browser.eval(&shows("TND\u{a0}1.005")), json!(true));
        for scheme in ["light", "dark"] {
            browser.look(390, 844, scheme);
            assert_eq!(browser.eval(AUDIT), json!([]), "{scheme}");
        }
        browser.picture("restoring.png");
        state.telemetry.health.set_restoring(None);
        state.cells.lock().apply(&orders("zeta", "TND", 2_000));
        browser.until(&shows("TND\u{a0}2.000"));
        browser.until(&says("#pill", "Live"));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

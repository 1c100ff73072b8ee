//! The page of the demo in a real browser: its numbers are those of the summary, under every model; it can be used
//! with a keyboard, read by everybody, and asks nobody else for anything.
//!
//! `make pictures` lets it take the pictures of the README. axe-core judges every tab too, if it was brought.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use crate::page_browser::Browser;
use crate::support::{succeed, tributary};
use serde_json::{Value, json};

const AUDIT: &str = include_str!("page_browser/audit.js");
const MODELS: [&str; 7] = [
    "first",
    "last",
    "last_non_direct",
    "linear",
    "position",
    "time_decay",
    "shapley",
];

struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the demo and waits until it says where its page is.
fn demo(arguments: &[&str]) -> (Demo, String) {
    let mut command = tributary();
    command
        .args(["demo", "--listen", "127.0.0.1:0"])
        .args(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut demo = Demo(child.expect("the demo starts"));
    let mut lines = BufReader::new(demo.0.stdout.take().expect("a pipe")).lines();
    let address = lines.by_ref().find_map(|line| {
        let line = line.expect("text");
        let address = line.split("http://").nth(1)?.split('/').next()?;
        Some(address.to_owned())
    });
    // What it says later must find a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (demo, address.expect("the demo names its page"))
}

fn raw(browser: &mut Browser, key: &str) -> i64 {
    let shown = browser.raw(key);
    i64::try_from(shown.unwrap_or_else(|| panic!("{key} is not shown"))).unwrap()
}

/// Shows every row of the table of channels.
fn expand(browser: &mut Browser) {
    browser.until(
        "document.querySelector('#more').hidden || document.querySelector('#more').ariaExpanded === 'true' \
         || (document.querySelector('#more').click(), false)",
    );
}

/// The file that a button saves, as rows of fields.
fn saved(browser: &mut Browser, button: &str) -> Vec<Vec<String>> {
    let text = browser.eval(&format!(
        "(async () => {{ const make = URL.createObjectURL; let saved; \
         URL.createObjectURL = (blob) => {{ saved = blob; return make.call(URL, blob); }}; \
         document.querySelector({}).click(); URL.createObjectURL = make; return saved.text(); }})()",
        json!(button)
    ));
    let text = text
        .as_str()
        .unwrap()
        .trim_start_matches('\u{feff}')
        .trim_end()
        .to_owned();
    let rows = text.split("\r\n");
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

/// The rows of a query, asked for as the page asks.
fn query(browser: &mut Browser, path: &str) -> Vec<Value> {
    let answer = browser.eval(&format!(
        "fetch({}).then((answer) => answer.json())",
        json!(path)
    ));
    answer["rows"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"))
        .clone()
}

#[test]
fn the_page_of_the_demo() {
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let events = std::env::var("TRIBUTARY_DEMO_EVENTS").unwrap_or("20000".to_owned());
    let arguments = ["--events", &events];
    let mut summary = tributary();
    summary.args(["demo", "--once", "--json", "--show-all"]);
    summary.args(arguments);
    let summary: Value = serde_json::from_slice(&succeed(&mut summary).stdout).unwrap();
    let summary = &summary["brands"][0];
    let (_demo, address) = demo(&[&arguments[..], &["--still", "--show-all"]].concat());

    browser.look(1280, 900, "light");
    browser.open(&format!("http://{address}/"));
    browser.until("document.querySelectorAll('#money tbody tr').length > 3");
    let first = browser.eval("performance.getEntriesByType('navigation')[0].responseEnd");
    let now = browser.eval("performance.now()");
    eprintln!("the page was there after {first} ms, its numbers at the latest after {now} ms");
    assert_eq!(browser.text("#pill"), "Live");

    // The simulated weeks lie within 30 days, so that this period has all of the summary.
    browser.choose_radio("period", "30d");
    let stores = summary["stores"].as_array().unwrap();
    let sum = |of: &str| {
        stores
            .iter()
            .map(|store| store[of].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(raw(&mut browser, "shops"), sum("revenue_minor"));
    assert_eq!(
        raw(&mut browser, "online"),
        summary["online"]["revenue_minor"].as_i64().unwrap()
    );
    let cents = sum("revenue_minor");
    let euros = cents / 100;
    let text = format!("€{},{:03}.{:02}", euros / 1000, euros % 1000, cents % 100);
    assert!((1_000..1_000_000).contains(&euros), "{euros}");
    assert!(browser.text("#glance").contains(&text), "{text}");

    browser.tab("stores");
    assert_eq!(raw(&mut browser, "visits"), sum("visits"));
    assert_eq!(
        raw(&mut browser, "sales:all") - raw(&mut browser, "sales:online"),
        sum("transactions")
    );
    for store in stores {
        let name = store["store"].as_str().unwrap();
        let taken = raw(&mut browser, &format!("taken:shop/{name}"));
        assert_eq!(taken, store["revenue_minor"].as_i64().unwrap(), "{name}");
    }
    assert_eq!(
        browser.eval("document.querySelectorAll('#hours li').length"),
        json!(24)
    );
    // A store alone: its tiles, its line, and the channels that brought its revenue.
    let store = &stores[0];
    let name = store["store"].as_str().unwrap();
    browser.choose(&format!("[data-row='shop/{name}'] button"));
    assert_eq!(
        raw(&mut browser, "store:revenue"),
        store["revenue_minor"].as_i64().unwrap()
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('#shops tbody tr').length"),
        json!(1)
    );
    let by_channel = query(
        &mut browser,
        &format!(
            "/v1/cells/attribution?brand=orchard&currency=EUR&model=linear&store={name}&group_by=source,medium"
        ),
    );
    for row in by_channel.iter().take(5) {
        let [source, medium] = ["source", "medium"].map(|of| row["cell"][of].as_str());
        let key = format!(
            "value:of/{}/{}",
            source.unwrap_or("–"),
            medium.unwrap_or("–")
        );
        let expected = row["value"]["value_minor"].as_i64().unwrap();
        assert_eq!(raw(&mut browser, &key), expected, "{key}");
    }
    browser.eval("history.back()");
    browser.until("!document.querySelector('#store-crumbs button') && document.querySelectorAll('#shops tbody tr').length > 2");

    browser.tab("marketing");
    let months = summary["months"].as_array().unwrap();
    let busiest = |month: &&Value| month["revenue_of_channels_minor"].as_i64();
    let month = months.iter().max_by_key(busiest).unwrap();
    let shown = browser.text("#day");
    // The current day is written in the brand's line: "Acme, Saturday, November 1, 2025, simulated".
    let is_this_month = shown.contains(match &month["month"].as_str().unwrap()[5..] {
        "10" => "October",
        _ => "November",
    });
    browser.choose_radio("period", if is_this_month { "month" } else { "last_month" });
    let when = month["month"].as_str().unwrap();
    let mut totals = BTreeSet::new();
    for model in MODELS {
        browser.choose_radio("model", model);
        expand(&mut browser);
        totals.insert(raw(&mut browser, "value:all"));
        assert!(browser.text("#coverage").ends_with(", all of it."));
        // The table adds up the campaigns of a source and medium, as the query does.
        let rows = query(
            &mut browser,
            &format!(
                "/v1/cells/attribution?brand=orchard&currency=EUR&model={model}&from={when}&to={when}&group_by=source,medium"
            ),
        );
        assert!(rows.len() > 4);
        for row in rows {
            let [source, medium] = ["source", "medium"].map(|of| row["cell"][of].as_str());
            let name = format!("{}/{}", source.unwrap_or("–"), medium.unwrap_or("–"));
            let expected = row["value"]["value_minor"].as_i64().unwrap();
            let shown = raw(&mut browser, &format!("value:{name}"));
            assert_eq!(shown, expected, "{name} under {model}");
        }
    }
    assert_eq!(
        totals.len(),
        1,
        "every model shares out the same money: {totals:?}"
    );

    // Into a channel, and its file: the same numbers as of a query.
    browser.choose_radio("model", "linear");
    browser.choose("[data-row='google/cpc'] button");
    expand(&mut browser);
    let campaigns = query(
        &mut browser,
        &format!(
            "/v1/cells/attribution?brand=orchard&currency=EUR&model=linear&source=google&medium=cpc&from={when}&to={when}&group_by=source,medium,campaign"
        ),
    );
    assert!(campaigns.len() > 1);
    let file = saved(&mut browser, "#money .csv");
    assert_eq!(file[0][..2], ["Campaign", "Revenue"]);
    for row in &campaigns {
        let campaign = row["cell"]["campaign"].as_str();
        let expected = row["value"]["value_minor"].as_i64().unwrap();
        let key = format!("value:google/cpc/{}", campaign.unwrap_or("–"));
        assert_eq!(raw(&mut browser, &key), expected);
        let name = format!("google / cpc / {}", campaign.unwrap_or("no campaign"));
        let line = file.iter().find(|line| line[0] == name);
        let line = line.unwrap_or_else(|| panic!("{name} in {file:?}"));
        assert_eq!(line[1], format!("{}.{:02}", expected / 100, expected % 100));
    }
    // Each table has its file.
    assert_eq!(
        browser.eval(
            "document.querySelectorAll('table').length === document.querySelectorAll('.csv').length"
        ),
        json!(true)
    );
    browser.choose("#channel-crumbs button");
    browser.choose_radio("model", "markov");
    assert!(raw(&mut browser, "value:all") > 0);
    assert!(browser.text("#model-note").contains("calendar month"));

    // Compared with the period before, in words for those who do not see the arrow.
    browser.choose_radio("model", "linear");
    browser.choose_radio("period", "7d");
    assert!(browser.text("#glance").contains(['▲', '▼', '=']));
    let sentence = browser.eval("document.querySelector('#glance .change .sr').textContent");
    assert!(sentence.as_str().unwrap().contains(" than "), "{sentence}");
    // A line for each of the largest channels, and their numbers as text.
    for measure in ["revenue", "spend", "clicks"] {
        browser.choose_radio("measure", measure);
        let lines = "document.querySelectorAll('#channel-lines polyline').length > 2";
        assert_eq!(browser.eval(lines), json!(true), "{measure}");
        let label =
            browser.eval("document.querySelector('#channel-lines svg').getAttribute('aria-label')");
        assert!(label.as_str().unwrap().contains("highest"), "{label}");
    }

    // The keyboard alone, and what is chosen stands in the address.
    browser.eval("document.querySelector('input[name=model]:checked').focus()");
    browser.press("ArrowRight", 39);
    browser.until("document.querySelector('input[name=model]:checked').value === 'position'");
    browser.until("location.hash.includes('model=position')");
    browser.eval("document.querySelector('#tab-marketing').focus()");
    browser.press("ArrowRight", 39);
    browser.until(
        "document.activeElement.id === 'tab-stores' && location.hash.includes('tab=stores')",
    );
    let hash = browser.eval("location.hash");
    browser.open("about:blank");
    browser.open(&format!("http://{address}/{}", hash.as_str().unwrap()));
    browser.until("!document.querySelector('#stores').hidden && document.querySelectorAll('#shops tbody tr').length > 3");
    browser.until("document.querySelector('input[name=model]:checked').value === 'position'");

    // Each number says what it is.
    browser.tab("marketing");
    for section in [
        "#touches li",
        "#days li",
        "#top tbody tr",
        "#assists tbody tr",
    ] {
        let filled = browser.eval(&format!(
            "document.querySelectorAll('{section}').length > 4"
        ));
        assert_eq!(filled, json!(true), "{section}");
    }
    browser.eval("document.querySelector('#money .def').click()");
    assert!(browser.text("#tip").contains("net of refunds"));
    browser.press("Escape", 27);
    browser.until("!document.querySelector('#tip').matches(':popover-open')");

    // Other languages: the same numbers, other words.
    let before = raw(&mut browser, "shops");
    for (language, word) in [
        ("fr", "Chiffre d’affaires"),
        ("de", "Umsatz"),
        ("en", "Revenue"),
    ] {
        browser.eval(&format!(
            "(() => {{ const select = document.getElementById('lang'); select.value = '{language}'; \
             select.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()"
        ));
        browser.until(&format!(
            "document.documentElement.lang === '{language}' && document.querySelector('#money thead').textContent.includes('{word}')"
        ));
        assert_eq!(raw(&mut browser, "shops"), before);
    }

    browser.choose_radio("model", "linear");
    browser.eval("document.activeElement.blur()");
    let sizes = [
        (1280, 900, "light"),
        (1280, 900, "dark"),
        (390, 844, "light"),
        (390, 844, "dark"),
    ];
    for (width, height, scheme) in sizes {
        browser.look(width, height, scheme);
        for tab in ["stores", "privacy", "operations", "marketing"] {
            browser.tab(tab);
            if matches!(tab, "stores" | "marketing") {
                browser.choose_radio("period", "30d");
            }
            browser.until(&format!("document.querySelector('#{tab} .tile') !== null"));
            let found = browser.eval(AUDIT);
            assert_eq!(found, json!([]), "{width} {scheme} {tab}");
            assert_eq!(browser.axe(), json!([]), "axe, {width} {scheme} {tab}");
        }
        if (width == 1280) == (scheme == "light") {
            browser.picture(&format!("{width}-{scheme}.png"));
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let own = format!("http://{address}/");
    for asked in browser.asked_for() {
        let inside =
            asked.starts_with("data:") || asked.starts_with("blob:") || asked == "about:blank";
        assert!(inside || asked.starts_with(&own), "{asked}");
    }
}

#[test]
fn the_numbers_of_the_demo_go_on() {
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let (_demo, address) = demo(&["--events", "20000", "--show-all"]);
    browser.look(1280, 900, "light");
    browser.open(&format!("http://{address}/#period=30d"));
    browser.until("document.querySelector('[data-key=shops]') !== null");
    let before = raw(&mut browser, "shops");
    // What changed is highlighted where it is little, and never all at once.
    browser.until(&format!(
        "document.querySelectorAll('.moved').length <= 6 && document.querySelector('[data-key=shops]').dataset.raw !== '{before}'"
    ));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_document_is_guarded() {
    let (_demo, address) = demo(&["--events", "1000", "--days", "2"]);
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    for guard in [
        "content-security-policy: default-src 'none';",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(head.contains(guard), "{guard} is missing in\n{head}");
    }
    assert!(!head.contains("unsafe-inline"));
    eprintln!("the page weighs {} bytes", body.len());
}

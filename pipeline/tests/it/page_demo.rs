//! The page of the demo in a real browser: its numbers are those of the summary, under every model; it can be used
//! with a keyboard, read by everybody, and asks nobody else for anything.
//!
//! `make pictures` lets it take the pictures of the README. Where `TRIBUTARY_AXE` names the script of axe-core, that
//! judges the page too.

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
    let of = format!("[data-key={}]", json!(key));
    let text = browser.eval(&format!(
        "document.querySelector({})?.dataset.raw",
        json!(of)
    ));
    text.as_str()
        .unwrap_or_else(|| panic!("{key} is not shown"))
        .parse()
        .unwrap()
}

fn choose(browser: &mut Browser, name: &str, value: &str) {
    let of = json!(format!("input[name={name}][value='{value}']"));
    browser.eval(&format!("document.querySelector({of}).click()"));
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
    let (_demo, address) = demo(&[&arguments[..], &["--still", "--show-all"]].concat());

    browser.look(1280, 900, "light");
    browser.open(&format!("http://{address}/"));
    browser.until("document.querySelectorAll('#money tbody tr').length > 3");
    let first = browser.eval("performance.getEntriesByType('navigation')[0].responseEnd");
    let now = browser.eval("performance.now()");
    eprintln!("the page was there after {first} ms, its numbers at the latest after {now} ms");
    assert_eq!(browser.text("#pill"), "Live");

    // The simulated weeks lie within 30 days, so that this window has all of the summary.
    choose(&mut browser, "window", "30d");
    let stores = summary["stores"].as_array().unwrap();
    let sum = |of: &str| {
        stores
            .iter()
            .map(|store| store[of].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(raw(&mut browser, "shops"), sum("revenue_minor"));
    assert_eq!(raw(&mut browser, "visits"), sum("visits"));
    assert_eq!(
        raw(&mut browser, "sales:all") - raw(&mut browser, "sales:online"),
        sum("transactions")
    );
    assert_eq!(
        raw(&mut browser, "online"),
        summary["online"]["revenue_minor"].as_i64().unwrap()
    );
    for store in stores {
        let name = store["store"].as_str().unwrap();
        let taken = raw(&mut browser, &format!("taken:shop/{name}"));
        assert_eq!(taken, store["revenue_minor"].as_i64().unwrap(), "{name}");
    }
    let cents = sum("revenue_minor");
    let euros = cents / 100;
    let text = format!("€{},{:03}.{:02}", euros / 1000, euros % 1000, cents % 100);
    assert!((1_000..1_000_000).contains(&euros), "{euros}");
    assert!(browser.text("#glance").contains(&text), "{text}");

    browser.until("(document.querySelector('#more').click(), document.querySelector('#more').ariaExpanded === 'true')");
    let months = summary["months"].as_array().unwrap();
    let busiest = |month: &&Value| month["revenue_of_channels_minor"].as_i64();
    let month = months.iter().max_by_key(busiest).unwrap();
    let shown = browser.text("#day");
    // The current day is written in the brand's line: "Acme, Saturday, November 1, 2025, simulated".
    let is_this_month = shown.contains(match &month["month"].as_str().unwrap()[5..] {
        "10" => "October",
        _ => "November",
    });
    let window = if is_this_month { "month" } else { "last_month" };
    choose(&mut browser, "month", window);
    browser.until(
        "document.querySelector('#more').hidden || (document.querySelector('#more').ariaExpanded === 'true' \
         || document.querySelector('#more').click(), document.querySelector('#more').ariaExpanded === 'true')",
    );
    let channels = month["channels"].as_array().unwrap();
    assert!(channels.len() > 4);
    let mut totals = BTreeSet::new();
    for model in MODELS {
        choose(&mut browser, "model", model);
        totals.insert(raw(&mut browser, "value:all"));
        assert!(browser.text("#coverage").ends_with(", all of it."));
        for channel in channels {
            let name = channel["channel"].as_str().unwrap();
            if name.starts_with("unattributed") {
                continue;
            }
            // A channel without a value under the model has no row.
            let Some(expected) = channel["value_minor"][model].as_i64() else {
                continue;
            };
            let words: Vec<&str> = name.split('/').chain(["–", "–"]).take(3).collect();
            let shown = raw(&mut browser, &format!("value:{}", words.join("/")));
            assert_eq!(shown, expected, "{name} under {model}");
        }
    }
    assert_eq!(
        totals.len(),
        1,
        "every model shares out the same money: {totals:?}"
    );
    choose(&mut browser, "model", "markov");
    assert!(raw(&mut browser, "value:all") > 0);
    assert!(browser.text("#model-note").contains("calendar month"));

    // The keyboard alone, and what is chosen stands in the address.
    browser.eval("document.querySelector('input[name=model]:checked').focus()");
    browser.press("ArrowLeft", 37);
    browser.until("document.querySelector('input[name=model]:checked').value === 'shapley'");
    browser.until("location.hash.includes('model=shapley')");
    let hash = browser.eval("location.hash");
    browser.open("about:blank");
    browser.open(&format!("http://{address}/{}", hash.as_str().unwrap()));
    browser.until("document.querySelectorAll('#money tbody tr').length > 3");
    browser.until("document.querySelector('input[name=model]:checked').value === 'shapley'");

    for section in [
        "#hours li",
        "#touches li",
        "#days li",
        "#top li",
        "#assists li",
        "#pipe dd",
    ] {
        let filled = browser.eval(&format!(
            "document.querySelectorAll('{section}').length > 4"
        ));
        assert_eq!(filled, json!(true), "{section}");
    }
    choose(&mut browser, "model", "linear");
    browser.eval("document.activeElement.blur()");
    let axe = std::env::var("TRIBUTARY_AXE")
        .ok()
        .map(|file| std::fs::read_to_string(file).unwrap());
    let sizes = [
        (1280, 900, "light"),
        (1280, 900, "dark"),
        (390, 844, "light"),
        (390, 844, "dark"),
    ];
    for (width, height, scheme) in sizes {
        browser.look(width, height, scheme);
        for window in ["7d", "30d"] {
            choose(&mut browser, "window", window);
            let found = browser.eval(AUDIT);
            assert_eq!(found, json!([]), "{width} {scheme} {window}");
            if let Some(axe) = &axe {
                browser.eval(axe);
                let run = "axe.run().then((results) => results.violations.map((of) => \
                           of.id + ': ' + of.nodes.map((node) => node.target.join(' ')).join(', ')))";
                assert_eq!(
                    browser.eval(run),
                    json!([]),
                    "axe, {width} {scheme} {window}"
                );
            }
        }
        if (width == 1280) == (scheme == "light") {
            browser.picture(&format!("{width}-{scheme}.png"));
        }
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
    let own = format!("http://{address}/");
    for asked in browser.asked_for() {
        let inside = asked.starts_with("data:") || asked == "about:blank";
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
    browser.open(&format!("http://{address}/#window=30d"));
    browser.until("document.querySelector('[data-key=shops]') !== null");
    let before = raw(&mut browser, "shops");
    browser.until(&format!(
        "document.querySelector('[data-key=shops]').dataset.raw !== '{before}'"
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

//! Hidden is never zero: the page and the summary of a brand behind a gate of 50 people show nothing that the gate
//! hides as 0, and show of channels what the published month cells add up to, with its share.

use crate::page_browser::Browser;
use crate::support::World;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::report::published_cells::SharedCells;
use tributary::report::summary::Summary;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary::worker::replay;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_simulate::Options;

const AUDIT: &str = include_str!("page_browser/audit.js");

/// The numbers of cells that are shown as 0, other than spend, which is never hidden, and numbers of a day that has ended
/// without any visit of those released.
const ZEROS: &str = r##"[...document.querySelectorAll("#marketing [data-raw], #stores [data-raw]")]
    .filter((node) => node.dataset.raw === "0" && !/^(cost:|spend|channel-lines)/.test(node.dataset.key)).map((node) => node.dataset.key)"##;

fn world() -> (World, Vec<Cell>) {
    let options = Options {
        events: Some(60_000),
        k: 50,
        ..Options::default()
    };
    let world = World::of(options, None, "");
    let lines = world.trace().map(Ok::<_, std::io::Error>);
    let outcome = replay::run(&world.config(), lines, 20_000, None, true, |_| {}).unwrap();
    (world, outcome.cells)
}

/// The linear credit of a month in euros, of channels under their own names and of all, without that of no
/// touchpoint.
fn credit(cells: &[Cell], month: i32) -> [i128; 2] {
    let mut sums = [0, 0];
    for cell in cells
        .iter()
        .filter(|cell| cell.family == Family::Attribution)
    {
        let is_counted = cell.text("model") == "linear"
            && cell.text("currency") == "EUR"
            && cell.text("source") != "unattributed"
            && cell.dim("day") == Some(&Dim::Month(month));
        if is_counted {
            let names = ["source", "medium", "campaign"].map(|name| cell.text(name));
            let value = cell.value("value_minor");
            // The rest of a source and medium belongs to it.
            sums[0] += if names[..2].contains(&"*") { 0 } else { value };
            sums[1] += value;
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_hidden_is_zero_on_the_page() {
    let Some(mut browser) = Browser::start_or_skip() else {
        return;
    };
    let (world, cells) = tokio::task::block_in_place(world);
    let config = world.config();
    let telemetry = Telemetry::new(&config);
    telemetry.health.set_connected(true);
    telemetry.health.set_caught_up(true);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    cells.iter().for_each(|cell| state.cells.lock().apply(cell));
    // The first of the month after the busiest one, so that this is the last month.
    let months = cells.iter().flat_map(|cell| {
        cell.dims.iter().filter_map(|dim| match dim {
            Dim::Month(month) if cell.family == Family::Attribution => Some(*month),
            _ => None,
        })
    });
    let month = months
        .max_by_key(|month| credit(&cells, *month)[1])
        .expect("credits by month");
    let today = tributary_operators::calendar::first_day(month + 1);
    state.page.stand_at(crate::support::noon_of(today));
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(serve(door, state, async {
        let _ = stopped.await;
    }));

    tokio::task::block_in_place(|| {
        browser.look(1280, 900, "light");
        browser.open(&format!("http://{address}/#period=last_month&model=linear"));
        browser.until("document.querySelectorAll('#money tbody tr').length > 3");
        let [own, all] = credit(&cells, month);
        assert!(0 < own && own <= all, "{own} of {all}");
        assert_eq!(browser.raw("named"), Some(own));
        let share = match own == all {
            true => ", all of it.".to_owned(),
            false => format!(
                ", {}% of what channels brought: the rest is hidden for privacy.",
                100 * own / all
            ),
        };
        assert!(
            browser.text("#coverage").ends_with(&share),
            "{}",
            browser.text("#coverage")
        );

        let mut hidden = 0;
        for tab in ["marketing", "stores"] {
            browser.tab(tab);
            for period in ["last_month", "month", "today", "7d", "30d"] {
                browser.choose_radio("period", period);
                for model in ["first", "last", "linear", "shapley", "markov"] {
                    if tab == "marketing" {
                        browser.choose_radio("model", model);
                    } else if model != "linear" {
                        continue;
                    }
                    let at = format!("{tab} {period} {model}");
                    assert_eq!(browser.eval(ZEROS), json!([]), "{at}");
                    // Spend is nobody's: none today is a zero, and nothing hidden.
                    let tables = browser.text("#money") + &browser.text("#shops");
                    assert!(!tables.contains("€0.00"), "{at}\n{tables}");
                    let text = browser.text(&format!("#{tab}"));
                    for zero in ["0.0×", "0.0%", "Other channels"] {
                        // 10.0% is no zero.
                        let mut found = text.match_indices(zero);
                        assert!(
                            found.all(|(at, _)| text[..at].ends_with(|c: char| c.is_ascii_digit())),
                            "{zero} in {at}\n{text}"
                        );
                    }
                    let found = browser
                        .eval("document.querySelectorAll('[data-key].hidden[title]').length");
                    hidden += found.as_i64().unwrap();
                    // Each number of a tile says what it covers, each row of a table too.
                    let uncovered = "[...document.querySelectorAll('#glance .tile, #store-glance .tile')] \
                        .filter((tile) => tile.offsetParent && !tile.querySelector('.cover') && !tile.querySelector('.hidden') \
                        && /\\d/.test(tile.querySelector('.big').textContent)).length";
                    assert_eq!(browser.eval(uncovered), json!(0), "{at}");
                }
                assert_eq!(browser.eval(AUDIT), json!([]), "{tab} {period}");
            }
        }
        assert!(hidden > 0, "the gate hides something");
        assert!(browser.text("#gate").contains("50 people"));
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

#[test]
fn nothing_hidden_is_zero_in_the_summary() {
    let (_world, cells) = world();
    let today = cells.iter().filter_map(Cell::day).max().unwrap();
    let summary = Summary::of(&cells, today, true);
    let text = summary.text();
    assert!(
        text.contains(" % of what channels brought: the rest is hidden for privacy."),
        "{text}"
    );
    for zero in ["0.0×", " 0 EUR\n", "other"] {
        assert!(!text.contains(zero), "{zero:?} in\n{text}");
    }
    for month in summary.json()["months"].as_array().unwrap() {
        for channel in month["channels"].as_array().unwrap() {
            for name in [
                "store_conversions_millionths",
                "online_conversions_millionths",
            ] {
                assert_ne!(channel[name], json!(0), "{channel}");
            }
        }
    }
}

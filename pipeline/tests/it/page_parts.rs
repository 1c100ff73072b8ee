//! A part that is hidden, in a real browser: what the page adds up says that it is at least as much, what it cannot bound
//! it calls unknown, and it says hidden of nothing else.

use crate::page_browser::Browser;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tributary::report::published_cells::SharedCells;
use tributary::report::telemetry::Telemetry;
use tributary::serve::http::serve;
use tributary::serve::state::HttpState;
use tributary_operators::cell::{Cell, Dim, Family};
use tributary_operators::record::Day;

/// 2025-10-26.
const TODAY: Day = 20_387;
/// 2025-09-10.
const SEPTEMBER: Day = 20_341;

/// A cell with these dimensions: `-` is one that it does not have, and `@` its period.
fn cell(family: Family, words: &str, period: &Dim, values: &[i128]) -> Cell {
    let dims = words.split(' ').map(|word| match word {
        "-" => Dim::Null,
        "@" => period.clone(),
        word => Dim::Text(word.into()),
    });
    Cell {
        family,
        dims: dims.collect(),
        values: values.to_vec(),
    }
}

fn month(of: Day) -> Dim {
    Dim::Month(tributary_operators::calendar::month(of))
}

/// In-store sales of a brand in September, and its credits: of some channel, and of the rest.
fn sales(brand: &str, own: &str) -> Vec<Cell> {
    let credit = |channel: &str, value| {
        let words = format!("{brand} linear {channel} transaction * @ EUR");
        let values = [60_000_000, value];
        cell(Family::Attribution, &words, &month(SEPTEMBER), &values)
    };
    let store = format!("{brand} s1 @ EUR");
    let spend = format!("{brand} ads google cpc fall @ EUR");
    let mut cells = vec![
        cell(
            Family::StoreDay,
            &store,
            &Dim::Day(SEPTEMBER),
            &[168, 580_115, 60],
        ),
        cell(
            Family::SpendDay,
            &spend,
            &Dim::Day(SEPTEMBER),
            &[10_000, 9, 9],
        ),
        credit("* * *", 380_115),
    ];
    if !own.is_empty() {
        cells.push(credit(own, 200_000));
    }
    cells
}

/// Visits to a store in an hour of a day.
fn visits(store: &str, day: Day, hour: i64, visits: i128) -> Cell {
    let hour = Dim::Hour(i64::from(day) * 86_400 + hour * 3600, 0);
    let words = format!("acme {store} @");
    let values = [visits, 2 * visits, 600 * visits, visits, 0];
    cell(Family::Visits, &words, &hour, &values)
}

/// Credits of visits to stores in a month, and their spend.
fn visit_credits(of: Day) -> [Cell; 2] {
    let words = "birch linear google cpc fall visit * @ -";
    let spend = "birch ads google cpc fall @ EUR";
    [
        cell(Family::Attribution, words, &month(of), &[80_000_000, 0]),
        cell(Family::SpendDay, spend, &Dim::Day(of), &[40_000, 9, 9]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_hidden_is_no_zero() {
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
    let partner = "[[brand.source]]\nname = \"partner\"\nkind = \"partner\"\n";
    let text = brand("acme") + &brand("zeta") + &brand("birch") + partner;
    let loaded = tributary_config::parse_in(&text, std::path::Path::new("test.toml"), &secret);
    let config = loaded.unwrap().config;
    let telemetry = Telemetry::new(&config);
    telemetry.health.set_connected(true);
    telemetry.health.set_caught_up(true);
    let state = HttpState::new(&config, &telemetry, &SharedCells::default());
    state.page.stand_at(crate::support::noon_of(TODAY));
    let mut cells = sales("acme", "google cpc fall");
    cells.extend(sales("zeta", ""));
    cells.extend([SEPTEMBER, TODAY - 1].map(visit_credits).concat());
    cells.extend([
        visits("s1", TODAY - 1, 10, 20),
        visits("s2", TODAY - 1, 10, 30),
        visits("s1", TODAY - 1, 11, 12),
    ]);
    // The rest of a day over all stores.
    let rest = [40, 50, 600, 40, 0];
    let day = Dim::Day(SEPTEMBER);
    cells.push(cell(Family::Visits, "acme * @", &day, &rest));
    cells.iter().for_each(|cell| state.cells.lock().apply(cell));
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = door.local_addr().unwrap();
    let (_stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(serve(door, state, async {
        let _ = stopped.await;
    }));

    tokio::task::block_in_place(|| {
        browser.look(1280, 900, "light");
        let at = |browser: &mut Browser, words: &str| {
            browser.open("about:blank");
            browser.open(&format!("http://{address}/#{words}"));
            browser.until("!!document.body.dataset.drawn && document.body.dataset.drawn === document.body.dataset.wanted");
        };

        // No orders are published: a total of stores and online is at least that of the stores.
        at(&mut browser, "brand=acme&period=last_month&tab=stores");
        let total = browser.text("#shops tfoot");
        assert!(total.contains("≥ €5,801.15"), "{total}");
        assert!(total.contains("≥ 168"), "{total}");
        assert!(total.trim_end().ends_with("unknown"), "{total}");
        // Of a rest of visits, no revenue is hidden: each store has its own.
        let rest = browser.text("[data-row='shop/*']");
        assert!(rest.contains("40"), "{rest}");
        assert!(!rest.contains('▒') && !rest.contains("10%"), "{rest}");
        // An hour in which a store of the day is missing.
        let hour = |browser: &mut Browser, at: u8| {
            let of = format!("document.querySelector('[data-key=\"hours:{at}\"]')");
            let marks = browser.eval(&format!("{of}.querySelectorAll('i.least').length"));
            (browser.eval(&format!("{of}.title")), marks)
        };
        assert_eq!(
            hour(&mut browser, 10),
            (json!("10:00, 50 visits"), json!(0))
        );
        assert_eq!(
            hour(&mut browser, 11),
            (json!("11:00, ≥ 12 visits"), json!(1))
        );
        let gate = browser.text("#gate");
        assert!(
            gate.contains("50 people") && gate.contains("at least 10."),
            "{gate}"
        );
        browser.picture("parts_stores.png");

        browser.tab("marketing");
        let total = browser.text("#money tfoot");
        assert!(total.contains("≥ €5,801.15"), "{total}");
        assert!(total.contains("≥ 20.0×"), "{total}");
        assert!(total.trim_end().ends_with("unknown"), "{total}");
        let tiles = browser.text("#glance");
        assert!(tiles.contains("€2,000.00 / ≥ €5,801.15"), "{tiles}");
        assert!(
            tiles.contains("share unknown, hidden parts not counted"),
            "{tiles}"
        );
        let coverage = browser.text("#coverage");
        let share = "€2,000.00, 34% of what channels brought: the rest is hidden for privacy.";
        assert!(coverage.ends_with(share), "{coverage}");
        browser.picture("parts_marketing.png");
        at(&mut browser, "brand=acme&period=last_month&lang=fr");
        let coverage = browser.text("#coverage");
        assert!(
            coverage.contains("ont apporté\u{a0}: le reste"),
            "{coverage}"
        );

        // All channels are hidden: no tile says that there is nothing, or that this is all.
        for (lang, hidden, none, all) in [
            ("en", "hidden for privacy", "none yet", "all of it"),
            (
                "fr",
                "masqué pour la vie privée",
                "encore rien",
                "la totalité",
            ),
            (
                "de",
                "zum Datenschutz verborgen",
                "noch keine",
                "vollständig",
            ),
        ] {
            at(
                &mut browser,
                &format!("brand=zeta&period=last_month&lang={lang}"),
            );
            for key in ["attributed", "roas"] {
                let tile = browser.eval(&format!(
                    "document.querySelector('[data-key={key}]').closest('.tile').innerText"
                ));
                let tile = tile.as_str().unwrap();
                assert!(tile.contains('▒') && tile.contains(hidden), "{tile}");
                assert!(!tile.contains(none) && !tile.contains(all), "{tile}");
            }
            let coverage = browser.text("#coverage");
            assert!(coverage.ends_with(&format!("{hidden}.")), "{coverage}");
            assert!(!coverage.contains('0'), "{coverage}");
        }
        // Visits of a day in progress wait for its end, and not for a batch.
        at(&mut browser, "brand=zeta&tab=stores&lang=en");
        let hours = browser.text("#hours");
        assert!(
            hours.contains("when its day is over, if at least 10 devices"),
            "{hours}"
        );

        // The cost of a visit waits for the last day of its month.
        at(&mut browser, "brand=birch&period=last_month");
        let visits = browser.text("#pass-visits");
        assert!(
            visits.contains("€5.00") && !visits.contains("follows"),
            "{visits}"
        );
        at(&mut browser, "brand=birch&period=month");
        let visits = browser.text("#pass-visits");
        assert!(
            !visits.contains("€5.00") && visits.contains("80"),
            "{visits}"
        );
        let follows =
            "count up to October 17, 2025; the cost per visit follows on November 9, 2025.";
        assert!(visits.contains(follows), "{visits}");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    });
}

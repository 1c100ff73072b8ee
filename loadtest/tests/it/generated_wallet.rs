//! Wallet passes in a simulated shop: the decoder accepts their records, and the oracle finds visits that channels brought.

use std::path::Path;

use tributary_connectors::inputs;
use tributary_loadtest::verify;
use tributary_simulate::{Options, SecretFrom, config_toml, lines};

/// The cells of a simulated trace, of which no line is refused.
fn cells(options: &Options, text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("t.ndjson");
    std::fs::write(&trace, text).unwrap();
    let secret = folder.path().join("orchard.secret");
    tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
    let origin = folder.path().join("orchard.toml");
    let config = config_toml(options, SecretFrom::File(Path::new("orchard.secret")));
    let config = tributary_config::parse(&config, &origin).unwrap().config;
    let arguments = [trace.display().to_string()];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let expected = verify::expected(&config, &mut opened).unwrap();
    assert_eq!(expected.refused.values().sum::<u64>(), 0, "{expected}");
    expected.lines
}

#[test]
fn passes_are_counted_and_their_scans_are_credited() {
    let options = Options {
        days: Some(21),
        persons: Some(400),
        bad: 0.0,
        late: 0.0,
        wallet: true,
        ..Options::default()
    };
    let made: Vec<String> = lines(options.clone())
        .unwrap()
        .map(|line| line.to_trace_line() + "\n")
        .collect();
    let is_pass = |line: &&String| line.contains("\"tributary.in.orchard.wallet\"");
    let passes = made.iter().filter(is_pass).count();
    assert!(passes > 200, "{passes}");
    let cells = cells(&options, &made.concat());
    for part in [
        "\"family\":\"wallet_day\"",
        "\"family\":\"scan_day\"",
        "\"family\":\"redemption_day\"",
        "\"kind\":\"visit\",\"medium\":\"push\",\"model\":\"linear\",\"source\":\"wallet\"",
        "\"kind\":\"visit\",\"medium\":\"push\",\"month\":\"2025-10\",\"source\":\"wallet\"",
    ] {
        assert!(cells.iter().any(|line| line.contains(part)), "{part}");
    }
}

/// The sum of a value over all cells of a notice.
fn sum(lines: &[String], notice: &str, value: &str) -> u64 {
    let cells = lines.iter().filter_map(|line| {
        let cell: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_of_notice =
            cell["family"] == "notice_day" && cell["cell"]["notice"].as_str() == Some(notice);
        is_of_notice
            .then(|| cell["value"][value].as_u64())
            .flatten()
    });
    cells.sum()
}

#[test]
fn members_read_a_form_and_some_take_a_tick_back() {
    let options = Options {
        days: Some(28),
        persons: Some(600),
        bad: 0.0,
        late: 0.0,
        wallet: true,
        consent: true,
        ..Options::default()
    };
    let made = lines(options.clone()).unwrap();
    let made: Vec<_> = made.collect();
    // The other events are those of a world without forms.
    let without = lines(Options {
        consent: false,
        ..options.clone()
    });
    let of = |line: &&tributary_simulate::Line| !line.subject.ends_with(".consent");
    assert_eq!(
        made.iter().filter(of).count(),
        without.unwrap().count(),
        "forms change no other event"
    );
    let text: String = made
        .iter()
        .map(|line| line.to_trace_line() + "\n")
        .collect();
    let cells = cells(&options, &text);
    for value in ["ticked", "unticked", "preticked", "withdrawn"] {
        let sum = sum(&cells, "loyalty form", value);
        assert!(sum > 0, "{value}");
    }
    assert!(sum(&cells, "account settings", "unticked") > 0);
}

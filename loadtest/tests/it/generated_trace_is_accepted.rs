//! A generated trace with its generated configuration: the decoder accepts everything except the
//! lines that are malformed on purpose, and the oracle finds cells of every family.

use std::path::Path;

use tributary_connectors::inputs;
use tributary_loadtest::verify;
use tributary_simulate::{Options, SecretFrom, config_toml, lines};

#[test]
fn all_but_the_spoilt_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("t.ndjson");
    let options = Options {
        events: Some(8_000),
        bad: 0.01,
        ..Options::default()
    };
    let text: String = lines(options.clone())
        .unwrap()
        .map(|line| line.to_trace_line() + "\n")
        .collect();
    std::fs::write(&trace, text).unwrap();
    let secret = folder.path().join("orchard.secret");
    tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
    let origin = folder.path().join("orchard.toml");
    let config = config_toml(&options, SecretFrom::File(Path::new("orchard.secret")));
    let config = tributary_config::parse(&config, &origin).unwrap().config;

    let arguments = [trace.display().to_string()];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let expected = verify::expected(&config, &mut opened).unwrap();
    assert_eq!((expected.messages, expected.skipped), (8_000, 0));
    let refused: u64 = expected.refused.values().sum();
    assert_eq!(expected.accepted + refused, 8_000);
    assert!((20..=400).contains(&refused), "{expected}");
    assert_eq!(opened.progress().read(), opened.progress().total());
    for family in [
        "attribution",
        "store_day",
        "campaign_day",
        "markov_month",
        "spend_day",
        "orders_day",
        "visits",
        "identity",
    ] {
        let named = format!("\"family\":\"{family}\"");
        assert!(
            expected.lines.iter().any(|line| line.contains(&named)),
            "{family}"
        );
    }
    assert!(expected.lines.is_sorted());

    // The same again is the same, and a changed cell is found.
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let again = verify::expected(&config, &mut opened).unwrap();
    let mut output: Vec<u8> = again
        .lines
        .iter()
        .flat_map(|l| format!("{l}\n").into_bytes())
        .collect();
    assert!(verify::compare(&expected.lines, &output).same());
    let digit = output.iter().rposition(u8::is_ascii_digit).unwrap();
    output[digit] = if output[digit] == b'9' { b'8' } else { b'9' };
    let comparison = verify::compare(&expected.lines, &output);
    assert_eq!(comparison.differences.len(), 1);
}

//! A world in each vendor's format, with its generated configuration: the adapter accepts what the vendor would send, and
//! it counts.

use std::path::Path;

use tributary_connectors::inputs;
use tributary_loadtest::verify;
use tributary_simulate::{MERAKI_SECRET, Options, SecretFrom, Vendor, config_toml, lines};

#[test]
fn every_format_is_accepted() {
    for vendor in Vendor::ALL {
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("t.ndjson");
        let options = Options {
            events: Some(3_000),
            bad: 0.0,
            vendor: Some(vendor),
            ..Options::default()
        };
        let lines: Vec<_> = lines(options.clone()).unwrap().collect();
        let of_kind = format!("tributary.in.orchard.{}", vendor.kind().name());
        let converted = lines.iter().filter(|line| line.subject == of_kind).count();
        let text: String = lines
            .iter()
            .map(|line| line.to_trace_line() + "\n")
            .collect();
        std::fs::write(&trace, text).unwrap();
        let secret = tributary_testkit::SECRET;
        tributary_testkit::write_secret(folder.path().join("orchard.secret"), secret);
        tributary_testkit::write_secret(folder.path().join("meraki.secret"), MERAKI_SECRET);
        let config = config_toml(&options, SecretFrom::File(Path::new("orchard.secret")));
        assert!(config.contains(&format!("format = \"{}\"", vendor.name())));
        let origin = folder.path().join("orchard.toml");
        let config = tributary_config::parse(&config, &origin).unwrap().config;
        let mut opened = inputs::open(Some(&config), &[trace.display().to_string()]).unwrap();
        let expected = verify::expected(&config, &mut opened).unwrap();
        let name = vendor.name();
        // Some pings arrive after their day was closed, in every format.
        let refused = expected
            .refused
            .keys()
            .filter(|reason| **reason != "late_ping");
        assert_eq!(refused.count(), 0, "{name}: {expected}");
        assert!(converted > 100, "{name}: {converted}");
        // What a format cannot say is not mapped; most of it is said.
        let left_out = 3_000 - expected.accepted;
        assert!(
            left_out * 4 < converted as u64,
            "{name}: {left_out} of {converted}: {expected}"
        );
        let family = match vendor.name() {
            "meraki" => "visits",
            "google_offline" | "meta" => "store_day",
            _ => "orders_day",
        };
        let named = format!("\"family\":\"{family}\"");
        assert!(
            expected.lines.iter().any(|line| line.contains(&named)),
            "{name}: no {family}"
        );
    }
}

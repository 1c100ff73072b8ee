//! Sightings of partners in a simulated shop: the decoder accepts them, and more bits of their cookies match them more sharply.

use std::path::{Path, PathBuf};

use tributary_connectors::inputs;
use tributary_loadtest::matching::{Judged, StoreDay, probes, simulated};
use tributary_loadtest::verify;
use tributary_simulate::{Options, SecretFrom, config_toml, lines};
use tributary_testkit::skipped;

/// More bits find no more visits, and give less to strangers.
fn assert_sharper(days: &[StoreDay]) {
    let judged = |bits: u32| {
        let days = days.iter().map(|day| day.judge(bits));
        days.fold(Judged::default(), Judged::plus)
    };
    let (none, many) = (judged(0), judged(10));
    assert!(none.real > 0 && many.found > 0, "{none:?} {many:?}");
    assert!(many.found <= none.found, "{none:?} {many:?}");
    assert!(many.wrong < none.wrong, "{none:?} {many:?}");
}

#[test]
fn sightings_of_simulated_phones_find_their_visits() {
    assert_sharper(&simulated(800).unwrap());
}

#[test]
fn sightings_in_a_real_room_find_their_visits() {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/wifi_probe_brno");
    if !folder.exists() {
        skipped("the public data set wifi_probe_brno is not here");
        return;
    }
    let days = ["2024-03-21", "2024-03-28", "2024-05-03"];
    let days = days.map(|day| probes(&folder.join(format!("probes_{day}.csv.gz"))).unwrap());
    assert_sharper(&days);
}

#[test]
fn the_records_of_partners_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("t.ndjson");
    let options = Options {
        days: Some(10),
        persons: Some(400),
        bad: 0.0,
        late: 0.0,
        partners: true,
        wallet: true,
        ..Options::default()
    };
    let mut world = lines(options.clone()).unwrap();
    let (mut made, mut truth) = (Vec::new(), 0);
    while let Some(line) = world.next() {
        made.push(line.to_trace_line() + "\n");
        truth += world.take_true_visits().len();
    }
    let with = |part: &str| made.iter().filter(|line| line.contains(part)).count();
    for part in [
        "\"type\":\"sighting\"",
        "\"type\":\"exposure\"",
        "\"type\":\"link\"",
        "\"associated\":true",
    ] {
        assert!(with(part) > 50, "{part}: {}", with(part));
    }
    assert!(truth > 50, "{truth}");
    std::fs::write(&trace, made.concat()).unwrap();
    let secret = tributary_testkit::SECRET;
    tributary_testkit::write_secret(folder.path().join("orchard.secret"), secret);
    let config = config_toml(&options, SecretFrom::File(Path::new("orchard.secret")));
    let config = tributary_config::parse(&config, &folder.path().join("orchard.toml"));
    let config = config.unwrap().config;
    let arguments = [trace.display().to_string()];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let expected = verify::expected(&config, &mut opened).unwrap();
    assert_eq!(expected.refused.values().sum::<u64>(), 0, "{expected}");
}

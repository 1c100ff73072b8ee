//! What a reload takes and what it refuses.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;

use super::*;

fn config(head: &str, brand: &str) -> Config {
    let text = format!(
        "{head}\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n{brand}"
    );
    let environment = |name: &str| match name {
        "A" => Some("acme 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned()),
        "B" => Some("beta 224ff3c627f30dd0f8e3fdb63bf28aa6".to_owned()),
        _ => None,
    };
    let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
    loaded
        .unwrap_or_else(|problems| panic!("{problems}"))
        .config
}

/// What a reload refuses.
fn refused(head: &str, brand: &str) -> Vec<String> {
    let refused = plan(&config("", ""), config(head, brand), true);
    refused.err().unwrap()
}

/// The paths that a reload changes, and whether the process has to change for them.
fn changed(head: &str, brand: &str) -> (Vec<String>, bool) {
    let next = config(head, brand);
    let plan = plan(&config("", ""), next.clone(), true).ok().unwrap();
    let left = changes(&plan.next, &next);
    assert!(left.is_empty(), "{left:?}");
    let paths = plan.changes.into_iter().map(|change| change.path);
    (paths.collect(), plan.of_the_process)
}

#[test]
fn what_is_read_where_it_is_used_changes() {
    let head = "[log]\nlevel = \"debug\"\n[workers]\nmemory = 64\n[http]\nhosts = [\"m.example\"]\nopen = true\n";
    let (paths, of_the_process) = changed(head, "");
    assert_eq!(
        paths,
        ["http.hosts", "http.open", "log.level", "workers.memory"]
    );
    assert!(!of_the_process);
    assert!(changed("", "").0.is_empty());
}

const BETA: &str = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"B\"\n";
const WEB: &str = "[[brand.source]]\nname = \"web\"\nkind = \"web\"\n[[brand.source]]\nname = \"shop\"\nkind = \"web\"\n";

#[test]
fn the_process_takes_brands_and_sources() {
    let (paths, of_the_process) = changed("[log]\nlevel = \"debug\"\n", BETA);
    assert_eq!(paths, ["brand.beta", "log.level"]);
    assert!(of_the_process);
    let (paths, of_the_process) = changed("", WEB);
    assert_eq!(paths, ["brand.acme.source.shop"]);
    assert!(of_the_process);
}

#[test]
fn what_has_no_dataflow_of_its_own_takes_no_brand() {
    let refused = plan(&config("", ""), config("", BETA), false).err();
    assert_eq!(refused.unwrap(), ["brand.beta is new: needs a restart"]);
    let hosts = "[workers]\nhosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";
    let refused = plan(&config(hosts, ""), config(hosts, BETA), true).err();
    assert_eq!(
        refused.unwrap(),
        ["brand.beta is new: needs a restart of all processes of the cluster, together"]
    );
}

#[test]
fn the_process_takes_a_gate_that_hides_more_and_no_other() {
    let of = |release: &str| config(&format!("[release]\n{release}\n"), "");
    let planned = |before: &str, after: &str| plan(&of(before), of(after), true);
    let taken = |before: &str, after: &str| {
        let plan = planned(before, after).ok().unwrap();
        assert!(plan.of_the_process);
        let paths = plan.changes.into_iter().map(|change| change.path);
        paths.collect::<Vec<_>>()
    };
    assert_eq!(
        taken("k = 2", "k = 20"),
        ["release.k", "release.k_delta", "release.k_traffic"]
    );
    assert_eq!(
        taken("k = 20\ndominance = 80", "k = 20\ndominance = 70"),
        ["release.dominance"]
    );
    assert_eq!(
        taken("max_hold = \"1h\"", "max_hold = \"2h\""),
        ["release.max_hold"]
    );
    for (before, after) in [
        ("k = 20", "k = 19"),
        ("k = 20\ndominance = 70", "k = 20\ndominance = 71"),
        ("k = 20\nk_delta = 5", "k = 21\nk_delta = 4"),
        ("k_traffic = 10", "k_traffic = 9"),
        ("max_hold = \"2h\"", "max_hold = \"1h\""),
    ] {
        let refused = planned(before, after).err().unwrap();
        let why = "needs a restart, because only a gate that hides more is taken without one";
        assert!(refused.iter().any(|of| of.ends_with(why)), "{refused:?}");
    }
    let refused = planned("k = 1", "k = 20").err().unwrap();
    let why = "needs a restart, because a gate with k = 1 publishes other cells";
    assert!(refused.iter().all(|of| of.ends_with(why)), "{refused:?}");
    let random = planned("k = 5\nk_traffic = 1", "k = 5\nk_traffic = 5").err();
    assert_eq!(random.unwrap().len(), 1);
    // The gate of a brand that is new is its own matter.
    let own = format!("{BETA}[brand.release]\nk = 3\n");
    assert_eq!(changed("", &own).0, ["brand.beta"]);
}

#[test]
fn a_shard_learns_of_the_brands_of_others() {
    let of = |beta: &str| {
        let brands = format!("shard = \"north\"\n{beta}");
        let config = config("[workers]\nshard = \"north\"\n", &brands);
        config.of_its_shard().unwrap()
    };
    let [south, west] = ["south", "west"].map(|shard| format!("{BETA}shard = \"{shard}\"\n"));
    let changed = |before: &str, after: &str| {
        let reload = plan(&of(before), of(after), true).ok().unwrap();
        assert!(reload.of_the_process);
        assert_eq!(reload.next.others, of(after).others);
        let changes = reload.changes.iter().map(Change::to_string);
        changes.collect::<Vec<_>>()
    };
    assert_eq!(
        changed("", &south),
        ["brand.beta of the shard south is new"]
    );
    assert_eq!(
        changed(&south, ""),
        ["brand.beta of the shard south was removed"]
    );
    let moved = "brand.beta.shard changed from the shard south to the shard west";
    assert_eq!(changed(&south, &west), [moved]);
}

#[test]
fn a_source_that_changes_what_came_before_is_refused() {
    let partner = "[[brand.source]]\nname = \"mall\"\nkind = \"partner\"\n";
    assert_eq!(
        refused("", partner),
        [
            "brand.acme.source.mall is new: needs a restart, because visits of before would have to be matched with its sightings"
        ]
    );
    let open = "[[brand.source]]\nname = \"tags\"\nkind = \"web\"\ntrust = \"open\"\n[[brand.source]]\nname = \"web\"\nkind = \"web\"\n";
    assert_eq!(
        refused("", open),
        [
            "brand.acme.source.tags is new: needs a restart, because the journeys of before would vouch for nobody any more"
        ]
    );
}

#[test]
fn everything_else_is_refused_by_name_and_nothing_is_applied() {
    let head = "[log]\nlevel = \"debug\"\n[workers]\nthreads = 3\n[release]\nk = 40\n";
    assert_eq!(
        refused(head, ""),
        [
            "release.k changed from 50 to 40: needs a restart, because only a gate that hides more is taken without one",
            "workers.threads changed from 1 to 3: needs a restart"
        ]
    );
    let telemetry = "[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\nepoch_share = \"1\"\n";
    assert_eq!(
        refused(telemetry, ""),
        [
            "telemetry.epoch_share changed from \"0.01\" to \"1\": needs a restart",
            "telemetry.otlp_endpoint changed from not set to \"http://127.0.0.1:4318\": needs a restart"
        ]
    );
    let source = "[[brand.source]]\nname = \"shop\"\nkind = \"web\"\n";
    assert_eq!(
        refused("", source),
        // The one that the kind has by itself.
        ["brand.acme.source.web was removed: needs a restart"]
    );
    let hosts = "[workers]\nhosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n";
    assert_eq!(
        refused(hosts, ""),
        [
            "workers.hosts changed from [] to [\"127.0.0.1:1\", \"127.0.0.1:2\"]: needs a restart of all processes of the cluster, together"
        ]
    );
}

#[test]
fn a_secret_is_named_and_never_shown() {
    let text = |secret: &str| {
        let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"A\"\n[brand.identity]\nblocked = [\"BLOCKED\"]\n"
            .replace("BLOCKED", secret);
        let environment =
            |name: &str| (name == "A").then(|| format!("{secret} {}", tributary_testkit::SECRET));
        tributary_config::parse_in(&text, Path::new("t"), &environment)
            .unwrap()
            .config
    };
    let refused = plan(&text("one"), text("two"), true).err();
    assert_eq!(
        refused.unwrap(),
        [
            "brand.acme.identity.blocked changed: needs a restart",
            "brand.acme.secret changed: needs a restart"
        ]
    );
}

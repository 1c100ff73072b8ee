//! Environment variables override the file's settings of `[nats]`, `[workers]` and `[http]`.

use std::path::Path;

use crate::common::{brand, environment};
use tributary_config::{LoadedConfig, Problems, parse_in};

fn read(text: &str, variables: &[(&str, &str)]) -> Result<LoadedConfig, Problems> {
    parse_in(text, Path::new("tributary.toml"), &|name| {
        let own = variables.iter().find(|(key, _)| *key == name);
        own.map(|(_, value)| (*value).to_owned())
            .or_else(|| environment(name))
    })
}

#[test]
fn variables_override_the_file() {
    let text = format!(
        "[nats]\nurl = \"nats://a:1\"\n[workers]\nthreads = 2\n{}",
        brand("")
    );
    let config = read(
        &text,
        &[
            ("TRIBUTARY_NATS_URL", "tls://b:2"),
            ("TRIBUTARY_NATS_TLS", "true"),
            ("TRIBUTARY_WORKERS_PROCESS", "1"),
            ("TRIBUTARY_WORKERS_HOSTS", "a:1, b:1"),
            ("TRIBUTARY_WORKERS_PRIVATE_NETWORK", "true"),
            ("TRIBUTARY_WORKERS_TICK", "1s"),
            ("TRIBUTARY_HTTP_LISTEN", "127.0.0.1:1"),
            ("TRIBUTARY_WORKERS_THREADS", ""),
            ("TRIBUTARY_RELEASE_K", "1"),
        ],
    )
    .unwrap()
    .config;
    assert_eq!(config.nats.url, "tls://b:2");
    assert!(config.nats.tls);
    assert_eq!((config.workers.process, config.workers.tick_ms), (1, 1_000));
    assert_eq!(config.workers.hosts, ["a:1", "b:1"]);
    assert_eq!(config.http.listen.port(), 1);
    assert_eq!(
        config.workers.threads, 2,
        "an empty variable counts as absent"
    );
    assert_eq!(
        config.release.k, 50,
        "what a number means is the file's alone"
    );
}

#[test]
fn a_variable_drops_what_it_excludes() {
    let text = format!(
        "[nats]\nuser = \"u\"\npassword_env = \"SECRET\"\n{}",
        brand("")
    );
    let nats = read(&text, &[("TRIBUTARY_NATS_NKEY_SEED_ENV", "OTHER")])
        .unwrap()
        .config
        .nats;
    assert!(nats.nkey_seed.is_some() && nats.user.is_none() && nats.password.is_none());
}

#[test]
fn a_wrong_variable_is_named() {
    let problems = read(&brand(""), &[("TRIBUTARY_WORKERS_THREADS", "many")]).unwrap_err();
    let shown = problems.to_string();
    assert!(
        shown.starts_with("environment: TRIBUTARY_WORKERS_THREADS: must be a whole number"),
        "{shown}"
    );
    let problems = read(
        &brand(""),
        &[("TRIBUTARY_NATS_URL", "nats://bob:hunter2@h:1")],
    )
    .unwrap_err();
    assert!(!problems.to_string().contains("hunter2"));
}

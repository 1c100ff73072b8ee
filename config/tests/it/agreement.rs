//! Reading, printing, schema and reference agree, because all of them walk one table.

use std::path::Path;

use serde_json::Value;
use tributary_config::model::{Config, LabelCase};
use tributary_config::{parse_in, print, reference, schema};

/// Every setting at a value that is not its default, but those that exclude one another.
const ODD: &str = r#"
[nats]
url = "tls://a:1,tls://b:2"
user = "u"
password_env = "OTHER"
tls = true
private_network = true
input_stream = "A"
pings_stream = "E"
pings_max_age = "30m"
output_stream = "B"
dead_letter_stream = "C"
rights_stream = "D"
partitions = 8
replicas = 3
[workers]
threads = 3
process = 1
hosts = ["a:1", "[::1]:2"]
tls_ca_file = "DATA-PROTECTION.md"
tls_cert_file = "DATA-PROTECTION.md"
tls_key_file = "KEY"
private_network = true
address = "c:3"
standby = true
tick = "1500ms"
region = "eu-west"
shard = "north"
max_clock_skew = "2m"
memory = 2048
[log]
level = "debug"
[telemetry]
otlp_endpoint = "http://otel.example:4318/tributary"
otlp_headers_env = "OTHER"
otlp_ca_file = "DATA-PROTECTION.md"
private_network = true
epoch_share = "0.25"
service_name = "measurement"
[ledger]
directory = "/var/lib/tributary"
backup_days = 90
backup = "/var/backup"
backup_every = "5m"
[http]
listen = "[::1]:9465"
open = true
max_series = 7
hosts = ["metrics.shop.example"]
opendsr_domain = "rights.example.com"
opendsr_certificate_file = "DATA-PROTECTION.md"
opendsr_key_file = "KEY"
opendsr_callbacks = ["https://controller.example"]
opendsr_private_callbacks = true
[http_ingest]
listen = "127.0.0.1:9465"
max_body = 4096
origins = ["https://shop.example", "http://localhost:3000"]
window = 9
[ingest]
max_future = "90s"
strict = true
max_message_bytes = 4096
[release]
k = 30
k_traffic = 20
ladder = "finest"
dominance = 90
cadence = "0s"
k_delta = 1
max_hold = "2h"
freeze_after = "30d"
[[brand]]
name = "zeta"
timezone = "Europe/Paris"
currency = "JPY"
phone_region = "FR"
region = "eu-west"
shard = "north"
secret_env = "SECRET"
[brand.identity]
max_degree = { email = 1, phone = 2, cookie = 3, customer = 4, wallet = 5, device = 6, name_postcode = 0, click_id = 9 }
link_ttl = { email = "1d", phone = "2d", cookie = "3d", customer = "4d", wallet = "5d", device = "6d", name_postcode = "7d", click_id = "8d" }
max_identifiers = 8
name_postcode = true
click_id = true
rules = ["uid2", "plain", "meta"]
relay_domains = ["relay.example"]
[brand.attribution]
click_window = "1d"
view_window = "2h"
impression_window = "3m"
max_path = 4
max_channels = 40
half_life = "5s"
position = [1, 2, 3]
[brand.channels]
own_hosts = ["shop.example"]
ignored_referrers = ["pay.example"]
case = "lower"
[brand.names]
stores = { "s 1" = "Lyon" }
channels = { "google/cpc" = "Google Ads" }
[brand.sensors]
min_rssi = -60
associated = false
min_dwell = "90s"
max_presence = "7h"
max_devices = 1000
cookie_bits = 8
cookie_share = 4
day_start = "04:30:05"
[brand.wallet]
gap = "20m"
[brand.partners]
slack = "1m"
settle_after = "3d"
[[brand.partner]]
name = "waze"
sources = ["waze", "Waze Ads"]
[brand.consent]
vendor = 755
publisher = false
legitimate_interest = [9, 7]
feature_2 = true
also_needs = { hold = [2], credit = [3], join = [7, 8], link = [1], position = [10], share = [11] }
[[brand.box]]
name = "news"
notice = "terms"
needs = [2, 7]
[brand.retention]
identification_months = 1
transactions_months = 2
cookies_months = 3
consent_months = 4
visits_months = 5
exposures_months = 6
[brand.release]
k = 40
k_traffic = 5
k_delta = 1
[brand.noise]
epsilon = "0.25"
count = 3
money = 12345
[[brand.source]]
name = "s"
kind = "transaction"
format = "csv"
zone = "America/New_York"
phone_region = "US"
hash_rule = "meta"
basis = "consent"
trust = "open"
unit = "s"
arrival_header = true
[brand.source.csv]
delimiter = "\t"
decimal = "comma"
encoding = "windows-1252"
time_patterns = ["%d/%m/%Y %H:%M"]
nulls = ["--", "\"", "\\N"]
sum_rows = true
only = { "a b" = "c\"d", e = "" }
columns = { id = "i", ts = { lookup = "f.csv", by = "b", key = "k", value = "v" }, store = { const = "" }, amount = { join = ["x", "y"], with = "." } }
[[brand.source]]
name = "t"
kind = "web"
format = "segment"
events = { "Course Clicked" = "click" }
store = "s 1"
stores = { "a b" = "c" }
user_id = "phone"
consent_categories = { Analytics = [1, 9], Sale = ["do_not_sell"] }
ce_source = "/shop"
[[brand.source]]
name = "u"
kind = "ping"
format = "meraki"
secret_env = "SECRET"
noise_floor = -90
validator = "0123abcd"
bluetooth = true
[[brand.source]]
name = "v"
kind = "transaction"
format = "google_offline"
conversions = { "In store" = "order" }
[[brand.source]]
name = "w"
kind = "transaction"
format = "meta"
cookies = ["fbp"]
[[brand.source]]
name = "x"
kind = "consent"
format = "apple_signin"
account_delete = "object"
[[brand.source]]
name = "y"
kind = "partner"
basis = "consent"
blur = "2h"
"#;

/// [`ODD`] with keys that nobody else can read, in a directory of their own.
fn odd() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "key").unwrap();
    crate::common::private(&key);
    let text = ODD.replace("\"KEY\"", &format!("{key:?}"));
    (directory, text)
}

/// The printed configuration with its masks turned back into the names of variables.
fn unmasked(printed: &str) -> String {
    printed
        .replace("secret = \"***\"", "secret_env = \"SECRET\"")
        .replace("password = \"***\"", "password_env = \"OTHER\"")
        .replace("otlp_headers = \"***\"", "otlp_headers_env = \"OTHER\"")
}

fn assert_reads_back(config: &Config) {
    let printed = print(config);
    let again = parse_in(
        &unmasked(&printed),
        Path::new("other.toml"),
        &crate::common::environment,
    )
    .unwrap_or_else(|problems| panic!("{problems}\n{printed}"));
    assert_eq!(format!("{config:?}"), format!("{:?}", again.config));
    assert_eq!(printed, print(&again.config));
}

#[test]
fn what_is_printed_reads_back() {
    let (_directory, odd) = odd();
    assert_reads_back(&crate::common::good(&odd).config);
    assert_reads_back(&crate::common::good(&crate::common::brand("")).config);
}

#[test]
fn paths_are_printed_so_that_they_read_back_from_anywhere() {
    let directory = crate::common::example_directory();
    let text = format!(
        "[[http.token]]\nbrand = \"acme\"\nrole = \"read\"\nsha256_file = \"acme-read.sha256\"\n[nats]\ncredentials_file = \"tributary.creds\"\ntls_ca_file = \"ca.pem\"\ntls_cert_file = \"client.pem\"\ntls_key_file = \"client-key.pem\"\n[workers]\ntls_ca_file = \"ca.pem\"\ntls_cert_file = \"client.pem\"\ntls_key_file = \"client-key.pem\"\n{}",
        crate::common::brand("")
    );
    let loaded = parse_in(
        &text,
        &directory.path().join("x.toml"),
        &crate::common::environment,
    )
    .unwrap();
    assert!(
        loaded
            .config
            .nats
            .credentials_file
            .as_ref()
            .unwrap()
            .is_absolute()
    );
    assert_reads_back(&loaded.config);
}

#[test]
fn defaults_are_marked_and_others_are_not() {
    let printed = print(&crate::common::good(&crate::common::brand("")).config);
    let unmarked: Vec<&str> = (printed.lines())
        .filter(|line| line.contains(" = ") && !line.ends_with("# default"))
        .collect();
    assert_eq!(
        unmarked.iter().take(2).copied().collect::<Vec<_>>(),
        ["name = \"acme\"", "secret = \"***\""]
    );
    assert!(
        unmarked
            .iter()
            .skip(2)
            .all(|line| line.starts_with("name") || line.starts_with("kind"))
    );
    let (_directory, odd) = odd();
    let odd = print(&crate::common::good(&odd).config);
    let marked: Vec<&str> = odd
        .lines()
        .filter(|line| line.ends_with("# default"))
        .collect();
    // The three lists that are never shown, who is not the vendor, the sources of vendors, and the two that go without saying.
    let expected = [
        "previous_secret_files = [] # default",
        "blocked = [] # default",
        "stores = [] # default",
        "fixed_devices = [] # default",
        "publisher = false # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "format = \"native\" # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "format = \"native\" # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
        "format = \"native\" # default",
        "hash_rule = \"plain\" # default",
        "unit = \"ms\" # default",
        "arrival_header = false # default",
    ];
    assert_eq!(marked, expected);
}

#[test]
fn defaults_are_the_specification() {
    let config = crate::common::good(&crate::common::brand("")).config;
    assert_eq!(
        (
            config.release.k,
            config.release.k_traffic,
            config.release.cadence_ms
        ),
        (50, 10, 60_000)
    );
    assert_eq!(
        (
            config.release.k_delta,
            config.release.max_hold_ms,
            config.release.freeze_after_ms
        ),
        (10, 3_600_000, 90 * 86_400_000)
    );
    assert_eq!(
        (
            config.ingest.max_future_ms,
            config.ingest.strict,
            config.ingest.max_message_bytes
        ),
        (600_000, false, 8 << 20)
    );
    assert_eq!(
        (
            config.workers.threads,
            config.workers.process,
            config.workers.tick_ms
        ),
        (1, 0, 5)
    );
    assert_eq!(
        (
            config.http.listen.to_string().as_str(),
            config.http.max_series,
            config.http.opendsr_domain.as_deref()
        ),
        ("127.0.0.1:9464", 200, None)
    );
    let brand = &config.brands[0];
    let degrees: Vec<(&str, u32)> = brand
        .identity
        .max_degree
        .iter()
        .map(|(kind, n)| (kind.as_str(), *n))
        .collect();
    assert_eq!(
        degrees,
        [
            ("click_id", 3),
            ("cookie", 10),
            ("customer", 50),
            ("device", 10),
            ("email", 20),
            ("name_postcode", 10),
            ("phone", 10),
            ("wallet", 10)
        ]
    );
    assert_eq!(
        (brand.identity.max_identifiers, brand.identity.name_postcode),
        (100, false)
    );
    let day = 86_400_000;
    let attribution = &brand.attribution;
    assert_eq!(
        (
            attribution.click_window_ms,
            attribution.view_window_ms,
            attribution.impression_window_ms,
            attribution.half_life_ms
        ),
        (30 * day, 30 * day, 7 * day, 7 * day)
    );
    assert_eq!(
        (
            attribution.max_path,
            attribution.max_channels,
            attribution.position
        ),
        (200, 500, [40, 20, 40])
    );
    let sensors = &brand.sensors;
    assert_eq!(
        (
            sensors.min_rssi,
            sensors.min_dwell_s,
            sensors.max_presence_s,
            sensors.max_devices,
            sensors.day_start_s
        ),
        (-75, 60, 28_800, 200_000, 0)
    );
    assert_eq!(brand.wallet.gap_ms, 30 * 60_000);
    assert_eq!(brand.currency, "EUR");
    let retention = &brand.retention;
    assert_eq!(
        (
            retention.identification_months,
            retention.transactions_months,
            retention.cookies_months,
            retention.consent_months,
            retention.visits_months,
            retention.exposures_months
        ),
        (24, 24, 13, 60, 13, 13)
    );
    let channels = &brand.channels;
    assert_eq!(channels.own_hosts, Vec::<String>::new());
    assert!(
        channels
            .ignored_referrers
            .contains(&"paypal.com".to_owned())
    );
    assert_eq!(channels.case, LabelCase::Keep);
    let noise = &brand.noise;
    assert_eq!(
        (noise.epsilon_thousandths, noise.count, noise.money_minor),
        (None, 1, None)
    );
    assert!(!brand.consent.reads_strings());
    assert!(brand.consent.also_needs.values().all(Vec::is_empty));
}

#[test]
fn traffic_needs_no_more_than_the_others() {
    let config = crate::common::good(&crate::common::brand("[release]\nk = 3")).config;
    assert_eq!((config.release.k_traffic, config.release.k_delta), (3, 3));
    assert!(print(&config).contains("k_traffic = 3 # default"));
    assert!(print(&config).contains("k_delta = 3 # default"));
}

/// Calls `each` with the path and the schema of every setting.
fn walk(schema: &Value, path: &str, each: &mut dyn FnMut(&str, &Value)) {
    for (key, property) in schema["properties"].as_object().unwrap() {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        if property.get("properties").is_some() {
            walk(property, &path, each);
        } else if property["items"].get("properties").is_some() {
            walk(&property["items"], &format!("{path}[]"), each);
        } else {
            each(&path, property);
        }
    }
}

#[test]
fn every_setting_of_the_schema_stands_in_the_reference() {
    let reference = reference();
    let mut count = 0;
    walk(&schema(), "", &mut |path, setting| {
        let row = reference
            .lines()
            .find(|line| line.starts_with(&format!("| `{path}` |")));
        let row = row.unwrap_or_else(|| panic!("{path} is not in the reference"));
        let meaning = setting["description"].as_str().unwrap();
        let unit = meaning.rfind(" In ").map_or(meaning, |i| &meaning[..i]);
        assert!(row.contains(unit) || row.contains(meaning), "{path}: {row}");
        assert!(
            setting.get("title").is_some() && setting.get("type").is_some(),
            "{path}"
        );
        count += 1;
    });
    let rows = reference
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('`').count() >= 2);
    assert!(rows.count() >= count && count > 60, "{count}");
    assert!(reference.contains("| `brand[].identity.max_degree.email` | a whole number from 0 to 1000000 | `20` | identifiers |"));
}

#[test]
fn the_schema_knows_every_setting_that_is_printed() {
    let mut known = Vec::new();
    walk(&schema(), "", &mut |path, _| {
        known.push(path.replace("[]", ""))
    });
    let mut section = String::new();
    let (_directory, odd) = odd();
    for line in unmasked(&print(&crate::common::good(&odd).config)).lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        } else if let Some((key, _)) = line.split_once(" = ") {
            assert!(
                known.contains(&format!("{section}.{key}")),
                "{section}.{key}"
            );
        }
    }
}

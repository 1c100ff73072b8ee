//! Arguments name traces and files of CSV sources; several are read one after the other, and a
//! wrong one is reported before anything is read.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tributary_config::model::Config;
use tributary_connectors::inputs::{self, InputsError};

fn write_secret(path: PathBuf, secret: &str) {
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn config(folder: &Path) -> Config {
    write_secret(
        folder.join("secret"),
        "secret 224ff3c627f30dd0f8e3fdb63bf28aa6",
    );
    write_secret(
        folder.join("other"),
        "other 224ff3c627f30dd0f8e3fdb63bf28aa6",
    );
    let source = "[[brand.source]]\nname = \"till\"\nkind = \"transaction\"\nformat = \"csv\"\n\
                  [brand.source.csv]\ncolumns = { id = \"no\", ts = \"time\", store = \"shop\", amount = \"sum\" }\n";
    let text = format!(
        "[[brand]]\nname = \"acme\"\nsecret_file = \"secret\"\n{source}\
         [[brand]]\nname = \"birch\"\nsecret_file = \"other\"\n{source}"
    );
    tributary_config::parse(&text, &folder.join("c.toml"))
        .unwrap()
        .config
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn traces_and_csv_files_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = config(folder);
    let trace = write(
        folder,
        "a=b.ndjson",
        "{\"subject\":\"tributary.in.acme.web\",\"at\":5,\"data\":{}}\nnonsense\n",
    );
    let rows = write(
        folder,
        "till.csv",
        "no,time,shop,sum\n1,2024-01-01T10:00:00Z,s1,12.50\n",
    );
    let arguments = [trace.clone(), format!("birch/till={rows}"), trace];
    let mut opened = inputs::open(Some(&config), &arguments).unwrap();
    let subjects: Vec<String> = opened.by_ref().map(|line| line.unwrap().subject).collect();
    let expected = [
        "tributary.in.acme.web",
        "tributary.in.birch.transaction.till",
        "tributary.in.acme.web",
    ];
    assert_eq!(subjects, expected);
    assert_eq!((opened.messages(), opened.skipped()), (3, 2));
}

#[test]
fn a_wrong_argument_says_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let config = config(folder);
    let rows = write(folder, "till.csv", "no,time,shop,sum\n");
    let said = |config: Option<&Config>, argument: String| {
        inputs::open(config, &[argument]).err().unwrap().to_string()
    };
    assert!(said(Some(&config), format!("till={rows}")).contains("brand/till=path"));
    assert!(said(Some(&config), format!("acme/web={rows}")).contains("in the native format"));
    assert!(said(Some(&config), format!("shop={rows}")).contains("acme/till, birch/till"));
    assert!(said(None, format!("acme/till={rows}")).contains("configuration"));
    assert!(said(Some(&config), "absent.ndjson".to_owned()).contains("absent.ndjson"));
    assert!(matches!(inputs::open(None, &[]), Err(InputsError::None)));
}

/// The arrivals of the items of a file of a source.
fn arrivals(source: &str, name: &str, text: &str) -> Vec<i64> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_secret(
        folder.join("secret"),
        "secret 224ff3c627f30dd0f8e3fdb63bf28aa6",
    );
    let config = format!(
        "[[brand]]\nname = \"acme\"\nsecret_file = \"secret\"\n[[brand.source]]\nname = \"s\"\n{source}"
    );
    let config = tributary_config::parse(&config, &folder.join("c.toml"));
    let config = config.unwrap().config;
    let argument = format!("s={}", write(folder, name, text));
    let lines = inputs::open(Some(&config), &[argument]).unwrap();
    lines.map(|line| line.unwrap().at).collect()
}

/// 2026-05-01T10:00:00Z.
const MAY: i64 = 1_777_629_600_000;

#[test]
fn a_bundle_arrives_with_its_last_item() {
    let meta = "kind = \"transaction\"\nformat = \"meta\"\nstore = \"s1\"\n";
    let event = |hour: i64| {
        format!(
            r#"{{"event_name":"Purchase","event_id":"m{hour}","action_source":"physical_store","event_time":{}}}"#,
            MAY / 1000 + hour * 3600
        )
    };
    let bundle = format!("{{\"data\":[{},{},{}]}}\n", event(0), event(7), event(3));
    assert_eq!(arrivals(meta, "m.ndjson", &bundle), [MAY + 7 * 3_600_000]);
    // A mistyped time is no arrival, of its bundle or of what follows.
    let mistyped = format!(
        "{{\"data\":[{},{}]}}\n{}\n{}\n",
        event(1),
        event(400_000),
        event(500_000),
        event(2)
    );
    let hour = 3_600_000;
    assert_eq!(
        arrivals(meta, "m.ndjson", &mistyped),
        [MAY + hour, MAY + hour, MAY + 2 * hour]
    );
}

#[test]
fn a_message_of_segment_arrives_when_it_was_sent() {
    let segment = "kind = \"web\"\nformat = \"segment\"\n";
    let page = |more: &str| {
        format!(
            r#"{{"type":"page","messageId":"m","anonymousId":"a","originalTimestamp":"2026-05-01T10:00:00Z"{more}}}"#
        )
    };
    let queued = page(r#","sentAt":"2026-05-03T10:00:00Z""#);
    let received = page(r#","sentAt":"2026-05-03T10:00:00Z","receivedAt":"2026-05-03T10:00:01Z""#);
    let batch = format!(
        r#"{{"batch":[{},{}],"sentAt":"2026-05-02T10:00:00Z"}}"#,
        page(""),
        page("")
    );
    let day = 86_400_000;
    assert_eq!(
        arrivals(segment, "s.ndjson", &[queued, received, batch].join("\n")),
        [MAY + 2 * day, MAY, MAY + day]
    );
}

#[test]
fn items_of_a_vendor_arrive_when_they_happened() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_secret(
        folder.join("secret"),
        "secret 224ff3c627f30dd0f8e3fdb63bf28aa6",
    );
    let text = "[[brand]]\nname = \"acme\"\nsecret_file = \"secret\"\n\
                [[brand.source]]\nname = \"tag\"\nkind = \"web\"\nformat = \"segment\"\n\
                [[brand.source]]\nname = \"ads\"\nkind = \"transaction\"\nformat = \"google_offline\"\nzone = \"UTC\"\n";
    let config = tributary_config::parse(text, &folder.join("c.toml"));
    let config = config.unwrap().config;
    let page = |ts: &str| {
        format!(
            "{{\"type\":\"page\",\"messageId\":\"m\",\"anonymousId\":\"a\",\"timestamp\":\"{ts}\"}}\n"
        )
    };
    let tag = page("2024-01-01T10:00:00Z") + "{\"type\":\n" + &page("2024-01-01T10:00:01.5+00:00");
    let tag = write(folder, "tag.ndjson", &tag);
    let rows =
        "Order ID,Conversion Name,Conversion Time,Store ID\nO1,In store,2024-01-02 00:00:00,s1\n";
    let rows = write(folder, "ads.csv", rows);
    let arguments = [format!("tag={tag}"), format!("acme/ads={rows}")];
    let lines = inputs::open(Some(&config), &arguments).unwrap();
    let lines: Vec<(String, i64)> = lines
        .map(|line| line.unwrap())
        .map(|line| (line.subject, line.at))
        .collect();
    let (tag, ads) = (
        "tributary.in.acme.web.tag",
        "tributary.in.acme.transaction.ads",
    );
    let expected = [
        (tag, 1_704_103_200_000),
        // What cannot be read arrives with the item before it.
        (tag, 1_704_103_200_000),
        (tag, 1_704_103_201_500),
        (ads, 1_704_153_600_000),
    ];
    assert_eq!(
        lines,
        expected.map(|(subject, at)| (subject.to_owned(), at))
    );
    let files = inputs::files(Some(&config), &arguments).unwrap();
    assert_eq!(files.len(), 2);
}

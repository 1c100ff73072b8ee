//! An operator breaks a file in many places and hears of all of them in one go, each at its line.

const BROKEN: &str = r#"[nats]
url = "nats://bob:hunter2@broker:4222"
pasword_file = "x"

[workers]
threads = 0
tick = 50

[release]
k = 0
cadence = "1 minute"

[[brand]]
name = "acme"
timezone = "Europe/Pariss"
currency = "euro"
phone_region = "UK"
secret = "correct horse battery staple"
secret_env = "SHORT"

[brand.identity]
max_degree = { email = -1, mail = 3 }
rules = ["google"]

[brand.attribution]
click_window = "0s"
position = [0, 100, 0]

[brand.sensors]
day_start = "25:00"

[[brand.source]]
name = "tills"
kind = "transaction"
format = "csv"

[brand.source.csv]
columns = { id = "basket", shop = "s", ts = "time" }

[[brand]]
name = "acme"
timezone = "UTC"
secret_env = "SECRET"

[brands]
"#;

#[test]
fn every_mistake_is_told_at_its_line() {
    let wrong = crate::common::wrong(BROKEN);
    let places: Vec<&str> = wrong
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        places,
        [
            "tributary.toml:2:7",
            "tributary.toml:3:1",
            "tributary.toml:6:11",
            "tributary.toml:7:8",
            "tributary.toml:10:5",
            "tributary.toml:11:11",
            "tributary.toml:15:12",
            "tributary.toml:16:12",
            "tributary.toml:17:16",
            "tributary.toml:18:1",
            "tributary.toml:19:14",
            "tributary.toml:22:24",
            "tributary.toml:22:28",
            "tributary.toml:23:9",
            "tributary.toml:26:16",
            "tributary.toml:27:12",
            "tributary.toml:30:13",
            "tributary.toml:38:1",
            "tributary.toml:38:1",
            "tributary.toml:38:28",
            "tributary.toml:41:8",
            "tributary.toml:45:2",
        ],
        "{}",
        wrong.join("\n")
    );
    let all = wrong.join("\n");
    assert!(!all.contains("hunter2") && !all.contains("horse"), "{all}");
}

#[test]
fn a_problem_reads_as_place_setting_reason_and_way_out() {
    let wrong = crate::common::wrong(BROKEN);
    let expected = "tributary.toml:15:12: brand[0].timezone: \"Europe/Pariss\" is not an IANA time zone; \
                    did you mean \"Europe/Paris\"?";
    assert!(
        wrong.iter().any(|line| line == expected),
        "{}",
        wrong.join("\n")
    );
}

#[test]
fn mistakes_of_syntax_do_not_hide_the_others() {
    let text =
        "[nats\nurl = 1\n\n[release]\nk = 0\ncadence = 1m\n\n[[brand]]\ntimezone = \"Nowhere\"\n";
    let wrong = crate::common::wrong(text);
    let lines: Vec<&str> = wrong
        .iter()
        .filter_map(|line| line.split(':').nth(1))
        .collect();
    // The name of the brand may stand in a line that was left out, so it is not missed.
    assert_eq!(lines, ["1", "5", "6", "9"], "{}", wrong.join("\n"));
}

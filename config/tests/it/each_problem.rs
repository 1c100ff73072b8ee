//! Each kind of mistake has its own message and its own way out.

use crate::common::{brand, good, shown, wrong};

/// Expects exactly one problem, with these words.
fn one(text: &str, words: &[&str]) {
    let wrong = wrong(text);
    assert_eq!(wrong.len(), 1, "{text}\n{}", wrong.join("\n"));
    for word in words {
        assert!(wrong[0].contains(word), "{:?} lacks {word:?}", wrong[0]);
    }
}

/// The warnings of a text that is right.
fn warned(text: &str) -> String {
    shown(&good(text).warnings).join("\n")
}

#[test]
fn a_file_needs_a_brand_with_name_and_secret() {
    one("", &["tributary.toml: brand:", "at least one brand"]);
    one("brand = []", &["1:9: brand:", "at least one brand"]);
    one(
        "[[brand]]\nsecret_env = \"SECRET\"",
        &[":1:1: brand[0].name: is missing", "a name"],
    );
    one(
        "[[brand]]\nname = \"a\"",
        &[
            ":1:1:",
            "secret_file: is missing",
            "secret_file, secret_env",
        ],
    );
}

#[test]
fn tables_and_lists_of_tables_are_told_apart() {
    one(
        "[brand]\nname = \"a\"\nsecret_env = \"SECRET\"",
        &["two brackets", "[[brand]]"],
    );
    one(
        &format!("{}[[nats]]\n", brand("")),
        &["nats: must be a table", "[nats] once"],
    );
    one(
        &format!("nats = 3\n{}", brand("")),
        &["nats: must be a table, not a whole number"],
    );
    one(
        &brand("source = 3"),
        &["brand[0].source: must be a list of tables"],
    );
    one(
        &brand("[brand.source]\nname = \"a\"\nkind = \"web\""),
        &["[[brand.source]] with two"],
    );
}

#[test]
fn unknown_settings_are_refused_with_the_nearest_or_their_home() {
    one(
        &brand("curency = \"EUR\""),
        &[
            "brand[0].curency: unknown setting",
            "did you mean \"currency\"?",
        ],
    );
    one(
        &brand("click_window = \"3d\""),
        &["it belongs to [brand.attribution]"],
    );
    one(&brand("[identity]"), &["it is written [brand.identity]"]);
    one(&brand("colour = 1"), &["known here: name, timezone"]);
    one(
        &brand("\"a\\nb\" = 1"),
        &["brand[0].\"a\\nb\": unknown setting"],
    );
    one(
        &format!("{}[ingest]\nmaxfuture = \"1m\"", brand("")),
        &["did you mean \"max_future\"?"],
    );
}

#[test]
fn types_and_ranges_are_checked() {
    one(
        &brand("currency = 3"),
        &[
            "must be an ISO 4217 code, not a whole number",
            "quotation marks",
        ],
    );
    one(
        &brand("[release]\nk = \"50\""),
        &["not a text", "leave out the quotation marks"],
    );
    one(&brand("[release]\nk = 50.0"), &["not a decimal number"]);
    one(&brand("[release]\nk = 0"), &["0 must lie between 1 and"]);
    one(
        &brand("[release]\nk = -9223372036854775808"),
        &["must lie between 1 and"],
    );
    one(
        &brand("[ingest]\nstrict = \"true\""),
        &["must be true or false", "leave out"],
    );
    one(
        &brand("[brand.sensors]\nmin_rssi = -128"),
        &["-128 must lie between -127 and 20"],
    );
    one(
        &brand("[brand.identity]\nblocked = \"x\""),
        &["must be a list", "square brackets"],
    );
    one(
        &brand("[brand.identity]\nblocked = [1]"),
        &["blocked[0]: must be a text"],
    );
    one(
        &brand("[brand.identity]\nmax_degree = 3"),
        &["max_degree: must be a table"],
    );
    one(
        &brand("[brand.identity]\nmax_degree = { e_mail = 3 }"),
        &["did you mean \"email\"?"],
    );
}

#[test]
fn durations_have_units() {
    let window = |value: &str| brand(&format!("[brand.attribution]\nview_window = {value}"));
    one(&window("30"), &["not a whole number", "with a unit"]);
    one(
        &window("\"30\""),
        &["\"30\" is not a duration", "with a unit"],
    );
    one(&window("\"30 days\""), &["did you mean \"30d\"?"]);
    one(&window("\"0s\""), &["must lie between 1ms and 3650d"]);
    one(&window("\"-1d\""), &["is not a duration"]);
    one(&window("\"99999999999999999999d\""), &["is not a duration"]);
    one(
        &brand("[brand.sensors]\nmin_dwell = \"500ms\""),
        &["is not in whole seconds"],
    );
    one(
        &brand("[brand.sensors]\nday_start = \"24:00\""),
        &["not a time of day"],
    );
}

#[test]
fn position_weights_are_three_and_not_nothing() {
    let position = |value: &str| brand(&format!("[brand.attribution]\nposition = {value}"));
    one(&position("[0, 1, 0]"), &["first and last are both 0"]);
    one(&position("[1, 2]"), &["three whole numbers"]);
    one(&position("[1, -2, 1]"), &["position[1]: -2 must lie"]);
    assert_eq!(
        good(&position("[0, 0, 1]")).config.brands[0]
            .attribution
            .position,
        [0, 0, 1]
    );
}

#[test]
fn names_are_unique() {
    let other = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"OTHER\"\n";
    one(
        &format!("{}{other}", brand("")),
        &[":7:8: brand[1].name: \"acme\" is already"],
    );
    let shared = "[[brand]]\nname = \"b\"\ntimezone = \"UTC\"\nsecret_env = \"SECRET\"\n";
    one(
        &format!("{}{shared}", brand("")),
        &["brand[1].secret_env: is the same secret as brand[0].secret_env"],
    );
    let source = "[[brand.source]]\nname = \"a\"\nkind = \"web\"\n";
    one(
        &brand(&format!("{source}{source}")),
        &["source[1].name: \"a\" is already"],
    );
    one(
        &brand("[[brand.source]]\nname = \"web\"\nkind = \"spend\"\n"),
        &["kind web has by itself"],
    );
    one(&brand("name2 = 1"), &["did you mean \"name\"?"]);
    assert!(wrong("[[brand]]\nname = \"A B\"\nsecret_env = \"SECRET\"")[0].contains("\"a-b\""));
}

#[test]
fn settings_that_exclude_or_need_others_say_so() {
    let nats = |lines: &str| format!("[nats]\n{lines}\n{}", brand(""));
    one(
        &nats("user = \"u\""),
        &[
            "nats.user: does not stand alone",
            "password_file or password_env",
        ],
    );
    one(
        &nats("password_env = \"SECRET\""),
        &["does not stand alone", "give user"],
    );
    one(
        &nats("user = \"u\"\npassword_env = \"SECRET\"\nnkey_seed_env = \"OTHER\""),
        &["nats.user: cannot stand together with nkey_seed_env"],
    );
    one(
        &nats("input_stream = \"A\"\noutput_stream = \"A\""),
        &["have the same name"],
    );
    one(&nats("input_stream = \"a.b\""), &["not a stream name"]);
    one(
        &nats("url = \"localhost\""),
        &["did you mean \"nats://localhost\"?"],
    );
    let both = "secret_file = \"x\"\nsecret_env = \"SECRET\"\n";
    let wrong = wrong(&format!(
        "[[brand]]\nname = \"a\"\ntimezone = \"UTC\"\n{both}"
    ));
    assert!(
        wrong
            .iter()
            .any(|w| w.contains("secret_env: cannot stand together with secret_file")),
        "{wrong:?}"
    );
}

#[test]
fn a_backup_is_not_where_the_data_is() {
    for backup in ["data", "data/backup", "."] {
        let text = format!(
            "[ledger]\ndirectory = \"data\"\nbackup = \"{backup}\"\n{}",
            brand("")
        );
        one(&text, &["ledger.backup", "one within the other"]);
    }
}

#[test]
fn a_process_is_one_of_the_hosts() {
    let workers = |lines: &str| format!("[workers]\n{lines}\n{}", brand(""));
    one(
        &workers("process = 1"),
        &[
            "workers.process: 1 is not an index among 1 process",
            "hosts",
        ],
    );
    one(
        &workers("hosts = [\"a:1\", \"b:1\"]\nprivate_network = true\nprocess = 2"),
        &["count from 0 to 1"],
    );
    one(
        &workers("hosts = [\"a:1\", \"a:1\"]\nprivate_network = true"),
        &["hosts[1]: occurs twice in the list"],
    );
    one(
        &workers("hosts = [\"a\"]"),
        &["hosts[0]: \"a\" is not a host with a port"],
    );
    let cluster = "hosts = [\"127.0.0.1:1\", \"127.0.0.1:2\"]";
    good(&workers(&format!(
        "{cluster}\nstandby = true\naddress = \"127.0.0.1:3\""
    )));
    one(
        &workers(&format!("{cluster}\nstandby = true\naddress = \"a:3\"")),
        &[
            "workers.address: a:3 is beyond this machine",
            "private_network",
        ],
    );
    one(
        &workers(&format!("{cluster}\naddress = \"a\"")),
        &["workers.address: \"a\" is not a host with a port"],
    );
    // The hosts may be in a file of their own.
    good(&workers("address = \"127.0.0.1:3\""));
    good(&workers("standby = true"));
    good(&format!(
        "[workers]\nshard = \"north\"\nstandby = true\n{}",
        brand("shard = \"north\"")
    ));
}

#[test]
fn what_is_neither_encrypted_nor_authenticated_stays_on_this_machine() {
    let nats = |lines: &str| format!("[nats]\n{lines}\n{}", brand(""));
    let workers = |lines: &str| format!("[workers]\n{lines}\n{}", brand(""));
    let telemetry = |lines: &str| format!("[telemetry]\n{lines}\n{}", brand(""));
    one(
        &nats("url = \"nats://127.0.0.1:1,nats://broker:4222\""),
        &[
            "nats.url: broker:4222 is beyond this machine",
            "private_network",
        ],
    );
    // Parsers of URLs drop tabs and line breaks.
    for url in ["na\\tts://broker:4222", "tls://bro\\nker:4222"] {
        one(
            &nats(&format!("url = \"{url}\"")),
            &["nats.url: holds white space or a control character"],
        );
    }
    one(
        &telemetry("otlp_endpoint = \"ht\\ttp://otel.example\""),
        &["telemetry.otlp_endpoint: holds white space or a control character"],
    );
    one(
        &nats("url = \"NATS://broker:4222\""),
        &["nats.url: broker:4222 is beyond this machine"],
    );
    one(
        &workers("hosts = [\"127.0.0.1:1\", \"worker-1:2101\"]"),
        &[
            "workers.hosts: worker-1:2101 is beyond this machine",
            "workers.tls_ca_file, tls_cert_file and tls_key_file",
            "private_network",
        ],
    );
    one(
        &telemetry("otlp_endpoint = \"http://otel.example:4318/a\""),
        &[
            "telemetry.otlp_endpoint: otel.example:4318 is beyond this machine",
            "telemetry.private_network",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("pem");
    std::fs::write(&pem, "certificate").unwrap();
    crate::common::private(&pem);
    let file = |key: &str| format!("tls_{key}_file = {pem:?}\n");
    let tls = ["ca", "cert", "key"].map(file).concat();
    one(
        &workers(&format!("{}{}", file("ca"), file("cert"))),
        &["workers.tls_cert_file", "tls_key_file"],
    );
    for right in [
        workers(&format!("hosts = [\"a:1\", \"b:1\"]\n{tls}")),
        nats("url = \"nats://localhost,nats://[::1]:4222\""),
        nats("url = \"tls://broker:4222\""),
        nats("url = \"nats://broker:4222\"\ntls = true"),
        nats("url = \"nats://broker:4222\"\nprivate_network = true"),
        workers("hosts = [\"127.0.0.1:1\", \"[::1]:2101\"]"),
        workers("hosts = [\"a:1\", \"b:1\"]\nprivate_network = true"),
        telemetry("otlp_endpoint = \"http://localhost:4318\""),
        telemetry("otlp_endpoint = \"http://[::1]:4318/a\""),
        telemetry("otlp_endpoint = \"https://otel.example:4318\""),
        telemetry("otlp_endpoint = \"http://otel.example\"\nprivate_network = true"),
    ] {
        good(&right);
    }
}

#[test]
fn telemetry_needs_an_endpoint_without_a_login() {
    let telemetry = |lines: &str| format!("[telemetry]\n{lines}\n{}", brand(""));
    one(
        &telemetry("otlp_headers_env = \"OTHER\""),
        &["telemetry.otlp_headers_env", "otlp_endpoint"],
    );
    let endpoint = "otlp_endpoint = \"https://otel.example\"";
    let both = wrong(&telemetry(&format!(
        "{endpoint}\notlp_headers_env = \"OTHER\"\notlp_headers_file = \"x\""
    )));
    assert!(
        both.iter()
            .any(|w| w.contains("cannot stand together with"))
    );
    one(
        &telemetry("otlp_endpoint = \"otel.example:4318\""),
        &["is not the address of a collector", "https://"],
    );
    let wrong = wrong(&telemetry("otlp_endpoint = \"https://bob:hunter2@h\""));
    assert!(!wrong[0].contains("hunter2") && wrong[0].contains("otlp_headers_file"));
    one(
        &telemetry("epoch_share = \"1.5\""),
        &["must lie between 0 and 1"],
    );
    let shown = tributary_config::print(
        &good(&telemetry(&format!(
            "{endpoint}\notlp_headers_env = \"OTHER\""
        )))
        .config,
    );
    assert!(shown.contains("otlp_headers = \"***\""), "{shown}");
}

#[test]
fn rules_contain_plain_and_come_first() {
    let rules = |list: &str| brand(&format!("[brand.identity]\nrules = {list}"));
    one(
        &rules("[\"meta\"]"),
        &["\"plain\" is always one of the rules"],
    );
    one(
        &rules("[\"plain\", \"gogle\"]"),
        &["rules[1]", "did you mean \"google\"?"],
    );
    one(&rules("[\"plain\", \"plain\"]"), &["twice"]);
    let loaded = good(&rules("[\"uid2\", \"plain\"]"));
    let rules = &loaded.config.brands[0].identity.rules;
    assert_eq!(
        rules,
        &[
            tributary_config::model::HashRule::Plain,
            tributary_config::model::HashRule::Uid2
        ]
    );
}

#[test]
fn values_that_may_identify_somebody_are_not_repeated() {
    let wrong = wrong(&brand(
        "[brand.sensors]\nfixed_devices = [\"aa:bb:cc:dd:ee\"]",
    ));
    assert_eq!(wrong.len(), 1);
    assert!(
        wrong[0].contains("fixed_devices[0]") && !wrong[0].contains("aa:bb"),
        "{wrong:?}"
    );
}

#[test]
fn what_surprises_is_warned_of() {
    let warned = |text: &str| shown(&good(text).warnings).join("\n");
    assert_eq!(
        warned(&brand("consent = { vendor = 1, feature_2 = true }")),
        ""
    );
    let plain = "[[brand]]\nname = \"a\"\nsecret_env = \"SECRET\"";
    assert!(warned(plain).contains("tributary.toml:1:1: brand[0].timezone: is not given"));
    let open = format!(
        "[http]\nlisten = \"0.0.0.0:9464\"\nopen = true\n{}",
        brand("")
    );
    assert!(warned(&open).contains("tributary.toml:2:10: http.listen: 0.0.0.0:9464 is open"));
    let door = open.replace(
        "[http]\n",
        "[http]\nopendsr_domain = \"rights.example.com\"\n",
    );
    assert!(warned(&door).contains("erase every person"));
    assert!(warned(&brand("[release]\nk = 1")).contains("release.k"));
    let source = brand("[[brand.source]]\nname = \"a\"\nkind = \"web\"\nhash_rule = \"meta\"");
    assert!(warned(&source).contains("never meet"));
    let noise = |epsilon: &str| {
        let noise = format!("noise = {{ epsilon = {epsilon}, money = 100 }}");
        brand(&noise).replace("[[brand]]", "[release]\nk_delta = 1\n[[brand]]")
    };
    assert!(warned(&noise("\"10.001\"")).contains("brand[0].noise.epsilon: is so large"));
    assert!(!warned(&noise("\"10\"")).contains("noise"));
}

#[test]
fn opendsr_is_signed_and_calls_back_over_tls() {
    let http = |lines: &str| format!("[http]\n{lines}\n{}", brand(""));
    one(
        &http(
            "opendsr_domain = \"rights.example.com\"\nopendsr_callbacks = [\"https://c.example\"]",
        ),
        &["http.opendsr_callbacks", "opendsr_certificate_file"],
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rights.pem");
    std::fs::write(&file, "certificate").unwrap();
    crate::common::private(&file);
    let signed =
        format!("opendsr_domain = \"rights.example.com\"\nopendsr_certificate_file = {file:?}\n");
    one(
        &http(&signed),
        &["http.opendsr_certificate_file", "opendsr_key_file"],
    );
    let signed = format!("{signed}opendsr_key_file = {file:?}\n");
    one(
        &http(&format!(
            "{signed}opendsr_callbacks = [\"http://c.example\"]"
        )),
        &["http.opendsr_callbacks", "without TLS"],
    );
}

#[test]
fn noise_has_a_budget_in_digits_and_bounds() {
    let noise = |lines: &str| {
        let text = brand(&format!("[brand.noise]\n{lines}"));
        format!("[release]\nk_delta = 1\n{text}")
    };
    one(
        &noise("epsilon = \"1\""),
        &["brand[0].noise.epsilon: does not stand alone", "give money"],
    );
    one(
        &noise("money = 5000"),
        &["brand[0].noise.money: does not stand alone", "give epsilon"],
    );
    let budget = |epsilon: &str| noise(&format!("epsilon = {epsilon}\nmoney = 5000"));
    one(
        &budget("0.5"),
        &["noise.epsilon: must be a number", "in quotation marks"],
    );
    one(
        &budget("\"0.0001\""),
        &[
            "\"0.0001\" is not a number with at most three decimals",
            "\"0.5\"",
        ],
    );
    one(&budget("\"0\""), &["\"0\" must lie between 0.001 and 1000"]);
    let config = good(&budget("\"0.5\"")).config;
    assert_eq!(config.brands[0].noise.epsilon_thousandths, Some(500));
}

#[test]
fn noise_keeps_its_promise_with_a_k_delta_of_one_alone() {
    let noise = brand("noise = { epsilon = \"1\", money = 100 }");
    one(
        &noise,
        &[
            "release.k_delta: is 10, but the noise of brand \"acme\"",
            "write k_delta = 1 in [release]",
        ],
    );
    let with = |release: &str, brands: &str| format!("[release]\n{release}\n{brands}");
    one(&with("k_delta = 2", &noise), &["release.k_delta: is 2"]);
    assert!(!warned(&with("k_delta = 1", &noise)).contains("k_delta"));
    good(&with("k = 1", &noise));
    let beside = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"OTHER\"\n";
    let both = with("k_delta = 1", &format!("{beside}{noise}"));
    assert!(warned(&both).contains("brand \"beta\" has no noise"));
    // Each brand can have its own.
    let of_beta = format!("{beside}[brand.release]\nk_delta = 10\n");
    let apart = with("k_delta = 1", &format!("{of_beta}{noise}"));
    assert!(!warned(&apart).contains("has no noise"));
    let own = brand("noise = { epsilon = \"1\", money = 100 }\nrelease = { k_delta = 5 }");
    one(
        &with("k_delta = 1", &own),
        &["brand[0].release.k_delta: is 5"],
    );
    let of_acme = brand("noise = { epsilon = \"1\", money = 100 }\nrelease = { k_delta = 1 }");
    assert!(!warned(&of_acme).contains("k_delta"));
}

#[test]
fn a_brand_has_thresholds_of_its_own() {
    let with = |own: &str| {
        good(&format!(
            "[release]\nk_traffic = 20\n{}[brand.release]\n{own}",
            brand("")
        ))
    };
    let gate = |own: &str| {
        let config = with(own).config;
        let gate = config.release_of("acme");
        (gate.k, gate.k_traffic, gate.k_delta)
    };
    assert_eq!(gate(""), (50, 20, 10));
    assert_eq!(gate("k = 100"), (100, 10, 10));
    assert_eq!(gate("k = 5"), (5, 5, 5));
    assert_eq!(gate("k = 5\nk_delta = 2"), (5, 5, 2));
    assert_eq!(gate("k_traffic = 30"), (50, 30, 10));
    let few = format!("{}[brand.release]\nk = 5", brand(""));
    assert!(warned(&few).contains("brand[0].release.k: cells of fewer than 10"));
    assert!(!warned(&few.replace('5', "50")).contains("fewer than 10"));
}

#[test]
fn a_batch_can_count_sixty_four_persons() {
    let k_delta = |number: u64| format!("[release]\nk_delta = {number}\n{}", brand(""));
    good(&k_delta(64));
    one(
        &k_delta(65),
        &[
            "release.k_delta: 65 must lie between 1 and 64",
            "use 64 or less",
        ],
    );
}

#[test]
fn what_hides_because_its_sources_are_open_is_named() {
    let source = |name: &str, kind: &str, trust: &str| {
        format!("[[brand.source]]\nname = \"{name}\"\nkind = \"{kind}\"\ntrust = \"{trust}\"\n")
    };
    let hides = |sources: &[String]| warned(&brand(&sources.concat()));
    let tag = source("tag", "web", "open");
    let warned_of_tag = hides(std::slice::from_ref(&tag));
    assert!(warned_of_tag.contains("brand[0].source[0].trust: every web source"));
    assert!(warned_of_tag.contains("orders_day") && !warned_of_tag.contains("store_day"));
    let shop = source("shop", "web", "verified");
    assert!(!hides(&[tag.clone(), shop]).contains("hidden"));
    let tills = source("tills", "transaction", "open");
    assert!(hides(&[tills]).contains("store_day"));
    let all = format!("[release]\nk = 1\n{}", brand(&tag));
    assert!(!warned(&all).contains("trust"), "nothing hides");
    one(
        &brand(&source("tag", "web", "anyone")),
        &["brand[0].source[0].trust", "none of \"verified\", \"open\""],
    );
}

#[test]
fn a_brand_is_measured_in_its_region_only() {
    let pinned = |region: &str| format!("{region}{}", brand("region = \"eu-west\""));
    one(
        &pinned("[workers]\nregion = \"us\"\n"),
        &[
            "brand[0].region:",
            "\"acme\" is pinned to \"eu-west\"",
            "this worker is in \"us\"",
            "region = \"eu-west\" in [workers]",
        ],
    );
    one(
        &pinned(""),
        &["brand[0].region:", "\"eu-west\"", "has no region"],
    );
    good(&pinned("[workers]\nregion = \"eu-west\"\n"));
    // Without a pin it is measured anywhere.
    good(&format!("[workers]\nregion = \"us\"\n{}", brand("")));
    one(
        &format!("[workers]\nregion = \"EU\"\n{}", brand("")),
        &["workers.region: \"EU\" is not a region name", "eu-west"],
    );
}

#[test]
fn a_process_has_the_shard_of_a_brand() {
    let process = |shard: &str| format!("[workers]\nshard = \"{shard}\"\n");
    let north = brand("shard = \"north\"");
    good(&format!("{}{north}", process("north")));
    good(&north);
    one(
        &format!("{}{north}", process("east")),
        &[
            "workers.shard:",
            "no brand has the shard \"east\"",
            "the shards of the brands are \"north\"",
        ],
    );
    one(
        &format!("{}{}", process("east"), brand("")),
        &["workers.shard:", "set shard = \"east\" in the brands"],
    );
    one(
        &format!("{}{north}", process("No.1")),
        &["workers.shard: \"No.1\" is not a shard name", "north"],
    );
    // The region of a brand is that of its shard.
    let elsewhere = brand("shard = \"north\"\nregion = \"eu-west\"");
    let here = "[[brand]]\nname = \"beta\"\ntimezone = \"UTC\"\nsecret_env = \"OTHER\"\nshard = \"south\"\n";
    good(&format!("{}{elsewhere}{here}", process("south")));
}

#[test]
fn an_address_for_others_needs_tokens_or_a_decision() {
    let bare = format!("[http]\nlisten = \"0.0.0.0:9464\"\n{}", brand(""));
    let problems = wrong(&bare);
    assert!(
        problems.len() == 1
            && problems[0].contains("http.listen")
            && problems[0].contains("http.open = true"),
        "{problems:?}"
    );
    let directory = tempfile::tempdir().unwrap();
    let digest = directory.path().join("a.sha256");
    std::fs::write(&digest, format!("{}  -\n", "0aF1".repeat(16))).unwrap();
    let token = |more: &str| {
        let token = format!("[[http.token]]\nsha256_file = {digest:?}\n{more}\n");
        bare.replace("[[brand]]", &format!("{token}[[brand]]"))
    };
    let read = good(&token("role = \"read\"\nbrand = \"acme\""));
    assert_eq!(read.config.http.tokens[0].digest.sha256[..2], [0x0a, 0xf1]);
    let warned = shown(&read.warnings).join("\n");
    assert!(!warned.contains("http"), "{warned}");
    good(&token("role = \"operate\""));
    for (more, says) in [
        ("role = \"read\"", "is missing for the role \"read\""),
        ("role = \"privacy\"", "is missing for the role"),
        ("role = \"admin\"", "is none of"),
        ("brand = \"acme\"", "http.token[0].role"),
        ("role = \"read\"\nbrand = \"zeta\"", "the brands are acme"),
    ] {
        let problems = wrong(&token(more)).join("\n");
        assert!(problems.contains(says), "{more}: {problems}");
    }
    // A token in place of its digest is not repeated.
    std::fs::write(&digest, "s3cr3t-token\n").unwrap();
    let problems = wrong(&token("role = \"operate\"")).join("\n");
    assert!(
        problems.contains("64 hexadecimal digits") && !problems.contains("s3cr3t"),
        "{problems}"
    );
}

#[test]
fn a_client_configuration_needs_no_secret_and_holds_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("client.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        tributary_config::load_client(&file)
    };
    let client = read("[client]\nbrand = \"acme\"\n").unwrap().unwrap();
    assert_eq!(
        (client.brand.as_str(), client.nats.output_stream.as_str()),
        ("acme", "TRIBUTARY_OUT")
    );
    assert!(read(&brand("")).unwrap().is_none());
    let both = read(&format!("{}[client]\nbrand = \"acme\"\n", brand("")));
    let problems = both.unwrap_err().to_string();
    assert!(problems.contains("[nats] and [client] only"), "{problems}");
    let problems = read("[client]\nbrand = 1\n").unwrap_err().to_string();
    assert!(problems.contains("client.brand"), "{problems}");
    assert!(wrong(&format!("{}[client]\nbrand = \"acme\"\n", brand("")))[0].contains("client"));
}

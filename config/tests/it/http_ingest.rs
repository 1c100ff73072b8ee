//! The HTTP ingest server is off unless it has an address, and whoever reaches it needs a token of a source.

use crate::common::{brand, example_directory, good, wrong};

/// A token of a source, with the digest of a file.
fn token(brand: &str, source: &str, file: &str) -> String {
    let file = example_directory().keep().join(file);
    format!(
        "[[http_ingest.token]]\nbrand = \"{brand}\"\nsource = \"{source}\"\nsha256_file = {file:?}\n"
    )
}

#[test]
fn it_is_off_by_default_and_bounded() {
    let ingest = good(&brand("")).config.http_ingest;
    assert_eq!(ingest.listen, None);
    assert_eq!((ingest.max_body_bytes, ingest.window), (16 << 20, 1000));
    assert!(ingest.origins.is_empty() && ingest.tokens.is_empty() && ingest.is_protected());
}

#[test]
fn others_need_tokens() {
    let open = format!("[http_ingest]\nlisten = \"0.0.0.0:9465\"\n{}", brand(""));
    let problems = wrong(&open);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].contains("tributary.toml:2:10: http_ingest.listen"),
        "{problems:?}"
    );
    assert!(
        problems[0].contains("[[http_ingest.token]]"),
        "{problems:?}"
    );
    let of_web = token("acme", "web", "acme-read.sha256");
    let read = good(&format!("{open}{of_web}"));
    assert_eq!(read.config.http_ingest.tokens[0].source, "web");
    assert!(read.config.http_ingest.is_protected());
    good(&format!(
        "[http_ingest]\nlisten = \"[::1]:9465\"\n{}",
        brand("")
    ));
}

#[test]
fn a_token_belongs_to_one_known_source() {
    let config = brand("[[brand.source]]\nname = \"shop\"\nkind = \"web\"");
    let shop = token("acme", "shop", "acme-read.sha256");
    let cases = [
        (
            token("zeta", "shop", "acme-read.sha256"),
            "http_ingest.token[0].brand",
            "acme",
        ),
        (
            token("acme", "web", "acme-read.sha256"),
            "http_ingest.token[0].source",
            "shop",
        ),
        (
            shop.clone() + &shop,
            "http_ingest.token[1].sha256_file",
            "draw a token",
        ),
    ];
    for (tokens, path, words) in cases {
        let problems = wrong(&format!("{config}{tokens}"));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains(path) && problems[0].contains(words),
            "{problems:?}"
        );
    }
    let two = shop + &token("acme", "ping", "acme-shop.sha256");
    assert_eq!(
        good(&format!("{config}{two}"))
            .config
            .http_ingest
            .tokens
            .len(),
        2
    );
}

#[test]
fn origins_are_those_of_pages() {
    let config = |origins: &str| format!("[http_ingest]\norigins = {origins}\n{}", brand(""));
    let read = good(&config(
        r#"["HTTPS://Shop.example/", "http://localhost:3000"]"#,
    ));
    let expected = ["https://shop.example", "http://localhost:3000"];
    assert_eq!(read.config.http_ingest.origins, expected);
    for origin in [
        "*",
        "shop.example",
        "https://shop.example/a",
        "https://u@shop.example",
        "ftp://a",
    ] {
        let problems = wrong(&config(&format!("[{origin:?}]")));
        assert_eq!(problems.len(), 1, "{origin}: {problems:?}");
        assert!(
            problems[0].contains("http_ingest.origins[0]"),
            "{problems:?}"
        );
    }
    let twice = wrong(&config(r#"["https://a.example", "https://A.example:443"]"#));
    assert!(twice[0].contains("twice"), "{twice:?}");
}

#[test]
fn two_servers_have_two_addresses() {
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:9465\"\n[http_ingest]\nlisten = \"127.0.0.1:9465\"\n{}",
        brand("")
    );
    let problems = wrong(&text);
    assert!(
        problems[0].contains("also the address of [http]"),
        "{problems:?}"
    );
}

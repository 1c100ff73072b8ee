use super::*;
use tributary_config::model::TokenDigest;

fn access(tokens: &[(Role, Option<&str>, &str)], is_loopback: bool) -> Access {
    let token = |(role, brand, token): &(Role, Option<&str>, &str)| HttpToken {
        brand: brand.map(str::to_owned),
        role: *role,
        digest: TokenDigest {
            file: "x".into(),
            sha256: Sha256::digest(token).into(),
        },
    };
    let text = "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_env = \"ACME\"\n";
    let environment = |name: &str| (name == "ACME").then(|| tributary_testkit::SECRET.to_owned());
    let path = std::path::Path::new("tributary.toml");
    let mut config = tributary_config::parse_in(text, path, &environment)
        .unwrap()
        .config;
    config.http.tokens = tokens.iter().map(token).collect();
    if !is_loopback {
        config.http.listen = "0.0.0.0:9464".parse().unwrap();
    }
    Access::new(&LiveConfig::fixed(&config))
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    pairs.iter().map(pair).collect()
}

#[test]
fn without_tokens_the_machine_itself_is_local_and_a_proxy_is_not() {
    let of = |access: &Access, pairs: &[(&'static str, &'static str)]| {
        access.viewer(&headers(pairs), None).unwrap()
    };
    let loopback = access(&[], true);
    assert_eq!(of(&loopback, &[]), Viewer::Local);
    assert_eq!(
        of(&loopback, &[("authorization", "Basic eA==")]),
        Viewer::Local
    );
    for header in ["forwarded", "via", "x-forwarded-for", "x-real-ip"] {
        assert_eq!(of(&loopback, &[(header, "192.0.2.1")]), Viewer::Everyone);
    }
    assert_eq!(of(&access(&[], false), &[]), Viewer::Everyone);
    assert!(!Viewer::Everyone.may_configure() && !Viewer::Everyone.is_exact(Some("acme")));
}

#[test]
fn a_token_is_its_digest_and_nothing_else() {
    let access = access(
        &[
            (Role::Read, Some("acme"), "one"),
            (Role::Privacy, Some("acme"), "two"),
            (Role::Operate, None, "three"),
        ],
        true,
    );
    let of = |value: &'static str| access.viewer(&headers(&[("authorization", value)]), None);
    assert_eq!(access.viewer(&headers(&[]), None).unwrap(), Viewer::Nobody);
    let read = Viewer::Token {
        role: Role::Read,
        brand: Some("acme".into()),
    };
    assert_eq!(of("Bearer one").unwrap(), read);
    assert_eq!(of("bearer  one ").unwrap(), read);
    for wrong in [
        "Bearer",
        "Bearer ",
        "Bearer on",
        "Bearer onee",
        "Bearer One",
        "Basic one",
        "one",
        "Bearer one,two",
    ] {
        assert_eq!(of(wrong).unwrap_err().status(), 401, "{wrong}");
    }
    let mut two = headers(&[("authorization", "Bearer one")]);
    two.append(AUTHORIZATION, HeaderValue::from_static("Bearer three"));
    assert_eq!(access.viewer(&two, None).unwrap_err().status(), 401);
}

#[test]
fn roles_permit_what_the_table_says() {
    let token = |role, brand: Option<&str>| Viewer::Token {
        role,
        brand: brand.map(Arc::from),
    };
    // Reads acme, reads zeta, rights of acme, exact of acme, exact of the process, configuration.
    let can = |viewer: &Viewer| {
        [
            viewer.may_read("acme"),
            viewer.may_read("zeta"),
            viewer.may_request_rights("acme"),
            viewer.is_exact(Some("acme")),
            viewer.is_exact(None),
            viewer.may_configure(),
        ]
        .map(u8::from)
    };
    for (viewer, permits) in [
        (Viewer::Local, [1, 1, 1, 1, 1, 1]),
        (Viewer::Everyone, [1, 1, 1, 0, 0, 0]),
        (Viewer::Nobody, [0, 0, 0, 0, 0, 0]),
        (token(Role::Read, Some("acme")), [1, 0, 0, 0, 0, 0]),
        (token(Role::Read, Some("zeta")), [0, 1, 0, 0, 0, 0]),
        (token(Role::Privacy, Some("acme")), [0, 0, 1, 0, 0, 0]),
        (token(Role::Privacy, Some("zeta")), [0, 0, 0, 0, 0, 0]),
        (token(Role::Operate, Some("acme")), [1, 0, 0, 1, 0, 0]),
        (token(Role::Operate, None), [1, 1, 0, 1, 1, 1]),
    ] {
        assert_eq!(can(&viewer), permits, "{viewer:?}");
    }
}

#[test]
fn guesses_end_with_429() {
    let access = access(&[(Role::Read, Some("acme"), "one")], true);
    let wrong = headers(&[("authorization", "Bearer guess")]);
    let peer = Some(Peer(IpAddr::from([192, 0, 2, 1])));
    let statuses: Vec<u16> = (0..40)
        .map(|_| access.viewer(&wrong, peer).unwrap_err().status().as_u16())
        .collect();
    assert_eq!(statuses[..20], [401; 20]);
    // The refill of a slow machine may admit a few.
    assert!(statuses[20..].contains(&429), "{statuses:?}");
    assert_eq!(
        access.viewer(&HeaderMap::new(), peer).unwrap(),
        Viewer::Nobody
    );
}

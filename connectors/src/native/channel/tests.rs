use super::*;
use crate::native::fields::Fields;
use proptest::prelude::*;

fn channels() -> Channels {
    crate::fixture::brand("acme").channels
}

fn channel(line: &str) -> String {
    channel_with(line, &channels())
}

fn channel_with(line: &str, channels: &Channels) -> String {
    let fields = Fields::read(line).unwrap();
    let reader = Reader {
        fields: &fields,
        loose: false,
        decimal: Default::default(),
    };
    match derive(&reader, channels) {
        Ok(Some([source, medium, campaign])) => format!("{source}/{medium}/{campaign}"),
        Ok(None) => "direct".to_owned(),
        Err(refusal) => refusal.reason.name().to_owned(),
    }
}

fn of_url(url: &str) -> String {
    channel(&serde_json::json!({ "url": url }).to_string())
}

fn of_pair(url: &str, referrer: &str) -> String {
    channel(&serde_json::json!({ "url": url, "referrer": referrer }).to_string())
}

#[test]
fn the_fields_come_first() {
    let all = r#"{"source":" CRM ","medium":"email","campaign":"Spring","url":"https://a.example/?utm_source=x"}"#;
    assert_eq!(channel(all), "CRM/email/Spring");
    assert_eq!(
        channel(r#"{"source":"google","medium":"(none)"}"#),
        "google//"
    );
    assert_eq!(channel(r#"{"campaign":"only"}"#), "//only");
    let words = r#"{"source":"(direct)","medium":"(none)","campaign":"(not set)","url":"https://a.example/?utm_source=x"}"#;
    assert_eq!(channel(words), "x//");
    assert_eq!(channel("{}"), "direct");
    assert_eq!(channel(r#"{"source":{}}"#), "wrong_type");
}

#[test]
fn nobody_sends_the_channel_of_nobody() {
    assert_eq!(channel(r#"{"source":"Unattributed "}"#), "direct");
    assert_eq!(
        channel(r#"{"source":"unattributed","medium":"oversized"}"#),
        "/oversized/"
    );
    let address = "https://a.example/?utm_source=unattributed&gclid=x";
    assert_eq!(of_url(address), "google/cpc/");
}

#[test]
fn parameters_are_decoded() {
    let url = "https://a.example/p?x=1&utm_source=news%20letter&utm_medium=e+mail&utm_campaign=%C3%A9t%C3%A9#utm_source=no";
    assert_eq!(of_url(url), "news letter/e mail/\u{e9}t\u{e9}");
    assert_eq!(of_url("/shop?utm_source=a"), "a//");
    assert_eq!(
        of_url("https://a.example/?utm_source=&utm_source=b&utm_source=c"),
        "b//"
    );
    assert_eq!(
        of_url("https://a.example/?utm_source=(direct)&gclid=1"),
        "google/cpc/"
    );
    assert_eq!(
        of_url("https://a.example/?gclid=Cj0&msclkid=1"),
        "google/cpc/"
    );
    assert_eq!(of_url("https://a.example/?msclkid=1"), "bing/cpc/");
    assert_eq!(of_url("https://a.example/?gclid="), "direct");
    for (parameter, channel) in [
        ("gbraid=a", "google/cpc/"),
        ("wbraid=a", "google/cpc/"),
        ("dclid=a", "google/display/"),
        ("fbclid=a", "facebook/social/"),
        ("ttclid=a", "tiktok/paid/"),
        ("twclid=a", "x/paid/"),
        ("li_fat_id=a", "linkedin/paid/"),
        ("li_fat_id=a&fbclid=%20&msclkid=b", "bing/cpc/"),
        ("gclidx=a", "direct"),
    ] {
        assert_eq!(of_url(&format!("https://a.example/?{parameter}")), channel);
    }
    let long = format!("https://a.example/?utm_source={}", "x".repeat(257));
    assert_eq!(of_url(&long), "text_too_long");
}

#[test]
fn referrers_of_other_hosts_count() {
    let own = "https://www.shop.example/cart";
    assert_eq!(
        of_pair(own, "https://www.google.co.uk/search?q=shoes"),
        "google/organic/"
    );
    assert_eq!(of_pair(own, "https://m.facebook.com/"), "facebook/social/");
    assert_eq!(
        of_pair(own, "https://WWW.Blog.Example:8080/post"),
        "www.blog.example/referral/"
    );
    assert_eq!(
        of_pair(own, "https://notgoogle.com/"),
        "notgoogle.com/referral/"
    );
    assert_eq!(of_pair(own, "https://WWW.shop.example:8080/home"), "direct");
    assert_eq!(of_pair(own, "http://WWW.SHOP.example./"), "direct");
    assert_eq!(
        of_pair("https://a.example/?gclid=1", "https://bing.com/"),
        "google/cpc/"
    );
    assert_eq!(
        channel(r#"{"referrer":"https://duckduckgo.com/"}"#),
        "duckduckgo/organic/"
    );
    assert_eq!(
        of_pair(own, "https://m\u{fc}nchen.example/"),
        "xn--mnchen-3ya.example/referral/"
    );
}

#[test]
fn bytes_that_are_not_utf_8_are_windows_1252() {
    let word = |value: &str| {
        of_url(&format!(
            "https://a.example/?utm_source=n&utm_campaign={value}"
        ))
    };
    assert_eq!(word("%E9t%E9"), "n//\u{e9}t\u{e9}");
    assert_eq!(word("%E8t%E8"), "n//\u{e8}t\u{e8}");
    assert_eq!(word("%80+5"), "n//\u{20ac} 5");
    // One stray byte makes the whole value windows-1252.
    assert_eq!(word("%C3%A9%E9"), "n//\u{c3}\u{a9}\u{e9}");
    assert_eq!(word("%C3%A9"), "n//\u{e9}");
    assert_eq!(word("100%"), "n//100%");
}

#[test]
fn the_hosts_of_a_site_do_not_refer_to_each_other() {
    let own = "https://shop.example/cart";
    for referrer in [
        "https://shop.example/home",
        "https://www.shop.example/home",
        "https://checkout.shop.example/",
    ] {
        assert_eq!(of_pair(own, referrer), "direct", "{referrer}");
        assert_eq!(of_pair(referrer, own), "direct", "{referrer}");
    }
    assert_eq!(
        of_pair("https://a.github.io/", "https://b.github.io/"),
        "b.github.io/referral/"
    );
    assert_eq!(
        of_pair("http://192.0.2.7/", "http://198.51.100.7/"),
        "198.51.100.7/referral/"
    );
    assert_eq!(
        channel(r#"{"referrer":"https://www.press.example/a"}"#),
        "www.press.example/referral/"
    );
    assert_eq!(
        of_pair("https://google.com/shopping", "https://www.google.com/"),
        "direct"
    );
}

#[test]
fn a_page_without_host_is_the_brands_own() {
    assert_eq!(of_pair("/cart", "https://shop.example/"), "direct");
    assert_eq!(
        of_pair("/cart", "https://www.google.fr/"),
        "google/organic/"
    );
    assert_eq!(of_pair("/cart", "https://t.co/x"), "twitter/social/");
}

#[test]
fn own_hosts_and_payment_providers_bring_nobody() {
    let page = "https://shop.example/thanks";
    assert_eq!(of_pair(page, "https://www.paypal.com/checkout"), "direct");
    assert_eq!(channel(r#"{"referrer":"https://paypal.com/"}"#), "direct");
    let channels = Channels {
        own_hosts: vec!["shop.test".to_owned()],
        ignored_referrers: Vec::new(),
        ..channels()
    };
    let line = |referrer: &str| {
        channel_with(
            &serde_json::json!({ "url": page, "referrer": referrer }).to_string(),
            &channels,
        )
    };
    assert_eq!(line("https://m.shop.test/"), "direct");
    assert_eq!(line("https://workshop.test/"), "workshop.test/referral/");
    assert_eq!(line("https://www.paypal.com/"), "www.paypal.com/referral/");
}

#[test]
fn other_services_of_a_search_company_are_referrals() {
    let page = "https://shop.example/";
    assert_eq!(
        of_pair(page, "https://mail.google.com/mail/u/0/"),
        "mail.google.com/referral/"
    );
    assert_eq!(
        of_pair(page, "android-app://com.google.android.gm/"),
        "com.google.android.gm/referral/"
    );
    assert_eq!(
        of_pair(
            page,
            "android-app://com.google.android.googlequicksearchbox/"
        ),
        "google/organic/"
    );
}

#[test]
fn labels_are_folded_where_the_brand_wants_it() {
    let lower = Channels {
        case: LabelCase::Lower,
        ..channels()
    };
    let line = r#"{"source":"Google","medium":"CPC","campaign":"\u00c9t\u00e9"}"#;
    assert_eq!(channel(line), "Google/CPC/\u{c9}t\u{e9}");
    assert_eq!(channel_with(line, &lower), "google/cpc/\u{e9}t\u{e9}");
    let line = r#"{"url":"https://a.example/?utm_source=News&utm_medium=E-Mail"}"#;
    assert_eq!(channel_with(line, &lower), "news/e-mail/");
}

#[test]
fn bad_addresses_say_nothing() {
    for bad in [
        "",
        "::",
        "http://",
        "https://[::1",
        "not an address",
        "https://a b.example/",
        "?",
    ] {
        assert_eq!(of_pair(bad, bad), "direct", "{bad}");
    }
    assert_eq!(of_url("https://[::1?utm_source=x"), "direct");
    assert_eq!(
        channel(r#"{"url":"https:\/\/a.example\/?utm_source=x"}"#),
        "x//"
    );
    let long = format!("https://a.example/?utm_source=x&y={}", "z".repeat(MAX_URL));
    assert_eq!(of_url(&long), "direct");
}

proptest! {
    /// The short way to a host is the parser's answer, or none.
    #[test]
    fn plain_hosts_are_the_parsers(
        scheme in "https?",
        host in "[a-zA-Z0-9.\\-xn_%@:]{0,24}",
        rest in "([/?#\\\\][ -~]{0,8})?",
    ) {
        let url = format!("{scheme}://{host}{rest}");
        if let Some(plain) = plain_host(&url) {
            let parsed = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
            prop_assert_eq!(Some(plain.to_ascii_lowercase()), parsed);
        }
    }

    /// It is taken wherever its rule permits it.
    #[test]
    fn plain_hosts_are_those_of_the_rule(
        host in "[a-zA-Z0-9.\\-xn_%@:\u{e9}]{0,24}|([a-z]{1,6}[.-]){1,4}[a-z0-9]{0,4}",
        rest in "([/?#\\\\][ -~]{0,8})?",
    ) {
        let url = format!("https://{host}{rest}");
        let end = url[8..].find(['/', '?', '#']).map_or(url.len(), |end| end + 8);
        let host = &url[8..end];
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let last = host.rsplit_once('.').map_or("", |(_, last)| last);
        let is_plain = last.starts_with(|c: char| c.is_ascii_alphabetic())
            && !host.to_ascii_lowercase().contains("xn--")
            && host.chars().all(plain);
        prop_assert_eq!(plain_host(&url), is_plain.then_some(host));
    }

    #[test]
    fn a_query_ends_before_the_fragment(url in "[a?#&=/\u{e9}]{0,12}") {
        let address = url.split_once('#').map_or(&*url, |(address, _)| address);
        prop_assert_eq!(query(&url), address.split_once('?').map(|(_, query)| query));
    }
}

use super::*;
use crate::native::fields::Fields;
use proptest::prelude::*;

fn channel(line: &str) -> String {
    let fields = Fields::read(line).unwrap();
    let reader = Reader {
        fields: &fields,
        loose: false,
        decimal: Default::default(),
    };
    match derive(&reader) {
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
fn a_host_is_the_whole_of_its_name() {
    let own = "https://shop.example/cart";
    assert_eq!(of_pair(own, "https://shop.example/home"), "direct");
    assert_eq!(
        of_pair(own, "https://www.shop.example/home"),
        "www.shop.example/referral/"
    );
    assert_eq!(
        of_pair("https://www.shop.example/cart", "https://shop.example/"),
        "shop.example/referral/"
    );
    assert_eq!(
        channel(r#"{"referrer":"https://www.press.example/a"}"#),
        "www.press.example/referral/"
    );
    assert_eq!(
        of_pair("https://google.com/shopping", "https://www.google.com/"),
        "google/organic/"
    );
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
}

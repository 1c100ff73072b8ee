//! Robots: user agents that do not belong to a person.
//!
//! The list is `config/robots.txt`, generated from a public one, one regular
//! expression per line. The records of a robot are counted and omitted, so that
//! it is neither a visitor nor a contributor.

use std::sync::LazyLock;

use regex::bytes::{RegexSet, RegexSetBuilder};

/// The regular expressions, one per line; `#` begins a comment.
const LIST: &str = include_str!("../../../config/robots.txt");

/// How many bytes of a user agent are matched.
const MAX_LOOKED_AT: usize = 1_024;

/// The compiled list; a test checks that it compiles.
static ROBOTS: LazyLock<RegexSet> =
    LazyLock::new(|| read(LIST).unwrap_or_else(|_| RegexSet::empty()));

/// Compiles a list.
fn read(list: &str) -> Result<RegexSet, regex::Error> {
    let patterns = list.lines().filter(|line| !line.starts_with('#'));
    RegexSetBuilder::new(patterns.filter(|line| !line.is_empty()))
        .unicode(false)
        .size_limit(1 << 26)
        .build()
}

/// Whether a user agent is that of a known robot.
///
/// ```
/// use tributary_connectors::native::robots::is_robot;
///
/// assert!(is_robot("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"));
/// assert!(!is_robot("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"));
/// ```
pub fn is_robot(user_agent: &str) -> bool {
    let bytes = user_agent.as_bytes();
    ROBOTS.is_match(bytes.get(..MAX_LOOKED_AT).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_repository_is_read() {
        assert!(read(LIST).unwrap().len() > 1_000);
    }

    #[test]
    fn robots_are_known_and_browsers_are_none() {
        for robot in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
            "curl/8.5.0",
            "python-requests/2.32.3",
            "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/126.0.0.0 Safari/537.36",
        ] {
            assert!(is_robot(robot), "{robot}");
        }
        for browser in [
            "",
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:143.0) Gecko/20100101 Firefox/143.0",
            "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 350.0.0.0 (iPhone15,2; iOS 18_0; fr_FR)",
        ] {
            assert!(!is_robot(browser), "{browser}");
        }
        let long = format!("{}Googlebot/2.1", "\u{e9}".repeat(2_000));
        assert!(!is_robot(&long));
    }
}

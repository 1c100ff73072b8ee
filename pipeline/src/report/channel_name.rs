//! Names of channels, and of what the release gate publishes of several together.
//!
//! A cell that is the rest of what its name covers has `*` in each name that it
//! gave up: the rest of a source and medium, of a source, or of the month.

use tributary_operators::release::REST;

/// Source, medium and campaign.
pub type Channel<'a> = [Option<&'a str>; 3];

/// Source of what `release.ladder = "finest"` publishes of the channels that it
/// hides in a store and day; without medium and campaign.
const HIDDEN_IN_A_DAY: Channel<'_> = [Some("other"), None, None];

/// Whether a cell is published of several channels together.
pub fn is_together(channel: &Channel<'_>) -> bool {
    channel.contains(&Some(REST)) || *channel == HIDDEN_IN_A_DAY
}

/// Whether a cell of several channels together can contain credits of a channel,
/// or of the rest of a finer name.
pub fn contains(rest: &Channel<'_>, channel: &Channel<'_>) -> bool {
    let mut names = rest
        .iter()
        .take_while(|name| **name != Some(REST))
        .zip(channel);
    *rest == HIDDEN_IN_A_DAY || is_together(rest) && names.all(|(name, of)| name == of)
}

/// The name for people.
pub fn title(channel: &Channel<'_>) -> String {
    match channel {
        [Some(REST), ..] => "Rest of the month".to_owned(),
        _ if *channel == HIDDEN_IN_A_DAY => "Channels hidden by store and day".to_owned(),
        [Some(source), Some(REST), _] => format!("Other {source}"),
        [source, medium, Some(REST)] => {
            let [source, medium] = [source, medium].map(|name| name.unwrap_or("–"));
            format!("Other campaigns of {source}/{medium}")
        }
        names => {
            let names: Vec<&str> = names.iter().flatten().copied().collect();
            names.join("/")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_has_the_name_of_what_it_covers() {
        let names = [
            (
                [Some("google"), Some("cpc"), Some("fall")],
                "google/cpc/fall",
            ),
            ([Some("direct"), None, None], "direct"),
            (
                [Some("google"), Some("cpc"), Some("*")],
                "Other campaigns of google/cpc",
            ),
            (
                [Some("google"), None, Some("*")],
                "Other campaigns of google/–",
            ),
            ([Some("google"), Some("*"), Some("*")], "Other google"),
            ([Some("*"); 3], "Rest of the month"),
            (HIDDEN_IN_A_DAY, "Channels hidden by store and day"),
        ];
        for (channel, expected) in names {
            assert_eq!(title(&channel), expected);
        }
    }

    #[test]
    fn a_rest_contains_what_its_name_covers() {
        let fall = [Some("google"), Some("cpc"), Some("fall")];
        let campaigns = [Some("google"), Some("cpc"), Some("*")];
        let media = [Some("google"), Some("*"), Some("*")];
        for rest in [campaigns, media, [Some("*"); 3], HIDDEN_IN_A_DAY] {
            assert!(contains(&rest, &fall), "{rest:?}");
        }
        assert!(contains(&media, &campaigns) && !contains(&campaigns, &media));
        assert!(!contains(&[Some("bing"), Some("*"), Some("*")], &fall));
        assert!(!contains(&fall, &fall));
    }
}

//! Campaigns: which audience each brings to the site, and at which end of a journey.

use crate::random::Random;

/// The effect of a campaign on people.
///
/// Display and social campaigns raise interest and rarely sell; search and affiliate campaigns sell
/// to people whose interest is already high. So first-touch and last-touch attribution of the same
/// trace differ, as they do in practice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shown to people without interest; starts journeys, and is rarely clicked.
    Display,
    /// Clicked out of curiosity; raises interest.
    Social,
    /// Clicked by people who search; ends journeys.
    Search,
    /// Sent weekly to subscribers; brings them to the site and especially to the stores.
    Newsletter,
    /// Offers on other sites; ends journeys.
    Affiliate,
}

/// A campaign.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    /// Its effect.
    pub(crate) role: Role,
    /// The platform that reports its spend.
    pub(crate) platform: &'static str,
    /// The source of its channel.
    pub(crate) source: &'static str,
    /// The medium of its channel.
    pub(crate) medium: &'static str,
    /// The campaign of its channel.
    pub(crate) name: String,
    /// Its share of the traffic of its role, relative to the other campaigns of the role.
    pub(crate) weight: f64,
    /// Minor units: per thousand impressions for display, per message for the newsletter, and per
    /// click otherwise.
    pub(crate) price: i64,
}

/// The first campaigns: role, platform, source, medium, name, price. Further campaigns repeat them.
const KINDS: [(Role, &str, &str, &str, &str, i64); 8] = [
    (Role::Search, "google_ads", "google", "cpc", "brand", 38),
    (
        Role::Display,
        "display_x",
        "programmatic",
        "display",
        "prospecting",
        650,
    ),
    (
        Role::Social,
        "meta_ads",
        "facebook",
        "social",
        "lookalike",
        61,
    ),
    (
        Role::Newsletter,
        "mailer",
        "newsletter",
        "email",
        "weekly",
        11,
    ),
    (
        Role::Affiliate,
        "affilinet",
        "dealhub",
        "affiliate",
        "deals",
        95,
    ),
    (Role::Search, "google_ads", "google", "cpc", "generic", 92),
    (
        Role::Social,
        "meta_ads",
        "instagram",
        "social",
        "stories",
        54,
    ),
    (Role::Search, "microsoft_ads", "bing", "cpc", "generic", 47),
];

/// The campaigns of a brand. The n-th campaign of a kind has the weight 1/n (Zipf's law).
pub(crate) fn campaigns(count: u32) -> Vec<Campaign> {
    (0..count as usize)
        .map(|index| {
            let round = index / KINDS.len();
            let (role, platform, source, medium, name, price) = KINDS[index % KINDS.len()];
            Campaign {
                role,
                platform,
                source,
                medium,
                name: match round {
                    0 => name.to_owned(),
                    round => format!("{name}-{}", round + 1),
                },
                weight: 1.0 / (1.0 + round as f64),
                price,
            }
        })
        .collect()
}

/// A random campaign of a role by weight, or `None` if the brand has none.
pub(crate) fn of_role(campaigns: &[Campaign], role: Role, random: &mut Random) -> Option<usize> {
    if !campaigns.iter().any(|campaign| campaign.role == role) {
        return None;
    }
    Some(
        random.weighted(
            campaigns
                .iter()
                .map(|campaign| match campaign.role == role {
                    true => campaign.weight,
                    false => 0.0,
                }),
        ),
    )
}

//! Campaigns: who brings people, and to which end of a journey.

use crate::random::Random;

/// What a campaign does to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shown to people who want nothing yet; starts journeys, is seldom clicked.
    Display,
    /// Clicked out of curiosity; warms.
    Social,
    /// Clicked by those who search; ends journeys.
    Search,
    /// Sent weekly to subscribers; brings them to the site and, more so, into the shop.
    Newsletter,
    /// Deals on other people's pages; ends journeys.
    Affiliate,
}

/// One campaign.
#[derive(Clone, Debug)]
pub(crate) struct Campaign {
    pub(crate) role: Role,
    pub(crate) platform: &'static str,
    pub(crate) source: &'static str,
    pub(crate) medium: &'static str,
    pub(crate) name: String,
    /// How much of its role's traffic is its own, against the others of the role.
    pub(crate) weight: f64,
    /// Minor units per click, or for display per thousand impressions.
    pub(crate) price: i64,
}

const KINDS: [(Role, &str, &str, &str, &str, i64); 8] = [
    (Role::Search, "google_ads", "google", "cpc", "brand", 38),
    (
        Role::Display,
        "display_x",
        "programmatic",
        "display",
        "prospecting",
        420,
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
        0,
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

/// The campaigns of a brand. The first of a role is the largest, as Zipf has it.
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

/// A campaign of a role, none where the brand runs none.
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

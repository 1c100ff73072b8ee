//! Spend: what the platforms charge, one row per campaign and day, sent the next morning, and
//! sometimes restated later.

use jiff::ToSpan;
use tributary_config::model::Kind;

use crate::delivery::major;
use crate::json::Object;
use crate::market::Role;
use crate::world::{DAY, HOUR, MINUTE, World};

impl World {
    /// Reports the spend of this day, and resets the counts of impressions and clicks.
    ///
    /// A platform counts more than the site: an eighth more clicks, of visitors who never arrive,
    /// and 25 impressions for each click; and of 25 display impressions one is on a page that may
    /// report it. Display is charged per thousand impressions, the newsletter per message, and
    /// everything else per click. A row arrives between 6:00 and 6:30 of the next day, and one of
    /// ten is restated two days later.
    pub(crate) fn spend(&mut self) {
        let Ok(date) = self.options.start.checked_add(i64::from(self.day).days()) else {
            return;
        };
        let ad_counts = std::mem::replace(&mut self.ad_counts, vec![(0, 0); self.campaigns.len()]);
        for (index, (impressions, clicks)) in ad_counts.into_iter().enumerate() {
            let Some(campaign) = self.campaigns.get(index).cloned() else {
                continue;
            };
            if impressions + clicks == 0 {
                continue;
            }
            // Platforms see more than a site does: those who never arrive, and those who look.
            let clicks = clicks + clicks / 8;
            let impressions = match campaign.role {
                Role::Newsletter => impressions,
                Role::Display => 25 * impressions + clicks * 25,
                _ => impressions + clicks * 25,
            };
            let cost = match campaign.role {
                Role::Display => impressions as i64 * campaign.price / 1_000,
                Role::Newsletter => impressions as i64 * campaign.price,
                _ => clicks as i64 * campaign.price,
            };
            let code = (index % 2 == 0).then(|| self.options.currency.clone());
            let row = |cost: i64| {
                Object::new()
                    .text("date", &date.to_string())
                    .text("platform", campaign.platform)
                    .text("source", campaign.source)
                    .text("medium", campaign.medium)
                    .text("campaign", &campaign.name)
                    .text("cost", &major(cost))
                    .optional("currency", code.as_deref())
                    .raw("impressions", impressions)
                    .raw("clicks", clicks)
                    .end()
            };
            let morning = self.midnight + DAY + 6 * HOUR + self.random.whole(0, 30 * MINUTE);
            self.send_at(Kind::Spend, morning, morning, row(cost));
            if self.random.chance(0.1) {
                let restated = row(cost + cost / 50 + 1);
                self.send_at(Kind::Spend, morning, morning + 2 * DAY, restated);
            }
        }
    }
}

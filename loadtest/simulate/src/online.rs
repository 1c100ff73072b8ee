//! The website: advertisements, sessions, and orders.
//!
//! What a person does depends on their interest in the brand. People with little interest arrive by
//! display and social advertisements, which raise it; people with much interest arrive by search,
//! by affiliates or directly, and buy.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tributary_config::model::Kind;

use crate::json::Object;
use crate::market::{Role, of_role};
use crate::people::{Person, Trait};
use crate::world::{DAY, MINUTE, SECOND, World};

/// How a person enters the site.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// By a campaign, given by its index.
    Campaign(usize),
    /// By an unpaid search result.
    Organic,
    /// By a link on another site.
    Referral,
    /// By typing the address or by a bookmark.
    Direct,
}

/// Search engines.
const ENGINES: [&str; 3] = ["www.google.com", "www.bing.com", "duckduckgo.com"];
/// Referring sites.
const HOSTS: [&str; 3] = ["blog.example.net", "forum.example.org", "press.example.com"];
/// Pages of the shop.
const PAGES: [&str; 8] = [
    "shoes", "coats", "garden", "kitchen", "sale", "new", "toys", "basket",
];

impl World {
    /// The day of a person online: impressions, a newsletter, and sessions.
    pub(crate) fn simulate_online(&mut self, person: &mut Person) {
        let need = self.need(Kind::Web);
        if need == 0.0 {
            return;
        }
        let busy = f64::from(person.activity) * need;
        for _ in 0..self.random.times(0.06 * busy).min(12) {
            self.add_impression(person);
        }
        if self.tuesday
            && person.has(Trait::Subscriber)
            && let Some(letter) = of_role(&self.campaigns, Role::Newsletter, &mut self.random)
        {
            self.count_ad(letter, 1, 0);
            if self.random.chance((0.25 * need).min(0.9)) {
                self.session(person, Entry::Campaign(letter));
            }
        }
        let wants = 0.5 + f64::from(person.interest) / 60.0;
        for _ in 0..self.random.times(0.09 * busy * wants).min(8) {
            let way = self.way(person);
            self.session(person, way);
        }
    }

    /// An impression of a display campaign.
    fn add_impression(&mut self, person: &mut Person) {
        let Some(campaign) = of_role(&self.campaigns, Role::Display, &mut self.random) else {
            return;
        };
        let ts = self.random_time();
        let cookie = self.cookie(person);
        let object = self.web("impression", ts, &cookie);
        let object = self.add_channel(object, campaign);
        self.count_ad(campaign, 1, 0);
        self.send(Kind::Web, ts, object.end());
        person.raise_interest(5);
    }

    /// A random entry, weighted by the interest of the person: with growing interest, social and
    /// display advertisements become less likely, and search, affiliates and direct visits more
    /// likely. The newsletter only reaches subscribers.
    fn way(&mut self, person: &Person) -> Entry {
        let interest = f64::from(person.interest) / 100.0;
        let letters = if person.has(Trait::Subscriber) {
            0.6
        } else {
            0.0
        };
        let weights = [
            3.0 - 2.0 * interest,
            1.2 - interest,
            1.0 + 4.0 * interest,
            0.6 + interest,
            letters,
            1.5 + 3.0 * interest,
            0.7,
            1.2 + 2.5 * interest,
        ];
        let role = match self.random.weighted(weights.into_iter()) {
            0 => Role::Social,
            1 => Role::Display,
            2 => Role::Search,
            3 => Role::Affiliate,
            4 => Role::Newsletter,
            5 => return Entry::Organic,
            6 => return Entry::Referral,
            _ => return Entry::Direct,
        };
        of_role(&self.campaigns, role, &mut self.random).map_or(Entry::Direct, Entry::Campaign)
    }

    /// A session of a person.
    ///
    /// 1. Campaigns are measured by a click in 60 % of cases, and always by the landing page.
    /// 2. The landing identifies the channel ([`Self::arrival`]).
    /// 3. Page views follow, and for 60 % of the members a login. The link in a newsletter carries
    ///    the hash of the address that it was sent to, so most readers are identified at once.
    /// 4. The session ends with an order, with a probability that grows with the interest of the
    ///    person and depends on the entry: search and affiliates close sales, display and social
    ///    raise interest. Who does not order may plan to buy in a store within four days.
    fn session(&mut self, person: &mut Person, way: Entry) {
        let mut ts = self.random_time();
        let cookie = self.cookie(person);
        let site = format!("https://www.{}.example", self.options.brand);
        // Some advertisements are measured by their click, all by the page that is landed on.
        if let Entry::Campaign(campaign) = way {
            self.count_ad(campaign, 0, 1);
            if self.random.chance(0.6) {
                let object = self.web("click", ts, &cookie);
                let object = self.add_channel(object, campaign);
                self.send(Kind::Web, ts, object.end());
                ts += self.random.whole(SECOND, 8 * SECOND);
            }
        }
        let object = self.web("view", ts, &cookie).raw("landing", true);
        let object = self.arrival(object, way, &site);
        self.send(Kind::Web, ts, object.end());

        if self.is_newsletter(way) && self.random.chance(0.85) {
            let email = person.identity(self.options.seed).email();
            let object = self.web("identify", ts + SECOND, &cookie);
            let hash = HEXLOWER.encode(&Sha256::digest(email.as_bytes()));
            self.send(Kind::Web, ts + SECOND, object.text("email", &hash).end());
        }

        let views = 0.9 * self.random.heavy(12.0);
        for _ in 0..self.random.times(views) {
            ts += self.random.whole(8 * SECOND, 3 * MINUTE);
            let page = self.page();
            let object = self
                .web("view", ts, &cookie)
                .text("url", &format!("{site}/{page}"))
                .text("referrer", &format!("{site}/"));
            self.send(Kind::Web, ts, object.end());
        }
        if person.has(Trait::Customer) && self.random.chance(0.6) {
            ts += self.random.whole(5 * SECOND, MINUTE);
            let object = self.web("identify", ts, &cookie);
            let object = self.add_identifiers(object, person);
            self.send(Kind::Web, ts, object.end());
        }
        // How much interest the entry raises, how well it sells online, and how often it sends
        // people to a store.
        let (warms, closes, sends) = match way {
            Entry::Campaign(campaign) => match self.campaigns.get(campaign).map(|c| c.role) {
                Some(Role::Display) => (8, 0.4, 0.1),
                Some(Role::Social) => (14, 0.5, 0.15),
                Some(Role::Search) => (6, 1.6, 0.4),
                Some(Role::Newsletter) => (10, 0.8, 0.6),
                Some(Role::Affiliate) | None => (5, 1.8, 0.1),
            },
            Entry::Organic => (8, 1.2, 0.35),
            Entry::Referral => (8, 0.7, 0.15),
            Entry::Direct => (4, 1.3, 0.4),
        };
        let buys = (0.02 + f64::from(person.interest) * 0.0016) * closes;
        person.raise_interest(warms);
        if self.random.chance(buys) {
            ts += self.random.whole(30 * SECOND, 5 * MINUTE);
            self.order(person, ts, &cookie);
            person.interest = 8;
        } else if self.random.chance(sends) {
            person.plans_until = self.day + 4;
        }
    }

    /// Whether an entry is by a newsletter.
    fn is_newsletter(&self, way: Entry) -> bool {
        let Entry::Campaign(campaign) = way else {
            return false;
        };
        let campaign = self.campaigns.get(campaign);
        campaign.is_some_and(|campaign| campaign.role == Role::Newsletter)
    }

    /// An order, and sometimes further records.
    ///
    /// The amount is 15 to 65 units of currency times a heavy-tailed factor of 2 on average. One
    /// order of 100 is reported again by a reload of the confirmation page, under another ID; one
    /// is corrected by a higher version; and the share `options.refunds` is refunded after one to
    /// twelve days, in full or by half, three times of ten at a till.
    fn order(&mut self, person: &Person, ts: i64, cookie: &str) {
        self.orders += 1;
        let order = format!("O-{}", 100_000 + self.orders);
        let minor = (1_500 + self.random.whole(0, 5_000)) as f64 * self.random.heavy(25.0);
        let minor = minor as i64;
        let web = self.web_number();
        let build = |world: &mut World, id: &str, minor: i64| {
            let object = Object::new().text("id", id);
            let object = world
                .add_time(object, ts)
                .text("type", "order")
                .text("cookie", cookie);
            let object = world.add_consent_string(object, ts, cookie);
            let object = world.amount(object.text("order_id", &order), minor);
            let object = match world.random.whole(0, 3) {
                0 => object.text("currency", &world.options.currency.to_lowercase()),
                1 => object.text("currency", &world.options.currency),
                _ => object,
            };
            world.add_identifiers(object, person)
        };
        let object = build(self, &web, minor);
        self.send(Kind::Web, ts, object.end());
        // The page after the payment is loaded again and counts the order a second time.
        if self.random.chance(0.01) {
            let later = ts + self.random.whole(MINUTE, 20 * MINUTE);
            let id = self.web_number();
            let object = build(self, &id, minor);
            self.send(Kind::Web, later, object.end());
        }
        if self.random.chance(0.01) {
            let at = ts + self.random.whole(MINUTE, DAY);
            let object = build(self, &web, minor - minor / 10).raw("version", 1);
            self.send_at(Kind::Web, ts, at, object.end());
        }
        if self.random.chance(self.options.refunds) {
            let back = ts + self.random.whole(DAY, 12 * DAY);
            let part = self.random.chance(0.4).then_some(minor / 2);
            if self.random.chance(0.3) {
                self.till_refunds_order(person.home, back, &order, part.unwrap_or(minor));
                return;
            }
            let cookie = self.cookie(person);
            let object = self.web("refund", back, &cookie).text("order_id", &order);
            let object = match part {
                Some(part) => self.amount(object, part),
                None => object,
            };
            self.send(Kind::Web, back, object.end());
        }
    }

    /// Adds the identifiers that a person enters: an e-mail address in clear or hashed, with a
    /// telephone, customer and loyalty card number if they have them.
    pub(crate) fn add_identifiers(&mut self, mut object: Object, person: &Person) -> Object {
        let identity = person.identity(self.options.seed);
        if person.has(Trait::Email) {
            let email = identity.email();
            object = match self.random.whole(0, 5) {
                0 | 1 => object.text("email", &HEXLOWER.encode(&Sha256::digest(email.as_bytes()))),
                2 => object.text("email", &format!(" {}", email.to_uppercase())),
                _ => object.text("email", &email),
            };
        }
        if person.has(Trait::Phone) && self.random.chance(0.4) {
            let way = self.random.bits();
            object = object.text("phone", &identity.phone(way));
        }
        if person.has(Trait::Customer) && self.random.chance(0.7) {
            object = object.text("customer", &identity.customer());
        }
        if person.has(Trait::Wallet) && self.random.chance(0.5) {
            object = object.text("wallet", &identity.wallet());
        }
        object
    }

    /// Adds what identifies the channel.
    ///
    /// A campaign is identified by explicit fields, by the `utm_` parameters of the address, or by
    /// the click ID of its platform; an unpaid search or a referral by the referring page; a direct
    /// visit by nothing.
    fn arrival(&mut self, object: Object, way: Entry, site: &str) -> Object {
        let page = self.page();
        let url = format!("{site}/{page}");
        match way {
            Entry::Campaign(index) => {
                let Some(campaign) = self.campaigns.get(index) else {
                    return object;
                };
                let click_id = match (campaign.source, campaign.medium) {
                    ("google", "cpc") => Some("gclid"),
                    ("bing", "cpc") => Some("msclkid"),
                    _ => None,
                };
                let tagged = format!(
                    "{url}?utm_source={}&utm_medium={}&utm_campaign={}",
                    campaign.source, campaign.medium, campaign.name
                );
                match (self.random.whole(0, 3), click_id) {
                    (0, Some(key)) => {
                        let click = self.random.bits();
                        object.text("url", &format!("{url}?{key}={click:x}"))
                    }
                    (0 | 1, _) => object.text("url", &tagged),
                    _ => self.add_channel(object.text("url", &url), index),
                }
            }
            Entry::Organic => {
                let host = self.random.pick(&ENGINES, ENGINES[0]);
                object
                    .text("url", &url)
                    .text("referrer", &format!("https://{host}/"))
            }
            Entry::Referral => {
                let host = self.random.pick(&HOSTS, HOSTS[0]);
                object
                    .text("url", &url)
                    .text("referrer", &format!("https://{host}/article"))
            }
            Entry::Direct => object.text("url", &url),
        }
    }

    /// Adds the fields of a campaign.
    fn add_channel(&mut self, object: Object, campaign: usize) -> Object {
        match self.campaigns.get(campaign) {
            Some(campaign) => object
                .text("source", campaign.source)
                .text("medium", campaign.medium)
                .text("campaign", &campaign.name),
            None => object,
        }
    }

    /// Counts impressions and clicks of a campaign, for its spend.
    fn count_ad(&mut self, campaign: usize, impressions: u64, clicks: u64) {
        if let Some(ad_counts) = self.ad_counts.get_mut(campaign) {
            ad_counts.0 += impressions;
            ad_counts.1 += clicks;
        }
    }

    /// A web record of a type, with its consent string.
    pub(crate) fn web(&mut self, kind: &str, ts: i64, cookie: &str) -> Object {
        let id = self.web_number();
        let object = Object::new().text("id", &id);
        let object = self.add_time(object, ts);
        let object = object.text("type", kind).text("cookie", cookie);
        self.add_consent_string(object, ts, cookie)
    }

    /// The ID of the next web record.
    fn web_number(&mut self) -> String {
        self.webs += 1;
        format!("w{}", self.webs)
    }

    /// A random page.
    fn page(&mut self) -> &'static str {
        self.random.pick(&PAGES, PAGES[0])
    }

    /// The cookie of one of the person's browsers, mostly the first.
    fn cookie(&mut self, person: &Person) -> String {
        let last = i64::from(person.cookies) - 1;
        let browser = match self.random.chance(0.7) {
            true => 0,
            false => self.random.whole(0, last),
        };
        person.identity(self.options.seed).cookie(browser as u64)
    }

    /// A random time of the day in Unix milliseconds: the later of two uniform draws, shifted by
    /// two hours, so that it is rare at night and most likely in the late evening.
    fn random_time(&mut self) -> i64 {
        let later = self
            .random
            .whole(0, DAY - 1)
            .max(self.random.whole(0, DAY - 1));
        // Two hours back, so that the peak is at ten and not at midnight.
        self.midnight + (later - 7_200 * SECOND).rem_euclid(DAY)
    }
}

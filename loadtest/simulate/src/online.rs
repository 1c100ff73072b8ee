//! A person's day online: what is shown to him, how he comes to the site, what he does and buys
//! there.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tributary_config::model::Kind;

use crate::json::Object;
use crate::market::{Role, of_role};
use crate::people::{Person, Trait};
use crate::world::{DAY, MINUTE, SECOND, World};

/// How somebody comes to the site.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Campaign(usize),
    Organic,
    Referral,
    Direct,
}

const ENGINES: [&str; 3] = ["www.google.com", "www.bing.com", "duckduckgo.com"];
const HOSTS: [&str; 3] = ["blog.example.net", "forum.example.org", "press.example.com"];
const PAGES: [&str; 8] = [
    "shoes", "coats", "garden", "kitchen", "sale", "new", "toys", "basket",
];

impl World {
    pub(crate) fn live_online(&mut self, person: &mut Person) {
        let need = self.need(Kind::Web);
        if need == 0.0 {
            return;
        }
        let busy = f64::from(person.activity) * need;
        for _ in 0..self.dice.times(0.06 * busy).min(12) {
            self.see_display(person);
        }
        let reads = self.tuesday && person.has(Trait::Subscriber);
        if reads
            && self.dice.chance((0.25 * need).min(0.9))
            && let Some(letter) = of_role(&self.campaigns, Role::Newsletter, &mut self.dice)
        {
            if self.dice.chance(0.6) {
                person.nudged_until = self.day + 3;
            }
            self.session(person, Way::Campaign(letter));
        }
        let wants = 0.5 + f64::from(person.warm) / 60.0;
        for _ in 0..self.dice.times(0.09 * busy * wants).min(8) {
            let way = self.way(person);
            self.session(person, way);
        }
    }

    fn see_display(&mut self, person: &mut Person) {
        let Some(campaign) = of_role(&self.campaigns, Role::Display, &mut self.dice) else {
            return;
        };
        let ts = self.evening();
        let cookie = self.cookie(person);
        let object = self.web("impression", ts, &cookie);
        let object = self.labels(object, campaign);
        self.tally_up(campaign, 1, 0);
        self.send(Kind::Web, ts, object.end());
        person.warm_up(5);
    }

    /// The cold come by what is shown to them, the warm by search and by themselves.
    fn way(&mut self, person: &Person) -> Way {
        let warm = f64::from(person.warm) / 100.0;
        let letters = if person.has(Trait::Subscriber) {
            0.6
        } else {
            0.0
        };
        let weights = [
            3.0 - 2.0 * warm,
            1.2 - warm,
            1.0 + 4.0 * warm,
            0.6 + warm,
            letters,
            1.5 + 3.0 * warm,
            0.7,
            1.2 + 2.5 * warm,
        ];
        let role = match self.dice.weighted(weights.into_iter()) {
            0 => Role::Social,
            1 => Role::Display,
            2 => Role::Search,
            3 => Role::Affiliate,
            4 => Role::Newsletter,
            5 => return Way::Organic,
            6 => return Way::Referral,
            _ => return Way::Direct,
        };
        of_role(&self.campaigns, role, &mut self.dice).map_or(Way::Direct, Way::Campaign)
    }

    fn session(&mut self, person: &mut Person, way: Way) {
        let mut ts = self.evening();
        let cookie = self.cookie(person);
        let site = format!("https://www.{}.example", self.options.brand);
        // Some advertisements are measured by their click, all by the page that is landed on.
        if let Way::Campaign(campaign) = way {
            self.tally_up(campaign, 0, 1);
            if self.dice.chance(0.6) {
                let object = self.web("click", ts, &cookie);
                let object = self.labels(object, campaign);
                self.send(Kind::Web, ts, object.end());
                ts += self.dice.whole(SECOND, 8 * SECOND);
            }
        }
        let object = self.web("view", ts, &cookie).raw("landing", true);
        let object = self.arrival(object, way, &site);
        self.send(Kind::Web, ts, object.end());

        let views = 0.9 * self.dice.heavy(12.0);
        for _ in 0..self.dice.times(views) {
            ts += self.dice.whole(8 * SECOND, 3 * MINUTE);
            let page = self.page();
            let object = self
                .web("view", ts, &cookie)
                .text("url", &format!("{site}/{page}"))
                .text("referrer", &format!("{site}/"));
            self.send(Kind::Web, ts, object.end());
        }
        if person.has(Trait::Customer) && self.dice.chance(0.25) {
            ts += self.dice.whole(5 * SECOND, MINUTE);
            let object = self.web("identify", ts, &cookie);
            let object = self.names(object, person);
            self.send(Kind::Web, ts, object.end());
        }
        let (warms, closes) = match way {
            Way::Campaign(campaign) => match self.campaigns.get(campaign).map(|c| c.role) {
                Some(Role::Display) => (8, 0.4),
                Some(Role::Social) => (14, 0.5),
                Some(Role::Search) => (6, 1.6),
                Some(Role::Newsletter) => (10, 0.8),
                Some(Role::Affiliate) | None => (5, 1.8),
            },
            Way::Organic => (8, 1.2),
            Way::Referral => (8, 0.7),
            Way::Direct => (4, 1.3),
        };
        let buys = (0.02 + f64::from(person.warm) * 0.0016) * closes;
        person.warm_up(warms);
        if self.dice.chance(buys) {
            ts += self.dice.whole(30 * SECOND, 5 * MINUTE);
            self.order(person, ts, &cookie);
            person.warm = 8;
        }
    }

    fn order(&mut self, person: &Person, ts: i64, cookie: &str) {
        self.orders += 1;
        let order = format!("O-{}", 100_000 + self.orders);
        let minor = (1_500 + self.dice.whole(0, 5_000)) as f64 * self.dice.heavy(25.0);
        let minor = minor as i64;
        let web = self.web_number();
        let build = |world: &mut World, id: &str, minor: i64| {
            let object = Object::new().text("id", id);
            let object = world
                .stamp(object, ts)
                .text("type", "order")
                .text("cookie", cookie);
            let object = world.chosen(object, ts, cookie);
            let object = world.amount(object.text("order_id", &order), minor);
            let object = match world.dice.whole(0, 3) {
                0 => object.text("currency", "eur"),
                1 => object.text("currency", "EUR"),
                _ => object,
            };
            world.names(object, person)
        };
        let object = build(self, &web, minor);
        self.send(Kind::Web, ts, object.end());
        // The page after the payment is loaded again and counts the order a second time.
        if self.dice.chance(0.01) {
            let later = ts + self.dice.whole(MINUTE, 20 * MINUTE);
            let id = self.web_number();
            let object = build(self, &id, minor);
            self.send(Kind::Web, later, object.end());
        }
        if self.dice.chance(0.01) {
            let at = ts + self.dice.whole(MINUTE, DAY);
            let object = build(self, &web, minor - minor / 10).raw("version", 1);
            self.send_at(Kind::Web, ts, at, object.end());
        }
        if self.dice.chance(self.options.refunds) {
            let back = ts + self.dice.whole(DAY, 12 * DAY);
            let part = self.dice.chance(0.4).then_some(minor / 2);
            if self.dice.chance(0.3) {
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

    /// Adds who the person says he is: the e-mail clear or hashed, with what an account has
    /// besides.
    pub(crate) fn names(&mut self, mut object: Object, person: &Person) -> Object {
        let identity = person.identity(self.options.seed);
        if person.has(Trait::Email) {
            let email = identity.email();
            object = match self.dice.whole(0, 5) {
                0 | 1 => object.text("email", &HEXLOWER.encode(&Sha256::digest(email.as_bytes()))),
                2 => object.text("email", &format!(" {}", email.to_uppercase())),
                _ => object.text("email", &email),
            };
        }
        if person.has(Trait::Phone) && self.dice.chance(0.4) {
            let way = self.dice.bits();
            object = object.text("phone", &identity.phone(way));
        }
        if person.has(Trait::Customer) && self.dice.chance(0.7) {
            object = object.text("customer", &identity.customer());
        }
        object
    }

    /// Adds what tells the channel: fields, a tagged address, a click id or the page before.
    fn arrival(&mut self, object: Object, way: Way, site: &str) -> Object {
        let page = self.page();
        let url = format!("{site}/{page}");
        match way {
            Way::Campaign(index) => {
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
                match (self.dice.whole(0, 3), click_id) {
                    (0, Some(key)) => {
                        let click = self.dice.bits();
                        object.text("url", &format!("{url}?{key}={click:x}"))
                    }
                    (0 | 1, _) => object.text("url", &tagged),
                    _ => self.labels(object.text("url", &url), index),
                }
            }
            Way::Organic => {
                let host = self.dice.pick(&ENGINES, ENGINES[0]);
                object
                    .text("url", &url)
                    .text("referrer", &format!("https://{host}/"))
            }
            Way::Referral => {
                let host = self.dice.pick(&HOSTS, HOSTS[0]);
                object
                    .text("url", &url)
                    .text("referrer", &format!("https://{host}/article"))
            }
            Way::Direct => object.text("url", &url),
        }
    }

    fn labels(&mut self, object: Object, campaign: usize) -> Object {
        match self.campaigns.get(campaign) {
            Some(campaign) => object
                .text("source", campaign.source)
                .text("medium", campaign.medium)
                .text("campaign", &campaign.name),
            None => object,
        }
    }

    fn tally_up(&mut self, campaign: usize, impressions: u64, clicks: u64) {
        if let Some(tally) = self.tally.get_mut(campaign) {
            tally.0 += impressions;
            tally.1 += clicks;
        }
    }

    pub(crate) fn web(&mut self, kind: &str, ts: i64, cookie: &str) -> Object {
        let id = self.web_number();
        let object = Object::new().text("id", &id);
        let object = self.stamp(object, ts);
        let object = object.text("type", kind).text("cookie", cookie);
        self.chosen(object, ts, cookie)
    }

    fn web_number(&mut self) -> String {
        self.webs += 1;
        format!("w{}", self.webs)
    }

    fn page(&mut self) -> &'static str {
        self.dice.pick(&PAGES, PAGES[0])
    }

    /// The first browser is used most.
    fn cookie(&mut self, person: &Person) -> String {
        let last = i64::from(person.cookies) - 1;
        let browser = match self.dice.chance(0.6) {
            true => 0,
            false => self.dice.whole(0, last),
        };
        person.identity(self.options.seed).cookie(browser as u64)
    }

    /// A moment of the day: few at night, most in the evening.
    fn evening(&mut self) -> i64 {
        let later = self.dice.whole(0, DAY - 1).max(self.dice.whole(0, DAY - 1));
        // Two hours back, so that the peak is at ten and not at midnight.
        self.midnight + (later - 7_200 * SECOND).rem_euclid(DAY)
    }
}

//! Small random worlds: a month in a few stores, with so few people that nearly every field of the table is a person.
//!
//! All chance is in here, and a world is a list of purchases, so that a world that fails can be made smaller: purchases,
//! people and models are taken out for as long as it still fails.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_operators::attribution::Model;
use tributary_operators::attribution::credit::{CONVERSION, credits};
use tributary_operators::attribution::path::Touch;
use tributary_operators::label::Channel;
use tributary_operators::record::Day;
use tributary_operators::release::table::{ChannelName, Credit, Place, RevenueKind, Sale, Table};
use tributary_operators::release::weight::Rule;
use tributary_operators::settings::BrandSettings;

/// Source, medium and campaign.
type Words = [&'static str; 3];

/// The channels that a world may have.
const CHANNELS: [&[Words]; 6] = [
    &[
        ["google", "cpc", "brand"],
        ["google", "cpc", "shoes"],
        ["meta", "social", "spring"],
    ],
    &[
        ["google", "cpc", "brand"],
        ["google", "organic", ""],
        ["meta", "social", "spring"],
        ["meta", "social", "autumn"],
    ],
    &[
        ["google", "cpc", "brand"],
        ["google", "cpc", "shoes"],
        ["meta", "social", "spring"],
        ["meta", "video", "spring"],
    ],
    &[
        ["google", "", ""],
        ["google", "cpc", "brand"],
        ["meta", "social", "spring"],
    ],
    &[
        ["google", "cpc", "brand"],
        ["google", "cpc", "shoes"],
        DIRECT,
    ],
    &[
        ["google", "cpc", "brand"],
        ["google", "cpc", "shoes"],
        ["google", "organic", ""],
        DIRECT,
    ],
];
const DIRECT: Words = ["direct", "none", ""];
const UNATTRIBUTED: Words = ["unattributed", "", ""];
const OVERSIZED: Words = ["unattributed", "oversized", ""];

/// The stores that a world may have, of which one is the online shop.
const STORES: [&str; 3] = ["north", "south", ""];

/// What precedes a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Channels of the world, the oldest first; none is a purchase without a known contact.
    Touches(Vec<usize>),
    /// The person has too many identifiers.
    Oversized,
}

/// A conversion.
#[derive(Clone, Debug)]
pub struct Purchase {
    pub who: u64,
    pub is_vouched: bool,
    pub day: Day,
    pub store: usize,
    pub value: i128,
    pub path: Path,
    /// The hours between touches.
    pub gap: i64,
}

/// A month of a brand.
#[derive(Clone)]
pub struct World {
    pub k: u64,
    /// The weights of the position model.
    pub position: [u32; 3],
    /// The models that the reader gets to see.
    pub models: BTreeSet<Model>,
    pub channels: &'static [Words],
    pub stores: usize,
    /// Whether the second store is the stays of the first one, and not a store of its own.
    pub has_stays: bool,
    pub days: Day,
    /// The longest path that any purchase may have.
    pub max_path: usize,
    pub purchases: Vec<Purchase>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let models: Vec<&str> = self.models.iter().map(|model| model.name()).collect();
        let World { k, position, .. } = self;
        writeln!(f, "k {k}, position {position:?}, models {models:?}")?;
        writeln!(
            f,
            "{} stores (stays: {}), {} days, paths of at most {}, channels {:?}",
            self.stores, self.has_stays, self.days, self.max_path, self.channels
        )?;
        for purchase in &self.purchases {
            writeln!(f, "{purchase:?}")?;
        }
        Ok(())
    }
}

impl World {
    /// A random world.
    pub fn random(seed: u64) -> World {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut world = World {
            k: rng.random_range(2..=5),
            position: [[40, 20, 40], [20, 20, 60], [1, 0, 1]][rng.random_range(0..3)],
            models: Model::ALL.into(),
            channels: CHANNELS[rng.random_range(0..CHANNELS.len())],
            stores: rng.random_range(2..=3),
            has_stays: seed.is_multiple_of(2),
            days: rng.random_range(2..=4),
            max_path: rng.random_range(1..=3),
            purchases: Vec::new(),
        };
        let people = rng.random_range(5..=40);
        for who in 0..people {
            world.add_random(rng, who);
        }
        world
    }

    /// Adds a random purchase of somebody, now and then two. What comes first is common and what comes last is rare.
    pub fn add_random(&mut self, rng: &mut StdRng, who: u64) {
        fn rare(rng: &mut StdRng, of: usize) -> usize {
            rng.random_range(0..of).min(rng.random_range(0..of))
        }
        for _ in 0..rng.random_range(0..6_u32).max(4) - 3 {
            let touches = rng.random_range(0..=self.max_path);
            let touches = (0..touches).map(|_| rare(rng, self.channels.len()));
            let touches = Path::Touches(touches.collect());
            let path = match rng.random_bool(0.03) {
                true => Path::Oversized,
                false => touches,
            };
            // Multiples of four, so that halves and quarters are exact; a few are large.
            let large = if rng.random_bool(0.05) { 30 } else { 1 };
            self.purchases.push(Purchase {
                who,
                is_vouched: rng.random_bool(0.95),
                day: rare(rng, self.days as usize) as Day,
                store: rare(rng, self.stores),
                value: 4 * rng.random_range(1..500) * large,
                path,
                gap: rng.random_range(0..100),
            });
        }
    }

    /// The rule for the world's settings and models.
    pub fn rule(&self) -> Rule {
        let mut rule = Rule::new(self.k, 80);
        rule.shared.retain(|model| self.models.contains(model));
        rule.single.retain(|model| self.models.contains(model));
        rule
    }

    /// The channels that conversions can be credited to: those of the world, and the two for conversions without one.
    pub fn credited(&self) -> Vec<Words> {
        [self.channels, &[UNATTRIBUTED, OVERSIZED]].concat()
    }

    /// The index of a channel of a conversion without touchpoints.
    pub fn nobody(&self, path: &Path) -> usize {
        match path {
            Path::Touches(_) => self.channels.len(),
            Path::Oversized => self.channels.len() + 1,
        }
    }

    /// The index of the channel of visits without an origin, if the world has it.
    pub fn direct(&self) -> Option<usize> {
        self.channels.iter().position(|words| *words == DIRECT)
    }

    /// Every store on every day.
    pub fn rows(&self) -> impl Iterator<Item = (Day, usize)> {
        (0..self.days).flat_map(|day| (0..self.stores).map(move |store| (day, store)))
    }

    /// The place of an index.
    pub fn place(&self, store: usize) -> Place {
        let (kind, store) = match (self.has_stays, store) {
            (true, 1) => (RevenueKind::Stay, 0),
            _ => (RevenueKind::Sale, store),
        };
        let store = Some(STORES[store]).filter(|name| !name.is_empty());
        Place {
            kind,
            store: store.map(Into::into),
        }
    }

    /// What a purchase is credited to under the models of the world: channel, millionths and value.
    pub fn credits(&self, purchase: &Purchase) -> Vec<(Model, usize, i128, i128)> {
        let path = match &purchase.path {
            Path::Touches(path) if !path.is_empty() => path,
            path => {
                let nobody = self.nobody(path);
                let models = self.models.iter();
                return models
                    .map(|model| (*model, nobody, CONVERSION, purchase.value))
                    .collect();
            }
        };
        let settings = BrandSettings {
            position: self.position,
            half_life: 24 * 3_600_000,
            ..BrandSettings::default()
        };
        let channel = |of: usize| {
            let [source, medium, campaign] = self.channels[of];
            Channel::of(source, medium, campaign)
        };
        let touches = (0..).zip(path).map(|(at, of)| Touch {
            ts: at * purchase.gap * 3_600_000,
            channel: channel(*of),
        });
        let touches: Vec<Touch> = touches.collect();
        let credits = credits(&touches, CONVERSION, purchase.value, &settings).into_iter();
        let credits = credits.filter(|credit| self.models.contains(&credit.model));
        credits
            .map(|credit| {
                let of = (0..self.channels.len()).find(|of| channel(*of) == credit.channel);
                let of = of.expect("a channel of the world");
                (credit.model, of, credit.millionths, credit.value)
            })
            .collect()
    }

    /// The purchases as the rule gets them: one sale per contributor, day and store.
    pub fn table(&self) -> Table {
        let names = self.credited().into_iter();
        let names =
            names.map(|[source, medium, campaign]| ChannelName::of(source, medium, campaign));
        let mut sales: BTreeMap<_, (i128, i128, BTreeMap<_, [i128; 2]>)> = BTreeMap::new();
        for purchase in &self.purchases {
            let key = (
                purchase.who,
                purchase.is_vouched,
                purchase.store,
                purchase.day,
            );
            let (conversions, value, credits) = sales.entry(key).or_default();
            *conversions += 1;
            *value += purchase.value;
            for (model, channel, millionths, value) in self.credits(purchase) {
                let sums = credits.entry((model, channel as u32)).or_default();
                sums[0] += millionths;
                sums[1] += value;
            }
        }
        let sales = sales
            .into_iter()
            .map(|(key, (conversions, value, credits))| {
                let (who, is_vouched, store, day) = key;
                let credits = credits.into_iter().map(|((model, channel), sums)| Credit {
                    model,
                    channel,
                    millionths: sums[0],
                    value: sums[1],
                });
                Sale {
                    who,
                    is_vouched,
                    place: store as u32,
                    day,
                    conversions,
                    value,
                    credits: credits.collect(),
                }
            });
        Table {
            channels: names.collect(),
            places: (0..self.stores).map(|store| self.place(store)).collect(),
            sales: sales.collect(),
        }
    }
}

/// What can be made smaller.
pub trait Shrink: Sized {
    /// Smaller ones, the smallest first.
    fn smaller(&self) -> Vec<Self>;
}

impl Shrink for World {
    fn smaller(&self) -> Vec<World> {
        let mut smaller = Vec::new();
        let people: BTreeSet<u64> = self.purchases.iter().map(|of| of.who).collect();
        for who in people {
            let mut world = self.clone();
            world.purchases.retain(|purchase| purchase.who != who);
            smaller.push(world);
        }
        for at in 0..self.purchases.len() {
            let mut world = self.clone();
            world.purchases.remove(at);
            smaller.push(world);
        }
        for model in &self.models {
            let mut world = self.clone();
            world.models.remove(model);
            smaller.push(world);
        }
        smaller
    }
}

/// The smallest of what fails, and how.
pub fn shrink<T: Shrink>(mut failing: T, check: impl Fn(&T) -> Option<String>) -> (T, String) {
    let mut found = check(&failing).expect("a failure");
    while let Some((smaller, of)) = failing
        .smaller()
        .into_iter()
        .find_map(|smaller| Some((check(&smaller)?, smaller)))
    {
        (found, failing) = (smaller, of);
    }
    (failing, found)
}

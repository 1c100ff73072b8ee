//! The rule models: how each divides one conversion among the channels of its path.
//!
//! Every rule is a list of recipients with integer weights, in the order of the path. A conversion
//! and its value are then divided by these weights, each by largest remainder, so that the credits
//! of a conversion always add up to it exactly. The definitions are documented at the models of
//! `tributary-operators`.

use tributary_operators::label::Channel;
use tributary_operators::settings::BrandSettings;

use crate::decay;

/// A model that credits each conversion by its own path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Model {
    /// Everything to the first touchpoint.
    First,
    /// Everything to the last touchpoint.
    Last,
    /// Everything to the last touchpoint that is not direct, or to the last one if all are direct.
    LastNonDirect,
    /// The same to every touchpoint, repetitions included.
    Linear,
    /// Fixed weights for the first and the last touchpoint; those between share the rest.
    Position,
    /// By age before the last touchpoint of the path, halved with every half-life.
    TimeDecay,
    /// The same to every distinct channel.
    Shapley,
}

impl Model {
    /// Every rule model.
    pub const ALL: [Model; 7] = [
        Model::First,
        Model::Last,
        Model::LastNonDirect,
        Model::Linear,
        Model::Position,
        Model::TimeDecay,
        Model::Shapley,
    ];

    /// The name of the model in the `model` dimension.
    pub fn name(self) -> &'static str {
        match self {
            Model::First => "first",
            Model::Last => "last",
            Model::LastNonDirect => "last_non_direct",
            Model::Linear => "linear",
            Model::Position => "position",
            Model::TimeDecay => "time_decay",
            Model::Shapley => "shapley",
        }
    }
}

/// A touchpoint of a path, as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its channel.
    pub channel: Channel,
    /// Its time, Unix milliseconds.
    pub ts: i64,
}

/// The recipients of a conversion's credit and their weights, in the order of the path, oldest
/// first. A channel with two touchpoints may occur twice. An empty path has no recipients.
///
/// ```
/// use tributary_operators::label::Channel;
/// use tributary_operators::settings::BrandSettings;
/// use tributary_oracle::rules::{Model, Step, receivers};
///
/// let [ad, mail] = ["ad", "mail"].map(|source| Channel::of(source, "", ""));
/// let path = [ad, mail, ad].map(|channel| Step { channel, ts: 0 });
/// let settings = BrandSettings::default();
/// assert_eq!(receivers(Model::First, &settings, &path), [(ad, 1)]);
/// assert_eq!(receivers(Model::Shapley, &settings, &path), [(ad, 1), (mail, 1)]);
/// ```
pub fn receivers(model: Model, settings: &BrandSettings, path: &[Step]) -> Vec<(Channel, u128)> {
    let one = |step: Option<&Step>| step.map(|step| (step.channel, 1)).into_iter().collect();
    match model {
        Model::First => one(path.first()),
        Model::Last => one(path.last()),
        Model::LastNonDirect => {
            let not_direct = |step: &&Step| step.channel != Channel::direct();
            one(path.iter().rfind(not_direct).or(path.last()))
        }
        Model::Linear => path.iter().map(|step| (step.channel, 1)).collect(),
        Model::Position => path
            .iter()
            .zip(position(settings.position, path.len()))
            .map(|(step, weight)| (step.channel, weight))
            .collect(),
        Model::TimeDecay => {
            let last = path.last().map_or(0, |step| step.ts);
            path.iter()
                .map(|step| {
                    let weight = decay::weight(last - step.ts, settings.half_life);
                    (step.channel, weight)
                })
                .collect()
        }
        Model::Shapley => {
            let mut distinct: Vec<(Channel, u128)> = Vec::new();
            for step in path {
                if distinct.iter().all(|(channel, _)| *channel != step.channel) {
                    distinct.push((step.channel, 1));
                }
            }
            distinct
        }
    }
}

/// The weights of `position` for a path of `touches` touchpoints.
///
/// For three and more, the middle weight is shared by those between; everything is multiplied by
/// their number so that the weights stay integers. For two, the first weight to the last; for one,
/// everything.
fn position([first, middle, last]: [u32; 3], touches: usize) -> Vec<u128> {
    let [first, middle, last] = [first, middle, last].map(u128::from);
    match touches {
        0 => Vec::new(),
        1 => vec![1],
        2 => vec![first, last],
        _ => {
            let between = touches - 2;
            let mut weights = vec![first * between as u128];
            weights.extend(vec![middle; between]);
            weights.push(last * between as u128);
            weights
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::largest_remainder;

    const HOUR: i64 = 3_600_000;

    fn channel(name: &str) -> Channel {
        Channel::of(name, "", "")
    }

    /// A path of the named channels, one hour apart; `direct` is the direct channel.
    fn path(names: &[&str]) -> Vec<Step> {
        let step = |(hour, name): (i64, &&str)| Step {
            channel: match *name {
                "direct" => Channel::direct(),
                name => channel(name),
            },
            ts: hour * HOUR,
        };
        (0..).zip(names).map(step).collect()
    }

    fn settings() -> BrandSettings {
        BrandSettings {
            half_life: HOUR,
            ..BrandSettings::default()
        }
    }

    /// The credits of a conversion worth `total`, by recipient.
    fn credits(model: Model, settings: &BrandSettings, names: &[&str], total: u128) -> Vec<u128> {
        let receivers = receivers(model, settings, &path(names));
        let weights: Vec<u128> = receivers.iter().map(|(_, weight)| *weight).collect();
        largest_remainder(total, &weights)
    }

    #[test]
    fn first_last_and_last_non_direct_take_all() {
        let receiver = |model, names: &[&str]| receivers(model, &settings(), &path(names));
        let names = ["a", "b", "direct", "direct"];
        assert_eq!(receiver(Model::First, &names), [(channel("a"), 1)]);
        assert_eq!(receiver(Model::Last, &names), [(Channel::direct(), 1)]);
        assert_eq!(receiver(Model::LastNonDirect, &names), [(channel("b"), 1)]);
        let only_direct = ["direct", "direct"];
        assert_eq!(
            receiver(Model::LastNonDirect, &only_direct),
            [(Channel::direct(), 1)]
        );
    }

    #[test]
    fn direct_with_a_campaign_is_not_direct() {
        let campaign = Channel::of("direct", "none", "spring");
        let mut path = path(&["a", "direct"]);
        path[0].channel = campaign;
        assert_eq!(
            receivers(Model::LastNonDirect, &settings(), &path),
            [(campaign, 1)]
        );
    }

    #[test]
    fn linear_counts_repeats() {
        let names = ["a", "a", "b"];
        assert_eq!(
            credits(Model::Linear, &settings(), &names, 100),
            [34, 33, 33]
        );
    }

    #[test]
    fn position_by_number_of_touches() {
        let credits = |names: &[&str], total| credits(Model::Position, &settings(), names, total);
        assert_eq!(credits(&["a"], 1_000_000), [1_000_000]);
        assert_eq!(credits(&["a", "b"], 1_000_000), [500_000, 500_000]);
        assert_eq!(credits(&["a", "b", "c"], 100), [40, 20, 40]);
        assert_eq!(credits(&["a", "b", "c", "d"], 100), [40, 10, 10, 40]);
        // Three between: 20/3 each, the spare units to the earlier of the middle ones.
        assert_eq!(credits(&["a", "b", "c", "d", "e"], 100), [40, 7, 7, 6, 40]);
        // An odd cent of two equal parts goes to the first.
        assert_eq!(credits(&["a", "b"], 101), [51, 50]);
    }

    #[test]
    fn position_weights_are_the_brands() {
        let j = BrandSettings {
            position: [10, 20, 70],
            ..settings()
        };
        assert_eq!(credits(Model::Position, &j, &["a", "b"], 80), [10, 70]);
        assert_eq!(
            credits(Model::Position, &j, &["a", "b", "c"], 100),
            [10, 20, 70]
        );
        // Even a first weight of zero takes all of a single touch.
        let last_only = BrandSettings {
            position: [0, 0, 1],
            ..settings()
        };
        assert_eq!(credits(Model::Position, &last_only, &["a"], 9), [9]);
        assert_eq!(
            credits(Model::Position, &last_only, &["a", "b", "c"], 9),
            [0, 0, 9]
        );
    }

    #[test]
    fn time_decay_halves_with_every_half_life() {
        let names = ["a", "b", "c"];
        assert_eq!(
            credits(Model::TimeDecay, &settings(), &names, 700),
            [100, 200, 400]
        );
    }

    #[test]
    fn shapley_shares_over_distinct_channels_in_order_of_appearance() {
        let names = ["b", "a", "b", "c"];
        let receivers = receivers(Model::Shapley, &settings(), &path(&names));
        let expected: Vec<(Channel, u128)> =
            ["b", "a", "c"].map(|name| (channel(name), 1)).to_vec();
        assert_eq!(receivers, expected);
        assert_eq!(
            credits(Model::Shapley, &settings(), &names, 100),
            [34, 33, 33]
        );
    }

    #[test]
    fn nothing_receives_without_a_path() {
        for model in Model::ALL {
            assert_eq!(receivers(model, &settings(), &[]), []);
        }
    }
}

//! Attribution: how much of a conversion each channel receives.
//!
//! There are two kinds of models. The seven *rule models* ([`Model`]) look at one path at a time
//! and return integer credits that add up to the conversion exactly (invariant I2); see [`credit`].
//! The *Markov model* looks at all paths of a month at once, and distributes the conversions of
//! that month by the removal effects of its channels; see [`markov`].
//!
//! A path ([`path`]) is the list of touchpoints that count for a conversion, oldest first. Credits
//! are in millionths of a conversion and in minor units of its currency. Everything that is summed
//! or retracted is an integer; the Markov model estimates in floating point, but decides in
//! integers (`solve`).

pub mod credit;
pub mod decay;
mod elimination;
mod fold;
pub mod markov;
mod number;
pub mod path;
mod solve;

use serde::{Deserialize, Serialize};

/// A rule model: it credits each conversion by its own path alone.
///
/// The position and time rules follow the definitions of Google Analytics and Adobe Analytics. The
/// discriminant is the index of the model in [`Model::ALL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Model {
    /// All credit to the first touchpoint.
    First,
    /// All credit to the last touchpoint.
    Last,
    /// All credit to the last touchpoint that is not direct, or to the last one if all are direct.
    LastNonDirect,
    /// The same credit to every touchpoint; a channel with two touchpoints receives twice the
    /// share.
    Linear,
    /// Fixed weights for the first touchpoint, all middle ones together, and the last one
    /// ([`BrandSettings::position`](crate::settings::BrandSettings::position)).
    Position,
    /// Weights that halve with every half-life before the last touchpoint; see [`decay`].
    TimeDecay,
    /// The same credit to every distinct channel of the path.
    ///
    /// This is the Shapley value (Shapley 1953) of the game in which a coalition of channels is
    /// worth the number of conversions whose channels all belong to it: such a game is a sum of
    /// unanimity games, and the value of each is divided equally among its members (Zhao, Mahboobi
    /// and Bagheri 2018, arXiv:1804.05327).
    Shapley,
}

impl Model {
    /// Every rule model, in the order of their discriminants.
    pub const ALL: [Model; 7] = [
        Model::First,
        Model::Last,
        Model::LastNonDirect,
        Model::Linear,
        Model::Position,
        Model::TimeDecay,
        Model::Shapley,
    ];

    /// The name of the model, as it appears in the `model` dimension of a cell and in the
    /// configuration.
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

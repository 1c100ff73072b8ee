//! Attribution: which touches a conversion owes itself to.
//!
//! Seven models are rules over one path and give integer credits that add up to the conversion exactly
//! (invariant I2); see [`credit`]. Markov is a model of the whole month; see [`markov`].

pub mod credit;
pub mod decay;
mod elimination;
mod fold;
pub mod markov;
mod number;
pub mod path;
mod solve;

use serde::{Deserialize, Serialize};

/// A rule model. Definitions: Google Analytics and Adobe Analytics for the rules; Zhao, Mahboobi
/// and Bagheri 2018 (arXiv:1804.05327) for Shapley values of the game "conversions whose channels all lie in S".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Model {
    /// All to the first touch.
    First,
    /// All to the last touch.
    Last,
    /// All to the last touch that is not direct, unless all are.
    LastNonDirect,
    /// Equally to every touch.
    Linear,
    /// First, middle and last by weight.
    Position,
    /// Half as much for every half-life before the last touch.
    TimeDecay,
    /// Equally to every distinct channel.
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

    /// The specification's word for the model.
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

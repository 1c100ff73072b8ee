//! Plain checkboxes: what a person ticked in a form of the brand's own.
//!
//! A checkbox is named by what it represents: a purpose `1` to `11`,
//! `special_feature_1`, `special_feature_2`, `feature_2`, or an opt-out
//! `do_not_sell`, `do_not_share`, `do_not_target`. A tick is an opt-in, on
//! whatever basis the purpose was declared; an empty checkbox and a missing one
//! are the same, no. An unknown checkbox rejects all of them, because it may be
//! the one that refuses.

use crate::allowed::{Allowed, OptOut};
use crate::error::{Kind, Malformed};
use crate::numbers::Numbers;
use crate::terms::Terms;

/// The checkboxes that existed, and those that were ticked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    /// Bit `n` is set if the checkbox `NAMES[n]` exists.
    there: u32,
    /// Bit `n` is set if it was ticked; a subset of `there`.
    ticked: u32,
}

/// The names of all checkboxes; the index of a name is its bit.
const NAMES: [&str; 17] = [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "special_feature_1",
    "special_feature_2",
    "feature_2",
    "do_not_sell",
    "do_not_share",
    "do_not_target",
];

impl Boxes {
    /// Reads checkboxes by name.
    ///
    /// ```
    /// use tributary_consent::{Boxes, Kind};
    ///
    /// let boxes = Boxes::read([("7", true), ("do_not_sell", false)])?;
    /// assert!(boxes.ticked("7") && !boxes.ticked("do_not_sell"));
    /// assert_eq!(Boxes::read([("newsletter", true)]).unwrap_err().kind, Kind::Box);
    /// # Ok::<(), tributary_consent::Malformed>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Kind::Box`] for an unknown name, [`Kind::BoxTwice`] for a repeated
    /// one; `segment` is the position of the checkbox.
    pub fn read<'a>(boxes: impl IntoIterator<Item = (&'a str, bool)>) -> Result<Self, Malformed> {
        let mut read = Self::default();
        for (place, (name, ticked)) in boxes.into_iter().enumerate() {
            let known = NAMES.iter().position(|known| *known == name);
            let bit = known.map_or(0, |number| 1 << number);
            if bit == 0 {
                return Err(Malformed::new(Kind::Box, place, 0));
            }
            if read.there & bit != 0 {
                return Err(Malformed::new(Kind::BoxTwice, place, 0));
            }
            read.there |= bit;
            read.ticked |= if ticked { bit } else { 0 };
        }
        Ok(read)
    }

    /// Whether the checkbox of that name was ticked.
    pub fn ticked(&self, name: &str) -> bool {
        let number = NAMES.iter().position(|known| *known == name);
        number.is_some_and(|number| self.ticked & (1 << number) != 0)
    }

    /// Whether there was a checkbox for a purpose or a feature. Otherwise the
    /// form contains opt-outs alone and does not answer for purposes.
    pub fn asks_for_purposes(&self) -> bool {
        self.there & ((1 << 14) - 1) != 0
    }

    /// What the checkboxes allow a party: the ticked purposes and special
    /// features that it declared. Linking devices is disclosed by a ticked
    /// checkbox, or by the party's declaration if there is no checkbox for it.
    pub fn allowed(&self, terms: &Terms) -> Allowed {
        let ticked = |number: u8| self.ticked & (1 << number) != 0;
        let purposes: Numbers = (1..=11)
            .filter(|purpose| ticked(purpose - 1) && terms.basis(*purpose).is_some())
            .collect();
        let special_features = (1..=2)
            .filter(|feature| ticked(feature + 10) && terms.special_features().contains(*feature))
            .collect();
        let feature_2 = if self.there & (1 << 13) == 0 {
            terms.feature_2()
        } else {
            ticked(13)
        };
        [OptOut::Sale, OptOut::Sharing, OptOut::TargetedAdvertising]
            .into_iter()
            .zip(14..)
            .filter(|(_, number)| ticked(*number))
            .fold(
                Allowed::grant(purposes, special_features, feature_2),
                |allowed, (out, _)| allowed.without(out),
            )
    }
}

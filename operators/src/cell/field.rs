//! Fields of a key: how each becomes dimensions of a cell, and is read back from them.
//!
//! Keys hold labels, cells hold names. A field whose dimensions were written with the names of its labels reads back as the
//! same field.

use std::slice::Iter;
use std::sync::Arc;

use crate::attribution::Model;
use crate::cell::dim::Dim;
use crate::cell::group::{BrandMonth, MonthGroup};
use crate::label::{Channel, Label, LabelNames};
use crate::record::{BrandId, Currency, Day, SaleKind, WalletPlatform};
use crate::settings::Settings;

/// The names of one brand.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// The brand's own name.
    pub(crate) brand: &'a Arc<str>,
    /// The names of its labels.
    pub(crate) words: &'a LabelNames,
}

/// A field of a key.
pub(super) trait Field: Sized {
    /// Appends the dimensions of the field.
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>);

    /// Takes the dimensions of the field; none if they have another form, or name something that is not configured.
    fn read(dims: &mut Iter<'_, Dim>, settings: &Settings) -> Option<Self>;

    /// Passes on each label of the field.
    fn each_label(&self, _each: &mut dyn FnMut(Label)) {}

    /// The day of the field, for an hour in UTC; none for a field without time.
    fn day(&self) -> Option<Day> {
        None
    }
}

/// The start of an hour of the clock.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Hour {
    /// Unix seconds.
    pub start: i64,
    /// The offset from UTC, seconds.
    pub utc_offset: i32,
}

impl Hour {
    /// The civil day of the hour at its offset.
    pub fn local_day(&self) -> Day {
        let day = (self.start + i64::from(self.utc_offset)).div_euclid(86_400);
        day.clamp(Day::MIN.into(), Day::MAX.into()) as Day
    }
}

fn word(text: &str) -> Dim {
    Dim::Text(text.into())
}

/// The next dimension as a text; none if it has another form.
fn text<'a>(dims: &mut Iter<'a, Dim>) -> Option<&'a str> {
    match dims.next()? {
        Dim::Text(text) => Some(text),
        _ => None,
    }
}

impl Field for BrandId {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(Dim::Text(names.brand.clone()));
    }

    fn read(dims: &mut Iter<'_, Dim>, settings: &Settings) -> Option<BrandId> {
        let name = text(dims)?;
        let mut brands = settings.brands.iter();
        brands.find_map(|(brand, of)| (*of.name == *name).then_some(*brand))
    }
}

impl Field for Model {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(word(self.name()));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Model> {
        let name = text(dims)?;
        Model::ALL.into_iter().find(|model| model.name() == name)
    }
}

impl Field for SaleKind {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(word(self.name()));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<SaleKind> {
        let name = text(dims)?;
        let mut kinds = SaleKind::ALL.into_iter();
        kinds.find(|kind| kind.name() == name)
    }
}

impl Field for Currency {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(match *self {
            Currency::NONE => Dim::Null,
            _ => word(self.as_str()),
        });
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Currency> {
        match dims.next()? {
            Dim::Null => Some(Currency::NONE),
            Dim::Text(text) => Some(Currency(text.as_bytes().try_into().ok()?)),
            _ => None,
        }
    }
}

impl Field for WalletPlatform {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(word(self.name()));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<WalletPlatform> {
        let name = text(dims)?;
        let mut platforms = WalletPlatform::ALL.into_iter();
        platforms.find(|platform| platform.name() == name)
    }
}

impl Field for Label {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        let name = names.words.word(*self).cloned();
        dims.push(name.map_or(Dim::Null, Dim::Text));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Label> {
        match dims.next()? {
            Dim::Text(name) => Some(Label::of(name)),
            Dim::Null => Some(Label::ABSENT),
            _ => None,
        }
    }

    fn each_label(&self, each: &mut dyn FnMut(Label)) {
        each(*self);
    }
}

impl Field for Channel {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        for label in self.labels() {
            label.write(names, dims);
        }
    }

    fn read(dims: &mut Iter<'_, Dim>, settings: &Settings) -> Option<Channel> {
        Some(Channel {
            source: Field::read(dims, settings)?,
            medium: Field::read(dims, settings)?,
            campaign: Field::read(dims, settings)?,
        })
    }

    fn each_label(&self, each: &mut dyn FnMut(Label)) {
        self.labels().into_iter().for_each(each);
    }
}

impl Field for Day {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(Dim::Day(*self));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Day> {
        match dims.next()? {
            Dim::Day(day) => Some(*day),
            _ => None,
        }
    }

    fn day(&self) -> Option<Day> {
        Some(*self)
    }
}

impl Field for Hour {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(Dim::Hour(self.start, self.utc_offset));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Hour> {
        match *dims.next()? {
            Dim::Hour(start, utc_offset) => Some(Hour { start, utc_offset }),
            _ => None,
        }
    }

    fn day(&self) -> Option<Day> {
        Day::try_from(self.start.div_euclid(86_400)).ok()
    }
}

impl Field for BrandMonth {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        self.brand.write(names, dims);
        dims.push(Dim::Month(self.month));
    }

    fn read(dims: &mut Iter<'_, Dim>, settings: &Settings) -> Option<BrandMonth> {
        let brand = Field::read(dims, settings)?;
        match *dims.next()? {
            Dim::Month(month) => Some(BrandMonth { brand, month }),
            _ => None,
        }
    }
}

impl Field for MonthGroup {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        self.brand.write(names, dims);
        self.kind.write(names, dims);
        dims.push(Dim::Month(self.month));
        self.currency.write(names, dims);
    }

    fn read(dims: &mut Iter<'_, Dim>, settings: &Settings) -> Option<MonthGroup> {
        let brand = Field::read(dims, settings)?;
        let kind = Field::read(dims, settings)?;
        let Dim::Month(month) = *dims.next()? else {
            return None;
        };
        Some(MonthGroup {
            brand,
            month,
            kind,
            currency: Field::read(dims, settings)?,
        })
    }
}

impl Field for u32 {
    fn write(&self, _: Names<'_>, dims: &mut Vec<Dim>) {
        dims.push(Dim::Count((*self).into()));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<u32> {
        match *dims.next()? {
            Dim::Count(count) => u32::try_from(count).ok(),
            _ => None,
        }
    }
}

impl Field for Arc<[Channel]> {
    fn write(&self, names: Names<'_>, dims: &mut Vec<Dim>) {
        let steps = self.iter();
        let steps = steps.map(|step| step.labels().map(|label| names.words.word(label).cloned()));
        dims.push(Dim::Path(steps.collect()));
    }

    fn read(dims: &mut Iter<'_, Dim>, _: &Settings) -> Option<Arc<[Channel]>> {
        let Dim::Path(steps) = dims.next()? else {
            return None;
        };
        let label = |name: &Option<Arc<str>>| name.as_deref().map_or(Label::ABSENT, Label::of);
        let steps = steps.iter().map(|[source, medium, campaign]| Channel {
            source: label(source),
            medium: label(medium),
            campaign: label(campaign),
        });
        Some(steps.collect())
    }

    fn each_label(&self, each: &mut dyn FnMut(Label)) {
        for step in self.iter() {
            step.each_label(each);
        }
    }
}

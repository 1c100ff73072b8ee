//! The families of cells, one row each: name, meaning, key, dimensions, values, and how the gate releases them.
//!
//! Everything that knows families reads this table: keys and their names in both directions, groups and thresholds of the
//! gate, JSON and its parser, queries, metrics, pages, and the reference `connectors/CELLS.md`. A new family is a row here
//! and the computation of its sums.
//!
//! `paths`, `path_length`, `path_days` and `assists` are path statistics. They are published over NATS and in queries, not in
//! a replay's output, and with a `k` above 1 in multiples of it: exact ones would reveal what the days tell of channels.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribution::Model;
use crate::cell::dim::{Dim, Dimension, Form};
use crate::cell::field::{Field, Hour, Names};
use crate::cell::group::{
    BatchKind, BrandMonth, Credited, Lacks, Month, MonthGroup, ReleaseGroup, Takings, TrafficMonth,
};
use crate::label::{Channel, Label};
use crate::record::{BrandId, Currency, Day, SaleKind, WalletPlatform};
use crate::release::{PanelRow, SaleRow};
use crate::settings::{BrandSettings, Settings};

/// What one unit of a value is. The name of a value ends with its unit, unless it is a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things that add up over cells.
    Count,
    /// Things that are distinct within a cell, so that a sum over cells counts some of them more than once.
    Distinct,
    /// Minor units of the cell's currency.
    Minor,
    /// Millionths of a conversion.
    Millionths,
    /// Millionths of a probability.
    Ppm,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// How the name of a value in the unit ends.
    pub const fn suffix(self) -> &'static str {
        match self {
            Unit::Count | Unit::Distinct => "",
            Unit::Minor => "_minor",
            Unit::Millionths => "_millionths",
            Unit::Ppm => "_ppm",
            Unit::Seconds => "_seconds",
        }
    }

    /// What the unit is, for the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Distinct => "distinct count",
            Unit::Minor => "minor units of the currency",
            Unit::Millionths => "millionths of a conversion",
            Unit::Ppm => "millionths of a probability",
            Unit::Seconds => "seconds",
        }
    }
}

/// Who is counted once among the contributors of contacts: a person, or a record without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContributorId(u64);

impl ContributorId {
    /// A person by its label in the identity graph.
    pub fn person(label: u64) -> ContributorId {
        ContributorId(label << 1 | 1)
    }

    /// A record that names nobody, by its source and ID.
    pub fn record(source: Label, id: &str) -> ContributorId {
        ContributorId(Label::of(id).0.rotate_left(7).wrapping_add(source.0) << 1)
    }

    /// Whether the contributor is a person.
    pub fn is_person(self) -> bool {
        self.0 & 1 == 1
    }

    /// The label of the person, or a hash of the record.
    pub fn label(self) -> u64 {
        self.0 >> 1
    }
}

/// The setting that says how many contributors a released cell needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// `release.k`.
    K,
    /// `release.k_traffic`: nothing but traffic is counted.
    KTraffic,
    /// None: the family is not personal.
    Nobody,
}

impl Threshold {
    /// The number of contributors that a brand requires.
    pub fn contributors(self, settings: &BrandSettings) -> i64 {
        let least = match self {
            Threshold::K => settings.k,
            Threshold::KTraffic => settings.k_traffic,
            Threshold::Nobody => 0,
        };
        i64::try_from(least).unwrap_or(i64::MAX)
    }
}

/// One family.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub family: Family,
    /// Its name in JSON, subjects and commands.
    pub name: &'static str,
    /// What its cells say.
    pub meaning: &'static str,
    /// Its dimensions, in the order of [`Cell::dims`](crate::cell::Cell::dims).
    pub dimensions: &'static [Dimension],
    /// The names of the dimensions.
    pub dims: &'static [&'static str],
    /// The names of its values, in the order of [`Cell::values`](crate::cell::Cell::values).
    pub values: &'static [&'static str],
    /// The units of the values.
    pub units: &'static [Unit],
    /// How many contributors a cell needs.
    pub threshold: Threshold,
    /// What its cells are released with.
    pub batch: BatchKind,
    /// Whether its cells are the totals that a group adds up to.
    pub is_total: bool,
    /// Whether it is a path statistic.
    pub is_path_statistic: bool,
    /// Whether one conversion counts in several of its cells, so that they add up to nothing.
    pub overlaps: bool,
}

macro_rules! families {
    (
        $(
            #[doc = $meaning:literal]
            $family:ident $name:literal
            { $owner:ident: $owner_type:ty [$($owner_dim:ident)+] $(, $field:ident: $type:ty [$($dim:ident)+])* $(,)? }
            [$($value:ident $unit:ident),+]
            $threshold:ident $batch:ident $((|$($bound:ident),+| $group:expr))? $(, $flag:ident)*;
        )+
        parts:
        $(
            $(#[$part_doc:meta])*
            $part:ident { $part_owner:ident: $part_owner_type:ty $(, $part_field:ident: $part_type:ty)* $(,)? }
            $part_batch:ident (|$($part_bound:ident),+| $($part_group:expr),+);
        )+
    ) => {
        /// A kind of aggregate.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Family {
            $(#[doc = $meaning] $family),+
        }

        /// Every family; the position is the [`Family`] as a number.
        const TABLE: &[Row] = &[$(Row {
            $($flag: true,)*
            ..Row {
                family: Family::$family,
                name: $name,
                meaning: $meaning,
                dimensions: &[$(Dimension::$owner_dim,)+ $($(Dimension::$dim,)+)*],
                dims: &[$(Dimension::$owner_dim.name(),)+ $($(Dimension::$dim.name(),)+)*],
                values: &[$(stringify!($value)),+],
                units: &[$(Unit::$unit),+],
                threshold: Threshold::$threshold,
                batch: BatchKind::$batch,
                is_total: false,
                is_path_statistic: false,
                overlaps: false,
            }
        }),+];

        impl Family {
            /// Every family.
            pub const ALL: [Family; TABLE.len()] = [$(Family::$family),+];
        }

        /// The key of an aggregate: a cell of a family, or a part that is never published by itself.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "fields are dimensions, see Dimension::meaning")]
        pub enum CellKey {
            $(#[doc = $meaning] $family { $owner: $owner_type, $($field: $type),* },)+
            $($(#[$part_doc])* $part { $part_owner: $part_owner_type, $($part_field: $part_type),* },)+
        }

        impl CellKey {
            /// The family; none for a part.
            pub fn family(&self) -> Option<Family> {
                match self {
                    $(CellKey::$family { .. } => Some(Family::$family),)+
                    $(CellKey::$part { .. })|+ => None,
                }
            }

            /// The brand.
            pub fn brand(&self) -> BrandId {
                match self {
                    $(CellKey::$family { $owner, .. } => (*$owner).into(),)+
                    $(CellKey::$part { $part_owner, .. } => (*$part_owner).into(),)+
                }
            }

            /// What the aggregate is released with.
            pub fn release_group(&self) -> ReleaseGroup {
                match *self {
                    $(CellKey::$family { $($($bound,)+)? .. } => ReleaseGroup::$batch $(($group))?,)+
                    $(CellKey::$part { $($part_bound,)+ .. } => ReleaseGroup::$part_batch($($part_group),+),)+
                }
            }

            /// The day of a day's or an hour's cell, for an hour in UTC; none for any other key.
            pub(crate) fn day(&self) -> Option<Day> {
                match self {
                    $(CellKey::$family { $owner, $($field),* } => $owner.day()$(.or($field.day()))*,)+
                    $(CellKey::$part { .. })|+ => None,
                }
            }

            /// Passes on each label that the name of its cell holds.
            pub(crate) fn each_label(&self, mut each: impl FnMut(Label)) {
                match self {
                    $(CellKey::$family { $owner, $($field),* } => {
                        $owner.each_label(&mut each);
                        $($field.each_label(&mut each);)*
                    })+
                    $(CellKey::$part { .. })|+ => {}
                }
            }

            /// The dimensions of its cell; none for a part.
            pub(crate) fn dims(&self, names: Names<'_>) -> Option<Vec<Dim>> {
                let mut dims = Vec::with_capacity(self.family()?.dims().len());
                match self {
                    $(CellKey::$family { $owner, $($field),* } => {
                        $owner.write(names, &mut dims);
                        $($field.write(names, &mut dims);)*
                    })+
                    $(CellKey::$part { .. })|+ => return None,
                }
                Some(dims)
            }

            /// The key of a cell by its dimensions; none if no key of these brands has them.
            pub(crate) fn of(family: Family, dims: &[Dim], settings: &Settings) -> Option<CellKey> {
                let dims = &mut dims.iter();
                // Fields are read in the order of the expressions.
                Some(match family {
                    $(Family::$family => CellKey::$family {
                        $owner: Field::read(dims, settings)?,
                        $($field: Field::read(dims, settings)?,)*
                    },)+
                })
            }
        }
    };
}

families! {
    /// Conversions and revenue attributed to a channel by a model. The channels of a model add up to the takings.
    Attribution "attribution" {
        brand: BrandId [Brand], model: Model [Model], channel: Channel [Source Medium Campaign],
        kind: SaleKind [Kind], store: Label [Store], day: Day [Day], currency: Currency [Currency],
    } [conversions_millionths Millionths, value_minor Minor]
        K Takings(|brand, kind, store, day, currency| Takings { brand, kind, store, day, currency });

    /// In-store sales and revenue, net of refunds.
    StoreDay "store_day" {
        brand: BrandId [Brand], store: Label [Store], day: Day [Day], currency: Currency [Currency],
    } [transactions Count, revenue_minor Minor, persons Distinct]
        K Takings(|brand, store, day, currency| Takings { brand, kind: SaleKind::Transaction, store, day, currency }),
        is_total;

    /// Impressions, clicks and views of a channel.
    CampaignDay "campaign_day" {
        brand: BrandId [Brand], channel: Channel [Source Medium Campaign], day: Day [Day],
    } [impressions Count, clicks Count, views Count, persons Distinct]
        K Contacts;

    /// Conversions and revenue attributed to a channel by the Markov model of the month.
    MarkovMonth "markov_month" {
        group: MonthGroup [Brand Kind Month Currency], channel: Channel [Source Medium Campaign],
    } [removal_effect_ppm Ppm, conversions_millionths Millionths, value_minor Minor]
        K Month(|group| group);

    /// Amounts charged by an advertising platform.
    SpendDay "spend_day" {
        brand: BrandId [Brand], platform: Label [Platform], channel: Channel [Source Medium Campaign], day: Day [Day],
        currency: Currency [Currency],
    } [cost_minor Minor, impressions Count, clicks Count]
        Nobody Contacts;

    /// Online orders and revenue, net of refunds.
    OrdersDay "orders_day" {
        brand: BrandId [Brand], day: Day [Day], currency: Currency [Currency],
    } [orders Count, revenue_minor Minor, persons Distinct]
        K Takings(|brand, day, currency| Takings { brand, kind: SaleKind::Order, store: Label::ABSENT, day, currency }),
        is_total;

    /// Visits to a store, and the devices behind them.
    Visits "visits" {
        brand: BrandId [Brand], store: Label [Store], hour: Hour [Hour],
    } [visits Count, passers_by Count, dwell_seconds Seconds, devices Distinct, random_devices Distinct]
        KTraffic Visits;

    /// The size of the identity graph.
    Identity "identity" {
        brand: BrandId [Brand],
    } [persons Distinct, identifiers Distinct, links Distinct, hubs Distinct, oversized Distinct]
        K Identity;

    /// Conversions and revenue by path.
    Paths "paths" {
        group: MonthGroup [Brand Kind Month Currency], path: Arc<[Channel]> [Path],
    } [conversions Count, value_minor Minor]
        K Month(|group| group), is_path_statistic;

    /// Conversions by number of touchpoints.
    PathLength "path_length" {
        group: MonthGroup [Brand Kind Month Currency], touches: u32 [Touches],
    } [conversions Count]
        K Month(|group| group), is_path_statistic;

    /// Conversions by whole days since the first touchpoint.
    PathDays "path_days" {
        group: MonthGroup [Brand Kind Month Currency], days: u32 [Days],
    } [conversions Count]
        K Month(|group| group), is_path_statistic;

    /// Conversions and revenue to which a channel contributed a touchpoint before the last.
    Assists "assists" {
        group: MonthGroup [Brand Kind Month Currency], channel: Channel [Source Medium Campaign],
    } [conversions Count, value_minor Minor]
        K Month(|group| group), is_path_statistic, overlaps;

    /// Visits by the scans of wallet passes: scans with short gaps are one presence, to which the credits of visits add up.
    ScanDay "scan_day" {
        brand: BrandId [Brand], store: Label [Store], day: Day [Day],
    } [presences Count, scans Count, redemptions Count, persons Distinct, with_transaction Count]
        K Takings(|brand, store, day| Takings { brand, kind: SaleKind::Visit, store, day, currency: Currency::NONE }),
        is_total;

    /// Redemptions of vouchers at tills, by the channel of the voucher.
    RedemptionDay "redemption_day" {
        brand: BrandId [Brand], channel: Channel [Source Medium Campaign], store: Label [Store], day: Day [Day],
    } [redemptions Count, persons Distinct]
        K Contacts;

    /// Wallet passes of a platform. `active` are those at the end of the day: the sum of `installed - removed` up to it.
    WalletDay "wallet_day" {
        brand: BrandId [Brand], platform: WalletPlatform [WalletPlatform], day: Day [Day],
    } [issued Count, installed Count, removed Count, active Distinct, voided Count, pushes Count, opens Count]
        K Wallets(|brand| brand);

    /// Boxes of consent statements by the notice beside them. `withdrawn` are ticks of the day that the person's next statement takes back.
    NoticeDay "notice_day" {
        brand: BrandId [Brand], notice: Label [Notice], version: Label [NoticeVersion], language: Label [Language],
        name: Label [Box], day: Day [Day],
    } [ticked Count, unticked Count, preticked Count, withdrawn Count]
        K Contacts;

    /// Stays that partners saw in a store, those matched with its visits, and the visits that each may have been, added up. A stay within half an hour of a scan of the same person's pass in the store is not matched and weighs nothing: `scan_day` has that visit. With `release.k` above 1, `stays` and `candidates` are null, and a stay counts once its day is settled; credits of visits add up to the weights and to `scan_day`.
    VisitMatch "visit_match" {
        brand: BrandId [Brand], store: Label [Store], day: Day [Day],
    } [stays Count, matched Count, candidates Count, weight_millionths Millionths]
        K Contacts, is_total;

    /// Visits by stays of those who were exposed to a channel, from then on, beside those of the other members of the panel. With `release.k` above 1, a month is compared once all its days are settled, and a channel if that shows nobody beside the other numbers.
    VisitLift "visit_lift" {
        group: BrandMonth [Brand Month], channel: Channel [Source Medium Campaign],
    } [exposed Distinct, exposed_visit_millionths Millionths, unexposed Distinct, unexposed_visit_millionths Millionths]
        K Lift(|group| group);

    parts:

    /// What a member of a month's panel adds to a channel that it was exposed to, or to the whole panel: the member, the weight
    /// of its stays since, and of all its stays.
    LiftBy { group: BrandMonth, channel: Option<Channel> } Lift(|group| group);

    /// What passes add to a platform and day. The values are issued, installed, removed, voided, and the passes with a record; or
    /// pushes and opens.
    PassesBy { brand: BrandId, platform: WalletPlatform, day: Day, is_touches: bool } Wallets(|brand| brand);

    /// Transitions of converting paths; `Channel::default()` is the start as `from` and the conversion as `to`.
    ConvertingEdge { group: MonthGroup, from: Channel, to: Channel } Month(|group| group);

    /// Persons whose converting paths hold the channel.
    ConvertingReach { group: MonthGroup, channel: Channel } Month(|group| group);

    /// The conversions with a touch and their value.
    Converted { group: MonthGroup } Month(|group| group);

    /// The persons with a touch behind the takings of a store and day, or of a day's orders.
    Touched { brand: BrandId, kind: SaleKind, store: Label, day: Day, currency: Currency }
        Takings(|brand, kind, store, day, currency| Takings { brand, kind, store, day, currency });

    /// The same takings as a part of their month: one contributor's conversions, or of what names nobody all.
    Taken { group: MonthGroup, store: Label, day: Day, credited: Credited, who: Option<u64> } Month(|group| group);

    /// One conversion, for a brand whose months are released by the ladder; the first value of its aggregate counts the row.
    Sale { group: MonthGroup, row: Arc<SaleRow> } Month(|group| group);

    /// One member of a month's panel, for a brand whose months are released by the ladder; the first value of its aggregate
    /// counts the row.
    PanelBy { group: MonthGroup, row: Arc<PanelRow> } Month(|group| group);

    /// The persons with a contact of a channel in the month, for a brand that compares exposed and unexposed persons by a ladder.
    Reached { group: MonthGroup, channel: Channel } Month(|group| group);

    /// Transitions of the paths of persons without a conversion; `Channel::default()` is the start as `from` and the end
    /// without conversion as `to`. They count from a day on: the sum up to a day is what the paths up to that day have.
    NullEdge { brand: BrandId, month: Month, lacks: Lacks, from: Channel, to: Channel, day: Day }
        NullPaths(|brand, month| brand, month);

    /// Persons whose null path of the month holds the channel.
    NullReach { brand: BrandId, month: Month, lacks: Lacks, channel: Channel } NullPaths(|brand, month| brand, month);

    /// One contributor's impressions, clicks and views of a channel on a day, for a brand with a ladder.
    ContactsBy { group: TrafficMonth, channel: Channel, day: Day, who: ContributorId } Traffic(|group| group);

    /// The visits to a store in an hour, for a brand with a ladder. The values are those of the family `visits`.
    StoreHour { group: TrafficMonth, store: Label, hour: Hour } Traffic(|group| group);

    /// The devices of a store and salt day whose visits begin in exactly these hours, for a brand with a ladder; the first
    /// value of the aggregate counts the devices.
    DeviceHours { group: TrafficMonth, store: Label, salt_day: Day, hours: Arc<[Hour]>, is_random: bool }
        Traffic(|group| group);
}

impl CellKey {
    /// The key of a row.
    pub fn sale(row: SaleRow) -> CellKey {
        CellKey::Sale {
            group: row.group,
            row: Arc::new(row),
        }
    }

    /// The key of a cell's owner: what adds up to one total meets on one worker, and so does all of a month.
    pub fn home(&self) -> u64 {
        use std::hash::BuildHasher;
        let hasher = rustc_hash::FxBuildHasher;
        match self.release_group() {
            ReleaseGroup::Takings(takings) => hasher.hash_one(takings),
            ReleaseGroup::Month(MonthGroup { brand, month, .. })
            | ReleaseGroup::NullPaths(brand, month) => hasher.hash_one((brand, month)),
            ReleaseGroup::Traffic(group) => group.home(),
            ReleaseGroup::Wallets(brand) => hasher.hash_one(brand),
            ReleaseGroup::Lift(group) => hasher.hash_one(group),
            ReleaseGroup::Contacts | ReleaseGroup::Visits | ReleaseGroup::Identity => {
                hasher.hash_one(self)
            }
        }
    }
}

impl Family {
    /// The row of the family.
    pub fn row(self) -> &'static Row {
        // The macro writes both in one order, so that the position is always there.
        &TABLE[self as usize]
    }

    /// The family's name in the output.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The family of a name.
    pub fn of(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// The names of the dimensions, in the order of [`Cell::dims`](crate::cell::Cell::dims).
    pub fn dims(self) -> &'static [&'static str] {
        self.row().dims
    }

    /// The names of the values, in the order of [`Cell::values`](crate::cell::Cell::values).
    pub fn values(self) -> &'static [&'static str] {
        self.row().values
    }

    /// The unit of a value; none if the family has no such value.
    pub fn unit(self, value: &str) -> Option<Unit> {
        let at = self.values().iter().position(|name| *name == value)?;
        self.row().units.get(at).copied()
    }

    /// Whether a dimension has a form.
    fn has(self, form: Form) -> bool {
        self.row().dimensions.iter().any(|of| of.form() == form)
    }

    /// Whether its cells are of one day or hour.
    pub fn is_daily(self) -> bool {
        self.has(Form::Day) || self.has(Form::Hour)
    }

    /// Whether its cells are of one month.
    pub fn is_monthly(self) -> bool {
        self.has(Form::Month)
    }

    /// Whether a replay writes the family into its cells.
    pub fn in_replay(self) -> bool {
        !self.row().is_path_statistic
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail, and says why")]
mod tests {
    use super::*;
    use crate::label::LabelNames;

    #[test]
    fn the_position_of_a_row_is_its_family() {
        for (family, row) in Family::ALL.iter().zip(TABLE) {
            assert_eq!((*family, family.row().name), (row.family, row.name));
            assert_eq!(Family::of(row.name), Some(*family));
        }
    }

    #[test]
    fn names_end_with_their_unit_and_sums_have_room_for_all_values() {
        for row in TABLE {
            // Wallet passes are not summed as aggregates.
            let is_summed = row.family != Family::WalletDay;
            assert!(!is_summed || row.values.len() <= 5, "{}", row.name);
            for (value, unit) in row.values.iter().zip(row.units) {
                assert!(value.ends_with(unit.suffix()), "{value}");
                let money = *unit == Unit::Minor;
                assert!(!money || row.dims.contains(&"currency"), "{}", row.name);
            }
        }
    }

    fn sample(of: Dimension, odd: bool) -> Dim {
        match (of.form(), of) {
            (Form::Word, Dimension::Brand) => Dim::Text("acme".into()),
            (Form::Word, Dimension::Model) => Dim::Text("linear".into()),
            (Form::Word, Dimension::Kind) => Dim::Text("order".into()),
            (Form::Word, Dimension::WalletPlatform) => Dim::Text("apple".into()),
            (Form::Word, Dimension::Currency) if odd => Dim::Null,
            (Form::Word, _) => Dim::Text("EUR".into()),
            (Form::Name, _) if odd => Dim::Null,
            (Form::Name, _) => Dim::Text("google".into()),
            (Form::Day, _) => Dim::Day(20_387),
            (Form::Month, _) => Dim::Month(2025 * 12 + 9),
            (Form::Hour, _) => Dim::Hour(1_761_440_400, 3_600),
            (Form::Count, _) => Dim::Count(3),
            (Form::Path, _) => Dim::Path(vec![[Some("google".into()), None, None]]),
        }
    }

    #[test]
    fn a_key_has_the_dimensions_that_it_was_read_from() {
        let brand = "acme".into();
        let settings = Settings::new([BrandSettings {
            name: Arc::clone(&brand),
            ..BrandSettings::default()
        }]);
        let mut words = LabelNames::default();
        words.insert(Label::of("google"), "google".into());
        let names = Names {
            brand: &brand,
            words: &words,
        };
        for row in TABLE {
            for odd in [false, true] {
                let dims = row.dimensions.iter().map(|of| sample(*of, odd));
                let dims: Vec<Dim> = dims.collect();
                let key = CellKey::of(row.family, &dims, &settings).unwrap();
                assert_eq!(key.family(), Some(row.family));
                assert_eq!(key.dims(names), Some(dims), "{}", row.name);
            }
        }
    }
}

//! Dimensions: what a cell is about, by name, with the form of each value.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Day;

/// The value of one dimension.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Dim {
    /// No label.
    Null,
    /// A word.
    Text(Arc<str>),
    /// A day, written `2025-10-26`.
    Day(Day),
    /// A month as `year * 12 + (month - 1)`, written `2025-10`.
    Month(i32),
    /// The start of an hour: Unix seconds and the offset from UTC in seconds, written RFC 3339.
    Hour(i64, i32),
    /// A count that is a dimension, written as a number.
    Count(u64),
    /// A path: `source / medium / campaign` of each channel, oldest first.
    Path(Vec<[Option<Arc<str>>; 3]>),
}

/// The form of a dimension's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A word of the configuration or of a closed set: [`Dim::Text`].
    Word,
    /// A name from the records: [`Dim::Text`], or [`Dim::Null`] without one.
    Name,
    /// [`Dim::Day`].
    Day,
    /// [`Dim::Month`].
    Month,
    /// [`Dim::Hour`].
    Hour,
    /// [`Dim::Count`].
    Count,
    /// [`Dim::Path`], whose words are names from the records.
    Path,
}

impl Form {
    /// How the values are written in JSON, for the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Form::Word => "text",
            Form::Name => "text or null",
            Form::Day => "`\"2025-10-26\"`",
            Form::Month => "`\"2025-10\"`",
            Form::Hour => "`\"2025-10-26T02:00:00+01:00\"`",
            Form::Count => "number",
            Form::Path => "list of lists of three, each text or null",
        }
    }
}

macro_rules! dimensions {
    ($($dimension:ident $name:literal $form:ident $meaning:literal;)*) => {
        /// A dimension that families have.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Dimension {
            $(#[doc = $meaning] $dimension),*
        }

        impl Dimension {
            /// Every dimension.
            pub const ALL: &[Dimension] = &[$(Dimension::$dimension),*];

            /// The name in JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Dimension::$dimension => $name),* }
            }

            /// The form of its values.
            pub const fn form(self) -> Form {
                match self { $(Dimension::$dimension => Form::$form),* }
            }

            /// What it means, for the reference.
            pub const fn meaning(self) -> &'static str {
                match self { $(Dimension::$dimension => $meaning),* }
            }
        }
    };
}

dimensions! {
    Brand "brand" Word "The configured brand.";
    Model "model" Word "The attribution model.";
    Source "source" Name "The source of the channel, such as `google`.";
    Medium "medium" Name "The medium of the channel, such as `cpc`.";
    Campaign "campaign" Name "The campaign of the channel.";
    Platform "platform" Name "The advertising platform that charged the amount.";
    WalletPlatform "platform" Word "The platform of the wallet passes: `apple`, `google`, `samsung` or `other`.";
    Notice "notice" Name "The notice that was shown beside the box.";
    NoticeVersion "version" Name "The version of the notice.";
    Language "language" Name "The language in which the notice was shown.";
    Box "box" Name "The box of the form.";
    Kind "kind" Word "`order` for online orders, `transaction` for in-store sales, `visit` for visits to stores.";
    Store "store" Name "The store; null for online orders.";
    Currency "currency" Word "The currency of the amounts, ISO 4217; null for visits, which have no value.";
    Day "day" Day "The day in the brand's time zone.";
    Month "month" Month "The month of the conversions in the brand's time zone.";
    Hour "hour" Hour "The hour in which visits begin, with the store's offset from UTC.";
    Path "path" Path "The channels of the touchpoints, oldest first, each as source, medium and campaign.";
    Touches "touches" Count "The number of touchpoints before the conversion.";
    Days "days" Count "The whole days from the first touchpoint to the conversion.";
}

//! A choice from a closed set of words.

use serde_json::{Value as Json, json};

use super::scalar::{Invalid, Scalar, invalid};
use crate::context::quote;
use crate::model::{
    AccountDelete, Basis, Csv, DecimalMark, Encoding, EventMeaning, Format, HashRule, Kind,
    LabelCase, Ladder, LogLevel, Role, TimeUnit, Trust, UserId,
};
use crate::suggest::did_you_mean;

/// One of a few words, each of which denotes a value.
pub(crate) struct Choice<V: 'static>(pub(crate) &'static [(&'static str, V)]);

/// The kinds of records.
pub(crate) const KINDS: Choice<Kind> = Choice(&[
    ("ping", Kind::Ping),
    ("web", Kind::Web),
    ("transaction", Kind::Transaction),
    ("spend", Kind::Spend),
    ("consent", Kind::Consent),
    ("wallet", Kind::Wallet),
    ("partner", Kind::Partner),
]);

/// The legal bases of a source.
pub(crate) const BASES: Choice<Basis> = Choice(&[
    ("consent", Basis::Consent),
    ("legitimate_interest", Basis::LegitimateInterest),
]);

/// Who can write to a source.
pub(crate) const TRUSTS: Choice<Trust> =
    Choice(&[("verified", Trust::Verified), ("open", Trust::Open)]);

/// The grains of conversions.
pub(crate) const LADDERS: Choice<Ladder> =
    Choice(&[("month", Ladder::Month), ("finest", Ladder::Finest)]);

/// The roles of access tokens.
pub(crate) const ROLES: Choice<Role> = Choice(&[
    ("read", Role::Read),
    ("privacy", Role::Privacy),
    ("operate", Role::Operate),
]);

/// The levels of the log.
pub(crate) const LOG_LEVELS: Choice<LogLevel> = Choice(&[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
]);

/// What an event of a vendor is.
pub(crate) const EVENT_MEANINGS: Choice<EventMeaning> = Choice(&[
    ("view", EventMeaning::View),
    ("click", EventMeaning::Click),
    ("impression", EventMeaning::Impression),
    ("identify", EventMeaning::Identify),
    ("order", EventMeaning::Order),
    ("refund", EventMeaning::Refund),
    ("transaction", EventMeaning::Transaction),
    ("ignore", EventMeaning::Ignore),
]);

/// What a conversion in a file for Google Ads is.
pub(crate) const CONVERSION_MEANINGS: Choice<EventMeaning> = Choice(&[
    ("transaction", EventMeaning::Transaction),
    ("order", EventMeaning::Order),
    ("ignore", EventMeaning::Ignore),
]);

/// What the user id of a vendor is.
pub(crate) const USER_IDS: Choice<UserId> = Choice(&[
    ("customer", UserId::Customer),
    ("email", UserId::Email),
    ("phone", UserId::Phone),
    ("none", UserId::None),
]);

/// What a deleted account asks for.
pub(crate) const ACCOUNT_DELETES: Choice<AccountDelete> = Choice(&[
    ("ignore", AccountDelete::Ignore),
    ("erase", AccountDelete::Erase),
    ("object", AccountDelete::Object),
]);

/// The cookies of Meta that may identify.
pub(crate) const META_COOKIES: Choice<&'static str> = Choice(&[("fbp", "fbp")]);

/// The units of integer time stamps.
pub(crate) const TIME_UNITS: Choice<TimeUnit> =
    Choice(&[("ms", TimeUnit::Milliseconds), ("s", TimeUnit::Seconds)]);

/// The decimal separators of amounts.
pub(crate) const DECIMAL_MARKS: Choice<DecimalMark> = Choice(&[
    ("auto", DecimalMark::Auto),
    ("point", DecimalMark::Point),
    ("comma", DecimalMark::Comma),
]);

/// The encodings of CSV files, by the labels of the WHATWG Encoding Standard.
pub(crate) const ENCODINGS: Choice<Encoding> = Choice(&[
    ("auto", Encoding::Auto),
    ("utf-8", Encoding::Utf8),
    ("windows-1250", Encoding::OneByte("windows-1250")),
    ("windows-1251", Encoding::OneByte("windows-1251")),
    ("windows-1252", Encoding::OneByte("windows-1252")),
    ("windows-1253", Encoding::OneByte("windows-1253")),
    ("windows-1254", Encoding::OneByte("windows-1254")),
    ("windows-1257", Encoding::OneByte("windows-1257")),
    ("iso-8859-2", Encoding::OneByte("iso-8859-2")),
    ("iso-8859-15", Encoding::OneByte("iso-8859-15")),
    ("macintosh", Encoding::OneByte("macintosh")),
]);

/// The cases of channel labels.
pub(crate) const LABEL_CASES: Choice<LabelCase> =
    Choice(&[("keep", LabelCase::Keep), ("lower", LabelCase::Lower)]);

/// The rules of hashed values.
pub(crate) const RULES: Choice<HashRule> = Choice(&[
    ("plain", HashRule::Plain),
    ("google", HashRule::Google),
    ("meta", HashRule::Meta),
    ("uid2", HashRule::Uid2),
]);

/// Words are compared exactly: a configuration that is read aloud or searched
/// has one spelling per value.
impl<V: Copy + PartialEq + Sync + 'static> Scalar for Choice<V> {
    type Out = V;

    fn kind(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("`{word}`")).collect();
        format!("one of {}", words.join(", "))
    }

    fn schema(&self) -> Json {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        json!({"type": "string", "enum": words})
    }

    fn parse(&self, text: &str) -> Result<V, Invalid> {
        let words = || self.0.iter().map(|(word, _)| *word);
        match self.0.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => Err(unknown(text, words())),
        }
    }

    /// The first word that denotes the value.
    fn write(&self, out: &V) -> String {
        let found = self.0.iter().find(|(_, value)| value == out);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }
}

/// The error of a word that is none of these, with the nearest one as its
/// remedy.
pub(crate) fn unknown<'a>(text: &str, words: impl Iterator<Item = &'a str> + Clone) -> Invalid {
    let fix = did_you_mean(text, words.clone());
    let all: Vec<String> = words.map(|word| format!("{word:?}")).collect();
    invalid(
        format!("{} is none of {}", quote(text), all.join(", ")),
        fix,
    )
}

/// The format of a source. The columns of a CSV source are a table of their
/// own, so the parsed format has a blank column map.
pub(crate) struct FormatWord;

impl FormatWord {
    /// Every format, the CSV one with a blank column map.
    fn all() -> [Format; 11] {
        [
            Format::Native,
            Format::Csv(<Csv as crate::settings::SettingsModel>::blank()),
            Format::Segment,
            Format::Snowplow,
            Format::Meraki,
            Format::GoogleOffline,
            Format::Meta,
            Format::Ga4Bigquery,
            Format::AppleWallet,
            Format::GoogleWallet,
            Format::AppleSignin,
        ]
    }

    /// The names of all formats.
    fn words() -> Vec<&'static str> {
        FormatWord::all().iter().map(Format::name).collect()
    }
}

impl Scalar for FormatWord {
    type Out = Format;

    fn kind(&self) -> String {
        let words = FormatWord::words();
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        format!("one of {}", words.join(", "))
    }

    fn schema(&self) -> Json {
        json!({"type": "string", "enum": FormatWord::words()})
    }

    /// The format of that name; the caller fills the column map of a CSV
    /// source.
    fn parse(&self, text: &str) -> Result<Format, Invalid> {
        let mut formats = FormatWord::all().into_iter();
        let found = formats.find(|format| format.name() == text);
        found.ok_or_else(|| unknown(text, FormatWord::words().into_iter()))
    }

    fn write(&self, out: &Format) -> String {
        out.name().to_owned()
    }
}

//! A brand: the tenant whose secret, pseudonyms, records and numbers are
//! separate from all others.
//!
//! Nothing joins two brands. Their keys derive from different secrets, so equal
//! identifiers have different pseudonyms; their records, cells and subjects
//! carry the brand; and a data-subject request concerns one of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use tributary_consent::Vendor;

use super::{Attribution, Basis, HashRule, Kind, Secret, Sensors, Source};

/// `[[brand]]`: one brand.
#[derive(Clone, Debug)]
pub struct Brand {
    /// The name, `[a-z0-9_-]+` of at most 256 bytes: the token `<brand>` of
    /// subjects and the `brand` dimension of cells. Renaming a brand makes it
    /// another one: its keys derive from its name.
    pub name: String,
    /// The IANA time zone of the brand's days and hours. Default `UTC`, with a
    /// warning.
    pub timezone: TimeZone,
    /// The ISO 4217 code of amounts without a currency; it has minor units.
    /// Default `EUR`.
    pub currency: String,
    /// The ISO 3166 alpha-2 region of phone numbers without a country code;
    /// without one, such numbers do not identify anyone.
    pub phone_region: Option<String>,
    /// The region that the brand is pinned to, `[a-z0-9-]+`; if set, it equals
    /// [`Workers::region`](super::Workers::region) of this process.
    pub region: Option<String>,
    /// The shard that serves the brand, `[a-z0-9-]+`: the process with the same
    /// [`Workers::shard`](super::Workers::shard), which may be none.
    pub shard: Option<String>,
    /// The newest secret, at least 32 bytes, from `secret_file` or the
    /// environment variable that `secret_env` names. No other brand has it. A
    /// value that was drawn at random has 256 bits of entropy, as in `openssl
    /// rand -base64 48`.
    pub secret: Secret,
    /// All earlier secrets, the oldest first, from `previous_secret_files`.
    /// They are kept permanently: see [`crate::key_chain`]. A rotation appends
    /// the secret that was the newest.
    pub previous_secrets: Vec<Secret>,
    /// `[brand.identity]`: which identifiers belong to one person.
    pub identity: Identity,
    /// `[brand.attribution]`: how a conversion credits earlier contacts.
    pub attribution: Attribution,
    /// `[brand.channels]`: how the channel of a web record is named.
    pub channels: Channels,
    /// `[brand.names]`: how the page names stores and channels.
    pub names: Names,
    /// `[brand.sensors]`: what counts as a visit.
    pub sensors: Sensors,
    /// `[brand.wallet]`: which scans of a wallet pass are one visit.
    pub wallet: Wallet,
    /// `[brand.partners]`: how sightings of partners meet visits.
    pub partners: Partners,
    /// `[[brand.partner]]`: which partner may query the cells of which channel
    /// sources. Names are unique. Default none.
    pub partner: Vec<Partner>,
    /// `[brand.consent]`: the party for which consent signals are evaluated.
    pub consent: Consent,
    /// `[[brand.box]]`: the boxes of the brand's forms that say more than their
    /// name.
    pub boxes: Vec<FormBox>,
    /// `[brand.retention]`: how long records are stored.
    pub retention: Retention,
    /// `[brand.release]`: the brand's own thresholds of the release gate.
    pub release: BrandRelease,
    /// `[brand.noise]`: noise on published numbers.
    pub noise: Noise,
    /// `[[brand.source]]`: at least one source per kind, except
    /// [`Kind::Partner`]. Another kind without a configured source has one in
    /// the native format, named like the kind, behind the configured ones.
    pub sources: Vec<Source>,
}

impl Brand {
    /// Whether the records of a source require consent. The source's own
    /// `basis` decides; without one, records of partners require it, and web
    /// records as soon as the brand can evaluate consent strings.
    /// ```
    /// use tributary_config::model::Basis;
    /// # use std::path::Path;
    /// # let folder = tempfile::tempdir()?;
    /// # let secret = folder.path().join("acme.secret");
    /// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
    /// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    /// # let text = format!(
    /// #     "[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n\
    /// #      consent = {{ vendor = 755, feature_2 = true }}\n"
    /// # );
    /// # let brand = tributary_config::parse(&text, Path::new("t.toml"))?.config.brands.remove(0);
    /// // A brand with `consent = { vendor = 755, feature_2 = true }`.
    /// let source = |name: &str| brand.sources.iter().find(|source| source.name == name);
    /// let (web, transaction) = (source("web").unwrap(), source("transaction").unwrap());
    /// assert!(brand.rests_on_consent(web) && !brand.rests_on_consent(transaction));
    ///
    /// let mut web = web.clone();
    /// web.basis = Some(Basis::LegitimateInterest);
    /// assert!(!brand.rests_on_consent(&web));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn rests_on_consent(&self, source: &Source) -> bool {
        match source.basis {
            Some(basis) => basis == Basis::Consent,
            None => match source.kind {
                Kind::Partner => true,
                Kind::Web => self.consent.reads_strings(),
                _ => false,
            },
        }
    }

    /// Whether the brand takes records of partners.
    pub fn has_partners(&self) -> bool {
        self.sources
            .iter()
            .any(|source| source.kind == Kind::Partner)
    }

    /// The days from a day to the first on which all visits of it count, throughout;
    /// `None` without partners. Where the gate hides cells, sightings count once
    /// their day is settled: after `partners.settle_after`, by the next retention
    /// pass and the release that follows, for which it has a day.
    pub fn days_to_settle(&self) -> Option<i32> {
        let wait = self.partners.settle_after_ms.div_euclid(86_400_000);
        let wait = i32::try_from(wait).unwrap_or(i32::MAX - 2);
        self.has_partners().then(|| wait.saturating_add(2))
    }

    /// All secrets, from the oldest to the newest; the order of
    /// [`KeyChain`](crate::key_chain::KeyChain).
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.previous_secrets.iter().chain([&self.secret])
    }
}

/// `[brand.identity]`: which identifiers belong to one person.
///
/// The maps are keyed by the kinds of identifiers: `email`, `phone`, `cookie`,
/// `customer`, `wallet`, `device`, `name_postcode`, `click_id`. Both guards exist because
/// identifiers are shared: a phone number by a family, a tablet by a till.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Hub guard: with how many other identifiers an identifier may share
    /// records. Beyond it, it identifies no one. Default 20 for e-mail
    /// addresses, 50 for customer numbers, 10 for the other kinds.
    pub max_degree: BTreeMap<String, u32>,
    /// How long a record links its identifiers of a kind with the others,
    /// milliseconds; `None` for as long as the record is stored.
    pub link_ttl: BTreeMap<String, Option<i64>>,
    /// Size guard: the conversions of a person with more identifiers are not
    /// attributed. Default 100. From 1.
    pub max_identifiers: u32,
    /// Whether first name, last name and postcode together identify. Default
    /// false. Two people may share all three, so it is off unless the brand
    /// decides otherwise.
    pub name_postcode: bool,
    /// Whether identifiers of clicks link records. Default false: whoever opens
    /// an address that somebody shared has the click of another.
    pub click_id: bool,
    /// The enabled hash rules, sorted and distinct; contains
    /// [`HashRule::Plain`]. Default that alone. Each rule adds one pseudonym to
    /// every clear value of the kinds that it covers.
    pub rules: Vec<HashRule>,
    /// Values that never identify anyone, besides [`crate::placeholders`],
    /// compared in any case and spelling. They may be personal data and are
    /// never printed.
    pub blocked: Vec<String>,
    /// Domains whose e-mail addresses hide another address, besides the five
    /// built-in ones. Such an address identifies under the plain rule alone.
    pub relay_domains: Vec<String>,
}

/// `[brand.channels]`: how the channels of web records and spend are named. A
/// channel is a source, a medium and a campaign, from a record's fields, the
/// `utm_*` parameters of its page, a click identifier, or an external referrer,
/// in this order.
#[derive(Clone, Debug)]
pub struct Channels {
    /// The brand's own hosts, in lower case, with all their subdomains: they
    /// are no referrers. The registrable domain of the page itself is always
    /// included. Default none.
    pub own_hosts: Vec<String>,
    /// Hosts that do not count as referrers, in lower case, with all their
    /// subdomains. Default payment providers, from which buyers return.
    pub ignored_referrers: Vec<String>,
    /// The case of `source`, `medium` and `campaign`. Default
    /// [`LabelCase::Keep`].
    pub case: LabelCase,
}

/// `[brand.wallet]`: wallet passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wallet {
    /// The longest time between two scans of a pass that belong to one visit,
    /// milliseconds. Default 30 minutes.
    pub gap_ms: i64,
}

/// `[brand.partners]`: how sightings of partners meet visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partners {
    /// How far the clocks of boxes and partners may differ, milliseconds: a
    /// sighting meets the visits that it overlaps or misses by at most this.
    /// Default 5 minutes. At most 30 minutes.
    pub slack_ms: i64,
    /// The time after the end of a salt day for which its sightings are taken,
    /// milliseconds. Default 7 days. From 48 hours to 31 days.
    pub settle_after_ms: i64,
}

/// `[[brand.partner]]`: a partner that may query released cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// The name, `[a-z0-9_-]+`, unique within the brand: the last token of
    /// `tributary.partner.<brand>.<partner>`.
    pub name: String,
    /// The values of the dimension `source` whose cells the partner may query,
    /// as records name them. At least one.
    pub sources: Vec<String>,
}

/// `[brand.names]`: names for people. Cells, queries and metrics keep the names of
/// records, so that a new display name changes no number.
#[derive(Clone, Debug)]
pub struct Names {
    /// Display names by store, as records name it. Default none.
    pub stores: BTreeMap<String, String>,
    /// Display names by channel: `source`, `source/medium` or
    /// `source/medium/campaign`. The longest that a channel begins with applies.
    /// Default none.
    pub channels: BTreeMap<String, String>,
}

/// The case of channel labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelCase {
    /// As received.
    Keep,
    /// Lower case by Unicode's default mapping, so that `Google` and `google`
    /// are one channel.
    Lower,
}

/// `[brand.consent]`: the party for which consent signals are evaluated, and
/// the purposes that each use requires.
///
/// At most one of `vendor` and `publisher` is set. With a `vendor_list_file`,
/// `legitimate_interest` and `feature_2` keep their defaults, because the list
/// defines them.
#[derive(Clone, Debug, Default)]
pub struct Consent {
    /// The brand's ID in IAB Europe's Global Vendor List, from 1.
    pub vendor: Option<u16>,
    /// Whether the publisher's own permissions (segment `PublisherTC`) are
    /// evaluated, instead of a vendor's. Default false.
    pub publisher: bool,
    /// The Global Vendor List that states the vendor's declarations.
    pub vendor_list_file: Option<PathBuf>,
    /// The purposes that rest on legitimate interest, of 2 and 7 to 11; all
    /// others require consent. Default none.
    pub legitimate_interest: Vec<u8>,
    /// Whether linking different devices (TCF feature 2) is disclosed to data
    /// subjects. Default false.
    pub feature_2: bool,
    /// Purposes, of 1 to 11, that a use requires besides the built-in ones, by
    /// the use's name: `hold`, `credit`, `join`, `link`, `position`, `share`.
    /// It can only make a use stricter.
    pub also_needs: BTreeMap<String, Vec<u8>>,
    /// The vendor's entry in `vendor_list_file`.
    pub declared: Option<Vendor>,
}

impl Consent {
    /// Whether consent strings can be evaluated: the brand names a vendor or is
    /// the publisher.
    pub fn reads_strings(&self) -> bool {
        self.vendor.is_some() || self.publisher
    }
}

/// `[[brand.box]]`: a box of a form. The boxes for purposes, features and
/// opt-outs exist without being listed.
#[derive(Clone, Debug)]
pub struct FormBox {
    /// The name in the field `purposes`, `[a-z0-9_-]+`, unique within the brand.
    pub name: String,
    /// The notice that is shown beside it, where a statement names none.
    pub notice: Option<String>,
    /// The purposes that a box of the brand's own stands for, at least one; none
    /// for a box that exists without being listed. A purpose is granted if all
    /// boxes of a statement that stand for it are ticked.
    pub needs: Vec<u8>,
}

/// `[brand.retention]`: for how many whole calendar months records are stored,
/// by category; each from 1. Values above the defaults produce a warning.
/// Records whose period has expired are deleted at startup and once a day; a
/// month is a calendar month.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Records that identify a person, from the person's last interaction.
    /// Default 24. An interaction is any record with an identifier of the
    /// person.
    pub identification_months: u32,
    /// Transactions, from their time. Default 24.
    pub transactions_months: u32,
    /// Web records of a cookie, from the placement of the cookie. Default 13.
    pub cookies_months: u32,
    /// Consent statements and their evidence, from their time. Default 60.
    pub consent_months: u32,
    /// Sightings by partners and the visits that follow from them, from their
    /// time. Default 13.
    pub visits_months: u32,
    /// Exposures that partners report, from their time. Default 13.
    pub exposures_months: u32,
}

/// `[brand.release]`: thresholds of the release gate that differ from those of
/// `[release]`. [`Release::of_brand`](super::Release::of_brand) combines both.
#[derive(Clone, Debug, Default)]
pub struct BrandRelease {
    /// The minimum number of contributors of a published cell. From 1.
    pub k: Option<u64>,
    /// The minimum for cells with traffic counts only.
    pub k_traffic: Option<u64>,
    /// The minimum number of persons whose data changed before a published value
    /// is updated. From 1 to 64.
    pub k_delta: Option<u64>,
}

/// `[brand.noise]`: differentially private noise on published numbers. Without
/// a budget there is no noise. The published numbers are ε-differentially
/// private per person and day, provided that nobody exceeds the sensitivities;
/// those who do are protected less.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The privacy budget ε of a day, thousandths; set together with
    /// `money_minor`. From 1 (ε = 0.001) to 1,000,000 (ε = 1000); values above
    /// ε = 10 produce a warning.
    pub epsilon_thousandths: Option<u64>,
    /// The sensitivity of counts: how far one person may change any count of a
    /// day, summed over its cells. Default 1. From 1.
    pub count: u64,
    /// The sensitivity of revenue: the most that one person spends in a day,
    /// minor units of each currency.
    pub money_minor: Option<u64>,
}

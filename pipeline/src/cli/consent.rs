//! `tributary consent`: what a consent string allows, purpose by purpose, and
//! the reason if it does not.
//!
//! A string may single out a person. It is therefore best passed on standard
//! input, and the output repeats nothing of it except its meaning.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tributary_connectors::terminal;
use tributary_consent::{
    Allowed, Basis, Boxes, Gpp, OptOut, Party, Section, TcString, Terms, VendorList,
};

use crate::cli::args as cli;
use crate::report::table::{Align, Table};

/// Purposes of the IAB Transparency and Consent Framework 2.2 and later, by
/// number from 1.
const PURPOSES: [&str; 11] = [
    "store and/or access information on a device",
    "use limited data to select advertising",
    "create profiles for personalised advertising",
    "use profiles to select personalised advertising",
    "create profiles to personalise content",
    "use profiles to select personalised content",
    "measure advertising performance",
    "measure content performance",
    "understand audiences",
    "develop and improve services",
    "use limited data to select content",
];

/// A consent signal.
enum Signal {
    /// A TC string.
    Tc(Box<TcString>),
    /// A GPP string.
    Gpp(Gpp),
    /// Checkboxes.
    Boxes(Boxes),
}

/// Executes the command.
///
/// # Errors
///
/// A string or vendor list that is not valid.
pub fn command(args: &cli::Consent) -> anyhow::Result<()> {
    let text = match args.string.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .take(1 << 20)
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            text
        }
        given => given.to_owned(),
    };
    let signal = Signal::read(text.trim())?;
    let terms = terms(args)?;
    let allowed = signal.allowed(&terms);
    if args.json {
        terminal::print_line(format_args!("{:#}", signal.json(&terms, allowed)))?;
    } else {
        terminal::print(signal.text(&terms, allowed))?;
    }
    Ok(())
}

/// Who asks for permission, and on which legal basis.
///
/// # Errors
///
/// A vendor list that is not valid, or does not contain the vendor.
fn terms(args: &cli::Consent) -> anyhow::Result<Terms> {
    if let (Some(list), Some(vendor)) = (&args.vendor_list, args.vendor) {
        let list = read_list(list)?;
        let found = list.vendor(vendor);
        return Ok(Terms::of(found.with_context(|| {
            format!("vendor {vendor} is not in the vendor list")
        })?));
    }
    let party = args.vendor.map_or(Party::Publisher, Party::Vendor);
    let basis = match args.legitimate_interest {
        true => Basis::ConsentOrLegitimateInterest,
        false => Basis::Consent,
    };
    let purposes = (1..).take(PURPOSES.len());
    let terms = purposes.fold(Terms::new(party), |terms, purpose| {
        terms.with(purpose, basis)
    });
    Ok(terms.with_feature_2(true))
}

/// Reads a Global Vendor List.
///
/// # Errors
///
/// A file that cannot be read, or is not a vendor list.
fn read_list(path: &Path) -> anyhow::Result<VendorList> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the vendor list {}", path.display()))?;
    VendorList::parse(&bytes).with_context(|| format!("{} is not a vendor list", path.display()))
}

impl Signal {
    /// Parses a signal; its first characters determine its form.
    ///
    /// # Errors
    ///
    /// A text that is none of the three forms.
    fn read(text: &str) -> anyhow::Result<Signal> {
        if text.is_empty() {
            bail!(
                "no consent string given: expected a TC string, a GPP string, or checkboxes as {{\"7\": true}}"
            );
        }
        if text.starts_with('{') {
            let boxes: std::collections::BTreeMap<String, bool> = serde_json::from_str(text)
                .context("checkboxes must be one JSON object with true and false")?;
            let boxes = boxes.iter().map(|(name, ticked)| (name.as_str(), *ticked));
            return Ok(Signal::Boxes(Boxes::read(boxes)?));
        }
        // A GPP header begins with type 3, version 1, which is `DB` in base64url.
        if text.starts_with("DB") {
            return Ok(Signal::Gpp(
                Gpp::parse(text).context("not a valid GPP string")?,
            ));
        }
        let tc = TcString::parse(text).context("not a valid TC string")?;
        Ok(Signal::Tc(Box::new(tc)))
    }

    /// The TC string in the signal.
    fn tc(&self) -> Option<&TcString> {
        match self {
            Signal::Tc(tc) => Some(tc),
            Signal::Gpp(gpp) => gpp.tc_string(),
            Signal::Boxes(_) => None,
        }
    }

    /// What the signal allows under these terms.
    fn allowed(&self, terms: &Terms) -> Allowed {
        match self {
            Signal::Tc(tc) => tc.allowed(terms),
            Signal::Gpp(gpp) => gpp.allowed(terms),
            Signal::Boxes(boxes) => boxes.allowed(terms),
        }
    }

    /// Sections of a GPP string that are not supported.
    fn unread(&self) -> Vec<u16> {
        match self {
            Signal::Gpp(gpp) => gpp.unread().collect(),
            Signal::Tc(_) | Signal::Boxes(_) => Vec::new(),
        }
    }

    /// US states whose sections are supported, with their section IDs.
    fn states(&self) -> Vec<(u16, &'static str)> {
        let Signal::Gpp(gpp) = self else {
            return Vec::new();
        };
        let sections = gpp.sections().iter();
        sections
            .filter_map(|(id, section)| match section {
                Section::UsState(section) => Some((*id, section.state)),
                _ => None,
            })
            .collect()
    }

    /// For every purpose: number, name, whether it is allowed, and the reason if
    /// there is one to give.
    fn purposes(
        &self,
        terms: &Terms,
        allowed: Allowed,
    ) -> Vec<(u8, &'static str, bool, &'static str)> {
        let numbered = (1..).zip(PURPOSES);
        numbered
            .map(|(purpose, name)| {
                let outcome = match (self.tc(), terms.basis(purpose), terms.party()) {
                    (_, None, _) => "not_declared",
                    (Some(tc), Some(basis), Party::Vendor(vendor)) => {
                        tc.permits(vendor, purpose, basis).word()
                    }
                    (Some(tc), Some(basis), Party::Publisher) => {
                        tc.permits_publisher(purpose, basis).word()
                    }
                    (None, ..) => "",
                };
                (purpose, name, allowed.purpose(purpose), outcome)
            })
            .collect()
    }

    /// The result as JSON.
    fn json(&self, terms: &Terms, allowed: Allowed) -> Value {
        let purposes = self.purposes(terms, allowed).into_iter();
        let purposes: Vec<Value> = purposes
            .map(|(purpose, name, allowed, reason)| {
                json!({"purpose": purpose, "name": name, "allowed": allowed, "reason": reason})
            })
            .collect();
        json!({
            "purposes": purposes,
            "feature_2": allowed.feature_2(),
            "special_feature_1": allowed.special_feature(1),
            "opted_out": opt_outs(allowed),
            "states": self.states().into_iter().map(|(_, state)| state).collect::<Vec<_>>(),
            "unread_sections": self.unread(),
            "updated_day": self.tc().map(|tc| at(tc.last_updated).strftime("%F").to_string()),
        })
    }

    /// The result as text.
    fn text(&self, terms: &Terms, allowed: Allowed) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        if let Some(tc) = self.tc() {
            let _ = writeln!(
                out,
                "created {}, updated {}, policy {}, vendor list {}, consent management platform {}",
                at(tc.created),
                at(tc.last_updated),
                tc.policy_version,
                tc.vendor_list_version,
                tc.cmp_id
            );
            let _ = match &tc.disclosed_vendors {
                Some(vendors) => writeln!(out, "{} disclosed vendors", vendors.iter().count()),
                None => writeln!(out, "no list of disclosed vendors"),
            };
        }
        let mut table = Table::new(&[
            ("purpose", Align::Right),
            ("", Align::Left),
            ("allowed", Align::Left),
            ("reason", Align::Left),
        ]);
        for (purpose, name, allowed, reason) in self.purposes(terms, allowed) {
            let yes = if allowed { "yes" } else { "no" };
            table.row(vec![
                purpose.to_string(),
                name.into(),
                yes.into(),
                reason.into(),
            ]);
        }
        let _ = write!(out, "{table}");
        let outs = opt_outs(allowed);
        if !outs.is_empty() {
            let _ = writeln!(out, "opted out of: {}", outs.join(", "));
        }
        for (id, state) in self.states() {
            let _ = writeln!(out, "section {id} ({state}) is supported");
        }
        for id in self.unread() {
            let _ = writeln!(
                out,
                "section {id} is not supported: its content is not applied"
            );
        }
        out
    }
}

/// A time in tenths of a second since 1970, the unit of TC strings.
fn at(deciseconds: u64) -> jiff::Timestamp {
    let second = i64::try_from(deciseconds / 10).unwrap_or(0);
    jiff::Timestamp::from_second(second).unwrap_or_default()
}

/// Names of the opt-outs in effect.
fn opt_outs(allowed: Allowed) -> Vec<&'static str> {
    let all = [
        (OptOut::Sale, "sale"),
        (OptOut::Sharing, "sharing"),
        (OptOut::TargetedAdvertising, "targeted advertising"),
        (OptOut::PrecisePosition, "precise position"),
    ];
    all.iter()
        .filter(|(out, _)| allowed.opted_out(*out))
        .map(|(_, name)| *name)
        .collect()
}

//! `tributary explain`: why two identifiers belong to one person, and how the
//! value of a cell came about.
//!
//! The two clear-text values are canonicalized and keyed here, with the brand's
//! secret from the configuration; only pseudonyms are transmitted. Neither the
//! output nor an error repeats a value or a pseudonym.

use std::fmt::Write;

use anyhow::{Context, bail};
use serde_json::json;
use tributary_config::model::{Brand, Secret};
use tributary_connectors::keys::{BrandKey, MAX_IDENTIFIER};
use tributary_connectors::subject_identifiers;
use tributary_connectors::terminal;
use tributary_operators::currency;
use tributary_operators::label::Channel;
use tributary_operators::record::{BrandId, IdKind, Identifier};

use crate::cli::args as cli;
use crate::cli::query::sheet;
use crate::report::table::{ABSENT, Align, Table, harmless, rounded, thousands};
use crate::serve::services::Topic;
use crate::serve::services::client::Asker;
use crate::serve::services::released::{CellInQuestion, ReleasedCell};
use crate::serve::services::reply::{Hop, Link, Paths, Words};
use crate::serve::services::request;

/// Executes the command.
///
/// # Errors
///
/// An invalid question, or no worker that answers it.
pub async fn command(args: &cli::Explain) -> anyhow::Result<()> {
    Ok(terminal::print(answer(args).await?)?)
}

/// The output of the command.
///
/// # Errors
///
/// Those of [`command`].
pub async fn answer(args: &cli::Explain) -> anyhow::Result<String> {
    match args {
        cli::Explain::Person(args) => person(args).await,
        cli::Explain::Cell(args) => cell(args).await,
    }
}

/// Explains a link between two identifiers.
///
/// # Errors
///
/// Identifiers that are not two, not `KIND=VALUE`, or not usable for the brand;
/// no answer of a worker.
async fn person(args: &cli::ExplainPerson) -> anyhow::Result<String> {
    let asker = Asker::load(&args.config, args.brand.as_deref())?;
    let [first, second] = &args.identifiers[..] else {
        bail!("two identifiers are required, each as KIND=VALUE");
    };
    let brand = asker.brand()?;
    let keys = keys(brand);
    let (from, from_ids) = identify(brand, &keys, "first", first)?;
    let (to, to_ids) = identify(brand, &keys, "second", second)?;
    let request = request::person_json(&from_ids, &to_ids);
    let answer = asker.ask(Topic::Contributions, request).await?;
    if args.json {
        return Ok(answer);
    }
    let link: Link = serde_json::from_str(&answer).context(UNREADABLE)?;
    Ok(person_text([from, to], &link))
}

/// Explains the value of a cell.
///
/// # Errors
///
/// A cell that the worker would refuse, checked before anything is sent; no
/// answer of a worker.
async fn cell(args: &cli::ExplainCell) -> anyhow::Result<String> {
    let asker = Asker::load(&args.config, args.brand.as_deref())?;
    let request = json!({"cell": {
        "source": args.source,
        "medium": args.medium,
        "campaign": args.campaign,
        "kind": args.kind,
        "store": args.store,
        "day": args.day,
        "currency": args.currency,
    }})
    .to_string();
    if !args.exact {
        // What the worker would refuse is refused before anybody is asked; only the worker knows
        // the currency of a brand.
        let own = asker.config().and_then(|_| asker.brand().ok());
        let own = own.map_or("EUR", |brand| brand.currency.as_str());
        CellInQuestion::read(request.as_bytes(), own)?;
        let answer = asker.ask(Topic::Explain, request).await?;
        if args.json {
            return Ok(answer);
        }
        let released: ReleasedCell = serde_json::from_str(&answer).context(UNREADABLE)?;
        return Ok(released_text(args, &released));
    }
    // What the worker would refuse is refused before anybody is asked.
    let brand = asker.brand()?;
    let own = currency::of(&brand.currency).map(|(currency, _)| currency);
    request::explain(request.as_bytes(), BrandId::of(&brand.name), own)?;
    let answer = asker.ask(Topic::Contributions, request).await?;
    if args.json {
        return Ok(answer);
    }
    let paths: Paths = serde_json::from_str(&answer).context(UNREADABLE)?;
    let k = (asker.config()).map_or(1, |config| config.release_of(&brand.name).k);
    Ok(paths_text(args, &paths, k))
}

/// The words of a channel.
fn words(words: &Words) -> Vec<Option<&str>> {
    words.iter().map(Option::as_deref).collect()
}

/// The explanation of a cell from released cells, as text.
fn released_text(args: &cli::ExplainCell, answer: &ReleasedCell) -> String {
    // A month is written with 7 characters.
    if answer.cells.is_empty() && args.day.len() == 7 {
        return format!(
            "no released cell of the whole month counts them: either they are published by day, as with release.k = 1, so \
             give a day such as --day {}-01; or they are hidden for privacy, or there are none\n",
            harmless(&args.day)
        );
    }
    if answer.cells.is_empty() {
        return "hidden for privacy, or no such conversions: no released cell counts them\n"
            .to_owned();
    }
    let mut table = Table::new(&[
        ("model", Align::Left),
        ("released as", Align::Left),
        ("store", Align::Left),
        ("day", Align::Left),
        ("conversions", Align::Right),
    ]);
    for credit in &answer.cells {
        let store = match credit.store.as_deref() {
            Some("*") => "all stores",
            Some(store) => store,
            None => ABSENT,
        };
        let conversions = credit.conversions_millionths;
        table.row([
            credit.model.clone(),
            sheet::path([words(&credit.channel)]),
            harmless(store),
            credit.day.clone(),
            conversions.map_or_else(String::new, |number| rounded(number, 6, 2)),
        ]);
    }
    let mut out = format!(
        "Released cells that count these {}s\n\n{table}",
        harmless(&args.kind)
    );
    if answer.paths.is_empty() {
        out.push_str("\nNo path of the month with this channel is released.\n");
        return out;
    }
    let mut table = Table::new(&[("conversions", Align::Right), ("path", Align::Left)]);
    for path in &answer.paths {
        table.row([
            path.conversions.map_or_else(String::new, thousands),
            sheet::path(path.path.iter().map(words)),
        ]);
    }
    let _ = write!(
        out,
        "\nReleased paths of the month with this channel\n\n{table}"
    );
    out
}

/// Context of an answer that cannot be parsed.
const UNREADABLE: &str = "cannot read the worker's answer; does it run another version? Use --json to print it unchanged";

/// Keys of the brand under each of its secrets, because a worker continues with
/// the one that it started with.
fn keys(brand: &Brand) -> Vec<BrandKey> {
    let secrets: Vec<Secret> = brand.secrets().cloned().collect();
    let keys = (1..=secrets.len()).filter_map(|count| {
        let (newest, before) = secrets.get(..count)?.split_last()?;
        Some(BrandKey::new(&Brand {
            secret: newest.clone(),
            previous_secrets: before.to_vec(),
            ..brand.clone()
        }))
    });
    keys.collect()
}

/// Pseudonyms of `KIND=VALUE` under each key. A value of 64 hexadecimal digits
/// is a digest under any of the brand's rules. `which` names the identifier in
/// an error.
///
/// # Errors
///
/// A text of another form, or a value that is empty, blocked or too long. No
/// error repeats the value.
fn identify(
    brand: &Brand,
    keys: &[BrandKey],
    which: &str,
    text: &str,
) -> anyhow::Result<(IdKind, Vec<Identifier>)> {
    let known = IdKind::ALL.map(IdKind::name).join(", ");
    let found = text.split_once('=').and_then(|(word, value)| {
        let kind = IdKind::ALL.into_iter().find(|kind| kind.name() == word)?;
        Some((kind, value))
    });
    let Some((kind, value)) = found else {
        bail!("the {which} identifier is not KIND=VALUE with KIND one of {known}");
    };
    if value.len() > MAX_IDENTIFIER {
        bail!(
            "the {which} identifier is longer than {MAX_IDENTIFIER} bytes, the limit for records"
        );
    }
    let ids = if kind == IdKind::NamePostcode {
        let parts: Vec<&str> = value.split('/').collect();
        let [first, last, postcode] = parts[..] else {
            bail!("the {which} identifier is not name_postcode=FIRST/LAST/POSTCODE");
        };
        if !brand.identity.name_postcode {
            bail!(
                "name and postcode do not identify a person: the brand does not enable identity.name_postcode"
            );
        }
        let ids = |key| subject_identifiers::name_postcode(key, [first, last, postcode]);
        keys.iter().flat_map(ids).collect()
    } else {
        let ids = |key| subject_identifiers::identifiers(brand, key, kind, value);
        keys.iter().flat_map(ids).collect::<Vec<_>>()
    };
    if ids.is_empty() {
        let phone = match kind {
            IdKind::Phone => {
                ", or not a phone number (include the country code, or set phone_region)"
            }
            _ => "",
        };
        bail!("the {which} identifier is empty or blocked{phone}");
    }
    Ok((kind, ids))
}

/// Name of a kind in a sentence.
fn noun(kind: &str) -> &str {
    match kind {
        "email" => "e-mail address",
        "phone" => "phone number",
        "customer" => "customer number",
        "name_postcode" => "name with postcode",
        other => other,
    }
}

/// The explanation of a link, as text.
fn person_text(kinds: [IdKind; 2], link: &Link) -> String {
    let [from, to] = kinds.map(|kind| noun(kind.name()));
    let (from, to) = match from == to {
        true => (format!("the first {from}"), format!("the second {to}")),
        false => (format!("the {from}"), format!("the {to}")),
    };
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = match &link.hops {
        Some(hops) if hops.is_empty() => writeln!(out, "{from} and {to} are the same identifier"),
        Some(hops) => {
            let links = match hops.len() {
                1 => "1 link".to_owned(),
                n => format!("{n} links"),
            };
            writeln!(
                out,
                "{from} and {to} belong to one person, through {links}:\n\n{}",
                chain(hops, &from, &to)
            )
        }
        None => {
            let _ = writeln!(out, "{from} and {to} are not linked");
            let sides = [&from, &to].into_iter().zip(link.known).zip(link.hub);
            for ((side, known), hub) in sides {
                let _ = match (known, hub) {
                    (false, _) => {
                        writeln!(out, "  {side} is unknown: no stored record contains it")
                    }
                    (true, true) => writeln!(
                        out,
                        "  {side} is a hub: it shares records with too many others to identify anyone"
                    ),
                    (true, false) => writeln!(out, "  {side} is known"),
                };
            }
            Ok(())
        }
    };
    let mut letters = out.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The links of a chain as sentences, one per line.
fn chain(hops: &[Hop], from: &str, to: &str) -> String {
    let mut near = from.to_owned();
    let mut lines = Vec::new();
    for (at, hop) in hops.iter().enumerate() {
        let kind = noun(&hop.to);
        let far = match at + 1 == hops.len() {
            true => to.to_owned(),
            false if kind.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {kind}"),
            false => format!("a {kind}"),
        };
        let source = match &hop.source {
            Some(source) => format!("source `{}`", harmless(source)),
            None => "a source that is no longer configured".to_owned(),
        };
        lines.push(format!(
            "  {near} and {far} occurred in one record of {source} on {}",
            hop.day
        ));
        near = format!("that {kind}");
    }
    lines.join(";\n")
}

/// The paths of a cell, as text.
fn paths_text(args: &cli::ExplainCell, answer: &Paths, k: u64) -> String {
    let words = [&args.source, &args.medium, &args.campaign].map(|word| word.as_deref());
    let channel = harmless(&sheet::path([words.to_vec()]));
    let mut out = format!("{}s on {}", args.kind, args.day);
    let parts = [("in store", &args.store), ("in", &args.currency)];
    for (before, part) in parts {
        if let Some(part) = part {
            // Writing into a string cannot fail.
            let _ = write!(out, " {before} {}", harmless(part));
        }
    }
    out = format!("Paths with {channel} to {out}\n\n");
    let [source, medium, campaign] = words.map(Option::unwrap_or_default);
    let channel = Channel::of(source, medium, campaign);
    if channel == Channel::unattributed() {
        out.push_str(
            "these conversions have no touchpoint in their window, or no identifier, and therefore no path\n",
        );
        return out;
    }
    if channel == Channel::oversized() {
        out.push_str("persons with more identifiers than identity.max_identifiers have no paths\n");
        return out;
    }
    if answer.paths.is_empty() && answer.hidden.paths == 0 {
        out.push_str(
            "none: no person with such a conversion had a touchpoint of this channel in the window\n",
        );
        return out;
    }
    if !answer.paths.is_empty() {
        let mut table = Table::new(&[
            ("persons", Align::Right),
            ("conversions", Align::Right),
            ("path", Align::Left),
        ]);
        for path in &answer.paths {
            let steps = path
                .path
                .iter()
                .map(|words| words.iter().map(Option::as_deref).collect());
            table.row([
                thousands(i128::from(path.persons)),
                thousands(i128::from(path.conversions)),
                sheet::path(steps),
            ]);
        }
        let _ = write!(out, "{table}");
    }
    let more = if answer.paths.is_empty() { "" } else { " more" };
    let _ = match answer.hidden.paths {
        0 => Ok(()),
        1 => writeln!(
            out,
            "\n1{more} path is hidden: fewer than {k} persons took it"
        ),
        n => writeln!(
            out,
            "\n{n}{more} paths are hidden: fewer than {k} persons took each"
        ),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(from: &str, to: &str, source: Option<&str>) -> Hop {
        Hop {
            day: "2025-10-03".to_owned(),
            from: from.to_owned(),
            source: source.map(str::to_owned),
            to: to.to_owned(),
        }
    }

    fn link(hops: Option<Vec<Hop>>, known: [bool; 2], hub: [bool; 2]) -> Link {
        Link { hops, hub, known }
    }

    #[test]
    fn a_chain_reads_as_sentences() {
        let hops = vec![
            hop("cookie", "email", Some("web")),
            hop("email", "phone", None),
        ];
        let text = person_text(
            [IdKind::Cookie, IdKind::Phone],
            &link(Some(hops), [true; 2], [false; 2]),
        );
        let expected = "\
The cookie and the phone number belong to one person, through 2 links:

  the cookie and an e-mail address occurred in one record of source `web` on 2025-10-03;
  that e-mail address and the phone number occurred in one record of a source that is no longer configured on 2025-10-03
";
        assert_eq!(text, expected);
    }

    #[test]
    fn why_there_is_no_chain() {
        let emails = [IdKind::Email, IdKind::Email];
        let text = person_text(emails, &link(None, [true, false], [true, false]));
        assert!(text.starts_with("The first e-mail address and the second e-mail address are not"));
        assert!(text.contains("the first e-mail address is a hub"), "{text}");
        assert!(
            text.contains("the second e-mail address is unknown"),
            "{text}"
        );
        let text = person_text(emails, &link(Some(vec![]), [true; 2], [false; 2]));
        assert!(text.contains("are the same identifier"), "{text}");
    }

    fn args(source: &str, medium: Option<&str>) -> cli::ExplainCell {
        cli::ExplainCell {
            config: "tributary.toml".into(),
            brand: None,
            source: Some(source.to_owned()),
            medium: medium.map(str::to_owned),
            campaign: None,
            kind: "transaction".to_owned(),
            store: Some("lyon".to_owned()),
            day: "2025-10-26".to_owned(),
            currency: None,
            exact: true,
            json: false,
        }
    }

    #[test]
    fn paths_with_persons_and_what_is_hidden() {
        let words = |source: &str, medium: Option<&str>| {
            [
                Some(source.into()),
                medium.map(std::convert::Into::into),
                None,
            ]
        };
        let paths = vec![crate::serve::services::reply::Path {
            conversions: 1_204,
            path: vec![words("google", Some("cpc")), words("direct", Some("none"))],
            persons: 1_100,
        }];
        let hidden = crate::serve::services::reply::Hidden { paths: 2 };
        let text = paths_text(&args("google", Some("cpc")), &Paths { hidden, paths }, 50);
        let expected = "\
Paths with google/cpc to transactions on 2025-10-26 in store lyon

persons  conversions  path
───────  ───────────  ────────────────────────
  1,100        1,204  google/cpc → direct/none

2 more paths are hidden: fewer than 50 persons took each
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_path_has_a_reason() {
        let none = Paths {
            hidden: crate::serve::services::reply::Hidden { paths: 0 },
            paths: vec![],
        };
        assert!(paths_text(&args("bing", None), &none, 1).contains("no person with such"));
        let text = paths_text(&args("unattributed", None), &none, 1);
        assert!(text.contains("no touchpoint in their window"), "{text}");
        let text = paths_text(&args("unattributed", Some("oversized")), &none, 1);
        assert!(text.contains("max_identifiers"), "{text}");
    }
}

//! Codes of the file of moves: who lacks the secrets of a brand changes nothing that
//! the file says of it.
//!
//! They are computed over the name and the whole content of the file. A process checks
//! those of its brands ([`codes`]). What a brand has no code for says nothing of it.

use std::path::Path;

use anyhow::bail;
use tributary_config::model::Config;

use super::{Moves, path};
use crate::durability::codes::{self, Verdict};

/// Context of the keys.
const CODE: &str = "tributary 2026-11 code of the moves of one brand";

impl Moves {
    /// This file with the codes of all brands of a configuration, to be saved beside a
    /// ledger.
    ///
    /// # Errors
    ///
    /// A path that is not UTF-8.
    pub fn signed(&self, config: &Config, ledger: &Path) -> anyhow::Result<Moves> {
        Ok(Moves {
            codes: codes::of(config, CODE, &self.content(ledger)?),
            ..self.clone()
        })
    }

    /// Refuses a file that was not written with the secrets of the brands of this
    /// configuration, from the oldest to the newest.
    ///
    /// # Errors
    ///
    /// The file and the brand.
    pub fn verify(&self, config: &Config, ledger: &Path) -> anyhow::Result<()> {
        let content = self.content(ledger)?;
        for brand in &config.brands {
            let name = &brand.name;
            let is_known = match codes::verify(&self.codes, brand, CODE, &content) {
                Verdict::Missing => {
                    !self.arrived.contains_key(name) && !self.left.contains_key(name)
                }
                verdict => verdict == Verdict::Right,
            };
            if !is_known {
                bail!(
                    "{} is not what was written with the secrets of {name}: it was changed, or is that of another process; \
                     restore it from the copy that was made with the ledger",
                    path(ledger).display()
                );
            }
        }
        Ok(())
    }

    /// This file with the codes of the brands of a configuration computed anew, under
    /// their newest secrets, so that older ones may be retired; `None` if they are.
    ///
    /// # Errors
    ///
    /// A path that is not UTF-8.
    pub fn renewed(&self, config: &Config, ledger: &Path) -> anyhow::Result<Option<Moves>> {
        let own = codes::of(config, CODE, &self.content(ledger)?);
        let is_newest = |(brand, code): (&String, &String)| {
            self.codes.get(brand).is_none_or(|before| before == code)
        };
        if own.iter().all(is_newest) {
            return Ok(None);
        }
        let mut renewed = self.clone();
        let known = own
            .into_iter()
            .filter(|(brand, _)| self.codes.contains_key(brand));
        renewed.codes.extend(known);
        Ok(Some(renewed))
    }

    /// What the codes are computed over.
    fn content(&self, ledger: &Path) -> anyhow::Result<Vec<u8>> {
        let file = path(ledger);
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let said = Moves {
            codes: Default::default(),
            ..self.clone()
        };
        let mut content = name.into_owned().into_bytes();
        content.push(0);
        content.extend(serde_json::to_vec(&said)?);
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;
    use crate::durability::moves::{Arrived, Left, Reshard};

    /// The configuration of some brands, each with a secret of this letter.
    fn config(brands: &[(&str, char)]) -> Config {
        let text: String = brands
            .iter()
            .map(|(name, letter)| {
                format!(
                    "[[brand]]\nname = {name:?}\ntimezone = \"UTC\"\nsecret_env = \"{letter}\"\n"
                )
            })
            .collect();
        // Settings are looked for in the environment as well.
        let environment =
            |name: &str| (name.len() == 1).then(|| format!("{name} {}", tributary_testkit::SECRET));
        let loaded = tributary_config::parse_in(&text, Path::new("tributary.toml"), &environment);
        loaded
            .unwrap_or_else(|problems| panic!("{problems}"))
            .config
    }

    /// A file that says something of two brands.
    fn moves() -> Moves {
        let mut moves = Moves::default();
        let from = vec!["0".repeat(32)];
        moves.arrived.insert("acme".to_owned(), Arrived { from });
        let left = Left {
            to: "/data/process-north-0".into(),
            ledger: "1".repeat(32),
            at: "2026-11-20T09:00:00Z".to_owned(),
            is_complete: true,
        };
        moves.left.insert("bolt".to_owned(), left);
        moves
    }

    #[test]
    fn what_was_changed_is_refused_by_name() {
        let ledger = Path::new("/data/process-0");
        let both = config(&[("acme", 'a'), ("bolt", 'b')]);
        let signed = moves().signed(&both, ledger).unwrap();
        signed.verify(&both, ledger).unwrap();
        // Each process checks what it can, and a brand of which nothing is said needs no code.
        signed.verify(&config(&[("acme", 'a')]), ledger).unwrap();
        let other = config(&[("acme", 'a'), ("zeta", 'z')]);
        signed.verify(&other, ledger).unwrap();
        Moves::default().verify(&both, ledger).unwrap();

        let refused = |moves: &Moves, config: &Config| {
            let error = moves.verify(config, ledger).unwrap_err().to_string();
            assert!(error.contains("/data/moves-0.json is not what"), "{error}");
        };
        refused(&moves(), &both);
        refused(&signed, &config(&[("acme", 'x')]));
        let changes: [fn(&mut Moves); 6] = [
            |moves| moves.left.clear(),
            |moves| moves.arrived.clear(),
            |moves| moves.arrived.get_mut("acme").unwrap().from.clear(),
            |moves| moves.left.get_mut("bolt").unwrap().is_complete = false,
            |moves| moves.reshard = Some(Reshard { from: 1, to: 2 }),
            |moves| drop(moves.codes.remove("bolt")),
        ];
        for change in changes {
            let mut changed = signed.clone();
            change(&mut changed);
            refused(&changed, &both);
        }
        // The file of another process.
        let error = signed.verify(&both, Path::new("/data/process-1"));
        assert!(error.unwrap_err().to_string().contains("moves-1.json"));
    }

    #[test]
    fn an_exchange_of_the_secret_changes_nothing() {
        let ledger = Path::new("/data/process-0");
        let before = config(&[("acme", 'a')]);
        let mut moves = moves();
        moves.left.clear();
        let signed = moves.signed(&before, ledger).unwrap();
        let mut after = config(&[("acme", 'b')]);
        assert!(signed.verify(&after, ledger).is_err());
        let older = before.brands.into_iter().map(|brand| brand.secret);
        after.brands[0].previous_secrets = older.collect();
        signed.verify(&after, ledger).unwrap();
        // With the first start under it, the older one is no longer needed.
        let renewed = signed.renewed(&after, ledger).unwrap().unwrap();
        after.brands[0].previous_secrets.clear();
        renewed.verify(&after, ledger).unwrap();
        assert_eq!(renewed.renewed(&after, ledger).unwrap(), None);
        assert_eq!(Moves::default().renewed(&after, ledger).unwrap(), None);
        // What the process of another brand says stays as it is.
        let other = config(&[("zeta", 'z')]);
        assert_eq!(renewed.renewed(&other, ledger).unwrap(), None);
    }
}

//! The identifiers of a data subject that a request or an operator's query
//! names directly, outside of any record.
//!
//! A record carries only the identifiers that its source and the brand's rules
//! produce. A request names a bare value, so this module derives every
//! identifier under which any source of the brand may have recorded that value.

use std::collections::BTreeSet;

use tributary_config::model::{Brand, HashRule};
use tributary_operators::record::{IdKind, Identifier, Pseudonym};

use crate::brand::sources;
use crate::keys::{BrandKey, IdentifierRules, Region, Scratch};
use crate::native::mac;

/// All identifiers of a value: under every rule that the brand enables, and for
/// a phone number in every region in which one of the brand's sources reads
/// numbers. Sorted and distinct, under the newest secret; empty if the value
/// identifies no one.
///
/// A phone number without a country code may belong to two persons, each in a
/// region of its own. Both are then included, because neither's records tell
/// who asks.
/// ```
/// # use std::path::Path;
/// use tributary_connectors::keys::BrandKey;
/// use tributary_connectors::subject_identifiers::identifiers;
/// use tributary_operators::record::IdKind;
/// # let folder = tempfile::tempdir()?;
/// # let secret = folder.path().join("acme.secret");
/// # std::fs::write(&secret, "224ff3c627f30dd0f8e3fdb63bf28aa6")?;
/// # std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// # let text = format!("[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n");
/// # let config = tributary_config::parse(&text, Path::new("tributary.toml"))?.config;
/// # let brand = &config.brands[0];
/// let key = BrandKey::new(brand);
/// let found = identifiers(brand, &key, IdKind::Email, "jane@example.org");
/// assert_eq!(found, key.identify(IdKind::Email, "JANE@example.org"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn identifiers(brand: &Brand, key: &BrandKey, kind: IdKind, value: &str) -> Vec<Identifier> {
    let mut ids = Vec::new();
    let others = brand.identity.rules.iter().copied();
    let others = others.filter(|rule| *rule != HashRule::Plain);
    let regions = match kind {
        IdKind::Phone => regions(brand, key),
        _ => BTreeSet::from([key.default_rules().region]),
    };
    for rule in [HashRule::Plain].into_iter().chain(others) {
        for &region in &regions {
            let reading = IdentifierRules { region, rule };
            key.identifiers(kind, value, reading, &mut Scratch::default(), &mut ids);
        }
    }
    ids = key.rekey_to_newest(&ids);
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The regions in which the sources of a brand read phone numbers.
fn regions(brand: &Brand, key: &BrandKey) -> BTreeSet<Region> {
    sources(brand)
        .map(|source| key.rules_of(&source).region)
        .collect()
}

/// The identifier of first name, last name and postcode together, under the
/// newest secret; empty if one of them is empty or blocked.
pub fn name_postcode(key: &BrandKey, parts: [&str; 3]) -> Vec<Identifier> {
    let mut ids = Vec::new();
    key.name_postcode(parts, &mut Scratch::default(), &mut ids);
    key.rekey_to_newest(&ids)
}

/// The keyed hashes under which sensors may have reported a device: those of
/// its MAC, if the value is one, and that of a value that the sensor had hashed
/// itself.
pub fn devices(key: &BrandKey, value: &str) -> Vec<Pseudonym> {
    let mac = mac::parse(value);
    let macs = mac.map(|mac| [key.mac(mac), key.associated_mac(mac)]);
    let macs = macs.into_iter().flatten();
    macs.chain([key.sensor_device(value)]).collect()
}

#[cfg(test)]
mod tests {
    use tributary_config::model::{Kind, Source};

    use super::*;
    use crate::fixture;

    /// A brand of region FR with a source that reads numbers in another region.
    fn brand(region: &str) -> Brand {
        let mut brand = fixture::brand("acme");
        let implicit = sources(&brand).find(|source| source.kind == Kind::Transaction);
        brand.phone_region = Some("FR".to_owned());
        brand.sources = vec![Source {
            name: "till".to_owned(),
            phone_region: Some(region.to_owned()),
            ..implicit.unwrap()
        }];
        brand
    }

    fn phone(brand: &Brand, value: &str) -> Vec<Identifier> {
        identifiers(brand, &BrandKey::new(brand), IdKind::Phone, value)
    }

    #[test]
    fn a_number_is_read_in_every_region_of_the_brand() {
        let brand = brand("BE");
        let found = phone(&brand, "0470 12 34 56");
        let mut both = phone(&brand, "+32470123456");
        both.extend(phone(&brand, "+33470123456"));
        both.sort_unstable();
        assert_eq!(found, both);
        assert_eq!(found.len(), 2);
        // With its country code it is one number, whatever the regions.
        assert_eq!(phone(&brand, "+32 470 12 34 56").len(), 1);
        assert_ne!(
            phone(&brand, "+43 664 804732"),
            phone(&brand, "+43 1 664804732")
        );
    }

    #[test]
    fn what_each_source_makes_of_a_number_is_found() {
        for region in ["BE", "US", "GB", "FR", "RU", "NO"] {
            let brand = brand(region);
            let key = BrandKey::new(&brand);
            for text in [
                "0470 12 34 56",
                "8 800 555 35 35",
                "47 83 30 49",
                "650 253 0000",
            ] {
                let named = phone(&brand, text);
                for source in sources(&brand) {
                    let mut held = Vec::new();
                    let reading = key.rules_of(&source);
                    key.identifiers(
                        IdKind::Phone,
                        text,
                        reading,
                        &mut Scratch::default(),
                        &mut held,
                    );
                    for id in key.rekey_to_newest(&held) {
                        assert!(named.contains(&id), "{region} {text}");
                    }
                }
            }
        }
    }

    /// What a vendor hashed with the suffix and what another hashed without it
    /// are both found by the clear address.
    #[test]
    fn an_address_names_both_of_its_google_hashes() {
        let mut brand = brand("BE");
        brand.identity.rules = vec![HashRule::Plain, HashRule::Google];
        let key = BrandKey::new(&brand);
        let email = |value: &str| identifiers(&brand, &key, IdKind::Email, value);
        let named = email("Jane.Doe+shop@gmail.com");
        assert_eq!(named.len(), 3);
        assert!(named.iter().all(|id| id.value == named[0].value));
        assert_eq!(email("jane.doe@gmail.com").len(), 2);
        for hashed in [
            // SHA-256 of janedoe+shop@gmail.com and of janedoe@gmail.com.
            "3037d7b4a791c60878b60f6a2c1c3d5acef0746e4dc143c0f1ee8a3f2e94d546",
            "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69",
        ] {
            let hashed = email(hashed);
            assert!(
                hashed
                    .iter()
                    .any(|id| named.iter().any(|n| n.pseudonym == id.pseudonym)),
                "{hashed:?}"
            );
        }
    }
}

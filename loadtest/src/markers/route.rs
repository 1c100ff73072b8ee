//! Where markers go, and whether their numbers would be published at all.

use tributary_config::model::{Brand, Config, Format, Kind, TimeUnit};

/// Where markers go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The brand whose cells they become.
    pub brand: String,
    /// The subject of a source of web records.
    pub subject: String,
}

/// Why a configuration does not let markers be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// There is no such brand.
    #[error("the configuration has no brand {0:?}")]
    NoBrand(String),
    /// Cells of one contributor are hidden.
    #[error(
        "brand {brand:?} publishes no cell of fewer than {k} contributors, and each marker is one: measure with a \
         configuration that has `release.k = 1`, as `loadtest generate --config-out` writes it"
    )]
    Gate {
        /// The brand.
        brand: String,
        /// Its threshold.
        k: u64,
    },
    /// Values carry noise.
    #[error(
        "brand {0:?} has noise, which is published once every `release.max_hold`: leave out `[brand.noise]`"
    )]
    Noise(String),
    /// No source takes a click without consent.
    #[error(
        "brand {0:?} has no source of native web records that rests on another basis than consent, integer times in \
         milliseconds included, and markers are such records: add one with `basis = \"legitimate_interest\"`"
    )]
    NoSource(String),
}

impl Route {
    /// The route of markers of a brand; of the first one without a name.
    ///
    /// # Errors
    ///
    /// [`MarkerError`] if their numbers would not be published, or not soon.
    pub fn of(config: &Config, brand: Option<&str>) -> Result<Route, MarkerError> {
        let named = |of: &&Brand| brand.is_none_or(|name| of.name == name);
        let missing = || MarkerError::NoBrand(brand.unwrap_or("(any)").to_owned());
        let of = config.brands.iter().find(named).ok_or_else(missing)?;
        let k = of.release.k.unwrap_or(config.release.k);
        let name = of.name.clone();
        if k > 1 {
            return Err(MarkerError::Gate { brand: name, k });
        }
        if of.noise.epsilon_thousandths.is_some() {
            return Err(MarkerError::Noise(name));
        }
        let web: Vec<_> = of
            .sources
            .iter()
            .filter(|source| source.kind == Kind::Web)
            .collect();
        let fits = web.iter().find(|source| {
            matches!(source.format, Format::Native)
                && !of.rests_on_consent(source)
                && source.unit == TimeUnit::Milliseconds
        });
        let source = fits.ok_or_else(|| MarkerError::NoSource(name.clone()))?;
        let subject = match web.len() {
            1 => format!("tributary.in.{name}.web"),
            _ => format!("tributary.in.{name}.web.{}", source.name),
        };
        Ok(Route {
            brand: name,
            subject,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        tributary_testkit::write_secret(&secret, tributary_testkit::SECRET);
        let text = format!(
            "[release]\nk = 1\n[[brand]]\nname = \"acme\"\ntimezone = \"UTC\"\nsecret_file = {secret:?}\n{more}"
        );
        let loaded = tributary_config::parse(&text, std::path::Path::new("tributary.toml"));
        loaded.unwrap_or_else(|error| panic!("{error}")).config
    }

    #[test]
    fn a_gate_that_would_hide_markers_is_named_with_the_remedy() {
        let route = Route::of(
            &config("[[brand.source]]\nname = \"web\"\nkind = \"web\"\n"),
            None,
        )
        .unwrap();
        assert_eq!(route.subject, "tributary.in.acme.web");
        let hidden = Route::of(&config("[brand.release]\nk = 5\n"), Some("acme")).unwrap_err();
        assert!(
            hidden.to_string().contains("fewer than 5 contributors"),
            "{hidden}"
        );
        assert!(hidden.to_string().contains("release.k = 1"), "{hidden}");
        let consent = config(
            "[brand.consent]\nvendor = 7\n[[brand.source]]\nname = \"tags\"\nkind = \"web\"\n\
             [[brand.source]]\nname = \"server\"\nkind = \"web\"\nbasis = \"legitimate_interest\"\n",
        );
        assert_eq!(
            Route::of(&consent, None).unwrap().subject,
            "tributary.in.acme.web.server"
        );
        let nobody = Route::of(&config(""), Some("other")).unwrap_err();
        assert_eq!(nobody, MarkerError::NoBrand("other".to_owned()));
    }
}

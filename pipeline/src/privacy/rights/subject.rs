//! The data subject of a request: the brand's identifiers that the request
//! names.
//!
//! Clear-text values are keyed here, in every form in which a record of the
//! brand may contain them. Only pseudonyms continue to the dataflow and the
//! ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use tributary_connectors::brand;
use tributary_connectors::subject_identifiers;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::record::{IdKind, Identifier as Id, Pseudonym};
use tributary_rights::request::Identifier;

use super::job::Job;
use super::task::Rights;
use crate::epochs::queries::WorkerStopped;
use tributary_rights::Reason;

/// The pseudonyms of one data subject.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Identifiers, ascending by pseudonym.
    pub ids: Vec<Id>,
    /// Pseudonyms under which sensors may have reported the person's devices.
    pub devices: Vec<Pseudonym>,
}

impl Person {
    /// Pseudonyms of the identifiers, in the form that queries take.
    pub fn pseudonyms(&self) -> Arc<[Pseudonym]> {
        self.ids.iter().map(|id| id.pseudonym).collect()
    }
}

impl Rights {
    /// Determines the data subject of each job. A job without any identifier is
    /// rejected.
    ///
    /// A request for the whole person also covers the identifiers that the identity
    /// graph links to the named ones.
    ///
    /// # Errors
    ///
    /// [`WorkerStopped`].
    pub(super) async fn resolve(&self, jobs: &mut [Job]) -> anyhow::Result<Vec<Person>> {
        let named = jobs.iter_mut().map(|job| {
            let person = self.named(job);
            if person.ids.is_empty() && person.devices.is_empty() {
                let detail = "none of `identifiers` identifies anybody: each is empty, blocked as a placeholder, \
                              or, as a phone number, without the country code and the brand without `phone_region`";
                job.reject(Reason::BadIdentifier, detail);
            }
            (person, job.request.whole_person, job.brand)
        });
        let whole = named.map(|(mut person, whole, brand)| async move {
            if !whole || person.ids.is_empty() {
                return Ok(person);
            }
            let question = Question::Members {
                brand,
                naming: person.pseudonyms(),
                persons: Arc::new([]),
            };
            let members = self.queries.submit(question).await.ok_or(WorkerStopped)?;
            let mut all: BTreeMap<Pseudonym, Id> =
                person.ids.iter().map(|id| (id.pseudonym, *id)).collect();
            for member in members {
                if let Reply::Member(pseudonym, kind, _) = member {
                    all.entry(pseudonym).or_insert(Id {
                        pseudonym,
                        value: pseudonym,
                        kind,
                    });
                }
            }
            person.ids = all.into_values().collect();
            Ok::<_, anyhow::Error>(person)
        });
        try_join_all(whole).await
    }

    /// The identifiers that a request names, without those linked to them.
    fn named(&self, job: &Job) -> Person {
        let brand = brand::find_brand(&self.config, job.brand);
        let (Some(brand_log), Some(brand)) = (self.brand_logs.get(&job.brand), brand) else {
            return Person::default();
        };
        let mut person = Person::default();
        for identifier in &job.request.identifiers {
            match identifier {
                Identifier::One { kind, value } => {
                    let ids = subject_identifiers::identifiers(
                        brand,
                        &brand_log.key,
                        *kind,
                        value.expose(),
                    );
                    person.ids.extend(ids);
                    if *kind == IdKind::Device {
                        person
                            .devices
                            .extend(subject_identifiers::devices(&brand_log.key, value.expose()));
                    }
                }
                Identifier::NamePostcode([first, last, postcode]) => {
                    let parts = [first.expose(), last.expose(), postcode.expose()];
                    person
                        .ids
                        .extend(subject_identifiers::name_postcode(&brand_log.key, parts));
                }
            }
        }
        person.ids.sort_unstable();
        person.ids.dedup();
        person
    }
}

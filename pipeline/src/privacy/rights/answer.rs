//! Access and portability (GDPR, Articles 15 and 20): the records of a person,
//! for that person alone.
//!
//! The answer is JSON: each record with its source, its content, the purposes
//! of its use, its retention, and its recipients (none: only aggregates leave
//! the process). It is sealed for the one-time key of the request before it
//! leaves the process, and stays for a day on a subject that only the owner of
//! the key can name.

use std::sync::Arc;
use tributary_operators::allowed_uses::Use;

use anyhow::Context;
use async_nats::HeaderMap;
use async_nats::jetstream;
use futures::future::try_join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tributary_connectors::brand;
use tributary_connectors::nats::subject as subjects;
use tributary_operators::ask::{Question, Reply};
use tributary_operators::record::{Body, Record, RefundAmount, SightingCookie};
use tributary_rights::Hash;
use tributary_rights::request::RequestBody;
use tributary_rights::sealed::ReplyKey;

use super::job::Job;
use super::subject::Person;
use super::task::Rights;
use crate::epochs::queries::WorkerStopped;
use crate::privacy::retention::{self, Retention};

/// Time to live of an answer at the broker, in the notation of `Nats-TTL`.
const KEPT: &str = "24h";

impl Rights {
    /// Answers all requests for access and portability, concurrently. A request
    /// that matches no record has an answer without records, so that its status
    /// does not tell whether the person is known.
    ///
    /// # Errors
    ///
    /// Those of `answer_one`. The requests are then still in the stream and are
    /// answered again.
    pub(super) async fn answer(
        &mut self,
        jobs: &mut [Job],
        persons: &[Person],
    ) -> anyhow::Result<()> {
        let rights = &*self;
        let answers = jobs.iter().zip(persons).map(|(job, person)| async move {
            match &job.request.asked {
                RequestBody::Access(key) | RequestBody::Portability(key)
                    if job.rejected.is_none() =>
                {
                    rights.answer_one(job, person, key).await
                }
                _ => Ok(None),
            }
        });
        let answers = try_join_all(answers).await?;
        for (job, answer) in jobs.iter_mut().zip(answers) {
            if let Some((records, answer)) = answer {
                job.counts.records = records;
                job.answer = Some(answer);
            }
        }
        Ok(())
    }

    /// Publishes the sealed answer of one request, and returns the number of its
    /// records and the SHA-256 of what was published; `None` without the brand.
    ///
    /// # Errors
    ///
    /// A stopped worker, a key that cannot be sealed for, or a broker that does not
    /// store the answer.
    async fn answer_one(
        &self,
        job: &Job,
        person: &Person,
        key: &ReplyKey,
    ) -> anyhow::Result<Option<(u64, Hash)>> {
        let brand = brand::find_brand(&self.config, job.brand);
        let (Some(brand_log), Some(brand)) = (self.brand_logs.get(&job.brand), brand) else {
            return Ok(None);
        };
        let question = Question::Records {
            brand: job.brand,
            naming: person.pseudonyms(),
        };
        let replies = self.queries.submit(question).await.ok_or(WorkerStopped)?;
        let named = replies.into_iter().filter_map(|reply| match reply {
            Reply::NamedRecord(key, record, words) => Some((record.ts, key, record, words)),
            _ => None,
        });
        // In the order of what happened.
        let mut named: Vec<_> = named.collect();
        named.sort_unstable_by_key(|(ts, key, ..)| (*ts, *key));
        named.dedup_by_key(|(_, key, ..)| *key);
        let retention = Retention::of(brand);
        let records = named.iter();
        let records: Vec<Value> = records
            .map(|(_, _, record, words)| tell(record, words, &retention))
            .collect();
        let count = records.len() as u64;
        let answer = json!({
            "brand": brand_log.name,
            "request": job.request.id.expose(),
            "type": job.request.asked.right().name(),
            "recipients": [],
            "records": records,
        });
        let answer = zeroize::Zeroizing::new(padded(serde_json::to_vec(&answer)?));
        let sealed = key.seal(&answer).context("the answer cannot be sealed")?;
        let hash = Hash::sha256(&sealed);
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", KEPT);
        let subject = subjects::rights_answer(&brand_log.name, key.as_bytes());
        jetstream::new(self.client.clone())
            .publish_with_headers(subject, headers, sealed.into())
            .await
            .context("telling the answer")?
            .await
            .context("telling the answer")?;
        Ok(Some((count, hash)))
    }
}

/// Shortest answer in bytes, padding included: that of a person of whom nothing or
/// little is stored.
const SHORTEST: usize = 4_096;

/// An answer with spaces at its end, so that the length of what is sealed does not
/// tell whether a person is known, nor how much they have bought: above
/// [`SHORTEST`], at most 12 percent longer, and of few possible lengths (Padmé; Nikitin et al., *Reducing Metadata Leakage from
/// Encrypted Files and Communication with PURBs*, PoPETs 2019).
fn padded(mut answer: Vec<u8>) -> Vec<u8> {
    answer.resize(padme(answer.len()).max(SHORTEST), b' ');
    answer
}

/// The next length of Padmé.
fn padme(length: usize) -> usize {
    let Some(exponent) = length.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return length;
    };
    let zeros = exponent - (exponent.ilog2() + 1);
    let mask = (1_usize << zeros) - 1;
    length.saturating_add(mask) & !mask
}

/// A record in the form in which its person reads it. `words` are the names of
/// its labels in the order of the fields, `None` for a name that is no longer
/// known.
fn tell(record: &Record, words: &[Option<Arc<str>>], retention: &Retention) -> Value {
    let mut words = words
        .iter()
        .cloned()
        .map(|word| word.map(|word| word.to_string()));
    let mut word = || words.next().flatten();
    let source = word();
    let money = |amount: i64, currency: &str| json!({"minor_units": amount, "currency": currency});
    let said = match &record.body {
        Body::Contact { kind, touch, .. } => json!({
            "kind": format!("{kind:?}").to_lowercase(),
            "source": word(), "medium": word(), "campaign": word(),
            "touch": touch,
        }),
        Body::Identify => json!({"kind": "identify"}),
        Body::Sale {
            kind,
            amount,
            currency,
            ..
        } => {
            json!({"kind": kind.name(), "store": word(), "amount": money(*amount, currency.as_str())})
        }
        Body::Refund { kind, amount, .. } | Body::Restatement { kind, amount, .. } => json!({
            "kind": match record.body {
                Body::Restatement { .. } => "restatement",
                _ => "refund",
            },
            "of": kind.name(), "store": word(),
            "amount": match *amount {
                RefundAmount::All => Value::Null,
                RefundAmount::Of(minor, currency) => money(minor, currency.as_str()),
                RefundAmount::InCurrencyOfSale { digits, decimals } => json!({
                    "digits": digits, "decimals": decimals, "currency": null,
                }),
            },
        }),
        Body::Adjustment {
            kind,
            amount,
            currency,
            ..
        } => json!({
            "kind": "adjustment", "of": kind.name(), "store": word(),
            "amount": money(*amount, currency.as_str()),
        }),
        Body::Wallet {
            kind,
            platform,
            holder,
            ..
        } => json!({
            "kind": "wallet", "type": kind.name(), "platform": platform.name(),
            "store": word(), "source": word(), "medium": word(), "campaign": word(),
            "names_a_device": *holder != 0,
        }),
        Body::Sighting { until, cookie, .. } => json!({
            "kind": "partner", "type": "sighting", "store": word(),
            "until": Timestamp::from_millisecond(*until).ok().map(|at| at.to_string()),
            "has_cookie": *cookie != SightingCookie::None,
        }),
        Body::Exposure { kind, .. } => json!({
            "kind": "partner", "type": "exposure", "touch": format!("{kind:?}").to_lowercase(),
            "source": word(), "medium": word(), "campaign": word(),
        }),
        Body::PartnerLink => json!({"kind": "partner", "type": "link"}),
        Body::SettledVisit { until, weight, .. } => json!({
            "kind": "partner", "type": "settled_visit", "store": word(),
            "until": Timestamp::from_millisecond(*until).ok().map(|at| at.to_string()),
            "weight_millionths": weight,
        }),
        Body::PanelMember { .. } => json!({"kind": "partner", "type": "panel_member"}),
        Body::Consent {
            steps,
            string,
            boxes,
        } => json!({
            "kind": "consent",
            "string_updated": string.and_then(|string| {
                let day = Timestamp::from_second(i64::from(string.updated) * 86_400);
                day.map(|day| day.strftime("%F").to_string()).ok()
            }),
            "allowed": Use::ALL.into_iter().filter(|step| steps.allows(*step)).map(Use::name).collect::<Vec<_>>(),
            "boxes": boxes.iter().flat_map(|boxes| boxes.iter()).map(|of| json!({
                "box": word(), "answer": of.answer.name(), "notice": word(), "notice_version": word(),
                "language": word(), "wording": word(),
            })).collect::<Vec<_>>(),
        }),
        Body::Right { right, stands } => {
            json!({"kind": "right", "right": right.name(), "stands": stands})
        }
        Body::Spend { .. } => json!({"kind": "spend"}),
    };
    let identifiers: Vec<&str> = record.ids.ids().iter().map(|id| id.kind.name()).collect();
    json!({
        "source": source,
        "id": &*record.id,
        "time": Timestamp::from_millisecond(record.ts).map(|ts| ts.to_string()).ok(),
        "identified_by": identifiers,
        "says": said,
        "purposes": retention::purposes(&record.body),
        "kept_until": retention.until(record),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_few_and_little_longer() {
        assert_eq!([1, 2, 8, 9].map(padme), [1, 2, 8, 10]);
        let mut lengths = std::collections::BTreeSet::new();
        for length in 1..100_000 {
            let padded = padme(length);
            assert!(
                padded >= length && padded * 100 <= length * 112 + 100,
                "{length}"
            );
            assert_eq!(padme(padded), padded);
            lengths.insert(padded);
        }
        assert!(lengths.len() < 300, "{} lengths", lengths.len());
        assert_eq!(padded(vec![b'x'; 10_000]).len(), padme(10_000));
        assert_eq!(
            [2, 4_000].map(|length| padded(vec![b'x'; length]).len()),
            [SHORTEST; 2]
        );
    }
}

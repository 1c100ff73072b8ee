//! Which messages are a process's own, and the partitions of the input stream.
//!
//! Every message of the stream belongs to exactly one process of the cluster,
//! whichever process restarts: by its sequence, or by its partition if it has
//! one. A rule that depends on the message alone allows each process to keep a
//! position of its own.
//!
//! By sequence, every process reads the whole stream and omits most of it. With
//! `nats.partitions` the *server* partitions: what is published to
//! `tributary.in.<brand>.<kind>.<source>.<key>` is stored under
//! `tributary.in.<brand>.<kind>.<source>.<partition>`, where the partition is
//! the key's hash, a number from 0 (NATS subject mapping, `partition(n,
//! token)`). The key may be anything that a subject token may be and that is no
//! personal data, such as a till, a store or a shard. Messages of one key keep
//! their order. A process requests its own partitions only. Subjects without a
//! key are stored unchanged, read by every process, and shared by sequence.
//!
//! A shard reads the subjects of its brands only, and the server filters for it as
//! well. What names no brand of the configuration is nobody's: the first shard
//! reads it, so that it becomes dead letters, and therefore has the server send
//! everything.

use async_nats::jetstream::stream::{Info, SubjectTransform};

use tributary_config::model::Config;

use super::error::{NatsError, NatsErrorKind};

/// The subjects that the server maps to partitions.
const SOURCE: &str = "tributary.in.*.*.*.*";
/// The subjects outside of every partition: those with another number of
/// tokens.
const OTHERS: [&str; 4] = [
    "tributary.in.*",
    "tributary.in.*.*",
    "tributary.in.*.*.*",
    "tributary.in.*.*.*.*.>",
];

/// Whose messages a process reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Brands {
    /// Those of all brands, and of none: there are no shards.
    #[default]
    All,
    /// Those of these brands.
    Only(Vec<String>),
    /// All but those of these brands: the first shard.
    AllBut(Vec<String>),
}

impl Brands {
    /// Those of the process of a configuration.
    pub fn of(config: &Config) -> Brands {
        let own = || config.brands.iter().map(|brand| brand.name.clone());
        let others = || config.others.iter().map(|brand| brand.name.clone());
        match (config.others.is_empty(), config.is_first_shard()) {
            (true, _) => Brands::All,
            (false, true) => Brands::AllBut(others().collect()),
            (false, false) => Brands::Only(own().collect()),
        }
    }

    /// Whether a subject is of one of them.
    fn take(&self, subject: &str) -> bool {
        let is_of = |brands: &[String]| {
            let brand = subject.split('.').nth(2);
            brand.is_some_and(|brand| brands.iter().any(|one| one == brand))
        };
        match self {
            Brands::All => true,
            Brands::Only(own) => is_of(own),
            Brands::AllBut(others) => !is_of(others),
        }
    }
}

/// The part of the stream that belongs to one process.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// The index of the process.
    process: u64,
    /// The number of processes, at least 1.
    processes: u64,
    /// The number of partitions; 0 for none.
    partitions: u32,
    /// The brands.
    brands: Brands,
}

impl Share {
    /// The share of one process; 0 processes count as 1.
    pub(super) fn new(process: usize, processes: usize, partitions: u32, brands: Brands) -> Share {
        Share {
            process: process as u64,
            processes: processes.max(1) as u64,
            partitions,
            brands,
        }
    }

    /// Whether the server filters for this process, so that sequences without a
    /// message are normal.
    pub(super) fn is_filtered(&self) -> bool {
        self.is_sorted() || matches!(self.brands, Brands::Only(_))
    }

    /// Whether the server filters by partition.
    pub(super) fn is_sorted(&self) -> bool {
        self.processes > 1 && self.partitions > 0
    }

    /// The subjects to request from the server; empty for all.
    pub(super) fn filters(&self) -> Vec<String> {
        let of_brand = |brand: &str| -> Vec<String> {
            if !self.is_sorted() {
                let subject = format!("tributary.in.{brand}");
                return vec![format!("{subject}.>"), subject];
            }
            let own = (0..self.partitions)
                .filter(|partition| self.is_own(u64::from(*partition)))
                .map(|partition| format!("tributary.in.*.*.*.{partition}"));
            let all = own.chain(OTHERS.map(str::to_owned));
            all.map(|filter| filter.replacen('*', brand, 1)).collect()
        };
        match &self.brands {
            Brands::Only(own) => own.iter().flat_map(|brand| of_brand(brand)).collect(),
            Brands::All | Brands::AllBut(_) if self.is_sorted() => of_brand("*"),
            Brands::All | Brands::AllBut(_) => Vec::new(),
        }
    }

    /// Whether a message belongs to this process.
    pub(super) fn takes(&self, subject: &str, sequence: u64) -> bool {
        let is_of_process = || match self.partition(subject) {
            Some(partition) => self.is_own(u64::from(partition)),
            None => self.is_own(sequence),
        };
        self.brands.take(subject) && (self.processes == 1 || is_of_process())
    }

    /// The partition that a subject names; `None` if it names none.
    pub(super) fn partition(&self, subject: &str) -> Option<u32> {
        if self.partitions == 0 || subject.split('.').count() != 6 {
            return None;
        }
        let partition = subject.rsplit('.').next()?.parse().ok()?;
        (partition < self.partitions).then_some(partition)
    }

    /// Whether the process with this remainder is this one.
    fn is_own(&self, number: u64) -> bool {
        number % self.processes == self.process
    }
}

/// The subject transform that partitions a stream; `None` without partitions.
pub(super) fn transform(partitions: u32) -> Option<SubjectTransform> {
    (partitions > 0).then(|| SubjectTransform {
        source: SOURCE.to_owned(),
        destination: format!(
            "tributary.in.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{wildcard(3)}}}}.{{{{partition({partitions},4)}}}}"
        ),
    })
}

/// Checks whether a stream is partitioned as the configuration says. White
/// space and case of the transform do not matter.
///
/// # Errors
/// [`NatsErrorKind::Stream`] names both transforms.
pub(super) fn judge(info: &Info, partitions: u32) -> Result<(), NatsError> {
    let wanted = transform(partitions);
    let plain = |transform: &SubjectTransform| {
        let text = format!("{} {}", transform.source, transform.destination);
        text.to_lowercase()
            .replace(", ", ",")
            .replace("{{ ", "{{")
            .replace(" }}", "}}")
    };
    let found = info.config.subject_transform.as_ref();
    let found = found.filter(|found| partitions > 0 || plain(found).contains("partition("));
    if found.map(plain) == wanted.as_ref().map(plain) {
        return Ok(());
    }
    let shown = |transform: Option<&SubjectTransform>| match transform {
        Some(transform) => format!("{} -> {}", transform.source, transform.destination),
        None => "none".to_owned(),
    };
    Err(NatsError::new(
        NatsErrorKind::Stream,
        format!(
            "stream {} has the subject transform {}, but nats.partitions = {partitions} needs {}; change one of them",
            info.config.name,
            shown(found),
            shown(wanted.as_ref())
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::subject::covers;
    use super::*;

    #[test]
    fn every_message_has_one_process() {
        let subjects = [
            "tributary.in.acme.web",
            "tributary.in.acme.web.shop",
            "tributary.in.acme.web.shop.0",
            "tributary.in.acme.web.shop.6",
            "tributary.in.acme.web.shop.7",
            "tributary.in.acme.web.shop.till",
            "tributary.in.acme.web.shop.1.2",
        ];
        for partitions in [0, 7] {
            let share = |process| Share::new(process, 3, partitions, Brands::All);
            let shares: Vec<Share> = (0..3).map(share).collect();
            for subject in subjects {
                for sequence in 1..10 {
                    let takers = shares.iter().filter(|s| s.takes(subject, sequence));
                    assert_eq!(takers.count(), 1, "{subject} {sequence}");
                }
            }
            let filters: Vec<usize> = shares.iter().map(|share| share.filters().len()).collect();
            assert_eq!(filters, [[0; 3], [7, 6, 6]][usize::from(partitions > 0)]);
        }
        assert!(Share::new(0, 1, 7, Brands::All).takes("tributary.in.acme.web.shop.3", 5));
    }

    #[test]
    fn every_message_has_one_shard() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let shards = [
            Brands::AllBut(names(&["beta", "gamma"])),
            Brands::Only(names(&["beta"])),
            Brands::Only(names(&["gamma"])),
        ];
        for partitions in [0, 7] {
            for processes in [1, 3] {
                let process = |process| {
                    let shards = shards.iter().cloned();
                    shards.map(move |shard| Share::new(process, processes, partitions, shard))
                };
                let shares: Vec<Share> = (0..processes).flat_map(process).collect();
                for brand in ["acme", "beta", "gamma", "stranger"] {
                    for rest in ["", ".web", ".web.shop.2", ".web.shop.till"] {
                        // The stream writes a partition in the place of each key.
                        if partitions > 0 && rest.ends_with("till") {
                            continue;
                        }
                        let subject = format!("tributary.in.{brand}{rest}");
                        let sent = |share: &&Share| {
                            let filters = share.filters();
                            let mut sent = filters.iter().map(|one| covers(one, &subject));
                            filters.is_empty() || sent.any(|sent| sent)
                        };
                        let takers = shares.iter().filter(|share| share.takes(&subject, 5));
                        assert_eq!(takers.clone().count(), 1, "{subject}");
                        assert!(takers.filter(sent).count() == 1, "{subject} is not sent");
                    }
                }
            }
        }
    }
}

//! Shards: processes that share out the brands of one configuration file.
//!
//! Brands never meet: nothing that is computed for one depends on another. So a
//! file may name a shard for each brand, and each process serves the brands of
//! its own shard: it reads, stores, publishes and answers for them alone. A brand
//! has one shard, so that no file can have two processes serve it; that two files
//! do not is for the start of a worker to find.

use super::{Brand, Workers};

/// A brand that another shard serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherBrand {
    /// Its name.
    pub name: String,
    /// The shard; `None` for that of processes without a shard.
    pub shard: Option<String>,
}

impl OtherBrand {
    /// A brand as another shard has it.
    pub(super) fn of(brand: &Brand) -> OtherBrand {
        OtherBrand {
            name: brand.name.clone(),
            shard: brand.shard.clone(),
        }
    }

    /// Who serves it, in words.
    pub fn place(&self) -> String {
        match &self.shard {
            Some(shard) => format!("the shard {shard}"),
            None => "the process without a shard".to_owned(),
        }
    }
}

/// No brand of a file belongs to its process.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "every brand has a shard, and this process has none: set workers.shard or TRIBUTARY_WORKERS_SHARD to one of {shards}"
)]
pub struct NoBrands {
    shards: String,
}

impl NoBrands {
    /// The error of a file with these brands.
    pub(super) fn of(brands: &[Brand]) -> NoBrands {
        let mut shards: Vec<&str> = brands.iter().filter_map(|b| b.shard.as_deref()).collect();
        shards.sort_unstable();
        shards.dedup();
        NoBrands {
            shards: shards.join(", "),
        }
    }
}

impl Workers {
    /// The name of this process, which no other process of the same streams has: its
    /// index, after the shard if it has one.
    pub fn name(&self) -> String {
        self.name_of(self.process)
    }

    /// The name of a process of the same cluster.
    pub fn name_of(&self, process: usize) -> String {
        match &self.shard {
            Some(shard) => format!("{shard}-{process}"),
            None => process.to_string(),
        }
    }

    /// Where this process listens for the others of its cluster; empty for a process
    /// that is alone.
    pub fn address(&self) -> &str {
        match &self.address {
            Some(address) if self.hosts.len() > 1 => address,
            _ => self.hosts.get(self.process).map_or("", String::as_str),
        }
    }

    /// The index of a process of the same cluster by its name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        let index = match &self.shard {
            Some(shard) => name.strip_prefix(shard.as_str())?.strip_prefix('-')?,
            None => name,
        };
        index.parse().ok()
    }
}

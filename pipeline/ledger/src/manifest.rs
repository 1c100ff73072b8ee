//! The manifest: the valid segments, the brands they belong to, and the file with
//! the salts of sensor days (FORMAT.md, section *MANIFEST*).
//!
//! It is one small file, replaced as a whole: written under another name,
//! synced, renamed, and the directory synced. The bytes of the replaced file
//! are overwritten.
//!
//! It is sealed under the keys of all brands in it: whoever lacks them can
//! neither change a position, a head or a count, nor leave out a segment.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tributary_operators::record::Day;
use xxhash_rust::xxh3::xxh3_64;

use crate::block::{FORMAT, OLDEST, SegmentId};
use crate::counts::SegmentEntries;
use crate::disk;
use crate::error::LedgerError;
use crate::heads::FileHeads;
use crate::position::Position;
use crate::wire::Hex;

/// First word of the manifest.
const MAGIC: &str = "tributary-ledger";

/// Content of the manifest. The field names are part of the format.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Version of the format. Within the seals, so that nobody makes an older ledger
    /// of it, whose commits have no codes; format 4 had it in the first line only.
    #[serde(default = "oldest", skip_serializing_if = "is_oldest")]
    pub format: u32,
    /// ID of the ledger, 16 random bytes.
    pub ledger: Hex,
    /// Number of times the manifest was written, from 1.
    pub generation: u64,
    /// Heads of the files beside the ledger.
    pub heads: FileHeads,
    /// Index of the process that owns the ledger, from 0.
    pub process: usize,
    /// Number of processes of the cluster.
    pub processes: usize,
    /// Ordinal of the last commit before the active segment.
    pub commits: u64,
    /// Position of that commit; `None` before the first.
    pub position: Option<Position>,
    /// The number of the active segment.
    pub active: u64,
    /// Brands under each of their secrets.
    pub brands: Vec<ManifestBrand>,
    /// The sealed segments, ordered by their commits.
    pub segments: Vec<SealedSegment>,
    /// The salts of sensor days.
    pub salts: ManifestSalts,
    /// By brand number, the entries of the sealed segments by kind, sealed. Empty
    /// before format 6, which had them with each segment in clear text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<u16, Hex>,
    /// By brand number, the code of everything else under the key of that number.
    pub seals: BTreeMap<u16, Hex>,
}

/// The format of a manifest that does not name it.
fn oldest() -> u32 {
    OLDEST
}

/// Whether a manifest of this format does not name it.
fn is_oldest(format: &u32) -> bool {
    *format == OLDEST
}

/// A brand under one of its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestBrand {
    /// Number of the brand in this ledger, from 1; unique.
    pub number: u16,
    /// Name of the brand in the configuration.
    pub name: String,
    /// The number of key-chain links that the pseudonyms under this number have
    /// passed.
    pub links: usize,
    /// Check value of the key, 16 bytes.
    pub check: Hex,
}

/// A sealed segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealedSegment {
    /// Number of the segment.
    pub number: u64,
    /// Length of the file.
    pub bytes: u64,
    /// Checksum of the whole file.
    pub checksum: Hex,
    /// The first and the last commit whose entries it may hold.
    pub commits: (u64, u64),
    /// Entries by brand number.
    pub entries: SegmentEntries,
}

/// Where the salts of sensor days are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum ManifestSalts {
    /// In the manifest itself, before format 6.
    InManifest(Vec<ManifestSalt>),
    /// In a file of their own; `None` without salts.
    File(Option<SaltsFile>),
}

/// The file of salts that counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SaltsFile {
    /// Number of the file, the suffix of its name.
    pub number: u64,
    /// Numbers of the brands with salts, ascending.
    pub brands: Vec<u16>,
    /// BLAKE3 of the file, 32 bytes.
    pub checksum: Hex,
}

/// Before format 6: the salt of a brand's sensor day, sealed under the brand's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestSalt {
    /// Number of the brand.
    pub brand: u16,
    /// Salt day, days since 1970-01-01.
    pub day: Day,
    /// Nonce of the sealed salt, 24 bytes.
    pub nonce: Hex,
    /// The sealed salt: 32 bytes and the tag of 16.
    pub sealed: Hex,
}

impl Manifest {
    /// ID of the ledger.
    pub fn id(&self) -> [u8; 16] {
        self.ledger.0.as_slice().try_into().unwrap_or_default()
    }

    /// Identity of the segment with this number.
    pub fn segment(&self, number: u64) -> SegmentId {
        SegmentId {
            ledger: self.id(),
            number,
            format: FORMAT,
        }
    }

    /// The brand with this number.
    pub fn brand(&self, number: u16) -> Option<&ManifestBrand> {
        self.brands.iter().find(|brand| brand.number == number)
    }

    /// Whether a sealed segment has entries of a brand number.
    pub fn has_entries(&self, brand: u16) -> bool {
        let mut segments = self.segments.iter();
        segments.any(|segment| segment.entries.has(brand))
    }

    /// Whether there are salts of a brand number.
    pub fn has_salts(&self, brand: u16) -> bool {
        match &self.salts {
            ManifestSalts::InManifest(salts) => salts.iter().any(|salt| salt.brand == brand),
            ManifestSalts::File(file) => file.iter().any(|file| file.brands.contains(&brand)),
        }
    }

    /// Everything that the seals cover.
    pub fn sealed_content(&self) -> Vec<u8> {
        let content = Manifest {
            seals: BTreeMap::new(),
            ..self.clone()
        };
        // Numbers and texts: nothing in it can fail.
        serde_json::to_vec(&content).unwrap_or_default()
    }

    /// Names of the brands, ascending, each with its numbers in the order of
    /// rotation, the newest last.
    pub fn names(&self) -> Vec<(&str, Vec<u16>)> {
        let mut names: Vec<(&str, Vec<u16>)> = Vec::new();
        let mut lines: Vec<&ManifestBrand> = self.brands.iter().collect();
        lines.sort_by_key(|line| line.links);
        for line in lines {
            match names.iter_mut().find(|(name, _)| *name == line.name) {
                Some((_, numbers)) => numbers.push(line.number),
                None => names.push((&line.name, vec![line.number])),
            }
        }
        names.sort_unstable();
        names
    }

    /// The manifest as it is written: the first line with format version and
    /// checksum, then JSON.
    fn text(&self, path: &Path) -> Result<Vec<u8>, LedgerError> {
        let failed = |error| LedgerError::io(path, io::Error::other(error));
        let mut json = serde_json::to_string_pretty(self).map_err(failed)?;
        json.push('\n');
        let checksum = xxh3_64(json.as_bytes());
        let format = self.format;
        Ok(format!("{MAGIC} {format} {checksum:016x}\n{json}").into_bytes())
    }

    /// Parses the bytes of a manifest.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Newer`] for a higher format version, otherwise
    /// [`LedgerError::Corrupt`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Manifest, LedgerError> {
        let corrupt = |what| LedgerError::corrupt(path, 0, what);
        let no_manifest = || corrupt("not a ledger manifest");
        let end = memchr::memchr(b'\n', bytes).ok_or_else(no_manifest)?;
        let (first, rest) = bytes.split_at(end);
        let json = rest.get(1..).unwrap_or_default();
        let first = std::str::from_utf8(first).map_err(|_| no_manifest())?;
        let mut words = first.split(' ');
        let version = match (words.next(), words.next().map(str::parse::<u32>)) {
            (Some(MAGIC), Some(Ok(version))) => version,
            _ => return Err(no_manifest()),
        };
        if version > FORMAT {
            return Err(LedgerError::Newer {
                file: path.to_owned(),
                found: version,
                known: FORMAT,
            });
        }
        if version < OLDEST {
            return Err(corrupt("this version no longer reads its format"));
        }
        let checksum = format!("{:016x}", xxh3_64(json));
        if first != format!("{MAGIC} {version} {checksum}") {
            return Err(corrupt("the checksum of the manifest is wrong"));
        }
        let read: Result<Manifest, _> = serde_json::from_slice(json);
        let read = read.map_err(|_| corrupt("the manifest cannot be read"))?;
        let is_in_file = matches!(read.salts, ManifestSalts::File(_));
        match read.ledger.0.len() {
            _ if read.format != version => Err(corrupt("the manifest names two formats")),
            _ if is_in_file != (version >= 6) => {
                Err(corrupt("the salts are not where its format has them"))
            }
            16 => Ok(read),
            _ => Err(corrupt("the ledger's id is not one")),
        }
    }
}

/// Paths of the files of a ledger, below its data directory.
#[derive(Clone, Debug)]
pub(crate) struct Paths(pub PathBuf);

impl Paths {
    /// The file that is locked while the ledger is open.
    pub fn lock(&self) -> PathBuf {
        self.0.join("LOCK")
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.0.join("MANIFEST")
    }

    /// The next manifest while it is being written.
    pub fn draft(&self) -> PathBuf {
        self.0.join("MANIFEST.new")
    }

    /// The directory of the segments.
    pub fn segments(&self) -> PathBuf {
        self.0.join("segments")
    }

    /// The segment with this number.
    pub fn segment(&self, number: u64) -> PathBuf {
        self.segments().join(format!("{number:010}.seg"))
    }

    /// The file of salts with this number.
    pub fn salts(&self, number: u64) -> PathBuf {
        self.0.join(format!("SALTS.{number}"))
    }

    /// Numbers of the segment files in the directory, ascending. Other files are
    /// ignored.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read; a missing one has no segments.
    pub fn segment_files(&self) -> Result<Vec<u64>, LedgerError> {
        let number = |name: &str| name.strip_suffix(".seg")?.parse().ok();
        numbered_files(&self.segments(), number, |number| self.segment(number))
    }

    /// Numbers of the files of salts in the directory, ascending.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read.
    pub fn salts_files(&self) -> Result<Vec<u64>, LedgerError> {
        let number = |name: &str| name.strip_prefix("SALTS.")?.parse().ok();
        numbered_files(&self.0, number, |number| self.salts(number))
    }

    /// Reads the manifest; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of parsing, and a file that cannot be read.
    pub fn read(&self) -> Result<Option<Manifest>, LedgerError> {
        let path = self.manifest();
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes));
        match read {
            Ok(_) => Manifest::parse(&bytes, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LedgerError::io(&path, error)),
        }
    }

    /// Reads the manifest.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Missing`] if there is none, and [`LedgerError::NoLedger`] if there are no segments either.
    pub fn read_existing(&self) -> Result<Manifest, LedgerError> {
        if let Some(manifest) = self.read()? {
            return Ok(manifest);
        }
        if !self.segment_files().unwrap_or_default().is_empty() {
            return Err(LedgerError::Missing {
                file: self.manifest(),
                what: "there are segments but no manifest",
            });
        }
        let below = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut ledgers: Vec<PathBuf> = below
            .map(|entry| entry.path())
            .filter(|path| Paths(path.clone()).manifest().is_file())
            .collect();
        ledgers.sort();
        let first = ledgers.into_iter().next();
        Err(LedgerError::NoLedger {
            directory: self.0.clone(),
            instead: first.unwrap_or_else(|| PathBuf::from("data/process-0")),
        })
    }

    /// Replaces the manifest, and returns whether the previous one was overwritten. After
    /// any error other than [`LedgerError::Sync`] the previous one is still valid.
    pub fn write(&self, manifest: &Manifest) -> Result<bool, LedgerError> {
        self.replace(&manifest.text(&self.manifest())?)
    }

    /// Replaces the manifest by these bytes, as [`Paths::write`] does.
    pub fn replace(&self, text: &[u8]) -> Result<bool, LedgerError> {
        let (path, draft) = (self.manifest(), self.draft());
        let replaced = disk::open(&path).ok();
        let renamed = disk::create(&draft).and_then(|file| {
            disk::write(&file, &draft, text, 0)?;
            disk::sync(&file, &draft)?;
            disk::rename(&draft, &path)
        });
        if let Err(error) = renamed {
            // What is left of the draft is removed at the next opening, if not now.
            let _ = disk::remove(&draft);
            return Err(error);
        }
        disk::sync_directory(&self.0)?;
        Ok(replaced.is_none_or(|file| disk::wipe(&file, &path) || disk::wipe(&file, &path)))
    }
}

/// Numbers of the files of a directory whose names have one, ascending. `number`
/// reads it from a name, and only what has exactly the name that `path` gives to it
/// counts.
///
/// # Errors
///
/// A directory that cannot be read; a missing one has no files.
fn numbered_files(
    directory: &Path,
    number: impl Fn(&str) -> Option<u64>,
    path: impl Fn(u64) -> PathBuf,
) -> Result<Vec<u64>, LedgerError> {
    let failed = |error| LedgerError::io(directory, error);
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut numbers = Vec::new();
    for entry in listing {
        let name = entry.map_err(failed)?.file_name();
        let found = name.to_str().and_then(&number);
        numbers.extend(found.filter(|n| path(*n).file_name() == Some(&name)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

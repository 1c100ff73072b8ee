//! Inspection of a ledger without the lock and without changes. Entries by kind and
//! the days of salts are sealed, and only shown with keys.
//!
//! The ledger may be in use. A manifest that is replaced between two reads
//! leads to another attempt.

use std::fmt::Write;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Serialize;
use tributary_operators::record::Day;

use crate::brands::find_key;
use crate::counts::{CountsByBrand, EntryCounts, add};
use crate::error::LedgerError;
use crate::heads::FileHeads;
use crate::keyring::Keyring;
use crate::manifest::{Manifest, Paths};
use crate::open::refuse_newer;
use crate::position::{PingsPosition, Position};
use crate::salts::{self, Salts};
use crate::scan::{Scan, scan};
use crate::seal::{open_counts, verify_any_seal, verify_seals};

/// Number of attempts to read a ledger that changes at the same time.
const TRIES: usize = 5;

/// What a ledger reveals.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The data directory.
    pub directory: String,
    /// ID of the ledger, hexadecimal.
    pub ledger: String,
    /// Version of its format.
    pub format: u32,
    /// Index of the process that it belongs to, from 0.
    pub process: usize,
    /// The number of processes of the cluster.
    pub processes: usize,
    /// Number of times its manifest was written.
    pub manifest: u64,
    /// Number of commits so far.
    pub commits: u64,
    /// Position of the last commit.
    pub position: Option<Position>,
    /// The segments; the last one is active.
    pub segments: Vec<SegmentSummary>,
    /// Entries of each brand.
    pub brands: Vec<BrandEntries>,
    /// Days with a stored salt, by brand; `None` without keys.
    pub salts: Option<Vec<SaltDays>>,
    /// The heads of the files beside the ledger, as its manifest names them.
    pub heads: FileHeads,
    /// Bytes of all segments up to the last commit.
    pub bytes: u64,
    /// Bytes after the last commit: a commit that is being written, or was
    /// interrupted.
    pub torn_bytes: u64,
}

/// Summary of a segment.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentSummary {
    /// Its number.
    pub number: u64,
    /// Whether it is sealed; otherwise it is the active one.
    pub sealed: bool,
    /// Its length in bytes; for the active segment, up to the last commit.
    pub bytes: u64,
    /// First and last commit whose entries it may contain.
    pub commits: (u64, u64),
    /// Its entries by kind; `None` without keys.
    pub entries: Option<EntryCounts>,
}

/// Entries of a brand.
#[derive(Clone, Debug, Serialize)]
pub struct BrandEntries {
    /// The brand's name.
    pub brand: String,
    /// Its entries by kind; `None` without keys.
    pub entries: Option<EntryCounts>,
    /// Number of entries sealed under an older secret than the newest that the
    /// ledger has used; `None` without keys.
    pub behind: Option<u64>,
}

/// Salt days of a brand.
#[derive(Clone, Debug, Serialize)]
pub struct SaltDays {
    /// The brand's name.
    pub brand: String,
    /// Days with a stored salt, ascending, as days since 1970-01-01.
    pub days: Vec<Day>,
}

/// Inspects the ledger of a directory, which may be in use. With keys, counts of
/// entries and the days of salts are shown.
///
/// # Errors
///
/// [`LedgerError::Missing`] if there is none, [`LedgerError::Newer`], and
/// [`LedgerError::Corrupt`] for a damaged manifest or active segment. Sealed
/// segments are not read. With keys, [`LedgerError::UnknownBrand`] and
/// [`LedgerError::WrongKey`].
pub fn inspect(directory: &Path, keyring: Option<&Keyring>) -> Result<Inspection, LedgerError> {
    let paths = Paths(directory.to_owned());
    let Snapshot {
        manifest,
        active,
        salts,
    } = snapshot(&paths, keyring)?;
    let shown = |entries: EntryCounts| keyring.map(|_| entries);
    let mut counts = CountsByBrand::new();
    let mut segments = Vec::new();
    for segment in &manifest.segments {
        add(&mut counts, segment.entries.counts());
        segments.push(SegmentSummary {
            number: segment.number,
            sealed: true,
            bytes: segment.bytes,
            commits: segment.commits,
            entries: shown(segment.entries.counts().values().copied().sum()),
        });
    }
    add(&mut counts, &active.counts);
    segments.push(SegmentSummary {
        number: manifest.active,
        sealed: false,
        bytes: active.committed,
        commits: (manifest.commits + 1, active.commits),
        entries: shown(active.counts.values().copied().sum()),
    });
    let names = manifest.names();
    let entries = |numbers: &[u16]| numbers.iter().filter_map(|n| counts.get(n)).copied().sum();
    let brands = names.iter().map(|(name, numbers)| {
        let before = numbers.split_last().map_or(&[][..], |(_, before)| before);
        let behind: EntryCounts = entries(before);
        BrandEntries {
            brand: (*name).to_owned(),
            entries: shown(entries(numbers)),
            behind: shown(behind).map(|behind| behind.total()),
        }
    });
    let salts = names.iter().map(|(name, numbers)| {
        let of_brand = salts.iter().filter(|(number, ..)| numbers.contains(number));
        let mut days: Vec<Day> = of_brand.map(|(_, day, _)| day).collect();
        days.sort_unstable();
        SaltDays {
            brand: (*name).to_owned(),
            days,
        }
    });
    Ok(Inspection {
        directory: directory.display().to_string(),
        ledger: HEXLOWER.encode(&manifest.id()),
        format: manifest.format,
        process: manifest.process,
        processes: manifest.processes,
        manifest: manifest.generation,
        commits: active.commits,
        position: active.position.or(manifest.position),
        bytes: segments.iter().map(|segment| segment.bytes).sum(),
        segments,
        brands: brands.collect(),
        salts: keyring.map(|_| salts.filter(|salts| !salts.days.is_empty()).collect()),
        torn_bytes: active.length - active.committed,
        heads: manifest.heads,
    })
}

/// A manifest, and what it names.
pub(crate) struct Snapshot {
    /// The manifest; with keys, its counts are open.
    pub manifest: Manifest,
    /// The active segment.
    pub active: Scan,
    /// The salts; empty without keys.
    pub salts: Salts,
}

/// Reads the manifest, the active segment and the salts that it names. All are read
/// again if the ledger changes them in between. With keys, the codes of commits and
/// the seals of the manifest are verified, and counts and salts are opened.
///
/// # Errors
///
/// The last error after `TRIES` attempts, or the first one that another attempt
/// cannot resolve.
pub(crate) fn snapshot(paths: &Paths, keyring: Option<&Keyring>) -> Result<Snapshot, LedgerError> {
    let mut tries = 1;
    loop {
        let read = || {
            refuse_newer(paths)?;
            let mut manifest = paths.read_existing()?;
            let active = scan(paths, &manifest, keyring)?;
            let mut salts = Salts::default();
            if let Some(keyring) = keyring {
                let path = paths.manifest();
                for brand in &manifest.brands {
                    find_key(brand, &manifest.id(), keyring, &path)?;
                }
                verify_seals(&manifest, &manifest.brands, keyring, &path)?;
                verify_any_seal(&manifest, keyring, &path)?;
                open_counts(&mut manifest, keyring, &path)?;
                salts = salts::read(paths, &manifest, keyring)?;
            }
            Ok(Snapshot {
                manifest,
                active,
                salts,
            })
        };
        match read() {
            Err(LedgerError::Corrupt { .. } | LedgerError::Missing { .. }) if tries < TRIES => {
                tries += 1;
            }
            result => return result,
        }
    }
}

impl Inspection {
    /// The report for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = self.write(&mut out);
        out
    }

    /// Writes what there is of each brand, which takes its key.
    fn write_entries(&self, out: &mut String) -> std::fmt::Result {
        if self.salts.is_none() {
            let names: Vec<&str> = self.brands.iter().map(|b| b.brand.as_str()).collect();
            return writeln!(
                out,
                "brands: {}\nEntries by kind and the days of salts are sealed: --config FILE, with the brands' secrets, shows them.",
                names.join(", ")
            );
        }
        let each = self.brands.iter();
        let each = each.filter_map(|b| Some((b.brand.as_str(), b.entries.as_ref()?)));
        write_brands(out, each.clone())?;
        let entries: u64 = each.map(|(_, entries)| entries.total()).sum();
        let each = self.bytes as f64 / entries.max(1) as f64;
        writeln!(
            out,
            "\n{entries} entries in {} bytes, {each:.1} bytes per entry",
            self.bytes
        )?;
        for BrandEntries { brand, behind, .. } in &self.brands {
            if let Some(behind) = behind.filter(|behind| *behind > 0) {
                writeln!(
                    out,
                    "{behind} entries of {brand} are sealed under a previous secret"
                )?;
            }
        }
        Ok(())
    }

    /// Writes the report for people.
    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "ledger {} in {}\nprocess {} of {}, format {}, {} commits",
            self.ledger, self.directory, self.process, self.processes, self.format, self.commits
        )?;
        match &self.position {
            None => writeln!(out, "position: none, no commits yet")?,
            Some(position) => {
                write!(out, "position: sequence {}", position.sequence)?;
                if let Some(stream) = &position.stream {
                    let created = moment(stream.created_ns.div_euclid(1_000_000));
                    write!(out, " of stream {} of {created}", stream.generation)?;
                }
                if let Some(pings) = &position.pings {
                    let PingsPosition { stream, sequence } = pings;
                    let created = moment(stream.created_ns.div_euclid(1_000_000));
                    write!(
                        out,
                        ", pings {sequence} of stream {} of {created}",
                        stream.generation
                    )?;
                }
                let newest = moment(position.newest_at);
                writeln!(out, ", epoch {}, newest arrival {newest}", position.epoch)?;
            }
        }
        writeln!(out)?;
        let kinds = ["put", "drop", "pings", "labels"];
        let kinds = if self.salts.is_some() {
            &kinds[..]
        } else {
            &[]
        };
        let head = ["segment", "state", "bytes", "commits"];
        let head = head.iter().chain(kinds);
        let mut table = vec![head.map(|name| (*name).to_owned()).collect::<Vec<_>>()];
        for segment in &self.segments {
            let (first, last) = segment.commits;
            let commits = match first <= last {
                true => format!("{first}-{last}"),
                false => "-".to_owned(),
            };
            let state = if segment.sealed { "sealed" } else { "active" };
            let mut row = vec![segment.number.to_string(), state.to_owned()];
            row.extend([segment.bytes.to_string(), commits]);
            row.extend(segment.entries.iter().flat_map(numbers));
            table.push(row);
        }
        write_table(out, &table)?;
        writeln!(out)?;
        self.write_entries(out)?;
        for salts in self.salts.iter().flatten() {
            let days: Vec<String> = salts.days.iter().map(|day| date(*day)).collect();
            writeln!(out, "salts of {}: {}", salts.brand, days.join(", "))?;
        }
        if self.torn_bytes > 0 {
            let torn = self.torn_bytes;
            writeln!(
                out,
                "{torn} bytes after the last commit: a commit is in progress, or was interrupted and will be truncated"
            )?;
        }
        Ok(())
    }
}

/// The counts that the tables show.
fn numbers(entries: &EntryCounts) -> [String; 4] {
    [
        entries.put,
        entries.drop,
        entries.tokenized_pings,
        entries.label_names,
    ]
    .map(|n| n.to_string())
}

/// Writes a table of entries by brand and kind.
pub(crate) fn write_brands<'a>(
    out: &mut String,
    brands: impl Iterator<Item = (&'a str, &'a EntryCounts)>,
) -> std::fmt::Result {
    let mut table = vec![
        ["brand", "put", "drop", "pings", "labels"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (brand, entries) in brands {
        let mut row = vec![brand.to_owned()];
        row.extend(numbers(entries));
        table.push(row);
    }
    write_table(out, &table)
}

/// Writes a table with left-aligned names and right-aligned numbers; the first
/// row is the header.
fn write_table(out: &mut String, table: &[Vec<String>]) -> std::fmt::Result {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in table {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Numbers stand to the right, names to the left.
            match place {
                0 => write!(line, "{cell:<width$}")?,
                _ => write!(line, "  {cell:>width$}")?,
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A day as an ISO 8601 date.
fn date(day: Day) -> String {
    let date = jiff::civil::date(1970, 1, 1)
        .checked_add(jiff::Span::new().days(day.clamp(-700_000, 2_000_000)));
    date.map_or_else(|_| day.to_string(), |date| date.to_string())
}

/// A time in Unix milliseconds as an RFC 3339 timestamp.
fn moment(ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(ms);
    moment.map_or_else(|_| ms.to_string(), |moment| moment.to_string())
}

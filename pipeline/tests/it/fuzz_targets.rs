//! The targets of coverage-guided fuzzing, as plain tests on a stable compiler: each is built as it is, and run on its seeds and
//! on changes of them. `bash .ci/fuzz.sh` runs the same with coverage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::support::chosen;

/// Stands for the macro of libFuzzer: the target is a function.
macro_rules! fuzz_target {
    (|$input:ident: $of:ty| $body:block) => {
        pub fn run($input: $of) $body
    };
}
pub(crate) use fuzz_target;

// A target is a program of its own elsewhere.
#[allow(unused_attributes, unused_imports)]
#[path = "../../../loadtest/fuzz/targets/consent.rs"]
mod consent;
#[allow(unused_attributes, unused_imports)]
#[path = "../../../loadtest/fuzz/targets/decode.rs"]
mod decode;
#[allow(unused_attributes, unused_imports)]
#[path = "../../../loadtest/fuzz/targets/ledger.rs"]
mod ledger;
#[allow(unused_attributes, unused_imports)]
#[path = "../../../loadtest/fuzz/targets/rights.rs"]
mod rights;

/// What a target does with an input.
type Target = fn(&[u8]);

/// Every target, by its name.
const TARGETS: [(&str, Target); 4] = [
    ("consent", |bytes| {
        consent::run(&String::from_utf8_lossy(bytes));
    }),
    ("decode", |bytes| {
        if let Some((subject, data)) = bytes.split_first() {
            decode::run((*subject, data));
        }
    }),
    ("ledger", ledger::run),
    ("rights", rights::run),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../loadtest/fuzz")
}

/// The seeds of a target; a few bytes for one that has none.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = fuzz().join("seeds").join(name);
    if !directory.exists() {
        return vec![Vec::new(), vec![0; 40], vec![1; 40]];
    }
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = paths.iter().map(|path| std::fs::read(path).unwrap());
    read.collect()
}

/// Changes some bytes: others in their place, a part away, or a part twice.
fn mutate(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let mut below = |bound: usize| (random.next_u64() % bound.max(1) as u64) as usize;
    for _ in 0..1 + below(4) {
        let place = below(bytes.len() + 1);
        let end = (place + 1 + below(12)).min(bytes.len());
        match below(4) {
            0 if place < bytes.len() => bytes[place] = below(256) as u8,
            1 if place < bytes.len() => bytes[place] ^= 1 << below(8),
            2 if place < end => drop(bytes.drain(place..end)),
            _ => {
                let copy = bytes[place..end.max(place)].to_vec();
                bytes.splice(place..place, copy);
            }
        }
    }
}

#[test]
fn hold_on_their_seeds_and_changes_of_them() {
    let inputs = chosen("TRIBUTARY_FUZZ", 8_000) as usize;
    for (name, run) in TARGETS {
        let seeds = seeds(name);
        seeds.iter().for_each(|seed| run(seed));
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut input = Vec::new();
        for number in 0..inputs {
            // Changes add up, until the next seed.
            if number % 8 == 0 {
                input.clone_from(&seeds[number / 8 % seeds.len()]);
            }
            mutate(&mut input, &mut random);
            run(&input);
        }
        eprintln!("{name}: {} seeds, {inputs} changes", seeds.len());
    }
}

/// The lists agree: the programs, the files, what the script runs, and what runs here.
#[test]
fn are_all_here() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
    let mut programs = BTreeSet::new();
    for program in manifest["bin"].as_array_of_tables().unwrap() {
        let name = program["name"].as_str().unwrap();
        assert_eq!(
            program["path"].as_str(),
            Some(&*format!("targets/{name}.rs"))
        );
        programs.insert(name.to_owned());
    }
    assert_eq!(programs, here);
    let files = std::fs::read_dir(fuzz().join("targets")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(files, here);
    let seeded = std::fs::read_dir(fuzz().join("seeds")).unwrap();
    for directory in seeded {
        let name = directory
            .unwrap()
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(here.contains(&name), "{name}");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/fuzz.sh");
    let script = std::fs::read_to_string(script).unwrap();
    let (_, default) = script.split_once("for target in ${*:-").unwrap();
    let (default, _) = default.split_once('}').unwrap();
    let default: BTreeSet<String> = default.split(' ').map(str::to_owned).collect();
    assert_eq!(default, here);
}

/// `--locked` holds for what they are made of: their lock file knows each dependency that the workspace has added since.
#[test]
fn are_locked_with_what_they_depend_on() {
    let read = |path: &Path| -> toml_edit::DocumentMut {
        std::fs::read_to_string(path).unwrap().parse().unwrap()
    };
    let lock = read(&fuzz().join("Cargo.lock"));
    let packages = lock["package"].as_array_of_tables().unwrap();
    let mut compared = 0;
    let manifest = read(&fuzz().join("Cargo.toml"));
    for (_, dependency) in manifest["dependencies"].as_table_like().unwrap().iter() {
        let Some(path) = dependency.get("path").and_then(|path| path.as_str()) else {
            continue;
        };
        let manifest = read(&fuzz().join(path).join("Cargo.toml"));
        let name = manifest["package"]["name"].as_str().unwrap();
        let mut of_name = packages
            .iter()
            .filter(|package| package["name"].as_str() == Some(name));
        let locked = of_name
            .next()
            .unwrap_or_else(|| panic!("{name} is not locked"));
        let locked: Vec<&str> = locked["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one.as_str()?.split(' ').next())
            .collect();
        for (dependency, _) in manifest["dependencies"].as_table_like().unwrap().iter() {
            assert!(
                locked.contains(&dependency),
                "loadtest/fuzz/Cargo.lock has no {dependency} of {name}: run cargo update --workspace there"
            );
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}

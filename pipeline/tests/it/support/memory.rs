//! The memory of a running process, searched as whoever has its image would search it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;

/// Bytes that are read at once.
const PART: usize = 1 << 20;

/// Bytes that are shown on either side of a hit.
const AROUND: usize = 120;

/// A place in memory where a needle stands.
pub struct Hit {
    /// The needle, by its place in the list.
    pub needle: usize,
    /// Its address, the mapping, and what stands around it.
    pub place: String,
}

/// Where needles in lower case stand in the memory of a process, in whatever case; `None` if its
/// memory must not be read. Every mapping that can be read is searched, except the
/// program itself: heap, stacks, data, and what is left in memory that was freed.
pub fn hits(process: u32, needles: &[String]) -> Option<Vec<Hit>> {
    let needles: Vec<&[u8]> = needles.iter().map(String::as_bytes).collect();
    search(process, &needles, true)
}

/// Where needles stand in the memory of a process, byte for byte; as [`hits`].
pub fn hits_of_bytes(process: u32, needles: &[Vec<u8>]) -> Option<Vec<Hit>> {
    let needles: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
    search(process, &needles, false)
}

fn search(process: u32, needles: &[&[u8]], in_any_case: bool) -> Option<Vec<Hit>> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let finders: Vec<Finder> = needles.iter().map(Finder::new).collect();
    let longest = needles
        .iter()
        .map(|needle| needle.len())
        .max()
        .unwrap_or_default();
    let (mut hits, mut read) = (Vec::new(), 0);
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, mode) = (words.next()?, words.next()?);
        // What nobody can write to holds what stands in its file.
        let is_file = !mode.starts_with("rw") && line.contains('/');
        if !mode.starts_with('r') || is_file {
            continue;
        }
        let (begin, end) = range.split_once('-')?;
        let [mut begin, end] = [begin, end].map(|place| u64::from_str_radix(place, 16).unwrap());
        // What stood at the end of the part before, so that nothing is missed on the border.
        let mut window: Vec<u8> = Vec::new();
        while begin < end {
            let mut part = vec![0; (end - begin).min(PART as u64) as usize];
            if memory.read_exact_at(&mut part, begin).is_ok() {
                read += part.len();
                let first = begin - window.len() as u64;
                let known = window.len();
                if in_any_case {
                    part.make_ascii_lowercase();
                }
                window.extend(&part);
                for (needle, finder) in finders.iter().enumerate() {
                    let found = finder.find_iter(&window);
                    // One that ends in what was there before was found before.
                    let new = found.filter(|place| place + needles[needle].len() > known);
                    hits.extend(new.map(|place| Hit {
                        needle,
                        place: describe(line, first, &window, place),
                    }));
                }
                let passed = window.len().saturating_sub(longest + AROUND);
                window.drain(..passed);
            } else {
                window.clear();
            }
            begin += part.len() as u64;
        }
    }
    (read > 0).then_some(hits)
}

/// The address of a hit, its mapping, and what stands around it.
fn describe(mapping: &str, first: u64, window: &[u8], place: usize) -> String {
    let around = &window[place.saturating_sub(AROUND)..(place + AROUND).min(window.len())];
    let text = around.iter().map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '·',
    });
    let words: Vec<&str> = mapping.split_whitespace().collect();
    format!(
        "{:#x} in {} {}: {}",
        first + place as u64,
        words.get(..2).unwrap_or_default().join(" "),
        words.get(5).unwrap_or(&"(anonymous)"),
        text.collect::<String>()
    )
}

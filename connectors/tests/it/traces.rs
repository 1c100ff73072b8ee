//! Traces on disk: plain, gzipped and Zstandard alike, with lines that are no messages among them.

use std::io::Write;
use std::path::Path;

use tributary_connectors::trace::{self, MAX_LINE, TraceLine};

fn lines() -> Vec<u8> {
    let mut bytes = Vec::new();
    for n in 0..2_000 {
        let line = format!(r#"{{"subject":"tributary.in.acme.web","at":{n},"data":{{"id":{n}}}}}"#);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(if n % 2 == 0 { b"\n" } else { b"\r\n\n" });
        if n % 500 == 0 {
            bytes.extend_from_slice(b"no message\n\xff\xfe\n");
        }
    }
    bytes
}

fn read(path: &Path) -> (Vec<TraceLine>, u64) {
    let mut trace = trace::open(path).unwrap();
    let lines: Vec<TraceLine> = trace.by_ref().map(Result::unwrap).collect();
    let progress = trace.progress();
    assert_eq!(progress.read(), progress.size());
    assert_eq!(progress.size(), std::fs::metadata(path).unwrap().len());
    (lines, trace.skipped())
}

#[test]
fn the_first_bytes_tell_how_a_trace_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let plain = lines();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let mut members = gzip.finish().unwrap();
    let mut second = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    second.write_all(b"").unwrap();
    members.extend(second.finish().unwrap());
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let mut all = Vec::new();
    for (name, bytes) in [("a.trace", plain), ("b.trace", members), ("c.trace", zstd)] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        all.push(read(&path));
    }
    let (messages, skipped) = &all[0];
    assert_eq!((messages.len(), *skipped), (2_000, 8));
    assert_eq!(messages[7].data, br#"{"id":7}"#);
    assert!(all.iter().all(|one| one == &all[0]));
}

#[test]
fn an_endless_line_is_skipped_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.zst");
    let mut packed = zstd::Encoder::new(std::fs::File::create(&path).unwrap(), 1).unwrap();
    let message = br#"{"subject":"s","at":1,"data":{}}"#;
    packed.write_all(message).unwrap();
    packed.write_all(b"\n").unwrap();
    for _ in 0..=MAX_LINE / 65_536 {
        packed.write_all(&[b'x'; 65_536]).unwrap();
    }
    packed.write_all(b"\n").unwrap();
    packed.write_all(message).unwrap();
    packed.finish().unwrap();
    let (messages, skipped) = read(&path);
    assert_eq!((messages.len(), skipped), (2, 1));
}

#[test]
fn damage_and_absence_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&lines()).unwrap();
    let mut bytes = gzip.finish().unwrap();
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).unwrap();
    let mut trace = trace::open(&path).unwrap();
    let error = trace.find_map(Result::err).expect("half a file is damaged");
    assert!(error.to_string().contains("damaged.gz"), "{error}");
    assert!(trace.next().is_none());
    assert!(trace::open(&folder.path().join("absent")).is_err());
}

#[test]
fn an_empty_file_is_an_empty_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(read(&path), (vec![], 0));
}

//! What a running worker has of a person in its memory before and after her erasure. Copies of messages that are ours are
//! overwritten; the buffers of the broker's client, through which an erasure reads the streams once more, are only used again,
//! and so the guide promises no more. Her address in clear text must not become more with the work that follows.

use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem::Finder;
use tributary_connectors::trace::TraceLine;
use tributary_testkit::{NatsServer, skipped};

use crate::support::person::{apart, ask, somebody};
use crate::support::story::{last, play, ready};
use crate::support::{Worker, World};

/// How often bytes stand in the writable memory of a process, in whatever case; `None` if its memory must not be read.
fn in_memory(process: u32, needle: &str) -> Option<usize> {
    let memory = File::open(format!("/proc/{process}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let finder = Finder::new(needle);
    let (mut count, mut read) = (0, 0_u64);
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, mode) = (words.next()?, words.next()?);
        if !mode.starts_with("rw") {
            continue;
        }
        let (begin, end) = range.split_once('-')?;
        let [mut begin, end] = [begin, end].map(|place| u64::from_str_radix(place, 16).unwrap());
        let mut window = Vec::new();
        while begin < end {
            let mut part = vec![0; (end - begin).min(1 << 20) as usize];
            let place = begin;
            begin += part.len() as u64;
            if memory.read_exact_at(&mut part, place).is_ok() {
                read += part.len() as u64;
                window.extend(part.to_ascii_lowercase());
                count += finder.find_iter(&window).count();
                // What stands on the border is found with the next part.
                let passed = window.len().saturating_sub(needle.len() - 1);
                window.drain(..passed);
            }
        }
    }
    (read > 0).then_some(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_clear_text_does_not_accumulate() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(6_000, Some(&broker), "[workers]\nthreads = 2");
    let lines: Vec<TraceLine> = world.trace().collect();
    let email = somebody(&world, &lines);
    let (_, others) = apart(&world, &lines, &email);
    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let read = async || {
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
    };
    let count = || in_memory(worker.id(), &email);
    play(&client, &lines, None).await;
    read().await;
    let Some(before) = count() else {
        return skipped("the memory of another process can be read by the superuser alone");
    };
    tokio::task::block_in_place(|| {
        let identifier = format!("email={email}");
        ask(&world, "erase", &[&identifier, "--whole-person"]);
    });
    let erased = count().unwrap();
    let mut after = vec![];
    for _ in 0..5 {
        play(&client, &others, None).await;
        read().await;
        after.push(count().unwrap());
    }
    eprintln!(
        "her address in memory: {before} times before the erasure, {erased} after it, then {after:?}"
    );
    let last = after.last().copied().unwrap();
    assert!(last <= before.max(erased), "{before}, {erased}, {after:?}");
}

/// The brand's secret stands in the memory of a running worker where the configuration has it: what it was read through is
/// overwritten, and work under keys that are derived from it adds no copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_does_not_accumulate() {
    let Some(server) = NatsServer::start_or_skip("") else {
        return;
    };
    let broker = server.nats();
    let world = World::new(2_000, Some(&broker), "[workers]\nthreads = 2");
    let secret = std::fs::read_to_string(world.path("secret")).unwrap();
    let secret = secret.trim().to_ascii_lowercase();
    let lines: Vec<TraceLine> = world.trace().collect();
    let client = ready(&broker).await;
    let worker = Worker::start(&world.path("tributary.toml"), &[]);
    let mut counts = Vec::new();
    for part in lines.chunks(lines.len().div_ceil(3)) {
        play(&client, part, None).await;
        let end = last(&client, &broker.input_stream).await;
        tokio::task::block_in_place(|| worker.wait_until_read(end));
        let Some(count) = in_memory(worker.id(), &secret) else {
            return skipped("the memory of another process can be read by the superuser alone");
        };
        counts.push(count);
    }
    eprintln!("the secret in memory, while records are read: {counts:?} times");
    assert!(counts[0] > 0, "it is looked for where it is");
    assert!(counts.iter().all(|count| *count <= counts[0]), "{counts:?}");
}

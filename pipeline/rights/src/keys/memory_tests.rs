//! What a hasher leaves of its key: nothing. The memory of one on the heap is read after it was freed, which writes over the first
//! bytes alone.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::*;

/// How often a key stands in the memory of a value now.
fn count(place: usize, bytes: usize, key: &[u8; 32]) -> usize {
    let mut memory = vec![0; bytes];
    let own = File::open("/proc/self/mem").unwrap();
    own.read_exact_at(&mut memory, place as u64).unwrap();
    memory.windows(32).filter(|window| *window == key).count()
}

/// The counts of a value that holds the key, and of its memory after it was dropped.
fn before_and_after<T>(of: T, key: &[u8; 32]) -> [usize; 2] {
    let bytes = size_of::<T>();
    let of = Box::new(of);
    let place = std::ptr::from_ref(&*of).addr();
    let before = count(place, bytes, key);
    drop(of);
    [before, count(place, bytes, key)]
}

#[test]
fn nothing_of_the_key_is_left() {
    let key: [u8; 32] = rand::random();
    let [before, after] = before_and_after(keyed(&key), &key);
    assert!(before > 0, "it is looked for where it is");
    assert_eq!(after, 0);
    // And what does not overwrite itself is found.
    let [_, after] = before_and_after(blake3::Hasher::new_keyed(&key), &key);
    assert!(after > 0);
}

//! What a hasher leaves of its key: nothing. The memory of one on the heap is read after it was freed, which writes over the first
//! bytes alone.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::*;

/// How often a key stands in the memory at a place now, which is read into `copy`. Nothing is allocated, because that could take
/// the place of what was freed.
fn count(own: &File, place: usize, copy: &mut [u8], key: &[u8; 32]) -> usize {
    own.read_exact_at(copy, place as u64).unwrap();
    copy.windows(32).filter(|window| *window == key).count()
}

/// The counts of a value that holds the key, and of its memory after it was dropped.
fn before_and_after<T>(of: T, key: &[u8; 32]) -> [usize; 2] {
    let own = File::open("/proc/self/mem").unwrap();
    let mut copy = vec![0; size_of::<T>()];
    let of = Box::new(of);
    // What is freed beside the end of the heap would be given back.
    let fence = Box::new([0_u8; 64]);
    let place = std::ptr::from_ref(&*of).addr();
    let before = count(&own, place, &mut copy, key);
    drop(of);
    let after = count(&own, place, &mut copy, key);
    drop(fence);
    [before, after]
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

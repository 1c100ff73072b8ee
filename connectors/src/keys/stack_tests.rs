//! What reading an identifier leaves on the stack below it: nothing of the value. Each case runs on a thread of its own, which
//! then waits, so that what it left there can be read through `/proc/self/mem` before anything writes over it.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::channel;
use std::thread;

use memchr::memmem;

use super::*;
use crate::fixture;

/// The least that a number of its own would look like by chance, bytes.
const SHORTEST: usize = 8;

/// How often a value stands on the stack of a thread below `work`, which it has run.
fn left_by(value: &[u8], work: impl FnOnce() + Send + 'static) -> usize {
    assert!(value.len() >= SHORTEST);
    let (tell, told) = channel();
    let (release, wait) = channel::<()>();
    let thread = thread::spawn(move || {
        let here = 0_u8;
        work();
        tell.send(std::ptr::from_ref(black_box(&here)).addr())
            .unwrap();
        wait.recv().ok();
    });
    let place = told.recv().unwrap() as u64;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let begin = maps
        .lines()
        .find_map(|line| {
            let (begin, rest) = line.split_once('-')?;
            let end = rest.split(' ').next()?;
            let [begin, end] = [begin, end].map(|hex| u64::from_str_radix(hex, 16).unwrap());
            (begin..end).contains(&place).then_some(begin)
        })
        .unwrap();
    let mut stack = vec![0; (place - begin) as usize];
    let memory = File::open("/proc/self/mem").unwrap();
    memory.read_exact_at(&mut stack, begin).unwrap();
    drop(release);
    thread.join().unwrap();
    memmem::find_iter(&stack, value).count()
}

/// A key of a brand with every rule.
fn key() -> BrandKey {
    let mut brand = fixture::brand("acme");
    brand.identity.rules = vec![
        HashRule::Plain,
        HashRule::Google,
        HashRule::Meta,
        HashRule::Uid2,
    ];
    BrandKey::new(&brand)
}

/// What [`BrandKey::identifiers`] leaves of a value, as it is written or in canonical form.
fn left_of(kind: IdKind, text: &'static str, canonical: &'static str) -> usize {
    let read = move || {
        let (key, mut out) = (key(), Vec::with_capacity(8));
        let rules = key.default_rules();
        assert!(key.identifiers(kind, text, rules, &mut Scratch::default(), &mut out));
    };
    left_by(canonical.as_bytes(), read) + left_by(text.as_bytes(), read)
}

/// The counts can be more than none: what a function has on its stack is found after it.
#[test]
fn what_is_left_is_found() {
    #[inline(never)]
    fn careless() {
        let mut copy = [0_u8; 4096];
        copy[..16].copy_from_slice(b"jane@example.org");
        black_box(&copy);
    }
    assert_ne!(left_by(b"jane@example.org", careless), 0);
}

#[test]
fn nothing_is_left_of_values() {
    let left = [
        left_of(
            IdKind::Email,
            " Jane.Roe+shop@GMail.com ",
            "jane.roe+shop@gmail.com",
        ),
        left_of(IdKind::Phone, "06 98 41 57 32", "98415732"),
        left_of(IdKind::Customer, "Customer-4711", "customer-4711"),
        left_of(IdKind::Cookie, "cookie-of-jane", "cookie-of-jane"),
    ];
    assert_eq!(left, [0; 4]);
}

/// A phone number is a whole number on the way.
#[test]
fn nothing_is_left_of_a_number_that_was_parsed() {
    let left = left_by(&698_415_732_u64.to_le_bytes(), || {
        black_box(phone::e164(Region::of(Some("FR")), "06 98 41 57 32"));
    });
    assert_eq!(left, 0);
}

#[test]
fn nothing_is_left_of_names() {
    let left = left_by(b"montgomery", || {
        let (key, mut out) = (key(), Vec::with_capacity(8));
        let parts = ["Guinevere", "Montgomery", "75001"];
        assert!(key.name_postcode(parts, &mut Scratch::default(), &mut out));
    });
    assert_eq!(left, 0);
}

#[test]
fn nothing_is_left_of_devices() {
    const MAC: u64 = 0xa1b2_c3d4_e5f6;
    let mac = left_by(&MAC.to_be_bytes(), || {
        black_box(key().mac(black_box(MAC)));
    });
    let device = left_by(b"device-of-jane", || {
        black_box(key().sensor_device("device-of-jane"));
    });
    let holder = left_by(b"holder-of-jane", || {
        black_box(key().wallet_holder("holder-of-jane"));
    });
    assert_eq!([mac, device, holder], [0; 3]);
}

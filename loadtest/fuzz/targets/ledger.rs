//! Entries of a ledger: no bytes panic, and what they mean is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_operators::event::Event;
use tributary_operators::record::BrandId;

fn read(bytes: &[u8]) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    let brand = BrandId::of("acme");
    let counts =
        tributary_ledger::decode(bytes, brand, &mut |_, _| 0, &mut |event| events.push(event));
    let counts = counts.ok()?;
    assert_eq!(counts.total(), events.len() as u64);
    Some(events)
}

fuzz_target!(|bytes: &[u8]| {
    if let Some(events) = read(bytes) {
        let again = read(&tributary_ledger::encode(&events));
        assert_eq!(again.as_ref(), Some(&events));
    }
});

//! Consent strings: nothing panics, and a party that declares nothing is permitted nothing, whatever the string says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tributary_consent::{Basis, Gpp, Party, TcString, Terms};

fuzz_target!(|text: &str| {
    let nothing = Terms::new(Party::Vendor(755));
    let declared = [1, 7, 9]
        .into_iter()
        .fold(nothing.clone(), |terms, purpose| {
            terms.with(purpose, Basis::Consent)
        });
    if let Ok(string) = TcString::parse(text) {
        assert_eq!(string.allowed(&nothing).purposes().iter().count(), 0);
        let allowed = string.allowed(&declared).purposes();
        assert!(allowed.iter().all(|purpose| [1, 7, 9].contains(&purpose)));
    }
    if let Ok(string) = Gpp::parse(text) {
        let _ = string.unread().count();
        let allowed = string.allowed(&nothing).purposes();
        assert_eq!(allowed.iter().count(), 0);
        let _ = string.allowed(&declared);
    }
});

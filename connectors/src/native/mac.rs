//! MAC addresses (EUI-48 of IEEE 802): their notation, the addresses that no
//! device sends from, and the list of fixed devices.

/// The 48 bits of twelve hex digits; `None` for anything else. Any character
/// other than a letter or a digit separates.
///
/// ```
/// use tributary_connectors::native::mac::parse;
///
/// assert_eq!(parse("dc:fb:48:00:11:22"), Some(0xdcfb_4800_1122));
/// assert_eq!(parse("DCFB.4800.1122"), Some(0xdcfb_4800_1122));
/// assert_eq!(parse("dc:fb:48"), None);
/// ```
pub fn parse(text: &str) -> Option<u64> {
    let (value, digits) = digits(text)?;
    (digits == 12).then_some(value)
}

/// Whether a device may send from the address: it is neither zero nor a group
/// address, such as a multicast or the broadcast address (IEEE 802, I/G bit:
/// the lowest bit of the first byte).
/// ```
/// use tributary_connectors::native::mac::{is_device, is_random};
///
/// assert!(is_device(0xdcfb_4800_1122) && !is_random(0xdcfb_4800_1122));
/// assert!(is_random(0x0200_0000_0001), "locally administered");
/// assert!(!is_device(0xffff_ffff_ffff), "broadcast");
/// ```
pub fn is_device(mac: u64) -> bool {
    mac != 0 && mac >> 40 & 1 == 0
}

/// Whether the address is locally administered (IEEE 802, U/L bit: the second
/// lowest bit of the first byte), as randomized addresses are.
pub fn is_random(mac: u64) -> bool {
    mac >> 40 & 2 != 0
}

/// The meaning of a byte that separates.
const SEPARATOR: u8 = 16;

/// What each byte means: the value of a hex digit, [`SEPARATOR`], or 17 for any other
/// letter. A table, because no processor foresees which digits are letters.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where an index out of range fails the build"
)]
const MEANINGS: [u8; 256] = {
    let mut meanings = [SEPARATOR; 256];
    let mut byte = 0;
    while byte < 128 {
        let c = byte as u8;
        meanings[byte] = match c {
            b'0'..=b'9' => c - b'0',
            b'a'..=b'f' => c - b'a' + 10,
            b'A'..=b'F' => c - b'A' + 10,
            b'g'..=b'z' | b'G'..=b'Z' => 17,
            _ => SEPARATOR,
        };
        byte += 1;
    }
    meanings
};

/// Up to 12 hex digits as an integer, and their number; `None` for another
/// letter or digit.
fn digits(text: &str) -> Option<(u64, u32)> {
    let (mut value, mut count) = (0_u64, 0);
    for byte in text.bytes() {
        let digit = match MEANINGS.get(usize::from(byte)) {
            Some(digit @ 0..16) => digit,
            Some(&SEPARATOR) => continue,
            _ => return None,
        };
        if count == 12 {
            return None;
        }
        value = value << 4 | u64::from(*digit);
        count += 1;
    }
    // Letters and digits of other scripts are no separators either.
    let is_clear = text.is_ascii() || !text.chars().any(|c| !c.is_ascii() && c.is_alphanumeric());
    is_clear.then_some((value, count))
}

/// The fixed devices of a brand: whole addresses and prefixes.
/// ```
/// use tributary_connectors::native::mac::FixedDevices;
///
/// let fixed = FixedDevices::new(&["dc:fb:48:*".to_owned()]);
/// assert!(fixed.has(0xdcfb_4800_1122) && !fixed.has(0xdcfb_4900_1122));
/// ```
#[derive(Clone, Debug, Default)]
pub struct FixedDevices {
    /// Whole addresses, sorted.
    macs: Vec<u64>,
    /// Prefixes, and the number of their hex digits.
    prefixes: Vec<(u64, u32)>,
}

impl FixedDevices {
    /// Parses `dc:fb:48:00:11:22` or `dc:fb:48:*`; skips what is neither, which
    /// the configuration rejects.
    pub fn new(list: &[String]) -> FixedDevices {
        let mut fixed = FixedDevices::default();
        for entry in list {
            match entry.trim().strip_suffix('*') {
                None => fixed.macs.extend(parse(entry)),
                Some(prefix) => {
                    let found = digits(prefix).filter(|(_, count)| (1..=12).contains(count));
                    fixed.prefixes.extend(found);
                }
            }
        }
        fixed.macs.sort_unstable();
        fixed
    }

    /// Whether an address is on the list.
    pub fn has(&self, mac: u64) -> bool {
        let prefixed = |&(prefix, digits): &(u64, u32)| mac >> (48 - 4 * digits) == prefix;
        self.macs.binary_search(&mac).is_ok() || self.prefixes.iter().any(prefixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twelve_hex_digits_in_any_dress() {
        for text in [
            "dc:fb:48:00:aa:ff",
            "DC-FB-48-00-AA-FF",
            "dcfb.4800.aaff",
            "dcfb4800aaff",
            " dc fb 48 00 aa ff ",
            "dc:fb:48::00aaff",
        ] {
            assert_eq!(parse(text), Some(0xdcfb_4800_aaff), "{text}");
        }
        for text in [
            "",
            "dc:fb:48:00:aa",
            "dc:fb:48:00:aa:ff:00",
            "dg:fb:48:00:aa:ff",
            "mac",
            "\u{661}c:fb:48:00:aa:ff0",
            "null",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn random_addresses_are_locally_administered() {
        assert!(is_random(0x8e1e_1bb8_f96b));
        assert!(is_random(0x0200_0000_0000));
        assert!(!is_random(0x3003_c870_4efb));
    }

    #[test]
    fn zero_and_group_addresses_are_no_devices() {
        for mac in [
            0,
            0x0100_5e00_00fb,
            0x3333_0000_0001,
            0x0300_0000_0001,
            0xffff_ffff_ffff,
        ] {
            assert!(!is_device(mac), "{mac:x}");
        }
        for mac in [
            1,
            0x0200_0000_0000,
            0x8e1e_1bb8_f96b,
            0xdcfb_4800_1122,
            0xfeff_ffff_ffff,
        ] {
            assert!(is_device(mac), "{mac:x}");
        }
    }

    #[test]
    fn fixed_devices_are_addresses_or_prefixes() {
        let list = ["DC-FB-48-00-11-22", "40:ec:99:*", "a*", "nonsense", "*"];
        let fixed = FixedDevices::new(&list.map(str::to_owned));
        for mac in [
            0xdcfb_4800_1122,
            0x40ec_9900_0000,
            0x40ec_99ff_ffff,
            0xa000_0000_0001,
        ] {
            assert!(fixed.has(mac), "{mac:x}");
        }
        for mac in [0xdcfb_4800_1123, 0x40ec_9a00_0000, 0xb000_0000_0000, 0] {
            assert!(!fixed.has(mac), "{mac:x}");
        }
    }

    proptest! {
        /// Read character by character, a text has the same digits.
        #[test]
        fn separators_are_what_is_neither_letter_nor_digit(
            text in "[0-9a-fA-F:. \u{e9}\u{661}\u{2013}g-]{0,20}|([0-9a-fA-F]{2}[:.\u{2013}-]){5}[0-9a-fA-F]{1,3}",
        ) {
            let mut digits = Vec::new();
            let mut others = text.chars().filter(|c| match c.to_digit(16) {
                Some(digit) => {
                    digits.push(u64::from(digit));
                    false
                }
                None => c.is_alphanumeric(),
            });
            let is_clear = others.next().is_none() && digits.len() == 12;
            let value = digits.iter().fold(0, |value, digit| value << 4 | digit);
            prop_assert_eq!(parse(&text), is_clear.then_some(value));
        }
    }
}

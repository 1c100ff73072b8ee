//! What is measured: how conversions credit contacts, and what counts as a
//! visit.
//!
//! These settings change numbers, so a change recomputes them for all stored
//! records; the settings of processes never do.

/// `[brand.attribution]`: which contacts share the credit for a conversion, and
/// how. A path consists of the contacts of one person before a conversion, each
/// within the window of its type. All models distribute the same conversions;
/// they differ in the weights of the contacts.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// How long before a conversion a click counts, milliseconds. Default 30
    /// days. From one millisecond to ten years, like the other windows.
    pub click_window_ms: i64,
    /// How long before a conversion a view counts, milliseconds. Default 30
    /// days.
    pub view_window_ms: i64,
    /// How long before a conversion an impression counts, milliseconds. Default
    /// 7 days.
    pub impression_window_ms: i64,
    /// The maximum number of contacts in a path; older ones receive no credit.
    /// Default 200. From 1 to 10,000.
    pub max_path: usize,
    /// The maximum number of channels per month in the Markov model; beyond it
    /// the smallest are grouped. Solving takes cubic time in it. Default 500.
    /// From 10 to 2,000. The smallest channels are grouped under campaign `*`,
    /// then medium `*`, then source `*`.
    pub max_channels: usize,
    /// The difference of ages, milliseconds, that halves a contact's weight in
    /// the `time_decay` model. Default 7 days.
    pub half_life_ms: i64,
    /// The weights of the first contact, of all middle ones together and of the
    /// last in the `position` model. The first and the last are not both zero.
    /// Default 40, 20, 40. A path of one contact gives it everything; with two,
    /// only the first and the last weight count.
    pub position: [u32; 3],
}

/// `[brand.sensors]`: what counts as a visit, and which devices are excluded. A
/// sensor reports that a device was near; a session of reports in one store is
/// a visit if the device came inside and stayed.
#[derive(Clone, Debug)]
pub struct Sensors {
    /// The weakest signal that counts as inside the store, dBm from -127 to 20.
    /// Default -75. The received signal strength depends on the sensor and the
    /// walls; sites measure it before they set it.
    pub min_rssi: i8,
    /// Whether a device with a random address counts like any other once it is
    /// joined to the Wi-Fi of the brand. Default true.
    pub associated: bool,
    /// The minimum duration of a visit, seconds; shorter sessions are
    /// passers-by. At most `max_presence_s`. Default 60.
    pub min_dwell_s: i64,
    /// The presence per store and day, seconds, beyond which a device is staff
    /// or a fixture. Default 8 hours.
    pub max_presence_s: i64,
    /// The maximum number of devices counted per store and day, and as many
    /// again with randomized MACs; beyond it a fair sample counts. Default
    /// 200,000. From 64 to 10,000,000; each takes about 100 bytes of memory.
    pub max_devices: usize,
    /// The stores that have sensors, as named in pings; empty to accept any
    /// store. With a list, a publisher cannot invent stores, each of which
    /// takes memory.
    pub stores: Vec<String>,
    /// The largest number of bits of an offline cookie by which sightings of
    /// partners are matched. Default 10. From 0, by time alone, to 16.
    pub cookie_bits: u32,
    /// The number of devices of a store and day that on average share a value
    /// of the offline cookie, at least; fewer bits count where fewer devices
    /// come. Default 3. From 1 to 1,000.
    pub cookie_share: u64,
    /// When a salt day begins, seconds after local midnight. Default 0. Tokens
    /// of devices change then, so it is best when the stores are closed.
    pub day_start_s: u32,
    /// MACs (12 hex digits with any separators) and OUI prefixes (`dc:fb:48:*`)
    /// of fixed devices, which are excluded. They may identify someone and are
    /// never printed.
    pub fixed_devices: Vec<String>,
}

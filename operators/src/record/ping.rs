//! Sensor pings, from the device to the totals of a day.
//!
//! A ping names a device only until it is tokenized ([`crate::salt`]). The token is valid for one store and one salt day, and
//! when the day is closed only totals are left.

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::record::brand::{BrandId, Day};
use crate::record::identifier::Pseudonym;

/// One sensor ping, as a connector reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ping {
    /// The brand.
    pub brand: BrandId,
    /// The store of the sensor.
    pub store: Label,
    /// The brand's keyed hash of the MAC address or of the `device` field. It is never stored: see [`TokenizedPing`].
    pub device: Pseudonym,
    /// Whether the MAC address is locally administered (IEEE 802, U/L bit), and so random.
    pub random: bool,
    /// The store's salt day: days since 1970-01-01, from `day_start` to `day_start`.
    pub salt_day: Day,
    /// Unix seconds.
    pub second: i64,
    /// The brand's offset from UTC at that second, in seconds east.
    pub utc_offset: i32,
    /// Received signal strength, dBm.
    pub rssi: i8,
    /// The offline cookie that the box gave the device, if it gives any.
    pub offline_cookie: Option<u32>,
}

/// The pseudonym of a device in one store on one salt day, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token(pub u128);

/// One sensor ping with its token instead of the device: the only form in which pings are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenizedPing {
    /// The brand.
    pub brand: BrandId,
    /// The store of the sensor.
    pub store: Label,
    /// The token of the device.
    pub token: Token,
    /// Whether the MAC address is locally administered (IEEE 802, U/L bit), and so random.
    pub random: bool,
    /// The store's salt day.
    pub salt_day: Day,
    /// Unix seconds.
    pub second: i64,
    /// The brand's offset from UTC at that second, in seconds east.
    pub utc_offset: i32,
    /// Received signal strength, dBm.
    pub rssi: i8,
    /// The offline cookie that the box gave the device, if it gives any.
    pub offline_cookie: Option<u32>,
}

/// One device in one store on one salt day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceDay {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The salt day.
    pub salt_day: Day,
    /// The device's token of that store and day.
    pub token: Token,
}

/// The number of devices of one closed salt day that came to one store in exactly some hours. No device is named, and how long
/// each stayed is in the totals of the hours alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SettledDevices {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The salt day.
    pub salt_day: Day,
    /// The hours, ascending: the start of each in Unix seconds, and the offset from UTC in seconds east.
    pub hours: Vec<(i64, i32)>,
    /// The devices with fixed addresses.
    pub devices: i64,
    /// Those with random addresses.
    pub random: i64,
}

/// The totals of the pings of one closed salt day in one hour of one store. Nothing in it can be traced to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SettledHour {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The start of the hour, Unix seconds.
    pub hour: i64,
    /// The brand's offset from UTC at that hour, in seconds east.
    pub utc_offset: i32,
    /// Visits, passers-by, seconds of dwell, devices and random devices, in the order of the family `visits`.
    pub values: [i64; 5],
}

/// One visit of a closed salt day: no token, and nothing that connects it with another visit of the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClosedVisit {
    /// The first second, Unix seconds.
    pub first: i64,
    /// The last second.
    pub last: i64,
    /// The low 16 bits of the offline cookie of its device.
    pub cookie: u16,
}

/// Visits of one closed salt day in one store, for a brand with partners. A day may be in several parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClosedVisits {
    /// The brand.
    pub brand: BrandId,
    /// The store.
    pub store: Label,
    /// The salt day.
    pub salt_day: Day,
    /// The number of bits of an offline cookie by which the day is matched, at most 16; the same in all parts.
    pub bits: u8,
    /// The visits.
    pub visits: Vec<ClosedVisit>,
}

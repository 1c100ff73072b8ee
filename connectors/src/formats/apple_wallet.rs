//! Apple Wallet: the requests that phones make to a brand's pass web service, as its server logs them.
//!
//! Facts: <https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes>.
//!
//! A phone registers a pass with `POST …/devices/<device>/registrations/<type>/<serial>`, and unregisters it with `DELETE`. Only
//! requests that the server accepted count. The device library identifier is kept as the first 16 hex digits of its
//! SHA-256, and push tokens are not read. Scans are no part of the protocol: tills report them.

use data_encoding::HEXLOWER;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use tributary_config::model::Kind;

use super::adapter::{Emit, Item, emit_all, object};
use super::json::{Json, Object};
use super::record::{NativeRecord, missing, wrong_type};
use crate::dead_letter::Refusal;
use crate::native::fields::Field;

/// Reads a log line.
pub fn read<'a>(item: Item<'a>, emit: &mut Emit<'_, 'a>) {
    let converted = object(item.text).and_then(|line| convert(&line));
    emit_all(item.text, converted, emit);
}

/// The record of a registration; none for any other request.
fn convert<'a>(line: &Object<'a>) -> Result<Vec<NativeRecord<'a>>, Refusal> {
    let method = line.get("method").text();
    let kind = match method.as_deref() {
        Some("POST") => "install",
        Some("DELETE") => "remove",
        Some(_) => return Ok(Vec::new()),
        None => return Err(missing("method")),
    };
    let path = line.get("path").text().ok_or_else(|| missing("path"))?;
    let Some([device, serial]) = registration(&path) else {
        return Ok(Vec::new());
    };
    let status = line.get("status");
    let code = status.integer().ok_or_else(|| match status.is_absent() {
        true => missing("status"),
        false => wrong_type("status", "an integer"),
    })?;
    if !(200..300).contains(&code) {
        return Ok(Vec::new());
    }
    let at = line.get("at");
    let ts = at.integer().ok_or_else(|| match at.is_absent() {
        true => missing("at"),
        false => wrong_type("at", "integer Unix milliseconds"),
    })?;
    let holder = HEXLOWER.encode(&Sha256::digest(device.as_bytes()));
    let holder = holder.get(..16).unwrap_or_default();
    let mut record = NativeRecord::new(Kind::Wallet);
    let id = format!("{serial}|{holder}|{ts}|{kind}");
    record.put_text(Field::Id, "path", &id);
    record.put_json(Field::Ts, "at", ts.to_string());
    record.put_text(Field::Type, "method", kind);
    record.put_text(Field::Wallet, "path", &serial);
    record.set(Field::Platform, Json::of("\"apple\"").raw());
    record.put_text(Field::Holder, "path", holder);
    Ok(vec![record])
}

/// The device and the serial number in the path of a registration.
fn registration(path: &str) -> Option<[String; 2]> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let (serial, _pass_type) = (parts.next()?, parts.next()?);
    let (registrations, device, devices) = (parts.next()?, parts.next()?, parts.next()?);
    let is_one = registrations == "registrations" && devices == "devices";
    let decoded = |part: &str| percent_decode_str(part).decode_utf8().ok().map(Into::into);
    let [device, serial]: [String; 2] = [decoded(device)?, decoded(serial)?];
    (is_one && !device.is_empty() && !serial.is_empty()).then_some([device, serial])
}

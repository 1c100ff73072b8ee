//! Wallet records: what pass servers and tills report of a pass.
//!
//! The token in `wallet` names the pass, so that a record without one, or with a token that is blocked, is about nothing. The device
//! of a holder is kept as a keyed hash of 64 bits, by which registrations of one device are told apart; it identifies nobody.

use tributary_operators::event::Event;
use tributary_operators::label::{Channel, Label};
use tributary_operators::record::{Body, IdKind, WalletPlatform, WalletType};

use super::channel;
use super::fields::Field;
use super::identifiers::Identifiers;
use super::labels;
use super::line::Line;
use super::reader::{FieldResult, missing};
use super::record::{self, RecordHead};
use super::web::announce_channel;
use crate::dead_letter::{Reason, Refusal, Sink};
use crate::keys::MAX_IDENTIFIER;

/// The identifiers of a wallet record.
const IDENTIFIERS: [(Field, IdKind); 4] = [
    (Field::Wallet, IdKind::Wallet),
    (Field::Email, IdKind::Email),
    (Field::Phone, IdKind::Phone),
    (Field::Customer, IdKind::Customer),
];

/// Decodes a wallet record.
///
/// # Errors
/// `missing_field`, `unknown_type`, and those of the time stamp and the identifiers.
pub fn read(line: &mut Line<'_, '_>, sink: &mut impl Sink) -> FieldResult<Event> {
    let head = RecordHead::read(line)?;
    let kind = line.reader.required(Field::Type)?;
    let mut kinds = WalletType::ALL.into_iter();
    let kind = kinds.find(|of| of.name() == &*kind).ok_or_else(|| {
        Refusal::new(
            Reason::UnknownType,
            "`type` must be issue, void, install, remove, push, open, scan or redeem",
        )
    })?;
    let ids = Identifiers::read(line, &IDENTIFIERS)?.set(line);
    if !ids.ids().iter().any(|id| id.kind == IdKind::Wallet) {
        return Err(missing(Field::Wallet));
    }
    let platform = match line.reader.label(Field::Platform)? {
        None => WalletPlatform::Other,
        Some(name) => {
            let mut platforms = WalletPlatform::ALL.into_iter();
            platforms.find(|of| of.name() == &*name).ok_or_else(|| {
                Refusal::new(
                    Reason::UnknownType,
                    "`platform` must be apple, google, samsung or other",
                )
            })?
        }
    };
    let store = match kind.is_scan() {
        false => Label::ABSENT,
        true => {
            let store = labels::normalize(line.reader.required(Field::Store)?);
            if store.is_empty() {
                return Err(missing(Field::Store));
            }
            line.labels.announce(&store, sink)
        }
    };
    let body = Body::Wallet {
        kind,
        platform,
        store,
        channel: channel_of(line, kind, sink)?,
        holder: match matches!(kind, WalletType::Install | WalletType::Remove) {
            true => holder(line)?,
            false => 0,
        },
    };
    Ok(record::put_event(line, head, ids, body, sink))
}

/// The channel of a record that has one. A push or an open that names none has that of its type.
fn channel_of(
    line: &mut Line<'_, '_>,
    kind: WalletType,
    sink: &mut impl Sink,
) -> FieldResult<Channel> {
    let medium = match kind {
        WalletType::Push => "push",
        WalletType::Open => "pass",
        WalletType::Redeem => "",
        _ => return Ok(Channel::default()),
    };
    let named = channel::of_fields(&line.reader, &line.brand.channels)?;
    let mut words = named.unwrap_or_default();
    if !medium.is_empty() {
        for (word, default) in words.iter_mut().zip(["wallet", medium]) {
            if word.is_empty() {
                *word = default.into();
            }
        }
    }
    Ok(announce_channel(line, &words, sink))
}

/// The keyed hash of the device that registers a pass; 0 if the record names none.
fn holder(line: &Line<'_, '_>) -> FieldResult<u64> {
    let text = line.reader.clear(Field::Holder, MAX_IDENTIFIER)?;
    Ok(
        text.map_or(0, |text| match labels::normalize((&*text).into()) {
            holder if holder.is_empty() => 0,
            holder => line.brand.key.wallet_holder(&holder),
        }),
    )
}

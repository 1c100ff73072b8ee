//! Which records are contacts with a channel.

use tributary_operators::label::Channel;
use tributary_operators::record::{Body, TouchKind, WalletType};

/// The contact that a record is: its kind, its channel, and whether it is a touchpoint. A push is an impression, and an open a
/// click. What a partner has shown, or seen clicked, is what it says.
pub(crate) fn contact_of(body: &Body) -> Option<(TouchKind, Channel, bool)> {
    match *body {
        Body::Contact {
            kind,
            channel,
            touch,
        } => Some((kind, channel, touch)),
        Body::Wallet { kind, channel, .. } => match kind {
            WalletType::Push => Some((TouchKind::Impression, channel, true)),
            WalletType::Open => Some((TouchKind::Click, channel, true)),
            _ => None,
        },
        Body::Exposure { kind, channel } => Some((kind, channel, true)),
        _ => None,
    }
}

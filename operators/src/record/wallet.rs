//! Wallet passes: what pass servers and tills report of them.
//!
//! A pass is known by its token. A phone that holds it is a *holder*; registrations repeat, and one phone may register under
//! several device numbers, so that passes are counted and never registrations.

use serde::{Deserialize, Serialize};

use crate::record::touch::TouchKind;

/// What happened to a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WalletType {
    /// It was made.
    Issue,
    /// It is worthless from now on.
    Void,
    /// A holder registered it.
    Install,
    /// A holder unregistered it.
    Remove,
    /// A message was sent to its holders: an impression.
    Push,
    /// The customer opened its link: a click.
    Open,
    /// A till read it.
    Scan,
    /// A till read it, with a voucher.
    Redeem,
}

impl WalletType {
    /// Every type, in the order of their discriminants.
    pub const ALL: [WalletType; 8] = [
        WalletType::Issue,
        WalletType::Void,
        WalletType::Install,
        WalletType::Remove,
        WalletType::Push,
        WalletType::Open,
        WalletType::Scan,
        WalletType::Redeem,
    ];

    /// The name of the type in messages.
    pub fn name(self) -> &'static str {
        match self {
            WalletType::Issue => "issue",
            WalletType::Void => "void",
            WalletType::Install => "install",
            WalletType::Remove => "remove",
            WalletType::Push => "push",
            WalletType::Open => "open",
            WalletType::Scan => "scan",
            WalletType::Redeem => "redeem",
        }
    }

    /// Whether a till read the pass.
    pub fn is_scan(self) -> bool {
        matches!(self, WalletType::Scan | WalletType::Redeem)
    }

    /// The kind of contact with a channel that it is, if any.
    pub fn touch(self) -> Option<TouchKind> {
        match self {
            WalletType::Push => Some(TouchKind::Impression),
            WalletType::Open => Some(TouchKind::Click),
            _ => None,
        }
    }
}

/// The platform of a pass.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum WalletPlatform {
    /// Apple Wallet.
    Apple,
    /// Google Wallet.
    Google,
    /// Samsung Wallet.
    Samsung,
    /// Any other, or unknown.
    #[default]
    Other,
}

impl WalletPlatform {
    /// Every platform, in the order of their discriminants.
    pub const ALL: [WalletPlatform; 4] = [
        WalletPlatform::Apple,
        WalletPlatform::Google,
        WalletPlatform::Samsung,
        WalletPlatform::Other,
    ];

    /// The name of the platform in messages, cells and metrics.
    pub fn name(self) -> &'static str {
        match self {
            WalletPlatform::Apple => "apple",
            WalletPlatform::Google => "google",
            WalletPlatform::Samsung => "samsung",
            WalletPlatform::Other => "other",
        }
    }
}

//! Native wallet records: what they become, and what refuses them.

use tributary_connectors::dead_letter::Reason;
use tributary_operators::label::Channel;
use tributary_operators::record::{Body, IdKind, WalletPlatform, WalletType};

use crate::common::AT;
use crate::sink::{body, reason, record};

fn line(fields: &str) -> String {
    format!(r#"{{"id":"1","ts":{AT},"wallet":"W1",{fields}}}"#)
}

fn wallet(fields: &str) -> (WalletType, WalletPlatform, Channel, u64) {
    match body("wallet", &line(fields)) {
        Body::Wallet {
            kind,
            platform,
            channel,
            holder,
            ..
        } => (kind, platform, channel, holder),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_push_and_an_open_have_a_channel_that_their_fields_may_name() {
    let channel = |fields| wallet(fields).2;
    assert_eq!(
        channel(r#""type":"push""#),
        Channel::of("wallet", "push", "")
    );
    assert_eq!(
        channel(r#""type":"open""#),
        Channel::of("wallet", "pass", "")
    );
    let sale = r#""type":"push","campaign":"sale""#;
    assert_eq!(channel(sale), Channel::of("wallet", "push", "sale"));
    let own = r#""type":"open","source":"app","medium":"card""#;
    assert_eq!(channel(own), Channel::of("app", "card", ""));
    // A voucher has no default, and an installation no channel.
    let voucher = r#""type":"redeem","store":"s","campaign":"-10""#;
    assert_eq!(channel(voucher), Channel::of("", "", "-10"));
    assert_eq!(
        channel(r#""type":"install","campaign":"x""#),
        Channel::default()
    );
}

#[test]
fn a_holder_is_known_by_a_hash_of_its_number() {
    let holder = |fields| wallet(fields).3;
    let install = holder(r#""type":"install","holder":"a""#);
    assert_ne!(install, 0);
    assert_eq!(holder(r#""type":"remove","holder":" a ""#), install);
    assert_ne!(holder(r#""type":"install","holder":"b""#), install);
    assert_eq!(holder(r#""type":"install""#), 0);
    let (_, platform, ..) = wallet(r#""type":"install","platform":"samsung""#);
    assert_eq!(platform, WalletPlatform::Samsung);
    assert_eq!(wallet(r#""type":"issue""#).1, WalletPlatform::Other);
}

#[test]
fn a_record_links_the_pass_with_what_else_it_names() {
    let ids = record(
        "wallet",
        &line(r#""type":"issue","email":"a@example.org","customer":"7""#),
    )
    .ids;
    let kinds: Vec<IdKind> = ids.ids().iter().map(|id| id.kind).collect();
    assert!(
        [IdKind::Wallet, IdKind::Email, IdKind::Customer]
            .iter()
            .all(|kind| kinds.contains(kind))
    );
}

#[test]
fn what_is_missing_or_unknown_refuses_the_record() {
    let of = |fields| reason("wallet", &line(fields));
    assert_eq!(of(r#""type":"scan""#), Reason::MissingField);
    assert_eq!(of(r#""type":"redeem","store":"""#), Reason::MissingField);
    assert_eq!(of(r#""type":"click""#), Reason::UnknownType);
    assert_eq!(
        of(r#""type":"issue","platform":"paper""#),
        Reason::UnknownType
    );
    let nobody =
        |token: &str| format!(r#"{{"id":"1","ts":{AT},"wallet":"{token}","type":"issue"}}"#);
    assert_eq!(reason("wallet", &nobody("")), Reason::MissingField);
    assert_eq!(reason("wallet", &nobody("null")), Reason::MissingField);
}

//! Adjustments: a negative amount without a sale changes revenue, and nothing else.

use crate::support::{EUR, World};
use tributary_operators::cell::Family;
use tributary_operators::label::Label;
use tributary_operators::record::{Body, SaleKind};

fn adjustment(kind: SaleKind, amount: i64) -> Body {
    let store = match kind {
        SaleKind::Order => Label::ABSENT,
        _ => Label::of("lyon"),
    };
    Body::Adjustment {
        kind,
        store,
        amount,
        currency: EUR,
    }
}

#[test]
fn it_counts_on_its_own_day_as_value_alone() {
    let mut world = World::new();
    world.click("1", 0, "cookie:c", "google");
    world.sale("s", 1, "cookie:c", 100);
    world.put_from(
        "till",
        "a",
        2,
        "cookie:c",
        adjustment(SaleKind::Transaction, -30),
    );
    world.put("b", 2, "cookie:c", adjustment(SaleKind::Order, -7));

    assert_eq!(world.lines(Family::StoreDay), ["lyon day0 EUR = 1 70 1"]);
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 0 -7 0"]);
    for model in [
        "first",
        "last",
        "last_non_direct",
        "linear",
        "position",
        "shapley",
    ] {
        assert_eq!(
            world.credits(model),
            [
                "google - - = 1000000 100",
                "unattributed - - = 0 -30",
                "unattributed - - = 0 -7"
            ]
        );
    }
    // The path's month knows conversions alone.
    assert_eq!(
        world.lines(Family::MarkovMonth),
        ["transaction 1970-01 EUR google - - = 1000000 1000000 100"]
    );
}

#[test]
fn it_is_a_contributor_but_no_person() {
    let mut world = World::new();
    world.brand().k = 2;
    world.put("b", 2, "cookie:c", adjustment(SaleKind::Order, -7));
    assert!(world.lines(Family::OrdersDay).is_empty());
    world.put("c", 2, "cookie:c", adjustment(SaleKind::Order, -7));
    assert_eq!(world.lines(Family::OrdersDay), ["day0 EUR = 0 -14 0"]);
    assert_eq!(world.credits("first"), ["unattributed - - = 0 -14"]);
}

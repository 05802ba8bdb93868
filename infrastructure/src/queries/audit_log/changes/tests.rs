use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    product::{ProductDetails, VariantDetails},
    stock::{Policy, Report},
    values::{
        ConnectionId, Currency, LocationCode, Market, Money, ProductId, Quantity, Sku, StockId, VariantId,
    },
};
use uuid::Uuid;

use super::*;
use crate::queries::difference::changes;

fn at(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0)
}

fn units(units: i64) -> Quantity {
    Quantity::new(units).expect("in range")
}

/// Each event tells what differs in the whole state by it. Gives what each has told.
fn told(stream: &StreamId, events: impl IntoIterator<Item = Event>) -> Vec<Vec<Difference>> {
    let mut state = State::initial(stream);
    let mut all = vec![];
    for event in events {
        let before = state.clone();
        let name = event.name();
        let told = evolve(&mut state, &event).expect("it belongs into this stream");
        assert_eq!(told, changes(&before, &state), "{name}");
        all.push(told);
    }
    all
}

#[test]
fn what_an_entry_changes_on_a_shelf_is_all_that_differs_by_it() {
    let buyer = ReservationId(Uuid::from_u128(1));
    let other = ReservationId(Uuid::from_u128(2));
    let hold = |reservation, quantity| StockEvent::Reserved {
        reservation,
        quantity: units(quantity),
        expires_at: at(900),
        origin: None,
        occurred_at: None,
    };
    let (quantity, reference, occurred_at) = (units(1), None::<String>, at(100));
    let location = LocationCode::new("berlin").expect("a location");
    let events = [
        StockEvent::Restocked { quantity: units(20), reference: None, occurred_at, origin: None },
        hold(other, 2),
        hold(buyer, 4),
        StockEvent::Extended { reservation: buyer, expires_at: at(1_000).expect("a time"), payment: true },
        StockEvent::Committed {
            reservation: buyer,
            quantity,
            reference: Some("s-1".into()),
            occurred_at,
            origin: None,
        },
        StockEvent::Released { reservation: buyer, quantity, origin: None, occurred_at: None },
        StockEvent::Expired { reservation: buyer, quantity: units(2), occurred_at: None },
        StockEvent::Regained { reservation: buyer, quantity, occurred_at: None },
        StockEvent::RefundDue { reservation: buyer, quantity },
        StockEvent::Waived { reservation: buyer },
        StockEvent::PolicySet(Policy { backorder_limit: units(3), low_stock_threshold: Some(units(2)) }),
        StockEvent::Adjusted { delta: -3, reason: "lost".into(), reference: reference.clone(), occurred_at },
        StockEvent::TransferredOut { quantity, to: location.clone(), reference: None, occurred_at },
        StockEvent::TransferredIn { quantity, from: location.clone(), reference: None, occurred_at },
        StockEvent::Counted {
            counted: units(3),
            reference,
            occurred_at: at(200),
            on_hand: None,
            figure: None,
        },
        StockEvent::Covered { report: Report::Adjustment(-2), occurred_at: at(150).expect("a time") },
        StockEvent::Low { available: units(1), threshold: units(2) },
        StockEvent::Recovered { available: units(7) },
    ];
    let shelf = StreamId::Stock(StockId { variant: VariantId(Uuid::from_u128(3)), location });
    let told = told(&shelf, events.map(Event::from));
    let reserved = Difference { path: "/reserved".into(), before: json!(2), after: json!(6) };
    assert!(told[2].contains(&reserved), "{:?}", told[2]);
    assert!(told[8].is_empty() && !told[7].is_empty(), "{told:?}");
}

#[test]
fn what_an_entry_changes_in_a_product_is_all_that_differs_by_it() {
    let (variant, other) = (VariantId(Uuid::from_u128(1)), VariantId(Uuid::from_u128(2)));
    let sku = |sku: &str| VariantDetails { sku: Sku::new(sku).expect("a SKU"), attributes: BTreeMap::new() };
    let titled = |title: &str| ProductDetails { title: title.into(), ..ProductDetails::default() };
    let price = |minor, at| ProductEvent::Priced {
        variant,
        market: Market::new("US").expect("a market"),
        price: Money::new(minor, Currency::new("USD").expect("a currency")).expect("in range"),
        at,
        counted_at: None,
    };
    let shop = |number| ConnectionId(Uuid::from_u128(number));
    let seen = |connection, seconds| ProductEvent::Observed {
        connection: shop(connection),
        external: Some(1.into()),
        at: at(seconds),
        shows: None,
    };
    let words = |title: &str| titled(title).words();
    let shown = |connection, title: &str| ProductEvent::Observed {
        connection: shop(connection),
        external: Some(1.into()),
        at: None,
        shows: Some(words(title)),
    };
    let pushed = |connection, title: &str| ProductEvent::Pushed {
        connection: shop(connection),
        words: words(title),
        shows: words(title),
        at: DateTime::UNIX_EPOCH,
    };
    let events = [
        ProductEvent::Created(titled("Runner")),
        ProductEvent::VariantAdded { variant, details: sku("R-1") },
        ProductEvent::VariantAdded { variant: other, details: sku("R-2") },
        ProductEvent::VariantChanged { variant, details: sku("R-3") },
        price(12_000, None),
        price(11_000, at(100)),
        seen(1, 100),
        seen(2, 100),
        seen(1, 200),
        ProductEvent::Described(titled("Runner II")),
        shown(1, "Runner"),
        pushed(1, "Runner II"),
        pushed(2, "Runner II"),
        ProductEvent::Archived {},
        ProductEvent::TakenOff { connection: shop(1) },
        ProductEvent::PushFailed { connection: shop(2), reason: "503".into(), attempts: 12, refused: false },
        ProductEvent::Restored {},
    ];
    let told = told(&StreamId::Product(ProductId(Uuid::from_u128(9))), events.map(Event::from));
    assert!(told.iter().all(|changes| !changes.is_empty()), "{told:?}");
    let title =
        Difference { path: "/details/title".into(), before: json!("Runner"), after: json!("Runner II") };
    assert_eq!(told[9], [title]);
}

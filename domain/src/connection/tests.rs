//! Connections: what may be asked of one, and what is noted of how it fares.

use uuid::Uuid;

use super::*;
use crate::scenario::given;

const C: ConnectionId = ConnectionId(Uuid::from_u128(1));

fn shop() -> ConnectionDetails {
    ConnectionDetails {
        platform: Platform::Shopify,
        name: "Sneaks One".into(),
        brand: "sneaks".into(),
        account: Some("sneaks-one.example".into()),
        app: None,
        endpoint: None,
        platform_location: Some(ExternalId::from(7)),
        location: LocationCode::default(),
        market: Market::default(),
        currency: Currency::new("USD").expect("a currency"),
    }
}

fn created() -> ConnectionEvent {
    ConnectionEvent::Created { details: shop(), rules: SyncRules::default() }
}

#[test]
fn a_shopify_connection_without_a_shop_is_refused() {
    let details = ConnectionDetails { account: None, ..shop() };
    given::<Connection>(C, [])
        .when(ConnectionCommand::Create { details, rules: SyncRules::default() })
        .then_refused("connection.invalid");
}

#[test]
fn an_endpoint_is_a_bare_https_address_or_this_machine() {
    for fine in [
        "https://a.example",
        "https://a.example:444",
        "https://a.example:65535",
        "https://[2001:db8::1]",
        "https://[2001:db8::1]:444",
        "http://127.0.0.1:80",
        "http://localhost",
        "http://[::1]:1",
    ] {
        assert!(is_endpoint(fine), "{fine}");
    }
    for wrong in [
        "http://a.example",
        "https://me:secret@a.example",
        "https://a.example/x",
        "ftp://a",
        "http://127.0.0.1.example",
        "https://",
        "https://:80",
        "https://a.example:0",
        "https://a.example:65536",
        "https://a.example:abc",
        "https://a.example:+80",
        "https://a.example:",
        "https://a:b:80",
        "https://[::1",
        "https://[nowhere]:80",
        "http://localhost:99999",
        "",
    ] {
        assert!(!is_endpoint(wrong), "{wrong}");
    }
}

#[test]
fn switching_on_twice_is_switching_on_once() {
    given::<Connection>(C, [created()]).when(ConnectionCommand::Enable).then([ConnectionEvent::Enabled {}]);
    given::<Connection>(C, [created(), ConnectionEvent::Enabled {}]).when(ConnectionCommand::Enable).then([]);
}

#[test]
fn a_rest_begins_and_ends_once() {
    given::<Connection>(C, [created()]).when(ConnectionCommand::Resume).then([]);
    given::<Connection>(C, [created()])
        .when(ConnectionCommand::Pause)
        .then([ConnectionEvent::Paused {}])
        .then_state(|connection| assert!(connection.paused));
    given::<Connection>(C, [created(), ConnectionEvent::Paused {}]).when(ConnectionCommand::Pause).then([]);
}

#[test]
fn a_platform_in_trouble_is_noted_once_until_it_has_recovered() {
    let tripped = || ConnectionEvent::Tripped { reason: "503".into() };
    let trip = || ConnectionCommand::Trip { reason: "503".into() };
    given::<Connection>(C, [created()]).when(trip()).then([tripped()]);
    given::<Connection>(C, [created(), tripped()]).when(trip()).then([]);
    given::<Connection>(C, [created(), tripped(), ConnectionEvent::Recovered {}])
        .when(trip())
        .then([tripped()]);
}

#[test]
fn an_alert_is_raised_once_a_crossing() {
    let raise = |value| ConnectionCommand::RaiseAlert { what: "lag".into(), value, limit: 180 };
    let raised = || ConnectionEvent::AlertRaised { what: "lag".into(), value: 200, limit: 180 };
    let cleared = || ConnectionEvent::AlertCleared { what: "lag".into() };
    given::<Connection>(C, [created()]).when(raise(200)).then([raised()]);
    given::<Connection>(C, [created(), raised()]).when(raise(300)).then([]);
    given::<Connection>(C, [created(), raised()])
        .when(ConnectionCommand::ClearAlert { what: "lag".into() })
        .then([cleared()]);
    given::<Connection>(C, [created(), raised(), cleared()]).when(raise(200)).then([raised()]);
}

#[test]
fn what_does_not_exist_cannot_be_switched_on() {
    given::<Connection>(C, []).when(ConnectionCommand::Enable).then_refused("connection.unknown");
}

#[test]
fn by_default_no_platform_writes_stock() {
    assert!(!SyncRules::default().accept_inventory);
}

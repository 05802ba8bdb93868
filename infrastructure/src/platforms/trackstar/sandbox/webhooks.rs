//! The stand-in's webhooks: whole records in an envelope, signed as Svix signs.
//!
//! Nothing is told of what was removed, because the platform tells nothing of it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    super::super::sandbox::{Happened, Parcel, Shop},
    records::{self, Shelf},
};

/// Something to be told.
struct Event {
    topic: &'static str,
    data: Value,
    /// Whether it is told to those who listen to everything.
    of_all: bool,
}

/// One delivery for each listener and event.
pub(super) fn tell(shop: &Shop, happened: Happened) -> Vec<Parcel> {
    let events = events(shop, happened);
    let mut parcels = vec![];
    for listener in &shop.subscriptions {
        let hears = |event: &&Event| listener.topic == event.topic || (listener.topic == "*" && event.of_all);
        let secret = listener.secret.as_deref().unwrap_or(&shop.settings.webhook_secret);
        let told = events.iter().filter(hears);
        parcels.extend(told.filter_map(|event| parcel(shop, event, &listener.address, secret)));
    }
    parcels
}

fn events(shop: &Shop, happened: Happened) -> Vec<Event> {
    match happened {
        Happened::Product(first) => {
            let places = shop.product(&shop.goods[first].product).into_iter();
            places.flat_map(|place| product(shop, place)).collect()
        }
        Happened::Quantity(place) => {
            let cart = of_good(shop, "cart-product.updated", Shelf::Cart, place);
            cart.into_iter().chain(of_good(shop, "inventory.updated", Shelf::Inventory, place)).collect()
        }
        Happened::Price(place) => {
            let cart = of_good(shop, "cart-product.updated", Shelf::Cart, place);
            cart.into_iter().chain(of_good(shop, "product.updated", Shelf::Products, place)).collect()
        }
        Happened::Ordered(place) => vec![of_order(shop, "cart-order.created", place)],
        Happened::Cancelled(place) => vec![of_order(shop, "cart-order.updated", place)],
        Happened::Removed(_) => vec![],
    }
}

/// A good as it is, in each of its records. It is new if it has never changed.
fn product(shop: &Shop, place: usize) -> Vec<Event> {
    let [cart, product, inventory] = if shop.goods[place].version == 1 {
        ["cart-product.created", "product.created", "inventory.created"]
    } else {
        ["cart-product.updated", "product.updated", "inventory.updated"]
    };
    let events = [(cart, Shelf::Cart), (product, Shelf::Products), (inventory, Shelf::Inventory)];
    events.into_iter().filter_map(|(topic, shelf)| of_good(shop, topic, shelf, place)).collect()
}

/// A record of a good, if there is one. All are told of a cart's, and of a warehouse's if it is in no cart.
fn of_good(shop: &Shop, topic: &'static str, shelf: Shelf, place: usize) -> Option<Event> {
    let good = &shop.goods[place];
    let of_all = shelf == Shelf::Cart || !Shelf::Cart.has(good);
    shelf.has(good).then(|| Event { topic, data: shelf.record_at(shop, place), of_all })
}

fn of_order(shop: &Shop, topic: &'static str, place: usize) -> Event {
    Event { topic, data: records::cart_order(shop, &shop.orders[place]), of_all: true }
}

fn parcel(shop: &Shop, event: &Event, address: &str, secret: &str) -> Option<Parcel> {
    let mut envelope = json!({
        "connection_id": shop.settings.account, "integration_name": "sandbox", "event_type": event.topic,
        "data": event.data,
    });
    if event.topic.ends_with(".updated") {
        envelope["previous_attributes"] = json!({});
    }
    let body = envelope.to_string().into_bytes();
    let id = format!("msg_{}", Uuid::new_v4().simple());
    let sent = shop.now().timestamp().to_string();
    let Some(signature) = signature(secret, &id, &sent, &body) else {
        tracing::warn!("the stand-in signs with base64 after whsec_, and has been given something else");
        return None;
    };
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("user-agent", "Svix-Webhooks/1.62.0".to_owned()),
        ("svix-id", id),
        ("svix-timestamp", sent),
        ("svix-signature", signature),
    ];
    Some(Parcel { address: address.to_owned(), headers, body })
}

/// The HMAC of id, time and body with dots between; none if the secret is none of Svix's.
fn signature(secret: &str, id: &str, sent: &str, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{sent}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

//! Square's webhooks: counts are told in full, the catalogue and orders are only named.
//!
//! What is signed is the address followed by the body, with the key of the subscription.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::{
    super::super::sandbox::{Happened, Parcel, Shop},
    inventory, orders, time,
};

/// What a webhook says: its topic, what sort of thing it is about, which one, and what is told of it under which name.
struct News {
    topic: &'static str,
    kind: &'static str,
    id: String,
    name: &'static str,
    object: Value,
}

/// The webhooks of what has happened. Square has no topic for prices, products and their end: the catalogue has changed.
pub(super) fn tell(shop: &Shop, happened: &Happened) -> Vec<Parcel> {
    let news = news(shop, happened);
    let told = shop.subscriptions.iter().filter(|it| it.topic == news.topic || it.topic == "*");
    let body = body(shop, &news).to_string().into_bytes();
    let parcel = |address: &str, secret: Option<&str>| {
        let key = secret.unwrap_or(&shop.settings.webhook_secret);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "Square Connect v2".to_owned()),
            ("x-square-hmacsha256-signature", signature(key, address, &body)),
        ];
        Parcel { address: address.to_owned(), headers, body: body.clone() }
    };
    told.map(|it| parcel(&it.address, it.secret.as_deref())).collect()
}

fn news(shop: &Shop, happened: &Happened) -> News {
    match happened {
        Happened::Quantity(place) => News {
            topic: "inventory.count.updated",
            kind: "inventory_counts",
            id: Uuid::new_v4().to_string(),
            name: "inventory_counts",
            object: json!([inventory::written(shop, &shop.goods[*place])]),
        },
        Happened::Price(_) | Happened::Product(_) | Happened::Removed(_) => News {
            topic: "catalog.version.updated",
            kind: "catalog_version",
            id: Uuid::new_v4().to_string(),
            name: "catalog_version",
            object: json!({ "updated_at": time(shop.now()) }),
        },
        Happened::Ordered(place) => News {
            topic: "order.created",
            kind: "order_created",
            id: shop.orders[*place].id.clone(),
            name: "order_created",
            object: order(shop, *place),
        },
        Happened::Cancelled(place) => News {
            topic: "order.updated",
            kind: "order_updated",
            id: shop.orders[*place].id.clone(),
            name: "order_updated",
            object: order(shop, *place),
        },
    }
}

fn order(shop: &Shop, place: usize) -> Value {
    let order = &shop.orders[place];
    json!({
        "order_id": order.id,
        "location_id": shop.settings.location,
        "state": orders::state(order),
        "version": order.version,
        "created_at": time(order.placed_at),
        "updated_at": time(order.changed_at),
    })
}

fn body(shop: &Shop, news: &News) -> Value {
    json!({
        "merchant_id": shop.settings.account,
        "type": news.topic,
        "event_id": Uuid::new_v4(),
        "created_at": time(shop.now()),
        "data": { "type": news.kind, "id": news.id, "object": { news.name: news.object } },
    })
}

fn signature(key: &str, address: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    mac.update(address.as_bytes());
    mac.update(body);
    let code: [u8; 32] = mac.finalize().into_bytes().into();
    STANDARD.encode(code)
}

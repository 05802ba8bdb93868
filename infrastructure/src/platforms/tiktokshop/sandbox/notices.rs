//! Notices: that something has changed, and hardly ever how. There is none that is about prices alone.

use serde_json::{Value, json};

use super::{
    super::super::sandbox::{Good, Happened, Order, Parcel, Shop},
    signature,
};

/// The shop's own id, which is not the cipher it is called by.
const SHOP: &str = "7490000000000000042";

/// An event's name, its number, and what is said of it.
type Notice = (&'static str, i64, Value);

/// The notice of what has happened, once for each who is told of it.
pub(super) fn tell(shop: &Shop, happened: Happened) -> Vec<Parcel> {
    let Some((event, kind, data)) = notice(shop, happened) else { return vec![] };
    let now = shop.now();
    // The same may happen again, and is then another notice.
    let id = format!("{}{kind:02}{:03}", now.timestamp_micros(), place(happened) % 1_000);
    let body = json!({
        "type": kind, "tts_notification_id": id, "shop_id": SHOP, "timestamp": now.timestamp(), "data": data,
    });
    let body = body.to_string();
    let signed = signature(&shop.settings.webhook_secret, format!("{}{body}", shop.settings.app).as_bytes());
    let told = shop.subscriptions.iter().filter(|it| it.topic == event || it.topic == "*");
    told.map(|it| Parcel {
        address: it.address.clone(),
        headers: vec![("Content-Type", "application/json".into()), ("Authorization", signed.clone())],
        body: body.clone().into_bytes(),
    })
    .collect()
}

fn place(happened: Happened) -> usize {
    match happened {
        Happened::Quantity(place)
        | Happened::Price(place)
        | Happened::Product(place)
        | Happened::Removed(place)
        | Happened::Ordered(place)
        | Happened::Cancelled(place) => place,
    }
}

fn notice(shop: &Shop, happened: Happened) -> Option<Notice> {
    Some(match happened {
        Happened::Product(place) | Happened::Removed(place) => status(shop.goods.get(place)?),
        Happened::Price(place) => information(shop.goods.get(place)?),
        Happened::Quantity(place) => inventory(shop.goods.get(place)?),
        Happened::Ordered(place) | Happened::Cancelled(place) => order(shop.orders.get(place)?),
    })
}

/// Whatever has become of a product, deletion too. Of the notices this one has the id as a number.
fn status(good: &Good) -> Notice {
    let id: Value = good.product.parse::<u64>().map_or_else(|_| json!(good.product), |id| json!(id));
    let data = json!({
        "product_id": id, "status": "PRODUCT_STATUS_CHANGED", "suspended_reason": "",
        "update_time": good.changed_at.timestamp(),
    });
    ("PRODUCT_STATUS_CHANGE", 5, data)
}

fn information(good: &Good) -> Notice {
    let data = json!({
        "product_id": good.product, "change_source": "SELLER_CENTER", "changed_fields": ["others"],
        "update_time": good.changed_at.timestamp(),
    });
    ("PRODUCT_INFORMATION_CHANGE", 15, data)
}

fn inventory(good: &Good) -> Notice {
    let data = json!({
        "product_id": good.product, "sku_id": good.variant, "occurred_at": good.changed_at.to_rfc3339(),
        "quantity_snapshot_after_change": {
            "total_quantity": good.quantity, "total_available_quantity": good.quantity,
            "total_committed_quantity": 0, "in_shop_quantity": good.quantity,
        },
    });
    ("INVENTORY_CHANGE", 68, data)
}

fn order(order: &Order) -> Notice {
    let status = if order.cancelled { "CANCELLED" } else { "AWAITING_SHIPMENT" };
    let data = json!({
        "order_id": order.id, "order_status": status, "is_on_hold_order": false,
        "update_time": order.changed_at.timestamp(),
    });
    ("ORDER_STATUS_CHANGE", 1, data)
}

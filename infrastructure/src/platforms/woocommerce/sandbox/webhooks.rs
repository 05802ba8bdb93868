//! Webhooks: who wants to be told, and what is told. A change of stock or price is one of the product or variation.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::super::sandbox::{Good, Happened, Parcel, Reply, Request, Shop, Subscription},
    NO_SUCH_ID, decimal, encoded, error, gmt, id, is_simple, paged,
    products::Listed,
};

/// Who wants to be told of what.
struct Webhook<'a> {
    id: &'a str,
    topic: &'a str,
    address: &'a str,
    /// What its deliveries are signed with.
    secret: &'a str,
}

/// Lists webhooks. All are active: this shop gives none up.
pub(super) fn list(shop: &Shop, request: &Request) -> Reply {
    let query = request.query();
    let idle = query.get("status").is_some_and(|status| status != "all" && status != "active");
    let shown: Vec<Webhook<'_>> = webhooks(shop).filter(|_| !idle).collect();
    paged(&shown, &query, Webhook::object)
}

/// Makes a webhook, also where there is one for the topic and the address: each is told by itself.
pub(super) fn create(shop: &mut Shop, request: &Request) -> Reply {
    let asked = request.json();
    let topic = asked["topic"].as_str().unwrap_or_default().to_lowercase();
    let address = asked["delivery_url"].as_str().unwrap_or_default();
    if !is_topic(&topic) {
        let message = "A topic is wanted, of those that there are";
        return error(400, "woocommerce_rest_shop_webhook_invalid_topic", message);
    }
    if !address.starts_with("http://") && !address.starts_with("https://") {
        let message = "An address is wanted, and one of the web";
        return error(400, "woocommerce_rest_shop_webhook_invalid_delivery_url", message);
    }
    let secret = asked["secret"].as_str().filter(|secret| !secret.is_empty()).map(str::to_owned);
    let id = shop.number();
    shop.subscriptions.push(Subscription { id: id.clone(), topic, address: address.to_owned(), secret });
    Reply::with_status(201, shown(shop, &id).unwrap_or_default())
}

/// Gives a webhook another secret; its status stays active.
pub(super) fn update(shop: &mut Shop, id: &str, request: &Request) -> Reply {
    let asked = request.json();
    if let Some(known) = shop.subscriptions.iter_mut().find(|it| it.id == id)
        && let Some(secret) = asked["secret"].as_str().filter(|secret| !secret.is_empty())
    {
        known.secret = Some(secret.to_owned());
    }
    let unknown = || error(400, "woocommerce_rest_shop_webhook_invalid_id", NO_SUCH_ID);
    shown(shop, id).map_or_else(unknown, Reply::ok)
}

/// Ends a webhook, if it is said that this is for good.
pub(super) fn delete(shop: &mut Shop, id: &str, request: &Request) -> Reply {
    if request.query().get("force").is_none_or(|force| force != "true" && force != "1") {
        return error(501, "woocommerce_rest_trash_not_supported", "There is no trash for webhooks");
    }
    let Some(known) = shown(shop, id) else {
        return error(404, "woocommerce_rest_shop_webhook_invalid_id", NO_SUCH_ID);
    };
    shop.unsubscribe(id);
    Reply::ok(known)
}

fn is_topic(topic: &str) -> bool {
    let known = |(resource, event): (&str, &str)| {
        ["coupon", "customer", "order", "product"].contains(&resource)
            && ["created", "updated", "deleted", "restored"].contains(&event)
    };
    topic.split_once('.').is_some_and(known)
}

fn webhooks(shop: &Shop) -> impl Iterator<Item = Webhook<'_>> {
    shop.subscriptions.iter().map(move |it| Webhook {
        id: &it.id,
        topic: &it.topic,
        address: &it.address,
        secret: it.secret.as_deref().unwrap_or(&shop.settings.webhook_secret),
    })
}

fn shown(shop: &Shop, id: &str) -> Option<Value> {
    webhooks(shop).find(|it| it.id == id).map(|it| it.object())
}

impl Webhook<'_> {
    /// The secret is not shown, not even to whoever chose it.
    fn object(&self) -> Value {
        let (resource, event) = self.topic.split_once('.').unwrap_or((self.topic, ""));
        json!({
            "id": id(self.id), "name": format!("To {}", self.address), "status": "active",
            "topic": self.topic, "resource": resource, "event": event, "hooks": [],
            "delivery_url": self.address,
        })
    }

    fn is_about(&self, topic: &str) -> bool {
        self.topic == topic || self.topic == "*"
    }
}

/// The deliveries about what has happened.
pub(super) fn tell(shop: &Shop, happened: Happened) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for (topic, resource) in told(shop, happened) {
        let told = webhooks(shop).filter(|it| it.is_about(topic));
        parcels.extend(told.map(|it| parcel(shop, &it, topic, &resource)));
    }
    parcels
}

fn told(shop: &Shop, happened: Happened) -> Vec<(&'static str, Value)> {
    match happened {
        Happened::Quantity(place) | Happened::Price(place) => {
            let good = shop.goods.get(place);
            good.map(|good| ("product.updated", Listed::of(good).object(shop))).into_iter().collect()
        }
        Happened::Product(place) => {
            let goods = family(shop, place, false);
            let new = goods.iter().all(|good| good.version == 1);
            let topic = if new { "product.created" } else { "product.updated" };
            let products = Listed::products(goods.into_iter());
            products.iter().map(|product| (topic, product.object(shop))).collect()
        }
        Happened::Removed(place) => {
            let goods = family(shop, place, true);
            let draft = goods.iter().all(|good| good.hidden);
            let products = Listed::products(goods.into_iter());
            let gone = |product: &Listed<'_>| {
                if draft {
                    ("product.updated", product.object(shop))
                } else {
                    ("product.deleted", json!({ "id": id(product.id()) }))
                }
            };
            products.iter().map(gone).collect()
        }
        Happened::Ordered(place) => {
            order(shop, place).map(|order| ("order.created", order)).into_iter().collect()
        }
        Happened::Cancelled(place) => {
            order(shop, place).map(|order| ("order.updated", order)).into_iter().collect()
        }
    }
}

/// The goods that share a product with the one at a place.
fn family(shop: &Shop, place: usize, removed: bool) -> Vec<&Good> {
    let product = shop.goods.get(place).map(|good| good.product.as_str());
    let of_it = |good: &&Good| Some(good.product.as_str()) == product && good.removed == removed;
    shop.goods.iter().filter(of_it).collect()
}

/// An order, paid at once.
fn order(shop: &Shop, place: usize) -> Option<Value> {
    let order = shop.orders.get(place)?;
    let sold: Vec<(&Good, i64)> =
        order.lines.iter().filter_map(|(place, units)| Some((shop.goods.get(*place)?, *units))).collect();
    let total: i64 = sold.iter().map(|(good, units)| good.price * units).sum();
    let lines: Vec<Value> =
        (1..).zip(&sold).map(|(at, (good, units))| line(shop, at, good, *units)).collect();
    Some(json!({
        "id": id(&order.id), "parent_id": 0, "number": order.id,
        "status": if order.cancelled { "cancelled" } else { "processing" },
        "currency": shop.settings.currency, "total": decimal(shop, total),
        "date_created_gmt": gmt(order.placed_at), "date_modified_gmt": gmt(order.changed_at),
        "date_paid_gmt": gmt(order.placed_at), "line_items": lines, "refunds": [],
    }))
}

fn line(shop: &Shop, at: u32, good: &Good, units: i64) -> Value {
    let total = decimal(shop, good.price * units);
    let (product, variation) =
        if is_simple(good) { (id(&good.variant), json!(0)) } else { (id(&good.product), id(&good.variant)) };
    json!({
        "id": at, "name": encoded(&good.title), "product_id": product, "variation_id": variation, "quantity": units,
        "sku": good.sku, "subtotal": total, "total": total,
    })
}

fn parcel(shop: &Shop, to: &Webhook<'_>, topic: &'static str, resource: &Value) -> Parcel {
    let body = resource.to_string().into_bytes();
    let (kind, event) = topic.split_once('.').unwrap_or((topic, ""));
    let headers = vec![
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "WooCommerce/9.4.2 Hookshot (WordPress/6.7.1)".to_owned()),
        ("X-WC-Webhook-Source", format!("https://{}/", shop.settings.account)),
        ("X-WC-Webhook-Topic", topic.to_owned()),
        ("X-WC-Webhook-Resource", kind.to_owned()),
        ("X-WC-Webhook-Event", event.to_owned()),
        ("X-WC-Webhook-Signature", signature(to.secret, &body)),
        ("X-WC-Webhook-ID", to.id.to_owned()),
        ("X-WC-Webhook-Delivery-ID", delivery_id(shop, to)),
    ];
    Parcel { address: to.address.to_owned(), headers, body }
}

fn signature(secret: &str, body: &[u8]) -> String {
    // It takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    let signature: [u8; 32] = mac.finalize().into_bytes().into();
    STANDARD.encode(signature)
}

/// Made from the webhook and the second, so that two deliveries of one second share it, as they do live.
fn delivery_id(shop: &Shop, to: &Webhook<'_>) -> String {
    let hash = Sha256::digest(format!("{}{}", to.id, shop.now().timestamp()));
    hex::encode(hash).chars().take(32).collect()
}

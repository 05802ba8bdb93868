//! What the shop shows over the API: its objects as GraphQL values, and the query fields that find them.
//! A value holds every field of its type; the selection picks from it afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::graphql::Refusal;
use super::schema;
use super::state::{Product, State, Subscription, Variant};
use super::webhooks::gid;

/// The most objects a page holds.
const PAGE_MAX: usize = 250;

/// The number of the shop's only sales channel.
pub(super) const PUBLICATION: u64 = 1;

/// Where products can be published: number, name, and what sort of catalogue it is.
pub(super) const PUBLICATIONS: [(u64, &str, &str); 2] =
    [(PUBLICATION, "Online Store", "APP"), (2, "Some countries", "MARKET")];

/// Answers a field of the query root.
pub(super) fn answer(state: &State, field: &str, arguments: &Map<String, Value>) -> Result<Value, Refusal> {
    match field {
        "nodes" => {
            let ids = arguments.get("ids").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Ok(ids.iter().map(|id| node(state, id)).collect())
        }
        "shop" => Ok(json!({
            "__typename": "Shop",
            "id": gid("Shop", state.location_id),
            "name": state.domain.split('.').next(),
            "myshopifyDomain": state.domain,
            "currencyCode": "USD",
        })),
        "locations" => page(vec![state.location_id], arguments, location),
        "publications" => {
            let sort = arguments.get("catalogType").and_then(Value::as_str);
            let wanted = PUBLICATIONS.iter().filter(|(_, _, known)| sort.is_none_or(|sort| sort == *known));
            page(wanted.map(|(id, _, _)| *id).collect(), arguments, publication)
        }
        "productByIdentifier" => {
            let identifier = arguments.get("identifier").unwrap_or(&Value::Null);
            let id = id_of("Product", identifier.get("id"));
            let is_it = |known: &&Product| {
                id == Some(known.id) || identifier["handle"].as_str() == Some(known.handle.as_str())
            };
            Ok(state.products.values().find(is_it).map_or(Value::Null, |known| whole_product(state, known)))
        }
        "webhookSubscriptions" => page(state.subscriptions.keys().copied().collect(), arguments, |id| {
            state.subscriptions.get(&id).map_or(Value::Null, subscription)
        }),
        _ => {
            let query = arguments.get("query").and_then(Value::as_str).unwrap_or("");
            let is_found =
                |known: &&Variant| matches(known, query) && !state.unsearchable.contains(&known.sku);
            let found = state.variants().filter(is_found).map(|known| known.id);
            page(found.collect(), arguments, |id| {
                state.variant(id).map_or(Value::Null, |known| variant(state, known))
            })
        }
    }
}

/// Understands `sku:…` and `product_id:…`, joined by `OR`; other text is looked for in the codes. A code is found by a part of
/// it, too.
fn matches(variant: &Variant, query: &str) -> bool {
    query.trim().is_empty()
        || terms(query).iter().any(|term| match term.trim().split_once(':') {
            Some(("sku", sku)) => variant.sku.contains(sku),
            Some(("product_id", id)) => variant.product_id.to_string() == id,
            _ => variant.sku.contains(term.trim()),
        })
}

/// The terms of a search. Between quotes all stands for itself, after a backslash the next letter does.
fn terms(query: &str) -> Vec<String> {
    let (mut terms, mut term, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = query.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => term.extend(letters.next()),
            '"' => quoted = !quoted,
            ' ' if !quoted && letters.as_str().starts_with("OR ") => {
                letters = letters.as_str()["OR ".len()..].chars();
                terms.push(std::mem::take(&mut term));
            }
            letter => term.push(letter),
        }
    }
    terms.push(term);
    terms
}

fn node(state: &State, id: &Value) -> Value {
    let Some((kind, number)) = id.as_str().and_then(parse_gid) else { return Value::Null };
    match kind {
        "ProductVariant" => state.variant(number).filter(|it| it.id == number).map(|it| variant(state, it)),
        "InventoryItem" => state
            .variant(number)
            .filter(|it| it.inventory_item_id == number)
            .map(|it| item(it, state.location_id)),
        "Product" => state.products.get(&number).map(product),
        "Location" => (number == state.location_id).then(|| location(number)),
        "WebhookSubscription" => state.subscriptions.get(&number).map(subscription),
        _ => None,
    }
    .unwrap_or(Value::Null)
}

/// The kind and the number of a global id.
pub(super) fn parse_gid(id: &str) -> Option<(&str, u64)> {
    let (kind, number) = id.strip_prefix("gid://shopify/")?.split_once('/')?;
    Some((kind, number.parse().ok()?))
}

/// The number of a global id of one kind.
pub(super) fn id_of(kind: &str, id: Option<&Value>) -> Option<u64> {
    parse_gid(id?.as_str()?).filter(|(known, _)| *known == kind).map(|(_, number)| number)
}

/// Cuts a page out of what is sorted by id; the cursor names the last id seen, as the platform's does.
fn page(
    mut ids: Vec<u64>,
    arguments: &Map<String, Value>,
    show: impl Fn(u64) -> Value,
) -> Result<Value, Refusal> {
    ids.sort_unstable();
    let Some(first) = arguments.get("first").and_then(Value::as_u64) else {
        return Err(Refusal::new("BAD_REQUEST", "A page needs its size in first"));
    };
    let after = match arguments.get("after").and_then(Value::as_str) {
        Some(cursor) => read_cursor(cursor)
            .ok_or_else(|| Refusal::new("BAD_REQUEST", "The cursor is not one of this shop"))?,
        None => 0,
    };
    let begin = ids.partition_point(|id| *id <= after);
    let end = ids.len().min(begin + usize::try_from(first).unwrap_or(PAGE_MAX).min(PAGE_MAX));
    let shown = &ids[begin..end];
    let nodes: Vec<Value> = shown.iter().map(|id| show(*id)).collect();
    let edges = shown.iter().zip(&nodes).map(|(id, node)| json!({"cursor": cursor(*id), "node": node}));
    Ok(json!({
        "edges": edges.collect::<Vec<_>>(),
        "nodes": nodes,
        "pageInfo": {
            "hasNextPage": end < ids.len(),
            "hasPreviousPage": begin > 0,
            "startCursor": shown.first().map(|id| cursor(*id)),
            "endCursor": shown.last().map(|id| cursor(*id)),
        },
    }))
}

fn cursor(id: u64) -> String {
    STANDARD.encode(json!({"last_id": id}).to_string())
}

fn read_cursor(cursor: &str) -> Option<u64> {
    serde_json::from_slice::<Value>(&STANDARD.decode(cursor).ok()?).ok()?.get("last_id")?.as_u64()
}

pub(super) fn variant(state: &State, variant: &Variant) -> Value {
    let product = state.products.get(&variant.product_id);
    json!({
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", variant.id),
        "legacyResourceId": variant.id.to_string(),
        "sku": variant.sku,
        "title": variant.title(),
        "displayName": format!("{} - {}", product.map_or("", |it| it.title.as_str()), variant.title()),
        "price": variant.price.to_string(),
        "compareAtPrice": variant.compare_at_price.map(|price| price.to_string()),
        "inventoryPolicy": if variant.oversells { "CONTINUE" } else { "DENY" },
        "inventoryQuantity": variant.available,
        "updatedAt": time(variant.updated_at),
        "inventoryItem": item(variant, state.location_id),
        "product": product.map(self::product),
    })
}

pub(super) fn item(variant: &Variant, location_id: u64) -> Value {
    let updated_at = time(variant.updated_at);
    let id = variant.inventory_item_id;
    let quantity =
        |name: &str, quantity: i64| json!({"name": name, "quantity": quantity, "updatedAt": updated_at});
    let level = variant.stocked.then(|| {
        json!({
            "__typename": "InventoryLevel",
            "id": format!("{}?inventory_item_id={id}", gid("InventoryLevel", location_id)),
            "updatedAt": updated_at,
            "location": location(location_id),
            "quantities": [
                quantity("available", variant.available),
                quantity("on_hand", variant.available.saturating_add(variant.committed)),
                quantity("committed", variant.committed),
            ],
        })
    });
    json!({
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", id),
        "legacyResourceId": id.to_string(),
        "sku": variant.sku,
        "tracked": variant.tracked,
        "updatedAt": updated_at,
        "inventoryLevel": level,
    })
}

pub(super) fn product(product: &Product) -> Value {
    json!({
        "__typename": "Product",
        "id": gid("Product", product.id),
        "legacyResourceId": product.id.to_string(),
        "title": product.title,
        "handle": product.handle,
        "vendor": product.vendor,
        "productType": product.product_type,
        "tags": product.tags,
        "status": product.status,
        "options": product.options.iter().zip(1..).map(option).collect::<Vec<_>>(),
        "resourcePublicationsCount": {
            "count": product.publications.len(),
            "with_future_ones": product.publications.len() + usize::from(product.scheduled),
            "precision": "EXACT",
        },
        "totalInventory": product.variants.iter().map(|variant| variant.available).sum::<i64>(),
        "tracksInventory": product.variants.iter().any(|variant| variant.tracked),
        "createdAt": time(product.created_at),
        "updatedAt": time(product.updated_at),
    })
}

fn option((name, position): (&String, u32)) -> Value {
    json!({"__typename": "ProductOption", "name": name, "position": position})
}

/// A product with its variants, each of which shows the product without them.
pub(super) fn whole_product(state: &State, product: &Product) -> Value {
    let mut whole = self::product(product);
    let variants: Vec<Value> = product.variants.iter().map(|known| variant(state, known)).collect();
    whole["variants"] = json!({"nodes": variants, "pageInfo": {"hasNextPage": false}});
    whole
}

fn publication(id: u64) -> Value {
    let name = PUBLICATIONS.iter().find(|(known, _, _)| *known == id).map(|(_, name, _)| *name);
    json!({"__typename": "Publication", "id": gid("Publication", id), "name": name})
}

pub(super) fn location(id: u64) -> Value {
    json!({
        "__typename": "Location",
        "id": gid("Location", id),
        "legacyResourceId": id.to_string(),
        "name": "Shop floor",
        "isActive": true,
    })
}

pub(super) fn subscription(subscription: &Subscription) -> Value {
    json!({
        "__typename": "WebhookSubscription",
        "id": gid("WebhookSubscription", subscription.id),
        "legacyResourceId": subscription.id.to_string(),
        "topic": schema::topic_constant(subscription.topic),
        "uri": subscription.uri,
        "format": "JSON",
        "includeFields": subscription.include_fields,
        "createdAt": time(subscription.created_at),
        "updatedAt": time(subscription.created_at),
        "endpoint": {"__typename": "WebhookHttpEndpoint", "callbackUrl": subscription.uri},
    })
}

pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

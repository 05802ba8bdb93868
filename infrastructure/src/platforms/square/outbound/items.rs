//! Items as Square's catalogue holds them, each with its variations: found by SKUs, looked up, and sent back.
//!
//! An item is kept just as it came, because Square replaces the whole of what is sent back: a variation that is left out is
//! deleted. [src: developer.squareup.com/forums/t/catalog-api-upsert-issue/1140]

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use onhand_domain::product::Words;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    super::super::{
        outbound::{Api, CallError},
        read,
    },
    AT_ONCE, PAGES_MAX, call,
    catalog::Objects,
    errors,
};

/// A variation that is there, and the item it is of.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) item: String,
    pub(super) variation: String,
}

#[derive(Deserialize)]
struct Found {
    objects: Option<Vec<Value>>,
    cursor: Option<String>,
}

/// What an upsert came to.
#[derive(Deserialize)]
pub(super) struct Upserted {
    objects: Option<Vec<Value>>,
    id_mappings: Option<Vec<Mapping>>,
}

/// Which id Square has given for one of ours, which begins with `#`.
#[derive(Deserialize)]
struct Mapping {
    client_object_id: Option<String>,
    object_id: Option<String>,
}

impl Upserted {
    /// By id.
    pub(super) fn by_id(&self) -> BTreeMap<&str, &Value> {
        let objects = self.objects.iter().flatten();
        objects.filter_map(|object| Some((object["id"].as_str()?, object))).collect()
    }

    /// The id of what was new.
    pub(super) fn id_of(&self, client: &str) -> Option<&str> {
        let mut mappings = self.id_mappings.iter().flatten();
        let mapping = mappings.find(|mapping| mapping.client_object_id.as_deref() == Some(client));
        mapping?.object_id.as_deref()
    }
}

/// The variations that have these SKUs, each with its SKU; those of archived items are among them.
///
/// `POST /v2/catalog/search`. Square finds SKUs in other letters too, upper or lower, and these are others here. Whether
/// a search shows what was made a moment ago is not published (unsure).
/// [src: square/square-python-sdk `types/catalog_query_set.py`; docs/catalog-api/archive-catalog-items]
pub(super) async fn of_skus(api: &Api, skus: &[&str]) -> Result<Vec<(String, Place)>, CallError> {
    let mut places = Vec::new();
    for skus in skus.chunks(AT_ONCE) {
        let query = json!({ "set_query": { "attribute_name": "sku", "attribute_values": skus } });
        let body = json!({ "object_types": ["ITEM_VARIATION"], "query": query, "limit": AT_ONCE });
        let found = search(api, body).await?;
        places.extend(found.iter().filter_map(place).filter(|(sku, _)| skus.contains(&sku.as_str())));
    }
    Ok(places)
}

async fn search(api: &Api, mut body: Value) -> Result<Vec<Value>, CallError> {
    let mut found = Vec::new();
    for _ in 0..PAGES_MAX {
        let call = call(api, Method::POST, "/v2/catalog/search", Some(&body))?;
        let page: Found = errors::told(&api.read(call).await?)?;
        found.extend(page.objects.unwrap_or_default());
        let Some(cursor) = read::filled(page.cursor) else { return Ok(found) };
        body["cursor"] = cursor.into();
    }
    Err(CallError::failed("Square's search has no last page"))
}

fn place(variation: &Value) -> Option<(String, Place)> {
    let data = &variation["item_variation_data"];
    let (id, item) = (variation["id"].as_str()?, data["item_id"].as_str()?);
    if variation["is_deleted"] == true {
        return None;
    }
    let place = Place { item: item.to_owned(), variation: id.to_owned() };
    Some((data["sku"].as_str()?.trim().to_owned(), place))
}

/// The variations that an item shows, each with its SKU.
pub(super) fn shown(item: &Value) -> impl Iterator<Item = (String, Place)> {
    item["item_data"]["variations"].as_array().into_iter().flatten().filter_map(place)
}

/// The items there are of these, by id.
pub(super) async fn items(api: &Api, ids: &BTreeSet<&str>) -> Result<BTreeMap<String, Value>, CallError> {
    let (ids, mut items): (Vec<&str>, _) = (ids.iter().copied().collect(), BTreeMap::new());
    for ids in ids.chunks(AT_ONCE) {
        let body = json!({ "object_ids": ids });
        let call = call(api, Method::POST, "/v2/catalog/batch-retrieve", Some(&body))?;
        let told: Objects = errors::told(&api.read(call).await?)?;
        items.extend(told.by_id().into_iter().filter(|(_, object)| object["is_deleted"] != true));
    }
    if let Some((id, _)) = items.iter().find(|(_, object)| !object["item_data"].is_object()) {
        return Err(CallError::never(format!("{id} is no item in Square's catalogue")));
    }
    Ok(items)
}

/// Fails unless Square says that it has no such object: that an answer does not show it is no proof.
pub(super) async fn must_be_gone(api: &Api, id: &str) -> Result<(), CallError> {
    let answer = api.read(call(api, Method::GET, &format!("/v2/catalog/object/{id}"), None)?).await?;
    if answer.status.as_u16() == 404 && errors::problems(&answer).iter().any(errors::Problem::is_absence) {
        return Ok(());
    }
    let told: Value = errors::told(&answer)?;
    if told["object"]["is_deleted"] == true {
        return Ok(());
    }
    Err(CallError::failed("Square does not tell what has become of an item"))
}

/// A key for sending just these objects, out of an attempt's, which may send several things.
pub(super) fn key(attempt: Uuid, objects: &[Value]) -> Uuid {
    Uuid::new_v5(&attempt, json!(objects).to_string().as_bytes())
}

/// Has objects made or replaced, all of them or none, once for a key.
///
/// `POST /v2/catalog/batch-upsert` with one batch, which is taken as a whole.
/// [src: square/square-ruby-sdk doc/models/batch-upsert-catalog-objects-request.md]
pub(super) async fn upsert(api: &Api, objects: &[Value], key: Uuid) -> Result<Upserted, CallError> {
    let batches = json!([{ "objects": objects }]);
    let body = json!({ "idempotency_key": key, "batches": batches });
    let answer = api.write(call(api, Method::POST, "/v2/catalog/batch-upsert", Some(&body))?).await?;
    errors::told(&answer)
}

/// The fields of an item, to be changed.
pub(super) fn fields(item: &mut Value) -> Result<&mut Map<String, Value>, CallError> {
    let fields = item.get_mut("item_data").and_then(Value::as_object_mut);
    fields.ok_or_else(|| CallError::failed("Square's catalogue shows an item without its data"))
}

/// The ids of an item's variations.
pub(super) fn variations(item: &Value) -> impl Iterator<Item = &str> {
    let variations = item["item_data"]["variations"].as_array().into_iter().flatten();
    variations.filter(|variation| variation["is_deleted"] != true).filter_map(|it| it["id"].as_str())
}

/// Whether an item is kept and no longer offered.
pub(super) fn is_archived(item: &Value) -> bool {
    item["item_data"]["is_archived"] == true
}

/// What describes an item, as looks tell it: its name. Vendors are known of variations and by ids, categories are objects of
/// their own, and there are no tags.
pub(super) fn words(item: &Value) -> Result<Words, CallError> {
    let name = read::filled(item["item_data"]["name"].as_str().map(str::to_owned));
    let name = name.ok_or_else(|| CallError::failed("Square's answer does not tell the name"))?;
    Ok(Words { title: read::title(&name), ..Words::default() })
}

/// That Square's answer does not tell what was asked for.
pub(super) fn untold() -> CallError {
    CallError::failed("Square's answer does not tell what has become of the product")
}

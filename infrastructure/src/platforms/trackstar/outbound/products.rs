//! Products that are made in a warehouse: one for each variant, which is called by the product's title and what sets the
//! variant apart.
//!
//! What else a product there may have, each system behind Trackstar wants in its own way; one that wants more refuses it and
//! says so. Source: the vendor's guide to writing data.
//!
//! What is looked for is looked for in Trackstar's copy, which lacks what was made a moment ago. Until the copy has it, a key
//! that stands for its SKU keeps it from being made again; but a call that has failed keeps no key.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    iter,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use futures_util::{StreamExt, stream};
use onhand_domain::{product::Words, values::Sku};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{
        super::{
            fact::Fact,
            outbound::{Api, CALLS_AT_ONCE, CallError, Handle, Offered, ProductAsk, VariantAsk},
            read,
        },
        inbound::bodies::Kind,
    },
    IDS_MAX, call,
    records::Page,
    refusal, send,
};

const PATH: &str = "/wms/products";

/// The namespace of keys that stand for making what has a SKU.
const MADE: Uuid = Uuid::from_u128(0x7c40_9a2b_51ed_4f36_b8a7_03d9_6e15_c2f4);

/// How long to wait for the copy, which is made anew each hour if nobody has ordered otherwise. Source: the vendor's guide to
/// syncing data.
const COPIED: Duration = Duration::from_mins(75);

/// Words with which the systems behind Trackstar may say that a SKU is taken; each has its own.
const TAKEN: [&str; 4] = ["already", "exists", "duplicate", "unique"];

/// The answer to a write.
#[derive(Deserialize)]
struct Made {
    data: Value,
}

/// What is there of a variant, and what describes it.
type There = (Handle, Words);

/// Makes those variants of a product that the warehouse has no product of. The words are those in which it tells of the first
/// variant; there are none if that is known to be there and not found by its SKU.
pub(in super::super) async fn offer(api: &Api, ask: &ProductAsk) -> Result<Offered, CallError> {
    let missing: Vec<&VariantAsk> = ask.variants.iter().filter(|variant| variant.there.is_none()).collect();
    let looked_for = ask.variants.iter().take(1).chain(missing.iter().copied());
    let skus: BTreeSet<&Sku> = looked_for.map(|variant| &variant.sku).collect();
    let mut there = found(api, &skus.into_iter().collect::<Vec<_>>()).await?;
    let new: Vec<&VariantAsk> =
        missing.into_iter().filter(|variant| !there.contains_key(&variant.sku)).collect();
    let calls: Vec<_> = new.iter().map(|variant| make(api, &ask.words.title, variant)).collect();
    let made: Vec<Result<There, CallError>> = stream::iter(calls).buffered(CALLS_AT_ONCE).collect().await;
    for (variant, made) in new.into_iter().zip(made) {
        there.insert(variant.sku.clone(), made?);
    }
    let first = ask.variants.first().and_then(|variant| there.get(&variant.sku));
    let words = first.map(|(_, words)| words.clone()).unwrap_or_default();
    let handle = |variant: &VariantAsk| match &variant.there {
        Some(handle) => Some(handle.clone()),
        None => there.get(&variant.sku).map(|(handle, _)| handle.clone()),
    };
    let handles = ask.variants.iter().map(handle).collect::<Option<Vec<_>>>();
    Ok(Offered { handles: handles.ok_or_else(untold)?, words })
}

/// What the warehouse has of SKUs.
///
/// (Assumed: that its products are filtered by SKU, like other records by other fields. Where they are not, that is refused,
/// and nothing is made, for it could be there: somebody has to decide.)
async fn found(api: &Api, skus: &[&Sku]) -> Result<HashMap<Sku, There>, CallError> {
    // A comma sets values apart, and cannot stand in one.
    let (alone, listed): (Vec<&Sku>, Vec<&Sku>) =
        skus.iter().copied().partition(|sku| sku.as_str().contains(','));
    let mut filters: Vec<String> = alone.iter().map(|sku| format!("sku={}", escaped(sku))).collect();
    for skus in listed.chunks(IDS_MAX) {
        let skus: Vec<String> = skus.iter().map(|sku| escaped(sku)).collect();
        filters.push(format!("sku%5Bin%5D={}", skus.join(",")));
    }
    let mut there = HashMap::new();
    for filter in filters {
        let answer = api.read(call(api, Method::GET, format!("{PATH}?{filter}"))?).await?;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            let why = refusal(&answer);
            return Err(CallError::person(format!(
                "{why}; what cannot be looked for by its SKU is not made, so leave propagateCreates off"
            )));
        }
        if !answer.is_success() {
            return Err(refusal(&answer));
        }
        let page: Page = answer.json()?;
        for (sku, known) in page.data.iter().filter_map(|record| known(api, record)) {
            there.entry(sku).or_insert(known);
        }
    }
    Ok(there)
}

fn escaped(sku: &Sku) -> String {
    read::escaped(sku.as_str())
}

/// Makes what has a SKU, under a key that stands for it, whatever it is called: the attempt after one whose answer was lost
/// makes nothing more, and is given the ids that the first was given.
async fn make(api: &Api, title: &str, variant: &VariantAsk) -> Result<There, CallError> {
    let body = json!({ "name": name(title, &variant.attributes), "sku": variant.sku }).to_string();
    let key = Uuid::new_v5(&MADE, variant.sku.as_str().as_bytes());
    let answer = send(api, Method::POST, PATH.to_owned(), body, key).await.map_err(patient)?;
    let made: Made = answer.json().map_err(patient)?;
    let told = known(api, &made.data).filter(|(sku, _)| *sku == variant.sku);
    told.map(|(_, there)| there).ok_or_else(|| patient(untold()))
}

/// Nobody knows whether it was made, or it is there and the copy lacks it: it is looked for again once the copy has it.
fn patient(error: CallError) -> CallError {
    let later = |why| CallError::Again { after: Some(COPIED), why, counts: true };
    match error {
        CallError::Again { why, counts: true, .. } => later(why),
        CallError::Never { why } if is_taken(&why) => later(why),
        other => other,
    }
}

/// Whether a refusal says that there is such a product.
fn is_taken(why: &str) -> bool {
    let why = why.to_lowercase();
    TAKEN.iter().any(|word| why.contains(word))
}

/// What a variant is called: a warehouse has no product over it.
fn name(title: &str, attributes: &BTreeMap<String, String>) -> String {
    let words = iter::once(title).chain(attributes.values().map(String::as_str));
    read::title(&words.collect::<Vec<_>>().join(" "))
}

/// What a record says of a product: its SKU, its ids and its words are those that webhooks tell of it.
fn known(api: &Api, record: &Value) -> Option<(Sku, There)> {
    let record = record.to_string();
    let facts = Kind::Product.facts(record.as_bytes(), api.access().now, api.details()).ok()?;
    let product = facts.into_iter().find_map(|fact| match fact {
        Fact::Product(product) => Some(product),
        _ => None,
    })?;
    let variant = product.variants.into_iter().next()?;
    let handle =
        Handle { product: product.external, variant: variant.external, inventory: variant.inventory };
    Some((variant.sku?, (handle, product.details.words())))
}

fn untold() -> CallError {
    CallError::failed("the answer does not show the product that was asked for")
}

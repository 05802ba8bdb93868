//! Whole products of a shop: offered, described, taken off.
//!
//! A product that is sold as it is has a SKU, and so has each variation. A product with variations has none, so its page is
//! given a name by which it is found if the answer to its making was lost. What is found stays as its merchant keeps it, be it
//! a draft, unless it was taken off from here.

use std::{collections::BTreeSet, time::Duration};

use axum::http::Method;
use onhand_domain::product::Words;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError, Handle, Offered, ProductAsk, VariantAsk, options},
        read,
    },
    batch::{Place, READS_MAX, UPDATES_MAX},
    call,
    record::{FIELDS, Made, Record, Term, Whole},
    refusal,
    terms::{self, Terms},
    understood,
};

/// Attributes that a product is given to tell its variations apart; the shop itself has no limit.
const ATTRIBUTES_MAX: usize = 10;
/// SKUs that are looked for in one call, and bytes of them.
const SKUS_MAX: usize = 50;
const SKUS_BYTES_MAX: usize = 2_000;
/// How long to leave another attempt alone that is at work there still.
const PAUSE: Duration = Duration::from_secs(5);

/// A variant that is to be made.
struct New<'a> {
    /// Its place in the ask.
    at: usize,
    variant: &'a VariantAsk,
    /// As the shop writes it.
    price: String,
}

/// Has a product there.
pub(in super::super) async fn offer(api: &Api, ask: &ProductAsk) -> Result<Offered, CallError> {
    let found = find(api, &ask.variants).await?;
    let mut places = found.clone();
    let home = home(api, &mut places).await?;
    let new = new_ones(api, &ask.variants, &places)?;
    let offered = have(api, ask, home, &new, places).await;
    if let Err(CallError::Never { why }) = &offered {
        // A SKU may be refused because another attempt, whose answer was lost, has come before: it is found by now.
        let now = find(api, &ask.variants).await?;
        if found.iter().zip(&now).any(|(before, now)| before.is_none() && now.is_some()) {
            return Err(CallError::wait(PAUSE, why));
        }
    }
    offered
}

/// Makes what is new, in the product that the others are in, if there is one.
async fn have(
    api: &Api,
    ask: &ProductAsk,
    home: Option<Whole>,
    new: &[New<'_>],
    mut places: Vec<Option<Place>>,
) -> Result<Offered, CallError> {
    let home = match home {
        Some(home) => home,
        None if new.len() < ask.variants.len() => return Err(absent()),
        None => match options::names(&ask.variants, ATTRIBUTES_MAX) {
            names if names.is_empty() => return simple(api, ask, new).await,
            names => match half_made(api, ask).await? {
                Some(home) => home,
                None => variable(api, ask, &names).await?,
            },
        },
    };
    let made = join(api, ask, &home, new).await?;
    for (new, place) in new.iter().zip(made) {
        places[new.at] = Some(place);
    }
    if ask.taken_off && home.is_draft() {
        change(api, home.id, &json!({ "status": "publish" })).await?;
    }
    let handles = ask.variants.iter().zip(places).filter_map(|(variant, place)| {
        // What was deleted there keeps its ids: the shop tells of it by itself.
        place.map(Place::handle).or_else(|| variant.there.clone())
    });
    Ok(Offered { handles: handles.collect(), words: home.words })
}

fn absent() -> CallError {
    CallError::never("the shop has no such product")
}

/// Has a product described. What the shop says of it and nobody has told it stays, and it is always in a category: where none
/// is said, it stays where it is.
pub(in super::super) async fn describe(api: &Api, ask: &ProductAsk) -> Result<Words, CallError> {
    let there = ask.variants.iter().filter_map(|variant| variant.there.as_ref());
    let mut said = None;
    for id in products(there)? {
        let known = product(api, id).await?.ok_or_else(absent)?;
        let described = match described(api, ask, &known).await? {
            Some(fields) => change(api, id, &fields).await?,
            None => known,
        };
        said = said.or(Some(described.words));
    }
    said.ok_or_else(absent)
}

/// Makes a product a draft: the merchant still has it, and customers do not see it.
pub(in super::super) async fn take_off(api: &Api, handles: &[Handle]) -> Result<(), CallError> {
    for id in products(handles.iter())? {
        let draft = json!({ "status": "draft" });
        let answer = api.write(call(api, Method::POST, &format!("products/{id}"), Some(&draft))?).await?;
        if !answer.is_success() && refusal::words(&answer).is_some_and(|it| it.is_absence()) {
            continue;
        }
        if !Whole::of(understood(&answer)?, id)?.is_draft() {
            return Err(CallError::failed("the shop still shows the product although it was asked not to"));
        }
    }
    Ok(())
}

/// The products that listings belong to or are.
fn products<'h>(handles: impl Iterator<Item = &'h Handle>) -> Result<BTreeSet<i64>, CallError> {
    handles.map(|handle| Place::of(handle).map(|place| place.product())).collect()
}

/// What is to be made. What was believed to be there and is not has been deleted there, and stays so.
fn new_ones<'a>(
    api: &Api,
    variants: &'a [VariantAsk],
    places: &[Option<Place>],
) -> Result<Vec<New<'a>>, CallError> {
    let all = variants.iter().zip(places).enumerate();
    let new = all.filter(|(_, (variant, place))| place.is_none() && variant.there.is_none());
    new.map(|(at, (variant, _))| Ok(New { at, variant, price: price(api, variant)? })).collect()
}

/// What a variant is to cost, as the shop writes it.
fn price(api: &Api, variant: &VariantAsk) -> Result<String, CallError> {
    let shops = api.details().currency;
    match variant.price {
        Some(price) if price.currency == shops => Ok(price.to_decimal()),
        Some(price) => {
            let given = price.currency;
            Err(CallError::never(format!("the price is in {given}, and the shop's are in {shops}")))
        }
        None => Err(CallError::never(format!("{} has no price to be offered at", variant.sku))),
    }
}

/// Where each variant is: where it was until it was taken off, or else by its SKU, or by the ids it is known by.
async fn find(api: &Api, variants: &[VariantAsk]) -> Result<Vec<Option<Place>>, CallError> {
    let mut found = Vec::new();
    for skus in asked(variants) {
        let path = format!("products?sku={skus}&per_page={READS_MAX}&_fields={FIELDS}");
        let records: Vec<Record> = understood(&api.read(call(api, Method::GET, &path, None)?).await?)?;
        found.extend(records.iter().filter_map(Record::found));
    }
    let left = left(api, variants).await?;
    let place = |(variant, was): (&VariantAsk, Option<Place>)| {
        // The shop finds more than it is asked for: to it a comma divides SKUs, and letters are large or small.
        let named = || found.iter().find(|(sku, _)| sku == variant.sku.as_str()).map(|(_, place)| *place);
        was.or_else(named).or_else(|| Place::of(variant.there.as_ref()?).ok())
    };
    Ok(variants.iter().zip(left).map(place).collect())
}

/// Where each variant was until it was taken off, if the shop has it there still.
async fn left(api: &Api, variants: &[VariantAsk]) -> Result<Vec<Option<Place>>, CallError> {
    let place = |variant: &VariantAsk| Place::of(variant.was.as_ref()?).ok();
    let places: Vec<Option<Place>> = variants.iter().map(place).collect();
    let ids: BTreeSet<i64> = places.iter().flatten().map(Place::product).collect();
    let mut homes: Vec<Whole> = Vec::with_capacity(ids.len());
    for id in ids {
        homes.extend(product(api, id).await?);
    }
    let is_there = |place: &Place| homes.iter().any(|home| home.holds(*place));
    Ok(places.into_iter().map(|place| place.filter(is_there)).collect())
}

/// SKUs as a query has them, a few at once. One with a comma is asked for alone: the shop looks for it whole as well.
fn asked(variants: &[VariantAsk]) -> Vec<String> {
    let (mut all, mut some) = (Vec::new(), Vec::<String>::new());
    for variant in variants {
        let sku = read::escaped(variant.sku.as_str());
        if variant.sku.as_str().contains(',') {
            all.push(sku);
            continue;
        }
        let bytes: usize = some.iter().map(String::len).sum();
        if some.len() >= SKUS_MAX || bytes + sku.len() > SKUS_BYTES_MAX {
            all.push(std::mem::take(&mut some).join(","));
        }
        some.push(sku);
    }
    all.push(some.join(","));
    all.retain(|skus| !skus.is_empty());
    all
}

/// The product that has the first of the variants found, unless it is gone, and then the next one.
async fn home(api: &Api, places: &mut [Option<Place>]) -> Result<Option<Whole>, CallError> {
    loop {
        let Some(first) = places.iter().flatten().next() else { return Ok(None) };
        let id = first.product();
        let home = product(api, id).await?;
        if home.is_some() {
            return Ok(home);
        }
        for place in places.iter_mut().filter(|place| place.is_some_and(|it| it.product() == id)) {
            *place = None;
        }
    }
}

/// A product; none if the shop has no such one, or has it in the bin.
async fn product(api: &Api, id: i64) -> Result<Option<Whole>, CallError> {
    let path = format!("products/{id}?_fields={FIELDS}");
    let answer = api.read(call(api, Method::GET, &path, None)?).await?;
    if !answer.is_success() && refusal::words(&answer).is_some_and(|it| it.is_absence()) {
        return Ok(None);
    }
    let product = Whole::of(understood(&answer)?, id)?;
    Ok(Some(product).filter(|product| !product.is_trash()))
}

/// A product with something else about it.
async fn change(api: &Api, id: i64, fields: &Value) -> Result<Whole, CallError> {
    let answer = api.write(call(api, Method::POST, &format!("products/{id}"), Some(fields))?).await?;
    Whole::of(understood(&answer)?, id)
}

async fn make(api: &Api, fields: &Value) -> Result<Whole, CallError> {
    let answer = api.write(call(api, Method::POST, "products", Some(fields))?).await?;
    Whole::made(understood(&answer)?)
}

/// What is to be changed for a product to be described; none if nothing is.
async fn described(api: &Api, ask: &ProductAsk, known: &Whole) -> Result<Option<Value>, CallError> {
    let (words, told) = (&ask.words, ask.told.clone().unwrap_or_default());
    let mut fields = json!({});
    if words.title != told.title && words.title != known.title() {
        fields["name"] = json!(words.title);
    }
    let stays = |tag: &&Term| has(&words.tags, &tag.name) || !has(&told.tags, &tag.name);
    let mut tags: Vec<i64> = known.tags().iter().filter(stays).map(|tag| tag.id).collect();
    let theirs: BTreeSet<String> = known.tags().iter().map(|tag| tag.name.clone()).collect();
    let is_new = |tag: &&str| !has(&told.tags, tag) && !has(&theirs, tag);
    let new: Vec<&str> = words.tags.iter().map(String::as_str).filter(is_new).collect();
    if !new.is_empty() || tags.len() < known.tags().len() {
        tags.extend(terms::named(api, Terms::Tags, new.into_iter()).await?);
        fields["tags"] = terms::ids(&tags);
    }
    let category = words.category.as_deref().filter(|_| words.category != told.category);
    let lacks = |category: &&str| known.categories().iter().all(|it| it.name != *category);
    if let Some(category) = category.filter(lacks) {
        // It takes the place of the one that was told, or of none; the others are the merchant's.
        let others = known.categories().iter();
        let others = others.filter(|it| Some(&it.name) != told.category.as_ref() && !it.is_no_category());
        let ids: Vec<i64> =
            [terms::category(api, category).await?].into_iter().chain(others.map(|it| it.id)).collect();
        fields["categories"] = terms::ids(&ids);
    }
    Ok(Some(fields).filter(|fields| *fields != json!({})))
}

/// Whether a tag is among some. The shop has it once, in whatever letters.
fn has(tags: &BTreeSet<String>, tag: &str) -> bool {
    tags.iter().any(|known| known.to_lowercase() == tag.to_lowercase())
}

/// What a new product is called and described by.
async fn introduced(api: &Api, ask: &ProductAsk, kind: &str) -> Result<Value, CallError> {
    let words = &ask.words;
    let mut fields = json!({ "name": words.title, "type": kind, "status": "publish" });
    if !words.tags.is_empty() {
        let tags = words.tags.iter().map(String::as_str);
        fields["tags"] = terms::ids(&terms::named(api, Terms::Tags, tags).await?);
    }
    if let Some(category) = &words.category {
        fields["categories"] = terms::ids(&[terms::category(api, category).await?]);
    }
    Ok(fields)
}

/// Makes a product that is sold as it is.
async fn simple(api: &Api, ask: &ProductAsk, new: &[New<'_>]) -> Result<Offered, CallError> {
    let Some(new) = new.first() else {
        return Err(CallError::never("a product without variants cannot be offered"));
    };
    let mut fields = introduced(api, ask, "simple").await?;
    sold(&mut fields, new);
    let made = make(api, &fields).await?;
    made.listing.counts(0)?;
    Ok(Offered { handles: vec![Place { parent: None, id: made.id }.handle()], words: made.words })
}

/// How something new is sold: at a price, counted, and with none there yet. That it is out of stock is said for a shop that
/// counts nothing, which would sell it without end.
fn sold(fields: &mut Value, New { variant, price, .. }: &New<'_>) {
    fields["sku"] = json!(variant.sku.as_str());
    fields["regular_price"] = json!(price);
    fields["manage_stock"] = json!(true);
    fields["stock_quantity"] = json!(0);
    fields["stock_status"] = json!("outofstock");
}

/// Makes a product that is sold in variations, of which it has none yet.
async fn variable(api: &Api, ask: &ProductAsk, names: &[String]) -> Result<Whole, CallError> {
    let mut fields = introduced(api, ask, "variable").await?;
    let attribute = |name: &String| {
        let mut values: Vec<&str> = Vec::new();
        for variant in &ask.variants {
            let value = options::value(variant, name);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        json!({ "name": name, "visible": true, "variation": true, "options": values })
    };
    fields["attributes"] = names.iter().map(attribute).collect();
    fields["slug"] = json!(ask.page_name());
    make(api, &fields).await
}

/// A product that was made for this one and has no variations yet, because an answer was lost.
async fn half_made(api: &Api, ask: &ProductAsk) -> Result<Option<Whole>, CallError> {
    let path = format!("products?slug={}&_fields={FIELDS}", ask.page_name());
    let listed: Vec<Value> = understood(&api.read(call(api, Method::GET, &path, None)?).await?)?;
    let products: Vec<Whole> = listed.into_iter().map(Whole::made).collect::<Result<_, _>>()?;
    Ok(products.into_iter().find(|product| product.is_empty()))
}

/// Has variants join a product as its variations. Gives their places.
async fn join(api: &Api, ask: &ProductAsk, home: &Whole, new: &[New<'_>]) -> Result<Vec<Place>, CallError> {
    let Some(first) = new.first() else { return Ok(vec![]) };
    let variants = || new.iter().map(|new| new.variant);
    let Some((attributes, changed)) = home.attributes_for(variants()) else {
        let why = format!(
            "product {} has no attribute for variations, so that {} cannot join it; give it one in the shop",
            home.id, first.variant.sku
        );
        return Err(CallError::never(why));
    };
    if !ask.is_page(home.slug()) {
        options::check(variants(), &home.options())?;
    }
    if changed {
        change(api, home.id, &json!({ "attributes": attributes })).await?;
    }
    let object = |new: &New<'_>| {
        let mut object = json!({ "status": "publish", "attributes": home.values_of(new.variant) });
        sold(&mut object, new);
        object
    };
    let objects: Vec<Value> = new.iter().map(object).collect();
    let mut places = Vec::with_capacity(objects.len());
    for objects in objects.chunks(UPDATES_MAX) {
        let path = format!("products/{}/variations/batch", home.id);
        let body = json!({ "create": objects });
        let answer = api.write(call(api, Method::POST, &path, Some(&body))?).await?;
        let made = understood::<Made>(&answer)?.ids(objects.len())?;
        places.extend(made.into_iter().map(|id| Place { parent: Some(home.id), id }));
    }
    Ok(places)
}

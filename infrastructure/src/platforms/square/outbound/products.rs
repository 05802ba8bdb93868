//! Whole products: items that are made, described, archived and put back.
//!
//! A product is an item, its variants are the item's variations. It is present at all of the merchant's locations, as what
//! is entered in Square is, so that each connection to one of them finds the same item; where it is sold, its stock says.
//! What becomes of an item becomes of it for all of them.

use std::collections::{BTreeMap, BTreeSet};

use onhand_domain::{
    product::Words,
    values::{ExternalId, Money},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::super::{
        outbound::{Account, Api, CallError, Handle, Offered, ProductAsk, VariantAsk},
        read,
    },
    checked,
    items::{self, Place},
};

/// What a new item is called until Square has given it an id.
const NEW_ITEM: &str = "#item";

/// The namespace of keys that stand for making an item.
const MADE: Uuid = Uuid::from_u128(0x2e6d_91c7_4b08_4f5a_9d13_c8a2_70f4_5be1);

/// Makes an item, or those of its variations that are not there.
///
/// What we have archived is looked for where it was, and whatever is not there by its SKU. A SKU may be that of several
/// variations. One that is offered is taken before one that is archived, and one of the item that the others are of before any
/// other; of several that are offered alike, none. What we have archived is put back; what somebody else has, is for them to put
/// back.
pub(in super::super) async fn offer(api: &Api, ask: &ProductAsk, key: Uuid) -> Result<Offered, CallError> {
    let known = ask.variants.iter().map(|variant| variant.there.as_ref().map(place).transpose());
    let mut places = known.collect::<Result<Vec<_>, _>>()?;
    // What is no id of Square's leads nowhere.
    let was = ask.variants.iter().map(|variant| place(variant.was.as_ref()?).ok());
    let was: Vec<Option<Place>> = was.collect();
    let missing = ask.variants.iter().filter(|variant| variant.there.is_none());
    let skus: Vec<&str> = missing.map(|variant| variant.sku.as_str()).collect();
    let mut found = items::of_skus(api, &skus).await?;
    let known = places.iter().chain(&was).flatten().chain(found.iter().map(|(_, place)| place));
    let ids: BTreeSet<&str> = known.map(|place| place.item.as_str()).collect();
    let items = items::items(api, &ids).await?;
    // An item that is known tells all it has, also what a search may not show yet.
    found.extend(items.values().flat_map(items::shown));
    let is_there = |place: &Place| {
        let item = items.get(&place.item);
        item.is_some_and(|item| items::variations(item).any(|id| id == place.variation))
    };
    for (place, was) in places.iter_mut().zip(was).filter(|(place, _)| place.is_none()) {
        *place = was.filter(is_there);
    }
    let mut home = places.iter().flatten().map(|place| place.item.clone()).next();
    for (variant, place) in ask.variants.iter().zip(&mut places).filter(|(_, place)| place.is_none()) {
        let of_it = found.iter().filter(|(sku, _)| sku == variant.sku.as_str()).map(|(_, place)| place);
        let there = of_it.filter_map(|place| Some((items.get(&place.item)?, place)));
        let is_other = |place: &Place| home.as_ref() != Some(&place.item);
        let best = there
            .clone()
            .min_by_key(|(item, place)| (items::is_archived(item), is_other(place), &place.variation));
        let mut offered = there.filter(|(item, _)| !items::is_archived(item));
        let is_twice = best.is_some_and(|(_, one)| {
            offered.any(|(_, place)| place.variation != one.variation && is_other(place) == is_other(one))
        });
        if is_twice {
            return Err(variant.ambiguity());
        }
        if !ask.taken_off && best.is_some_and(|(item, _)| items::is_archived(item)) {
            let why = format!("{} is archived in Square, and not by us; put it back there", variant.sku);
            return Err(CallError::never(why));
        }
        *place = best.map(|(_, place)| place.clone());
        home = home.or_else(|| place.as_ref().map(|place| place.item.clone()));
    }
    let draft = Draft { api, ask, items, places, home };
    draft.sent(key).await
}

/// Where a handle leads.
fn place(handle: &Handle) -> Result<Place, CallError> {
    let (item, variation) = (checked(&handle.product, "an item")?, checked(&handle.variant, "a variation")?);
    Ok(Place { item: item.to_owned(), variation: variation.to_owned() })
}

/// A product of which it is known what is there.
struct Draft<'a> {
    api: &'a Api,
    ask: &'a ProductAsk,
    items: BTreeMap<String, Value>,
    /// Of each variant; none of those that are to be made.
    places: Vec<Option<Place>>,
    /// The item that new variations join; none if it is new, too.
    home: Option<String>,
}

impl Draft<'_> {
    async fn sent(&self, key: Uuid) -> Result<Offered, CallError> {
        let objects = self.objects()?;
        let key = if self.home.is_none() { self.key() } else { items::key(key, &objects) };
        let made =
            if objects.is_empty() { None } else { Some(items::upsert(self.api, &objects, key).await?) };
        let shown = made.as_ref().map(items::Upserted::by_id).unwrap_or_default();
        let given =
            |client: &str| made.as_ref().and_then(|made| made.id_of(client)).ok_or_else(items::untold);
        for back in
            objects.iter().filter_map(|object| object["id"].as_str()).filter(|id| !id.starts_with('#'))
        {
            let item = shown.get(back).ok_or_else(items::untold)?;
            if items::is_archived(item) {
                return Err(CallError::failed("Square's answer shows the item archived still"));
            }
        }
        let home = self.home.as_deref().map_or_else(|| given(NEW_ITEM), Ok)?;
        let mut handles = Vec::with_capacity(self.places.len());
        for (number, (variant, place)) in self.ask.variants.iter().zip(&self.places).enumerate() {
            handles.push(match (&variant.there, place) {
                (Some(there), _) => there.clone(),
                (None, Some(place)) => handle(&place.item, &place.variation)?,
                (None, None) => handle(home, given(&new_variation(number))?)?,
            });
        }
        let item = shown.get(home).copied().or_else(|| self.items.get(home)).ok_or_else(items::untold)?;
        Ok(Offered { handles, words: items::words(item)? })
    }

    /// The key under which an item is made. It is the same for each attempt, and for each of the seller's connections: a search
    /// may not show yet what another attempt has made. The price is not in it: a key that came with another price is
    /// refused for now, and the item found later.
    ///
    /// After our words were taken, or the item archived, it is another key, for the answer to the first would tell of an item
    /// that may have been deleted since.
    fn key(&self) -> Uuid {
        let Account { connection, details, .. } = self.api.account();
        let seller = details.account.clone().unwrap_or_else(|| connection.0.to_string());
        let ProductAsk { words, told, taken_off, variants } = self.ask;
        let variants: Vec<_> = variants.iter().map(|variant| (&variant.sku, self.name(variant))).collect();
        let made = json!([seller, words.title, variants, told.is_some(), taken_off]);
        Uuid::new_v5(&MADE, made.to_string().as_bytes())
    }

    /// What is to be sent: items that come back from the archive, the new item, or its new variations. Those go with
    /// their item if it is sent, which would be without them otherwise.
    fn objects(&self) -> Result<Vec<Value>, CallError> {
        if let Some(home) = self.home.as_deref().filter(|home| !self.items.contains_key(*home)) {
            return Err(missing(home));
        }
        let mut variations = self.variations()?;
        let mut objects = Vec::new();
        let found = self.ask.variants.iter().zip(&self.places).filter(|(variant, _)| variant.there.is_none());
        let found: BTreeSet<&str> =
            found.filter_map(|(_, place)| Some(place.as_ref()?.item.as_str())).collect();
        for id in found {
            let Some(item) = self.items.get(id).filter(|item| items::is_archived(item)) else { continue };
            let mut item = item.clone();
            let fields = items::fields(&mut item)?;
            fields.insert("is_archived".to_owned(), json!(false));
            if self.home.as_deref() == Some(id)
                && let Some(known) = fields.get_mut("variations").and_then(Value::as_array_mut)
            {
                known.append(&mut variations);
            }
            objects.push(item);
        }
        if self.home.is_some() {
            objects.append(&mut variations);
        } else {
            objects.push(json!({
                "type": "ITEM",
                "id": NEW_ITEM,
                "present_at_all_locations": true,
                "item_data": {
                    "name": read::title(&self.ask.words.title),
                    "product_type": "REGULAR",
                    "variations": variations,
                },
            }));
        }
        Ok(objects)
    }

    /// The variations that are to be made. Their stock is counted from the beginning, and there is none.
    ///
    /// The price is that for all locations: there was none before, and a location is given its own with its next price.
    fn variations(&self) -> Result<Vec<Value>, CallError> {
        let item = self.home.as_deref().unwrap_or(NEW_ITEM);
        // A variation can be nowhere where its item is not.
        let present = self.home.as_deref().and_then(|home| self.items.get(home)).map(presence);
        let mut variations = Vec::new();
        for (number, (variant, place)) in self.ask.variants.iter().zip(&self.places).enumerate() {
            if place.is_some() {
                continue;
            }
            let price = price(self.api, variant)?;
            let mut variation =
                present.clone().unwrap_or_else(|| json!({ "present_at_all_locations": true }));
            variation["type"] = json!("ITEM_VARIATION");
            variation["id"] = json!(new_variation(number));
            variation["item_variation_data"] = json!({
                "item_id": item,
                "name": self.name(variant),
                "sku": variant.sku,
                "pricing_type": "FIXED_PRICING",
                "price_money": { "amount": price.minor, "currency": price.currency.code() },
                "track_inventory": true,
                "sellable": true,
                "stockable": true,
            });
            variations.push(variation);
        }
        Ok(variations)
    }

    /// What sets a variation apart, be it the SKU. Square's own word for the only one there is is `Regular`, and looks pass
    /// over it.
    fn name(&self, variant: &VariantAsk) -> String {
        let values: Vec<&str> = variant.attributes.values().map(String::as_str).collect();
        match (values.is_empty(), self.ask.variants.len()) {
            (true, 1) => "Regular".to_owned(),
            (true, _) => variant.sku.to_string(),
            (false, _) => read::word(&values.join(" / ")),
        }
    }
}

/// Where an item is present, as it says so.
fn presence(item: &Value) -> Value {
    let fields = ["present_at_all_locations", "present_at_location_ids", "absent_at_location_ids"];
    let told = fields.into_iter().filter_map(|field| Some((field.to_owned(), item.get(field)?.clone())));
    Value::Object(told.collect())
}

fn new_variation(number: usize) -> String {
    format!("#variation-{number}")
}

fn price(api: &Api, variant: &VariantAsk) -> Result<Money, CallError> {
    let (sku, own) = (&variant.sku, api.details().currency);
    match variant.price {
        Some(price) if price.currency == own => Ok(price),
        Some(price) => Err(CallError::never(format!("the price of {sku}, {price}, is not in {own}"))),
        None => Err(CallError::never(format!("{sku} has no price, and nothing is offered for nothing"))),
    }
}

fn handle(item: &str, variation: &str) -> Result<Handle, CallError> {
    let id = |text: &str| {
        let id = ExternalId::new(text).map_err(|_| items::untold())?;
        checked(&id, "an object").map_err(|_| items::untold())?;
        Ok::<_, CallError>(id)
    };
    let variant = id(variation)?;
    Ok(Handle { product: id(item)?, inventory: Some(variant.clone()), variant })
}

fn missing(id: &str) -> CallError {
    CallError::never(format!("Square's catalogue has no item {id}"))
}

/// Has each item of a product called by its title. What is not there any more needs no name; an item that has it is not
/// sent.
pub(in super::super) async fn describe(api: &Api, ask: &ProductAsk, key: Uuid) -> Result<Words, CallError> {
    let there = ask.variants.iter().filter_map(|variant| variant.there.as_ref());
    let ids = there.map(|handle| checked(&handle.product, "an item")).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = ids.first() else {
        return Err(CallError::never("nothing of it is in Square's catalogue"));
    };
    let all: BTreeSet<&str> = ids.iter().copied().collect();
    let items = items::items(api, &all).await?;
    let first = ids.iter().find(|id| items.contains_key(**id)).ok_or_else(|| missing(first))?;
    let title = read::title(&ask.words.title);
    let mut changed = Vec::new();
    for item in items.values().filter(|item| item["item_data"]["name"] != title.as_str()) {
        let mut item = item.clone();
        items::fields(&mut item)?.insert("name".to_owned(), json!(title));
        changed.push(item);
    }
    if changed.is_empty() {
        return items::words(&items[*first]);
    }
    let told = items::upsert(api, &changed, items::key(key, &changed)).await?;
    let shown = told.by_id();
    for item in &changed {
        let shown = item["id"].as_str().and_then(|id| shown.get(id)).ok_or_else(items::untold)?;
        items::words(shown)?;
    }
    items::words(shown.get(first).copied().unwrap_or(&items[*first]))
}

/// Archives the items of a product. One that has other variations too is not taken off with them: that is for a person to
/// look at.
pub(in super::super) async fn take_off(api: &Api, handles: &[Handle], key: Uuid) -> Result<(), CallError> {
    let ids = handles.iter().map(|handle| checked(&handle.product, "an item"));
    let ids = ids.collect::<Result<BTreeSet<_>, _>>()?;
    let ours: BTreeSet<&str> = handles.iter().map(|handle| handle.variant.as_str()).collect();
    let items = items::items(api, &ids).await?;
    let mut archived = Vec::new();
    for id in ids {
        let Some(item) = items.get(id) else {
            items::must_be_gone(api, id).await?;
            continue;
        };
        if items::is_archived(item) {
            continue;
        }
        if let Some(other) = items::variations(item).find(|variation| !ours.contains(variation)) {
            return Err(CallError::never(format!(
                "the item {id} has a variation that is not of this product, {other}; take it apart in Square"
            )));
        }
        let mut item = item.clone();
        items::fields(&mut item)?.insert("is_archived".to_owned(), json!(true));
        archived.push(item);
    }
    if archived.is_empty() {
        return Ok(());
    }
    let told = items::upsert(api, &archived, items::key(key, &archived)).await?;
    let shown = told.by_id();
    for item in &archived {
        let shown = item["id"].as_str().and_then(|id| shown.get(id)).ok_or_else(items::untold)?;
        if !items::is_archived(shown) {
            return Err(CallError::failed("Square's answer does not show the item archived"));
        }
    }
    Ok(())
}

//! Whole products: an item for each variant, called by the product's title and what sets the variant apart.
//!
//! Clover takes no keys, so an item is looked for by its SKU before it is made, and before that by the id it had if we have
//! hidden it. What is taken off is hidden and for sale nowhere, which a merchant can undo, and what is offered again is shown
//! again, unless somebody else has hidden it.

use axum::http::Method;
use onhand_domain::{product::Words, values::Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::super::{
        outbound::{Api, CallError, Handle, Offered, ProductAsk, VariantAsk},
        read,
    },
    ITEMS_MAX, List, call, count, find, in_order, item,
    look::bodies::Item,
    post, refusal,
};

/// The longest name of an item, in characters: what Clover's own devices take (unsure).
const NAME_MAX: usize = 127;

/// Makes those items of a product that are not there, and shows those that we have hidden.
///
/// Nothing is made unless all of it can be, as far as that is known beforehand.
pub(in super::super) async fn offer(api: &Api, ask: &ProductAsk) -> Result<Offered, CallError> {
    let calls: Vec<_> = ask.variants.iter().map(|variant| found(api, variant)).collect();
    let found = in_order(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    for (variant, found) in ask.variants.iter().zip(&found).filter(|(variant, _)| variant.there.is_none()) {
        match found {
            None => {
                price(api, variant)?;
            }
            Some(item) if item.is_gone() && !ask.taken_off => {
                let why = format!("{} is hidden at Clover, and not by us; show it there", variant.sku);
                return Err(CallError::never(why));
            }
            Some(_) => {}
        }
    }
    let asked = ask.variants.iter().zip(found);
    let calls: Vec<_> = asked.map(|(variant, found)| place(api, &ask.words, variant, found)).collect();
    let placed = in_order(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (handles, names): (Vec<_>, Vec<_>) = placed.into_iter().unzip();
    let told = match names.into_iter().flatten().next() {
        Some(told) => Some(told),
        None => there(api, &handles).await?.first().map(words),
    };
    let words = told.ok_or_else(|| CallError::never("Clover has no item of this product"))?;
    Ok(Offered { handles, words })
}

/// The item of a variant that is not known to be there.
async fn found(api: &Api, variant: &VariantAsk) -> Result<Option<Item>, CallError> {
    if let Some(there) = &variant.there {
        return item(there).map(|_| None);
    }
    // What is no id of Clover's leads nowhere.
    if let Some(was) = variant.was.as_ref().filter(|was| item(was).is_ok()) {
        let known = listed(api, std::slice::from_ref(was)).await?;
        if let Some(known) = known.into_iter().find(|item| !item.is_deleted()) {
            return Ok(Some(known));
        }
    }
    of_sku(api, variant).await
}

/// Where a variant is from now on, and what describes it there, if that was told.
async fn place(
    api: &Api,
    product: &Words,
    variant: &VariantAsk,
    found: Option<Item>,
) -> Result<(Handle, Option<Words>), CallError> {
    if let Some(there) = &variant.there {
        return Ok((there.clone(), None));
    }
    let shown = match found {
        None => make(api, product, variant).await?,
        Some(found) => {
            let counted = found.available().map_err(|wrong| CallError::failed(wrong.to_string()))?;
            // An attempt that failed may have made it and not counted it.
            if counted.is_none() && found.title() == name(product, variant) {
                count(api, item(&handle(&found))?, 0).await?;
            }
            if found.is_gone() { change(api, &found, &for_sale(true)).await? } else { found }
        }
    };
    if shown.is_gone() {
        return Err(CallError::failed("Clover's answer shows the item hidden still"));
    }
    Ok((handle(&shown), Some(words(&shown))))
}

/// What shows an item and has it sold, or the contrary: `hidden` is about registers, and `available` about all ways in which
/// it is sold (docs.clover.com/changelog/clover-platform-api-updates-august-2021).
fn for_sale(it_is: bool) -> Value {
    json!({ "hidden": !it_is, "available": it_is })
}

/// The item that has a variant's SKU, also if it is hidden; of several the one that is not, and else the one with the first id.
///
/// Clover compares with the text behind the sign; no mark is known that would have to be escaped in it
/// (docs.clover.com/docs/applying-filters).
async fn of_sku(api: &Api, variant: &VariantAsk) -> Result<Option<Item>, CallError> {
    let sku = &variant.sku;
    let filter = read::escaped(&format!("sku={sku}"));
    let below = format!("items?filter={filter}&expand=itemStock&limit={ITEMS_MAX}");
    let answer = api.read(call(api, Method::GET, &below, None)?).await?;
    if !answer.is_success() {
        return Err(refusal(&answer));
    }
    let List { elements } = answer.json()?;
    let mut items = Vec::with_capacity(elements.len());
    for element in elements {
        let item =
            Item::deserialize(element).map_err(|_| CallError::failed("Clover's item makes no sense"))?;
        let shown = item.sku();
        // Another SKU shows that nobody has filtered; in other letters, upper or lower, it is merely not the one.
        if shown.as_ref().is_none_or(|it| !it.as_str().eq_ignore_ascii_case(sku.as_str())) {
            return Err(CallError::failed("Clover lists other items than were asked for"));
        }
        if shown.as_ref() == Some(sku) && !item.is_deleted() {
            items.push(item);
        }
    }
    if items.iter().filter(|item| !item.is_gone()).count() > 1 {
        return Err(variant.ambiguity());
    }
    Ok(items.into_iter().min_by_key(|item| (item.is_gone(), item.id().clone())))
}

/// A new item, with nothing of it in stock: an item whose stock nobody has counted can be sold without end.
async fn make(api: &Api, product: &Words, variant: &VariantAsk) -> Result<Item, CallError> {
    let price = price(api, variant)?;
    let body = json!({
        "name": name(product, variant),
        "sku": variant.sku,
        "price": price.minor,
        "priceType": "FIXED",
        "hidden": false,
        "available": true,
    });
    let made: Item = post(api, "items", &body).await?;
    let id = item(&handle(&made))?.to_owned();
    if made.sku().as_ref() != Some(&variant.sku) || made.price(price.currency) != Some(price) {
        return Err(CallError::failed("Clover's answer does not show the item that was made"));
    }
    count(api, &id, 0).await?;
    Ok(made)
}

/// A post changes the fields it names and no others; the answer is the item as it is now.
async fn change(api: &Api, known: &Item, to: &Value) -> Result<Item, CallError> {
    let shown: Item = post(api, &format!("items/{}", item(&handle(known))?), to).await?;
    if shown.id() != known.id() {
        return Err(CallError::failed("Clover's answer shows another item"));
    }
    Ok(shown)
}

/// Has each item of a product called by the title and what sets it apart. What is not there any more, or is hidden, needs no
/// name; an item that has its name is not told.
pub(in super::super) async fn describe(api: &Api, ask: &ProductAsk) -> Result<Words, CallError> {
    let variants: Vec<_> =
        ask.variants.iter().filter_map(|variant| Some((variant.there.as_ref()?, variant))).collect();
    let handles: Vec<Handle> = variants.iter().map(|(handle, _)| (*handle).clone()).collect();
    let items = there(api, &handles).await?;
    let named = items.iter().map(|shown| {
        let of_it = variants.iter().find(|(handle, _)| handle.variant == *shown.id());
        (shown, of_it.map(|(_, variant)| name(&ask.words, variant)))
    });
    let calls: Vec<_> = named.map(|(shown, name)| rename(api, shown, name)).collect();
    let renamed = in_order(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    renamed.into_iter().next().ok_or_else(|| CallError::never("Clover has no item of this product"))
}

async fn rename(api: &Api, shown: &Item, name: Option<String>) -> Result<Words, CallError> {
    let Some(name) = name.filter(|name| *name != shown.title()) else { return Ok(words(shown)) };
    let words = words(&change(api, shown, &json!({ "name": name })).await?);
    if words.title.is_empty() {
        return Err(CallError::failed("Clover's answer does not show the name"));
    }
    Ok(words)
}

/// Hides the items of a product. What is not listed, or is hidden, is off already.
pub(in super::super) async fn take_off(api: &Api, handles: &[Handle]) -> Result<(), CallError> {
    let items = there(api, handles).await?;
    let calls: Vec<_> = items.iter().map(|item| hide(api, item)).collect();
    in_order(calls).await.into_iter().collect()
}

async fn hide(api: &Api, shown: &Item) -> Result<(), CallError> {
    if change(api, shown, &for_sale(false)).await?.is_gone() {
        return Ok(());
    }
    Err(CallError::failed("Clover's answer does not show the item hidden"))
}

/// The items of these handles that somebody can buy, in their order.
async fn there(api: &Api, handles: &[Handle]) -> Result<Vec<Item>, CallError> {
    let mut items = listed(api, handles).await?;
    items.retain(|item| !item.is_gone());
    Ok(items)
}

/// The items of these handles that Clover knows, in their order.
async fn listed(api: &Api, handles: &[Handle]) -> Result<Vec<Item>, CallError> {
    let ids = handles.iter().map(item).collect::<Result<Vec<_>, _>>()?;
    let mut items = Vec::with_capacity(ids.len());
    for (handles, ids) in handles.chunks(ITEMS_MAX).zip(ids.chunks(ITEMS_MAX)) {
        let mut found = find(api, handles.iter().collect()).await?;
        for record in ids.iter().filter_map(|id| found.remove(*id)) {
            let item = Item::deserialize(record);
            items.push(item.map_err(|_| CallError::failed("Clover's item makes no sense"))?);
        }
    }
    Ok(items)
}

/// Product, variant and stock have one id.
fn handle(item: &Item) -> Handle {
    let id = item.id().clone();
    Handle { product: id.clone(), variant: id.clone(), inventory: Some(id) }
}

/// What describes an item, as looks tell it: its name. Categories and labels are objects of their own, and of makers Clover
/// knows nothing.
fn words(item: &Item) -> Words {
    Words { title: item.title(), ..Words::default() }
}

/// The name of a variant's item: of a long one the title is cut, for what sets the variant apart is at its end.
fn name(product: &Words, variant: &VariantAsk) -> String {
    let apart: String = variant.attributes.values().flat_map(|value| [" ", value.as_str()]).collect();
    let apart: String = apart.chars().take(NAME_MAX / 2).collect();
    let title = product.title.chars().take(NAME_MAX - apart.chars().count());
    title.chain(apart.chars()).collect::<String>().trim().to_owned()
}

fn price(api: &Api, variant: &VariantAsk) -> Result<Money, CallError> {
    let (sku, own) = (&variant.sku, api.details().currency);
    match variant.price {
        Some(price) if price.currency == own => Ok(price),
        Some(price) => Err(CallError::never(format!("the price of {sku}, {price}, is not in {own}"))),
        None => Err(CallError::never(format!("{sku} has no price, and nothing is offered for nothing"))),
    }
}

#[cfg(test)]
mod tests {
    use onhand_domain::values::Sku;

    use super::*;

    #[test]
    fn an_item_is_called_by_the_title_and_what_sets_it_apart_however_long_that_is() {
        let long = "é".repeat(200);
        for (title, values, expected) in [
            ("Runner", vec![("size", "42")], "Runner 42".to_owned()),
            ("Runner", vec![("colour", "sand"), ("size", "42")], "Runner sand 42".to_owned()),
            ("Runner", vec![], "Runner".to_owned()),
            (long.as_str(), vec![("size", "42")], format!("{} 42", "é".repeat(124))),
            ("Runner", vec![("size", long.as_str())], format!("Runner {}", "é".repeat(62))),
        ] {
            let attributes = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let sku = Sku::new("RUN-42").expect("a SKU");
            let variant = VariantAsk { sku, attributes, price: None, there: None, was: None };
            let product = Words { title: title.into(), ..Words::default() };
            assert_eq!(name(&product, &variant), expected);
        }
    }
}

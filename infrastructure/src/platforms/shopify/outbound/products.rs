//! Whole products of a shop: offered, described, taken off.
//!
//! What was taken off from here is found where it was, and anything else by its SKUs, which the shop looks up in an index that
//! lags behind. So a new product is given a page name that is always the same: where the index does not know it yet, the shop
//! refuses to make a second one of that name. What is made is on no sales channel at first, and is put on all of them, as a
//! product is that is made by hand. What is found stays as its merchant keeps it, held back or put away, unless it was taken
//! off from here.

mod documents;
mod words;

use std::{collections::BTreeSet, time::Duration};

use onhand_domain::product::Words;
use serde_json::{Value, json};

use self::documents::{
    ADD, Added, AddedVariants, CHANGE, Changed, FIND, FIND_FAMILY, Found, FoundFamily, MAKE, Made, Named,
    PUBLISH, Product, Published, READ_TAGS, ReadTags, Variant,
};
use super::{
    super::super::outbound::{CallError, Handle, Offered, ProductAsk, VariantAsk, options},
    Shop, gid,
};

/// The options the platform has room for.
const OPTIONS_MAX: usize = 3;
/// SKUs that are looked for in one call.
const SKUS_MAX: usize = 50;
/// Variants that one call shows, which is what it may cost, and pages of what a search finds.
const SHOWN_MAX: usize = 100;
const PAGES_MAX: usize = 4;
/// Pages of all variants that a product can have.
const FAMILY_PAGES_MAX: usize = 21;
/// Variants that are made in one call.
const VARIANTS_MAX: usize = 100;
/// How long to leave another attempt alone that is at work there still.
const PAUSE: Duration = Duration::from_secs(5);
/// What the platform has where nothing sets variants apart.
const ALONE: (&str, &str) = ("Title", "Default Title");

/// The variants of an ask, as far as they are there.
type Places = Vec<Option<Variant>>;

/// A variant that is to be made.
struct New<'a> {
    /// Its place in the ask.
    at: usize,
    variant: &'a VariantAsk,
    /// As the shop writes it.
    price: String,
}

impl Shop<'_> {
    /// Has a product there.
    pub(in super::super) async fn offer(&self, ask: &ProductAsk) -> Result<Offered, CallError> {
        let (mut places, channels) = self.find(&ask.variants).await?;
        let new = self.new_ones(&ask.variants, &places)?;
        let is_new = new.len() == ask.variants.len();
        if is_new {
            self.make(ask, &new, &mut places).await?;
        }
        let home = places.iter().flatten().map(|variant| &variant.product).min_by_key(|it| it.rank());
        let home = home.cloned().ok_or_else(absent)?;
        self.join(ask, &home, &new, &mut places).await?;
        if ask.taken_off {
            self.put_back(&places).await?;
        }
        // It is put on sale once: by whoever made it, or if its answer was lost by the next attempt.
        let is_unheard_of = !ask.taken_off && ask.variants.iter().all(|variant| variant.there.is_none());
        let is_ours = is_new || (is_unheard_of && ask.is_page(&home.handle));
        if is_ours && home.is("ACTIVE") && home.is_nowhere() && !channels.is_empty() {
            self.publish(&home.id, &channels).await?;
        }
        let handles =
            ask.variants.iter().zip(&places).map(|(variant, place)| match (place, &variant.there) {
                (Some(place), _) => place.handle(),
                // It was deleted there, which the shop tells by itself.
                (None, Some(there)) => Ok(there.clone()),
                (None, None) => Err(lacking("each variant")),
            });
        Ok(Offered { handles: handles.collect::<Result<_, _>>()?, words: home.words() })
    }

    /// Has a product described. What the shop says of it and nobody has told it stays.
    pub(in super::super) async fn describe(&self, ask: &ProductAsk) -> Result<Words, CallError> {
        let there = ask.variants.iter().filter_map(|variant| variant.there.as_ref());
        let told = ask.told.clone().unwrap_or_default();
        let mut said = None;
        for product in products(there)? {
            let mut fields = words::changed(&ask.words, &told);
            if ask.words.tags != told.tags {
                let theirs = self.tags(&product).await?.ok_or_else(absent)?;
                fields["tags"] = json!(words::merged(&theirs, &told.tags, &ask.words.tags));
            }
            fields["id"] = json!(product);
            let described = self.change(fields).await?.ok_or_else(absent)?;
            said = said.or(Some(described.words()));
        }
        said.ok_or_else(absent)
    }

    /// Archives a product: the merchant still has it, and it is for sale nowhere.
    pub(in super::super) async fn take_off(&self, handles: &[Handle]) -> Result<(), CallError> {
        for product in products(handles.iter())? {
            let archived = self.change(json!({ "id": product, "status": "ARCHIVED" })).await?;
            if archived.is_some_and(|product| !product.is("ARCHIVED")) {
                return Err(CallError::failed(
                    "the shop still sells the product although it was asked not to",
                ));
            }
        }
        Ok(())
    }

    /// What is to be made. What was believed to be there and is not has been deleted there, and stays so.
    fn new_ones<'a>(
        &self,
        variants: &'a [VariantAsk],
        places: &[Option<Variant>],
    ) -> Result<Vec<New<'a>>, CallError> {
        let all = variants.iter().zip(places).enumerate();
        let new = all.filter(|(_, (variant, place))| place.is_none() && variant.there.is_none());
        new.map(|(at, (variant, _))| Ok(New { at, variant, price: self.price(variant)? })).collect()
    }

    /// What a variant is to cost, as the shop writes it.
    fn price(&self, variant: &VariantAsk) -> Result<String, CallError> {
        let shops = self.0.details().currency;
        match variant.price {
            Some(price) if price.currency == shops => Ok(price.to_decimal()),
            Some(price) => {
                let given = price.currency;
                Err(CallError::never(format!("the price is in {given}, and the shop's are in {shops}")))
            }
            None => Err(CallError::never(format!("{} has no price to be offered at", variant.sku))),
        }
    }

    /// Where each variant is: by the id it is known by, or was until it was taken off, or else by its SKU. And the shop's sales
    /// channels.
    async fn find(&self, variants: &[VariantAsk]) -> Result<(Places, Vec<Named>), CallError> {
        let (mut places, mut channels) = (Places::with_capacity(variants.len()), vec![]);
        for variants in variants.chunks(SKUS_MAX) {
            let known = |variant: &VariantAsk| {
                let handle = variant.there.as_ref().or(variant.was.as_ref())?;
                gid("ProductVariant", &handle.variant)
            };
            let ids: Vec<Option<String>> = variants.iter().map(known).collect();
            let (of_sku, found) = self.search(variants, &ids.iter().flatten().collect()).await?;
            let by_id: Vec<Variant> = found.nodes.into_iter().flatten().collect();
            for (variant, id) in variants.iter().zip(&ids) {
                let by_id = by_id.iter().find(|it| Some(&it.id) == id.as_ref());
                places.push(match by_id {
                    Some(known) => Some(known.clone()),
                    None => named(variant, &of_sku)?,
                });
            }
            channels = found.publications.nodes;
        }
        Ok((places, channels))
    }

    /// All that the shop finds by some SKUs, of which each may stand within many others; and what else it was asked for.
    async fn search(
        &self,
        variants: &[VariantAsk],
        ids: &BTreeSet<&String>,
    ) -> Result<(Vec<Variant>, Found), CallError> {
        let (mut all, mut after) = (vec![], None);
        for _ in 0..PAGES_MAX {
            let variables =
                json!({ "query": query(variants), "first": SHOWN_MAX, "after": after, "ids": ids });
            let cost = 4 * (SHOWN_MAX + ids.len()) + 20;
            let mut found: Found = self.call(FIND, variables, cost).await?;
            all.append(&mut found.product_variants.nodes);
            after = found.product_variants.more();
            if after.is_none() {
                return Ok((all, found));
            }
        }
        let sku = variants.first().map(|variant| variant.sku.as_str()).unwrap_or_default();
        let why =
            format!("the shop finds too many variants by {sku} and others to tell which of them are there");
        Err(CallError::never(why))
    }

    /// Makes the product, with as many of its variants as go into one call. There is nothing of them at our location, which
    /// is how it comes to keep them.
    async fn make(
        &self,
        ask: &ProductAsk,
        new: &[New<'_>],
        places: &mut [Option<Variant>],
    ) -> Result<(), CallError> {
        let (location, names) = (self.location()?, options::names(&ask.variants, OPTIONS_MAX));
        let first = &new[..new.len().min(VARIANTS_MAX)];
        let variant = |New { variant, price, .. }: &New<'_>| {
            json!({
                "sku": variant.sku.as_str(), "price": price, "optionValues": values(variant, &names),
                "inventoryItem": { "tracked": true },
                "inventoryQuantities": [{ "locationId": location, "name": "available", "quantity": 0 }],
            })
        };
        let mut product = words::introduced(&ask.words);
        product["handle"] = json!(ask.page_name());
        product["status"] = json!("ACTIVE");
        product["productOptions"] = declared(first, &names);
        product["variants"] = first.iter().map(variant).collect();
        let variables = json!({ "product": product, "first": first.len() });
        let made = self.call::<Made>(MAKE, variables, 10 + 5 * first.len()).await?.product_set;
        let family = match made.user_errors.first() {
            // It was made before, and the answer was lost.
            Some(error) if error.is_about("handle") || error.is_code("HANDLE_NOT_UNIQUE") => {
                let named = self.family(&json!({ "handle": ask.page_name() })).await?;
                let ours = |it: &Variant| new.iter().any(|new| it.is(new.variant));
                if named.iter().any(ours) { named } else { return Err(error.meaning()) }
            }
            Some(error) => return Err(error.meaning()),
            None => made.product.ok_or_else(|| lacking("the product"))?.variants.nodes,
        };
        settle(new, &family, places);
        if places.iter().all(Option::is_none) {
            return Err(lacking("the variants"));
        }
        Ok(())
    }

    /// All variants of a product, which the shop knows at once, other than what it searches; none if it is not there.
    async fn family(&self, identifier: &Value) -> Result<Vec<Variant>, CallError> {
        let (mut family, mut after) = (vec![], None);
        for _ in 0..FAMILY_PAGES_MAX {
            let variables = json!({ "identifier": identifier, "first": SHOWN_MAX, "after": after });
            let found: FoundFamily = self.call(FIND_FAMILY, variables, 4 * SHOWN_MAX).await?;
            let Some(found) = found.product_by_identifier else { break };
            let mut page = found.variants;
            family.append(&mut page.nodes);
            after = page.more();
            if after.is_none() {
                break;
            }
        }
        Ok(family)
    }

    /// Has those variants join the product that are not there.
    async fn join(
        &self,
        ask: &ProductAsk,
        home: &Product,
        new: &[New<'_>],
        places: &mut [Option<Variant>],
    ) -> Result<(), CallError> {
        if new.iter().all(|new| places[new.at].is_some()) {
            return Ok(());
        }
        let identifier = json!({ "id": home.id });
        settle(new, &self.family(&identifier).await?, places);
        let missing: Vec<&New<'_>> = new.iter().filter(|new| places[new.at].is_none()).collect();
        let names: Vec<String> = home.options.iter().map(|it| it.name.clone()).collect();
        if !ask.is_page(&home.handle) {
            options::check(missing.iter().map(|new| new.variant), &names)?;
        }
        let location = self.location()?;
        for missing in missing.chunks(VARIANTS_MAX) {
            let variant = |new: &&New<'_>| {
                json!({
                    "price": new.price, "optionValues": values(new.variant, &names),
                    "inventoryItem": { "sku": new.variant.sku.as_str(), "tracked": true },
                    "inventoryQuantities": [{ "locationId": location, "availableQuantity": 0 }],
                })
            };
            let variants: Vec<Value> = missing.iter().map(variant).collect();
            let variables = json!({ "product": home.id, "variants": variants });
            let added = self.call::<Added>(ADD, variables, 10 + 5 * missing.len()).await?;
            let AddedVariants { product_variants, user_errors } = added.product_variants_bulk_create;
            if let Some(error) = user_errors.first() {
                let family = self.family(&identifier).await?;
                let is_there = missing.iter().any(|new| family.iter().any(|it| it.is(new.variant)));
                let meaning = error.meaning();
                // All are added or none: whatever is there is another attempt's, whose answer was lost.
                return Err(if is_there { CallError::wait(PAUSE, meaning.to_string()) } else { meaning });
            }
            let added = product_variants.unwrap_or_default();
            for new in missing {
                let made = added.iter().find(|it| it.is(new.variant));
                places[new.at] = Some(made.cloned().ok_or_else(|| lacking("each variant"))?);
            }
        }
        Ok(())
    }

    /// Has products on sale again that were taken off.
    async fn put_back(&self, places: &[Option<Variant>]) -> Result<(), CallError> {
        let archived = places.iter().flatten().filter(|variant| variant.product.is("ARCHIVED"));
        for product in archived.map(|variant| variant.product.id.as_str()).collect::<BTreeSet<_>>() {
            self.change(json!({ "id": product, "status": "ACTIVE" })).await?;
        }
        Ok(())
    }

    /// The tags of a product as the shop has them; none if it is not there.
    async fn tags(&self, product: &str) -> Result<Option<Vec<String>>, CallError> {
        let read: ReadTags = self.call(READ_TAGS, json!({ "id": product }), 1).await?;
        Ok(read.product_by_identifier.map(|product| product.tags))
    }

    /// A product with something else about it; none if it is not there.
    async fn change(&self, fields: Value) -> Result<Option<Product>, CallError> {
        let changed: Changed = self.call(CHANGE, json!({ "product": fields }), 12).await?;
        match changed.product_update.user_errors.first() {
            // The platform has no code for it.
            Some(error) if error.is_about("id") => Ok(None),
            Some(error) => Err(error.meaning()),
            None => changed.product_update.product.map(Some).ok_or_else(|| lacking("the product")),
        }
    }

    async fn publish(&self, product: &str, publications: &[Named]) -> Result<(), CallError> {
        let input: Vec<Value> = publications.iter().map(|it| json!({ "publicationId": it.id })).collect();
        let variables = json!({ "product": product, "input": input });
        let published: Published = self.call(PUBLISH, variables, 10).await?;
        published.publishable_publish.user_errors.first().map_or(Ok(()), |error| Err(error.meaning()))
    }
}

fn absent() -> CallError {
    CallError::never("the shop has no such product")
}

fn lacking(what: &str) -> CallError {
    CallError::failed(format!("the shop's answer does not show {what}"))
}

/// The products that listings belong to, by their global ids.
fn products<'h>(handles: impl Iterator<Item = &'h Handle>) -> Result<BTreeSet<String>, CallError> {
    let product = |handle: &Handle| {
        let none = || CallError::never(format!("{} is no id of a product", handle.product));
        gid("Product", &handle.product).ok_or_else(none)
    };
    handles.map(product).collect()
}

/// The variant of a SKU among these. It may stand in several products: one that is for sale counts more than one that is not.
fn named(variant: &VariantAsk, found: &[Variant]) -> Result<Option<Variant>, CallError> {
    let all = || found.iter().filter(|it| it.is(variant));
    let Some(best) = all().min_by_key(|it| it.product.rank()) else { return Ok(None) };
    if all().any(|it| it.id != best.id && it.product.is("ACTIVE") && best.product.is("ACTIVE")) {
        return Err(variant.ambiguity());
    }
    Ok(Some(best.clone()))
}

/// Notes where new variants are, as far as they are among these.
fn settle(new: &[New<'_>], family: &[Variant], places: &mut [Option<Variant>]) {
    for new in new {
        let place = &mut places[new.at];
        *place = place.take().or_else(|| family.iter().find(|it| it.is(new.variant)).cloned());
    }
}

/// A search for SKUs as they are.
fn query(variants: &[VariantAsk]) -> String {
    let quoted = |variant: &VariantAsk| {
        let sku = variant.sku.as_str().replace('\\', "\\\\").replace('"', "\\\"");
        format!("sku:\"{sku}\"")
    };
    variants.iter().map(quoted).collect::<Vec<_>>().join(" OR ")
}

fn named_value(option: &str, value: &str) -> Value {
    json!({ "optionName": option, "name": value })
}

/// A variant's values of the options of a new product.
fn values(variant: &VariantAsk, names: &[String]) -> Vec<Value> {
    if names.is_empty() {
        return vec![named_value(ALONE.0, ALONE.1)];
    }
    names.iter().map(|name| named_value(name, options::value(variant, name))).collect()
}

/// The options of a new product, each with its values.
fn declared(new: &[New<'_>], names: &[String]) -> Value {
    if names.is_empty() {
        return json!([{ "name": ALONE.0, "position": 1, "values": [{ "name": ALONE.1 }] }]);
    }
    let option = |(position, name): (usize, &String)| {
        let mut values: Vec<&str> = vec![];
        for new in new {
            let value = options::value(new.variant, name);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let values: Vec<Value> = values.into_iter().map(|value| json!({ "name": value })).collect();
        json!({ "name": name, "position": position, "values": values })
    };
    (1..).zip(names).map(option).collect()
}

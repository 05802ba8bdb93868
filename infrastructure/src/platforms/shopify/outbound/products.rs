//! Whole products of a shop: offered, described, taken off.
//!
//! A product is found by its SKUs, which the shop looks up in an index that lags behind. So a new one is given a page name
//! that is always the same: where the index does not know it yet, the shop refuses to make a second one of that name.
//! What is made is on no sales channel at first, and is put on all of them, as a product is that is made by hand.

mod documents;

use std::collections::BTreeSet;

use onhand_domain::product::Words;
use serde_json::{Value, json};

use self::documents::{
    ADD, Added, AddedVariants, CHANGE, Changed, FIND, FIND_NAMED, Found, FoundNamed, MAKE, Made, Named,
    PUBLISH, Product, Published, Variant,
};
use super::{
    super::super::outbound::{CallError, Handle, Offered, ProductAsk, VariantAsk, options},
    Shop, gid,
};

/// The options the platform has room for.
const OPTIONS_MAX: usize = 3;
/// The longest title the platform takes, in characters.
const TITLE_MAX: usize = 255;
/// SKUs that are looked for in one call.
const SKUS_MAX: usize = 50;
/// Variants that are made in one call.
const VARIANTS_MAX: usize = 100;
/// What the platform has where nothing sets variants apart.
const ALONE: (&str, &str) = ("Title", "Default Title");

/// The variants of an ask, as far as they are there.
type Places = Vec<Option<Variant>>;

impl Shop<'_> {
    /// Has a product there. What is found is left as it is, but for being archived, which is what was taken off.
    pub(in super::super) async fn offer(&self, ask: &ProductAsk) -> Result<Offered, CallError> {
        let prices = self.prices(&ask.variants)?;
        let (mut places, publications) = self.find(&ask.variants).await?;
        if places.iter().all(Option::is_none) {
            self.make(ask, &prices, &mut places).await?;
        }
        let home = places.iter().flatten().next().map(|variant| variant.product.clone());
        let home = home.ok_or_else(|| lacking("the product"))?;
        self.join(ask, &prices, &home, &mut places).await?;
        let archived = places.iter().flatten().filter(|variant| variant.product.is("ARCHIVED"));
        for product in archived.map(|variant| variant.product.id.clone()).collect::<BTreeSet<_>>() {
            self.change(json!({ "id": product, "status": "ACTIVE" })).await?;
        }
        let nowhere = home.resource_publications_count.as_ref().is_some_and(|known| known.count == 0);
        if nowhere && !home.is("DRAFT") && !publications.is_empty() {
            self.publish(&home.id, &publications).await?;
        }
        let handles = places.iter().flatten().map(Variant::handle).collect::<Result<Vec<_>, _>>()?;
        Ok(Offered { handles, words: home.words() })
    }

    /// Has a product described.
    pub(in super::super) async fn describe(&self, ask: &ProductAsk) -> Result<Words, CallError> {
        let there = ask.variants.iter().filter_map(|variant| variant.there.as_ref());
        let mut said = None;
        for product in products(there)? {
            let mut fields = described(&ask.words);
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

    /// What each variant is to cost, as the shop writes it.
    fn prices(&self, variants: &[VariantAsk]) -> Result<Vec<String>, CallError> {
        let shops = self.0.details().currency;
        let price = |variant: &VariantAsk| match variant.price {
            Some(price) if price.currency == shops => Ok(price.to_decimal()),
            Some(price) => {
                let given = price.currency;
                Err(CallError::never(format!("the price is in {given}, and the shop's are in {shops}")))
            }
            None => Err(CallError::never(format!("{} has no price to be offered at", variant.sku))),
        };
        variants.iter().map(price).collect()
    }

    /// Where each variant is: by its SKU, or else by the id it is known by. And the shop's sales channels.
    async fn find(&self, variants: &[VariantAsk]) -> Result<(Places, Vec<Named>), CallError> {
        let (mut places, mut publications) = (Places::with_capacity(variants.len()), vec![]);
        for variants in variants.chunks(SKUS_MAX) {
            let known = |variant: &VariantAsk| gid("ProductVariant", &variant.there.as_ref()?.variant);
            let ids: Vec<Option<String>> = variants.iter().map(known).collect();
            let asked: BTreeSet<&String> = ids.iter().flatten().collect();
            let first = 2 * variants.len();
            let variables = json!({ "query": query(variants), "first": first, "ids": asked });
            let cost = 4 * (first + asked.len()) + 20;
            let found: Found = self.call(FIND, variables, cost).await?;
            let by_id: Vec<Variant> = found.nodes.into_iter().flatten().collect();
            places.extend(variants.iter().zip(&ids).map(|(variant, id)| {
                let named = found.product_variants.nodes.iter().filter(|it| it.is(variant));
                // The same SKU may stand in several products: one that is for sale counts more than one that is not.
                let named = named.min_by_key(|it| !it.product.is("ACTIVE"));
                let by_id = || by_id.iter().find(|it| Some(&it.id) == id.as_ref());
                named.or_else(by_id).cloned()
            }));
            publications = found.publications.nodes;
        }
        Ok((places, publications))
    }

    /// Makes the product, with as many of its variants as go into one call. There is nothing of them at our location, which
    /// is how it comes to keep them.
    async fn make(
        &self,
        ask: &ProductAsk,
        prices: &[String],
        places: &mut [Option<Variant>],
    ) -> Result<(), CallError> {
        let (location, names) = (self.location()?, options::names(&ask.variants, OPTIONS_MAX));
        let variants = &ask.variants[..ask.variants.len().min(VARIANTS_MAX)];
        let variant = |(variant, price): (&VariantAsk, &String)| {
            json!({
                "sku": variant.sku.as_str(), "price": price, "optionValues": values(variant, &names),
                "inventoryItem": { "tracked": true },
                "inventoryQuantities": [{ "locationId": location, "name": "available", "quantity": 0 }],
            })
        };
        let mut product = described(&ask.words);
        product["handle"] = json!(ask.page_name());
        product["status"] = json!("ACTIVE");
        product["productOptions"] = declared(variants, &names);
        product["variants"] = variants.iter().zip(prices).map(variant).collect();
        let variables = json!({ "product": product, "first": variants.len() });
        let made = self.call::<Made>(MAKE, variables, 10 + 5 * variants.len()).await?.product_set;
        let family = match made.user_errors.first() {
            // It was made before, and the answer was lost.
            Some(error) if error.is_about("handle") || error.is_code("HANDLE_NOT_UNIQUE") => {
                let named = self.named(&ask.page_name()).await?;
                let ours = |it: &Variant| ask.variants.iter().any(|variant| it.is(variant));
                named.filter(|family| family.iter().any(ours)).ok_or_else(|| error.meaning())?
            }
            Some(error) => return Err(error.meaning()),
            None => made.product.ok_or_else(|| lacking("the product"))?.variants.nodes,
        };
        for (variant, place) in ask.variants.iter().zip(places) {
            *place = family.iter().find(|it| it.is(variant)).cloned();
        }
        Ok(())
    }

    /// The variants of the product whose page has this name.
    async fn named(&self, handle: &str) -> Result<Option<Vec<Variant>>, CallError> {
        let found: FoundNamed = self.call(FIND_NAMED, json!({ "handle": handle }), 400).await?;
        Ok(found.product_by_identifier.map(|family| family.variants.nodes))
    }

    /// Has those variants join the product that are not there.
    async fn join(
        &self,
        ask: &ProductAsk,
        prices: &[String],
        home: &Product,
        places: &mut [Option<Variant>],
    ) -> Result<(), CallError> {
        let missing: Vec<usize> = (0..places.len()).filter(|at| places[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let location = self.location()?;
        let names: Vec<String> = home.options.iter().map(|it| it.name.clone()).collect();
        for missing in missing.chunks(VARIANTS_MAX) {
            let variant = |at: &usize| {
                let variant = &ask.variants[*at];
                json!({
                    "price": prices[*at], "optionValues": values(variant, &names),
                    "inventoryItem": { "sku": variant.sku.as_str(), "tracked": true },
                    "inventoryQuantities": [{ "locationId": location, "availableQuantity": 0 }],
                })
            };
            let variants: Vec<Value> = missing.iter().map(variant).collect();
            let variables = json!({ "product": home.id, "variants": variants });
            let added = self.call::<Added>(ADD, variables, 10 + 5 * missing.len()).await?;
            let AddedVariants { product_variants, user_errors } = added.product_variants_bulk_create;
            if let Some(error) = user_errors.first() {
                return Err(error.meaning());
            }
            let added = product_variants.unwrap_or_default();
            for at in missing {
                let made = added.iter().find(|it| it.is(&ask.variants[*at]));
                places[*at] = Some(made.cloned().ok_or_else(|| lacking("each variant"))?);
            }
        }
        Ok(())
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

/// What describes a product. Where nobody is said to have made it, the shop names itself.
fn described(words: &Words) -> Value {
    let title: String = words.title.chars().take(TITLE_MAX).collect();
    let category = words.category.as_deref().unwrap_or_default();
    let mut fields = json!({ "title": title, "productType": category, "tags": words.tags });
    if let Some(vendor) = &words.vendor {
        fields["vendor"] = json!(vendor);
    }
    fields
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
fn declared(variants: &[VariantAsk], names: &[String]) -> Value {
    if names.is_empty() {
        return json!([{ "name": ALONE.0, "position": 1, "values": [{ "name": ALONE.1 }] }]);
    }
    let option = |(position, name): (usize, &String)| {
        let mut values: Vec<&str> = vec![];
        for variant in variants {
            let value = options::value(variant, name);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        let values: Vec<Value> = values.into_iter().map(|value| json!({ "name": value })).collect();
        json!({ "name": name, "position": position, "values": values })
    };
    (1..).zip(names).map(option).collect()
}

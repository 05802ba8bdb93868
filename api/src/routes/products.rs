//! `/api/products` and `/api/variants`.

use std::collections::BTreeMap;

use onhand_domain::{
    Refusal,
    product::{ProductDetails, VariantDetails},
    values::{Currency, Market, Money, Object, ProductId, Sku, VariantId},
};
use onhand_infrastructure::{
    operations::products::{ProductDraft, VariantDraft},
    queries::{
        Page, at,
        products::{self, ProductFilter, ProductView},
    },
};
use serde::Deserialize;
use uuid::Uuid;

use super::{Read, Written};
use crate::{
    app::AppState,
    extract::{AnyTime, Ask, Empty, Listing, Path, each_once},
    problem::Problem,
};

/// A price, as people write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceBody {
    /// A decimal text: `"119.99"`.
    amount: String,
    /// ISO 4217.
    currency: Currency,
}

impl PriceBody {
    fn money(&self) -> Result<Money, Problem> {
        Ok(Money::parse(&self.amount, self.currency).map_err(Refusal::from)?)
    }
}

/// A new product.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductBody {
    title: String,
    brand: Option<String>,
    vendor: Option<String>,
    category: Option<String>,
    style_code: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    variants: Vec<Object<VariantBody>>,
}

/// What describes a product, as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetailsBody {
    title: String,
    brand: Option<String>,
    vendor: Option<String>,
    category: Option<String>,
    style_code: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
}

/// Variants of a product that is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantsBody {
    variants: Vec<Object<VariantBody>>,
}

/// A variant of a product.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantBody {
    /// Which one gets another SKU.
    id: Option<VariantId>,
    sku: Sku,
    #[serde(default, deserialize_with = "each_once")]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "each_once")]
    prices: BTreeMap<String, Object<PriceBody>>,
}

/// Narrows the list.
#[derive(Debug, Deserialize)]
pub struct Filter {
    sku: Option<String>,
    style_code: Option<String>,
}

/// `GET /api/products`
pub async fn list(
    app: AppState,
    listing: Listing<Filter, AnyTime>,
) -> Result<Read<Page<ProductView>>, Problem> {
    let Filter { sku, style_code } = &listing.filter;
    let filter = ProductFilter { id: None, sku: sku.clone(), style_code: style_code.clone() };
    find(&app, &listing, &filter).await
}

/// `GET /api/products/{id}`
pub async fn show(
    app: AppState,
    listing: Listing<Empty, AnyTime>,
    Path(id): Path<Uuid>,
) -> Result<Read<ProductView>, Problem> {
    let filter = ProductFilter { id: Some(id), ..ProductFilter::default() };
    let found = find(&app, &listing, &filter).await?;
    found.first().ok_or_else(|| Problem::missing("product.unknown", format!("there is no product {id}")))
}

async fn find<F>(
    app: &AppState,
    listing: &Listing<F, AnyTime>,
    filter: &ProductFilter,
) -> Result<Read<Page<ProductView>>, Problem> {
    let (pool, window) = (app.onhand.pool(), &listing.window);
    Ok(match listing.at(app).await? {
        Some(position) => Read::at(position, at::products::list(pool, window, filter, position).await?),
        None => Read::now(products::list(pool, window, filter).await?),
    })
}

/// `POST /api/products`
pub async fn create(app: AppState, ask: Ask<ProductBody>) -> Result<Written, Problem> {
    let draft = draft(ask.body)?;
    Ok(Written::created(app.onhand.operations.create_product(ask.caller, draft).await?))
}

/// `PUT /api/products/{id}`
pub async fn describe(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: Ask<DetailsBody>,
) -> Result<Written, Problem> {
    let DetailsBody { title, brand, vendor, category, style_code, tags } = ask.body;
    let details = said(ProductDetails { title, brand, vendor, category, style_code, tags })?;
    let operations = &app.onhand.operations;
    Ok(Written::done(operations.describe_product(ask.caller, ProductId(id), details).await?))
}

/// `POST /api/products/{id}/variants`
pub async fn put_variants(
    app: AppState,
    Path(id): Path<Uuid>,
    ask: Ask<VariantsBody>,
) -> Result<Written, Problem> {
    let variants = drafts(ask.body.variants)?;
    Ok(Written::done(app.onhand.operations.put_variants(ask.caller, ProductId(id), variants).await?))
}

/// `DELETE /api/products/{id}`
pub async fn archive(app: AppState, Path(id): Path<Uuid>, ask: Ask<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.archive_product(ask.caller, ProductId(id)).await?))
}

/// `POST /api/products/{id}/restore`
pub async fn restore(app: AppState, Path(id): Path<Uuid>, ask: Ask<Empty>) -> Result<Written, Problem> {
    Ok(Written::done(app.onhand.operations.restore_product(ask.caller, ProductId(id)).await?))
}

/// `PUT /api/variants/{sku}/prices/{market}`
pub async fn set_price(
    app: AppState,
    Path((sku, market)): Path<(Sku, Market)>,
    ask: Ask<PriceBody>,
) -> Result<Written, Problem> {
    let price = ask.body.money()?;
    Ok(Written::done(app.onhand.operations.set_price(ask.caller, sku, market, price).await?))
}

fn draft(body: ProductBody) -> Result<ProductDraft, Problem> {
    let details = said(ProductDetails {
        title: body.title,
        brand: body.brand,
        vendor: body.vendor,
        category: body.category,
        style_code: body.style_code,
        tags: body.tags,
    })?;
    Ok(ProductDraft { details, variants: drafts(body.variants)? })
}

/// What describes a product, without the blanks around it that somebody typed: feeds name it letter for letter. A name that others
/// are found by is refused if there is nothing in it. A brand keeps its blanks, as keys, tokens and connections do.
fn said(details: ProductDetails) -> Result<ProductDetails, Problem> {
    for (what, name) in [("brand", &details.brand), ("style_code", &details.style_code)] {
        if name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            let detail = format!("there is nothing in {what}; leave it out");
            return Err(Refusal::invalid("text.empty", detail).into());
        }
    }
    let ProductDetails { title, brand, vendor, category, style_code, tags } = details;
    let [vendor, category, style_code] = [vendor, category, style_code].map(|word| filled(word.as_deref()?));
    let tags = tags.iter().filter_map(|tag| filled(tag)).collect();
    Ok(ProductDetails { title: title.trim().to_owned(), brand, vendor, category, style_code, tags })
}

/// A word without blanks around it, if there is something in it.
fn filled(word: &str) -> Option<String> {
    Some(word.trim().to_owned()).filter(|word| !word.is_empty())
}

/// What sets a variant apart, without blanks around it.
fn attributes(sku: &Sku, given: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Refusal> {
    let trimmed = given.iter().map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
    let attributes: BTreeMap<_, _> = trimmed.collect();
    if attributes.len() < given.len() {
        return Err(Refusal::invalid("value.invalid", format!("an attribute of {sku} is told twice")));
    }
    Ok(attributes)
}

fn drafts(bodies: Vec<Object<VariantBody>>) -> Result<Vec<VariantDraft>, Problem> {
    let mut variants = Vec::with_capacity(bodies.len());
    for Object(VariantBody { id, sku, attributes: told, prices: given }) in bodies {
        let mut prices = BTreeMap::new();
        for (market, Object(price)) in &given {
            let market = Market::new(market).map_err(Refusal::from)?;
            prices.insert(market, price.money()?);
        }
        let attributes = attributes(&sku, &told)?;
        variants.push(VariantDraft { id, details: VariantDetails { sku, attributes }, prices });
    }
    Ok(variants)
}

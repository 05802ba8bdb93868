//! Products with their variants.

use std::collections::HashMap;

use onhand_domain::values::{ProductId, TenantId, VariantId};
use serde::Serialize;
use serde_json::Value;
use sqlx::{FromRow, PgPool};
use uuid::Uuid;

use super::{Page, QueryError, Window};

/// A product as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the tables, described there")]
pub struct ProductView {
    pub id: Uuid,
    pub title: String,
    pub brand: Option<String>,
    pub vendor: Option<String>,
    pub category: Option<String>,
    pub style_code: Option<String>,
    pub tags: Vec<String>,
    pub archived: bool,
    /// `[{ id, sku, attributes, prices: { market: { minor, currency } } }]`, by SKU.
    pub variants: Value,
    /// `[{ connection_id, shown: { title, vendor, category, tags }, taken_off }]`, by connection; of the reader's brand.
    pub offers: Value,
}

/// What a list of products is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct ProductFilter {
    /// One product.
    pub id: Option<Uuid>,
    /// Those with this SKU among their variants.
    pub sku: Option<String>,
    /// Those of this model.
    pub style_code: Option<String>,
}

/// A tenant's products, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    filter: &ProductFilter,
) -> Result<Page<ProductView>, QueryError> {
    let rows = sqlx::query_as(
        "select p.id, p.title, p.brand, p.vendor, p.category, p.style_code, p.tags, p.archived,
                coalesce((select jsonb_agg(jsonb_build_object('id', v.id, 'sku', v.sku,
                              'attributes', v.attributes, 'prices', v.prices) order by v.sku collate \"C\")
                          from variants v where v.tenant_id = p.tenant_id and v.product_id = p.id), '[]') as variants,
                coalesce((select jsonb_agg(jsonb_build_object('connection_id', o.key, 'shown', o.value->'shown',
                              'taken_off', o.value->'taken_off') order by o.key collate \"C\")
                          from jsonb_each(p.offers) o
                          join connections c on c.tenant_id = p.tenant_id and c.id = o.key::uuid
                          where $2::text is null or c.brand = $2), '[]') as offers
         from products p
         where p.tenant_id = $1 and ($2::text is null or p.brand = $2) and ($3::uuid is null or p.id > $3)
           and ($4::uuid is null or p.id = $4)
           and ($5::text is null or p.id in (select product_id from variants where tenant_id = $1 and sku = $5))
           and ($6::text is null or p.style_code = $6)
         order by p.id limit $7",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<Uuid>()?)
    .bind(filter.id)
    .bind(&filter.sku)
    .bind(&filter.style_code)
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &ProductView| row.id))
}

/// Whether all of these variants belong to products of one brand.
pub async fn all_of_brand(
    pool: &PgPool,
    tenant: TenantId,
    variants: &[Uuid],
    brand: &str,
) -> Result<bool, sqlx::Error> {
    let (foreign,): (bool,) = sqlx::query_as(
        "select exists (
             select from variants v join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
             where v.tenant_id = $1 and v.id = any($2) and p.brand is distinct from $3)",
    )
    .bind(tenant.0)
    .bind(variants)
    .bind(brand)
    .fetch_one(pool)
    .await?;
    Ok(!foreign)
}

/// Whether a product is listed on connections of other brands than this one.
pub async fn is_listed_elsewhere(
    pool: &PgPool,
    tenant: TenantId,
    product: ProductId,
    brand: &str,
) -> Result<bool, sqlx::Error> {
    let (elsewhere,): (bool,) = sqlx::query_as(
        "select exists (
             select from variants v
             join listings l on l.tenant_id = v.tenant_id and l.variant_id = v.id and not l.removed
             join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
             where v.tenant_id = $1 and v.product_id = $2 and c.brand <> $3)",
    )
    .bind(tenant.0)
    .bind(product.0)
    .bind(brand)
    .fetch_one(pool)
    .await?;
    Ok(elsewhere)
}

/// What a SKU names.
#[derive(Debug, Clone)]
pub struct NamedVariant {
    /// The SKU.
    pub sku: String,
    /// The variant's product.
    pub product: ProductId,
    /// The variant.
    pub variant: VariantId,
    /// The brand that owns the product.
    pub brand: Option<String>,
}

/// What these SKUs name; those that name nothing are left out.
pub async fn of_skus(
    pool: &PgPool,
    tenant: TenantId,
    skus: &[&str],
) -> Result<Vec<NamedVariant>, sqlx::Error> {
    let rows: Vec<(String, Uuid, Uuid, Option<String>)> = sqlx::query_as(
        "select v.sku, v.product_id, v.id, p.brand
         from variants v join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         where v.tenant_id = $1 and v.sku = any($2) -- variants_sku_idx",
    )
    .bind(tenant.0)
    .bind(skus)
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(sku, product, variant, brand)| NamedVariant {
            sku,
            product: ProductId(product),
            variant: VariantId(variant),
            brand,
        })
        .collect())
}

/// A variant that a price feed may mean.
#[derive(Debug, Clone)]
pub struct StyledVariant {
    /// Its product.
    pub product: ProductId,
    /// Itself.
    pub variant: VariantId,
    sku: String,
    size: Option<String>,
    by_style: bool,
}

impl StyledVariant {
    /// Whether a feed that says `style_code` and `size` means this variant.
    pub fn is(&self, style_code: &str, size: Option<&str>) -> bool {
        match size {
            None => self.by_style || self.sku == style_code,
            Some(size) => {
                self.sku == format!("{style_code}-{size}")
                    || (self.by_style && self.size.as_deref() == Some(size))
            }
        }
    }
}

/// The variants of the models with these codes, and those whose SKU begins with one of them; by code. Products
/// of other brands are left out.
pub async fn variants_of_style(
    pool: &PgPool,
    tenant: TenantId,
    brand: &str,
    styles: &[String],
) -> Result<HashMap<String, Vec<StyledVariant>>, sqlx::Error> {
    let rows: Vec<(String, Uuid, Uuid, String, Option<String>, bool)> =
        sqlx::query_as(include_str!("variants_of_style.sql"))
            .bind(tenant.0)
            .bind(styles)
            .bind(brand)
            .fetch_all(pool)
            .await?;
    let mut found: HashMap<String, Vec<StyledVariant>> = HashMap::new();
    for (code, product, variant, sku, size, by_style) in rows {
        let variant =
            StyledVariant { product: ProductId(product), variant: VariantId(variant), sku, size, by_style };
        found.entry(code).or_default().push(variant);
    }
    Ok(found)
}

//! Listings: which of their variants is which of ours, and what a command to a platform needs to know.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use onhand_domain::{
    connection::{Platform, Subject, SyncRules},
    values::{ConnectionId, ExternalId, ListingId, Money, Sku, TenantId},
};
use serde::Serialize;
use sqlx::{FromRow, PgPool, types::Json};
use uuid::Uuid;

use super::{Page, QueryError, Window};
use crate::platforms::outbound::{Handle, outbound_of};

/// A listing as a reader sees it.
#[derive(Debug, Clone, Serialize, FromRow)]
#[expect(missing_docs, reason = "the columns of the table, described there")]
pub struct ListingView {
    pub id: Uuid,
    pub connection_id: Uuid,
    pub product_id: Uuid,
    pub variant_id: Uuid,
    pub sku: String,
    pub external_product: String,
    pub external_variant: String,
    pub external_inventory: Option<String>,
    pub removed: bool,
    pub shown_quantity: Option<i64>,
    pub quantity_as_of: i64,
    pub shown_price: Option<Json<Money>>,
    pub price_as_of: i64,
}

/// A tenant's listings, by id.
pub async fn list(
    pool: &PgPool,
    window: &Window,
    connection: Option<ConnectionId>,
) -> Result<Page<ListingView>, QueryError> {
    let rows = sqlx::query_as(
        "select l.id, l.connection_id, l.product_id, l.variant_id, v.sku, l.external_product, l.external_variant,
                l.external_inventory, l.removed, l.shown_quantity, l.quantity_as_of, l.shown_price, l.price_as_of
         from listings l
         join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
         where l.tenant_id = $1 and ($2::text is null or c.brand = $2) and ($3::uuid is null or l.id > $3)
           and ($4::uuid is null or l.connection_id = $4)
         order by l.id limit $5",
    )
    .bind(window.tenant.0)
    .bind(&window.brand)
    .bind(window.after::<Uuid>()?)
    .bind(connection.map(|id| id.0))
    .bind(window.fetch())
    .fetch_all(pool)
    .await?;
    Ok(window.page(rows, |row: &ListingView| row.id))
}

/// The listings of some of a platform's products on one connection, those that are gone among them, by product.
pub async fn listings_of_products(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    products: &[&str],
) -> Result<HashMap<String, Vec<ListingId>>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select external_product, id from listings
         where tenant_id = $1 and connection_id = $2 and external_product = any($3)
         order by id limit 20000 -- listings_product_idx",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(products)
    .fetch_all(pool)
    .await?;
    Ok(gathered(rows))
}

/// The listings of some of a platform's products on one connection, and all the others there of those of ours that these are;
/// by product.
pub async fn listings_around(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    products: &[&str],
) -> Result<HashMap<String, Vec<ListingId>>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "with shown as (
             select distinct external_product, product_id from listings
             where tenant_id = $1 and connection_id = $2 and external_product = any($3) and not removed -- listings_product_idx
         )
         select s.external_product, l.id
         from shown s
         join variants v on v.tenant_id = $1 and v.product_id = s.product_id -- variants_product_idx
         join listings l on l.tenant_id = $1 and l.variant_id = v.id and l.connection_id = $2 -- listings_variant_idx
         where not l.removed
         order by l.id limit 20000",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(products)
    .fetch_all(pool)
    .await?;
    Ok(gathered(rows))
}

/// The listings whose stock a platform keeps under these ids, on one connection, by id.
pub async fn listings_of_inventories(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
    inventories: &[&str],
) -> Result<HashMap<String, Vec<ListingId>>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select external_inventory, id from listings
         where tenant_id = $1 and connection_id = $2 and external_inventory = any($3) and not removed
         order by id limit 20000 -- listings_inventory_idx",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .bind(inventories)
    .fetch_all(pool)
    .await?;
    Ok(gathered(rows))
}

fn gathered(rows: Vec<(String, Uuid)>) -> HashMap<String, Vec<ListingId>> {
    let mut gathered: HashMap<String, Vec<ListingId>> = HashMap::new();
    for (external, id) in rows {
        gathered.entry(external).or_default().push(ListingId(id));
    }
    gathered
}

/// Which listings are meant; all of the tenant's, where nothing is named.
#[derive(Debug, Clone, Default)]
pub struct ListingFilter {
    /// On these connections.
    pub connections: Vec<ConnectionId>,
    /// Of these products.
    pub products: Vec<Uuid>,
    /// Of these SKUs.
    pub skus: Vec<Sku>,
}

/// The listings that are meant, by id, each with its connection; of enabled connections only.
pub async fn chosen(
    pool: &PgPool,
    tenant: TenantId,
    (brand, filter): (Option<&str>, &ListingFilter),
    limit: i64,
) -> Result<Vec<(ListingId, ConnectionId)>, sqlx::Error> {
    let connections: Vec<Uuid> = filter.connections.iter().map(|id| id.0).collect();
    let skus: Vec<&str> = filter.skus.iter().map(Sku::as_str).collect();
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select l.id, l.connection_id
         from listings l
         join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
         join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         where l.tenant_id = $1 and not l.removed and c.enabled and ($2::text is null or c.brand = $2)
           and (cardinality($3::uuid[]) = 0 or l.connection_id = any($3))
           and (cardinality($4::uuid[]) = 0 or l.product_id = any($4))
           and (cardinality($5::text[]) = 0 or v.sku = any($5))
         order by l.id limit $6",
    )
    .bind(tenant.0)
    .bind(brand)
    .bind(connections)
    .bind(&filter.products)
    .bind(skus)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(id, connection)| (ListingId(id), ConnectionId(connection))).collect())
}

/// A listing of a connection, whether that is enabled or not.
pub async fn any_of(
    pool: &PgPool,
    tenant: TenantId,
    connection: ConnectionId,
) -> Result<Option<ListingId>, sqlx::Error> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "select id from listings where tenant_id = $1 and connection_id = $2 and not removed order by id limit 1",
    )
    .bind(tenant.0)
    .bind(connection.0)
    .fetch_optional(pool)
    .await?;
    Ok(id.map(ListingId))
}

/// What a listing is to show, and what it is believed to show.
#[derive(Debug, Clone)]
pub struct Target {
    /// Which connection's.
    pub connection: ConnectionId,
    /// As the platform knows it.
    pub handle: Handle,
    /// As the seller knows it.
    pub sku: Sku,
    /// Available units, less the connection's safety buffer; never below 0. None if the shelf has no history:
    /// unknown is not zero, and a shop that is connected with its own stock is not emptied.
    pub quantity: Option<i64>,
    /// The ledger position that quantity is true as of.
    pub quantity_as_of: i64,
    /// When the entry there was recorded.
    pub quantity_at: Option<DateTime<Utc>>,
    /// The quantity it is believed to show.
    pub shown_quantity: Option<i64>,
    /// The price in the connection's market, if it has one.
    pub price: Option<Money>,
    /// The ledger position that price is true as of.
    pub price_as_of: i64,
    /// The price it is believed to show.
    pub shown_price: Option<Money>,
    /// Whether the rules, their conditions and the switch allow quantities to be pushed, the platform still offers it, and nobody
    /// has to judge a foreign change first.
    pub pushes_quantity: bool,
    /// The same, for prices.
    pub pushes_price: bool,
    /// What it is judged by.
    product: Product,
    /// Units for sale, the buffer not taken off yet; none if the shelf has no history.
    available: Option<i64>,
    /// Whether anything may be pushed, whatever the rules say.
    open: bool,
    /// Whether its platform takes prices.
    prices: bool,
    /// Whether the platform has taken a quantity of ours, and the last one was not none. What somebody there has counted since it
    /// was sold out is not ours.
    shown_by_us: bool,
    /// Somebody has to judge a foreign change of it first.
    pub quantity_in_question: bool,
    /// The same, for the price.
    pub price_in_question: bool,
}

/// What conditions ask about.
#[derive(Debug, Clone)]
struct Product {
    brand: Option<String>,
    category: Option<String>,
    tags: Vec<String>,
}

impl Target {
    /// The quantity that is to be shown and is not believed to be; if that belief is in doubt, whatever is to be shown.
    pub fn owed_quantity(&self, in_doubt: bool) -> Option<i64> {
        let shown = self.shown_quantity.filter(|_| !in_doubt);
        self.quantity.filter(|quantity| self.pushes_quantity && shown != Some(*quantity))
    }

    /// The same, for the price.
    pub fn owed_price(&self, in_doubt: bool) -> Option<Money> {
        let shown = self.shown_price.filter(|_| !in_doubt);
        self.price.filter(|price| self.pushes_price && shown != Some(*price))
    }

    /// What other rules would have it show.
    pub fn judge_by(&mut self, rules: &SyncRules) {
        let fits = rules.conditions.fit(&Subject {
            sku: &self.sku,
            brand: self.product.brand.as_deref(),
            category: self.product.category.as_deref(),
            tags: &self.product.tags,
            price: self.price,
        });
        let open = self.open && rules.realtime_sync_enabled;
        // What we have shown there and what is to be shown no more is sold out there, once: nobody would take it off again.
        let ends = !fits && self.shown_by_us && self.shown_quantity != Some(0);
        self.pushes_quantity =
            open && (fits || ends) && rules.propagate_inventory && !self.quantity_in_question;
        self.pushes_price = open && fits && self.prices && rules.propagate_updates && !self.price_in_question;
        let left = |available: i64| (available - rules.safety_buffer.units()).max(0);
        self.quantity = self.available.map(|available| if fits { left(available) } else { 0 });
    }
}

#[derive(FromRow)]
struct TargetRow {
    id: Uuid,
    connection_id: Uuid,
    external_product: String,
    external_variant: String,
    external_inventory: Option<String>,
    available: Option<i64>,
    quantity_as_of: i64,
    quantity_at: Option<DateTime<Utc>>,
    shown_quantity: Option<i64>,
    price: Option<Json<Money>>,
    price_as_of: i64,
    shown_price: Option<Json<Money>>,
    open: bool,
    shown_by_us: bool,
    platform: String,
    quantity_in_question: bool,
    price_in_question: bool,
    sku: String,
    brand: Option<String>,
    category: Option<String>,
    tags: Vec<String>,
    rules: Json<SyncRules>,
}

/// The present truth for some listings, all as of one moment: one statement, one snapshot.
pub async fn targets(
    pool: &PgPool,
    tenant: TenantId,
    listings: &[ListingId],
) -> Result<HashMap<ListingId, Target>, sqlx::Error> {
    let rows: Vec<TargetRow> = sqlx::query_as(
        "select l.id, l.connection_id, l.external_product, l.external_variant, l.external_inventory,
                case when s.variant_id is not null then s.on_hand - s.reserved end as available,
                coalesce((select position from checkpoints
                          where tenant_id = $1 and model = 'stock_levels'), 0) as quantity_as_of,
                (select e.recorded_at from checkpoints k
                 join events e on e.tenant_id = k.tenant_id and e.position = k.position
                 where k.tenant_id = $1 and k.model = 'stock_levels') as quantity_at,
                l.shown_quantity,
                -- A price in another currency than the shop's is no price there.
                case when v.prices->c.market->>'currency' = c.currency then v.prices->c.market end as price,
                (select position from ledger_heads where tenant_id = $1) as price_as_of,
                l.shown_price,
                not l.removed and c.enabled as open, l.quantity_as_of > 0 and not l.emptied as shown_by_us,
                c.platform,
                l.quantity_conflict is not null as quantity_in_question,
                l.price_conflict is not null as price_in_question,
                v.sku, p.brand, p.category, coalesce(p.tags, '{}') as tags, c.rules
         from listings l
         join connections c on c.tenant_id = l.tenant_id and c.id = l.connection_id
         join variants v on v.tenant_id = l.tenant_id and v.id = l.variant_id
         left join products p on p.tenant_id = v.tenant_id and p.id = v.product_id
         left join stock_levels s
             on s.tenant_id = l.tenant_id and s.variant_id = l.variant_id and s.location = c.location
         where l.tenant_id = $1 and l.id = any($2)",
    )
    .bind(tenant.0)
    .bind(listings.iter().map(|id| id.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|row| Ok((ListingId(row.id), target(&row)?))).collect()
}

fn target(row: &TargetRow) -> Result<Target, sqlx::Error> {
    let id = |text: &str| ExternalId::new(text).map_err(|error| sqlx::Error::Decode(Box::new(error)));
    let sku = Sku::new(&row.sku).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    let outbound = row.platform.parse::<Platform>().ok().and_then(outbound_of);
    let mut target = Target {
        connection: ConnectionId(row.connection_id),
        handle: Handle {
            product: id(&row.external_product)?,
            variant: id(&row.external_variant)?,
            inventory: row.external_inventory.as_deref().map(id).transpose()?,
        },
        quantity: None,
        quantity_as_of: row.quantity_as_of,
        quantity_at: row.quantity_at,
        shown_quantity: row.shown_quantity,
        price: row.price.as_ref().map(|price| price.0),
        price_as_of: row.price_as_of,
        shown_price: row.shown_price.as_ref().map(|price| price.0),
        pushes_quantity: false,
        pushes_price: false,
        sku,
        product: Product { brand: row.brand.clone(), category: row.category.clone(), tags: row.tags.clone() },
        available: row.available,
        open: row.open && outbound.is_some(),
        prices: outbound.is_some_and(|outbound| outbound.sets_prices()),
        shown_by_us: row.shown_by_us,
        quantity_in_question: row.quantity_in_question,
        price_in_question: row.price_in_question,
    };
    target.judge_by(&row.rules);
    Ok(target)
}

//! `products` and `variants`: the catalogue as it stands.

use futures_util::future::BoxFuture;
use onhand_domain::{
    State, StreamId,
    product::{Offer, Product},
    values::{ProductId, TenantId},
};
use onhand_infrastructure::ledger::StateTable;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Rows that follow from product streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Product(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let products: Vec<_> = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Product(id), State::Product(product)) => Some((*id, product)),
                _ => None,
            })
            .collect();
        let variants: Vec<Value> =
            products.iter().flat_map(|(id, product)| variant_rows(*id, product)).collect();
        let products: Vec<Value> = products.into_iter().filter_map(|(id, p)| product_row(id, p)).collect();
        sqlx::query(
            "insert into products (tenant_id, id, title, brand, vendor, category, style_code, tags, archived, offers)
             select $1, r.id, r.title, r.brand, r.vendor, r.category, r.style_code,
                    array(select jsonb_array_elements_text(r.tags)), r.archived, r.offers
             from jsonb_to_recordset($2) as r (id uuid, title text, brand text, vendor text, category text,
                                               style_code text, tags jsonb, archived boolean, offers jsonb)
             on conflict (tenant_id, id) do update
                 set title = excluded.title, brand = excluded.brand, vendor = excluded.vendor,
                     category = excluded.category, style_code = excluded.style_code, tags = excluded.tags,
                     archived = excluded.archived, offers = excluded.offers",
        )
        .bind(tenant.0)
        .bind(Value::Array(products))
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "insert into variants (tenant_id, id, product_id, sku, attributes, prices)
             select $1, r.id, r.product_id, r.sku, r.attributes, r.prices
             from jsonb_to_recordset($2) as r (id uuid, product_id uuid, sku text, attributes jsonb, prices jsonb)
             on conflict (tenant_id, id) do update
                 set product_id = excluded.product_id, sku = excluded.sku, attributes = excluded.attributes,
                     prices = excluded.prices
                 where (variants.sku, variants.attributes, variants.prices)
                     is distinct from (excluded.sku, excluded.attributes, excluded.prices)",
        )
        .bind(tenant.0)
        .bind(Value::Array(variants))
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn product_row(id: ProductId, product: &Product) -> Option<Value> {
    let details = product.details.as_ref()?;
    Some(json!({
        "id": id, "title": details.title, "brand": details.brand, "vendor": details.vendor,
        "category": details.category, "style_code": details.style_code, "tags": details.tags,
        "archived": product.archived, "offers": offers(product),
    }))
}

/// By connection. What is remembered for late news is left out.
fn offers(product: &Product) -> Value {
    let offers = product.offers.iter().map(|(connection, offer)| {
        let Offer { settled, shown, taken_off, .. } = offer;
        let known = json!({
            "settled": settled, "shown": shown, "taken_off": taken_off, "is_awaited": offer.is_awaited(),
        });
        (connection.to_string(), known)
    });
    Value::Object(offers.collect())
}

fn variant_rows(id: ProductId, product: &Product) -> impl Iterator<Item = Value> {
    product.variants.iter().map(move |(variant, known)| {
        json!({
            "id": variant, "product_id": id, "sku": known.details.sku,
            "attributes": known.details.attributes, "prices": known.prices,
        })
    })
}

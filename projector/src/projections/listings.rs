//! `listings`: which of their variants is which of ours, and what each is believed to show.

use futures_util::future::BoxFuture;
use onhand_domain::{
    State, StreamId,
    listing::Listing,
    values::{ListingId, TenantId},
};
use onhand_infrastructure::ledger::StateTable;
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Rows that follow from listing streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Listing(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Listing(id), State::Listing(listing)) => row(*id, listing),
                _ => None,
            })
            .collect();
        sqlx::query(
            "insert into listings (tenant_id, id, connection_id, product_id, variant_id, external_product,
                                   external_variant, external_inventory, removed, shown_quantity, quantity_as_of,
                                   shown_price, price_as_of, quantity_conflict, price_conflict)
             select $1, r.id, r.connection_id, r.product_id, r.variant_id, r.external_product, r.external_variant,
                    r.external_inventory, r.removed, r.shown_quantity, r.quantity_as_of, r.shown_price, r.price_as_of,
                    r.quantity_conflict, r.price_conflict
             from jsonb_to_recordset($2) as r (id uuid, connection_id uuid, product_id uuid, variant_id uuid,
                 external_product text, external_variant text, external_inventory text, removed boolean,
                 shown_quantity bigint, quantity_as_of bigint, shown_price jsonb, price_as_of bigint,
                 quantity_conflict jsonb, price_conflict jsonb)
             on conflict (tenant_id, id) do update
                 set product_id = excluded.product_id, variant_id = excluded.variant_id,
                     external_product = excluded.external_product, external_inventory = excluded.external_inventory,
                     removed = excluded.removed, shown_quantity = excluded.shown_quantity,
                     quantity_as_of = excluded.quantity_as_of, shown_price = excluded.shown_price,
                     price_as_of = excluded.price_as_of,
                     quantity_conflict = excluded.quantity_conflict, price_conflict = excluded.price_conflict",
        )
        .bind(tenant.0)
        .bind(Value::Array(rows))
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn row(id: ListingId, listing: &Listing) -> Option<Value> {
    let mapping = listing.mapping.as_ref()?;
    let mut row = json!({
        "id": id, "connection_id": mapping.connection, "product_id": mapping.product, "variant_id": mapping.variant,
        "external_product": mapping.external_product, "external_variant": mapping.external_variant,
        "external_inventory": mapping.external_inventory, "removed": listing.removed,
        "shown_quantity": listing.quantity.value, "quantity_as_of": listing.quantity.as_of,
        "price_as_of": listing.price.as_of,
    });
    // Absent, not JSON null: the column is then SQL null.
    if let Some(price) = listing.price.value {
        row["shown_price"] = json!(price);
    }
    if let Some(conflict) = listing.quantity_conflict {
        row["quantity_conflict"] = json!(conflict);
    }
    if let Some(conflict) = listing.price_conflict {
        row["price_conflict"] = json!(conflict);
    }
    Some(row)
}

//! `listings`: which of their variants is which of ours, and what each is believed to show.

use futures_util::future::BoxFuture;
use onhand_domain::{
    State, StreamId,
    listing::{Listing, Mapping},
    values::{ExternalId, TenantId},
};
use onhand_infrastructure::ledger::StateTable;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

/// Rows that follow from listing streams.
pub const TABLE: StateTable = StateTable { write, covers: |stream| matches!(stream, StreamId::Listing(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows: Vec<(Uuid, &Mapping, &Listing)> = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Listing(id), State::Listing(listing)) => {
                    Some((id.0, listing.mapping.as_ref()?, &**listing))
                }
                _ => None,
            })
            .collect();
        sqlx::query(
            "insert into listings (tenant_id, id, connection_id, product_id, variant_id, external_product,
                                   external_variant, external_inventory, removed, shown_quantity, quantity_as_of,
                                   shown_price, price_as_of, quantity_conflict, price_conflict, emptied, taken_off)
             select $1, unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::uuid[]), unnest($5::uuid[]), unnest($6::text[]),
                    unnest($7::text[]), unnest($8::text[]), unnest($9::boolean[]), unnest($10::bigint[]),
                    unnest($11::bigint[]), unnest($12::jsonb[]), unnest($13::bigint[]), unnest($14::jsonb[]),
                    unnest($15::jsonb[]), unnest($16::boolean[]), unnest($17::boolean[])
             on conflict (tenant_id, id) do update
                 set product_id = excluded.product_id, variant_id = excluded.variant_id,
                     external_product = excluded.external_product, external_inventory = excluded.external_inventory,
                     removed = excluded.removed, shown_quantity = excluded.shown_quantity,
                     quantity_as_of = excluded.quantity_as_of, shown_price = excluded.shown_price,
                     price_as_of = excluded.price_as_of,
                     quantity_conflict = excluded.quantity_conflict, price_conflict = excluded.price_conflict,
                     emptied = excluded.emptied, taken_off = excluded.taken_off",
        )
        .bind(tenant.0)
        .bind(column(&rows, |(id, ..)| *id))
        .bind(column(&rows, |(_, mapping, _)| mapping.connection.0))
        .bind(column(&rows, |(_, mapping, _)| mapping.product.0))
        .bind(column(&rows, |(_, mapping, _)| mapping.variant.0))
        .bind(column(&rows, |(_, mapping, _)| mapping.external_product.as_str()))
        .bind(column(&rows, |(_, mapping, _)| mapping.external_variant.as_str()))
        .bind(column(&rows, |(_, mapping, _)| mapping.external_inventory.as_ref().map(ExternalId::as_str)))
        .bind(column(&rows, |(.., listing)| listing.removed))
        .bind(column(&rows, |(.., listing)| listing.quantity.value))
        .bind(column(&rows, |(.., listing)| listing.quantity.as_of))
        .bind(column(&rows, |(.., listing)| listing.price.value.map(Json)))
        .bind(column(&rows, |(.., listing)| listing.price.as_of))
        .bind(column(&rows, |(.., listing)| listing.quantity_conflict.map(Json)))
        .bind(column(&rows, |(.., listing)| listing.price_conflict.map(Json)))
        .bind(column(&rows, |(.., listing)| listing.emptied))
        .bind(column(&rows, |(.., listing)| listing.taken_off))
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn column<R, V>(rows: &[R], value: impl Fn(&R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

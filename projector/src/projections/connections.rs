//! `connections`: accounts as they stand, and what their rules let out.

use futures_util::future::BoxFuture;
use onhand_domain::{
    State, StreamId,
    connection::Connection,
    values::{ConnectionId, TenantId},
};
use onhand_infrastructure::{ledger::StateTable, platforms::outbound::outbound_of};
use serde_json::{Value, json};
use sqlx::PgConnection;

/// Rows that follow from connection streams.
pub const TABLE: StateTable =
    StateTable { write, covers: |stream| matches!(stream, StreamId::Connection(_)) };

fn write<'c>(
    conn: &'c mut PgConnection,
    tenant: TenantId,
    states: &'c [(StreamId, &'c State)],
) -> BoxFuture<'c, Result<(), sqlx::Error>> {
    Box::pin(async move {
        let rows = states
            .iter()
            .filter_map(|(stream, state)| match (stream, state) {
                (StreamId::Connection(id), State::Connection(connection)) => row(*id, connection),
                _ => None,
            })
            .collect();
        sqlx::query(
            "insert into connections (tenant_id, id, platform, name, brand, account, app, endpoint, platform_location,
                                      location, market, currency, rules, pushes_quantity, pushes_price, enabled, paused, alerts,
                                      offers_products, describes_products, takes_off_products, told_words)
             select $1, r.id, r.platform, r.name, r.brand, r.account, r.app, r.endpoint, r.platform_location,
                    r.location, r.market, r.currency, r.rules, r.pushes_quantity, r.pushes_price, r.enabled,
                    r.paused, r.alerts, r.offers_products, r.describes_products, r.takes_off_products,
                    array(select jsonb_array_elements_text(r.told_words))
             from jsonb_to_recordset($2) as r (id uuid, platform text, name text, brand text, account text,
                 app text, endpoint text, platform_location text, location text, market text, currency text, rules jsonb,
                 pushes_quantity boolean, pushes_price boolean, enabled boolean, paused boolean, alerts jsonb,
                 offers_products boolean, describes_products boolean, takes_off_products boolean, told_words jsonb)
             on conflict (tenant_id, id) do update
                 set name = excluded.name, brand = excluded.brand, account = excluded.account, app = excluded.app,
                     endpoint = excluded.endpoint, platform_location = excluded.platform_location,
                     location = excluded.location, market = excluded.market, currency = excluded.currency,
                     rules = excluded.rules, pushes_quantity = excluded.pushes_quantity,
                     pushes_price = excluded.pushes_price, enabled = excluded.enabled,
                     paused = excluded.paused, alerts = excluded.alerts, offers_products = excluded.offers_products,
                     describes_products = excluded.describes_products,
                     takes_off_products = excluded.takes_off_products, told_words = excluded.told_words",
        )
        .bind(tenant.0)
        .bind(Value::Array(rows))
        .execute(conn)
        .await?;
        Ok(())
    })
}

fn row(id: ConnectionId, connection: &Connection) -> Option<Value> {
    let details = connection.details.as_ref()?;
    let rules = &connection.rules;
    let outbound = outbound_of(details.platform).filter(|_| rules.realtime_sync_enabled);
    let products = outbound.map(|outbound| outbound.skills().under(rules)).unwrap_or_default();
    let words = outbound_of(details.platform).map(|outbound| outbound.words()).unwrap_or_default();
    let words: Vec<&str> = words.iter().map(|word| word.name()).collect();
    Some(json!({
        "id": id, "platform": details.platform, "name": details.name, "brand": details.brand,
        "account": details.account, "app": details.app, "endpoint": details.endpoint, "platform_location": details.platform_location,
        "location": details.location, "market": details.market, "currency": details.currency, "rules": rules,
        "pushes_quantity": outbound.is_some() && rules.propagate_inventory,
        "pushes_price": outbound.is_some_and(|outbound| outbound.sets_prices()) && rules.propagate_updates,
        "enabled": connection.enabled, "paused": connection.paused, "alerts": connection.alerts,
        "offers_products": products.offers, "describes_products": products.describes,
        "takes_off_products": products.takes_off, "told_words": words,
    }))
}

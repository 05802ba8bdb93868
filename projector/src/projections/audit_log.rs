//! `audit_log`: every entry, put the way an auditor asks: who did what to what, when.

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use crate::{ProjectorError, registry::Stretch};

/// Applies a stretch with one statement, without the entries leaving the database.
pub fn apply<'c>(
    conn: &'c mut PgConnection,
    stretch: Stretch<'c>,
) -> BoxFuture<'c, Result<(), ProjectorError>> {
    Box::pin(async move {
        sqlx::query(
            "insert into audit_log (tenant_id, position, recorded_at, actor, source, correlation_id, action, stream,
                                    product_id, variant_id, connection_id, data)
             select e.tenant_id, e.position, e.recorded_at, e.metadata->>'actor', e.metadata->>'source',
                    e.metadata->>'correlation_id', e.name, e.stream,
                    case split_part(e.stream, '/', 1)
                        when 'product' then split_part(e.stream, '/', 2)::uuid
                        else (e.payload->>'product')::uuid end,
                    case split_part(e.stream, '/', 1)
                        when 'stock' then split_part(e.stream, '/', 2)::uuid
                        else (e.payload->>'variant')::uuid end,
                    case split_part(e.stream, '/', 1)
                        when 'connection' then split_part(e.stream, '/', 2)::uuid
                        else (e.payload->>'connection')::uuid end,
                    e.payload::jsonb
             from events e
             where e.tenant_id = $1 and e.position > $2 and e.position <= $3",
        )
        .bind(stretch.tenant.0)
        .bind(stretch.after)
        .bind(stretch.to)
        .execute(conn)
        .await?;
        Ok(())
    })
}

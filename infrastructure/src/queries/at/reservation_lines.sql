-- Lines as they were, put together by the program.
with lines as (
    select * from jsonb_to_recordset($3) as r (reservation_id uuid, variant_id uuid, location text, reserved bigint,
        committed bigint, released bigint, expired bigint, refund_due bigint, reserved_at timestamptz,
        expires_at timestamptz, actor text, sku text, brand text)
)

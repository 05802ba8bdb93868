-- The next reservations by id, from the index alone.
select distinct reservation_id from reservations
where tenant_id = $1 and reservation_id > $2
order by reservation_id limit $3 -- reservations_pkey

-- The role the program works under. It may add to history and read it; it may not change it.
-- Roles belong to the whole server, so another database may have made it, perhaps in this very moment.

do $$
begin
    if not exists (select from pg_roles where rolname = 'onhand_app') then
        create role onhand_app nologin;
    end if;
exception
    when duplicate_object or unique_violation then null;
end $$;

do $$
begin
    execute format('grant onhand_app to %I', current_user);
exception
    when duplicate_object or unique_violation or internal_error then null; -- another database granted it at this moment;
end $$;

grant usage on schema public, rebuild to onhand_app;
grant select, insert, update, delete on all tables in schema public, rebuild to onhand_app;
revoke all on events from onhand_app;
grant select, insert on events to onhand_app;
revoke all on _sqlx_migrations from onhand_app;
grant select on _sqlx_migrations to onhand_app;

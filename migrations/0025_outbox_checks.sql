-- For the reason given in 0023. The databases of the tests keep them.
alter table outbox
    drop constraint outbox_kind_check,
    drop constraint outbox_status_check,
    drop constraint outbox_product_check,
    drop constraint outbox_check,
    drop constraint outbox_check1;

-- Listings move with every push; with room on their own page their five indexes stay as they are.
alter table listings set (fillfactor = 60);
alter table rebuild.listings set (fillfactor = 60);

drop schema auth cascade;
drop schema hub cascade;

-- How often a declaration was liked and passed on.

alter table declarations
    add column likes_count integer not null default 0 constraint declarations_likes_count_fits check (likes_count >= 0),
    add column announces_count integer not null default 0 constraint declarations_announces_count_fits check (announces_count >= 0);
update hub.kinds set read_only = read_only || '{likes_count,announces_count}', quiet = quiet || '{likes_count,announces_count}'
where name = 'declarations';

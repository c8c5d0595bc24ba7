select hub.change_kind('listings', jsonb_build_object('also_read_when',
    $$visibility = 'followers' and status in ('active', 'reserved', 'sold') and hidden_at is null and (
        exists (select from follows f join ap_actors a on a.id = f.actor_id where f.owner_id = auth.uid() and f.direction = 'out'
            and f.state = 'accepted' and (a.id in (origin_actor_id, author_actor_id)
                or (author_actor_id is null and a.kind = 'user' and a.row_id = owner_id)))
        or (auth.app_role() = 'remote' and owner_id is not null and hub.remote_follows(owner_id, author_actor_id)))$$));
alter table listings drop column announces_count, drop column likes_count;
update hub.kinds set read_only = array_remove(array_remove(read_only, 'likes_count'), 'announces_count'),
    quiet = array_remove(array_remove(quiet, 'likes_count'), 'announces_count')
where name = 'listings';

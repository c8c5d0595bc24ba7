update hub.kinds set read_only = array_remove(read_only, 'snapshot') where name = 'reports';
alter table reports drop column snapshot;
drop table hub.ended_blocks;
drop table hub.blocked_by;
alter table messages
    drop constraint messages_federated_ap_id_owner_id_key,
    add constraint messages_federated_ap_id_key unique (federated_ap_id);
update hub.kinds set read_only = array_remove(read_only, 'actors') where name = 'conversations';
alter table conversations drop constraint conversations_owner_id_actors_key, drop column actors;
drop table hub.quote_permits;
update hub.kinds set also_read_when = $$dao_id in (select hub.my_sets('dao'))$$ where name = 'reactions';

update hub.kinds set hidden = array_remove(array_remove(hidden, 'told_by'), 'held_attachments'), quiet = '{}',
    read_only = array(select c from unnest(read_only) with ordinality r (c, n)
        where c not in ('poll', 'hidden_at', 'sent_at', 'unreached', 'told_by') order by n),
    public_when = $$visibility in ('public', 'unlisted')$$,
    also_read_when = 'id in (select a.post_id from post_audience a where a.user_id = auth.uid())'
where name = 'posts';
drop index posts_unanswered_idx;
alter table posts drop constraint posts_type_listed;
delete from posts where type = 'Question';
alter table posts
    add constraint posts_type_listed check (type in ('Note', 'Article', 'Event')),
    drop column author_actor_id, drop column poll, drop column hidden_at, drop column held_attachments,
    drop column sent_at, drop column unreached, drop column told_by;

delete from reactions where num_nonnulls(owner_id, dao_id) = 0;
alter table reactions
    drop constraint reactions_sides_key,
    drop constraint reactions_has_one_side,
    drop column local_actor_id,
    add constraint reactions_has_one_side check (num_nonnulls(owner_id, dao_id) = 1),
    add constraint reactions_sides_key unique nulls not distinct (owner_id, dao_id, actor_id, direction, type, object_uri);

update hub.kinds set read_only = array_remove(read_only, 'local_actor_id') where name = 'follows';
delete from follows where num_nonnulls(owner_id, dao_id) = 0;
alter table follows
    drop constraint follows_sides_key,
    drop constraint follows_has_one_side,
    drop column local_actor_id,
    add constraint follows_has_one_side check (num_nonnulls(owner_id, dao_id) = 1),
    add constraint follows_sides_key unique nulls not distinct (owner_id, dao_id, actor_id, direction);

select hub.unregister_kind('ap_tombstones');
drop table ap_tombstones;
select hub.unregister_kind('ap_domains');
drop table ap_domains;
select hub.unregister_kind('ap_inboxes');
drop table ap_inboxes;
select hub.unregister_kind('ap_hosts');
drop table ap_hosts;
select hub.unregister_kind('ap_received');
drop table ap_received;
select hub.unregister_kind('ap_deliveries');
drop table ap_deliveries;
select hub.unregister_kind('ap_activities');
drop table ap_activities;
select hub.unregister_kind('ap_keys');
drop table ap_keys;

update hub.kinds set hidden = array_remove(array_remove(hidden, 'document'), 'held_icon_url'), quiet = '{}' where name = 'ap_actors';
drop index ap_actors_node_idx;
drop index ap_actors_inbox_url_idx;
drop index ap_actors_shared_inbox_url_idx;
drop index ap_actors_local_handle_idx;
drop index ap_actors_kind_row_id_idx;
alter table ap_actors
    drop constraint ap_actors_row_given,
    drop column kind, drop column row_id, drop column following_url, drop column featured_url, drop column properties,
    drop column manually_approves_followers, drop column hides_followers, drop column discoverable, drop column indexable,
    drop column also_known_as, drop column moved_to, drop column moved_at, drop column published_at, drop column version,
    drop column silenced_at, drop column keys_looked_at, drop column document, drop column held_icon_url, drop column handle;

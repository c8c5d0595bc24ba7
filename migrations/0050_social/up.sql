-- Posts and what goes on between actors: following, liking, passing on, blocking, muting, reporting. A row belongs to the
-- local side; the other side is an actor, who may be local too. What came from elsewhere has no owner but an origin.

create table posts (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete cascade,
    origin_actor_id uuid references ap_actors (id) on delete cascade,
    type text not null default 'Note' constraint posts_type_listed check (type in ('Note', 'Article', 'Event')),
    title text,
    content text not null default '',
    content_html text,
    summary text,
    language text,
    sensitive boolean not null default false,
    attachments jsonb not null default '[]' constraint posts_attachments_fits check (jsonb_typeof(attachments) = 'array'),
    tags text[] not null default '{}',
    visibility text not null default 'public' constraint posts_visibility_listed
        check (visibility in ('public', 'unlisted', 'followers', 'direct')),
    recipients text[] not null default '{}',
    in_reply_to text,
    context text,
    url text,
    replies_count integer not null default 0 constraint posts_replies_count_fits check (replies_count >= 0),
    likes_count integer not null default 0 constraint posts_likes_count_fits check (likes_count >= 0),
    announces_count integer not null default 0 constraint posts_announces_count_fits check (announces_count >= 0),
    version bigint not null default 1 constraint posts_version_fits check (version > 0),
    raw jsonb,
    in_reply_to_id uuid references posts (id) on delete set null,
    published_at timestamptz not null default now(),
    edited_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint posts_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) = 1),
    constraint posts_federated_ap_id_key unique (federated_ap_id)
);
comment on column posts.origin_actor_id is 'The author elsewhere; an own post has an owner instead.';
comment on column posts.content is 'Markdown; of a post from elsewhere its plain text.';
comment on column posts.content_html is 'What came from elsewhere, cleaned; own posts are rendered.';
comment on column posts.summary is 'A content warning.';
comment on column posts.attachments is 'Images and links in order: [{type, url, mediaType, name}].';
comment on column posts.visibility is 'followers and direct: only whom post_audience names, besides the author.';
comment on column posts.recipients is 'Whom it is addressed to besides the public or the followers: @user@host or an actor''s URL.';
comment on column posts.in_reply_to is 'The object it answers, by its URL or by the id of a post here.';
comment on column posts.in_reply_to_id is 'The post it answers, when that is known here.';
comment on column posts.context is 'The conversation it belongs to.';
comment on column posts.version is 'Grows with each change; between hubs the greater one wins.';
comment on column posts.raw is 'As it was received, for proofs and exports.';
create index posts_owner_id_published_at_idx on posts (owner_id, published_at desc);
create index posts_origin_actor_id_published_at_idx on posts (origin_actor_id, published_at desc);
create index posts_in_reply_to_id_idx on posts (in_reply_to_id);
create index posts_context_idx on posts (context);
create index posts_published_at_idx on posts (published_at desc) where visibility = 'public';
select hub.register_kind('posts', domain => 'social', scope => 'owner',
    public_when => $$visibility in ('public', 'unlisted')$$,
    also_read_when => 'id in (select a.post_id from post_audience a where a.user_id = auth.uid())',
    title => 'title', text_columns => '{title,summary,content}',
    read_only => '{origin_actor_id,content_html,url,context,replies_count,likes_count,announces_count,version,raw,in_reply_to_id,published_at,edited_at,federated_ap_id}',
    hidden => '{raw}',
    jsonld => 'as:Note');

create table post_audience (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete cascade,
    post_id uuid not null references posts (id) on delete cascade,
    user_id uuid references users (id) on delete cascade,
    actor_id uuid references ap_actors (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint post_audience_has_one_reader check (num_nonnulls(user_id, actor_id) = 1),
    constraint post_audience_post_id_user_id_key unique (post_id, user_id),
    constraint post_audience_post_id_actor_id_key unique (post_id, actor_id)
);
comment on table post_audience is 'Who reads a post that is not public; filled when it is sent or received.';
comment on column post_audience.owner_id is 'The post''s author, when he is local.';
create index post_audience_user_id_post_id_idx on post_audience (user_id, post_id);
create index post_audience_actor_id_idx on post_audience (actor_id);
select hub.register_kind('post_audience', domain => 'social', scope => 'owner',
    also_read_when => 'user_id = auth.uid()',
    client_writes => '{}');

create table follows (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete cascade,
    dao_id uuid,
    actor_id uuid not null references ap_actors (id) on delete cascade,
    direction text not null constraint follows_direction_listed check (direction in ('out', 'in')),
    state text not null default 'pending' constraint follows_state_listed check (state in ('pending', 'accepted', 'rejected')),
    notify boolean not null default false,
    show_announces boolean not null default true,
    accepted_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint follows_has_one_side check (num_nonnulls(owner_id, dao_id) = 1),
    constraint follows_sides_key unique nulls not distinct (owner_id, dao_id, actor_id, direction),
    constraint follows_federated_ap_id_direction_key unique (federated_ap_id, direction)
);
comment on column follows.dao_id is 'The DAO that follows or is followed, instead of an account.';
comment on column follows.actor_id is 'The other side.';
comment on column follows.direction is 'out: the owner follows the actor; in: the actor follows the owner. Between two of this hub there is one row for each.';
create index follows_actor_id_direction_idx on follows (actor_id, direction);
create index follows_dao_id_direction_idx on follows (dao_id, direction);
select hub.register_kind('follows', domain => 'social', scope => 'owner',
    also_read_when => $$dao_id in (select hub.my_sets('dao'))$$,
    client_writes => '{update,delete}',
    read_only => '{owner_id,dao_id,actor_id,direction,state,accepted_at,federated_ap_id}',
    jsonld => 'as:Follow');

create table reactions (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete cascade,
    dao_id uuid,
    actor_id uuid not null references ap_actors (id) on delete cascade,
    direction text not null constraint reactions_direction_listed check (direction in ('out', 'in')),
    type text not null constraint reactions_type_listed check (type in ('like', 'announce')),
    object_uri text not null,
    object_kind text,
    object_id uuid,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint reactions_has_one_side check (num_nonnulls(owner_id, dao_id) = 1),
    constraint reactions_has_whole_object check ((object_kind is null) = (object_id is null)),
    constraint reactions_sides_key unique nulls not distinct (owner_id, dao_id, actor_id, direction, type, object_uri),
    constraint reactions_federated_ap_id_direction_key unique (federated_ap_id, direction)
);
comment on column reactions.owner_id is 'out: who reacts; in: whose object it is.';
comment on column reactions.actor_id is 'The other side: out, whose object it is; in, who reacts.';
comment on column reactions.object_kind is 'The kind that object_id belongs to, such as posts or listings.';
create index reactions_object_id_type_idx on reactions (object_id, type);
create index reactions_object_uri_type_idx on reactions (object_uri, type);
create index reactions_actor_id_idx on reactions (actor_id);
create index reactions_dao_id_idx on reactions (dao_id);
select hub.register_kind('reactions', domain => 'social', scope => 'owner',
    also_read_when => $$dao_id in (select hub.my_sets('dao'))$$,
    client_writes => '{delete}',
    title => 'type',
    links => '{"object_id": {"kind": "object_kind"}}',
    jsonld => 'as:Activity');

create table blocks (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    actor_id uuid not null references ap_actors (id) on delete cascade,
    reason text,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint blocks_owner_id_actor_id_key unique (owner_id, actor_id),
    constraint blocks_federated_ap_id_key unique (federated_ap_id)
);
comment on column blocks.reason is 'A note to oneself; never sent.';
create index blocks_actor_id_idx on blocks (actor_id);
select hub.register_kind('blocks', domain => 'social', scope => 'owner',
    read_only => '{federated_ap_id}',
    jsonld => 'as:Block');

create table mutes (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    actor_id uuid not null references ap_actors (id) on delete cascade,
    hide_notifications boolean not null default true,
    expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint mutes_owner_id_actor_id_key unique (owner_id, actor_id)
);
comment on column mutes.expires_at is 'Empty: until it is taken back.';
create index mutes_actor_id_idx on mutes (actor_id);
select hub.register_kind('mutes', domain => 'social', scope => 'owner');

create table reports (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid default auth.uid() references users (id) on delete set null,
    origin_actor_id uuid references ap_actors (id) on delete set null,
    target_actor_id uuid references ap_actors (id) on delete set null,
    objects text[] not null default '{}' constraint reports_objects_fits check (cardinality(objects) <= 100),
    reason text not null default '',
    forward boolean not null default false,
    status text not null default 'open' constraint reports_status_listed check (status in ('open', 'resolved', 'dismissed')),
    resolution text,
    handled_by uuid references users (id) on delete set null,
    handled_at timestamptz,
    forwarded_at timestamptz,
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint reports_has_one_origin check (num_nonnulls(owner_id, origin_actor_id) <= 1),
    constraint reports_has_target check (target_actor_id is not null or cardinality(objects) > 0),
    constraint reports_federated_ap_id_key unique (federated_ap_id)
);
comment on table reports is 'What somebody holds against an actor or objects. The reporter and the operators read it; it outlives the reporter''s account.';
comment on column reports.origin_actor_id is 'Who reported from elsewhere, often a whole server.';
comment on column reports.objects is 'The URLs complained of.';
comment on column reports.forward is 'Tell the target''s server too, without naming the reporter.';
create index reports_owner_id_idx on reports (owner_id);
create index reports_origin_actor_id_idx on reports (origin_actor_id);
create index reports_target_actor_id_idx on reports (target_actor_id);
create index reports_handled_by_idx on reports (handled_by);
create index reports_status_created_at_idx on reports (status, created_at);
select hub.register_kind('reports', domain => 'social', scope => 'owner',
    also_read_when => $$auth.app_role() = 'developer'$$,
    insert_when => $$owner_id = auth.uid() and status = 'open'$$,
    update_when => $$auth.app_role() = 'developer'$$,
    client_writes => '{insert,update}',
    title => 'reason', text_columns => '{reason}',
    read_only => '{origin_actor_id,handled_by,handled_at,forwarded_at,federated_ap_id}',
    jsonld => 'as:Flag');

-- What people say to each other. One spine holds it all: conversations and their messages, whether they came by SMS, call,
-- mail or video (an owner's), belong to a tenant, or are said in a chat channel (its members'); which of the three a row is
-- stands in owner_id, tenant_id and channel. Around it: the channels that connectors provide, chat rooms, mail folders and
-- threads, phone lines, voicemails, meetings; and what the hub itself sends to an account: notifications, SMS, mail.

-- Channels and rooms --------------------------------------------------------------------------------------------------

create table channels (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    plugin_id text not null,
    type text not null constraint channels_type_listed check (type in ('sms', 'voice', 'video', 'email', 'whatsapp')),
    name text not null,
    capabilities jsonb default '{}' constraint channels_capabilities_fits check (jsonb_typeof(capabilities) = 'object'),
    config jsonb default '{}',
    enabled boolean default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table channels is 'An endpoint that a connector provides, such as a telephone number or a mailbox; rooms are chat_channels.';
comment on column channels.plugin_id is 'Such as io.twilio.sms.';
comment on column channels.capabilities is '{canSend, canReceive, canCall, canVideo}.';
comment on column channels.config is 'As the connector wants it; secrets are in the vault.';
create index channels_owner_id_type_idx on channels (owner_id, type);
select hub.register_kind('channels', domain => 'comms', scope => 'owner', title => 'name');

create table chat_channels (
    id uuid primary key default hub.uuid_v7(),
    dao_id uuid,
    team_id uuid references teams (id) on delete set null,
    workspace_id uuid references workspaces (id) on delete cascade,
    slug text,
    name text not null,
    description text,
    visibility text not null default 'private' constraint chat_channels_visibility_listed
        check (visibility in ('public', 'private', 'microdao')),
    is_public boolean default true,
    matrix_room_id text,
    created_by_user_id uuid default auth.uid() references users (id) on delete set null,
    created_by_agent_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint chat_channels_has_one_home check (num_nonnulls(dao_id, workspace_id) <= 1),
    constraint chat_channels_has_one_creator check (num_nonnulls(created_by_user_id, created_by_agent_id) <= 1),
    constraint chat_channels_slug_given check (dao_id is null or slug is not null),
    constraint chat_channels_dao_id_slug_key unique (dao_id, slug),
    constraint chat_channels_matrix_room_id_key unique (matrix_room_id)
);
comment on table chat_channels is 'A room of a DAO, of a workspace, or of its members alone. Its members are in channel_members, its conversation comes with it.';
comment on column chat_channels.slug is 'Its name in addresses, once per DAO.';
comment on column chat_channels.visibility is 'Who reads besides its members: everybody signed in (public), the DAO''s members (microdao), nobody (private).';
comment on column chat_channels.is_public is 'In a workspace: every member of the workspace reads and may join.';
comment on column chat_channels.matrix_room_id is 'The Matrix room that mirrors it: !room:server.';
comment on column chat_channels.created_by_agent_id is 'The agent that made it, instead of a person.';
create index chat_channels_team_id_idx on chat_channels (team_id);
create index chat_channels_workspace_id_idx on chat_channels (workspace_id);
create index chat_channels_created_by_user_id_idx on chat_channels (created_by_user_id);
create index chat_channels_created_by_agent_id_idx on chat_channels (created_by_agent_id);
select hub.register_kind('chat_channels', domain => 'comms', scope => 'members',
    member_set => 'channel', member_column => 'id',
    also_read_when => $$created_by_user_id = auth.uid()
        or visibility = 'public'
        or (visibility = 'microdao' and dao_id in (select hub.my_sets('dao', '{owner,admin,member}')))
        or (is_public and workspace_id in (select hub.my_sets('workspace')))$$,
    insert_when => $$created_by_user_id = auth.uid()
        and (dao_id is null or dao_id in (select hub.my_sets('dao', '{owner,admin}')))
        and (workspace_id is null or workspace_id in (select hub.my_sets('workspace')))$$,
    update_when => $$id in (select hub.my_sets('channel', '{owner,admin}'))
        or dao_id in (select hub.my_sets('dao', '{owner,admin}'))$$,
    delete_when => $$id in (select hub.my_sets('channel', '{owner}'))
        or dao_id in (select hub.my_sets('dao', '{owner,admin}'))$$,
    title => 'name', text_columns => '{name,description}',
    read_only => '{matrix_room_id}');

create table channel_members (
    id uuid primary key default hub.uuid_v7(),
    channel_id uuid not null references chat_channels (id) on delete cascade,
    member_user_id uuid references users (id) on delete cascade,
    member_agent_id uuid,
    role text not null default 'member' constraint channel_members_role_listed
        check (role in ('owner', 'admin', 'member', 'guest', 'agent')),
    joined_at timestamptz default now(),
    left_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint channel_members_has_one_member check (num_nonnulls(member_user_id, member_agent_id) = 1),
    constraint channel_members_agents_are_agents check (role <> 'agent' or member_agent_id is not null),
    constraint channel_members_channel_id_member_user_id_key unique (channel_id, member_user_id),
    constraint channel_members_channel_id_member_agent_id_key unique (channel_id, member_agent_id)
);
comment on column channel_members.left_at is 'Set: no longer a member; the row stays, and coming back empties it.';
create index channel_members_member_user_id_idx on channel_members (member_user_id);
create index channel_members_member_agent_id_idx on channel_members (member_agent_id);
-- Owners and admins manage the members, only owners make or unmake owners; a channel that is open to somebody is joined by
-- himself; the first member is its founder. What a member changes in his own row is when he left: hub.channel_members_keep.
select hub.register_kind('channel_members', domain => 'comms', scope => 'members',
    member_set => 'channel', member_column => 'channel_id',
    also_read_when => 'member_user_id = auth.uid()',
    insert_when => $$(role <> 'owner' and channel_id in (select hub.my_sets('channel', '{owner,admin}')))
        or channel_id in (select hub.my_sets('channel', '{owner}'))
        or (member_user_id = auth.uid() and role = 'member' and hub.may_join_channel(channel_id))
        or (member_user_id = auth.uid() and role = 'owner' and hub.founds_channel(channel_id))$$,
    update_when => $$(role <> 'owner' and channel_id in (select hub.my_sets('channel', '{owner,admin}')))
        or channel_id in (select hub.my_sets('channel', '{owner}'))
        or member_user_id = auth.uid()$$,
    delete_when => $$(role <> 'owner' and channel_id in (select hub.my_sets('channel', '{owner,admin}')))
        or channel_id in (select hub.my_sets('channel', '{owner}'))$$,
    title => 'role');

-- The spine -----------------------------------------------------------------------------------------------------------

create table conversations (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete cascade,
    tenant_id uuid references tenants (id) on delete cascade,
    user_id uuid references users (id) on delete set null,
    chat_channel_id uuid references chat_channels (id) on delete cascade,
    type text not null default 'chat' constraint conversations_type_listed
        check (type in ('sms', 'voice', 'video', 'email', 'chat', 'ai')),
    title text,
    subject text,
    participants jsonb default '[]' constraint conversations_participants_fits check (jsonb_typeof(participants) = 'array'),
    channel_id uuid references channels (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint conversations_has_one_origin check (num_nonnulls(owner_id, tenant_id, chat_channel_id) = 1),
    constraint conversations_chat_channel_id_key unique (chat_channel_id),
    constraint conversations_owner_id_id_key unique (owner_id, id)
);
comment on column conversations.owner_id is 'Whose correspondence it is: nobody else reads it. The caller''s, unless the row names a user_id or a room.';
comment on column conversations.tenant_id is 'Set by the hub when the row came with user_id and without owner_id: then that user and the tenant''s admins manage it.';
comment on column conversations.user_id is 'Whose conversation it is within the tenant.';
comment on column conversations.chat_channel_id is 'The room whose conversation it is; then it has no owner.';
comment on column conversations.participants is 'Ids of persons.';
comment on column conversations.channel_id is 'The connector''s endpoint that it goes through.';
create index conversations_owner_id_updated_at_idx on conversations (owner_id, updated_at desc);
create index conversations_tenant_id_idx on conversations (tenant_id);
create index conversations_user_id_idx on conversations (user_id);
create index conversations_channel_id_idx on conversations (channel_id);
-- Owner, or tenant rule, or room. The conditions take lists and not subqueries, so that indexes serve each of them.
select hub.register_kind('conversations', domain => 'comms', scope => 'members', member_set => 'channel',
    also_read_when => $$owner_id = auth.uid()
        or (user_id = auth.uid() and tenant_id is not null)
        or tenant_id = any (array(select t.id from tenants t
            where auth.app_role() = 'developer' or (auth.app_role() = 'admin' and t.id = auth.tenant_id())))
        or chat_channel_id = any (array(select hub.my_sets('channel')))
        or chat_channel_id = any (array(select hub.open_channels()))$$,
    insert_when => $$(owner_id = auth.uid() and (user_id is null or user_id = auth.uid()))
        or (tenant_id = auth.tenant_id() and user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin' and (user_id is null or hub.same_tenant(user_id)))
        or (tenant_id is not null and auth.app_role() = 'developer')
        or chat_channel_id = any (array(select hub.my_sets('channel', '{owner,admin}')))$$,
    update_when => $$(owner_id = auth.uid() and (user_id is null or user_id = auth.uid()))
        or (tenant_id is not null and user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin' and (user_id is null or hub.same_tenant(user_id)))
        or (tenant_id is not null and auth.app_role() = 'developer')
        or chat_channel_id = any (array(select hub.my_sets('channel', '{owner,admin}')))$$,
    delete_when => $$owner_id = auth.uid()
        or (tenant_id is not null and user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin')
        or (tenant_id is not null and auth.app_role() = 'developer')$$,
    title => 'title', text_columns => '{title,subject}',
    links => '{"participants": "persons"}',
    jsonld => 'schema:Conversation');

create table messages (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid references users (id) on delete cascade,
    tenant_id uuid references tenants (id) on delete cascade,
    channel_id uuid references chat_channels (id) on delete cascade,
    user_id uuid references user_profile (id) on delete set null,
    direction text constraint messages_direction_listed check (direction in ('inbound', 'outbound')),
    message_type text default 'text',
    content_type text default 'text/plain' constraint messages_content_type_listed
        check (content_type in ('text/plain', 'audio/transcript', 'text/html')),
    body text,
    content_preview text,
    metadata jsonb default '{}',
    sender_type text constraint messages_sender_type_listed check (sender_type in ('human', 'agent')),
    sender_person_id uuid references persons (id) on delete set null,
    sender_user_id uuid references users (id) on delete set null,
    sender_agent_id uuid,
    sender_actor_id uuid references ap_actors (id) on delete set null,
    conversation_id uuid references conversations (id) on delete cascade,
    provider_message_id text,
    matrix_event_id text,
    timestamp timestamptz not null default now(),
    federated_ap_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint messages_has_one_origin check (num_nonnulls(owner_id, tenant_id, channel_id) = 1),
    constraint messages_has_one_sender
        check (num_nonnulls(sender_person_id, sender_user_id, sender_agent_id, sender_actor_id) <= 1),
    constraint messages_sender_type_fits check ((sender_agent_id is null or sender_type = 'agent')
        and (num_nonnulls(sender_person_id, sender_user_id) = 0 or sender_type = 'human')),
    constraint messages_direction_given check (owner_id is null or direction is not null),
    constraint messages_conversation_given check (owner_id is not null or conversation_id is not null),
    constraint messages_body_given check (tenant_id is null or body is not null),
    constraint messages_content_preview_given check (matrix_event_id is null or content_preview is not null),
    constraint messages_matrix_event_id_key unique (matrix_event_id),
    constraint messages_owner_id_provider_message_id_key unique (owner_id, provider_message_id),
    constraint messages_federated_ap_id_key unique (federated_ap_id)
);
comment on column messages.owner_id is 'Whose correspondence it is: nobody else reads it. As its conversation has it.';
comment on column messages.tenant_id is 'As its conversation has it; without one, set when the row came with user_id and without owner_id.';
comment on column messages.channel_id is 'The room it was said in, a chat channel.';
comment on column messages.user_id is 'The author''s profile in the tenant.';
comment on column messages.direction is 'Of correspondence; rooms and tenants have none.';
comment on column messages.content_preview is 'The beginning; of a Matrix event all that is kept here.';
comment on column messages.sender_person_id is 'Exactly one of person, user, agent and actor sent it; none when it came in from somebody unknown.';
comment on column messages.provider_message_id is 'What its carrier calls it, so that hearing it twice is noticed.';
comment on column messages.timestamp is 'When it was said.';
create index idx_chat_messages_channel_id on messages (channel_id, created_at);
create index messages_conversation_id_timestamp_idx on messages (conversation_id, timestamp);
create index messages_owner_id_timestamp_idx on messages (owner_id, timestamp desc);
create index messages_tenant_id_idx on messages (tenant_id);
create index messages_user_id_idx on messages (user_id);
create index messages_sender_person_id_idx on messages (sender_person_id);
create index messages_sender_user_id_idx on messages (sender_user_id);
create index messages_sender_agent_id_idx on messages (sender_agent_id);
create index messages_sender_actor_id_idx on messages (sender_actor_id);
-- In a room one speaks for oneself; owners and admins of the room take away what others said. An agent speaks through the hub.
select hub.register_kind('messages', domain => 'comms', scope => 'members', member_set => 'channel',
    also_read_when => $$owner_id = auth.uid()
        or (sender_user_id = auth.uid() and tenant_id is not null)
        or tenant_id = any (array(select t.id from tenants t
            where auth.app_role() = 'developer' or (auth.app_role() = 'admin' and t.id = auth.tenant_id())))
        or conversation_id = any (array(select c.id from conversations c where c.user_id = auth.uid() and c.tenant_id is not null))
        or channel_id = any (array(select hub.my_sets('channel')))
        or channel_id = any (array(select hub.open_channels()))$$,
    insert_when => $$owner_id = auth.uid()
        or (tenant_id = auth.tenant_id() and sender_user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin')
        or (tenant_id is not null and auth.app_role() = 'developer')
        or (sender_user_id = auth.uid() and channel_id = any (array(select hub.my_sets('channel', '{owner,admin,member}'))))$$,
    update_when => $$owner_id = auth.uid()
        or (tenant_id is not null and sender_user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin')
        or (tenant_id is not null and auth.app_role() = 'developer')
        or (sender_user_id = auth.uid() and channel_id = any (array(select hub.my_sets('channel', '{owner,admin,member}'))))$$,
    delete_when => $$owner_id = auth.uid()
        or (tenant_id is not null and sender_user_id = auth.uid())
        or (tenant_id = auth.tenant_id() and auth.app_role() = 'admin')
        or (tenant_id is not null and auth.app_role() = 'developer')
        or (sender_user_id = auth.uid() and channel_id = any (array(select hub.my_sets('channel', '{owner,admin,member}'))))
        or channel_id = any (array(select hub.my_sets('channel', '{owner,admin}')))$$,
    title => 'content_preview', text_columns => '{body}',
    read_only => '{matrix_event_id,federated_ap_id}',
    jsonld => 'schema:Message');

create table attachments (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    storage_path text not null,
    mime_type text not null,
    filename text,
    size_bytes integer constraint attachments_size_bytes_fits check (size_bytes >= 0),
    message_id uuid references messages (id) on delete cascade,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column attachments.storage_path is 'Where the file lies in storage.';
create index attachments_owner_id_idx on attachments (owner_id);
create index attachments_message_id_idx on attachments (message_id);
-- Whoever reads the message reads what is attached; only its owner or sender attaches.
select hub.register_kind('attachments', domain => 'comms', scope => 'owner',
    also_read_when => 'exists (select from messages m where m.id = message_id)',
    insert_when => $$owner_id = auth.uid() and (message_id is null or exists (select from messages m
        where m.id = message_id and (m.owner_id = auth.uid() or m.sender_user_id = auth.uid())))$$,
    update_when => $$owner_id = auth.uid() and (message_id is null or exists (select from messages m
        where m.id = message_id and (m.owner_id = auth.uid() or m.sender_user_id = auth.uid())))$$,
    title => 'filename',
    jsonld => 'schema:MediaObject');

create table inbox_items (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    channel_type text not null constraint inbox_items_channel_type_listed
        check (channel_type in ('sms', 'voice', 'email', 'chat', 'push')),
    subject text,
    preview text,
    metadata jsonb default '{}',
    conversation_id uuid references conversations (id) on delete cascade,
    sender_person_id uuid,
    read_at timestamptz,
    archived_at timestamptz,
    snoozed_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, sender_person_id) references persons (owner_id, id) on delete set null (sender_person_id)
);
comment on column inbox_items.snoozed_until is 'It is back in the inbox from then on.';
create index inbox_items_owner_id_created_at_idx on inbox_items (owner_id, created_at desc);
create index inbox_items_owner_id_snoozed_until_idx on inbox_items (owner_id, snoozed_until) where archived_at is null;
create index inbox_items_conversation_id_idx on inbox_items (conversation_id);
create index inbox_items_sender_person_id_idx on inbox_items (sender_person_id);
select hub.register_kind('inbox_items', domain => 'comms', scope => 'owner',
    title => 'subject', text_columns => '{subject,preview}');

-- Telephone and mail --------------------------------------------------------------------------------------------------

create table phone_lines (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    phone_number text not null,
    provider text not null constraint phone_lines_provider_listed check (provider in ('twilio', 'sip')),
    friendly_name text,
    capabilities jsonb default '{}' constraint phone_lines_capabilities_fits check (jsonb_typeof(capabilities) = 'object'),
    active boolean default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint phone_lines_owner_id_phone_number_key unique (owner_id, phone_number),
    constraint phone_lines_owner_id_id_key unique (owner_id, id)
);
comment on column phone_lines.capabilities is '{voice, sms, mms}.';
create index phone_lines_phone_number_idx on phone_lines (phone_number);
select hub.register_kind('phone_lines', domain => 'comms', scope => 'owner', title => 'friendly_name');

create table voicemails (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    caller_number text,
    duration_secs integer constraint voicemails_duration_secs_fits check (duration_secs >= 0),
    storage_path text not null,
    transcript text,
    phone_line_id uuid,
    caller_person_id uuid,
    conversation_id uuid not null,
    message_id uuid references messages (id) on delete set null,
    listened_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, phone_line_id) references phone_lines (owner_id, id) on delete set null (phone_line_id),
    foreign key (owner_id, caller_person_id) references persons (owner_id, id) on delete set null (caller_person_id),
    foreign key (owner_id, conversation_id) references conversations (owner_id, id) on delete cascade
);
comment on column voicemails.storage_path is 'Where the recording lies in storage.';
comment on column voicemails.transcript is 'Filled in when the recording has been transcribed.';
comment on column voicemails.conversation_id is 'Where it stands in the history; made when none is given.';
comment on column voicemails.message_id is 'The transcript as a message of that conversation; made and kept equal by the hub.';
create index voicemails_owner_id_created_at_idx on voicemails (owner_id, created_at desc);
create index voicemails_phone_line_id_idx on voicemails (phone_line_id);
create index voicemails_caller_person_id_idx on voicemails (caller_person_id);
create index voicemails_conversation_id_idx on voicemails (conversation_id);
create index voicemails_message_id_idx on voicemails (message_id);
select hub.register_kind('voicemails', domain => 'comms', scope => 'owner',
    title => 'caller_number', text_columns => '{transcript}',
    read_only => '{message_id}',
    jsonld => 'schema:AudioObject');

create table email_folders (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    name text not null,
    folder_type text default 'custom' constraint email_folders_folder_type_listed
        check (folder_type in ('inbox', 'sent', 'drafts', 'trash', 'custom')),
    provider_id text,
    unread_count integer default 0 constraint email_folders_unread_count_fits check (unread_count >= 0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint email_folders_owner_id_id_key unique (owner_id, id)
);
comment on column email_folders.provider_id is 'What the mailbox''s provider (IMAP, Graph) calls the folder.';
create index email_folders_owner_id_provider_id_idx on email_folders (owner_id, provider_id);
select hub.register_kind('email_folders', domain => 'comms', scope => 'owner',
    title => 'name',
    read_only => '{unread_count}');

create table email_threads (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    subject text,
    participant_ids uuid[] default '{}',
    provider_thread_id text,
    unread_count integer default 0 constraint email_threads_unread_count_fits check (unread_count >= 0),
    folder_id uuid,
    conversation_id uuid not null,
    last_message_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, folder_id) references email_folders (owner_id, id) on delete set null (folder_id),
    foreign key (owner_id, conversation_id) references conversations (owner_id, id) on delete cascade
);
comment on table email_threads is 'Groups mail by folder; the mail itself are messages of its conversation.';
comment on column email_threads.participant_ids is 'Ids of persons.';
comment on column email_threads.provider_thread_id is 'What the mailbox''s provider calls the thread.';
comment on column email_threads.conversation_id is 'Where its messages are; made when none is given.';
create index email_threads_owner_id_last_message_at_idx on email_threads (owner_id, last_message_at desc);
create index email_threads_owner_id_provider_thread_id_idx on email_threads (owner_id, provider_thread_id);
create index email_threads_folder_id_idx on email_threads (folder_id);
create index email_threads_conversation_id_idx on email_threads (conversation_id);
select hub.register_kind('email_threads', domain => 'comms', scope => 'owner',
    title => 'subject', text_columns => '{subject}',
    read_only => '{unread_count}',
    links => '{"participant_ids": "persons"}',
    jsonld => 'schema:Conversation');

-- Meetings ------------------------------------------------------------------------------------------------------------

create table meetings (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    title text not null,
    room_name text not null,
    status text not null default 'scheduled' constraint meetings_status_listed
        check (status in ('scheduled', 'active', 'ended')),
    settings jsonb not null default '{}',
    invite_link text,
    calendar_event_id uuid,
    conversation_id uuid not null,
    scheduled_start timestamptz,
    scheduled_end timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, calendar_event_id) references events (owner_id, id) on delete set null (calendar_event_id),
    foreign key (owner_id, conversation_id) references conversations (owner_id, id) on delete cascade,
    constraint meetings_scheduled_end_fits check (scheduled_end >= scheduled_start),
    constraint meetings_room_name_key unique (room_name),
    constraint meetings_owner_id_id_key unique (owner_id, id)
);
comment on column meetings.room_name is 'The name of its room at the video server.';
comment on column meetings.conversation_id is 'Where it stands in the history; made when none is given.';
create index meetings_owner_id_scheduled_start_idx on meetings (owner_id, scheduled_start);
create index meetings_calendar_event_id_idx on meetings (calendar_event_id);
create index meetings_conversation_id_idx on meetings (conversation_id);
select hub.register_kind('meetings', domain => 'comms', scope => 'owner',
    title => 'title', text_columns => '{title}',
    jsonld => 'schema:Event');

create table meeting_participants (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    role text default 'attendee' constraint meeting_participants_role_listed check (role in ('host', 'attendee', 'optional')),
    meeting_id uuid,
    person_id uuid,
    joined_at timestamptz,
    left_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, meeting_id) references meetings (owner_id, id) on delete cascade,
    foreign key (owner_id, person_id) references persons (owner_id, id) on delete cascade,
    constraint meeting_participants_left_at_fits check (left_at >= joined_at),
    constraint meeting_participants_meeting_id_person_id_key unique (meeting_id, person_id)
);
create index meeting_participants_owner_id_meeting_id_idx on meeting_participants (owner_id, meeting_id);
create index meeting_participants_person_id_idx on meeting_participants (person_id);
select hub.register_kind('meeting_participants', domain => 'comms', scope => 'owner', title => 'role');

create table meeting_recordings (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    storage_path text not null,
    mime_type text not null default 'video/mp4',
    size_bytes bigint constraint meeting_recordings_size_bytes_fits check (size_bytes >= 0),
    duration_secs integer constraint meeting_recordings_duration_secs_fits check (duration_secs >= 0),
    provider_recording_id text,
    meeting_id uuid not null,
    started_at timestamptz,
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, meeting_id) references meetings (owner_id, id) on delete cascade,
    constraint meeting_recordings_ended_at_fits check (ended_at >= started_at),
    constraint meeting_recordings_owner_id_id_key unique (owner_id, id)
);
comment on column meeting_recordings.storage_path is 'Where the file lies in storage.';
comment on column meeting_recordings.provider_recording_id is 'What the video server calls it, so that hearing of it twice is noticed.';
create index meeting_recordings_owner_id_meeting_id_idx on meeting_recordings (owner_id, meeting_id);
select hub.register_kind('meeting_recordings', domain => 'comms', scope => 'owner',
    title => 'storage_path',
    jsonld => 'schema:VideoObject');

create table meeting_analyses (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    summary text,
    notes text,
    transcript text,
    action_items jsonb not null default '[]' constraint meeting_analyses_action_items_fits check (jsonb_typeof(action_items) = 'array'),
    decisions jsonb not null default '[]' constraint meeting_analyses_decisions_fits check (jsonb_typeof(decisions) = 'array'),
    topics text[] not null default '{}',
    language text,
    model text,
    meeting_id uuid not null,
    recording_id uuid,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, meeting_id) references meetings (owner_id, id) on delete cascade,
    foreign key (owner_id, recording_id) references meeting_recordings (owner_id, id) on delete set null (recording_id)
);
comment on table meeting_analyses is 'What was made of a meeting: summary, notes, transcript, action items. Summary and notes also stand as a contact note with each participant.';
comment on column meeting_analyses.action_items is '[{text, personId, dueAt, taskId}].';
comment on column meeting_analyses.model is 'Which model wrote it; empty when a person did.';
create index meeting_analyses_owner_id_meeting_id_idx on meeting_analyses (owner_id, meeting_id);
create index meeting_analyses_recording_id_idx on meeting_analyses (recording_id);
select hub.register_kind('meeting_analyses', domain => 'comms', scope => 'owner',
    title => 'summary', text_columns => '{summary,notes,transcript}');

-- Matrix --------------------------------------------------------------------------------------------------------------

create table matrix_rooms (
    id uuid primary key default hub.uuid_v7(),
    channel_id uuid not null references chat_channels (id) on delete cascade,
    room_id text not null,
    name text,
    topic text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint matrix_rooms_room_id_key unique (room_id),
    constraint matrix_rooms_channel_id_room_id_key unique (channel_id, room_id)
);
comment on table matrix_rooms is 'What the homeserver says of a channel''s room; the bridge fills it, the homeserver is right.';
select hub.register_kind('matrix_rooms', domain => 'comms', scope => 'members',
    member_set => 'channel', member_column => 'channel_id',
    client_writes => '{}',
    title => 'name');

create table matrix_events (
    id uuid primary key default hub.uuid_v7(),
    channel_id uuid not null references chat_channels (id) on delete cascade,
    event_id text not null,
    room_id text,
    sender text,
    type text,
    content jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (channel_id, room_id) references matrix_rooms (channel_id, room_id) on delete cascade,
    constraint matrix_events_event_id_key unique (event_id)
);
comment on table matrix_events is 'Events of a channel''s room, read through from the homeserver.';
create index matrix_events_channel_id_room_id_idx on matrix_events (channel_id, room_id);
select hub.register_kind('matrix_events', domain => 'comms', scope => 'members',
    member_set => 'channel', member_column => 'channel_id',
    client_writes => '{}',
    title => 'type');

-- What the hub sends to an account ------------------------------------------------------------------------------------

create table device_push_tokens (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    platform text not null constraint device_push_tokens_platform_listed check (platform in ('fcm', 'apns')),
    token text not null,
    topic_subscriptions text[] default '{}',
    device_id uuid,
    last_delivered_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, device_id) references devices (owner_id, id) on delete cascade,
    constraint device_push_tokens_token_key unique (token)
);
comment on column device_push_tokens.topic_subscriptions is 'Beginnings of the subjects whose events are pushed to the device.';
create index device_push_tokens_owner_id_idx on device_push_tokens (owner_id);
create index device_push_tokens_device_id_idx on device_push_tokens (device_id);
select hub.register_kind('device_push_tokens', domain => 'comms', scope => 'owner',
    title => 'platform',
    read_only => '{last_delivered_at}');

create table user_notification_preferences (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    email_enabled boolean not null default true,
    sms_enabled boolean not null default false,
    push_enabled boolean not null default true,
    in_app_enabled boolean not null default true,
    should_email_daily_brief boolean not null default false,
    should_sms_daily_brief boolean not null default false,
    quiet_hours_enabled boolean not null default false,
    quiet_hours_start time,
    quiet_hours_end time,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_notification_preferences_has_quiet_hours
        check (not quiet_hours_enabled or (quiet_hours_start is not null and quiet_hours_end is not null)),
    constraint user_notification_preferences_user_id_key unique (user_id)
);
comment on column user_notification_preferences.quiet_hours_start is 'In the account''s timezone; an end before the start is on the next day.';
select hub.register_kind('user_notification_preferences', domain => 'comms', scope => 'owner', owner => 'user_id');

create table user_sms_preferences (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    phone_number text,
    phone_verified boolean default false,
    daily_sms_limit integer default 10 constraint user_sms_preferences_daily_sms_limit_fits check (daily_sms_limit >= 0),
    morning_kickoff_enabled boolean default false,
    event_reminders_enabled boolean default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_sms_preferences_user_id_key unique (user_id)
);
comment on column user_sms_preferences.phone_verified is 'Nothing is sent before a code proved the number; another number must be proved anew.';
select hub.register_kind('user_sms_preferences', domain => 'comms', scope => 'owner', owner => 'user_id',
    title => 'phone_number',
    read_only => '{phone_verified}');

create table notification_events (
    id uuid primary key default hub.uuid_v7(),
    target_user_id uuid references users (id) on delete cascade,
    event_type text not null,
    event_source text not null,
    payload jsonb not null default '{}',
    actor_user_id uuid references users (id) on delete set null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on column notification_events.actor_user_id is 'Who caused it.';
create index notification_events_target_user_id_created_at_idx on notification_events (target_user_id, created_at desc);
create index notification_events_actor_user_id_idx on notification_events (actor_user_id);
select hub.register_kind('notification_events', domain => 'comms', scope => 'owner', owner => 'target_user_id',
    client_writes => '{}',
    title => 'event_type');

create table notification_deliveries (
    id uuid primary key default hub.uuid_v7(),
    recipient_user_id uuid not null references users (id) on delete cascade,
    channel text not null constraint notification_deliveries_channel_listed check (channel in ('email', 'sms', 'push', 'in_app')),
    status text not null default 'pending' constraint notification_deliveries_status_listed
        check (status in ('pending', 'sent', 'delivered', 'failed')),
    payload jsonb not null default '{}',
    event_id uuid references notification_events (id) on delete cascade,
    sent_at timestamptz,
    delivered_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index notification_deliveries_recipient_user_id_created_at_idx on notification_deliveries (recipient_user_id, created_at desc);
create index notification_deliveries_event_id_idx on notification_deliveries (event_id);
create index notification_deliveries_status_idx on notification_deliveries (status, created_at) where status = 'pending';
select hub.register_kind('notification_deliveries', domain => 'comms', scope => 'owner', owner => 'recipient_user_id',
    client_writes => '{}',
    title => 'channel');

create table user_notifications (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references users (id) on delete cascade,
    title text not null,
    message text not null,
    type text not null,
    priority text,
    action_url text,
    read_at timestamptz,
    dismissed_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index user_notifications_user_id_created_at_idx on user_notifications (user_id, created_at desc);
select hub.register_kind('user_notifications', domain => 'comms', scope => 'owner', owner => 'user_id',
    client_writes => '{update}',
    title => 'title', text_columns => '{title,message}',
    read_only => '{user_id,title,message,type,priority,action_url}');

create table sms_messages (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null references users (id) on delete cascade,
    phone_number text not null,
    message_content text not null,
    priority text not null default 'normal',
    status text not null default 'pending' constraint sms_messages_status_listed
        check (status in ('pending', 'sent', 'delivered', 'failed')),
    twilio_sid text,
    sent_at timestamptz,
    delivered_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint sms_messages_twilio_sid_key unique (twilio_sid)
);
comment on table sms_messages is 'What the hub itself sends; an account''s own correspondence are messages.';
create index sms_messages_user_id_created_at_idx on sms_messages (user_id, created_at desc);
create index sms_messages_status_idx on sms_messages (status, created_at) where status = 'pending';
select hub.register_kind('sms_messages', domain => 'comms', scope => 'owner', owner => 'user_id',
    client_writes => '{}',
    title => 'phone_number');

create table scheduled_sms_messages (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid not null default auth.uid() references users (id) on delete cascade,
    message_content text not null,
    message_type text not null,
    status text not null default 'pending' constraint scheduled_sms_messages_status_listed
        check (status in ('pending', 'sent', 'cancelled')),
    calendar_event_id uuid,
    scheduled_for timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (user_id, calendar_event_id) references events (owner_id, id) on delete set null (calendar_event_id)
);
comment on column scheduled_sms_messages.message_type is 'reminder, kickoff or another.';
comment on column scheduled_sms_messages.status is 'pending until the hub has sent it or somebody cancelled it.';
comment on column scheduled_sms_messages.calendar_event_id is 'What it reminds of.';
create index scheduled_sms_messages_user_id_scheduled_for_idx on scheduled_sms_messages (user_id, scheduled_for);
create index scheduled_sms_messages_calendar_event_id_idx on scheduled_sms_messages (calendar_event_id);
create index scheduled_sms_messages_scheduled_for_idx on scheduled_sms_messages (scheduled_for) where status = 'pending';
select hub.register_kind('scheduled_sms_messages', domain => 'comms', scope => 'owner', owner => 'user_id',
    title => 'message_type');

create table sms_templates (
    id uuid primary key default hub.uuid_v7(),
    template_key text not null,
    name text not null,
    message_template text not null,
    required_vars jsonb,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint sms_templates_template_key_key unique (template_key)
);
comment on column sms_templates.required_vars is 'Without these the template is not rendered.';
select hub.register_kind('sms_templates', domain => 'comms', scope => 'catalogue', title => 'name');

create table emails (
    id uuid primary key default hub.uuid_v7(),
    created_by uuid not null default auth.uid() references users (id) on delete cascade,
    from_name text not null,
    from_email text not null,
    subject text not null,
    content text not null,
    tracking_enabled boolean not null default false,
    status text not null default 'draft' constraint emails_status_listed check (status in ('draft', 'scheduled', 'sent')),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint emails_created_by_id_key unique (created_by, id)
);
comment on table emails is 'What is sent out through the hub; an account''s own correspondence are messages.';
comment on column emails.status is 'draft, then scheduled; the hub makes it sent.';
create index emails_created_by_status_idx on emails (created_by, status);
select hub.register_kind('emails', domain => 'comms', scope => 'owner', owner => 'created_by',
    title => 'subject', text_columns => '{subject,content}',
    jsonld => 'schema:EmailMessage');

create table email_recipients (
    id uuid primary key default hub.uuid_v7(),
    owner_id uuid not null default auth.uid() references users (id) on delete cascade,
    email_id uuid not null,
    recipient_email text not null,
    recipient_type text not null default 'to' constraint email_recipients_recipient_type_listed
        check (recipient_type in ('to', 'cc', 'bcc')),
    status text not null default 'pending' constraint email_recipients_status_listed
        check (status in ('pending', 'sent', 'delivered')),
    opened_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    foreign key (owner_id, email_id) references emails (created_by, id) on delete cascade,
    constraint email_recipients_email_id_recipient_email_recipient_type_key unique (email_id, recipient_email, recipient_type)
);
comment on column email_recipients.opened_at is 'When it was first opened, where tracking is on.';
create index email_recipients_owner_id_email_id_idx on email_recipients (owner_id, email_id);
select hub.register_kind('email_recipients', domain => 'comms', scope => 'owner',
    title => 'recipient_email',
    read_only => '{opened_at}');

create table email_logs (
    id uuid primary key default hub.uuid_v7(),
    user_id uuid references users (id) on delete cascade,
    to_email text not null,
    subject text not null,
    status text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
create index email_logs_user_id_created_at_idx on email_logs (user_id, created_at desc);
select hub.register_kind('email_logs', domain => 'comms', scope => 'owner', owner => 'user_id',
    client_writes => '{}',
    title => 'subject');

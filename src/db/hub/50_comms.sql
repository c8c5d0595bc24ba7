-- Comms: rooms and who is in them, where a message belongs and who sent it, and the history that calls, mail and meetings
-- always refer to. Triggers called accept_… come before the link checks, which run in order of name.

-- Rooms ---------------------------------------------------------------------------------------------------------------

-- The rooms that the caller reads and may join without being asked.
create or replace function hub.open_channels() returns setof uuid
language sql stable set search_path = pg_catalog, public, hub as $$
    select c.id from public.chat_channels c
    where c.visibility = 'public'
        or (c.visibility = 'microdao' and c.dao_id in (select hub.my_sets('dao', '{owner,admin,member}')))
        or (c.is_public and c.workspace_id in (select hub.my_sets('workspace')))
$$;

create or replace function hub.may_join_channel(channel uuid) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select channel in (select hub.open_channels())
$$;

create or replace function hub.channel_has_members(channel uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, public, hub as $$
    select exists (select from public.channel_members m where m.channel_id = channel)
$$;

-- Whether the caller made a room in which there is nobody yet.
create or replace function hub.founds_channel(channel uuid) returns boolean
language sql stable set search_path = pg_catalog, public, hub as $$
    select exists (select from public.chat_channels c where c.id = channel and c.created_by_user_id = auth.uid())
        and not hub.channel_has_members(channel)
$$;
grant execute on function hub.open_channels(), hub.may_join_channel(uuid), hub.channel_has_members(uuid), hub.founds_channel(uuid)
    to authenticated, service_role;

-- A room comes with its founder and its conversation. An agent that makes one brings its owner along, so that somebody
-- can manage it. As the caller, so that the policies hold here too.
create or replace function hub.found_chat_channel() returns trigger
language plpgsql as $$
begin
    if new.created_by_user_id is not null then
        insert into public.channel_members (channel_id, member_user_id, role) values (new.id, new.created_by_user_id, 'owner');
    else
        insert into public.channel_members (channel_id, member_user_id, role)
        select new.id, a.user_id, 'owner' from public.agents a where a.id = new.created_by_agent_id and a.user_id is not null;
        insert into public.channel_members (channel_id, member_agent_id, role) values (new.id, new.created_by_agent_id, 'agent');
    end if;
    insert into public.conversations (chat_channel_id, type, title) values (new.id, 'chat', new.name);
    return null;
end
$$;
drop trigger if exists chat_channels_found on public.chat_channels;
create trigger chat_channels_found after insert on public.chat_channels
    for each row when (num_nonnulls(new.created_by_user_id, new.created_by_agent_id) = 1)
    execute function hub.found_chat_channel();

-- A room is made by a user or an agent; that his account goes later does not matter.
create or replace function hub.refuse_uncreated_channel() returns trigger
language plpgsql as $$
begin
    raise exception using errcode = '23514', schema = 'public', table = 'chat_channels', constraint = 'chat_channels_has_one_creator',
        message = 'new row for relation "chat_channels" violates check constraint "chat_channels_has_one_creator"',
        detail = 'A user or an agent makes a channel.';
end
$$;
drop trigger if exists accept_creator on public.chat_channels;
create trigger accept_creator before insert on public.chat_channels
    for each row when (num_nonnulls(new.created_by_user_id, new.created_by_agent_id) = 0)
    execute function hub.refuse_uncreated_channel();

drop trigger if exists chat_channels_keep on public.chat_channels;
create trigger chat_channels_keep before update on public.chat_channels
    for each row execute function hub.keep_columns('dao_id', 'workspace_id', 'created_by_user_id', 'created_by_agent_id');

create or replace function hub.rename_channel_conversation() returns trigger
language plpgsql as $$
begin
    update public.conversations c set title = new.name where c.chat_channel_id = new.id;
    return null;
end
$$;
drop trigger if exists chat_channels_rename on public.chat_channels;
create trigger chat_channels_rename after update of name on public.chat_channels
    for each row when (new.name <> old.name) execute function hub.rename_channel_conversation();

-- A member says himself that he leaves; he comes back by himself only where everybody may, and then as an ordinary member.
create or replace function hub.channel_members_keep() returns trigger
language plpgsql as $$
begin
    if current_user <> 'authenticated' or new.channel_id in (select hub.my_sets('channel', '{owner,admin}')) then
        return new;
    end if;
    if (to_jsonb(new) - 'left_at' - 'updated_at') is distinct from (to_jsonb(old) - 'left_at' - 'updated_at') then
        raise exception 'a member changes only when he left'
            using errcode = '42501', schema = 'public', table = 'channel_members';
    end if;
    if new.left_at is null and old.left_at is not null then
        if not hub.may_join_channel(new.channel_id) then
            raise exception 'who left this channel comes back when he is asked'
                using errcode = '42501', schema = 'public', table = 'channel_members', column = 'left_at';
        end if;
        if new.role in ('owner', 'admin') then
            new.role := 'member';
        end if;
    end if;
    return new;
end
$$;
drop trigger if exists channel_members_keep on public.channel_members;
create trigger channel_members_keep before update on public.channel_members
    for each row execute function hub.channel_members_keep();
drop trigger if exists channel_members_keep_member on public.channel_members;
create trigger channel_members_keep_member before update on public.channel_members
    for each row execute function hub.keep_columns('channel_id', 'member_user_id', 'member_agent_id');

-- The spine -----------------------------------------------------------------------------------------------------------

-- Whose conversation it is: what came with user_id and without owner_id is the tenant's, what came with neither the caller's.
create or replace function hub.conversations_settle() returns trigger
language plpgsql as $$
begin
    if num_nonnulls(new.owner_id, new.tenant_id, new.chat_channel_id) > 0 then
        return new;
    end if;
    if new.user_id is null then
        new.owner_id := auth.uid();
    else
        new.tenant_id := coalesce(auth.tenant_id(),
            (select p.organization_id from public.user_profile p where p.user_id = new.user_id));
        if new.tenant_id is null then
            new.owner_id := new.user_id;
        end if;
    end if;
    return new;
end
$$;
drop trigger if exists accept_origin on public.conversations;
create trigger accept_origin before insert on public.conversations
    for each row execute function hub.conversations_settle();
drop trigger if exists conversations_keep on public.conversations;
create trigger conversations_keep before update on public.conversations
    for each row execute function hub.keep_columns('owner_id', 'tenant_id', 'chat_channel_id');

-- A message belongs where its conversation does, and somebody sent it.
create or replace function hub.messages_settle() returns trigger
language plpgsql as $$
declare
    home public.conversations;
    broken text;
begin
    if tg_op = 'INSERT' and new.channel_id is not null and new.conversation_id is null then
        select c.id into new.conversation_id from public.conversations c where c.chat_channel_id = new.channel_id;
    end if;

    -- A conversation the caller cannot see is left to the link check.
    if new.conversation_id is not null and (tg_op = 'INSERT' or new.conversation_id is distinct from old.conversation_id) then
        select c.* into home from public.conversations c where c.id = new.conversation_id;
        if found then
            if tg_op = 'INSERT' and num_nonnulls(new.owner_id, new.tenant_id, new.channel_id) = 0 then
                new.owner_id := home.owner_id;
                new.tenant_id := home.tenant_id;
                new.channel_id := home.chat_channel_id;
            end if;
            if (new.owner_id, new.tenant_id, new.channel_id) is distinct from (home.owner_id, home.tenant_id, home.chat_channel_id) then
                broken := 'messages_follows_conversation';
            end if;
        end if;
    elsif tg_op = 'INSERT' and num_nonnulls(new.owner_id, new.tenant_id, new.channel_id) = 0 then
        if new.user_id is null then
            new.owner_id := auth.uid();
        else
            new.tenant_id := auth.tenant_id();
        end if;
    end if;

    if tg_op = 'INSERT' then
        if num_nonnulls(new.sender_person_id, new.sender_user_id, new.sender_agent_id, new.sender_actor_id) = 0 then
            if new.user_id is not null then
                select p.user_id into new.sender_user_id from public.user_profile p where p.id = new.user_id;
            elsif new.owner_id is not null then
                if new.direction = 'outbound' then
                    new.sender_user_id := new.owner_id;
                end if;
            elsif auth.uid() is not null then
                new.sender_user_id := auth.uid();
            elsif num_nonnulls(new.tenant_id, new.channel_id) > 0 then
                broken := coalesce(broken, 'messages_has_one_sender');
            end if;
        end if;
        new.sender_type := coalesce(new.sender_type, case
            when new.sender_agent_id is not null then 'agent'
            when num_nonnulls(new.sender_person_id, new.sender_user_id, new.sender_actor_id) > 0 then 'human' end);
    end if;
    if new.channel_id is not null and (new.content_preview is null
        or (tg_op = 'UPDATE' and new.body is distinct from old.body and new.content_preview = old.content_preview))
    then
        new.content_preview := left(new.body, 200);
    end if;

    if broken is not null then
        raise exception using errcode = '23514', schema = 'public', table = 'messages', constraint = broken,
            message = format('new row for relation "messages" violates check constraint "%s"', broken),
            detail = case broken when 'messages_follows_conversation' then 'A message belongs where its conversation does.'
                else 'Somebody says what is said in a room or a tenant.' end;
    end if;
    return new;
end
$$;
drop trigger if exists accept_origin on public.messages;
create trigger accept_origin before insert or update on public.messages
    for each row execute function hub.messages_settle();
drop trigger if exists messages_keep on public.messages;
create trigger messages_keep before update on public.messages
    for each row execute function hub.keep_columns('owner_id', 'tenant_id', 'channel_id');
-- What was said in a room or a tenant keeps its sender; in his own correspondence the owner may put one right.
drop trigger if exists messages_keep_sender on public.messages;
create trigger messages_keep_sender before update on public.messages
    for each row when (old.owner_id is null)
    execute function hub.keep_columns('conversation_id', 'user_id', 'sender_type', 'sender_person_id', 'sender_user_id', 'sender_agent_id', 'sender_actor_id');

-- Calls, mail and meetings always stand in a conversation: the voice conversation with that caller where there is one,
-- else one made for them. Argument: the conversation's type.
create or replace function hub.give_conversation() returns trigger
language plpgsql as $$
declare
    j constant jsonb := to_jsonb(new);
    people constant jsonb := case
        when j ->> 'caller_person_id' is not null then jsonb_build_array(j -> 'caller_person_id')
        when jsonb_typeof(j -> 'participant_ids') = 'array' then j -> 'participant_ids'
        else '[]' end;
    given uuid;
begin
    if tg_argv[0] = 'voice' and people <> '[]' then
        select c.id into given from public.conversations c
        where c.owner_id = new.owner_id and c.type = 'voice' and c.participants = people
        order by c.updated_at desc limit 1;
    end if;
    if given is null then
        insert into public.conversations (owner_id, type, title, participants)
        values (new.owner_id, tg_argv[0], coalesce(j ->> 'title', j ->> 'subject', j ->> 'caller_number'), people)
        returning id into given;
    end if;
    new.conversation_id := given;
    return new;
end
$$;
drop trigger if exists accept_conversation on public.voicemails;
create trigger accept_conversation before insert on public.voicemails
    for each row when (new.conversation_id is null and new.owner_id is not null) execute function hub.give_conversation('voice');
drop trigger if exists accept_conversation on public.email_threads;
create trigger accept_conversation before insert on public.email_threads
    for each row when (new.conversation_id is null and new.owner_id is not null) execute function hub.give_conversation('email');
drop trigger if exists accept_conversation on public.meetings;
create trigger accept_conversation before insert on public.meetings
    for each row when (new.conversation_id is null and new.owner_id is not null) execute function hub.give_conversation('video');

-- A voicemail's transcript is a message of its conversation too.
create or replace function hub.voicemails_tell() returns trigger
language plpgsql as $$
begin
    if new.message_id is not null then
        update public.messages m set body = new.transcript
        where m.id = new.message_id and m.body is distinct from new.transcript;
    else
        insert into public.messages (owner_id, conversation_id, direction, content_type, body, sender_person_id, timestamp)
        values (new.owner_id, new.conversation_id, 'inbound', 'audio/transcript', new.transcript, new.caller_person_id, new.created_at)
        returning id into new.message_id;
    end if;
    return new;
end
$$;
drop trigger if exists accept_transcript on public.voicemails;
create trigger accept_transcript before insert or update of transcript on public.voicemails
    for each row when (new.transcript is not null and new.conversation_id is not null) execute function hub.voicemails_tell();

-- Summary and notes of a meeting stand with each participant as a contact note.
create or replace function hub.meeting_analyses_mirror() returns trigger
language plpgsql as $$
declare
    told constant text := nullif(concat_ws(E'\n\n', nullif(new.summary, ''), nullif(new.notes, '')), '');
begin
    if told is null then
        return null;
    end if;
    update public.contact_notes n set body = told
    from public.meeting_participants p
    where p.owner_id = new.owner_id and p.meeting_id = new.meeting_id
        and n.owner_id = new.owner_id and n.person_id = p.person_id and n.note_type = 'meeting_followup'
        and n.source_entity_type = 'meeting' and n.source_entity_id = new.meeting_id and n.body <> told;
    insert into public.contact_notes (owner_id, person_id, note_type, body, source_entity_type, source_entity_id)
    select new.owner_id, p.person_id, 'meeting_followup', told, 'meeting', new.meeting_id
    from public.meeting_participants p
    where p.owner_id = new.owner_id and p.meeting_id = new.meeting_id and p.person_id is not null
        and not exists (select from public.contact_notes n
            where n.owner_id = new.owner_id and n.person_id = p.person_id and n.note_type = 'meeting_followup'
                and n.source_entity_type = 'meeting' and n.source_entity_id = new.meeting_id);
    return null;
end
$$;
drop trigger if exists meeting_analyses_mirror on public.meeting_analyses;
create trigger meeting_analyses_mirror after insert or update of summary, notes on public.meeting_analyses
    for each row execute function hub.meeting_analyses_mirror();

-- A person who is deleted leaves the conversations and threads he took part in.
create or replace function hub.drop_participants() returns trigger
language plpgsql as $$
declare
    ids constant text[] := array(select g.id::text from gone g);
    one text;
begin
    update public.conversations c set participants = c.participants - ids
    where c.owner_id in (select g.owner_id from gone g) and c.participants ?| ids;
    foreach one in array ids loop
        update public.email_threads t set participant_ids = array_remove(t.participant_ids, one::uuid)
        where t.owner_id in (select g.owner_id from gone g) and one::uuid = any (t.participant_ids);
    end loop;
    return null;
end
$$;
drop trigger if exists persons_drop_participants on public.persons;
create trigger persons_drop_participants after delete on public.persons referencing old table as gone
    for each statement execute function hub.drop_participants();

-- What the hub sends --------------------------------------------------------------------------------------------------

-- Another number has to be proved anew.
create or replace function hub.forget_phone_proof() returns trigger
language plpgsql as $$
begin
    new.phone_verified := false;
    return new;
end
$$;
drop trigger if exists user_sms_preferences_forget on public.user_sms_preferences;
create trigger user_sms_preferences_forget before update of phone_number on public.user_sms_preferences
    for each row when (new.phone_number is distinct from old.phone_number and new.phone_verified is not distinct from old.phone_verified)
    execute function hub.forget_phone_proof();

-- The hub alone says that something was sent.
create or replace function hub.refuse_sent() returns trigger
language plpgsql as $$
begin
    if current_user = 'authenticated' then
        raise exception 'only the hub makes it sent'
            using errcode = '42501', schema = 'public', table = tg_table_name, column = 'status';
    end if;
    return new;
end
$$;
drop trigger if exists emails_refuse_sent on public.emails;
create trigger emails_refuse_sent before update of status on public.emails
    for each row when (new.status = 'sent' and old.status <> 'sent') execute function hub.refuse_sent();
drop trigger if exists scheduled_sms_messages_refuse_sent on public.scheduled_sms_messages;
create trigger scheduled_sms_messages_refuse_sent before update of status on public.scheduled_sms_messages
    for each row when (new.status = 'sent' and old.status <> 'sent') execute function hub.refuse_sent();
drop trigger if exists emails_step on public.emails;
create trigger emails_step before insert or update of status on public.emails
    for each row execute function hub.step_state('status',
        '{"draft": ["scheduled", "sent"], "scheduled": ["draft", "sent"], "sent": []}', '{draft,scheduled}');
drop trigger if exists scheduled_sms_messages_step on public.scheduled_sms_messages;
create trigger scheduled_sms_messages_step before insert or update of status on public.scheduled_sms_messages
    for each row execute function hub.step_state('status',
        '{"pending": ["sent", "cancelled"], "sent": [], "cancelled": ["pending"]}', '{pending}');

-- Direct messages between servers -------------------------------------------------------------------------------------

-- An answer in such a conversation has an address that others know it by; the hub's comes with the request.
create or replace function hub.messages_place() returns trigger
language plpgsql as $$
declare
    base constant text := nullif(current_setting('hub.base', true), '');
begin
    if base is not null and exists (select from public.conversations c where c.id = new.conversation_id and c.actors is not null) then
        new.federated_ap_id := base || '/ap/messages/' || new.id;
    end if;
    return new;
end
$$;
drop trigger if exists messages_place on public.messages;
create trigger messages_place before insert on public.messages
    for each row when (new.direction = 'outbound' and new.owner_id is not null) execute function hub.messages_place();
drop trigger if exists messages_bury on public.messages;
create trigger messages_bury after delete on public.messages
    for each row when (old.direction = 'outbound' and old.federated_ap_id is not null) execute function hub.bury_own();

-- Put what an actor said to some into the conversations of those who are of this hub, new or as it is now: of an account
-- itself, and of those who run an agent or a tenant, the one who wrote it left out. p: {author, author_uri, author_name, writer,
-- uri, audience, body, preview, published, updated, in_reply_to, context}.
create or replace function hub.take_message(p jsonb) returns text
language plpgsql set search_path = pg_catalog, public, hub as $$
declare
    author constant uuid := (p ->> 'author')::uuid;
    updated constant timestamptz := (p ->> 'updated')::timestamptz;
    everybody constant text[] := array(select distinct u collate "C" from (select jsonb_array_elements_text(p -> 'audience')
        union select p ->> 'author_uri') n (u) order by 1);
    reader record;
    has record;
    thread uuid;
    new_id uuid;
    verdict text := 'no_recipient';
begin
    for reader in
        select distinct on (r.account) a.id, r.account
        from ap_actors a cross join lateral hub.who_runs(a.kind, a.row_id) r
        where a.uri = any (everybody) and a.kind in ('user', 'agent', 'tenant') and a.deleted_at is null
            and (a.id <> author or a.kind <> 'user') and r.account is not null and r.account is distinct from (p ->> 'writer')::uuid
        order by r.account, a.kind = 'user' desc, a.id
    loop
        if hub.is_blocked_between(reader.id, author)
            or exists (select from ap_actors me where me.kind = 'user' and me.row_id = reader.account
                and hub.is_blocked_between(me.id, author))
            or exists (select from blocks b where b.owner_id = reader.account and b.actor_id = author)
        then
            if verdict = 'no_recipient' then
                verdict := 'blocked';
            end if;
            continue;
        end if;
        select m.id, m.sender_actor_id, (m.metadata ->> 'as_of')::timestamptz as as_of into has
        from messages m where m.federated_ap_id = p ->> 'uri' and m.owner_id = reader.account for update;
        if found then
            if has.sender_actor_id is distinct from author then
                return 'not_owner';
            elsif has.as_of >= updated then
                verdict := case when verdict in ('new', 'changed') then verdict when has.as_of = updated then 'repeated' else 'older' end;
                continue;
            end if;
            update messages m set body = p ->> 'body', content_preview = p ->> 'preview',
                metadata = m.metadata || jsonb_build_object('as_of', updated)
            where m.id = has.id;
            verdict := 'changed';
            continue;
        end if;
        insert into conversations as c (owner_id, type, title, actors)
        values (reader.account, 'chat', p ->> 'author_name', everybody)
        on conflict (owner_id, actors) do update set updated_at = now()
        returning c.id into thread;
        insert into messages (owner_id, conversation_id, direction, body, content_preview, metadata, sender_actor_id, timestamp, federated_ap_id)
        values (reader.account, thread, 'inbound', p ->> 'body', p ->> 'preview', jsonb_strip_nulls(jsonb_build_object('as_of', updated,
            'context', p ->> 'context', 'in_reply_to', p ->> 'in_reply_to')), author, (p ->> 'published')::timestamptz, p ->> 'uri')
        returning messages.id into new_id;
        if hub.hears_of(reader.account, author) then
            insert into inbox_items (owner_id, channel_type, subject, preview, conversation_id, metadata)
            values (reader.account, 'chat', p ->> 'author_name', p ->> 'preview', thread,
                jsonb_build_object('message_id', new_id, 'actor', p ->> 'author_uri'));
            perform hub.emit('message.received', 'messages', new_id, reader.account);
        end if;
        verdict := 'new';
    end loop;
    return verdict;
end
$$;

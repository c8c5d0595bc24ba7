-- Links that no foreign key can hold: of a note to what it was made from, of edges and attendees to rows that go away.

-- The seed's words for a source, looked up as the caller; what he cannot see does not exist.
create or replace function hub.check_note_source() returns trigger
language plpgsql as $$
declare
    parent constant text := case new.source_entity_type
        when 'meeting' then 'meetings' when 'message' then 'messages' when 'call' then 'voicemails' end;
    seen boolean := true;
begin
    -- Another word is refused by the column's own list.
    if parent is not null then
        execute format('select exists (select from public.%I where id = $1)', parent) into seen using new.source_entity_id;
    end if;
    if not seen then
        raise exception using errcode = '23503', schema = tg_table_schema, table = tg_table_name,
            constraint = 'contact_notes_source_entity_id_fkey',
            message = 'insert or update on table "contact_notes" violates foreign key constraint "contact_notes_source_entity_id_fkey"',
            detail = format('Key (source_entity_id)=(%s) is not present in table "%s".', new.source_entity_id, parent);
    end if;
    return new;
end
$$;
drop trigger if exists contact_notes_check_source on public.contact_notes;
create trigger contact_notes_check_source before insert or update of source_entity_type, source_entity_id on public.contact_notes
    for each row when (new.source_entity_id is not null) execute function hub.check_note_source();

-- Edges go with either end.
create or replace function hub.drop_edges() returns trigger
language plpgsql as $$
begin
    delete from public.relationships r using gone g where r.from_id = g.id and r.from_kind = tg_table_name;
    delete from public.relationships r using gone g where r.to_id = g.id and r.to_kind = tg_table_name;
    return null;
end
$$;
do $$
declare
    kind text;
begin
    foreach kind in array '{persons,organizations,locations,events,documents,notes,intentions,media_library}'::text[] loop
        execute format('drop trigger if exists %I on public.%I', kind || '_drop_edges', kind);
        execute format('create trigger %I after delete on public.%I referencing old table as gone
            for each statement execute function hub.drop_edges()', kind || '_drop_edges', kind);
    end loop;
end
$$;

create or replace function hub.drop_attendees() returns trigger
language plpgsql as $$
declare
    ids constant text[] := array(select g.id::text from gone g);
begin
    update public.events e set attendees = e.attendees - ids
    where e.owner_id in (select g.owner_id from gone g) and e.attendees ?| ids;
    return null;
end
$$;
drop trigger if exists persons_drop_attendees on public.persons;
create trigger persons_drop_attendees after delete on public.persons referencing old table as gone
    for each statement execute function hub.drop_attendees();

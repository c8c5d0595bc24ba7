-- What the replaceable SQL made and the migrations do not know: policies, views and functions, which would
-- hold tables back, and the triggers of the hub.
do $$
declare
    found record;
begin
    for found in select schemaname, tablename, policyname from pg_policies where schemaname = 'public' loop
        execute format('drop policy %I on %I.%I', found.policyname, found.schemaname, found.tablename);
    end loop;
    for found in select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
                 where c.relkind = 'v' and n.nspname in ('public', 'auth') and pg_get_userbyid(c.relowner) = 'made_open_owner' loop
        execute format('drop view if exists %I.%I cascade', found.nspname, found.relname);
    end loop;
    for found in select c.relname, t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid
                 where c.relnamespace = 'public'::regnamespace and not t.tgisinternal loop
        execute format('drop trigger %I on public.%I', found.tgname, found.relname);
    end loop;
    -- Functions that take or give rows of a table of federation hold it back too.
    for found in select distinct p.oid::regprocedure as name from pg_proc p
                 join pg_type t on t.oid = p.prorettype or t.oid = any (p.proargtypes::oid[])
                 join pg_class c on c.oid = t.typrelid
                 where p.pronamespace = 'hub'::regnamespace and c.relnamespace = 'public'::regnamespace
                 and c.relname like 'ap\_%' loop
        execute format('drop function %s cascade', found.name);
    end loop;
end
$$;

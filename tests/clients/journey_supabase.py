"""Cleo and Dan use the hub through the Python package `supabase`, as a script of theirs would."""

import asyncio

import httpx
from story import each, end, given, refused, same, step
from supabase import ClientOptions, acreate_client, create_client
from supabase_auth.errors import AuthApiError, AuthError, AuthWeakPasswordError

URL = given("HUB_URL")
KEY = given("HUB_ANON_KEY")
PASSWORD = "seven swans on a lake"
STRANGER = "01890000-0000-7000-8000-000000000000"


def app():
    return create_client(URL, KEY, ClientOptions(auto_refresh_token=False, persist_session=False))


cleo, dan, nobody = app(), app(), app()


def auth_refused(call, status=None, code=None):
    try:
        call()
    except AuthError as error:
        if status is not None:
            same(error.status, status, "status")
        if code is not None:
            same(error.code, code, "code")
        return error
    raise AssertionError("was not refused")


# --- accounts -----------------------------------------------------------------------------------------------------

with step("sign up gives a session at once"):
    answer = cleo.auth.sign_up({"email": "cleo@example.org", "password": PASSWORD, "options": {"data": {"full_name": "Cleo"}}})
    assert answer.session and answer.session.access_token
    same(answer.user.email, "cleo@example.org")
    same(answer.user.user_metadata["full_name"], "Cleo")
    same(answer.user.role, "authenticated")
    assert answer.user.email_confirmed_at
    cleo_id = answer.user.id

with step("Dan signs up too"):
    dan_id = dan.auth.sign_up({"email": "dan@example.org", "password": PASSWORD}).user.id
    assert dan_id != cleo_id

with step("a weak password is refused with its reasons"):
    error = auth_refused(lambda: app().auth.sign_up({"email": "weak@example.org", "password": "short"}), 422, "weak_password")
    assert isinstance(error, AuthWeakPasswordError), type(error)
    assert error.reasons, "no reasons"

with step("sign out, and sign in again"):
    cleo.auth.sign_out()
    assert cleo.auth.get_session() is None
    answer = cleo.auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD})
    same(answer.user.id, cleo_id)

with step("a wrong password and an unknown address answer alike"):
    messages = set()
    for email in ("cleo@example.org", "eve@example.org"):
        error = auth_refused(
            lambda: app().auth.sign_in_with_password({"email": email, "password": "wrong, entirely"}), 400, "invalid_credentials"
        )
        assert isinstance(error, AuthApiError), type(error)
        messages.add(error.message)
    same(len(messages), 1, "different messages")

with step("get_user asks the hub"):
    user = cleo.auth.get_user().user
    same((user.id, user.email), (cleo_id, "cleo@example.org"))
    auth_refused(lambda: app().auth.get_user("not.a.token"))

with step("refresh_session gives new tokens, an old one is worth nothing"):
    other = app()
    before = other.auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD}).session
    after = other.auth.refresh_session().session
    assert after.refresh_token != before.refresh_token
    same(other.table("persons").select("id").execute().data, [])
    other.auth.refresh_session()
    error = auth_refused(lambda: app().auth.refresh_session(before.refresh_token), 400)
    assert str(error.code).startswith("refresh_token_"), error.code

with step("set_session picks a session up elsewhere"):
    session = app().auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD}).session
    other = app()
    other.auth.set_session(session.access_token, session.refresh_token)
    same(other.auth.get_user().user.id, cleo_id)

with step("a signed-out access token is worth nothing at once"):
    other = app()
    token = other.auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD}).session.access_token

    def ask():
        return httpx.get(f"{URL}/rest/v1/persons?select=id", headers={"apikey": KEY, "Authorization": f"Bearer {token}"})

    same(ask().status_code, 200)
    other.auth.sign_out({"scope": "local"})
    same(ask().status_code, 401)
    auth_refused(lambda: app().auth.get_user(token))
    same(cleo.table("persons").select("id").execute().data, [])

# --- writing ------------------------------------------------------------------------------------------------------

with step("insert one and many"):
    answer = cleo.table("persons").insert({"name": "Mary", "tags": ["family"]}).execute()
    same(len(answer.data), 1)
    mary = answer.data[0]
    same((mary["owner_id"], mary["tags"], mary["notes"]), (cleo_id, ["family"], None))
    answer = cleo.table("persons").insert([{"name": "Niels"}, {"name": "Olga", "notes": "plays Go"}], count="exact").execute()
    same((len(answer.data), answer.count), (2, 2))
    niels, olga = answer.data
    same(cleo.table("organizations").insert({"name": "Choir"}, returning="minimal").execute().data, [])

with step("missing columns take their default when asked to"):
    rows = [{"name": "a", "trigger_event_types": ["x.A"], "priority": 7}, {"name": "b", "trigger_event_types": ["x.A", "x.B"]}]
    same(each(cleo.table("rules").insert(rows, default_to_null=False).execute(), "priority"), [7, 100])

with step("projects, phases, tasks"):
    project = cleo.table("projects").insert({"name": "Garden", "slug": "garden"}).execute().data[0]
    span = {"start_date": "2030-01-01T00:00:00Z", "end_date": "2030-02-01T00:00:00Z"}
    dig, sow = (
        cleo.table("phases")
        .insert([{"project_id": project["id"], "name": "Dig", "order": 1, **span}, {"project_id": project["id"], "name": "Sow", "order": 2, **span}])
        .execute()
        .data
    )
    spade, seeds, tea = (
        cleo.table("tasks")
        .insert(
            [
                {"title": "Find the spade", "project_id": project["id"], "assignee_id": mary["id"], "priority": "low"},
                {"title": "Order seeds", "project_id": project["id"], "assignee_id": niels["id"], "priority": "high"},
                {"title": "Make tea", "project_id": None, "assignee_id": None, "priority": "urgent"},
            ]
        )
        .execute()
        .data
    )
    cleo.table("phase_tasks").insert(
        [{"phase_id": dig["id"], "task_id": spade["id"], "order": 1}, {"phase_id": sow["id"], "task_id": seeds["id"], "order": 1}]
    ).execute()

with step("upsert merges, or leaves what is there alone"):
    key = "user_id,preference_key"
    cleo.table("user_preferences").insert({"preference_key": "theme", "preference_value": "dark"}).execute()
    cleo.table("user_preferences").upsert(
        [{"preference_key": "theme", "preference_value": "light"}, {"preference_key": "sound", "preference_value": 3}], on_conflict=key
    ).execute()
    kept = (
        cleo.table("user_preferences")
        .upsert([{"preference_key": "theme", "preference_value": "lost"}, {"preference_key": "size", "preference_value": 9}], on_conflict=key, ignore_duplicates=True)
        .execute()
    )
    same(each(kept, "preference_key"), ["size"])
    rows = cleo.table("user_preferences").select("preference_key, preference_value").order("preference_key").execute().data
    same({row["preference_key"]: row["preference_value"] for row in rows}, {"size": 9, "sound": 3, "theme": "light"})
    with refused("23505"):
        cleo.table("user_preferences").insert({"preference_key": "theme"}).execute()

with step("update, delete, and neither without a filter"):
    answer = cleo.table("persons").update({"notes": "sings"}, count="exact").eq("id", mary["id"]).execute()
    same((answer.data[0]["notes"], answer.count), ("sings", 1))
    gone = cleo.table("persons").insert({"name": "Nobody"}).execute().data[0]
    same(each(cleo.table("persons").delete().eq("id", gone["id"]).execute(), "name"), ["Nobody"])
    with refused("21000"):
        cleo.table("persons").update({"notes": "all"}).execute()
    with refused("21000"):
        cleo.table("persons").delete().execute()
    same(cleo.table("persons").select("*", count="exact", head=True).execute().count, 3)

with step("max_affected stops a write that would change too much"):
    with refused("PGRST124"):
        cleo.table("tasks").update({"description": "x"}).in_("priority", ["low", "high"]).max_affected(1).execute()
    same(cleo.table("tasks").select("id").eq("description", "x").execute().data, [])

# --- reading ------------------------------------------------------------------------------------------------------

with step("related rows: one, many, many to many, nested"):
    rows = cleo.table("tasks").select("title, assignee:persons(name)").order("title").execute().data
    same(
        rows,
        [
            {"title": "Find the spade", "assignee": {"name": "Mary"}},
            {"title": "Make tea", "assignee": None},
            {"title": "Order seeds", "assignee": {"name": "Niels"}},
        ],
    )
    row = cleo.table("projects").select("name, tasks(title)").order("title", desc=True, foreign_table="tasks").limit(1, foreign_table="tasks").single().execute().data
    same(row, {"name": "Garden", "tasks": [{"title": "Order seeds"}]})
    rows = cleo.table("phases").select("name, tasks(title, persons(name))").order("order").execute().data
    same(
        rows,
        [
            {"name": "Dig", "tasks": [{"title": "Find the spade", "persons": {"name": "Mary"}}]},
            {"name": "Sow", "tasks": [{"title": "Order seeds", "persons": {"name": "Niels"}}]},
        ],
    )

with step("filters on related rows, with and without !inner"):
    inner = cleo.table("tasks").select("title, persons!inner(name)").eq("persons.name", "Mary").execute()
    same(inner.data, [{"title": "Find the spade", "persons": {"name": "Mary"}}])
    outer = cleo.table("tasks").select("title, persons(name)").eq("persons.name", "Mary").order("title").execute()
    same([row["persons"] for row in outer.data], [{"name": "Mary"}, None, None])
    spread = cleo.table("tasks").select("title, ...persons!inner(who:name)").order("persons(name)", desc=True).execute()
    same(spread.data, [{"title": "Order seeds", "who": "Niels"}, {"title": "Find the spade", "who": "Mary"}])

with step("single, maybe_single, csv"):
    same(cleo.table("persons").select("name").eq("id", mary["id"]).single().execute().data, {"name": "Mary"})
    with refused("PGRST116") as seen:
        cleo.table("persons").select("name").single().execute()
    assert "3 rows" in seen["error"].details, seen["error"].details
    with refused("PGRST116"):
        cleo.table("persons").select("name").eq("id", STRANGER).single().execute()
    assert cleo.table("persons").select("name").eq("id", STRANGER).maybe_single().execute() is None
    text = cleo.table("persons").select("name,notes").order("name").csv().execute().data
    same(text.strip().split("\n"), ["name,notes", "Mary,sings", "Niels,", 'Olga,"plays Go"'])

with step("counts, ranges, without nulls"):
    for count in ("exact", "planned", "estimated"):
        same(cleo.table("persons").select("*", count=count, head=True).execute().count, 3, count)
    part = cleo.table("persons").select("name", count="exact").order("name").range(1, 1).execute()
    same((each(part, "name"), part.count), (["Niels"], 3))
    with refused("PGRST103"):
        cleo.table("persons").select("name", count="exact").range(100, 101).execute()
    same(cleo.table("persons").select("name, notes").eq("name", "Niels").strip_nulls().execute().data, [{"name": "Niels"}])

with step("filters"):

    def titles(query):
        return each(query.order("title").execute(), "title")

    def tasks():
        return cleo.table("tasks").select("title")

    same(titles(tasks().or_("priority.eq.urgent,and(priority.eq.low,title.like.*spade)")), ["Find the spade", "Make tea"])
    same(titles(tasks().not_.in_("priority", ["low", "high"])), ["Make tea"])
    same(titles(tasks().in_("title", ["Make tea", "a, b (c)", 'quo"te'])), ["Make tea"])
    same(titles(tasks().is_("project_id", None)), ["Make tea"])
    same(titles(tasks().ilike("title", "%THE%")), ["Find the spade"])
    same(titles(tasks().like_any_of("title", "Find%,Make%")), ["Find the spade", "Make tea"])
    same(titles(tasks().wfts("title", "tea or seeds")), ["Make tea", "Order seeds"])
    same(each(tasks().text_search("title", "'seed'", {"config": "english"}).execute(), "title"), ["Order seeds"])
    same(titles(tasks().match({"priority": "high", "title": "Order seeds"})), ["Order seeds"])

with step("contains and overlaps, on arrays and on JSON"):
    rules = cleo.table("rules").select("name")
    same(each(rules.contains("trigger_event_types", ["x.A", "x.B"]).execute(), "name"), ["b"])
    same(each(cleo.table("rules").select("name").overlaps("trigger_event_types", ["x.B", "x.C"]).execute(), "name"), ["b"])
    same(each(cleo.table("persons").select("name").contains("tags", '["family"]').execute(), "name"), ["Mary"])

with step("rpc, and one that does not exist"):
    kinds = cleo.rpc("kinds_list", {}).execute().data
    assert any(kind["name"] == "persons" for kind in kinds)
    same(cleo.rpc("kinds_list", {}, get=True).execute().data, kinds)
    with refused("PGRST202") as seen:
        cleo.rpc("kinds_lisst", {}).execute()
    assert "kinds_list" in seen["error"].hint, seen["error"].hint

with step("the same without waiting: the asynchronous client"):

    async def at_once():
        client = await acreate_client(URL, KEY)
        await client.auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD})
        queries = (client.table("persons").select("name").eq("id", row["id"]).single().execute() for row in (mary, niels, olga))
        names = [answer.data["name"] for answer in await asyncio.gather(*queries)]
        await client.auth.sign_out({"scope": "local"})
        return names

    same(asyncio.run(at_once()), ["Mary", "Niels", "Olga"])

# --- whose is what ------------------------------------------------------------------------------------------------

with step("Dan sees, changes and plants nothing of Cleo's"):
    for table in ("persons", "tasks", "projects", "phases", "phase_tasks", "rules", "user_preferences"):
        answer = dan.table(table).select("*", count="exact").execute()
        same((answer.data, answer.count), ([], 0), table)
    same(dan.table("persons").update({"name": "Mine"}).eq("id", mary["id"]).execute().data, [])
    same(dan.table("persons").delete().eq("id", mary["id"]).execute().data, [])
    with refused("42501"):
        dan.table("persons").insert({"name": "Planted", "owner_id": cleo_id}).execute()
    with refused("23503"):
        dan.table("tasks").insert({"title": "x", "assignee_id": mary["id"]}).execute()
    same(cleo.table("persons").select("*", count="exact", head=True).execute().count, 3)

with step("public listings are for everybody, drafts are not"):
    cleo.table("listings").insert(
        [
            {"listing_type": "service", "title": "Voice lessons", "status": "active", "visibility": "public", "tags": ["music"]},
            {"listing_type": "service", "title": "A draft", "status": "draft", "visibility": "public", "tags": ["music"]},
        ]
    ).execute()
    for reader in (nobody, dan):
        same(each(reader.table("listings").select("title").contains("tags", ["music"]).execute(), "title"), ["Voice lessons"])
    with refused("42501"):
        nobody.table("listings").insert({"listing_type": "service", "title": "Spam"}).execute()

# --- what is wrong is said ----------------------------------------------------------------------------------------

with step("unknown tables, columns, schemas; read-only columns; wrong values"):
    with refused("PGRST205") as seen:
        cleo.table("person").select("*").execute()
    assert "public.persons" in seen["error"].hint, seen["error"].hint
    with refused("PGRST204"):
        cleo.table("persons").insert({"nam": "x"}).execute()
    with refused("42703"):
        cleo.table("persons").select("nam").execute()
    with refused("PGRST106"):
        cleo.schema("nope").table("persons").select("*").execute()
    with refused("PGRST200"):
        cleo.table("persons").select("name, rules(name)").execute()
    with refused("22P02"):
        cleo.table("persons").select("name").eq("id", "not-a-uuid").execute()
    with refused("23514"):
        cleo.table("tasks").insert({"title": "x", "priority": "whenever"}).execute()
    try:
        cleo.table("persons").insert({"name": "Old", "created_at": "1999-01-01T00:00:00Z"}).execute()
        raise AssertionError("created_at was taken")
    except Exception as error:
        assert "created_at" in str(error), error

end()

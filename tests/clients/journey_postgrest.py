"""Erin, who already has an access token, uses only the tables: the Python package `postgrest`, in both its manners."""

import asyncio

import httpx
from postgrest import AsyncPostgrestClient, SyncPostgrestClient
from postgrest.types import CountMethod, ReturnMethod
from story import each, end, given, refused, same, step

URL = given("HUB_URL")
KEY = given("HUB_ANON_KEY")
REST = f"{URL}/rest/v1"


def token(name):
    answer = httpx.post(
        f"{URL}/auth/v1/signup", headers={"apikey": KEY}, json={"email": f"{name}@example.org", "password": f"{name} sails at dawn"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


erin_token = token("erin")
erin = SyncPostgrestClient(REST, headers={"apikey": KEY}).auth(erin_token)
finn = SyncPostgrestClient(REST, headers={"apikey": KEY}).auth(token("finn"))
nobody = SyncPostgrestClient(REST, headers={"apikey": KEY})
without_key = SyncPostgrestClient(REST)
forged = SyncPostgrestClient(REST, headers={"apikey": KEY}).auth(erin_token[:-8] + "AAAAAAAA")

with step("insert, one and many, with and without what was stored"):
    one = erin.from_("persons").insert({"name": "Ada", "birthday": "1815-12-10"}).execute()
    same((len(one.data), one.data[0]["birthday"]), (1, "1815-12-10"))
    many = erin.from_("persons").insert([{"name": "Blaise"}, {"name": "Kurt"}], count=CountMethod.exact).execute()
    same((each(many, "name"), many.count), (["Blaise", "Kurt"], 2))
    same(erin.from_("persons").insert({"name": "Emmy"}, returning=ReturnMethod.minimal).execute().data, [])
    ada = one.data[0]

with step("only some columns of what was stored"):
    rows = erin.from_("organizations").insert([{"name": "Academy"}]).select("name", "industry").execute().data
    same(rows, [{"name": "Academy", "industry": None}])

with step("select, order, limit, offset, range"):
    same(each(erin.from_("persons").select("name").order("name", desc=True).limit(2).execute(), "name"), ["Kurt", "Emmy"])
    same(each(erin.from_("persons").select("name").order("name").limit(2).offset(1).execute(), "name"), ["Blaise", "Emmy"])
    part = erin.from_("persons").select("name", count=CountMethod.exact).order("name").range(0, 1).execute()
    same((each(part, "name"), part.count), (["Ada", "Blaise"], 4))

with step("embedding"):
    erin.from_("tasks").insert([{"title": "Read", "assignee_id": ada["id"]}, {"title": "Rest", "assignee_id": None}]).execute()
    rows = erin.from_("tasks").select("title", "assignee:persons(name)").order("title").execute().data
    same(rows, [{"title": "Read", "assignee": {"name": "Ada"}}, {"title": "Rest", "assignee": None}])
    rows = erin.from_("persons").select("name", "tasks!inner(title)").execute().data
    same(rows, [{"name": "Ada", "tasks": [{"title": "Read"}]}])
    rows = erin.from_("persons").select("name", "tasks(count)").eq("name", "Ada").execute().data
    same(rows, [{"name": "Ada", "tasks": [{"count": 1}]}])

with step("upsert"):
    key = "user_id,preference_key"
    for value in (1, 2):
        erin.from_("user_preferences").upsert({"preference_key": "size", "preference_value": value}, on_conflict=key).execute()
    same(each(erin.from_("user_preferences").select("preference_value").execute(), "preference_value"), [2])

with step("update and delete by filter, and neither without one"):
    same(each(erin.from_("persons").update({"notes": "logic"}).eq("name", "Kurt").execute(), "notes"), ["logic"])
    same(each(erin.from_("persons").delete().eq("name", "Kurt").execute(), "name"), ["Kurt"])
    with refused("21000"):
        erin.from_("persons").update({"notes": "all"}).execute()
    with refused("21000"):
        erin.from_("persons").delete().execute()

with step("odd names come back as they were given"):
    for name in ["a,b", "(c)", 'd"e', "f\\g", "h.i:j", "*", "%", "", "née Þór 🦊", "null", "'; drop table persons; --"]:
        stored = erin.from_("organizations").insert({"name": name}).execute().data[0]
        same(stored["name"], name)
        same(each(erin.from_("organizations").select("id").eq("name", name).execute(), "id"), [stored["id"]], name)
        # An empty text cannot be told from an empty list by what this client sends.
        found = erin.from_("organizations").select("id").in_("name", [name]).execute()
        same(each(found, "id"), [stored["id"]] if name else [], name)

with step("arrays with odd members"):
    odd = ["a,b", "{c}", 'd"e', "f g", "NULL", "h\\i"]
    erin.from_("rules").insert({"name": "odd", "trigger_event_types": odd}).execute()
    for member in odd:
        found = erin.from_("rules").select("trigger_event_types").contains("trigger_event_types", [member]).execute().data
        same(found, [{"trigger_event_types": odd}], member)

with step("explain is not offered"):
    try:
        plan = erin.from_("persons").select("name").explain().execute()
        raise AssertionError(f"a plan was given: {plan}")
    except Exception as error:
        assert "PGRST107" in str(error), error

with step("rpc"):
    assert any(kind["name"] == "tasks" for kind in erin.rpc("kinds_list", {}).execute().data)
    with refused("PGRST202"):
        erin.rpc("nothing_such", {"a": 1}).execute()

with step("Finn sees none of it, and nobody who is not signed in"):
    for table in ("persons", "tasks", "organizations", "user_preferences"):
        same(finn.from_(table).select("*").execute().data, [], table)
    for client in (nobody, without_key):
        with refused("42501"):
            client.from_("persons").insert({"name": "x"}).execute()

with step("a forged token is refused"):
    with refused("PGRST301"):
        forged.from_("persons").select("*").execute()

with step("schemas that are not served"):
    for schema in ("nope", "hub", "auth", "pg_catalog", "information_schema"):
        with refused("PGRST106"):
            erin.schema(schema).from_("persons").select("*").execute()

with step("an error that has no body still has its code"):
    with refused("PGRST205"):
        erin.from_("person").select("*", head=True).execute()

with step("many at once, without waiting for one another"):

    async def at_once():
        async with AsyncPostgrestClient(REST, headers={"apikey": KEY}) as client:
            client.auth(erin_token)
            await asyncio.gather(*(client.from_("notes").insert({"title": f"note {n}"}).execute() for n in range(30)))
            answers = await asyncio.gather(*(client.from_("notes").select("title").eq("title", f"note {n}").execute() for n in range(30)))
            same([each(answer, "title") for answer in answers], [[f"note {n}"] for n in range(30)])
            return (await client.from_("notes").select("*", count=CountMethod.exact, head=True).execute()).count

    same(asyncio.run(at_once()), 30)

end()

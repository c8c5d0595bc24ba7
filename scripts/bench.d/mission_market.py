# Usage: scripts/bench mission --part=market [--listings N] [--seconds N]
"""A page of 50 listings, newest first, among very many, with filters that match at most one in a hundred: how long the slow ones of
the answers take over HTTP, against reading one row by its id; through the table door and through the search."""
import json, pathlib, re, subprocess, urllib.parse

# Each of them matches one in a hundred or fewer; a few match so many that they have to be gone through.
FILTERS = {
    "category": ({"category": "eq.tools-{n}"}, {"category": "tools-{n}"}),
    "category and price": ({"category": "eq.tools-{n}", "price_minor": "lte.5000"}, {"category": "tools-{n}", "price_max": 50}),
    "a rare type with price": ({"listing_type": "eq.digital", "price_currency": "eq.EUR", "price_minor": "lte.900"},
                               {"listing_type": "digital", "currency": "EUR", "price_max": 9}),
    "price among all types": ({"price_minor": "gte.20000"}, {"price_min": 200}),
    "gifts": ({"price_type": "eq.free"}, {"is_free": True}),
    "a rare condition": ({"condition": "eq.for_parts"}, None),
    "one seller": ({"origin_actor_id": "eq.{actor}"}, None),
    "words": (None, {"words": "lathe word{n}"}),
    "one word": (None, {"words": "word{n}"}),
    "tag": (None, {"tags": ["tag{n}"]}),
    "place": (None, {"latitude": "{latitude}", "longitude": "{longitude}", "within_km": 25}),
    "place and words": (None, {"latitude": "{latitude}", "longitude": "{longitude}", "within_km": 60, "words": "lathe"}),
}


def fill(hub, count):
    """Sellers here and elsewhere, and what they offer: over two years, in a country of 9 by 8 degrees."""
    hub.sql(
        "set session_replication_role = replica; "
        "insert into users (id, email, name) select gen_random_uuid(), 'seller' || n || '@example.org', 'seller' || n from generate_series(1, 500) n; "
        "insert into ap_actors (uri, type, preferred_username, host, inbox_url) select 'http://m.peer.test/u/' || n, 'Person', 'm' || n, 'm.peer.test', "
        "'http://m.peer.test/u/' || n || '/inbox' from generate_series(1, 500) n; "
        "create temporary table here as select id, row_number() over () as n from users where email like 'seller%'; "
        "create temporary table there as select id, row_number() over () as n from ap_actors where host = 'm.peer.test'; "
        "insert into listings (id, owner_id, origin_actor_id, listing_type, title, description, price_amount, price_currency, price_type, tags, status, category, "
        "condition, place_name, latitude, longitude, published_at, created_at, updated_at, federated_ap_id, url) "
        "select hub.uuid_v7(), h.id, t.id, (array['physical', 'service', 'data_product', 'digital'])[case when r.a < 0.9 then 1 when r.a < 0.98 then 2 when r.a < 0.99 then 3 else 4 end], "
        "case when r.b < 0.1 then 'A lathe of ' else 'Something for ' end || 'word' || (r.c * 200)::int, repeat('It was used with care and is as good as new. ', 6) || 'word' || (r.d * 2000)::int, "
        "case when r.e < 0.995 then round((power(r.f, 3) * 202)::numeric, 2) end, case when r.a < 0.99 or r.b < 0.5 then 'EUR' else 'USD' end, "
        "case when r.e < 0.995 then 'fixed' else 'free' end, array['tag' || (r.g * 150)::int, 'all'], case when r.h < 0.9 then 'active' when r.h < 0.95 then 'sold' else 'draft' end, "
        "'tools-' || (r.i * 120)::int, case when r.j < 0.008 then 'for_parts' else 'used' end, 'Town', 47 + r.k * 8, 6 + r.l * 9, "
        "now() - r.m * interval '700 days', now(), now(), 'http://m.peer.test/listings/' || r.n, 'http://m.peer.test/' || r.n "
        "from (select n, random() a, random() b, random() c, random() d, random() e, random() f, random() g, random() h, random() i, random() j, random() k, random() l, random() m "
        f"from generate_series(1, {count}) n) r left join here h on r.n % 2 = 0 and h.n = 1 + r.n / 2 % 500 left join there t on r.n % 2 = 1 and t.n = 1 + r.n / 2 % 500; "
        "set session_replication_role = origin")
    hub.sql("vacuum analyze listings")


def slow(hub, headers, requests, name, seconds):
    """Of these requests in turn over one connection: the p95 in milliseconds, how many came."""
    lines = ",".join(json.dumps([method, path, body]).replace("[", "{", 1)[:-1] + "}" for method, path, body in requests)
    script = pathlib.Path(hub.lua(re.sub(r"\W", "_", name), {**headers, "Content-Type": "application/json"}, f"""
local all, n = {{{lines.replace('null', 'nil')}}}, 0
request = function() n = n % #all + 1 local one = all[n] return wrk.format(one[1], one[2], nil, one[3]) end
done = function(summary, latency) io.write(string.format("P95 %f of %d bad %d\\n", latency:percentile(95), summary.requests, summary.errors.status)) end
"""))
    said = subprocess.run(["wrk", "-t1", "-c1", f"-d{seconds}s", "-s", script, hub.url], capture_output=True, text=True, check=True).stdout
    p95, came, bad = re.search(r"P95 ([\d.]+) of (\d+) bad (\d+)", said).groups()
    if int(bad):
        hub.bench.die(f"{name}: the hub refused {bad} of {came}")
    return float(p95) / 1000, int(came)


def run(bench):
    count, seconds = bench.option("--listings", 1_000_000), bench.option("--seconds", 8)
    bench.need("wrk")
    hub = bench.Hub()
    hub.bench = bench
    try:
        token = hub.sign_up()
        fill(hub, count)
        headers = {"apikey": hub.anon, "Authorization": "Bearer " + token}
        ids = hub.sql("select id from listings where status = 'active' order by md5(id::text) limit 200").split()
        actors = hub.sql("select id from ap_actors where host = 'm.peer.test' order by md5(id::text) limit 20").split()

        def filled(what, n):
            values = {"n": n, "actor": actors[n % 20], "latitude": 47.5 + n % 7, "longitude": 6.5 + n % 8}
            return {key: type(values[value[1:-1]])(values[value[1:-1]]) if value in ("{latitude}", "{longitude}") else
                    [one.format(**values) for one in value] if isinstance(value, list) else value.format(**values) if isinstance(value, str) else value
                    for key, value in what.items()}

        one = [("GET", f"/rest/v1/listings?id=eq.{row}", None) for row in ids]
        slow(hub, headers, one, "warm", 2)
        unit, _ = slow(hub, headers, one, "one", seconds)
        print(f"\n{f'a page of 50 of {count} listings, newest first, p95 over HTTP':52} {'rows':>6} {'table door':>20} {'search':>20} {'floor':>8}")
        print(f"{'one row by its id':52} {'1':>6} {unit:17.2f} ms")
        worst = 0
        for name, (by_table, by_search) in FILTERS.items():
            cells, rows = [], 0
            for who, (what, path) in {"table": (by_table, "/rest/v1/listings"), "search": (by_search, "/rest/v1/rpc/search_listings")}.items():
                if what is None:
                    cells.append(f"{'-':>20}")
                    continue
                given = [filled(what, n) for n in range(1, 41)]
                if who == "table":
                    requests = [("GET", f"{path}?{urllib.parse.urlencode({**f, 'order': 'published_at.desc,id.desc', 'limit': 50})}", None) for f in given]
                    rows = len(bench.ask(hub.url, "GET", requests[0][1], headers))
                else:
                    requests = [("POST", path, json.dumps({**f, "limit": 50})) for f in given]
                    rows = len(bench.ask(hub.url, "POST", path, headers, {**given[0], "limit": 50}))
                slow(hub, headers, requests, f"{name} {who}", 2)
                p95, _ = slow(hub, headers, requests, f"{name} {who}", seconds)
                worst = max(worst, p95 / unit)
                cells.append(f"{p95:8.2f} ms {p95 / unit:6.1f} x")
            print(f"{name:52} {rows:6} {cells[0]} {cells[1]} {'10 x':>8}", flush=True)
        print(f"{'the slowest of them':52} {worst:45.1f} x {'10 x':>8}")
    finally:
        hub.end()

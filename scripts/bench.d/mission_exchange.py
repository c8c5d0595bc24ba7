# Usage: scripts/bench mission --part=exchange [--exchanges N] [--activities N]
"""What exchanges between two hubs cost, from the offer to completed on both, in units of a plain inbox activity: processor time of
both hubs and their databases, with everything that follows. Each exchange goes its whole way over HTTP; many are under way at once."""
import threading, time


SETTINGS = {"MADE_OPEN_TEST_RESOLVE": "a.hub.test=127.0.0.1,b.hub.test=127.0.0.1", "MADE_OPEN_TIME_CREDIT_LIMIT": "100000",
            "MADE_OPEN_PEER_CREDIT_LIMIT": "100000"}


def at_once(work, things, hands=4):
    """Do it with each of them, a few at a time."""
    left, failed = list(things), []

    def go():
        try:
            while left:
                work(left.pop())
        except (SystemExit, OSError) as wrong:
            failed.append(wrong)

    threads = [threading.Thread(target=go) for _ in range(hands)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return failed


def run(bench):
    count, activities = bench.option("--exchanges", 200), bench.option("--activities", 4000)
    a, b, rig = bench.Hub.called("a", SETTINGS), bench.Hub.called("b", SETTINGS), None
    try:
        (alice, her_actor), (bruno, his_actor) = a.person("alice"), b.person("bruno")
        bench.ask(b.url, "POST", "/rest/v1/rpc/follows_request", bruno, {"actor": her_actor})
        b.until(f"select count(*) from follows f join ap_actors o on o.id = f.actor_id where o.uri = '{her_actor}' and f.state = 'accepted'", 1)
        kinds = [{"exchange_type": "gift", "quantity": 1, "unit": "one"}, {"exchange_type": "time_banking", "quantity": 1, "unit": "hour"}]
        rows = [{"decl_type": "offer", "title": f"Number {n}", **kinds[n % 2]} for n in range(count)]
        uris = []
        for at in range(0, count, 10):
            declared = bench.ask(a.url, "POST", "/rest/v1/declarations?select=federated_ap_id", {**alice, "Prefer": "return=representation"}, rows[at:at + 10])
            uris += [row["federated_ap_id"] for row in declared]
        b.until("select count(*) from declarations where origin_actor_id is not null", count, 1)
        quiet(a), quiet(b)
        time.sleep(3)

        before, began = a.processor_seconds() + b.processor_seconds(), time.monotonic()

        def step(hub, who, name, things):
            failed = at_once(lambda thing: bench.ask(hub.url, "POST", f"/rest/v1/rpc/{name}", who, thing), things)
            if failed:
                bench.die(f"{name}: {failed[0]}")

        step(b, bruno, "exchanges_propose", [{"declaration": uri} for uri in uris])
        hers = ids(a, "proposed", count)
        step(a, alice, "exchanges_accept", [{"id": one} for one in hers])
        his = ids(b, "accepted", count)
        step(a, alice, "exchanges_confirm", [{"id": one, "verdict": "fulfilled"} for one in hers])
        ids(b, "in_progress", count)
        step(b, bruno, "exchanges_confirm", [{"id": one, "verdict": "fulfilled"} for one in his])
        ids(a, "completed", count), ids(b, "completed", count)
        quiet(a), quiet(b)
        time.sleep(1)
        each, took = (a.processor_seconds() + b.processor_seconds() - before) / count, time.monotonic() - began

        said = sum(int(hub.sql("select count(*) from ap_activities")) for hub in (a, b))
        heard = sum(int(hub.sql("select count(*) from ap_received")) for hub in (a, b))
        a.end(), b.end()

        rig = bench.part("federation_inbox").Rig(bench, 3)
        rig.load(activities // 4, "signed")
        plain = rig.load(activities, "signed")["spent"] / activities
        print(f"\n{'exchanges':64} {'figure':>16} {'floor':>8}")
        print(f"{f'{count} exchanges, half gifts and half hours, on both hubs':64} {'all completed':>16}")
        print(f"{'from Offer to completed on both hubs':64} {each / plain:9.1f} plain {'12 plain':>8}")
        print(f"{'  (ms of processor time; that of a plain inbox activity)':64} {each * 1000:8.2f} {plain * 1000:7.2f}")
        print(f"{'  (activities said and heard with declaring, each)':64} {said / count:8.1f} {heard / count:7.1f}")
        print(f"{'  (exchanges a second)':64} {count / took:16.1f}")
    finally:
        for one in (a, b, rig and rig.hub):
            if one:
                one.end()


def ids(hub, status, count):
    """The exchanges that stand there, once all do."""
    hub.until(f"select count(*) from exchanges where status = '{status}'", count, 0.5)
    return hub.sql(f"select id from exchanges where status = '{status}'").split()


def quiet(hub):
    """Nothing is under way any more."""
    hub.until("select (select count(*) from ap_deliveries where state = 'waiting') + (select count(*) from ap_received where state = 'waiting')", 0, 0.5)

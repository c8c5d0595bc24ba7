# Usage: scripts/bench mission --part=votes [--votes N] [--runs N]
"""Votes as they come in: each of many actors elsewhere votes once on one proposal, and as many posts of known senders come in
by turns. Timed is from the first byte until nothing waits any more; then every ballot is counted again."""
import json, time


def until_done(rig, file, count, first, *question):
    """Send so many; activities a second until all are processed, and processor time of hub and database for each."""
    before = rig.hub.processor_seconds()
    told = rig.bench.tool("load", file, rig.url, "http://a.hub.test", str(count), "8", "signed", str(first), *question)
    began = time.monotonic()
    while int(rig.hub.sql("select count(*) from ap_received where state = 'waiting'")):
        time.sleep(0.1)
    took = told["seconds"] + time.monotonic() - began
    if told["answers"] != {"202": count}:
        rig.bench.die(f"the hub answered {told['answers']}")
    time.sleep(1)
    return count / took, (rig.hub.processor_seconds() - before) / count


def opened(rig, headers, dao):
    draft = rig.bench.ask(rig.url, "POST", "/rest/v1/proposals?select=id", {**headers, "Prefer": "return=representation"},
                          {"dao_id": dao, "title": "Buy a truing stand", "description": "It costs 180 EUR."})[0]
    return rig.bench.ask(rig.url, "POST", "/rest/v1/rpc/proposals_open", headers, {"id": draft["id"]})


def run(bench):
    count, runs = bench.option("--votes", 10_000), bench.option("--runs", 3)
    rig = bench.part("federation_inbox").Rig(bench, 3)
    try:
        hub = rig.hub
        headers, _ = hub.person("steward")
        dao = bench.ask(hub.url, "POST", "/rest/v1/daos?select=id", {**headers, "Prefer": "return=representation"}, {"name": "Bikes", "slug": "bikes"})[0]["id"]
        group = hub.until(f"select uri from ap_actors where kind = 'dao' and row_id = '{dao}'")
        file = f"{hub.scratch}/voters.json"
        key = bench.tool("voters", file, str(count))
        hub.sql(
            "with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url, shared_inbox_url, last_fetched_at) "
            "select 'http://s' || n % 50 || '.peer.test/v/' || n, 'Person', 'v' || n, 's' || n % 50 || '.peer.test', "
            "'http://s' || n % 50 || '.peer.test/v/' || n || '/inbox', 'http://s' || n % 50 || '.peer.test/inbox', now() "
            f"from generate_series(0, {count - 1}) n returning id, uri), "
            f"rsa as (insert into ap_keys (actor_id, key_uri, algorithm, public_key) select id, uri || '#main-key', 'rsa', '{key['rsa']}' from made), "
            f"ed as (insert into ap_keys (actor_id, key_uri, algorithm, public_key) select id, uri || '#ed25519-key', 'ed25519', '{key['ed25519']}' from made) "
            f"insert into dao_members (dao_id, actor_id) select '{dao}', id from made")
        hub.sql("analyze")
        proposal = opened(rig, headers, dao)
        time.sleep(3)

        until_done(rig, rig.file, count // 10, 0)
        each, done, sent = count // runs, 0, count // 10
        rates, costs = {"post": [], "vote": []}, {"post": [], "vote": []}
        while done < count:
            many = min(each, count - done)
            plain = until_done(rig, rig.file, many, sent)
            votes = until_done(rig, file, many, done, proposal["uri"], group)
            for name, (rate, cost) in (("post", plain), ("vote", votes)):
                rates[name].append(rate)
                costs[name].append(cost)
            sent, done = sent + many, done + many

        expected = {"yes": 0, "no": 0, "abstain": 0}
        for n in range(count):
            expected["yes" if n % 10 < 6 else "no" if n % 10 < 9 else "abstain"] += 1
        of = f"proposal_id = '{proposal['id']}'"
        tally = json.loads(hub.sql(f"select json_build_object('yes', yes, 'no', no, 'abstain', abstain) from hub.tallies where {of}"))
        counted = json.loads(hub.sql(f"select json_object_agg(choice, n) from (select choice, count(*) as n from votes where {of} group by 1) g"))
        last = hub.sql(f"select count(distinct ballot_index) || ' ' || max(ballot_index) from votes where {of}")
        exact = tally == expected == counted and last == f"{count} {count}"
        mean = {name: sum(found) / len(found) for name, found in rates.items()}
        ratio = mean["vote"] / mean["post"]
        print(f"\n{'votes':64} {'figure':>16} {'floor':>8}")
        print(f"{f'{count} votes on one proposal, told and counted again':64} {'exact' if exact else f'NOT EXACT {tally} {counted} {last}':>16} {'exact':>8}")
        print(f"{'votes processed a second, against posts of known senders':64} {ratio:14.2f} x {'0.7 x':>8}")
        print(f"{'  (votes a second, posts a second)':64} {mean['vote']:8.0f} {mean['post']:7.0f}")
        print(f"{'  (of each run)':64} {', '.join(f'{v / p:.2f}' for v, p in zip(rates['vote'], rates['post'])):>16}")
        print(f"{'processor time of a vote, against that of a post':64} {sum(costs['vote']) / sum(costs['post']):14.2f} x")
    finally:
        rig.hub.end()

# Usage: scripts/bench mission --part=closing [--ballots N] [--hosts N]
"""Closing a vote with very many ballots: how much more memory the hub takes for it at its peak, that its count and its digest are
those of the ballots, and how long it takes. Of the ballots one in ten comes by delegation at the close."""
import hashlib, pathlib, re, time

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def multibase(raw):
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = ALPHABET[rest] + text
    return "z" + "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def memory(pid, what):
    return int(re.search(what + r":\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def run(bench):
    count, hosts = bench.option("--ballots", 100_000), bench.option("--hosts", 1000)
    names = ",".join(f"v{n}.peer.test=127.0.0.1" for n in range(hosts))
    hub = bench.Hub.called("a", {"MADE_OPEN_TEST_RESOLVE": names})
    try:
        headers, _ = hub.person("steward")
        steward = hub.sql("select id from users where email = 'steward@example.org'")
        dao = bench.ask(hub.url, "POST", "/rest/v1/daos?select=id", {**headers, "Prefer": "return=representation"}, {"name": "Bikes", "slug": "bikes"})[0]["id"]
        hub.until(f"select uri from ap_actors where kind = 'dao' and row_id = '{dao}'")
        given = count // 10
        cast = count - given
        hub.sql(
            "set session_replication_role = replica; "
            "with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url, shared_inbox_url, last_fetched_at) "
            f"select 'http://v' || n % {hosts} || '.peer.test/v/' || n, 'Person', 'v' || n, 'v' || n % {hosts} || '.peer.test', "
            f"'http://v' || n % {hosts} || '.peer.test/v/' || n || '/inbox', 'http://v' || n % {hosts} || '.peer.test/inbox', now() "
            f"from generate_series(1, {cast - 1}) n returning id) insert into dao_members (dao_id, actor_id) select '{dao}', id from made; "
            "with made as (insert into users (id, email, name) select gen_random_uuid(), 'v' || n || '@example.org', 'v' || n "
            f"from generate_series(1, {given}) n returning id) insert into dao_members (dao_id, user_id, delegate_id) select '{dao}', id, '{steward}' from made; "
            "set session_replication_role = origin; analyze")
        proposal = bench.ask(hub.url, "POST", "/rest/v1/proposals?select=id", {**headers, "Prefer": "return=representation"},
                             {"dao_id": dao, "title": "Buy a truing stand", "description": "It costs 180 EUR."})[0]["id"]
        bench.ask(hub.url, "POST", "/rest/v1/rpc/proposals_open", headers, {"id": proposal})
        bench.ask(hub.url, "POST", "/rest/v1/rpc/votes_cast", headers, {"proposal": proposal, "choice": "yes"})
        # Ballots as the hub keeps them, behind the steward's, and the count as it would be by now.
        pick = "case when n % 10 < 6 then 'yes' when n % 10 < 9 then 'no' else 'abstain' end"
        hub.sql(
            "set session_replication_role = replica; "
            "with ballots as (select e.actor_id, a.uri, row_number() over (order by e.actor_id) as n "
            f"from hub.electorate e join ap_actors a on a.id = e.actor_id where e.proposal_id = '{proposal}') "
            "insert into votes (proposal_id, actor_id, choice, weight, ballot_index, ballot, ballot_hash, attestation, cast_at, federated_ap_id) "
            f"select '{proposal}', actor_id, {pick}, 1, n + 1, jsonb_build_object('type', 'Note', 'id', uri || '#vote', 'attributedTo', uri, "
            f"'name', initcap({pick}), 'content', repeat('Because. ', 20)), encode(sha256(convert_to(uri, 'UTF8')), 'hex'), 'proof', now(), uri || '#vote' from ballots; "
            "update hub.tallies t set (yes, yes_voters, no, no_voters, abstain, abstain_voters) = (select sum((choice = 'yes')::int), sum((choice = 'yes')::int), "
            "sum((choice = 'no')::int), sum((choice = 'no')::int), sum((choice = 'abstain')::int), sum((choice = 'abstain')::int) from votes v "
            f"where v.proposal_id = t.proposal_id) where t.proposal_id = '{proposal}'; set session_replication_role = origin")
        hub.sql("vacuum analyze votes")
        # A hub that has done nothing yet, so that what the close needs is all to be seen; as if the vote was opened since.
        bench.stop(hub.process)
        hub.begin()
        time.sleep(20)
        hub.sql(f"update hub.tallies set snapshot_at = now() where proposal_id = '{proposal}'")

        pid = hub.process.pid
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        before, spent, began = memory(pid, "VmRSS"), hub.processor_seconds(), time.monotonic()
        hub.sql(f"set session_replication_role = replica; update proposals set voting_closes_at = now() - interval '2 minutes', "
                f"voting_opens_at = now() - interval '10 days' where id = '{proposal}'; set session_replication_role = origin; "
                "update job_records set scheduled_for = now() where job_type = 'governance.close' and status = 'enqueued'")
        hub.until(f"select status from proposals where id = '{proposal}' and status <> 'active'", pause=0.1)
        took = time.monotonic() - began
        # What follows from it belongs to it: the news goes out.
        time.sleep(5)
        peak, spent = memory(pid, "VmHWM"), hub.processor_seconds() - spent

        of = f"from votes where proposal_id = '{proposal}'"
        told = hub.sql(f"select votes_yes || ' ' || votes_no || ' ' || votes_abstain || ' ' || (tally ->> 'mo:yes') || ' ' || (tally ->> 'mo:no') from proposals where id = '{proposal}'")
        yes, no, abstain = (int(hub.sql(f"select count(*) {of} and choice = '{pick}'")) for pick in ("yes", "no", "abstain"))
        lines = hub.sql(f"select ballot_hash {of} order by ballot_index").split()
        digest = multibase(hashlib.sha256("".join(line + "\n" for line in lines).encode()).digest())
        said = hub.sql(f"select ballots_digest from proposals where id = '{proposal}'")
        exact = (told == f"{yes} {no} {abstain} {yes} {no}" and yes + no + abstain == count == len(lines) and digest == said
                 and (yes, no, abstain) == expected(cast - 1, given + 1))
        print(f"\n{'closing a vote':64} {'figure':>16} {'floor':>8}")
        print(f"{f'tally and digest of {count} ballots, {given} of them by delegation':64} {'exact' if exact else f'NOT EXACT {told} {said} {digest}':>16} {'exact':>8}")
        print(f"{'memory of the hub at its peak, against before':64} {peak - before:+13.1f} MB {'100 MB':>8}")
        print(f"{'  (before; hosts that hear of it)':64} {before:13.1f} MB {hosts:8}")
        print(f"{'  (until it is closed; processor time of hub and database)':64} {took:14.1f} s {spent:6.1f} s")
    finally:
        hub.end()


def expected(many, more):
    yes = sum(1 for n in range(1, many + 1) if n % 10 < 6)
    no = sum(1 for n in range(1, many + 1) if 6 <= n % 10 < 9)
    return yes + more, no, many - yes - no

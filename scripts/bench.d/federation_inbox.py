# Usage: scripts/bench federation [--activities N]
"""Figures of the inbox: how fast known senders are taken in, what one activity costs until it is a row that people read, and
what it costs to refuse one. Processor time is that of hub and database together, in units of one RSA-2048 verification; the
load comes from a process of its own that has signed everything before."""
import json, pathlib, socket, statistics, time

SENDERS = 50
HUB = "http://a.hub.test"


class Rig:
    def __init__(self, bench, rest=30):
        self.bench = bench
        names = ",".join(f"s{n}.peer.test=127.0.0.1" for n in range(SENDERS))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            bind = "127.0.0.1:%d" % free.getsockname()[1]
        # It says the address that others know; the load goes where it listens.
        self.url = f"http://{bind}"
        self.hub = bench.Hub({"MADE_OPEN_BIND": bind, "MADE_OPEN_ALLOW_PRIVATE_PEERS": "on", "MADE_OPEN_PUBLIC_URL": HUB, "MADE_OPEN_TEST_RESOLVE": names})
        time.sleep(rest)
        self.at_rest = bench.resident(self.hub.process.pid)
        self.file = f"{self.hub.scratch}/senders.json"
        known = bench.tool("senders", self.file, str(SENDERS))
        self.hub.sql("insert into users (id, email, name) values ('00000000-0000-7000-8000-00000000000a', 'reader@example.org', 'reader'); "
                     "insert into ap_actors (id, uri, type, preferred_username, host, inbox_url, followers_url, kind, row_id) values "
                     f"('00000000-0000-7000-8000-000000000001', '{HUB}/ap/actors/1', 'Person', 'reader', 'a.hub.test', '{HUB}/ap/actors/1/inbox', "
                     f"'{HUB}/ap/actors/1/followers', 'user', '00000000-0000-7000-8000-00000000000a') on conflict do nothing")
        for one in known:
            uri = one["uri"]
            self.hub.sql(
                "with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url, shared_inbox_url, followers_url, last_fetched_at) "
                f"values ('{uri}', 'Person', '{uri[-2:].strip('/')}', '{one['host']}', '{uri}/inbox', 'http://{one['host']}/inbox', '{uri}/followers', now()) returning id), "
                f"rsa as (insert into ap_keys (actor_id, key_uri, algorithm, public_key) select id, '{uri}#main-key', 'rsa', '{one['rsa']}' from made), "
                f"ed as (insert into ap_keys (actor_id, key_uri, algorithm, public_key) select id, '{uri}#ed25519-key', 'ed25519', '{one['ed25519']}' from made) "
                "insert into follows (owner_id, local_actor_id, actor_id, direction, state, accepted_at) select '00000000-0000-7000-8000-00000000000a', "
                "'00000000-0000-7000-8000-000000000001', id, 'out', 'accepted', now() from made")
        self.number = 0

    def load(self, count, mode):
        """Send so many; what came of it, and the processor time of hub and database until all of it is done."""
        before = self.hub.processor_seconds()
        told = self.bench.tool("load", self.file, self.url, HUB, str(count), "8", mode, str(self.number))
        self.number += count
        stored = time.monotonic()
        while int(self.hub.sql("select (select count(*) from ap_received where state = 'waiting') + "
                               "(select count(*) from job_records where status in ('enqueued', 'running') and scheduled_for <= now())")):
            time.sleep(0.2)
        # Storing goes first while many come, so what follows ends later.
        told["until_applied"] = told["seconds"] + time.monotonic() - stored
        time.sleep(1)
        told["spent"] = self.hub.processor_seconds() - before
        return told

    def insert(self, seconds):
        """How many durable inserts of a row of that size pgbench makes with as many clients."""
        script = f"{self.hub.scratch}/insert.sql"
        pathlib.Path(script).write_text(f"insert into bench_rows (body) values ('{'x' * 1500}');\n")
        # What it leaves is cleared away before the next load, so that none of that is counted for the hub.
        self.hub.sql("create table if not exists bench_rows (id uuid primary key default gen_random_uuid(), body text) with (autovacuum_enabled = off)")
        made = self.bench.pgbench(self.bench.need("pgbench"), script, self.hub.admin(), seconds)
        self.hub.sql("truncate bench_rows")
        self.hub.sql("checkpoint")
        return made


def run(bench):
    count, runs, many = bench.option("--activities", 4000), bench.option("--runs", 3), bench.option("--many", 100_000)
    units = bench.units()
    verify = units["verify"]
    rig = Rig(bench)
    try:
        rig.load(count // 4, "signed")
        rates, applied, ratios, each, p99 = [], [], [], [], []
        for _ in range(runs):
            single = rig.insert(6)
            told = rig.load(count, "signed")
            if told["answers"] != {"202": count}:
                bench.die(f"the hub answered {told['answers']}")
            rate = count / told["seconds"]
            rates.append(rate)
            applied.append(count / told["until_applied"])
            ratios.append(rate / single)
            each.append(told["spent"] / count)
            p99.append(told["p99"])
        plain = statistics.median(each)
        stored = int(rig.hub.sql("select count(*) from posts where origin_actor_id is not null"))
        told = rig.load(count, "both")
        both = told["spent"] / count
        told = rig.load(count, "proof")
        if told["answers"] != {"202": count}:
            bench.die(f"the hub answered {told['answers']} to proofs")
        proof = told["spent"] / count
        rows = int(rig.hub.sql("select count(*) from ap_received"))
        refused = {}
        # Not what was signed; and a signature that is wrong, whose host cannot be asked whether its key is a new one.
        for mode in ("tampered", "forged"):
            told = rig.load(count, mode)
            refused[mode] = (told["spent"] / count, told["answers"])
        left = int(rig.hub.sql("select count(*) from ap_received")) - rows
        # Last, since what follows from it goes on for a while.
        told = rig.load(count, "named")
        named = told["spent"] / count
        print(f"\n{'inbox':64} {'figure':>16} {'floor':>8} {'aim':>6}")
        print(f"{'stored before the 202, 8 connections, against a durable insert':64} {statistics.median(ratios):14.2f} x {'0.2':>8} {'0.4':>6}")
        print(f"{'  (activities a second; posts of it that people read)':64} {statistics.median(rates):10.0f} {stored:5}")
        print(f"{'  stored and applied, a second, until the last one is':64} {statistics.median(applied):10.0f}")
        print(f"{'one stored and processed Create{Note}':64} {plain / verify:7.1f} verifies {'40':>8} {'20':>6}")
        print(f"{'  the same that names somebody here, with its notification':64} {named / verify:7.1f} verifies")
        print(f"{'the same with a proof besides, against its verification alone':64} {both / units['proof']:14.2f} x {'3':>8} {'2':>6}")
        print(f"{'the same with a proof alone':64} {proof / verify:7.1f} verifies")
        print(f"{'  what the proof adds, likewise':64} {(both - plain) / units['proof']:14.2f} x")
        for mode, (spent, answers) in refused.items():
            print(f"{f'refused at the door ({mode}), against the accepted path':64} {spent / plain:14.2f} x {'0.5':>8} {'0.25':>6}  {json.dumps(answers)}")
        print(f"{'  rows that are left of it':64} {left:14}")
        print(f"{'p99 of the answer under that load':64} {statistics.median(p99) * 1000:13.1f} ms {'20':>8} {'5':>6}")
        while rig.number < many:
            rig.load(10_000, "signed")
        print(f"{'memory at rest':64} {rig.at_rest:13.0f} MB {'60':>8} {'30':>6}")
        print(f"{'memory after %d activities' % rig.number:64} {bench.resident(rig.hub.process.pid):13.0f} MB {'120':>8} {'60':>6}")
    finally:
        rig.hub.end()

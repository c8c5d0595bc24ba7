# Usage: scripts/bench federation
"""Figures of deliveries, in units of one RSA signature of this machine: hub and database together, to peers in a process
of their own that answer 202. Nothing here is timed that a peer does."""
import json, pathlib, signal, subprocess, sys, time, urllib.request

HOSTS, POSTS = 50, 40

PEERS = r"""
import asyncio, collections, hashlib, json, sys
first = {}
came = collections.defaultdict(list)
async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode("latin-1").split("\r\n")
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
            body = await reader.readexactly(int(fields.get("content-length", 0)))
            said = b""
            if lines[0].startswith("GET /came"):
                said = json.dumps(came).encode()
            elif lines[0].startswith("GET /forget"):
                came.clear()
            else:
                said = json.loads(body)
                known = first.setdefault(fields["host"], {}).setdefault(said["id"], hashlib.sha256(body).hexdigest())
                came[fields["host"]].append([said["id"], said["object"]["id"] if isinstance(said["object"], dict) else said["object"],
                    known == hashlib.sha256(body).hexdigest()])
                said = b""
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n%s" % (len(said), said))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


class Rig:
    def __init__(self, bench):
        self.bench = bench
        self.peers = subprocess.Popen([sys.executable, "-c", PEERS], stdout=subprocess.PIPE, text=True)
        self.port = int(self.peers.stdout.readline())
        names = [f"p{n}.peer.test" for n in range(HOSTS)]
        self.settings = {"MADE_OPEN_ALLOW_PRIVATE_PEERS": "on", "MADE_OPEN_PUBLIC_URL": "http://a.hub.test",
                         "MADE_OPEN_TEST_RESOLVE": ",".join(f"{name}=127.0.0.1" for name in names)}
        self.hub = bench.Hub(self.settings)
        followers = "; ".join(
            f"insert into ap_actors (uri, host, inbox_url, shared_inbox_url) values ('http://{n}:{self.port}/u', '{n}:{self.port}', "
            f"'http://{n}:{self.port}/u/inbox', 'http://{n}:{self.port}/inbox')" for n in names)
        self.hub.sql(
            "insert into ap_actors (id, uri, type, preferred_username, host, inbox_url, followers_url, kind, row_id) values "
            "('00000000-0000-7000-8000-000000000001', 'http://a.hub.test/ap/actors/1', 'Person', 'bench', 'a.hub.test', "
            "'http://a.hub.test/ap/actors/1/inbox', 'http://a.hub.test/ap/actors/1/followers', 'user', hub.uuid_v7()); "
            f"{followers}; insert into follows (local_actor_id, actor_id, direction, state, accepted_at) select "
            "'00000000-0000-7000-8000-000000000001', id, 'in', 'accepted', now() from ap_actors where kind is null")
        self.number = 0

    def says(self, posts):
        """Publish; the ids in order, and the processor time that saying it took."""
        password, _ = self.bench.login(self.hub.data_dir)
        socket = next(p for p in pathlib.Path(self.hub.data_dir).rglob("postmaster.pid")).read_text().splitlines()[4]
        url = f"postgresql://made_open:{password}@{socket.replace('/', '%2F')}:5432/made_open"
        told = self.bench.tool("publish", self.hub.data_dir, url, self.settings["MADE_OPEN_PUBLIC_URL"], str(posts), str(self.number))
        self.number += posts
        return told["ids"], told["cpu"]

    def left(self):
        """What waits for peers that are there."""
        return int(self.hub.sql(f"select count(*) from ap_deliveries where state = 'waiting' and inbox_url like '%:{self.port}/%'"))

    def drained(self):
        began = time.monotonic()
        while self.left():
            time.sleep(0.1)
        return time.monotonic() - began

    def came(self, ids, hosts=HOSTS):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/came") as answer:
            came = json.loads(answer.read())
        place = {one: nth for nth, one in enumerate(ids)}
        missing = repeated = disorder = other = 0
        for n in range(hosts):
            got = [(one, about, same) for one, about, same in came.get(f"p{n}.peer.test:{self.port}", []) if one in place]
            first = list(dict.fromkeys(one for one, _, _ in got))
            missing += len(ids) - len(first)
            repeated += len(got) - len(first)
            other += sum(not same for _, _, same in got)
            last = {}
            for one, about, _ in got:
                disorder += place[one] < last.get(about, -1)
                last[about] = max(place[one], last.get(about, -1))
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/forget").read()
        return missing, repeated, disorder, other

    def round(self, posts=POSTS, hosts=HOSTS):
        before, began = self.hub.processor_seconds(), time.monotonic()
        ids, own = self.says(posts)
        self.drained()
        took = time.monotonic() - began
        time.sleep(1)
        return ids, self.hub.processor_seconds() - before + own, took

    def end(self):
        self.hub.end()
        self.peers.kill()


def run(bench):
    units = bench.units()
    sign = units["sign"]
    print()
    rig = Rig(bench)
    try:
        rig.round(5)
        rig.came([])
        ids, spent, alive = rig.round()
        missing, repeated, disorder, _ = rig.came(ids)
        each = spent / (POSTS * HOSTS) / sign
        print(f"{POSTS} posts x {HOSTS} hosts, no two of one inbox: {alive:.1f} s, {each:.2f} signatures of processor time each (at most 2.5, aim 1.6), "
              f"missing {missing}, repeated {repeated}, out of order per object {disorder}")

        rig.hub.sql(f"update ap_actors set shared_inbox_url = replace(shared_inbox_url, ':{rig.port}', ':1') where kind is null and uri ~ '//p[0-9]\\.'")
        ids, _, took = rig.round()
        missing, *_ = rig.came(ids)
        print(f"with 10 of them dead: the last to a live one after {took:.1f} s, {took / alive:.2f}x as long (at most 1.5, aim 1.1), "
              f"missing at the others {missing - 10 * POSTS}")
        rig.hub.sql(f"delete from ap_deliveries where state = 'waiting'; update ap_hosts set retry_at = null; "
                    f"update ap_actors set shared_inbox_url = replace(shared_inbox_url, ':1/', ':{rig.port}/') where kind is null")

        # Ten thousand queued, and a kill in their middle.
        rig.hub.process.send_signal(signal.SIGSTOP)
        ids, _ = rig.says(200)
        rig.hub.process.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        left = rig.left()
        rig.hub.process.kill()
        rig.hub.process.wait()
        began = time.monotonic()
        rig.hub.begin()
        ready = time.monotonic() - began
        rig.drained()
        took = time.monotonic() - began
        time.sleep(1)
        missing, repeated, _, other = rig.came(ids)
        print(f"10,000 queued, kill -9 with {left} left: ready after {ready:.1f} s, all sent after {took:.0f} s, missing {missing}, "
              f"sent again {repeated}, of these with other bytes {other}")

        # A hundred thousand for hosts that do not answer.
        before = bench.resident(rig.hub.process.pid)
        rig.hub.sql("insert into ap_hosts (host, failures, retry_at, unavailable_since) select 'd' || n || '.peer.test:1', 3, "
                    "now() + interval '5 seconds', now() from generate_series(1, 100) n; "
                    "insert into ap_deliveries (activity_id, seq, host, inbox_url, lane) select a.id, a.seq, 'd' || n || '.peer.test:1', "
                    "'http://d' || n || '.peer.test:1/inbox/' || m, a.uri || m from generate_series(1, 100) n, generate_series(1, 1000) m, "
                    "(select id, seq, uri from ap_activities order by seq limit 1) a")
        time.sleep(30)
        print(f"100,000 queued for 100 dead hosts: {bench.resident(rig.hub.process.pid) - before:+.0f} MB in the hub")
    finally:
        rig.end()

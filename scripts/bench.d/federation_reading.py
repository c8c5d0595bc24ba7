#!/usr/bin/env python3
# Usage: scripts/bench.d/federation_reading.py [--seconds N] [--runs N]
"""scripts/bench.d/federation_reading.py [--seconds N] [--runs N]

What it costs to be read by other servers, in processor time of the hub's process (its database not counted, since none is
asked): an actor's document against a constant answer of the same server, and what a checked signature adds to it. The units,
one RSA-2048 signature and one verification by the hub's own library, come first. Needs wrk, psql and openssl.
"""
import base64, datetime, importlib.machinery, importlib.util, os, pathlib, statistics, subprocess, sys, urllib.parse

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
loader = importlib.machinery.SourceFileLoader("bench", str(TOP / "scripts/bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
loader.exec_module(bench)

KEY = "https://reader.example/users/reader#main-key"


def own_seconds(pid):
    """User and system time of one process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def units():
    """Seconds of processor time of one signature and one verification."""
    said = subprocess.run(["cargo", "bench", "--bench", "signatures", "--", "3000"], cwd=TOP, capture_output=True, text=True, check=True)
    sign, verify = said.stdout.split()[-2:]
    return float(sign), float(verify)


def each(hub, headers, path, seconds):
    """Seconds of the hub's processor time per request."""
    lua = hub.lua("read", headers, f"request = function() return wrk.format('GET', '{path}') end\n")
    bench.wrk(lua, hub.url, 1)
    before = own_seconds(hub.process.pid)
    rate = bench.wrk(lua, hub.url, seconds)
    return (own_seconds(hub.process.pid) - before) / (rate * seconds)


def signed(hub, path, scratch):
    """The headers of one signed request; it may be asked as often as one likes while its date is young."""
    key = f"{scratch}/reader.pem"
    subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], capture_output=True, text=True, check=True).stdout
    hub.sql("with made as (insert into ap_actors (uri, type, preferred_username, host, inbox_url) values ('https://reader.example/users/reader', "
            "'Person', 'reader', 'reader.example', 'https://reader.example/inbox') returning id) "
            f"insert into ap_keys (actor_id, key_uri, algorithm, public_key) select id, '{KEY}', 'rsa', '{public}' from made")
    host = urllib.parse.urlparse(hub.url).netloc
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    text = f"(request-target): get {path}\nhost: {host}\ndate: {date}"
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=text.encode(), capture_output=True, check=True).stdout
    signature = base64.b64encode(done).decode()
    fields = f'keyId=\\"{KEY}\\",algorithm=\\"rsa-sha256\\",headers=\\"(request-target) host date\\",signature=\\"{signature}\\"'
    return {"Date": date, "Signature": fields}


def reading():
    seconds, runs = bench.option("--seconds", 8), bench.option("--runs", 3)
    for program in ("wrk", "psql", "openssl"):
        bench.need(program)
    sign, verify = units()
    print(f"\nunits: one RSA-2048 signature {sign * 1e6:.1f} us, one verification {verify * 1e6:.1f} us of processor time\n")
    accept = {"Accept": "application/activity+json"}
    hub = bench.Hub()
    try:
        hub.sign_up()
        path = None
        for _ in range(100):
            uri = hub.sql("select uri from ap_actors where kind = 'user' limit 1")
            if uri:
                path = urllib.parse.urlparse(uri).path
                break
            bench.time.sleep(0.1)
        constant, actor = [], []
        for _ in range(runs):
            constant.append(each(hub, accept, "/livez", seconds))
            actor.append(each(hub, accept, path, seconds))

        # The signature is looked at where the hub wants one for everything.
        bench.stop(hub.process)
        start = bench.start

        def guarded(data_dir):
            popen = subprocess.Popen
            bench.subprocess.Popen = lambda args, env, **more: popen(args, env={**env, "MADE_OPEN_AUTHORIZED_FETCH": "on"}, **more)
            try:
                return start(data_dir)
            finally:
                bench.subprocess.Popen = popen

        bench.start = guarded
        hub.begin()
        uri = hub.sql("select uri from ap_actors where kind = 'user' limit 1")
        headers = {**accept, **signed(hub, urllib.parse.urlparse(uri).path, hub.scratch)}
        checked = [each(hub, headers, urllib.parse.urlparse(uri).path, seconds) for _ in range(runs)]

        constant, actor, checked = (statistics.median(found) for found in (constant, actor, checked))
        print(f"{'what':52} {'us each':>9} {'figure':>12} {'floor':>8} {'aim':>6}")
        print(f"{'a constant answer':52} {constant * 1e6:9.1f}")
        print(f"{'GET actor, unsigned':52} {actor * 1e6:9.1f} {actor / constant:10.2f} x {'10 x':>8} {'3 x':>6}")
        print(f"{'GET actor, signature checked':52} {checked * 1e6:9.1f}")
        print(f"{'what the checked signature adds':52} {(checked - actor) * 1e6:9.1f} {(checked - actor) / verify:5.2f} verifies {'3':>6} {'1.5':>6}")
    finally:
        hub.end()


if __name__ == "__main__":
    if "-h" in sys.argv or "--help" in sys.argv:
        print(__doc__)
    else:
        reading()

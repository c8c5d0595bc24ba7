# Usage: scripts/bench federation [--seconds N] [--runs N]
"""What it costs to be read by other servers, in processor time of the hub's process (its database not counted, since none is
asked): an actor's document against a constant answer of the same server, and what a checked signature adds to it."""
import base64, datetime, os, pathlib, socket, statistics, subprocess, time, urllib.error, urllib.parse, urllib.request

KEY = "https://reader.example/users/reader#main-key"


def own_seconds(pid):
    """User and system time of one process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def each(bench, hub, headers, path, seconds):
    """Seconds of the hub's processor time per request."""
    lua = hub.lua("read", headers, f"request = function() return wrk.format('GET', '{path}') end\n")
    bench.wrk(lua, hub.url, 1)
    before = own_seconds(hub.process.pid)
    rate = bench.wrk(lua, hub.url, seconds)
    return (own_seconds(hub.process.pid) - before) / (rate * seconds)


def actor_of(hub, headers):
    """The path of the account's actor, once everybody may read it."""
    while not (uri := hub.sql("select uri from ap_actors where kind = 'user' limit 1")):
        time.sleep(0.1)
    path = urllib.parse.urlparse(uri).path
    for _ in range(100):
        try:
            with urllib.request.urlopen(urllib.request.Request(hub.url + path, headers=headers)) as answer:
                answer.read()
                return path
        except urllib.error.HTTPError as error:
            refused = error.read()
            time.sleep(0.1)
    raise SystemExit(f"the actor is not to be read: {refused}")


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


def run(bench):
    seconds, runs = bench.option("--seconds", 8), bench.option("--runs", 3)
    for program in ("wrk", "psql", "openssl"):
        bench.need(program)
    verify = bench.units()["verify"]
    accept = {"Accept": "application/activity+json"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        bind = "127.0.0.1:%d" % free.getsockname()[1]
    hub = bench.Hub({"MADE_OPEN_BIND": bind, "MADE_OPEN_PUBLIC_URL": f"http://{bind}"})
    try:
        hub.sign_up()
        path = actor_of(hub, accept)
        constant, actor = [], []
        for _ in range(runs):
            constant.append(each(bench, hub, accept, "/livez", seconds))
            actor.append(each(bench, hub, accept, path, seconds))

        # The signature is looked at where the hub wants one for everything.
        bench.stop(hub.process)
        hub.more = {**hub.more, "MADE_OPEN_AUTHORIZED_FETCH": "on"}
        hub.begin()
        headers = {**accept, **signed(hub, path, hub.scratch)}
        checked = [each(bench, hub, headers, path, seconds) for _ in range(runs)]

        constant, actor, checked = (statistics.median(found) for found in (constant, actor, checked))
        print(f"\n{'reading':52} {'us each':>9} {'figure':>12} {'floor':>8} {'aim':>6}")
        print(f"{'a constant answer':52} {constant * 1e6:9.1f}")
        print(f"{'GET actor, unsigned':52} {actor * 1e6:9.1f} {actor / constant:10.2f} x {'10 x':>8} {'3 x':>6}")
        print(f"{'GET actor, signature checked':52} {checked * 1e6:9.1f}")
        print(f"{'what the checked signature adds':52} {(checked - actor) * 1e6:9.1f} {(checked - actor) / verify:5.2f} verifies {'3':>6} {'1.5':>6}")
    finally:
        hub.end()

"""A sender that the hub must not trust further than its signatures go; they are made by apsig, not by us.

Usage: python hostile.py. It serves its people's documents, says `ready http://localhost:PORT`, and answers one JSON command per
line on stdin with one JSON line. `{"do": "send", "as", "inbox", "activity", "sign", "proof", "wrong": […]}` sends: `sign` is
`cavage`, `rfc9421` or `none`, and each word of `wrong` spoils one thing about it; see WRONG. Other commands: person, serve, get.
"""

import base64
import datetime
import email.utils
import hashlib
import http.client
import http.server
import json
import sys
import threading
import urllib.parse
import uuid

from apsig import KeyUtil, ProofSigner
from apsig.draft.sign import Signer
from apsig.rfc9421 import RFC9421Signer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

AP = "application/activity+json"
CONTEXT = ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1", "https://w3id.org/security/data-integrity/v1", "https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]

WRONG = {
    "body": "the body is changed after signing",
    "no_digest": "no digest at all",
    "unsigned_digest": "a digest that the signature does not cover",
    "only_digest": "the signature covers the digest alone",
    "no_date": "the signature covers no date",
    "two_digests": "a digest that fits, and before it one that was signed",
    "two_signatures": "the header Signature twice",
    "other_host": "made for another host",
    "other_path": "made for another path",
    "old": "62 minutes old",
    "future": "6 minutes ahead",
    "other_key_id": "names a key of somebody else (`key_id`)",
    "other_key": "made with a key of nobody",
    "hmac": "says that its algorithm is hmac-sha256",
    "md5": "a digest labelled MD5",
    "sha512": "a digest labelled SHA-512 with the value of SHA-256",
    "authorization_differs": "Authorization carries another signature",
    "bearer": "a good signature beside Authorization: Bearer",
    "same_twice": "the same signature in Signature and Authorization, as apsig does it",
    "few_components": "RFC 9421 without the digest, as apsig does it by itself",
    "no_created": "RFC 9421 without created",
    "digest_differs": "Content-Digest of another body",
    "proof_changed": "the activity is changed after its proof",
    "proof_key": "the proof is made by a key of nobody",
    "proof_of_other": "the proof names a key of somebody else (`verification_method`)",
    "proof_suite": "the proof names a suite that does not exist",
    "content_type": "the content type is `content_type`",
}

people: dict[str, dict] = {}
documents: dict[str, dict] = {}
asked: list[dict] = []


class Desk(http.server.BaseHTTPRequestHandler):
    """Serves the documents, and takes everything that is posted."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        asked.append({"method": "GET", "path": self.path, "signed": "Signature" in self.headers})
        where = urllib.parse.urlsplit(self.path)
        if where.path == "/.well-known/webfinger":
            resource = urllib.parse.parse_qs(where.query).get("resource", [""])[0]
            name = resource.removeprefix("acct:").split("@")[0].rsplit("/", 1)[-1]
            if name not in people:
                return self.answer(404, "text/plain", b"nobody")
            links = [{"rel": "self", "type": AP, "href": f"{origin}/people/{name}"}]
            found = {"subject": f"acct:{name}@{urllib.parse.urlsplit(origin).netloc}", "links": links}
            return self.answer(200, "application/jrd+json", json.dumps(found).encode())
        found = documents.get(where.path)
        if found is None:
            return self.answer(404, "text/plain", b"nothing")
        return self.answer(found["status"], found["type"], found["body"].encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        asked.append({"method": "POST", "path": self.path, "body": body.decode()})
        self.answer(202, "text/plain", b"")

    def log_message(self, *_: object) -> None:
        pass


def person(name: str, bits: int = 2048, pem: str | None = None, **more: object) -> dict:
    """Makes somebody with keys; `pem` publishes another public key than the one that signs."""
    key, seal = rsa.generate_private_key(public_exponent=65537, key_size=bits), ed25519.Ed25519PrivateKey.generate()
    me = f"{origin}/people/{name}"
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    document = {
        "@context": CONTEXT, "id": me, "type": "Person", "preferredUsername": name, "name": name,
        "inbox": f"{me}/inbox", "outbox": f"{me}/outbox", "followers": f"{me}/followers",
        "publicKey": {"id": f"{me}#main-key", "owner": me, "publicKeyPem": public if pem is None else pem},
        "assertionMethod": [{"id": f"{me}#seal", "type": "Multikey", "controller": me, "publicKeyMultibase": KeyUtil(private_key=seal).encode_multibase()}],
        **more,
    }
    people[name] = {"id": me, "key": key, "seal": seal}
    documents[f"/people/{name}"] = {"status": 200, "type": AP, "body": json.dumps(document)}
    return {"id": me, "inbox": f"{me}/inbox", "document": document}


def serve(path: str, body: object = None, status: int = 200, type: str = AP) -> dict:
    """Puts any document at a path."""
    documents[path] = {"status": status, "type": type, "body": body if isinstance(body, str) else json.dumps(body)}
    return {"url": origin + path}


def digest(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def proved(activity: dict, me: dict, wrong: set[str], command: dict) -> dict:
    seal = ed25519.Ed25519PrivateKey.generate() if "proof_key" in wrong else me["seal"]
    options = {
        "type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofPurpose": "assertionMethod",
        "created": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verificationMethod": command["verification_method"] if "proof_of_other" in wrong else f"{me['id']}#seal",
    }
    signed = ProofSigner(seal).sign(activity, options)
    if "proof_changed" in wrong:
        signed["published"] = "2020-01-01T00:00:00Z"
    if "proof_suite" in wrong:
        signed["proof"]["cryptosuite"] = "eddsa-jcs-1999"
    return signed


def cavage(url: str, body: bytes, me: dict, wrong: set[str], command: dict) -> list[tuple[str, str]]:
    shift = -62 * 60 if "old" in wrong else 6 * 60 if "future" in wrong else 0
    where = urllib.parse.urlsplit(url)
    headers = {
        "Date": email.utils.formatdate(datetime.datetime.now().timestamp() + shift, usegmt=True),
        "Host": "elsewhere.example" if "other_host" in wrong else where.netloc,
        "Digest": {True: f"SHA-256={digest(body)}", "md5" in wrong: f"MD5={digest(body)}", "sha512" in wrong: f"SHA-512={digest(body)}"}[True],
    }
    covered = ["(request-target)", "host", "date", "digest"]
    if wrong & {"no_digest", "unsigned_digest"}:
        covered.remove("digest")
    if "no_date" in wrong:
        covered.remove("date")
    if "only_digest" in wrong:
        covered = ["digest"]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if "other_key" in wrong else me["key"]
    signer = Signer(
        headers=headers, private_key=key, method="POST", url=url + ("/elsewhere" if "other_path" in wrong else ""), body=body,
        key_id=command["key_id"] if "other_key_id" in wrong else f"{me['id']}#main-key", signed_headers=covered,
    )
    if "only_digest" in wrong:
        signer.signed_headers = covered  # apsig adds the request target by itself
    made = signer.sign()
    signature = made["Signature"]
    if "hmac" in wrong:
        signature = signature.replace("rsa-sha256", "hmac-sha256")
    sent = [("Date", headers["Date"]), ("Host", where.netloc), ("Signature", signature)]
    if "no_digest" not in wrong:
        sent.append(("Digest", headers["Digest"]))
    if "two_digests" in wrong:
        sent.insert(0, ("Digest", f"SHA-256={digest(body + b' ')}"))
    if "two_signatures" in wrong:
        sent.append(("Signature", signature))
    if "same_twice" in wrong:
        sent.append(("Authorization", made["Authorization"]))
    return sent


def rfc9421(url: str, body: bytes, me: dict, wrong: set[str], command: dict) -> list[tuple[str, str]]:
    where = urllib.parse.urlsplit(url)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048) if "other_key" in wrong else me["key"]
    signer = RFC9421Signer(key, command["key_id"] if "other_key_id" in wrong else f"{me['id']}#main-key")
    if "few_components" not in wrong:
        signer.sign_headers = ["@method", "@authority", "@path", "content-digest", "content-type"]
    kind = command.get("content_type", AP) if "content_type" in wrong else AP
    value = f"sha-256=:{digest(body + b' ' if 'digest_differs' in wrong else body)}:"
    made = signer.sign(
        "POST", where.path + ("/elsewhere" if "other_path" in wrong else ""), "elsewhere.example" if "other_host" in wrong else where.netloc,
        {"Content-Type": kind, "Content-Digest": value}, body,
    )
    stated = made["Signature-Input"]
    if "no_created" in wrong:
        stated = ";".join(part for part in stated.split(";") if not part.startswith("created="))
    sent = [("Host", where.netloc), ("Date", made["date"]), ("Signature-Input", stated), ("Signature", made["Signature"])]
    if "no_digest" not in wrong:
        sent.append(("Content-Digest", value))
    return sent


def send(**command: object) -> dict:
    me, wrong = people[command["as"]], set(command.get("wrong", []))
    if unknown := wrong - set(WRONG):
        raise ValueError(f"nothing is known of {unknown}")
    body = command.get("body")
    if body is None:
        activity = {"@context": CONTEXT, "id": f"{origin}/activities/{uuid.uuid4()}", "actor": me["id"], **command["activity"]}
        if command.get("proof"):
            activity = proved(activity, me, wrong, command)
        body = json.dumps(activity)
    data, url, how = body.encode(), command["inbox"], command.get("sign", "cavage")
    headers = {"cavage": cavage, "rfc9421": rfc9421}[how](url, data, me, wrong, command) if how != "none" else [("Host", urllib.parse.urlsplit(url).netloc)]
    if "authorization_differs" in wrong:
        other = cavage(url, data, people[command["other"]], set(), command)
        headers.append(("Authorization", "Signature " + dict(other)["Signature"]))
    if "bearer" in wrong:
        headers.append(("Authorization", "Bearer nonsense"))
    if "body" in wrong:
        data = data.replace(b'"actor"', b'"bactor"', 1) if b'"bactor"' not in data else data + b" "
        data = data.replace(b'"bactor"', b'"actor" ', 1)
    headers.append(("Content-Type", command.get("content_type", AP) if "content_type" in wrong else AP))
    return {"body_sent": data.decode(), **exchange("POST", url, headers, data)}


def exchange(method: str, url: str, headers: list[tuple[str, str]], data: bytes = b"") -> dict:
    where = urllib.parse.urlsplit(url)
    wire = http.client.HTTPConnection("127.0.0.1", where.port or 80, timeout=20)
    wire.putrequest(method, where.path + (f"?{where.query}" if where.query else ""), skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        wire.putheader(name, value)
    if data:
        wire.putheader("Content-Length", str(len(data)))
    wire.endheaders(data)
    answer = wire.getresponse()
    return {"status": answer.status, "body": answer.read().decode(errors="replace"), "headers": {name.lower(): value for name, value in answer.getheaders()}}


def get(url: str, **command: object) -> dict:
    """Fetches, signed as somebody when `as` is there."""
    headers = [("Host", urllib.parse.urlsplit(url).netloc), ("Accept", AP)]
    if name := command.get("as"):
        me = people[name]
        made = Signer(headers={"Host": headers[0][1]}, private_key=me["key"], method="GET", url=url, key_id=f"{me['id']}#main-key").sign()
        headers += [("Date", made["date"]), ("Signature", made["Signature"])]
    return exchange("GET", url, headers)


COMMANDS = {"person": person, "serve": serve, "send": send, "get": get, "asked": lambda: asked, "wrong": lambda: WRONG}

desk = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Desk)
origin = f"http://localhost:{desk.server_address[1]}"
threading.Thread(target=desk.serve_forever, daemon=True).start()
print(f"ready {origin}", flush=True)
for line in sys.stdin:
    try:
        order = json.loads(line)
        said = COMMANDS[order.pop("do")](**order)
    except Exception as error:  # the test that asked shall read it
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), flush=True)

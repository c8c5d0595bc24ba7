"""Cleo and Dan have accounts through the Python package `supabase` on a hub that proves addresses by mail."""

import email
import glob
import re
import time
import urllib.parse

import httpx
from story import end, given, same, step
from supabase import ClientOptions, create_client
from supabase_auth.errors import AuthError

URL = given("HUB_URL")
KEY = given("HUB_ANON_KEY")
MAIL = given("HUB_MAIL")
PASSWORD = "seven swans on a lake"
CLEO = "cleo@example.org"


def app(key=KEY, **options):
    return create_client(URL, key, ClientOptions(auto_refresh_token=False, persist_session=False, **options))


class Letter:
    def __init__(self, path):
        with open(path, "rb") as file:
            read = email.message_from_binary_file(file)
        self.to = read["To"]
        self.text = read.get_payload(decode=True).decode().replace("\r\n", "\n")
        link = re.search(r"^https?://\S+$", self.text, re.M)
        self.link = link and link.group()
        code = re.search(r": (\d{6})\n", self.text)
        self.code = code and code.group(1)

    @property
    def token(self):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.link).query)["token"][0]


def letters_now(to):
    found = [Letter(path) for path in sorted(glob.glob(f"{MAIL}/*.eml"))]
    return [letter for letter in found if letter.to == to]


def letter(to, count):
    """The last of so many letters to an address, once it is there."""
    for _ in range(300):
        found = letters_now(to)
        if len(found) >= count:
            return found[count - 1]
        time.sleep(0.1)
    raise AssertionError(f"{len(letters_now(to))} of {count} letters to {to}")


def opened(link):
    """Where a browser comes to that opens a link: the address, its query and its fragment."""
    answer = httpx.get(link, follow_redirects=False)
    same(answer.status_code, 303, "status")
    there = urllib.parse.urlsplit(answer.headers["location"])
    said = [dict(urllib.parse.parse_qsl(part)) for part in (there.query, there.fragment)]
    return there, *said


def auth_refused(call, status, code):
    try:
        call()
    except AuthError as error:
        same((error.status, error.code), (status, code))
        return error
    raise AssertionError(f"was not refused with {code}")


cleo = app(flow_type="implicit")

with step("sign_up waits for the letter, verify_otp takes its code once"):
    answer = cleo.auth.sign_up({"email": CLEO, "password": PASSWORD, "options": {"data": {"full_name": "Cléo"}}})
    assert answer.session is None
    sign_in = {"email": CLEO, "password": PASSWORD}
    auth_refused(lambda: cleo.auth.sign_in_with_password(sign_in), 400, "email_not_confirmed")
    first = letter(CLEO, 1)
    assert first.text.startswith("Hello Cléo,"), first.text
    shown = {"email": CLEO, "token": first.code, "type": "email"}
    auth_refused(lambda: app().auth.verify_otp({**shown, "token": "12345"}), 403, "otp_expired")
    same(cleo.auth.verify_otp(shown).user.email, CLEO)
    auth_refused(lambda: app().auth.verify_otp(shown), 403, "otp_expired")
    app().auth.sign_in_with_password(sign_in)

with step("resend, and verify_otp with the secret of the link"):
    app().auth.sign_up({"email": "dan@example.org", "password": PASSWORD})
    old = letter("dan@example.org", 1)
    app().auth.resend({"type": "signup", "email": "dan@example.org"})
    new = letter("dan@example.org", 2)
    auth_refused(lambda: app().auth.verify_otp({"token_hash": old.token, "type": "signup"}), 403, "otp_expired")
    assert app().auth.verify_otp({"token_hash": new.token, "type": "signup"}).session

with step("sign_in_with_otp for known and unknown"):
    app().auth.sign_in_with_otp({"email": CLEO})
    shown = {"email": CLEO, "token": letter(CLEO, 2).code, "type": "email"}
    assert app().auth.verify_otp(shown).session
    app().auth.sign_in_with_otp({"email": "ed@example.org", "options": {"should_create_user": False}})
    app().auth.sign_in_with_otp({"email": "fay@example.org"})
    shown = {"email": "fay@example.org", "token": letter("fay@example.org", 1).code, "type": "email"}
    same(app().auth.verify_otp(shown).user.email, "fay@example.org")
    same(len(letters_now("ed@example.org")), 0)

with step("reset_password_for_email by link"):
    app().auth.reset_password_for_email("nobody@example.org")
    app(flow_type="implicit").auth.reset_password_for_email(CLEO, {"redirect_to": "https://app.example/new"})
    there, _, said = opened(letter(CLEO, 3).link)
    same((there.netloc, there.path, said["type"]), ("app.example", "/new", "recovery"))
    browser = app()
    browser.auth.set_session(said["access_token"], said["refresh_token"])
    browser.auth.update_user({"password": "eight swans on a lake"})
    auth_refused(lambda: app().auth.sign_in_with_password(sign_in), 400, "invalid_credentials")
    sign_in["password"] = "eight swans on a lake"
    cleo.auth.sign_in_with_password(sign_in)
    _, _, said = opened(letter(CLEO, 3).link)
    same(said["error_code"], "otp_expired")

with step("exchange_code_for_session in the pkce flow"):
    browser = app(flow_type="pkce")
    browser.auth.reset_password_for_email(CLEO, {"redirect_to": "https://app.example/in"})
    there, query, _ = opened(letter(CLEO, 4).link)
    same((there.netloc, there.fragment), ("app.example", ""))
    answer = browser.auth.exchange_code_for_session({"auth_code": query["code"]})
    same(answer.user.email, CLEO)
    verifier = "x" * 60
    again = {"auth_code": query["code"], "code_verifier": verifier}
    auth_refused(lambda: app().auth.exchange_code_for_session(again), 404, "flow_state_not_found")

with step("reauthenticate and update_user"):
    cleo.auth.sign_in_with_password(sign_in)
    cleo.auth.reauthenticate()
    assert letter(CLEO, 5).link is None
    cleo.auth.update_user({"password": PASSWORD, "nonce": letter(CLEO, 5).code})
    sign_in["password"] = PASSWORD
    same(cleo.auth.update_user({"data": {"color": "green"}}).user.user_metadata["color"], "green")

with step("update_user moves the account when both addresses agreed"):
    same(cleo.auth.update_user({"email": "cleo@elsewhere.example"}).user.new_email, "cleo@elsewhere.example")
    there, _, said = opened(letter("cleo@elsewhere.example", 1).link)
    assert "other email" in said["message"], said
    _, _, said = opened(letter(CLEO, 6).link)
    same(said["type"], "email_change")
    same(app().auth.get_user(said["access_token"]).user.email, "cleo@elsewhere.example")
    sign_in["email"] = "cleo@elsewhere.example"

with step("invite_user_by_email is the operator's"):
    auth_refused(lambda: app().auth.admin.invite_user_by_email("gus@example.org"), 403, "not_admin")
    operator = app(given("HUB_SERVICE_KEY"))
    user = operator.auth.admin.invite_user_by_email("gus@example.org", {"data": {"full_name": "Gus"}}).user
    same(user.email, "gus@example.org")
    shown = {"email": "gus@example.org", "token": letter("gus@example.org", 1).code, "type": "invite"}
    same(app().auth.verify_otp(shown).user.user_metadata["full_name"], "Gus")

with step("refresh_session gives new tokens, the one before may come again at once, older ones may not"):
    other = app()
    before = other.auth.sign_in_with_password(sign_in).session
    after = other.auth.refresh_session().session
    assert app().auth.refresh_session(before.refresh_token).session.refresh_token != after.refresh_token
    other.auth.refresh_session()
    auth_refused(lambda: app().auth.refresh_session(before.refresh_token), 400, "refresh_token_already_used")

with step("sign_out ends what it says"):
    one, two = app(), app()
    first = one.auth.sign_in_with_password(sign_in).session.access_token
    second = two.auth.sign_in_with_password(sign_in).session.access_token
    two.auth.sign_out({"scope": "others"})
    auth_refused(lambda: app().auth.get_user(first), 403, "session_not_found")
    same(app().auth.get_user(second).user.email, sign_in["email"])
    two.auth.sign_out({"scope": "global"})
    auth_refused(lambda: app().auth.get_user(second), 403, "session_not_found")

with step("settings and keys are told"):
    settings = httpx.get(f"{URL}/auth/v1/settings", headers={"apikey": KEY}).json()
    same((settings["mailer_autoconfirm"], settings["external"]["email"]), (False, True))
    same(httpx.get(f"{URL}/auth/v1/.well-known/jwks.json").json(), {"keys": []})

end()

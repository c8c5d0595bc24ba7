"""Cleo proves herself by a second factor through the Python package, and a program with the service key keeps accounts."""

import base64
import hashlib
import hmac
import struct
import time

from story import end, given, same, step
from supabase import ClientOptions, create_client
from supabase_auth.errors import AuthError

URL = given("HUB_URL")
KEY = given("HUB_ANON_KEY")
SERVICE = given("HUB_SERVICE_KEY")
PASSWORD = "seven swans on a lake"


def app(key=KEY):
    return create_client(URL, key, ClientOptions(auto_refresh_token=False, persist_session=False))


def totp(secret, shift=0):
    """The code of RFC 6238, some steps from now."""
    counter = struct.pack(">Q", int(time.time()) // 30 + shift)
    mac = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = mac[19] & 15
    return f"{(struct.unpack('>I', mac[start:start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def refused(call, status=None, code=None):
    try:
        call()
    except AuthError as error:
        if status is not None:
            same(error.status, status, "status")
        if code is not None:
            same(error.code, code, "code")
        return error
    raise AssertionError("was not refused")


cleo = app()
admin = app(SERVICE).auth.admin

with step("sign up, with no factor yet"):
    cleo_id = cleo.auth.sign_up({"email": "cleo@example.org", "password": PASSWORD}).user.id
    level = cleo.auth.mfa.get_authenticator_assurance_level()
    same((level.current_level, level.next_level), ("aal1", "aal1"))

with step("enroll"):
    factor = cleo.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "phone", "issuer": "Linden"})
    assert factor.totp.qr_code.startswith("data:image/svg+xml;utf-8,<svg")
    assert factor.totp.uri.startswith("otpauth://totp/Linden:")
    listed = cleo.auth.mfa.list_factors()
    same([f.status for f in listed.all], ["unverified"])
    same(listed.totp, [])

with step("a wrong code is refused"):
    near = [totp(factor.totp.secret, shift) for shift in (-1, 0, 1)]
    wrong = next(code for code in ("000000", "111111", "222222", "333333") if code not in near)
    refused(lambda: cleo.auth.mfa.challenge_and_verify({"factor_id": factor.id, "code": wrong}), 422, "mfa_verification_failed")

with step("challenge and verify make the session aal2"):
    challenge = cleo.auth.mfa.challenge({"factor_id": factor.id})
    assert challenge.expires_at > time.time()
    code = totp(factor.totp.secret, -1)
    session = cleo.auth.mfa.verify({"factor_id": factor.id, "challenge_id": challenge.id, "code": code})
    same(session.user.id, cleo_id)
    level = cleo.auth.mfa.get_authenticator_assurance_level()
    same((level.current_level, level.next_level), ("aal2", "aal2"))
    same([f.id for f in cleo.auth.mfa.list_factors().totp], [factor.id])

with step("the same code does not work twice"):
    refused(lambda: cleo.auth.mfa.challenge_and_verify({"factor_id": factor.id, "code": code}), 422, "mfa_verification_failed")

with step("a new session has to step up"):
    again = app()
    again.auth.sign_in_with_password({"email": "cleo@example.org", "password": PASSWORD})
    level = again.auth.mfa.get_authenticator_assurance_level()
    same((level.current_level, level.next_level), ("aal1", "aal2"))
    refused(lambda: again.auth.mfa.unenroll({"factor_id": factor.id}), 422, "insufficient_aal")
    again.auth.mfa.challenge_and_verify({"factor_id": factor.id, "code": totp(factor.totp.secret, 0)})

with step("unenroll"):
    same(again.auth.mfa.unenroll({"factor_id": factor.id}).id, factor.id)
    same(again.auth.mfa.list_factors().all, [])

with step("an app with the public key administers nothing"):
    refused(lambda: app().auth.admin.list_users())
    refused(lambda: cleo.auth.admin.create_user({"email": "x@example.org"}))

with step("create_user, get_user_by_id, update_user_by_id"):
    dan = admin.create_user({
        "email": "dan@example.org", "password": PASSWORD, "email_confirm": True, "app_metadata": {"plan": "gold"},
    }).user
    same(dan.app_metadata["plan"], "gold")
    same(admin.get_user_by_id(dan.id).user.email, "dan@example.org")
    changed = admin.update_user_by_id(dan.id, {"user_metadata": {"likes": "bees"}, "ban_duration": "24h"}).user
    same(changed.user_metadata, {"likes": "bees"})
    assert changed.banned_until
    sign_in = {"email": "dan@example.org", "password": PASSWORD}
    refused(lambda: app().auth.sign_in_with_password(sign_in), 400, "user_banned")
    admin.update_user_by_id(dan.id, {"ban_duration": "none"})
    app().auth.sign_in_with_password(sign_in)
    refused(lambda: admin.create_user({"email": "dan@example.org"}), 422, "email_exists")

with step("list_users by pages"):
    same(len(admin.list_users(page=1, per_page=2)), 2)
    same(len(admin.list_users(page=2, per_page=2)), 1)

with step("generate_link gives what signs in"):
    answer = admin.generate_link({"type": "magiclink", "email": "cleo@example.org"})
    same(answer.user.id, cleo_id)
    same(answer.properties.verification_type, "magiclink")
    client = app()
    client.auth.verify_otp({"type": "magiclink", "token_hash": answer.properties.hashed_token})
    same(client.auth.get_user().user.id, cleo_id)
    refused(lambda: app().auth.verify_otp({"type": "magiclink", "token_hash": answer.properties.hashed_token}))

with step("factors of others"):
    client = app()
    client.auth.sign_in_with_password({"email": "dan@example.org", "password": PASSWORD})
    lost = client.auth.mfa.enroll({"factor_type": "totp", "friendly_name": "lost"})
    same(admin.mfa.delete_factor({"user_id": dan.id, "id": lost.id}).id, lost.id)

with step("sign_out of somebody, and delete_user"):
    admin.delete_user(dan.id, should_soft_delete=True)
    refused(lambda: client.auth.get_user())
    admin.delete_user(dan.id)
    refused(lambda: admin.get_user_by_id(dan.id), 404, "user_not_found")

end()

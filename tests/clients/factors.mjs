// Ada proves herself by a second factor through supabase-js, and a program with the service key looks after accounts.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import { end, given, good, step } from './story.mjs'

const url = given('HUB_URL')
const key = given('HUB_ANON_KEY')
const service = given('HUB_SERVICE_KEY')
const options = { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false, experimental: { recoveryCodes: true } } }
const open = () => createClient(url, key, options)
const ada = open()
const admin = createClient(url, service, options).auth.admin
const password = 'a long walk along the river'
let factorId, secret, codes, userId

/** The code of RFC 6238, `shift` steps from now. */
function totp(base32, shift = 0) {
  const bits = [...base32].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const seed = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000) + shift))
  const mac = createHmac('sha1', seed).update(counter).digest()
  const number = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff
  return String(number % 1000000).padStart(6, '0')
}

const refused = (answer, status, code) => {
  assert.ok(answer.error, `expected ${code}, got ${JSON.stringify(answer.data)}`)
  assert.equal(answer.error.code, code, JSON.stringify(answer.error))
  assert.equal(answer.error.status, status)
}

await step('sign up, with no factor yet', async () => {
  userId = good(await ada.auth.signUp({ email: 'ada@example.org', password })).user.id
  const level = good(await ada.auth.mfa.getAuthenticatorAssuranceLevel())
  assert.deepEqual([level.currentLevel, level.nextLevel], ['aal1', 'aal1'])
  assert.deepEqual(good(await ada.auth.mfa.listFactors()).all, [])
})

await step('enroll gives a picture, a secret and an address', async () => {
  const factor = good(await ada.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone', issuer: 'Linden' }))
  assert.equal(factor.type, 'totp')
  assert.ok(factor.totp.qr_code.startsWith('data:image/svg+xml;utf-8,<svg'))
  assert.ok(factor.totp.uri.startsWith('otpauth://totp/Linden:ada%40example.org?'))
  factorId = factor.id
  secret = factor.totp.secret
  const { all, totp: proven } = good(await ada.auth.mfa.listFactors())
  assert.deepEqual([all.length, all[0].status, proven.length], [1, 'unverified', 0])
})

await step('a wrong code is refused', async () => {
  const near = [-1, 0, 1].map((shift) => totp(secret, shift))
  const wrong = ['000000', '111111', '222222', '333333'].find((code) => !near.includes(code))
  refused(await ada.auth.mfa.challengeAndVerify({ factorId, code: wrong }), 422, 'mfa_verification_failed')
})

await step('challenge and verify make the session aal2', async () => {
  const challenge = good(await ada.auth.mfa.challenge({ factorId }))
  assert.ok(challenge.expires_at * 1000 > Date.now())
  const session = good(await ada.auth.mfa.verify({ factorId, challengeId: challenge.id, code: totp(secret, -1) }))
  assert.ok(session.access_token && session.refresh_token)
  const level = good(await ada.auth.mfa.getAuthenticatorAssuranceLevel())
  assert.deepEqual([level.currentLevel, level.nextLevel], ['aal2', 'aal2'])
  assert.deepEqual(level.currentAuthenticationMethods.map((m) => m.method), ['password', 'totp'])
})

await step('the same code does not work twice', async () => {
  refused(await ada.auth.mfa.challengeAndVerify({ factorId, code: totp(secret, -1) }), 422, 'mfa_verification_failed')
})

await step('recovery codes: generated, counted, told once', async () => {
  const made = good(await ada.auth.mfa.recoveryCodes.generate())
  codes = made.codes
  assert.equal(codes.length, 10)
  const status = good(await ada.auth.mfa.recoveryCodes.getStatus())
  assert.deepEqual([status.total, status.remaining], [10, 10])
  assert.equal(good(await ada.auth.mfa.listFactors()).recovery_code.length, 1)
  refused(await ada.auth.mfa.recoveryCodes.generate(), 422, 'mfa_factor_name_conflict')
})

await step('a new session has to step up; a recovery code does it once', async () => {
  const again = open()
  good(await again.auth.signInWithPassword({ email: 'ada@example.org', password }))
  const level = good(await again.auth.mfa.getAuthenticatorAssuranceLevel())
  assert.deepEqual([level.currentLevel, level.nextLevel], ['aal1', 'aal2'])
  refused(await again.auth.mfa.unenroll({ factorId }), 422, 'insufficient_aal')
  refused(await again.auth.updateUser({ password: 'another long walk' }), 401, 'insufficient_aal')
  good(await again.auth.mfa.recoveryCodes.verify({ code: codes[0] }))
  assert.equal(good(await again.auth.mfa.getAuthenticatorAssuranceLevel()).currentLevel, 'aal2')
  refused(await again.auth.mfa.recoveryCodes.verify({ code: codes[0] }), 422, 'mfa_verification_failed')
  assert.equal(good(await again.auth.mfa.recoveryCodes.getStatus()).remaining, 9)
  assert.equal(good(await again.auth.mfa.recoveryCodes.regenerate()).codes.length, 10)
})

await step('unenroll', async () => {
  good(await ada.auth.mfa.challengeAndVerify({ factorId, code: totp(secret, 0) }))
  assert.equal(good(await ada.auth.mfa.unenroll({ factorId })).id, factorId)
  assert.deepEqual(good(await ada.auth.mfa.listFactors()).all, [])
})

await step('an app with the public key administers nothing', async () => {
  const nobody = open().auth.admin
  for (const asked of [nobody.listUsers(), nobody.createUser({ email: 'x@example.org' }), ada.auth.admin.getUserById(userId)]) {
    const answer = await asked
    assert.ok([401, 403].includes(answer.error?.status), JSON.stringify(answer))
  }
})

await step('createUser, getUserById, updateUserById', async () => {
  const { user } = good(await admin.createUser({
    email: 'eve@example.org', password, email_confirm: true, user_metadata: { name: 'Eve' }, app_metadata: { plan: 'gold' },
  }))
  assert.equal(user.app_metadata.plan, 'gold')
  assert.equal(good(await admin.getUserById(user.id)).user.email, 'eve@example.org')
  const changed = good(await admin.updateUserById(user.id, { user_metadata: { likes: 'bees' }, ban_duration: '24h' })).user
  assert.deepEqual(changed.user_metadata, { name: 'Eve', likes: 'bees' })
  assert.ok(Date.parse(changed.banned_until) > Date.now())
  refused(await open().auth.signInWithPassword({ email: 'eve@example.org', password }), 400, 'user_banned')
  good(await admin.updateUserById(user.id, { ban_duration: 'none' }))
  good(await open().auth.signInWithPassword({ email: 'eve@example.org', password }))
  refused(await admin.createUser({ email: 'eve@example.org' }), 422, 'email_exists')
})

await step('listUsers by pages', async () => {
  const page = good(await admin.listUsers({ page: 1, perPage: 2 }))
  assert.deepEqual([page.users.length, page.total, page.nextPage, page.lastPage], [2, 3, 2, 2])
  assert.equal(good(await admin.listUsers({ page: 2, perPage: 2 })).users.length, 1)
})

await step('generateLink gives what signs in', async () => {
  for (const type of ['magiclink', 'recovery']) {
    const { properties, user } = good(await admin.generateLink({ type, email: 'ada@example.org' }))
    assert.equal(user.id, userId)
    assert.equal(properties.verification_type, type)
    assert.ok(properties.action_link.startsWith(`${url}/auth/v1/verify?`))
    assert.match(properties.email_otp, /^\d{6}$/)
    const client = open()
    good(await client.auth.verifyOtp({ type, token_hash: properties.hashed_token }))
    assert.equal(good(await client.auth.getUser()).user.id, userId)
    assert.ok((await open().auth.verifyOtp({ type, token_hash: properties.hashed_token })).error, 'works once')
  }
  const { properties, user } = good(await admin.generateLink({ type: 'signup', email: 'new@example.org', password }))
  assert.ok(!user.email_confirmed_at)
  good(await open().auth.verifyOtp({ type: 'signup', token_hash: properties.hashed_token }))
  good(await open().auth.signInWithPassword({ email: 'new@example.org', password }))
  good(await admin.generateLink({ type: 'invite', email: 'guest@example.org' }))
  refused(await admin.generateLink({ type: 'recovery', email: 'nobody@example.org' }), 404, 'user_not_found')
  refused(await admin.generateLink({ type: 'signup', email: 'ada@example.org', password }), 422, 'email_exists')
})

await step('factors of others, and deleteUser', async () => {
  const eve = open()
  const { user } = good(await eve.auth.signInWithPassword({ email: 'eve@example.org', password }))
  const factor = good(await eve.auth.mfa.enroll({ factorType: 'totp', friendlyName: 'phone' }))
  assert.equal(good(await admin.mfa.listFactors({ userId: user.id })).factors[0].id, factor.id)
  good(await admin.mfa.deleteFactor({ userId: user.id, id: factor.id }))
  good(await admin.deleteUser(user.id))
  assert.ok((await eve.auth.getUser()).error)
  refused(await admin.getUserById(user.id), 404, 'user_not_found')
})

end()

// Ada and Ben have accounts through supabase-js on a hub that proves addresses by mail; an app of the operator's invites.
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { letter, lettersNow } from './letters.mjs'
import { end, given, good, step } from './story.mjs'

const url = given('HUB_URL')
const key = given('HUB_ANON_KEY')
const mail = given('HUB_MAIL')
const quiet = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }
const open = (auth = {}) => createClient(url, key, { auth: { ...quiet, ...auth } })
const operator = createClient(url, given('HUB_SERVICE_KEY'), { auth: quiet })

const ada = 'ada@example.org'
const password = 'a long walk along the river'
const app = open()

/** What was refused, and how. */
const refused = (answer, status, code) => {
  assert.ok(answer.error, `expected ${code}, got ${JSON.stringify(answer.data)}`)
  assert.deepEqual([answer.error.status, answer.error.code], [status, code], answer.error.message)
}

/** Where a browser comes to that opens a link. */
const opened = async (link) => {
  const answer = await fetch(link, { redirect: 'manual' })
  assert.equal(answer.status, 303)
  return new URL(answer.headers.get('location'))
}

await step('settings say that addresses are proven', async () => {
  const settings = await (await fetch(`${url}/auth/v1/settings`, { headers: { apikey: key } })).json()
  assert.deepEqual([settings.mailer_autoconfirm, settings.disable_signup, settings.external.email, settings.external.phone], [false, false, true, false])
  const keys = await (await fetch(`${url}/auth/v1/.well-known/jwks.json`, { headers: { apikey: key } })).json()
  assert.deepEqual(keys, { keys: [] })
})

await step('signUp waits for the letter', async () => {
  const { user, session } = good(await app.auth.signUp({ email: ada, password, options: { data: { full_name: 'Ada Lovelace' } } }))
  assert.equal(session, null)
  assert.equal(user.email, ada)
  assert.ok(user.confirmation_sent_at)
  assert.equal(user.email_confirmed_at, null)
  refused(await app.auth.signInWithPassword({ email: ada, password }), 400, 'email_not_confirmed')
})

await step('verifyOtp with the code of the letter signs in, once', async () => {
  const { letter: text, code } = await letter(mail, ada, 1)
  assert.match(text, /^Hello Ada Lovelace,$/m)
  const wrong = code === '111111' ? '222222' : '111111'
  refused(await app.auth.verifyOtp({ email: ada, token: wrong, type: 'email' }), 403, 'otp_expired')
  const { user, session } = good(await app.auth.verifyOtp({ email: ada, token: code, type: 'email' }))
  assert.ok(user.email_confirmed_at && session.access_token)
  assert.equal(good(await app.auth.getUser()).user.id, user.id)
  refused(await open().auth.verifyOtp({ email: ada, token: code, type: 'email' }), 403, 'otp_expired')
  good(await open().auth.signInWithPassword({ email: ada, password }))
})

await step('signUp of a known address says the same and writes nothing', async () => {
  const known = good(await open().auth.signUp({ email: ada, password: 'quite another password' }))
  const fresh = good(await open().auth.signUp({ email: 'fresh@example.org', password: 'quite another password' }))
  assert.deepEqual(Object.keys(known.user), Object.keys(fresh.user))
  assert.equal(known.session, null)
  await letter(mail, 'fresh@example.org', 1)
  assert.equal(lettersNow(mail, ada).length, 1)
  refused(await open().auth.signInWithPassword({ email: ada, password: 'quite another password' }), 400, 'invalid_credentials')
})

await step('resend writes the letter again, the older one is worth nothing', async () => {
  const first = await letter(mail, 'fresh@example.org', 1)
  good(await open().auth.resend({ type: 'signup', email: 'fresh@example.org' }))
  const second = await letter(mail, 'fresh@example.org', 2)
  refused(await open().auth.verifyOtp({ token_hash: first.token, type: 'signup' }), 403, 'otp_expired')
  good(await open().auth.verifyOtp({ token_hash: second.token, type: 'signup' }))
  refused(await open().auth.resend({ type: 'sms', phone: '+491234567' }), 400, 'phone_provider_disabled')
})

await step('signInWithOtp signs in by code, by link, and makes accounts', async () => {
  good(await open().auth.signInWithOtp({ email: ada }))
  const { code } = await letter(mail, ada, 2)
  assert.equal(good(await open().auth.verifyOtp({ email: ada, token: code, type: 'email' })).user.email, ada)

  good(await open().auth.signInWithOtp({ email: ada, options: { emailRedirectTo: 'https://app.example/in' } }))
  const there = await opened((await letter(mail, ada, 3)).link)
  assert.equal(there.origin + there.pathname, 'https://app.example/in')
  const said = new URLSearchParams(there.hash.slice(1))
  assert.equal(said.get('type'), 'magiclink')
  const browser = open()
  good(await browser.auth.setSession({ access_token: said.get('access_token'), refresh_token: said.get('refresh_token') }))
  assert.equal(good(await browser.auth.getUser()).user.email, ada)

  good(await open().auth.signInWithOtp({ email: 'ben@example.org', options: { data: { full_name: 'Ben' } } }))
  const ben = await letter(mail, 'ben@example.org', 1)
  const { user } = good(await open().auth.verifyOtp({ email: 'ben@example.org', token: ben.code, type: 'email' }))
  assert.equal(user.user_metadata.full_name, 'Ben')

  good(await open().auth.signInWithOtp({ email: 'cara@example.org', options: { shouldCreateUser: false } }))
  refused(await open().auth.signInWithOtp({ phone: '+491234567' }), 400, 'phone_provider_disabled')
  assert.equal(lettersNow(mail, 'cara@example.org').length, 0)
})

await step('resetPasswordForEmail: a link, a new password, and everybody else is out', async () => {
  const other = open()
  good(await other.auth.signInWithPassword({ email: ada, password }))
  good(await open().auth.resetPasswordForEmail('eve@example.org'))
  good(await open().auth.resetPasswordForEmail(ada, { redirectTo: 'https://app.example/new' }))
  const { link } = await letter(mail, ada, 4)
  const there = await opened(link)
  assert.equal(there.pathname, '/new')
  const said = new URLSearchParams(there.hash.slice(1))
  assert.equal(said.get('type'), 'recovery')
  const browser = open()
  good(await browser.auth.setSession({ access_token: said.get('access_token'), refresh_token: said.get('refresh_token') }))
  good(await browser.auth.updateUser({ password: 'a longer walk along the sea' }))
  assert.ok((await other.auth.getUser()).error)
  refused(await open().auth.signInWithPassword({ email: ada, password }), 400, 'invalid_credentials')
  good(await app.auth.signInWithPassword({ email: ada, password: 'a longer walk along the sea' }))
  const again = await opened(link)
  assert.equal(new URLSearchParams(again.hash.slice(1)).get('error_code'), 'otp_expired')
  assert.equal(lettersNow(mail, 'eve@example.org').length, 0)
})

await step('the pkce flow: a link gives a code, the code gives a session to who asked', async () => {
  const browser = open({ flowType: 'pkce' })
  good(await browser.auth.signInWithOtp({ email: ada, options: { emailRedirectTo: 'https://app.example/in' } }))
  const { link } = await letter(mail, ada, 5)
  assert.match(link, /token=pkce_/)
  const there = await opened(link)
  assert.equal(there.hash, '')
  const code = there.searchParams.get('code')
  const thief = open({ flowType: 'pkce' })
  await thief.auth.resetPasswordForEmail('eve@example.org')
  const { session, user } = good(await browser.auth.exchangeCodeForSession(code))
  assert.equal(user.email, ada)
  assert.ok(session.refresh_token)
  refused(await thief.auth.exchangeCodeForSession(code), 404, 'flow_state_not_found')

  good(await browser.auth.resetPasswordForEmail(ada))
  const recovery = (await opened((await letter(mail, ada, 6)).link)).searchParams.get('code')
  const exchanged = good(await browser.auth.exchangeCodeForSession(recovery))
  assert.equal(exchanged.user.email, ada)

  const ann = open({ flowType: 'pkce' })
  good(await ann.auth.signUp({ email: 'ann@example.org', password }))
  const first = (await opened((await letter(mail, 'ann@example.org', 1)).link)).searchParams.get('code')
  assert.ok(good(await ann.auth.exchangeCodeForSession(first)).user.email_confirmed_at)
})

await step('reauthenticate sends a code', async () => {
  good(await app.auth.reauthenticate())
  const { code, link } = await letter(mail, ada, 7)
  assert.ok(code)
  assert.equal(link, undefined)
  good(await app.auth.updateUser({ password, nonce: code }))
  assert.ok((await open().auth.reauthenticate()).error)
})

await step('updateUser changes the address when both agreed', async () => {
  const { user } = good(await app.auth.updateUser({ email: 'countess@example.org' }))
  assert.deepEqual([user.email, user.new_email], [ada, 'countess@example.org'])
  const now = await letter(mail, ada, 8)
  const next = await letter(mail, 'countess@example.org', 1)
  const half = await open().auth.verifyOtp({ email: ada, token: now.code, type: 'email_change' })
  assert.equal(half.error, null)
  assert.equal(half.data.session, null)
  const whole = good(await open().auth.verifyOtp({ email: 'countess@example.org', token: next.code, type: 'email_change' }))
  assert.equal(whole.user.email, 'countess@example.org')
  refused(await open().auth.signInWithPassword({ email: ada, password }), 400, 'invalid_credentials')
  good(await app.auth.signInWithPassword({ email: 'countess@example.org', password }))
})

await step('the operator invites, nobody else does', async () => {
  refused(await app.auth.admin.inviteUserByEmail('dora@example.org'), 403, 'not_admin')
  const { user } = good(await operator.auth.admin.inviteUserByEmail('dora@example.org', {
    data: { full_name: 'Dora' }, redirectTo: 'https://app.example/hello',
  }))
  assert.ok(user.invited_at && user.id)
  const there = await opened((await letter(mail, 'dora@example.org', 1)).link)
  assert.equal(there.pathname, '/hello')
  const said = new URLSearchParams(there.hash.slice(1))
  assert.equal(said.get('type'), 'invite')
  const dora = open()
  good(await dora.auth.setSession({ access_token: said.get('access_token'), refresh_token: said.get('refresh_token') }))
  good(await dora.auth.updateUser({ password }))
  good(await open().auth.signInWithPassword({ email: 'dora@example.org', password }))
  refused(await operator.auth.admin.inviteUserByEmail('dora@example.org'), 422, 'email_exists')
})

await step('refreshSession and signOut here, elsewhere and everywhere', async () => {
  const email = 'countess@example.org'
  const [one, two, three] = [open(), open(), open()]
  for (const client of [one, two, three]) good(await client.auth.signInWithPassword({ email, password }))
  const before = good(await one.auth.getSession()).session
  const after = good(await one.auth.refreshSession()).session
  assert.notEqual(after.refresh_token, before.refresh_token)
  // An answer that got lost.
  const again = good(await open().auth.refreshSession({ refresh_token: before.refresh_token })).session
  assert.ok(again.access_token)
  const { claims } = good(await one.auth.getClaims())
  assert.deepEqual([claims.email, claims.aal], [email, 'aal1'])
  assert.equal((await two.auth.signOut({ scope: 'others' })).error, null)
  assert.ok((await one.auth.getUser()).error)
  good(await two.auth.getUser())
  good(await three.auth.signInWithPassword({ email, password }))
  const token = good(await three.auth.getSession()).session.access_token
  assert.equal((await three.auth.signOut({ scope: 'local' })).error, null)
  assert.ok((await open().auth.getUser(token)).error)
  good(await two.auth.getUser())
  assert.equal((await two.auth.signOut()).error, null)
  assert.equal(good(await two.auth.getSession()).session, null)
})

end()

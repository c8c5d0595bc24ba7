// Ada and Ben use the hub through supabase-js, as an app of theirs would: no other knowledge of the hub than its address
// and its public key.
import assert from 'node:assert/strict'
import { createClient, PostgrestError } from '@supabase/supabase-js'
import { bad, each, end, given, good, step } from './story.mjs'

const url = given('HUB_URL')
const key = given('HUB_ANON_KEY')
const open = (options = {}) =>
  createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, ...options })

const ada = open()
const ben = open()
const nobody = open()
const password = 'a long walk along the river'
const stranger = '01890000-0000-7000-8000-000000000000'
let adaId
let benId

// --- accounts ---------------------------------------------------------------------------------------------------

await step('settings say what a client may offer', async () => {
  const answer = await fetch(`${url}/auth/v1/settings`, { headers: { apikey: key } })
  assert.equal(answer.status, 200)
  const settings = await answer.json()
  assert.equal(settings.disable_signup, false)
  assert.equal(settings.mailer_autoconfirm, true)
  assert.equal(settings.external.email, true)
})

await step('sign up gives a session at once', async () => {
  const { user, session } = good(await ada.auth.signUp({
    email: 'ada@example.org', password, options: { data: { full_name: 'Ada', likes: ['maps'] } },
  }))
  assert.ok(session.access_token && session.refresh_token)
  assert.equal(session.token_type, 'bearer')
  assert.ok(session.expires_in > 0)
  assert.ok(session.expires_at > Date.now() / 1000)
  assert.equal(user.email, 'ada@example.org')
  assert.equal(user.role, 'authenticated')
  assert.equal(user.aud, 'authenticated')
  assert.deepEqual(user.user_metadata.likes, ['maps'])
  assert.equal(user.user_metadata.full_name, 'Ada')
  assert.ok(user.email_confirmed_at)
  assert.ok(Date.parse(user.created_at) > 0)
  assert.equal(user.encrypted_password, undefined)
  adaId = user.id
})

await step('Ben signs up too, and is somebody else', async () => {
  const { user } = good(await ben.auth.signUp({ email: 'ben@example.org', password }))
  benId = user.id
  assert.notEqual(benId, adaId)
})

await step('the same address again is refused, or told nothing', async () => {
  const { data, error } = await open().auth.signUp({ email: 'ada@example.org', password: 'quite another password' })
  if (error) {
    assert.ok(error.status >= 400 && error.status < 500, `${error.status}`)
    assert.ok(error.code, 'the error has a code')
  } else {
    assert.equal(data.session, null, 'no session for an address that is taken')
    assert.notEqual(data.user?.id, adaId, 'the id of the account is not given away')
  }
  const signedIn = await open().auth.signInWithPassword({ email: 'ada@example.org', password: 'quite another password' })
  assert.ok(signedIn.error, 'the password did not change')
})

await step('a weak password is refused with its reasons', async () => {
  const { error } = await open().auth.signUp({ email: 'weak@example.org', password: 'short' })
  assert.equal(error?.code, 'weak_password')
  assert.equal(error.status, 422)
  assert.equal(error.name, 'AuthWeakPasswordError')
  assert.ok(error.reasons.length > 0)
})

await step('an address that is none is refused', async () => {
  const { error } = await open().auth.signUp({ email: 'not an address', password })
  assert.ok(error.status >= 400 && error.status < 500, `${error.status}`)
  assert.ok(error.code)
})

await step('sign out, and sign in again', async () => {
  assert.equal((await ada.auth.signOut()).error, null)
  assert.equal((await ada.auth.getSession()).data.session, null)
  const { user, session } = good(await ada.auth.signInWithPassword({ email: 'ada@example.org', password }))
  assert.equal(user.id, adaId)
  assert.ok(session.access_token)
  assert.ok(user.last_sign_in_at)
})

await step('a mail address is not case-sensitive', async () => {
  const { user } = good(await open().auth.signInWithPassword({ email: 'Ada@Example.ORG', password }))
  assert.equal(user.id, adaId)
})

await step('a wrong password and an unknown address answer alike', async () => {
  const wrong = await open().auth.signInWithPassword({ email: 'ada@example.org', password: 'wrong, entirely' })
  const unknown = await open().auth.signInWithPassword({ email: 'eve@example.org', password: 'wrong, entirely' })
  for (const { data, error } of [wrong, unknown]) {
    assert.equal(error.name, 'AuthApiError')
    assert.equal(error.code, 'invalid_credentials')
    assert.equal(error.status, 400)
    assert.equal(error.message, wrong.error.message)
    assert.equal(data.session, null)
  }
})

await step('getUser asks the hub', async () => {
  const { user } = good(await ada.auth.getUser())
  assert.equal(user.id, adaId)
  assert.equal(user.email, 'ada@example.org')
  assert.equal(user.user_metadata.full_name, 'Ada')
  assert.ok(user.app_metadata)
})

await step('updateUser adds to what is known, and null takes away', async () => {
  const { user } = good(await ada.auth.updateUser({ data: { color: 'green', likes: null } }))
  assert.equal(user.user_metadata.color, 'green')
  assert.equal(user.user_metadata.full_name, 'Ada')
  assert.ok(!('likes' in user.user_metadata), JSON.stringify(user.user_metadata))
})

await step('a new password ends the other sessions, not this one', async () => {
  const cara = open()
  const phone = open()
  good(await cara.auth.signUp({ email: 'cara@example.org', password }))
  good(await phone.auth.signInWithPassword({ email: 'cara@example.org', password }))
  const same = await cara.auth.updateUser({ password })
  assert.equal(same.error?.code, 'same_password')
  good(await cara.auth.updateUser({ password: 'a longer walk along the sea' }))
  good(await cara.from('persons').select('id'))
  assert.equal((await phone.from('persons').select('id')).status, 401)
  assert.equal((await open().auth.signInWithPassword({ email: 'cara@example.org', password })).error?.code, 'invalid_credentials')
  good(await open().auth.signInWithPassword({ email: 'cara@example.org', password: 'a longer walk along the sea' }))
})

await step('what a token says of itself', async () => {
  const { claims } = good(await ada.auth.getClaims())
  assert.equal(claims.sub, adaId)
  assert.equal(claims.role, 'authenticated')
  assert.ok(claims.session_id)
})

await step('getUser with something that is no token', async () => {
  const { error } = await open().auth.getUser('not.a.token')
  assert.ok(error.status === 401 || error.status === 403, `${error.status}`)
})

await step('refreshSession gives new tokens, an old one is worth nothing', async () => {
  const app = open()
  const before = good(await app.auth.signInWithPassword({ email: 'ada@example.org', password })).session
  const after = good(await app.auth.refreshSession()).session
  assert.notEqual(after.refresh_token, before.refresh_token)
  assert.equal(after.user.id, adaId)
  good(await app.from('persons').select('id'))
  good(await app.auth.refreshSession())
  const again = await open().auth.refreshSession({ refresh_token: before.refresh_token })
  assert.equal(again.data.session, null)
  assert.equal(again.error.status, 400)
  assert.match(again.error.code, /^refresh_token_/)
  const invented = await open().auth.refreshSession({ refresh_token: 'invented' })
  assert.equal(invented.error.status, 400)
  assert.match(invented.error.code, /^refresh_token_/)
})

await step('setSession picks a session up elsewhere', async () => {
  const { session } = good(await open().auth.signInWithPassword({ email: 'ada@example.org', password }))
  const app = open()
  good(await app.auth.setSession(session))
  assert.equal(good(await app.auth.getUser()).user.id, adaId)
})

await step('a signed-out access token is worth nothing at once', async () => {
  const app = open()
  const { session } = good(await app.auth.signInWithPassword({ email: 'ada@example.org', password }))
  const ask = () =>
    fetch(`${url}/rest/v1/persons?select=id`, { headers: { apikey: key, Authorization: `Bearer ${session.access_token}` } })
  assert.equal((await ask()).status, 200)
  assert.equal((await app.auth.signOut({ scope: 'local' })).error, null)
  const refused = await ask()
  assert.equal(refused.status, 401)
  assert.ok((await refused.json()).code)
  assert.ok((await open().auth.getUser(session.access_token)).error)
  assert.ok((await open().auth.refreshSession({ refresh_token: session.refresh_token })).error)
  good(await ada.from('persons').select('id'))
})

// --- writing ----------------------------------------------------------------------------------------------------

let people
let works
let project
let phases
let tasks

await step('insert one, and get it back as stored', async () => {
  const row = good(await ada.from('persons').insert({ name: 'Grace', tags: ['navy', 'work'] }).select().single(), 201)
  assert.equal(row.owner_id, adaId)
  assert.deepEqual(row.tags, ['navy', 'work'])
  assert.equal(row.notes, null)
  assert.match(row.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  people = { Grace: row.id }
})

await step('insert many, only some columns back', async () => {
  const rows = good(await ada.from('persons')
    .insert([{ name: 'Linus', notes: 'ships kernels' }, { name: 'Margaret', birthday: '1936-08-17' }, { name: 'Zoë, "the" \\ \'last\'' }])
    .select('id, name'), 201)
  assert.equal(rows.length, 3)
  assert.deepEqual(Object.keys(rows[0]), ['id', 'name'])
  for (const row of rows) people[row.name] = row.id
})

await step('insert without asking anything back', async () => {
  const answer = await ada.from('organizations').insert({ name: 'Navy', industry: 'sea' })
  assert.equal(good(answer, 201), null)
})

await step('insert with a count', async () => {
  const answer = await ada.from('organizations').insert([{ name: 'Foundation' }, { name: 'Laboratory' }], { count: 'exact' }).select('name, id')
  assert.equal(good(answer, 201).length, 2)
  assert.equal(answer.count, 2)
  works = answer.data
})

await step('insert nothing, and a row of defaults', async () => {
  assert.deepEqual(good(await ada.from('organizations').insert([]).select()), [])
  const row = good(await ada.from('user_settings').insert({}).select('user_id, theme, timezone').single())
  assert.deepEqual(row, { user_id: adaId, theme: 'light', timezone: 'UTC' })
  assert.deepEqual(good(await ada.from('organizations').update({}).eq('id', works[0].id).select()), [])
})

await step('missing columns take their default when asked to, else null', async () => {
  const rows = good(await ada.from('rules')
    .insert([{ name: 'a', trigger_event_types: ['x.A'], priority: 7 }, { name: 'b', trigger_event_types: ['x.A', 'x.B'] }], { defaultToNull: false })
    .select('name, priority, enabled'))
  assert.deepEqual(rows, [{ name: 'a', priority: 7, enabled: true }, { name: 'b', priority: 100, enabled: true }])
  const nulls = good(await ada.from('rules')
    .insert([{ name: 'c', trigger_event_types: ['x.C'], priority: 7 }, { name: 'd', trigger_event_types: [] }]).select('name, priority'))
  assert.deepEqual(nulls, [{ name: 'c', priority: 7 }, { name: 'd', priority: null }])
})

await step('a project with phases, tasks and who does them', async () => {
  project = good(await ada.from('projects').insert({ name: 'Moon', slug: 'moon', tags: ['space', 'big'] }).select().single())
  assert.equal(project.user_id, adaId)
  const span = { start_date: '2030-01-01T00:00:00Z', end_date: '2030-02-01T00:00:00Z' }
  phases = good(await ada.from('phases').insert([
    { project_id: project.id, name: 'Build', order: 1, ...span },
    { project_id: project.id, name: 'Fly', order: 2, ...span },
  ]).select('id, name'))
  tasks = good(await ada.from('tasks').insert([
    { title: 'Write the code', project_id: project.id, assignee_id: people.Margaret, priority: 'high', due_date: '2030-01-10T12:00:00Z' },
    { title: 'Test the code', project_id: project.id, assignee_id: people.Grace, priority: 'low', due_date: null },
    { title: 'Land', project_id: project.id, assignee_id: null, priority: 'urgent', due_date: '2030-01-20T12:00:00Z' },
    { title: 'Water the plants', project_id: null, assignee_id: null, priority: 'low', due_date: null },
  ]).select('id, title'))
  const [build, fly] = phases
  good(await ada.from('phase_tasks').insert([
    { phase_id: build.id, task_id: tasks[0].id, order: 1 },
    { phase_id: build.id, task_id: tasks[1].id, order: 2 },
    { phase_id: fly.id, task_id: tasks[1].id, order: 1 },
    { phase_id: fly.id, task_id: tasks[2].id, order: 2 },
  ]), 201)
})

await step('upsert merges on the conflicting columns', async () => {
  const onConflict = 'user_id,preference_key'
  good(await ada.from('user_preferences').insert({ preference_key: 'theme', preference_value: { dark: true } }))
  const rows = good(await ada.from('user_preferences').upsert([
    { preference_key: 'theme', preference_value: { dark: false } },
    { preference_key: 'language', preference_value: 'en' },
  ], { onConflict }).select('preference_key, preference_value'))
  assert.deepEqual(rows.toSorted((a, b) => (a.preference_key < b.preference_key ? -1 : 1)), [
    { preference_key: 'language', preference_value: 'en' },
    { preference_key: 'theme', preference_value: { dark: false } },
  ])
  const all = await ada.from('user_preferences').select('*', { count: 'exact', head: true })
  assert.equal(all.count, 2)
})

await step('upsert can leave what is there alone', async () => {
  const onConflict = 'user_id,preference_key'
  const rows = good(await ada.from('user_preferences').upsert([
    { preference_key: 'theme', preference_value: 'lost' },
    { preference_key: 'sound', preference_value: 11 },
  ], { onConflict, ignoreDuplicates: true }).select('preference_key'))
  assert.deepEqual(each(rows, 'preference_key'), ['sound'])
  const theme = good(await ada.from('user_preferences').select('preference_value->dark').eq('preference_key', 'theme').single())
  assert.deepEqual(theme, { dark: false })
})

await step('upsert by primary key', async () => {
  const row = good(await ada.from('persons').upsert({ id: people.Linus, name: 'Linus T.' }).select('id, name, notes').single())
  assert.deepEqual(row, { id: people.Linus, name: 'Linus T.', notes: 'ships kernels' })
})

await step('a duplicate without upsert is a conflict', async () => {
  bad(await ada.from('user_preferences').insert({ preference_key: 'theme' }), '23505', 409)
})

await step('update changes what the filter says and stamps updated_at', async () => {
  const before = good(await ada.from('persons').select('updated_at').eq('id', people.Linus).single())
  const rows = good(await ada.from('persons').update({ name: 'Linus', notes: null }).eq('id', people.Linus).select(), 200)
  assert.equal(rows.length, 1)
  assert.equal(rows[0].notes, null)
  assert.ok(rows[0].updated_at > before.updated_at)
  const silent = await ada.from('persons').update({ notes: 'ships kernels' }, { count: 'exact' }).eq('id', people.Linus)
  assert.equal(good(silent, 204), null)
  assert.equal(silent.count, 1)
  assert.deepEqual(good(await ada.from('persons').update({ notes: 'x' }).eq('id', stranger).select(), 200), [])
})

await step('delete removes what the filter says', async () => {
  const { id } = good(await ada.from('persons').insert({ name: 'Nobody' }).select('id').single())
  assert.deepEqual(good(await ada.from('persons').delete().eq('id', id).select('name'), 200), [{ name: 'Nobody' }])
  assert.equal(good(await ada.from('persons').delete().eq('id', id), 204), null)
})

await step('update and delete without a filter are refused', async () => {
  bad(await ada.from('persons').update({ notes: 'all' }), '21000', 400)
  bad(await ada.from('persons').delete(), '21000', 400)
  assert.equal((await ada.from('persons').select('*', { count: 'exact', head: true })).count, 4)
})

await step('maxAffected stops a write that would change too much', async () => {
  bad(await ada.from('tasks').update({ description: 'too much' }).eq('priority', 'low').maxAffected(1), 'PGRST124', 400)
  assert.deepEqual(good(await ada.from('tasks').select('id').eq('description', 'too much')), [])
  good(await ada.from('tasks').update({ description: 'enough' }).eq('priority', 'low').maxAffected(2))
  assert.equal(good(await ada.from('tasks').select('id').eq('description', 'enough')).length, 2)
  bad(await ada.from('tasks').delete().eq('priority', 'low').maxAffected(1), 'PGRST124', 400)
})

await step('a dry run leaves nothing behind', async () => {
  const dry = ada.from('persons').insert({ name: 'Only tried' }).select('name')
  const rows = good(await dry.rollback())
  assert.deepEqual(rows, [{ name: 'Only tried' }])
  assert.deepEqual(good(await ada.from('persons').select('id').eq('name', 'Only tried')), [])
})

// --- reading ----------------------------------------------------------------------------------------------------

await step('select with columns, aliases, casts and JSON paths', async () => {
  const row = good(await ada.from('persons').select('label:name, birthday::text, first:tags->>0').eq('id', people.Grace).single())
  assert.deepEqual(row, { label: 'Grace', birthday: null, first: 'navy' })
})

await step('one related row', async () => {
  const rows = good(await ada.from('tasks').select('title, assignee:persons(name)').order('title'))
  assert.deepEqual(rows, [
    { title: 'Land', assignee: null },
    { title: 'Test the code', assignee: { name: 'Grace' } },
    { title: 'Water the plants', assignee: null },
    { title: 'Write the code', assignee: { name: 'Margaret' } },
  ])
})

await step('one related row, by the name of its constraint', async () => {
  const row = good(await ada.from('tasks').select('title, persons!tasks_assignee_id_fkey(name)').eq('title', 'Test the code').single())
  assert.deepEqual(row, { title: 'Test the code', persons: { name: 'Grace' } })
})

await step('one related row, by the name of its column', async () => {
  const rows = good(await ada.from('tasks').select('who:assignee_id(name), persons!assignee_id(name)').eq('title', 'Test the code'))
  assert.deepEqual(rows, [{ who: { name: 'Grace' }, persons: { name: 'Grace' } }])
})

await step('rows of the same table above and below', async () => {
  const part = good(await ada.from('tasks').insert({ title: 'Write tests', parent_task_id: tasks[1].id }).select('id, parent:parent_task_id(title)').single())
  assert.deepEqual(part.parent, { title: 'Test the code' })
  const whole = good(await ada.from('tasks').select('title, parts:tasks!tasks_parent_task_id_fkey(title)').eq('id', tasks[1].id).single())
  assert.deepEqual(whole, { title: 'Test the code', parts: [{ title: 'Write tests' }] })
  bad(await ada.from('tasks').update({ parent_task_id: part.id }).eq('id', part.id), '23514', 400)
  good(await ada.from('tasks').delete().eq('id', part.id))
})

await step('many related rows, with an order and a limit of their own', async () => {
  const row = good(await ada.from('projects').select('name, tasks(title), phases(name)')
    .order('title', { referencedTable: 'tasks', ascending: false })
    .order('order', { referencedTable: 'phases' })
    .limit(2, { referencedTable: 'tasks' })
    .single())
  assert.deepEqual(row, {
    name: 'Moon',
    tasks: [{ title: 'Write the code' }, { title: 'Test the code' }],
    phases: [{ name: 'Build' }, { name: 'Fly' }],
  })
})

await step('many to many, through the table between', async () => {
  const rows = good(await ada.from('phases').select('name, tasks(title)').order('order').order('title', { referencedTable: 'tasks' }))
  assert.deepEqual(rows, [
    { name: 'Build', tasks: [{ title: 'Test the code' }, { title: 'Write the code' }] },
    { name: 'Fly', tasks: [{ title: 'Land' }, { title: 'Test the code' }] },
  ])
})

await step('the table between is there too, nested', async () => {
  const rows = good(await ada.from('phases').select('name, phase_tasks(order, tasks(title, assignee:persons(name)))')
    .eq('name', 'Build').order('order', { referencedTable: 'phase_tasks' }))
  assert.deepEqual(rows, [{
    name: 'Build',
    phase_tasks: [
      { order: 1, tasks: { title: 'Write the code', assignee: { name: 'Margaret' } } },
      { order: 2, tasks: { title: 'Test the code', assignee: { name: 'Grace' } } },
    ],
  }])
})

await step('!inner keeps only rows that have the other', async () => {
  const rows = good(await ada.from('tasks').select('title, persons!inner(name)').order('title'))
  assert.deepEqual(each(rows, 'title'), ['Test the code', 'Write the code'])
  const filtered = good(await ada.from('tasks').select('title, assignee:persons!inner(name)').eq('assignee.name', 'Grace'))
  assert.deepEqual(filtered, [{ title: 'Test the code', assignee: { name: 'Grace' } }])
  const through = good(await ada.from('phases').select('name, tasks!inner(title)').eq('tasks.title', 'Land'))
  assert.deepEqual(through, [{ name: 'Fly', tasks: [{ title: 'Land' }] }])
})

await step('a filter on the other rows keeps all of these', async () => {
  const rows = good(await ada.from('phases').select('name, tasks(title)').eq('tasks.title', 'Land').order('order'))
  assert.deepEqual(rows, [{ name: 'Build', tasks: [] }, { name: 'Fly', tasks: [{ title: 'Land' }] }])
  const deep = good(await ada.from('projects').select('name, phases(name, phase_tasks(order))').eq('phases.phase_tasks.task_id', tasks[2].id).eq('phases.name', 'Fly'))
  assert.deepEqual(deep, [{ name: 'Moon', phases: [{ name: 'Fly', phase_tasks: [{ order: 2 }] }] }])
  const or = good(await ada.from('projects').select('tasks(title)').or('title.eq.Land,priority.eq.high', { referencedTable: 'tasks' }).order('title', { referencedTable: 'tasks' }))
  assert.deepEqual(or, [{ tasks: [{ title: 'Land' }, { title: 'Write the code' }] }])
})

await step('rows with or without others, by null', async () => {
  const none = good(await ada.from('tasks').select('title, assignee:persons()').is('assignee', null).order('title'))
  assert.deepEqual(none, [{ title: 'Land' }, { title: 'Water the plants' }])
  const some = good(await ada.from('tasks').select('title, persons()').not('persons', 'is', null).order('title'))
  assert.deepEqual(each(some, 'title'), ['Test the code', 'Write the code'])
})

await step('spread lifts the other row’s columns', async () => {
  const row = good(await ada.from('tasks').select('title, ...persons(who:name)').eq('title', 'Test the code').single())
  assert.deepEqual(row, { title: 'Test the code', who: 'Grace' })
})

await step('order by a column of the related row', async () => {
  const rows = good(await ada.from('tasks').select('title, persons(name)').order('persons(name)', { ascending: false, nullsFirst: false }).order('title'))
  assert.deepEqual(each(rows, 'title'), ['Write the code', 'Test the code', 'Land', 'Water the plants'])
  const unseen = good(await ada.from('tasks').select('title, persons!inner(name:notes)').order('persons(name)'))
  assert.deepEqual(each(unseen, 'title'), ['Test the code', 'Write the code'])
  const lifted = good(await ada.from('tasks').select('title, ...persons!inner(who:name)').order('persons(name)', { ascending: false }))
  assert.deepEqual(each(lifted, 'who'), ['Margaret', 'Grace'])
})

await step('order, with nulls first or last', async () => {
  const due = (nullsFirst) => ada.from('tasks').select('title').order('due_date', { ascending: true, nullsFirst }).order('title')
  assert.deepEqual(each(good(await due(true)), 'title'), ['Test the code', 'Water the plants', 'Write the code', 'Land'])
  assert.deepEqual(each(good(await due(false)), 'title'), ['Write the code', 'Land', 'Test the code', 'Water the plants'])
})

await step('single and maybeSingle count the rows', async () => {
  const none = bad(await ada.from('persons').select().eq('id', stranger).single(), 'PGRST116', 406)
  assert.match(none.details, /0 rows/)
  const many = bad(await ada.from('persons').select().single(), 'PGRST116', 406)
  assert.match(many.details, /4 rows/)
  assert.equal(good(await ada.from('persons').select().eq('id', stranger).maybeSingle()), null)
  assert.equal(good(await ada.from('persons').select('name').eq('id', people.Grace).maybeSingle()).name, 'Grace')
  bad(await ada.from('persons').select().maybeSingle(), 'PGRST116', 406)
})

await step('a write that wants one row and touches several changes none', async () => {
  bad(await ada.from('tasks').update({ description: 'one' }).eq('description', 'enough').select().single(), 'PGRST116', 406)
  assert.equal(good(await ada.from('tasks').select('id').eq('description', 'enough')).length, 2)
})

await step('csv', async () => {
  const text = good(await ada.from('persons').select('name,notes').in('name', ['Grace', 'Linus']).order('name').csv())
  assert.deepEqual(text.trim().split('\n'), ['name,notes', 'Grace,', 'Linus,"ships kernels"'])
  const quoted = good(await ada.from('persons').select('name').like('name', 'Zo%').csv())
  assert.ok(quoted.includes('"Zoë, ""the"" \\ \'last\'"'), quoted)
})

await step('without nulls', async () => {
  const row = good(await ada.from('persons').select('name, notes, birthday').eq('name', 'Linus').stripNulls().single())
  assert.deepEqual(row, { name: 'Linus', notes: 'ships kernels' })
  const rows = good(await ada.from('persons').select('name, notes').eq('name', 'Grace').stripNulls())
  assert.deepEqual(rows, [{ name: 'Grace' }])
})

await step('counts: exact, planned, estimated; with and without rows', async () => {
  for (const count of ['exact', 'planned', 'estimated']) {
    const head = await ada.from('persons').select('*', { count, head: true })
    assert.equal(good(head), null)
    assert.equal(head.count, 4, count)
  }
  const rows = await ada.from('persons').select('name', { count: 'exact' }).order('name').limit(2)
  assert.equal(good(rows, 206).length, 2)
  assert.equal(rows.count, 4)
  const all = await ada.from('persons').select('name', { count: 'exact' })
  assert.equal(good(all, 200).length, 4)
})

await step('the number of related rows', async () => {
  const row = good(await ada.from('projects').select('name, tasks(count)').single())
  assert.deepEqual(row, { name: 'Moon', tasks: [{ count: 3 }] })
})

await step('sums and the like are off unless the operator turns them on', async () => {
  bad(await ada.from('tasks').select('duration_minutes.sum()'), 'PGRST123', 400)
})

await step('ranges: a part is 206, beyond the end is 416', async () => {
  const part = await ada.from('persons').select('name', { count: 'exact' }).order('name').range(1, 2)
  assert.deepEqual(each(good(part, 206), 'name'), ['Linus', 'Margaret'])
  assert.equal(part.count, 4)
  const uncounted = await ada.from('persons').select('name').order('name').range(1, 2)
  assert.equal(good(uncounted, 200).length, 2)
  assert.equal(uncounted.count, null)
  bad(await ada.from('persons').select('name', { count: 'exact' }).range(100, 110), 'PGRST103', 416)
  assert.deepEqual(good(await ada.from('persons').select('name').range(100, 110)), [])
  const raw = await fetch(`${url}/rest/v1/persons?select=name&order=name`, {
    headers: { apikey: key, Authorization: `Bearer ${(await ada.auth.getSession()).data.session.access_token}`, Range: '0-1', 'Range-Unit': 'items', Prefer: 'count=exact' },
  })
  assert.equal(raw.status, 206)
  assert.equal(raw.headers.get('content-range'), '0-1/4')
})

await step('or, and, not, in any nesting', async () => {
  const names = async (query) => each(good(await query.order('title')), 'title')
  const titles = () => ada.from('tasks').select('title')
  assert.deepEqual(await names(titles().or('priority.eq.high,priority.eq.urgent')), ['Land', 'Write the code'])
  assert.deepEqual(await names(titles().or('and(priority.eq.low,due_date.is.null,title.like.*plants),title.eq.Land')), ['Land', 'Water the plants'])
  assert.deepEqual(await names(titles().or('priority.not.in.(low,high),title.ilike."water *"')), ['Land', 'Water the plants'])
  assert.deepEqual(await names(titles().not('priority', 'in', '(low,high)')), ['Land'])
  assert.deepEqual(await names(titles().or('not.and(priority.neq.low,title.neq.Land)')), ['Land', 'Test the code', 'Water the plants'])
})

await step('the other filters', async () => {
  const names = async (query) => each(good(await query.order('title')), 'title')
  const titles = () => ada.from('tasks').select('title')
  assert.deepEqual(await names(titles().eq('title', 'Land')), ['Land'])
  assert.equal((await names(titles().neq('title', 'Land'))).length, 3)
  assert.deepEqual(await names(titles().gt('due_date', '2030-01-15T00:00:00Z')), ['Land'])
  assert.deepEqual(await names(titles().lte('due_date', '2030-01-10T12:00:00Z')), ['Write the code'])
  assert.deepEqual(await names(titles().like('title', '%code')), ['Test the code', 'Write the code'])
  assert.deepEqual(await names(titles().ilike('title', '%CODE')), ['Test the code', 'Write the code'])
  assert.deepEqual(await names(titles().likeAllOf('title', ['%code', 'Test%'])), ['Test the code'])
  assert.deepEqual(await names(titles().ilikeAnyOf('title', ['land', 'WATER%'])), ['Land', 'Water the plants'])
  assert.deepEqual(await names(titles().is('due_date', null)), ['Test the code', 'Water the plants'])
  assert.deepEqual(await names(titles().in('title', ['Land', 'no, such (one)', 'quo"te'])), ['Land'])
  assert.deepEqual(await names(titles().in('title', [])), [])
  const many = Array.from({ length: 200 }, (_, n) => stranger.slice(0, -3) + String(n).padStart(3, '0'))
  assert.deepEqual(await names(titles().in('id', [...many, tasks[2].id])), ['Land'])
  assert.deepEqual(await names(titles().lt('due_date', '2030-01-15T00:00:00+02:00')), ['Write the code'])
  assert.deepEqual(await names(titles().match({ priority: 'low', title: 'Test the code' })), ['Test the code'])
  assert.deepEqual(await names(titles().filter('title', 'match', '^W.*s$')), ['Water the plants'])
  assert.deepEqual(await names(titles().filter('priority', 'isdistinct', 'low')), ['Land', 'Write the code'])
  assert.deepEqual(await names(titles().eq('title', 'Zoë, "the" \\ \'last\'')), [])
})

await step('text search', async () => {
  const names = async (query, options) => each(good(await ada.from('tasks').select('title').textSearch('title', query, options).order('title')), 'title')
  assert.deepEqual(await names("'code' & !'test'", { config: 'english' }), ['Write the code'])
  assert.deepEqual(await names('tests code', { type: 'plain', config: 'english' }), ['Test the code'])
  assert.deepEqual(await names('the code', { type: 'phrase' }), ['Test the code', 'Write the code'])
  assert.deepEqual(await names('plants or land', { type: 'websearch', config: 'english' }), ['Land', 'Water the plants'])
})

await step('contains and overlaps, on arrays and on JSON', async () => {
  const rules = async (query) => each(good(await query.order('name')), 'name')
  assert.deepEqual(await rules(ada.from('rules').select('name').contains('trigger_event_types', ['x.A'])), ['a', 'b'])
  assert.deepEqual(await rules(ada.from('rules').select('name').contains('trigger_event_types', ['x.A', 'x.B'])), ['b'])
  assert.deepEqual(await rules(ada.from('rules').select('name').containedBy('trigger_event_types', ['x.A', 'x.C'])), ['a', 'c', 'd'])
  assert.deepEqual(await rules(ada.from('rules').select('name').overlaps('trigger_event_types', ['x.B', 'x.C'])), ['b', 'c'])
  const tagged = (tags) => ada.from('persons').select('name').contains('tags', JSON.stringify(tags))
  assert.deepEqual(good(await tagged(['work'])), [{ name: 'Grace' }])
  assert.deepEqual(good(await tagged(['play'])), [])
  const dark = ada.from('user_preferences').select('preference_key').contains('preference_value', { dark: false })
  assert.deepEqual(good(await dark), [{ preference_key: 'theme' }])
  const path = ada.from('user_preferences').select('preference_key').eq('preference_value->>dark', 'false')
  assert.deepEqual(good(await path), [{ preference_key: 'theme' }])
  assert.deepEqual(good(await ada.from('projects').select('name').contains('tags', ['space', 'big'])), [{ name: 'Moon' }])
})

// --- verbs ------------------------------------------------------------------------------------------------------

await step('rpc by POST and by GET', async () => {
  const posted = good(await ada.rpc('kinds_list'), 200)
  const persons = posted.find((kind) => kind.name === 'persons')
  assert.ok(persons.columns.includes('name'), JSON.stringify(persons))
  assert.deepEqual(good(await ada.rpc('kinds_list', {}, { get: true }), 200), posted)
})

await step('rpc that does not exist', async () => {
  const error = bad(await ada.rpc('kinds_lisst'), 'PGRST202', 404)
  assert.match(error.hint, /kinds_list/)
  bad(await ada.rpc('drop table users; --'), 'PGRST202', 404)
})

// --- whose is what ----------------------------------------------------------------------------------------------

await step('Ben sees nothing of Ada’s', async () => {
  for (const table of ['persons', 'organizations', 'tasks', 'projects', 'phases', 'phase_tasks', 'rules', 'user_preferences']) {
    const answer = await ben.from(table).select('*', { count: 'exact' })
    assert.deepEqual(good(answer), [], table)
    assert.equal(answer.count, 0, table)
  }
  assert.deepEqual(good(await ben.from('persons').select().eq('id', people.Grace)), [])
})

await step('Ben changes and deletes nothing of Ada’s', async () => {
  assert.deepEqual(good(await ben.from('persons').update({ name: 'Mine' }).eq('id', people.Grace).select()), [])
  assert.deepEqual(good(await ben.from('persons').delete().eq('id', people.Grace).select()), [])
  assert.equal(good(await ada.from('persons').select('name').eq('id', people.Grace).single()).name, 'Grace')
})

await step('Ben writes nothing in Ada’s name', async () => {
  bad(await ben.from('persons').insert({ name: 'Planted', owner_id: adaId }), '42501', 403)
  bad(await ben.from('persons').upsert({ id: people.Grace, name: 'Mine' }), /^(42501|23505)$/)
  const own = good(await ben.from('persons').insert({ name: 'Own' }).select('id').single())
  bad(await ben.from('persons').update({ owner_id: adaId }).eq('id', own.id), /^(42501|428C9)$/)
  assert.equal((await ada.from('persons').select('*', { count: 'exact', head: true })).count, 4)
})

await step('a foreign id and a random one are refused alike', async () => {
  const foreign = bad(await ben.from('tasks').insert({ title: 'x', assignee_id: people.Grace }), '23503', 409)
  const random = bad(await ben.from('tasks').insert({ title: 'x', assignee_id: stranger }), '23503', 409)
  const masked = (error) => JSON.stringify(error).replaceAll(people.Grace, 'ID').replaceAll(stranger, 'ID')
  assert.equal(masked(foreign), masked(random))
})

await step('whoever is not signed in sees and writes nothing private', async () => {
  const read = await nobody.from('persons').select('id')
  if (read.error) bad(read, '42501', 401)
  else assert.deepEqual(read.data, [])
  bad(await nobody.from('persons').insert({ name: 'From nowhere' }), '42501', 401)
})

await step('public listings are for everybody, drafts and private ones are not', async () => {
  const rows = good(await ada.from('listings').insert([
    { listing_type: 'service', title: 'Piano lessons', status: 'active', visibility: 'public', tags: ['music', 'lessons'], price_amount: 12.5 },
    { listing_type: 'physical', title: 'A draft', status: 'draft', visibility: 'public', tags: ['music'], price_amount: null },
    { listing_type: 'digital', title: 'For me', status: 'active', visibility: 'private', tags: [], price_amount: null },
  ]).select('id, title, price_currency'))
  assert.equal(rows.length, 3)
  for (const reader of [nobody, ben]) {
    assert.deepEqual(each(good(await reader.from('listings').select('title')), 'title'), ['Piano lessons'])
  }
  assert.equal(good(await ada.from('listings').select('title')).length, 3)
  assert.deepEqual(good(await nobody.from('listings').select('title, price_amount').overlaps('tags', ['lessons', 'cars'])), [{ title: 'Piano lessons', price_amount: 12.5 }])
  for (const count of ['exact', 'planned', 'estimated']) {
    const counted = await nobody.from('listings').select('*', { count, head: true })
    assert.ok(Number.isInteger(counted.count), `${count}: ${counted.count}`)
  }
  bad(await nobody.from('listings').insert({ listing_type: 'service', title: 'Spam' }), '42501', 401)
  assert.deepEqual(good(await ben.from('listings').update({ title: 'Stolen' }).eq('title', 'Piano lessons').select('id')), [])
})

await step('a DAO has its founder as first member', async () => {
  const dao = good(await ada.from('daos').insert({ name: 'River', slug: 'river', is_public: true }).select('id, name').single())
  const members = good(await ada.from('dao_members').select('user_id, daos(name)').eq('dao_id', dao.id))
  assert.deepEqual(members, [{ user_id: adaId, daos: { name: 'River' } }])
  const found = good(await ada.from('daos').select('name, dao_members(user_id)').eq('id', dao.id).single())
  assert.deepEqual(found, { name: 'River', dao_members: [{ user_id: adaId }] })
})

// --- what is wrong is said --------------------------------------------------------------------------------------

await step('a column that only the hub writes', async () => {
  const insert = await ada.from('persons').insert({ name: 'Old', created_at: '1999-01-01T00:00:00Z' })
  const update = await ada.from('persons').update({ created_at: '1999-01-01T00:00:00Z' }).eq('id', people.Grace)
  for (const answer of [insert, update]) {
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status}`)
    assert.match(JSON.stringify(answer.error), /created_at/)
  }
})

await step('an unknown column', async () => {
  assert.match(bad(await ada.from('persons').insert({ nam: 'x' }), 'PGRST204', 400).message, /nam/)
  assert.match(bad(await ada.from('persons').select('nam'), '42703', 400).message, /nam/)
  bad(await ada.from('persons').select().eq('nam', 1), '42703', 400)
  bad(await ada.from('persons').select().order('nam'), '42703', 400)
})

await step('an unknown table, with what may have been meant', async () => {
  const error = bad(await ada.from('person').select(), 'PGRST205', 404)
  assert.match(error.message, /public\.person/)
  assert.match(error.hint, /public\.persons/)
  bad(await ada.from('person').insert({ a: 1 }), 'PGRST205', 404)
})

await step('no relation between two tables', async () => {
  const error = bad(await ada.from('persons').select('name, rules(name)'), 'PGRST200', 400)
  assert.match(error.message, /persons/)
  assert.match(error.message, /rules/)
})

await step('a schema that is not served', async () => {
  const error = bad(await ada.schema('nope').from('persons').select(), 'PGRST106', 406)
  assert.match(`${error.message} ${error.hint}`, /public/)
  bad(await ada.schema('hub').from('journal').select(), 'PGRST106', 406)
  bad(await ada.schema('auth').from('users').select(), 'PGRST106', 406)
})

await step('values of the wrong type, and values that are not listed', async () => {
  bad(await ada.from('tasks').select().eq('id', 'not-a-uuid'), '22P02', 400)
  bad(await ada.from('tasks').select().filter('title', 'nope', 'x'), 'PGRST100', 400)
  bad(await ada.from('tasks').select('title, persons(name'), 'PGRST100', 400)
  bad(await ada.from('tasks').insert({ title: 'x', priority: 'whenever' }), '23514', 400)
  bad(await ada.from('tasks').insert({ priority: 'low' }), '23502', 400)
  bad(await ada.from('persons').insert({ name: 'x', birthday: 'tomorrow-ish' }), '22007', 400)
  bad(await ada.from('persons').insert({ name: 'nul \u0000 inside' }), /^(22P05|22021|PGRST102)$/, 400)
})

await step('throwOnError throws what else would be returned', async () => {
  await assert.rejects(
    async () => await ada.from('person').select().throwOnError(),
    (error) => {
      assert.ok(error instanceof PostgrestError)
      assert.equal(error.code, 'PGRST205')
      assert.ok(error.hint)
      return true
    },
  )
  const { data } = await ada.from('persons').select('name').eq('name', 'Grace').throwOnError()
  assert.deepEqual(data, [{ name: 'Grace' }])
})

await step('a request can be given up, and the next one works', async () => {
  const stop = new AbortController()
  stop.abort()
  const given = await ada.from('persons').select().abortSignal(stop.signal)
  assert.match(given.error.message, /Abort/)
  good(await ada.from('persons').select())
})

await step('signing out everywhere ends every session of the account, and only that one’s', async () => {
  const phone = open()
  good(await phone.auth.signInWithPassword({ email: 'ada@example.org', password }))
  assert.equal((await ada.auth.signOut({ scope: 'global' })).error, null)
  const refused = await phone.from('persons').select()
  assert.equal(refused.status, 401)
  assert.ok(refused.error.code)
  good(await ben.from('persons').select())
})

end()

// Ada runs a DAO and Ben is a member of it, both by supabase-js: no other knowledge of the hub than its address and its
// public key.
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { end, given, good, step } from './story.mjs'

const url = given('HUB_URL')
const key = given('HUB_ANON_KEY')
const open = () => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } })
const steward = open()
const member = open()
const password = 'a long walk along the river'
const refused = (answer) => assert.ok(answer.error, `expected a refusal, got ${JSON.stringify(answer.data)}`)
let dao
let proposal

await step('two people sign up', async () => {
  good(await steward.auth.signUp({ email: 'ada@example.org', password, options: { data: { full_name: 'Ada' } } }))
  good(await member.auth.signUp({ email: 'ben@example.org', password, options: { data: { full_name: 'Ben' } } }))
})

await step('the steward founds a DAO and is its owner', async () => {
  dao = good(await steward.from('daos').insert({ name: 'Bikes', slug: 'bikes', quorum_pct: 50, pass_threshold: 50 }).select().single())
  const roles = good(await steward.from('dao_members').select('role').eq('dao_id', dao.id))
  assert.deepEqual(roles, [{ role: 'owner' }])
})

await step('what the hub counts is written by nobody', async () => {
  for (const row of [{ treasury_credits: 1000 }, { federated_ap_id: 'https://evil.example' }]) {
    refused(await steward.from('daos').update(row).eq('id', dao.id).select())
  }
})

await step('the member asks and is let in', async () => {
  const asked = good(await member.rpc('daos_join', { id: dao.id, message: 'I repair bikes.' }))
  assert.equal(asked.state, 'pending')
  const queue = good(await steward.from('dao_applications').select('id, message').eq('state', 'pending'))
  assert.equal(queue.length, 1)
  refused(await member.rpc('daos_admit', { id: queue[0].id }))
  const done = good(await steward.rpc('daos_admit', { id: queue[0].id }))
  assert.equal(done.state, 'accepted')
  assert.equal(good(await member.from('dao_members').select('id').eq('dao_id', dao.id)).length, 2)
})

await step('the member drafts a proposal and opens it', async () => {
  const draft = good(await member.from('proposals').insert({ dao_id: dao.id, title: 'Buy a pump' }).select().single())
  assert.equal(draft.status, 'draft')
  refused(await member.from('proposals').update({ votes_yes: 99 }).eq('id', draft.id).select())
  proposal = good(await member.rpc('proposals_open', { id: draft.id }))
  assert.equal(proposal.status, 'active')
  assert.equal(proposal.rules['mo:eligibleVoters'], 2)
})

await step('both vote, and the steward thinks again', async () => {
  good(await member.rpc('votes_cast', { proposal: proposal.id, choice: 'yes', rationale: 'We need it.' }))
  good(await steward.rpc('votes_cast', { proposal: proposal.id, choice: 'no' }))
  good(await steward.rpc('votes_cast', { proposal: proposal.id, choice: 'abstain' }))
  refused(await member.rpc('votes_cast', { proposal: proposal.id, choice: 'perhaps' }))
  const row = good(await member.from('proposals').select('votes_yes, votes_no, votes_abstain').eq('id', proposal.id).single())
  assert.deepEqual(row, { votes_yes: 1, votes_no: 0, votes_abstain: 1 })
  refused(await member.from('votes').insert({ proposal_id: proposal.id, choice: 'yes' }).select())
})

await step('nobody outside reads who voted how, and each reads his own', async () => {
  const own = good(await member.from('votes').select('choice').eq('proposal_id', proposal.id))
  assert.ok(own.length >= 1)
  refused(await open().from('votes').select('choice'))
})

await step('a voice is given to another member, and not to oneself', async () => {
  const { user } = good(await steward.auth.getUser())
  const given = good(await member.rpc('votes_delegate', { dao: dao.id, to: user.id }))
  assert.equal(given.to, user.id)
  refused(await steward.rpc('votes_delegate', { dao: dao.id, to: user.id }))
  good(await member.rpc('votes_delegate', { dao: dao.id }))
})

await step('the founder cannot leave, and who is no officer sends nobody away', async () => {
  refused(await steward.rpc('daos_leave', { id: dao.id }))
  const [row] = good(await steward.from('dao_members').select('id').eq('dao_id', dao.id).eq('role', 'owner'))
  refused(await member.rpc('daos_remove', { id: dao.id, member: row.id }))
})

await step('what is open is not changed any more', async () => {
  const changed = await member.from('proposals').update({ title: 'Buy two' }).eq('id', proposal.id).select()
  assert.equal(changed.data?.length ?? 0, 0)
})

await step('the steward calls it off, and the member leaves', async () => {
  refused(await member.rpc('proposals_cancel', { id: proposal.id }))
  const done = good(await steward.rpc('proposals_cancel', { id: proposal.id }))
  assert.equal(done.status, 'cancelled')
  refused(await steward.rpc('votes_cast', { proposal: proposal.id, choice: 'yes' }))
  good(await member.rpc('daos_leave', { id: dao.id }))
  assert.equal(good(await steward.from('dao_members').select('id').eq('dao_id', dao.id)).length, 1)
})

end()

// Bruno buys, through supabase-js, from somebody on another hub: he finds it among his rows, makes an offer, gets an answer, says
// how it went and takes his receipt. The seller on the other hub does her part the same way.
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { bad, end, given, good, step } from './story.mjs'

const open = (url, key) => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } })
const bruno = open(given('HUB_URL'), given('HUB_ANON_KEY'))
const alice = open(given('SELLER_URL'), given('SELLER_ANON_KEY'))

/** Look until it is so. */
async function until(what, look) {
  for (let n = 0; n < 300; n++) {
    const found = await look()
    if (found) return found
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`never: ${what}`)
}

const one = (client, table, column, value) => async () => good(await client.from(table).select().eq(column, value))[0]

await step('both sign in', async () => {
  for (const [client, name] of [[bruno, 'bruno'], [alice, 'alice']]) {
    good(await client.auth.signInWithPassword({ email: `${name}@example.org`, password: `${name} walks the dog` }))
  }
})

let sold
await step('the seller declares what she offers', async () => {
  sold = good(await alice.from('declarations').insert({
    decl_type: 'offer', title: 'A lamp', exchange_type: 'monetary', quantity: 1, price_amount: 12.5, price_currency: 'EUR',
  }).select().single(), 201)
  assert.equal(sold.status, 'active')
  assert.match(sold.federated_ap_id, /\/ap\/declarations\//)
})

await step('the buyer reads it on his hub, and cannot change it', async () => {
  const row = await until('the lamp is there', one(bruno, 'declarations', 'federated_ap_id', sold.federated_ap_id))
  assert.equal(row.title, 'A lamp')
  assert.equal(row.owner_id, null)
  assert.equal(row.price_amount, 12.5)
  const changed = await bruno.from('declarations').update({ title: 'Mine' }).eq('id', row.id).select()
  assert.deepEqual(changed.data ?? [], [])
})

await step('an offer of another price is refused before it leaves', async () => {
  const answer = await bruno.rpc('exchanges_propose', { declaration: sold.federated_ap_id, price: '1' })
  bad(answer, 'exchange.wrong_quantity', 400)
  assert.deepEqual(good(await bruno.from('exchanges').select()), [])
})

let his
await step('the buyer makes an offer', async () => {
  his = good(await bruno.rpc('exchanges_propose', { declaration: sold.federated_ap_id, terms: 'On Saturday?' }))
  assert.equal(his.status, 'proposed')
  const row = good(await bruno.from('exchanges').select().eq('id', his.id).single())
  assert.equal(row.notes, 'On Saturday?')
  assert.equal(Number(row.price), 12.5)
  assert.equal(row.price_unit, 'EUR')
})

let hers
await step('the seller finds it and would rather have other terms', async () => {
  hers = await until('the offer is there', one(alice, 'exchanges', 'notes', 'On Saturday?'))
  assert.equal(hers.status, 'proposed')
  good(await alice.rpc('exchanges_reject', { id: hers.id, reason: 'Sunday suits me', counter: { price: '10', terms: 'On Sunday' } }))
})

await step('the buyer sees them and takes them', async () => {
  const row = await until('she has answered', async () => {
    const row = await one(bruno, 'exchanges', 'id', his.id)()
    return row.status === 'rejected' && row
  })
  assert.deepEqual(row.counter, { quantity: '1', price: '10', terms: 'On Sunday' })
  his = good(await bruno.rpc('exchanges_counter', { id: his.id, terms: 'On Sunday' }))
})

await step('the seller accepts', async () => {
  hers = await until('the new offer is there', one(alice, 'exchanges', 'notes', 'On Sunday'))
  assert.equal(Number(hers.price), 10)
  good(await alice.rpc('exchanges_accept', { id: hers.id }))
})

const stands = (client, id, status) => until(`it is ${status}`, async () => {
  const row = await one(client, 'exchanges', 'id', id)()
  return row.status === status && row
})

await step('the buyer is bound by an agreement', async () => {
  const row = await stands(bruno, his.id, 'accepted')
  assert.match(row.federated_ap_id, /\/ap\/agreements\//)
  const again = await bruno.rpc('exchanges_withdraw', { id: his.id })
  bad(again, 'exchange.already_accepted', 409)
})

await step('no client writes how it stands', async () => {
  const answer = await bruno.from('exchanges').update({ status: 'completed' }).eq('id', his.id)
  assert.ok(answer.error)
  const gone = await bruno.from('exchanges').delete().eq('id', his.id).select()
  assert.deepEqual(gone.data ?? [], [])
  assert.equal((await one(bruno, 'exchanges', 'id', his.id)()).status, 'accepted')
})

await step('both say that it went well', async () => {
  good(await bruno.rpc('exchanges_confirm', { id: his.id, verdict: 'fulfilled', note: 'A fine lamp' }))
  await stands(alice, hers.id, 'in_progress')
  good(await alice.rpc('exchanges_confirm', { id: hers.id, verdict: 'fulfilled' }))
  await stands(bruno, his.id, 'completed')
  await stands(alice, hers.id, 'completed')
})

await step('the buyer takes his receipt', async () => {
  const receipt = good(await bruno.rpc('receipts_file', { id: his.id }))
  assert.deepEqual(Object.keys(receipt), ['offer', 'agreement', 'documents', 'actors'])
  assert.equal(receipt.documents.length, 2)
  assert.ok(receipt.documents.every((document) => document['mo:verdict'] === 'fulfilled'))
  assert.equal(receipt.agreement.stipulatesReciprocal.resourceQuantity.hasNumericalValue, '10.00')
})

end()

// Alice sells, through supabase-js, to somebody on another hub: a draft becomes a listing with a photo, she is asked about it, is
// made an offer, says what would do instead, accepts, says how it went, and it is sold; another one she shows longer.
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { bad, each, end, given, good, step } from './story.mjs'

const open = (url, key) => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } })
const alice = open(given('HUB_URL'), given('HUB_ANON_KEY'))
const bruno = open(given('BUYER_URL'), given('BUYER_ANON_KEY'))
const actors = { alice: given('SELLER_ACTOR'), bruno: given('BUYER_ACTOR') }

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
/** A row as it is once it is so. */
const becomes = (client, table, column, value, what, isSo) => until(what, async () => {
  const row = await one(client, table, column, value)()
  return row && isSo(row) && row
})

await step('both sign in', async () => {
  for (const [client, name] of [[alice, 'alice'], [bruno, 'bruno']]) {
    good(await client.auth.signInWithPassword({ email: `${name}@example.org`, password: `${name} walks the dog` }))
  }
})

let bike
await step('a draft stays at home', async () => {
  bike = good(await alice.from('listings').insert({
    listing_type: 'physical', title: 'Blue bike', description: 'Some *rust*, rides well.', status: 'draft', price_type: 'fixed',
    price_amount: 30, price_currency: 'EUR', tags: ['bike'], condition: 'used', place_name: 'Berlin', fulfilment: ['pickup'],
  }).select().single(), 201)
  assert.equal(bike.status, 'draft')
  assert.equal(bike.sent_at, null)
  assert.deepEqual(good(await alice.rpc('search_listings', { words: 'bike' })), [])
})

await step('what has no price cannot be published', async () => {
  const answer = await alice.from('listings').update({ status: 'active', price_amount: null }).eq('id', bike.id)
  bad(answer, 'listing.wrong_quantity', 400)
  assert.equal((await one(alice, 'listings', 'id', bike.id)()).status, 'draft')
})

await step('it is published, and read on the other hub', async () => {
  good(await alice.from('listings').update({ status: 'active' }).eq('id', bike.id).select().single())
  bike = await one(alice, 'listings', 'id', bike.id)()
  assert.ok(bike.sent_at)
  const row = await becomes(bruno, 'listings', 'federated_ap_id', bike.federated_ap_id, 'the bike is there', () => true)
  assert.equal(row.title, 'Blue bike')
  assert.equal(row.owner_id, null)
  assert.equal(row.price_amount, 30)
})

await step('a photo comes later', async () => {
  const photo = { url: 'https://media.example/bike.webp', media_type: 'image/webp', name: 'A blue bike', width: 1200, height: 900 }
  good(await alice.from('listings').update({ photos: [photo] }).eq('id', bike.id).select().single())
  const row = await becomes(bruno, 'listings', 'federated_ap_id', bike.federated_ap_id, 'the photo is there', (row) => row.photos.length === 1)
  assert.equal(row.photos[0].url, photo.url)
  assert.equal(row.photos[0].name, photo.name)
})

let his
await step('the buyer finds it among what is for sale, and cannot change it', async () => {
  const found = good(await bruno.rpc('search_listings', { words: 'bike', price_max: 50, currency: 'EUR' }))
  assert.deepEqual(each(found, 'title'), ['Blue bike'])
  const changed = await bruno.from('listings').update({ title: 'Mine' }).eq('federated_ap_id', bike.federated_ap_id).select()
  assert.deepEqual(changed.data ?? [], [])
})

await step('he asks about it, and she finds the question with the listing', async () => {
  good(await bruno.from('posts').insert({
    content: 'Does it squeak?', visibility: 'direct', recipients: [actors.alice], in_reply_to: bike.federated_ap_id,
  }).select().single(), 201)
  const asked = await until('she is asked', async () => {
    const items = good(await alice.from('inbox_items').select())
    return items.find((item) => item.metadata?.listing_id === bike.id)
  })
  assert.match(asked.subject, /Blue bike/)
  const conversation = await one(alice, 'conversations', 'listing_id', bike.id)()
  const said = good(await alice.from('messages').select().eq('conversation_id', conversation.id))
  assert.match(said[0].body, /Does it squeak/)
})

await step('she answers him alone', async () => {
  good(await alice.from('posts').insert({ content: 'Only uphill.', visibility: 'direct', recipients: [actors.bruno] }), 201)
  await until('he is answered', async () => {
    const said = good(await bruno.from('messages').select())
    return said.some((message) => message.body.includes('Only uphill'))
  })
})

let hers
await step('he makes an offer, and she would rather have other terms', async () => {
  his = good(await bruno.rpc('exchanges_propose', { listing: bike.federated_ap_id, terms: 'On Saturday?' }))
  hers = await until('the offer is there', one(alice, 'exchanges', 'notes', 'On Saturday?'))
  assert.equal(hers.status, 'proposed')
  assert.equal(hers.listing_id, bike.id)
  assert.equal(Number(hers.price), 30)
  good(await alice.rpc('exchanges_counter', { id: hers.id, price: '28.5', terms: 'On Sunday' }))
  const row = await becomes(bruno, 'exchanges', 'id', his.id, 'she has answered', (row) => row.status === 'rejected')
  assert.deepEqual(row.counter, { quantity: '1', price: '28.5', terms: 'On Sunday' })
})

await step('he takes them, she accepts, and the bike is promised on both hubs', async () => {
  his = good(await bruno.rpc('exchanges_counter', { id: his.id, terms: 'On Sunday' }))
  hers = await until('the new offer is there', one(alice, 'exchanges', 'notes', 'On Sunday'))
  assert.equal(Number(hers.price), 28.5)
  good(await alice.rpc('exchanges_accept', { id: hers.id }))
  assert.equal((await one(alice, 'listings', 'id', bike.id)()).status, 'reserved')
  await becomes(bruno, 'exchanges', 'id', his.id, 'he is bound', (row) => row.status === 'accepted')
  await becomes(bruno, 'listings', 'federated_ap_id', bike.federated_ap_id, 'it is promised', (row) => row.status === 'reserved')
  const second = await bruno.rpc('exchanges_propose', { listing: bike.federated_ap_id })
  bad(second, 'exchange.over_stock', 409)
})

await step('both say that it went well, and it is sold', async () => {
  good(await alice.rpc('exchanges_progress', { id: hers.id, progress: 'Handed over' }))
  good(await alice.rpc('exchanges_confirm', { id: hers.id, verdict: 'fulfilled' }))
  await becomes(bruno, 'exchanges', 'id', his.id, 'he hears of it', (row) => row.status === 'in_progress')
  good(await bruno.rpc('exchanges_confirm', { id: his.id, verdict: 'fulfilled' }))
  for (const [client, id] of [[alice, hers.id], [bruno, his.id]]) {
    await becomes(client, 'exchanges', 'id', id, 'it is completed', (row) => row.status === 'completed')
    await becomes(client, 'listings', 'federated_ap_id', bike.federated_ap_id, 'it is sold', (row) => row.status === 'sold')
  }
  const receipt = good(await alice.rpc('receipts_file', { id: hers.id }))
  assert.equal(receipt.agreement.stipulatesReciprocal.resourceQuantity.hasNumericalValue, '28.50')
})

await step('what is sold is not renewed, what stands is shown longer', async () => {
  bad(await alice.rpc('listings_renew', { id: bike.id }), 'listing.missing', 404)
  const soon = new Date(Date.now() + 3600_000).toISOString()
  const lamp = good(await alice.from('listings').insert({
    listing_type: 'physical', title: 'A lamp', status: 'active', price_type: 'free', expires_at: soon,
  }).select().single(), 201)
  await becomes(bruno, 'listings', 'federated_ap_id', lamp.federated_ap_id, 'the lamp is there', () => true)
  bad(await bruno.rpc('listings_renew', { id: lamp.id }), 'listing.missing', 404)
  good(await alice.rpc('listings_renew', { id: lamp.id }))
  const later = (row) => Date.parse(row.expires_at) > Date.now() + 50 * 86400_000
  await becomes(bruno, 'listings', 'federated_ap_id', lamp.federated_ap_id, 'it stands longer', later)
})

end()

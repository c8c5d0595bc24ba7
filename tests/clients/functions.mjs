// Ada's app calls the functions that Agentopia knows, through supabase-js; a service opens what she kept.
import assert from 'node:assert/strict'
import { createClient } from '@supabase/supabase-js'
import { bad, end, given, good, step } from './story.mjs'

const url = given('HUB_URL')
const open = (key) => createClient(url, key, { auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false } })
const ada = open(given('HUB_ANON_KEY'))
const ben = open(given('HUB_ANON_KEY'))
const nobody = open(given('HUB_ANON_KEY'))
const service = open(given('HUB_SERVICE_KEY'))
const password = 'a long walk along the river'
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
let adaId, vaultId, agent, task, connection, permission, teams, workspace
const steps = []

await step('Ada and Ben have accounts', async () => {
  adaId = good(await ada.auth.signUp({ email: 'ada@example.org', password })).user.id
  good(await ben.auth.signUp({ email: 'ben@example.org', password }))
})

await step('create_vault_secret gives the vault id as text', async () => {
  vaultId = good(await ada.rpc('create_vault_secret', { p_secret: 'ya29.access', p_name: 'gmail access', p_description: 'of Ada' }))
  assert.match(vaultId, uuid)
})

await step('vault_decrypt is for services', async () => {
  bad(await ada.rpc('vault_decrypt', { vault_id: vaultId }), '42501', 403)
  bad(await nobody.rpc('vault_decrypt', { vault_id: vaultId }), '42501', 401)
  assert.equal(good(await service.rpc('vault_decrypt', { vault_id: vaultId })), 'ya29.access')
})

await step('a connection names the secret, and shows no more than that', async () => {
  const provider = good(await service.from('service_providers')
    .insert({ name: 'gmail', display_name: 'Gmail', provider_type: 'oauth' }).select().single())
  connection = good(await ada.from('user_integration_credentials').insert({
    service_provider_id: provider.id, credential_type: 'oauth', connection_name: 'mail',
    vault_access_token_id: vaultId, scopes_granted: ['read', 'send'],
  }).select().single())
  assert.equal(connection.vault_access_token_id, vaultId)
  assert.ok(!JSON.stringify(connection).includes('ya29'))
})

await step('grant_agent_integration_permission gives the permission', async () => {
  agent = good(await ada.from('agents').insert({ name: 'Iris' }).select().single())
  permission = good(await ada.rpc('grant_agent_integration_permission', {
    p_agent_id: agent.id, p_connection_id: connection.id, p_allowed_scopes: ['read'], p_permission_level: 'custom',
  }))
  assert.match(permission, uuid)
})

await step('get_agent_integration_permissions is a table', async () => {
  const rows = good(await ada.rpc('get_agent_integration_permissions', { p_agent_id: agent.id }))
  assert.equal(rows.length, 1)
  assert.equal(rows[0].permission_id, permission)
  assert.deepEqual(rows[0].allowed_scopes, ['read'])
  assert.equal(rows[0].provider_name, 'gmail')
  const { data, error } = await ada.rpc('get_agent_integration_permissions', { p_agent_id: agent.id }, { get: true })
  assert.equal(error, null)
  assert.deepEqual(data, rows)
})

await step('another may neither see nor revoke it', async () => {
  bad(await ben.rpc('get_agent_integration_permissions', { p_agent_id: agent.id }), 'agent.not_found', 404)
  bad(await ben.rpc('revoke_agent_integration_permission', { p_permission_id: permission }), 'permission.not_found', 404)
})

await step('create_task_step gives the step', async () => {
  task = good(await ada.from('agent_tasks').insert({ agent_id: agent.id, name: 'report' }).select().single())
  for (const [at, name] of ['gather', 'write', 'send'].entries()) {
    steps.push(good(await ada.rpc('create_task_step', {
      p_task_id: task.id, p_step_order: at + 1, p_step_name: name, p_instructions: `${name} it`,
    })))
  }
  steps.forEach((id) => assert.match(id, uuid))
})

await step('update_task_step changes one', async () => {
  good(await ada.rpc('update_task_step', {
    p_step_id: steps[1], p_step_name: 'draft', p_instructions: 'draft it', p_include_previous_context: true,
  }))
})

await step('delete_task_step renumbers the rest', async () => {
  good(await ada.rpc('delete_task_step', { p_step_id: steps[0] }))
  const left = good(await ada.from('task_steps').select('step_order,step_name,include_previous_context').order('step_order'))
  assert.deepEqual(left, [
    { step_order: 1, step_name: 'draft', include_previous_context: true },
    { step_order: 2, step_name: 'send', include_previous_context: false },
  ])
  assert.equal(good(await ada.from('agent_tasks').select('step_count').single()).step_count, 2)
})

await step('save_team_canvas_layout keeps one layout per workspace', async () => {
  workspace = good(await ada.from('workspaces').insert({ name: 'hers' }).select().single())
  const layout = {
    p_user_id: adaId, p_workspace_id: workspace.id, p_positions: { a: { x: 1 } }, p_connections: [], p_view_settings: { zoom: 1 },
  }
  const first = good(await ada.rpc('save_team_canvas_layout', layout))
  assert.equal(good(await ada.rpc('save_team_canvas_layout', { ...layout, p_view_settings: { zoom: 3 } })), first)
  assert.deepEqual(good(await ada.from('team_canvas_layouts').select('view_settings')), [{ view_settings: { zoom: 3 } }])
  bad(await ben.rpc('save_team_canvas_layout', layout), '42501', 403)
})

await step('create_team_connection joins two teams', async () => {
  teams = good(await ada.from('teams').insert([{ name: 'one' }, { name: 'two' }]).select())
  const line = {
    p_from_team_id: teams[0].id, p_to_team_id: teams[1].id, p_connection_type: 'reports', p_created_by_user_id: adaId,
  }
  assert.match(good(await ada.rpc('create_team_connection', line)), uuid)
  bad(await ben.rpc('create_team_connection', line), '42501', 403)
})

await step('revoke_agent_integration_permission takes it back', async () => {
  good(await ada.rpc('revoke_agent_integration_permission', { p_permission_id: permission }))
  assert.deepEqual(good(await ada.rpc('get_agent_integration_permissions', { p_agent_id: agent.id })), [])
})

await step('a key is written, and written again; what is read is its vault id', async () => {
  const ids = []
  for (const api_key of ['sk-1', 'sk-2']) {
    const stored = good(await ada.from('key_store').upsert({ provider: 'openrouter', api_key }, { onConflict: 'user_id,provider' })
      .select('provider,verified,api_key').single())
    assert.equal(stored.verified, false)
    assert.match(stored.api_key, uuid)
    assert.equal(good(await service.rpc('vault_decrypt', { vault_id: stored.api_key })), api_key)
    ids.push(stored.api_key)
  }
  bad(await service.rpc('vault_decrypt', { vault_id: ids[0] }), 'vault.not_found', 404)
})

await step('the secret goes with its connection', async () => {
  good(await ada.from('user_integration_credentials').delete().eq('id', connection.id))
  bad(await service.rpc('vault_decrypt', { vault_id: vaultId }), 'vault.not_found', 404)
})

end()

// How a story is told: step by step, each printed; a step that fails says why, the story goes on, and it ends non-zero.
import assert from 'node:assert/strict'

const failed = []

/** A required setting of the surroundings. */
export function given(name) {
  const value = process.env[name]
  if (!value) {
    console.error(`${name} is not set: it comes from tests/apps, which starts a hub for this story`)
    process.exit(2)
  }
  return value
}

/** One step of the story. */
export async function step(title, tell) {
  try {
    await tell()
    console.log(`ok      ${title}`)
  } catch (error) {
    failed.push(title)
    console.log(`FAILED  ${title}`)
    console.log(String(error?.stack ?? error).replace(/^/gm, '        '))
  }
}

/** Say how it went; never returns. */
export function end() {
  if (failed.length > 0) {
    console.log(`\n${failed.length} steps failed, the first: ${failed[0]}`)
    process.exit(1)
  }
  console.log('\nThe whole story is true.')
  process.exit(0)
}

/** What came back without an error. */
export function good(answer, status) {
  assert.equal(answer.error, null, `expected no error, got ${JSON.stringify(answer.error)} (status ${answer.status})`)
  if (status !== undefined) assert.equal(answer.status, status, 'status')
  return answer.data
}

/** The error that came back, with its code and status as expected. */
export function bad(answer, code, status) {
  assert.ok(answer.error, `expected ${code}, got no error but ${JSON.stringify(answer.data)}`)
  const said = JSON.stringify(answer.error)
  if (code instanceof RegExp) assert.match(String(answer.error.code), code, said)
  else assert.equal(answer.error.code, code, said)
  if (status !== undefined) assert.equal(answer.status, status, `status of ${said}`)
  for (const part of ['message', 'details', 'hint', 'code']) assert.ok(part in answer.error, `no ${part} in ${said}`)
  return answer.error
}

/** Names of rows, for short comparisons. */
export const each = (rows, column) => rows.map((row) => row[column])

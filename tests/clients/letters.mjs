// The letters of a hub without a mail server, which lie as files in its data directory.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The letters to an address by now, the oldest first. */
export function lettersNow(folder, to) {
  let names = []
  try {
    names = readdirSync(folder).filter((name) => name.endsWith('.eml')).sort()
  } catch {
    return []
  }
  return names
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n'))
    .filter((letter) => letter.includes(`\nTo: ${to}\n`))
    .map((letter) => {
      const link = letter.match(/^https?:\/\/\S+$/m)?.[0]
      return {
        letter,
        link,
        token: link && new URL(link).searchParams.get('token'),
        code: letter.match(/: (\d{6})\n/)?.[1],
      }
    })
}

/** The last of so many letters to an address, once it is there. */
export async function letter(folder, to, count) {
  for (let tries = 0; tries < 300; tries++) {
    const found = lettersNow(folder, to)
    if (found.length >= count) return found[count - 1]
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`${lettersNow(folder, to).length} of ${count} letters to ${to}`)
}

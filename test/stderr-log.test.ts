import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'

/** Writes 200 lines, then one for each byte that it is sent; ends with its input. */
const program = `
import { stderrWriter } from '${new URL('../src/stderr-log.ts', import.meta.url).href}'
const write = stderrWriter()
const line = (kind) => JSON.stringify({ kind, text: 'x'.repeat(5_000) }) + '\\n'
for (let count = 0; count < 200; count += 1) write(line('early'))
process.stdout.write('written\\n')
process.stdin.on('data', (bytes) => { for (const byte of bytes) write(line('late')) })
process.stdin.on('end', () => process.exit(0))
`

// Node gives its children sockets; a shell makes a pipe of it.
const viaSocket = [process.execPath, '--input-type=module', '-e', program]
const viaPipe = ['/bin/sh', '-c', '{ "$0" "$@" 2>&1 >&3 | cat >&2; } 3>&1', ...viaSocket]

test.each([
  ['socket', viaSocket],
  ['pipe', viaPipe],
])(
  'a reader of a %s that stops does not block the writer, and finds whole lines and the number of lost ones',
  async (_kind, words) => {
    const child = spawn(words[0] as string, words.slice(1), { stdio: 'pipe' })
    const closed = new Promise<number | null>((resolve) => void child.once('close', resolve))
    // Nobody reads standard error until all has been written.
    await new Promise((resolve) => void child.stdout.once('data', resolve))
    let text = ''
    let late = 0
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      if (text.includes('"kind":"late"')) {
        child.stdin.end()
        return
      }
      late += 1
      child.stdin.write('.')
    })
    expect(await closed).toBe(0)
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind?: string; lines?: number })
    const lost = lines.reduce((sum, line) => sum + (line.lines ?? 0), 0)
    const arrived = lines.filter((line) => line.kind !== undefined).length
    expect(lost).toBeGreaterThan(0)
    // Lines asked for behind the first late one may have been cut by the end of the process.
    expect(arrived + lost).toBeLessThanOrEqual(200 + late)
    expect(arrived + lost).toBeGreaterThan(200)
  },
)

test('a reader that has gone does not end the writer', async () => {
  const child = spawn(viaSocket[0] as string, viaSocket.slice(1), { stdio: 'pipe' })
  child.stderr.destroy()
  const closed = new Promise<number | null>((resolve) => void child.once('close', resolve))
  await new Promise((resolve) => void child.stdout.once('data', resolve))
  child.stdin.end('.')
  expect(await closed).toBe(0)
})

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { silentLogger } from '../../src/log.ts'
import type { LogFields, Logger } from '../../src/log.ts'
import { fileSink } from '../../src/observe/file-sink.ts'
import { RelaySink, relayBatch } from '../../src/observe/relay-sink.ts'
import type { LogBatch } from '../../src/observe/relay-sink.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function recordingLogger() {
  const entries: { message: string; fields: LogFields | undefined }[] = []
  const keep = (message: string, fields?: LogFields) => void entries.push({ message, fields })
  const logger: Logger = { debug: keep, info: keep, warn: keep, error: keep }
  return { entries, logger }
}

const open = (path: string, logger: Logger = silentLogger) => fileSink({ path, clock: systemClock, logger })

describe('a file', () => {
  it('gets every batch, in order', async () => {
    const path = join(folder, 'access.log')
    const sink = open(path)
    let done = 0
    for (let i = 0; i < 50; i++) sink.write(bytes(`line ${i}\n`), 1, () => done++)
    await sink.close()
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(51)
    expect(readFileSync(path, 'utf8')).toMatch(/^line 0\nline 1\n/)
    expect(done).toBe(50)
    expect(sink.dropped).toBe(0)
  })

  it('is opened again for log rotation, without a line lost or cut', async () => {
    const path = join(folder, 'access.log')
    const sink = open(path)
    for (let i = 0; i < 20; i++) sink.write(bytes(`before ${i}\n`), 1)
    renameSync(path, `${path}.1`)
    expect(sink.reopen()).toBe(true)
    await new Promise<void>((resolve) => {
      sink.write(bytes('after\n'), 1, resolve)
    })
    sink.write(bytes('later\n'), 1)
    await sink.close()
    const both = readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8')
    expect(both.split('\n')).toHaveLength(23)
    expect(readFileSync(path, 'utf8')).toMatch(/later\n$/)
  })

  it('that cannot be opened again leaves the old one in use', async () => {
    const { entries, logger } = recordingLogger()
    const path = join(folder, 'sub.log')
    const sink = open(path, logger)
    rmSync(folder, { recursive: true })
    expect(sink.reopen()).toBe(false)
    sink.write(bytes('x\n'), 1)
    await sink.close()
    expect(sink.dropped).toBe(0)
    expect(entries[0]?.message).toBe('cannot reopen the access log')
    folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  })

  it('takes a bounded amount; the rest is dropped, counted and reported', async () => {
    const { entries, logger } = recordingLogger()
    const path = join(folder, 'access.log')
    const sink = open(path, logger)
    const text = `${'x'.repeat(99_999)}\n`
    for (let i = 0; i < 15; i++) sink.write(bytes(text), 1)
    expect(sink.dropped).toBe(5)
    await sink.close()
    expect(readFileSync(path).byteLength).toBe(1_000_000)
    expect(entries).toContainEqual({ message: 'access log lines dropped', fields: { lines: 5, total: 5 } })
  })

  it('on a full disk drops and goes on', async () => {
    const sink = open('/dev/full')
    await new Promise<void>((resolve) => {
      sink.write(bytes('a\n'), 1, resolve)
    })
    await new Promise<void>((resolve) => {
      sink.write(bytes('b\n'), 1, resolve)
    })
    await sink.close()
    expect(sink.dropped).toBe(2)
  })

  it('after its end takes nothing', async () => {
    const sink = open(join(folder, 'access.log'))
    await sink.close()
    sink.write(bytes('x\n'), 1)
    expect(sink.dropped).toBe(1)
  })
})

const program = (body: string) => `
    import { fileSink } from ${JSON.stringify(join(import.meta.dirname, '../../src/observe/file-sink.ts'))}
    import { systemClock } from ${JSON.stringify(join(import.meta.dirname, '../../src/clock.ts'))}
    const bytes = (text) => new TextEncoder().encode(text)
    const say = (message, fields) => process.stderr.write(message + ' ' + JSON.stringify(fields) + '\\n')
    const logger = { debug: say, info: say, warn: say, error: say }
    const sink = fileSink({ path: '-', clock: systemClock, logger })
    ${body}`

describe('standard output', () => {
  it('gets the lines', () => {
    const source = program(`sink.write(bytes('hello\\n'), 1); await sink.close()`)
    expect(execFileSync('node', ['--input-type=module', '-e', source], { encoding: 'utf8' })).toBe('hello\n')
  })

  it.each([
    ['a socket', '{ node --input-type=module -e "$SOURCE"; echo gone >&2; }'],
    ['a pipe', '{ node --input-type=module -e "$SOURCE"; echo gone >&2; } | sleep 30'],
  ])('that is %s nobody reads holds up neither the process nor its exit', async (_kind, shell) => {
    const source = program(`
      for (let i = 0; i < 30; i++) sink.write(bytes('x'.repeat(99_999) + '\\n'), 1)
      setTimeout(async () => { await sink.close(); say('dropped', { lines: sink.dropped }); process.exit(0) }, 50)`)
    const env = { ...process.env, SOURCE: source }
    // Its own process group, so that the sleeping reader can be ended with it.
    const child = spawn('sh', ['-c', shell], { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true })
    child.stdout.pause()
    const said = await new Promise<string>((resolve) => {
      let text = ''
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes('gone')) resolve(text)
      })
    })
    expect(said).toMatch(/dropped \{"lines":(2\d|30)\}/)
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  })

  it('whose reader has gone is given up with one entry in the runtime log', async () => {
    const source = program(`
      setTimeout(() => sink.write(bytes('one\\n'), 1), 300)
      setTimeout(async () => { sink.write(bytes('two\\n'), 1); await sink.close(); process.exit(0) }, 400)`)
    const child = spawn('node', ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const code = await new Promise((resolve) => child.on('exit', resolve))
    expect(code).toBe(0)
    expect(said.match(/access log cannot be written/g)).toHaveLength(1)
    expect(said).toContain('access log lines dropped {"lines":2')
  })
})

describe('the way from a worker to the main thread', () => {
  it('lets 1 MiB be on its way, and more once that is acknowledged', () => {
    const posted: LogBatch[] = []
    const relay = new RelaySink((batch) => void posted.push(batch))
    const text = 'x'.repeat(65_536)
    for (let i = 0; i < 20; i++) relay.write(bytes(text), 10)
    expect(posted).toHaveLength(16)
    expect(relay.dropped).toBe(40)
    relay.acknowledge(65_536)
    relay.write(bytes(text), 10)
    expect(posted.at(-1)).toMatchObject({ lines: 10, dropped: 40 })
    relay.acknowledge(65_536)
    relay.write(bytes(text), 10)
    expect(posted.at(-1)).toMatchObject({ dropped: 0 })
  })

  it('ends when all is acknowledged', async () => {
    const relay = new RelaySink(() => {})
    await relay.close()
    relay.write(bytes('abc'), 1)
    let closed = false
    const closing = relay.close().then(() => (closed = true))
    await Promise.resolve()
    expect(closed).toBe(false)
    relay.acknowledge(3)
    await closing
  })

  it('writes a batch, acknowledges its size, and counts what the worker dropped', async () => {
    const path = join(folder, 'access.log')
    const sink = fileSink({ path, clock: systemClock, logger: silentLogger })
    const size = await new Promise((resolve) =>
      relayBatch({ bytes: bytes('abc\n'), lines: 1, dropped: 7 }, sink, resolve),
    )
    expect(size).toBe(4)
    expect(sink.dropped).toBe(7)
    await sink.close()
    expect(readFileSync(path, 'utf8')).toBe('abc\n')
  })
})

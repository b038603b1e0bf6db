import { readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { startOrigin, type TestOrigin } from '../support/demo-origin.ts'
import { testDefaults } from '../support/gateway.ts'
import { configFolder, runSluice, type SluiceProcess, startedAt } from '../support/gateway-process.ts'
import { ask } from '../support/https-client.ts'

let origin: TestOrigin
const cleanups: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  origin = await startOrigin()
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
  await origin.stop()
})

/** Runs verbs in a folder of their own, so that no configuration of the checkout is found. */
async function inFolder(config: Partial<GatewayConfig> | string): Promise<{
  readonly folder: string
  readonly file: string
  readonly sluice: (...words: string[]) => SluiceProcess
}> {
  const { folder, file, remove } = await configFolder(config)
  cleanups.push(remove)
  return {
    folder,
    file,
    sluice: (...words) => {
      const started = runSluice(words, { cwd: folder })
      cleanups.unshift(() => {
        started.child.kill('SIGKILL')
        return started.exit
      })
      return started
    },
  }
}

function toOrigin(): Partial<GatewayConfig> {
  return { upstreams: { app: { endpoints: [origin.url] } } }
}

/** Asks, and waits until the origin works on it. */
async function underWay(url: string): Promise<{ readonly answer: ReturnType<typeof ask> }> {
  const asked = origin.asked('/slow')
  const answer = ask(url)
  answer.catch(() => {})
  await asked
  return { answer }
}

test('check says ok, and tells every fault with its place and exit code 1', async () => {
  const good = await inFolder(toOrigin())
  const ok = good.sluice('check')
  expect(await ok.exit).toBe(0)
  expect(ok.out()).toMatch(/sluice\.config\.json: ok \(1 routes, 1 upstreams, 2 listeners\)/)
  const bad = await inFolder('{\n  "upstrems": {},\n  "workers": 0,\n  "routes": [{ "proxy": "app" }]\n}')
  const failed = bad.sluice('-t')
  expect(await failed.exit).toBe(1)
  const lines = failed.error().trim().split('\n')
  expect(lines.length).toBe(3)
  expect(failed.error()).toMatch(/sluice\.config\.json:2:\d+: .*upstrems.*did you mean "upstreams"/)
  expect(failed.error()).toMatch(/sluice\.config\.json:3:\d+: workers: /)
})

test('run with a bad configuration tells every fault and exits with 1', async () => {
  const { sluice } = await inFolder('{ "upstrems": {}, "workers": 0 }')
  const run = sluice('run')
  expect(await run.exit).toBe(1)
  expect(run.error()).toMatch(/upstrems/)
  expect(run.error()).toMatch(/workers/)
  expect(run.error()).not.toMatch(/\n {4}at /)
})

test('run without a configuration says so in one line and exits with 1', async () => {
  const { file, folder, sluice } = await inFolder('{}')
  await rename(file, join(folder, 'other.json'))
  const run = sluice('run')
  expect(await run.exit).toBe(1)
  expect(run.error().trim().split('\n').length).toBe(1)
})

test('a port in use is one clear line and exit code 1', async () => {
  const busy = createServer()
  await new Promise<void>((resolve) => void busy.listen(0, '127.0.0.1', resolve))
  const { port } = busy.address() as AddressInfo
  const { sluice } = await inFolder({
    ...toOrigin(),
    listeners: [{ address: `127.0.0.1:${port}`, tls: true }],
  })
  const run = sluice('run')
  expect(await run.exit).toBe(1)
  expect(run.error()).toBe(`sluice: cannot listen on 127.0.0.1:${port}: the address is already in use\n`)
  busy.close()
})

test('a port that another gateway has is one too, although both could share it', async () => {
  const first = await inFolder(toOrigin())
  const { ports } = await startedAt(first.sluice('run'))
  const second = await inFolder({
    ...toOrigin(),
    listeners: [{ address: `127.0.0.1:${ports[0]}`, tls: true }],
  })
  const run = second.sluice('run')
  expect(await run.exit).toBe(1)
  expect(run.error()).toBe(`sluice: cannot listen on 127.0.0.1:${ports[0]}: the address is already in use\n`)
})

test('an unreadable key is one clear line and exit code 1', async () => {
  const { file, sluice } = await inFolder({
    ...toOrigin(),
    tls: { certificates: [{ cert: 'missing.pem', key: 'missing.key' }] },
  })
  for (const verb of ['run', 'check']) {
    const run = sluice(verb, '-c', file)
    expect(await run.exit).toBe(1)
    expect(run.error()).toMatch(/^sluice: .*missing\.pem: cannot be read: .*\n$/)
  }
})

test('TERM lets a request that is under way finish, and exits with 0', async () => {
  const { sluice } = await inFolder(toOrigin())
  const run = sluice('run')
  const { ports } = await startedAt(run)
  const { answer } = await underWay(`https://127.0.0.1:${ports[0]}/slow?ms=1000`)
  run.child.kill('SIGTERM')
  await run.saw('gateway stops')
  await vi.waitFor(() =>
    expect(ask(`https://127.0.0.1:${ports[0]}/api/time`)).rejects.toThrow('ECONNREFUSED'),
  )
  expect((await answer).status).toBe(200)
  expect(await run.exit).toBe(0)
  const lines = run.out().trim().split('\n')
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ path: '/slow', status: 200, outcome: 'complete' })
})

test('a request that outlasts the drain is cut, and the exit code is 3', async () => {
  const { sluice } = await inFolder({ ...toOrigin(), timeouts: { drain: '300ms' } })
  const run = sluice('run')
  const { ports } = await startedAt(run)
  const { answer } = await underWay(`https://127.0.0.1:${ports[0]}/slow?ms=30000`)
  run.child.kill('SIGINT')
  await expect(answer).rejects.toThrow()
  expect(await run.exit).toBe(3)
  expect(run.error()).toMatch(/"requests were cut at the deadline","requests":1/)
})

test('a second signal ends the process at once with 2', async () => {
  const { sluice } = await inFolder({ ...toOrigin(), timeouts: { drain: '60s' } })
  const run = sluice('run')
  const { ports } = await startedAt(run)
  await underWay(`https://127.0.0.1:${ports[0]}/slow?ms=30000`)
  run.child.kill('SIGTERM')
  // The same signal twice is what npm makes of one Ctrl-C.
  run.child.kill('SIGINT')
  await run.saw('gateway stops')
  expect(run.child.exitCode).toBe(null)
  const insist = setInterval(() => run.child.kill('SIGTERM'), 50)
  expect(await run.exit).toBe(2)
  clearInterval(insist)
})

test('readyz turns to 503 when the drain begins, while livez stays', async () => {
  const { sluice } = await inFolder({ ...toOrigin(), admin: { address: '127.0.0.1:0' } })
  const run = sluice('run')
  const { ports, admin } = await startedAt(run)
  expect((await ask(`http://${admin}/readyz`)).status).toBe(200)
  const { answer } = await underWay(`https://127.0.0.1:${ports[0]}/slow?ms=1000`)
  run.child.kill('SIGTERM')
  await run.saw('gateway stops')
  expect((await ask(`http://${admin}/readyz`)).status).toBe(503)
  expect((await ask(`http://${admin}/livez`)).status).toBe(200)
  expect((await answer).status).toBe(200)
  expect(await run.exit).toBe(0)
})

test('HUP and "sluice reload" load the configuration again; a bad one keeps the old and is told', async () => {
  const respond = (body: string): Partial<GatewayConfig> => ({
    routes: [{ match: { path: '/*' }, respond: { status: 200, body } }],
  })
  const { file, sluice } = await inFolder({ ...respond('one'), admin: { address: '127.0.0.1:0' } })
  const run = sluice('run')
  const { ports, admin } = await startedAt(run)
  const body = async (): Promise<string> => (await ask(`https://127.0.0.1:${ports[0]}/`)).body
  const put = (config: object): Promise<void> =>
    writeFile(file, JSON.stringify({ ...testDefaults(), admin: { address: '127.0.0.1:0' }, ...config }))
  expect(await body()).toBe('one')

  await put(respond('two'))
  run.child.kill('SIGHUP')
  await run.saw('configuration reloaded')
  expect(await body()).toBe('two')

  await put(respond('three'))
  const reload = sluice('reload', '--admin', admin)
  expect(await reload.exit).toBe(0)
  expect(reload.out()).toBe('reloaded\n')
  expect(await body()).toBe('three')

  await put({ rutes: [] })
  const failed = sluice('reload', '--admin', admin)
  expect(await failed.exit).toBe(1)
  expect(failed.error()).toMatch(/"rutes", did you mean "routes"/)
  expect(await body()).toBe('three')
})

test('reload says in one line that nobody listens', async () => {
  const { sluice } = await inFolder({ ...toOrigin(), admin: { address: 'unix:nobody.sock' } })
  const reload = sluice('reload')
  expect(await reload.exit).toBe(1)
  expect(reload.error()).toMatch(/^sluice: cannot reach the gateway at unix:.*nobody\.sock: .*ENOENT.*\n$/)
})

test('a closed access log does not stall the gateway', async () => {
  const { sluice } = await inFolder(toOrigin())
  const run = sluice('run')
  const { ports } = await startedAt(run)
  run.child.stdout?.destroy()
  for (let count = 0; count < 30; count += 1) {
    expect((await ask(`http://127.0.0.1:${ports[1]}/api/time`)).status).toBe(200)
  }
  await run.saw('access log cannot be written')
  expect((await ask(`http://127.0.0.1:${ports[1]}/api/time`)).status).toBe(200)
  run.child.kill('SIGTERM')
  expect(await run.exit).toBe(0)
})

test('USR1 opens the access log again after it was moved away', async () => {
  const { folder, sluice } = await inFolder({ ...toOrigin(), accessLog: { path: 'access.log' } })
  const run = sluice('run')
  const { ports } = await startedAt(run)
  const log = join(folder, 'access.log')
  await ask(`http://127.0.0.1:${ports[1]}/before`)
  await vi.waitFor(async () => expect(await readFile(log, 'utf8')).toMatch('/before'))
  await rename(log, `${log}.1`)
  run.child.kill('SIGUSR1')
  await vi.waitFor(() => readFile(log, 'utf8'))
  await ask(`http://127.0.0.1:${ports[1]}/after`)
  await vi.waitFor(async () => expect(await readFile(log, 'utf8')).toMatch('/after'))
  expect(await readFile(`${log}.1`, 'utf8')).not.toMatch('/after')
})

test('version, help and nonsense', async () => {
  const { sluice } = await inFolder('{}')
  const version = sluice('version')
  expect(await version.exit).toBe(0)
  expect(version.out()).toMatch(/^sluice \d+\.\d+\.\d+ \(node \d+/)
  const help = sluice('help')
  expect(await help.exit).toBe(0)
  expect(help.out()).toMatch(/Usage/)
  const nonsense = sluice('rnu')
  expect(await nonsense.exit).toBe(1)
  expect(nonsense.error()).toBe('sluice: unknown command "rnu"; "sluice help" lists them\n')
})

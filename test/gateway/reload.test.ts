import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { startOrigin, type TestOrigin } from '../support/demo-origin.ts'
import { startTestGateway, testDefaults, type TestGateway } from '../support/gateway.ts'
import { ask } from '../support/https-client.ts'

let origin: TestOrigin
let folder: string
let file: string
let running: TestGateway | undefined

beforeEach(async () => {
  origin = await startOrigin()
  folder = await mkdtemp(join(tmpdir(), 'sluice-reload-'))
  file = join(folder, 'gateway.json')
})

afterEach(async () => {
  await running?.stop()
  running = undefined
  await origin.stop()
  await rm(folder, { recursive: true })
})

function write(config: Partial<GatewayConfig>): Promise<void> {
  return writeFile(file, JSON.stringify({ ...testDefaults(), ...config }))
}

async function start(config: Partial<GatewayConfig>): Promise<TestGateway> {
  await write(config)
  running = await startTestGateway({}, { source: { kind: 'file', path: file } })
  return running
}

/** A plan that says its own name, beside the origin. */
function named(name: string): Partial<GatewayConfig> {
  return {
    upstreams: { app: { endpoints: [origin.url] } },
    routes: [
      { match: { path: '/name' }, respond: { status: 200, body: name } },
      { match: { path: '/*' }, proxy: 'app' },
    ],
  }
}

test('a reload under load loses no request and no connection', async () => {
  const { gateway, url } = await start({ ...named('0'), workers: 2 })
  const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false })
  const load = new AbortController()
  let served = 0
  const failures: unknown[] = []
  const client = async (): Promise<void> => {
    while (!load.signal.aborted) {
      try {
        const status = await askWith(agent, `${url}/api/time`)
        if (status !== 200) failures.push(status)
        served += 1
      } catch (error) {
        failures.push(error)
      }
    }
  }
  const clients = Array.from({ length: 8 }, client)
  for (let generation = 1; generation <= 4; generation += 1) {
    await write({ ...named(String(generation)), workers: 2 })
    expect(await gateway.reload()).toEqual({ kind: 'reloaded', warnings: [] })
    expect((await ask(`${url}/name`)).body).toBe(String(generation))
  }
  load.abort()
  await Promise.all(clients)
  agent.destroy()
  expect(failures).toEqual([])
  expect(served).toBeGreaterThan(20)
})

test('a WebSocket and a slow request live through a reload that changes their upstream', async () => {
  const { gateway, url } = await start(named('old'))
  const socket = new WebSocket(`${url.replace('https', 'wss')}/ws`, { rejectUnauthorized: false })
  await new Promise((resolve) => void socket.once('open', resolve))
  const asked = origin.asked('/slow')
  const slow = ask(`${url}/slow?ms=1000`)
  await asked
  await write({
    ...named('new'),
    upstreams: { app: { endpoints: [origin.url], maxConnections: 3 } },
    timeouts: { idle: '45s', drain: '2s' },
  })
  expect((await gateway.reload()).kind).toBe('reloaded')
  const echoed = new Promise<string>(
    (resolve) => void socket.once('message', (data: Buffer) => resolve(data.toString())),
  )
  socket.send('still here')
  expect(await echoed).toBe('still here')
  expect((await slow).status).toBe(200)
  expect((await ask(`${url}/name`)).body).toBe('new')
  socket.terminate()
})

test('a bad configuration is refused with every fault, and the old one stays', async () => {
  const { gateway, url } = await start(named('old'))
  await writeFile(file, '{ "upstrems": {}, "workers": "many" }')
  const result = await gateway.reload()
  expect(result.kind).toBe('refused')
  expect(result).toHaveProperty('faults')
  if (result.kind !== 'reloaded') {
    expect(result.faults.join('\n')).toMatch(/upstrems/)
    expect(result.faults.join('\n')).toMatch(/workers/)
  }
  expect((await ask(`${url}/name`)).body).toBe('old')
})

test('a listener that cannot be opened fails the reload everywhere, and the old configuration stays', async () => {
  const { gateway, url, port } = await start(named('old'))
  const other = await startTestGateway(named('other'))
  await write({
    ...named('new'),
    listeners: [{ address: '127.0.0.1:0', tls: true }, { address: `127.0.0.1:${other.plainPort}` }],
  })
  const result = await gateway.reload()
  await other.stop()
  expect(result).toEqual({
    kind: 'failed',
    faults: [`cannot listen on 127.0.0.1:${other.plainPort}: the address is already in use`],
  })
  expect((await ask(`${url}/name`)).body).toBe('old')
  await write(named('fixed'))
  expect((await gateway.reload()).kind).toBe('reloaded')
  expect((await ask(`https://127.0.0.1:${port}/name`)).body).toBe('fixed')
  expect((await ask(`https://127.0.0.1:${port}/api/time`)).status).toBe(200)
})

test('listeners come and go with a reload', async () => {
  const { gateway, port, plainUrl } = await start(named('one'))
  const path = join(folder, 'gateway.sock')
  await write({
    ...named('two'),
    listeners: [{ address: '127.0.0.1:0', tls: true }, { address: `unix:${path}` }],
  })
  expect((await gateway.reload()).kind).toBe('reloaded')
  expect(gateway.addresses.map(({ address }) => address)).toEqual([
    { kind: 'tcp', host: '127.0.0.1', port },
    { kind: 'unix', path },
  ])
  await expect(ask(`${plainUrl}/name`)).rejects.toThrow('ECONNREFUSED')
  expect((await ask(`https://127.0.0.1:${port}/name`)).body).toBe('two')
})

test('what a reload cannot change is said', async () => {
  const { gateway } = await start(named('one'))
  await write({ ...named('one'), workers: 3 })
  expect(await gateway.reload()).toEqual({
    kind: 'reloaded',
    warnings: ['workers: the new number needs a restart'],
  })
})

test('reloads that come together are served by one after the running one', async () => {
  const { gateway, log } = await start(named('one'))
  await Promise.all([gateway.reload(), gateway.reload(), gateway.reload(), gateway.reload()])
  expect(log.filter((line) => line.message === 'configuration reloaded').length).toBe(2)
})

function askWith(agent: Agent, url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (response) => {
      response.on('error', reject)
      response.on('end', () => resolve(response.statusCode ?? 0))
      response.resume()
    })
    sent.on('error', reject)
    sent.end()
  })
}

import { mkdtemp, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askAdmin } from '../../src/admin/client.ts'
import type { AdminTarget, Readiness, ReloadResult } from '../../src/admin/routes.ts'
import { type AdminServer, openAdmin } from '../../src/admin/server.ts'
import { silentLogger } from '../../src/log.ts'
import { parseListenAddress } from '../../src/net-address.ts'
import { ask } from '../support/https-client.ts'

let server: AdminServer
let readiness: Readiness
let result: ReloadResult
let reloads: number

const target: AdminTarget = {
  version: '1.2.3',
  readiness: () => readiness,
  reload: () => {
    reloads += 1
    return Promise.resolve(result)
  },
  trace: (id) => Promise.resolve(id === 'known' ? { id } : undefined),
  upstreams: () => Promise.reject(new Error('workers are gone')),
}

beforeEach(async () => {
  readiness = { state: 'ready', workers: 2, serving: 2 }
  result = { kind: 'reloaded', warnings: ['careful'] }
  reloads = 0
  server = await openAdmin({ kind: 'tcp', host: '127.0.0.1', port: 0 }, target, silentLogger)
})

afterEach(() => server.close())

test.each([
  ['GET', '/livez', 200, { status: 'ok' }],
  ['GET', '/version', 200, { version: '1.2.3' }],
  ['GET', '/trace/known', 200, { id: 'known' }],
  ['GET', '/trace/unknown', 404, {}],
  ['GET', '/trace/', 400, {}],
  ['GET', '/trace/a%20b', 400, {}],
  ['GET', '/nothing', 404, {}],
  ['GET', '/livez/more', 404, {}],
  ['GET', '/reload', 405, {}],
  ['POST', '/livez', 405, {}],
  ['DELETE', '/trace/known', 405, {}],
  ['GET', '/upstreams', 500, { error: 'internal error' }],
  ['POST', '/reload?now', 200, { status: 'reloaded', warnings: ['careful'] }],
] as const)('%s %s answers %i', async (method, path, status, body) => {
  const answer = await ask(`http://${server.address}${path}`, { method })
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(JSON.parse(answer.body)).toMatchObject(body)
  expect(reloads).toBe(method === 'POST' && path.startsWith('/reload') ? 1 : 0)
})

test.each<[Readiness, number]>([
  [{ state: 'ready', workers: 2, serving: 1 }, 200],
  [{ state: 'ready', workers: 2, serving: 0 }, 503],
  [{ state: 'starting', workers: 2, serving: 1 }, 503],
  [{ state: 'draining', workers: 2, serving: 2 }, 503],
])('readyz of %j answers %i', async (state, status) => {
  readiness = state
  expect((await ask(`http://${server.address}/readyz`)).status).toBe(status)
})

test.each<[ReloadResult, number]>([
  [{ kind: 'refused', faults: ['routes: wrong'] }, 400],
  [{ kind: 'failed', faults: ['port in use'] }, 500],
])('a reload that is %j answers %i', async (outcome, status) => {
  result = outcome
  const answer = await ask(`http://${server.address}/reload`, { method: 'POST' })
  expect(answer.status).toBe(status)
  expect(JSON.parse(answer.body)).toMatchObject({ faults: outcome.kind === 'reloaded' ? [] : outcome.faults })
})

test('a page of another site can neither read nor reload', async () => {
  const rebound = await ask(`http://${server.address}/version`, { headers: { Host: 'evil.example' } })
  expect(rebound.status).toBe(403)
  const forged = await ask(`http://${server.address}/reload`, {
    method: 'POST',
    headers: { Origin: 'http://evil.example' },
  })
  expect(forged.status).toBe(403)
  expect(reloads).toBe(0)
})

test('HEAD gets the head only', async () => {
  const answer = await ask(`http://${server.address}/livez`, { method: 'HEAD' })
  expect(answer).toMatchObject({ status: 200, body: '' })
})

test('a request body is not read, and ends the connection', async () => {
  const answer = await ask(`http://${server.address}/reload`, { method: 'POST', body: 'x'.repeat(1000) })
  expect(answer.status).toBe(200)
  expect(answer.headers.connection).toBe('close')
})

test('listens on a unix socket, in place of one that a dead process left, and takes it away again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-admin-'))
  const path = join(folder, 'admin.sock')
  const address = parseListenAddress(`unix:${path}`)
  if (address === undefined) throw new Error('no address')
  const first = await openAdmin(address, target, silentLogger)
  await expect(openAdmin(address, target, silentLogger)).rejects.toThrow('EADDRINUSE')
  expect(await askAdmin(address, 'GET', '/livez')).toEqual({ status: 200, body: { status: 'ok' } })
  await first.close()
  await expect(stat(path)).rejects.toThrow('ENOENT')
  await rm(folder, { recursive: true })
})

test('the client refuses an answer that is no admin endpoint, and gives up in time', async () => {
  const other = createServer((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'))
  await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve))
  const bound = other.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  await expect(askAdmin({ kind: 'tcp', host: '127.0.0.1', port }, 'GET', '/')).rejects.toThrow('not JSON')
  other.close()
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve))
  const where = silent.address()
  const silentPort = typeof where === 'object' && where !== null ? where.port : 0
  await expect(
    askAdmin({ kind: 'tcp', host: '127.0.0.1', port: silentPort }, 'GET', '/', 50),
  ).rejects.toThrow(/timeout|abort/i)
  silent.close()
})

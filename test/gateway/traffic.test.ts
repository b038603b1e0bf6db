import { get } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startOrigin, type TestOrigin } from '../support/demo-origin.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { ask, askHttp2 } from '../support/https-client.ts'

let origin: TestOrigin
let running: TestGateway

beforeAll(async () => {
  origin = await startOrigin()
  running = await startTestGateway({
    workers: 2,
    listeners: [
      { address: '127.0.0.1:0', tls: true },
      { address: '127.0.0.1:0', redirectToHttps: true },
    ],
    upstreams: { app: { endpoints: [origin.url] } },
    admin: { address: '127.0.0.1:0' },
  })
})

afterAll(async () => {
  await running?.stop()
  await origin?.stop()
})

interface Echo {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

test.each([
  ['HTTP/1.1', ask],
  ['HTTP/2', askHttp2],
] as const)('carries a request with its body to the origin and back over %s', async (_name, send) => {
  const answer = await send(`${running.url}/api/echo?a=1`, { method: 'POST', body: 'hello' })
  expect(answer.status).toBe(200)
  const seen = JSON.parse(answer.body) as Echo
  expect(seen).toMatchObject({ method: 'POST', target: '/api/echo?a=1', body: 'hello' })
  expect(seen.headers).toMatchObject({
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-request-id': answer.headers['x-request-id'],
  })
})

test('carries a WebSocket through TLS', async () => {
  const socket = new WebSocket(`${running.url.replace('https', 'wss')}/ws`, { rejectUnauthorized: false })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', reject)
  })
  const echoed = new Promise<string>((resolve) => {
    socket.once('message', (data: Buffer) => resolve(data.toString()))
  })
  socket.send('over the edge')
  expect(await echoed).toBe('over the edge')
  const closed = new Promise<number>((resolve) => void socket.once('close', resolve))
  socket.close(1000)
  expect(await closed).toBe(1000)
})

test('passes server-sent events on at once', async () => {
  const first = await new Promise<string>((resolve, reject) => {
    const request = get(`${running.url}/events`, { agent: false, rejectUnauthorized: false }, (response) => {
      response.on('error', () => {})
      response.once('data', (piece: Buffer) => {
        resolve(piece.toString())
        request.destroy()
      })
    })
    request.on('error', reject)
  })
  expect(first).toMatch(/^id: 1\ndata: event 1 at /)
})

test('redirects the plain listener to the port of the TLS one', async () => {
  const answer = await ask(`${running.plainUrl}/a?b=c`)
  expect(answer.status).toBe(308)
  expect(answer.headers.location).toBe(`https://127.0.0.1:${running.port}/a?b=c`)
  expect(answer.headers['x-request-id']).toMatch(/^[A-Za-z0-9._-]+$/)
})

test('reads a trace back by request id, whichever worker has it', async () => {
  const answer = await ask(`${running.url}/api/time`)
  const id = answer.headers['x-request-id'] as string
  const found = await ask(`http://${running.gateway.adminAddress}/trace/${id}`)
  expect(found.status).toBe(200)
  const trace = JSON.parse(found.body) as { id: string; entries: { stage: string }[] }
  expect(trace.id).toBe(id)
  expect(trace.entries.map((entry) => entry.stage)).toEqual(expect.arrayContaining(['guard', 'route']))
  expect((await ask(`http://${running.gateway.adminAddress}/trace/nobody`)).status).toBe(404)
})

test('counts what workers have open to endpoints', async () => {
  const answer = await ask(`http://${running.gateway.adminAddress}/upstreams`)
  const { workers } = JSON.parse(answer.body) as { workers: { upstreams: { upstream: string }[] }[] }
  expect(workers.map((worker) => worker.upstreams[0]?.upstream)).toEqual(['app', 'app'])
})

test('shows an answer that the origin cut as cut, and one that failed as it came', async () => {
  await expect(ask(`${running.url}/fail?cut=1`)).rejects.toThrow(/aborted|socket hang up|ECONNRESET/)
  expect((await ask(`${running.url}/fail?status=503`)).status).toBe(503)
})

import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { type Demo, demoHints, startDemo } from '../../src/demo/demo.ts'
import { ask } from '../support/https-client.ts'

let demo: Demo

beforeAll(async () => {
  demo = await startDemo()
})

afterAll(() => demo.stop())

test.each([
  ['/', 200, /^<!doctype html>/],
  ['/api/time', 200, /"time": "\d{4}-/],
  ['/slow?ms=1', 200, /slept/],
  ['/fail?status=418', 418, /418/],
  ['/fail?status=99', 400, /200 to 599/],
  ['/fail?status=204', 204, /^$/],
  ['/nothing', 404, /no such page/],
])('%s answers %i', async (path, status, body) => {
  const answer = await ask(demo.url + path)
  expect(answer.status).toBe(status)
  expect(answer.body).toMatch(body)
})

test('makes a body of any length', async () => {
  expect((await ask(`${demo.url}/large?bytes=200000`)).body.length).toBe(200_000)
})

test('echoes what it was sent, up to 1 MiB', async () => {
  const answer = await ask(`${demo.url}/api/echo`, { method: 'PUT', body: 'hello' })
  expect(JSON.parse(answer.body)).toMatchObject({ method: 'PUT', target: '/api/echo', body: 'hello' })
  expect((await ask(`${demo.url}/api/echo`, { method: 'POST', body: 'x'.repeat(1_048_577) })).status).toBe(
    413,
  )
})

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`${demo.url.replace('http', 'ws')}/ws`)
  await new Promise((resolve) => void socket.once('open', resolve))
  return socket
}

function next(socket: WebSocket): Promise<{ text: string; isBinary: boolean }> {
  return new Promise((resolve) => {
    socket.once('message', (data: Buffer, isBinary: boolean) =>
      resolve({ text: data.toString('latin1'), isBinary }),
    )
  })
}

test.each([0, 1, 125, 126, 65_535, 65_536, 1_048_576])(
  'echoes a WebSocket message of %i bytes',
  async (length) => {
    const socket = await open()
    const echoed = next(socket)
    const text = 'x'.repeat(length)
    socket.send(Buffer.from(text), { binary: true })
    expect(await echoed).toEqual({ text, isBinary: true })
    socket.terminate()
  },
)

test('puts a message of several frames together, with a ping in between', async () => {
  const socket = await open()
  const echoed = next(socket)
  const pong = new Promise<string>(
    (resolve) => void socket.once('pong', (data: Buffer) => resolve(data.toString())),
  )
  socket.send('one ', { fin: false })
  socket.ping('are you there')
  socket.send('two', { fin: true })
  expect(await pong).toBe('are you there')
  expect(await echoed).toEqual({ text: 'one two', isBinary: false })
  socket.terminate()
})

test.each([
  ['a message beyond 1 MiB', (socket: WebSocket) => socket.send(Buffer.alloc(1_048_577)), 1009],
  ['text that is no UTF-8', (socket: WebSocket) => socket.send(Buffer.from([0xff]), { binary: false }), 1007],
  ['a frame without a mask', (socket: WebSocket) => socket.send('x', { mask: false }), 1002],
  ['a goodbye', (socket: WebSocket) => socket.close(3001), 3001],
])('closes for %s', async (_what, send, code) => {
  const socket = await open()
  const closed = new Promise<number>((resolve) => void socket.once('close', resolve))
  socket.on('error', () => {})
  send(socket)
  expect(await closed).toBe(code)
})

test('tells what to try', () => {
  expect(demoHints('https://localhost:8443').join('\n')).toMatch('wss://localhost:8443/ws')
})

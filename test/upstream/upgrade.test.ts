import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { ClientClosedError, toGatewayError, type GatewayError } from '../../src/errors.ts'
import type { GatewayResponse } from '../../src/exchange.ts'
import type { UpstreamOptions } from '../../src/upstream/options.ts'
import { headerOf, RawOrigin, type Script } from '../support/raw-origin.ts'
import { openRoom, readBody, type Room, type Sent, until } from './harness.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Front {
  readonly port: number
  readonly room: Room
  readonly sent: Sent[]
  readonly answers: (GatewayResponse | GatewayError)[]
}

/** What an engine does with an upgrade, in small: answers that are not detached are written out and end the connection. */
async function front(url: string, over: Partial<UpstreamOptions> = {}): Promise<Front> {
  const room = openRoom([url], over)
  const sent: Sent[] = []
  const answers: Front['answers'] = []
  const sockets = new Set<Socket>()
  const server = createServer()
  server.on('upgrade', (request: IncomingMessage, stream, head: Buffer) => {
    const socket = stream as Socket
    sockets.add(socket)
    socket.on('error', () => {})
    const one = room.send({
      target: request.url ?? '/',
      headers: request.rawHeaders.filter((_, i, all) => all[i - (i % 2)]?.toLowerCase() !== 'host'),
      upgrade: { request, socket, head },
    })
    socket.on('close', () => one.exchange.abort(new ClientClosedError()))
    sent.push(one)
    one.response.then(
      async (response) => {
        answers.push(response)
        if (response.detached === true) return
        const { text } = await readBody(response)
        socket.end(
          `HTTP/1.1 ${response.status} X\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
        )
      },
      (error: unknown) => {
        answers.push(toGatewayError(error))
        socket.end(
          `HTTP/1.1 ${toGatewayError(error).status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
        )
      },
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    room.upstreams.close()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, room, sent, answers }
}

async function echoOrigin(): Promise<{ url: string; server: WebSocketServer; heads: IncomingMessage[] }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'chat' })
  const heads: IncomingMessage[] = []
  server.on('connection', (socket, request) => {
    heads.push(request)
    socket.on('error', () => {})
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, heads }
}

async function dial(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat?a=b`, ['chat'], {
    headers: { 'X-Forwarded-For': '6.6.6.6', 'X-Own': '1' },
  })
  socket.on('error', () => {})
  await once(socket, 'open')
  return socket
}

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const switching = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n`

/** Sends an upgrade by hand and gathers what comes back until the connection ends or `done`. */
async function raw(
  port: number,
  after = '',
  done = (_text: string) => false,
): Promise<{ text: string; socket: Socket }> {
  const socket = connect(port, '127.0.0.1')
  cleanups.push(() => void socket.destroy())
  socket.on('error', () => {})
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n${after}`,
  )
  let text = ''
  let ended = false
  socket.on('data', (chunk) => (text += chunk.toString('latin1')))
  socket.on('close', () => (ended = true))
  await until(() => ended || done(text), 'an answer')
  return { text, socket }
}

const origin = async (script: Script | string) => {
  const made = await RawOrigin.start(script)
  cleanups.push(() => made.close())
  return made
}

describe('a WebSocket', () => {
  it('passes messages both ways, small and large, and is counted', async () => {
    const app = await echoOrigin()
    const { port, room, answers } = await front(app.url)
    const socket = await dial(port)
    expect(socket.protocol).toBe('chat')
    for (const size of [1, 1000, 3_000_000]) {
      socket.send(Buffer.alloc(size, 97))
      const [echo] = (await once(socket, 'message')) as [Buffer]
      expect(echo.equals(Buffer.alloc(size, 97))).toBe(true)
    }
    expect(answers[0]).toMatchObject({ status: 101, detached: true })
    expect(room.upstreams.tunnels()).toBe(1)
    expect(room.upstreams.stats()[0]?.endpoints[0]).toMatchObject({ open: 0, tunnels: 1 })
    socket.close()
    await once(socket, 'close')
    await until(() => room.upstreams.tunnels() === 0, 'closed')
    expect(room.upstreams.stats()[0]?.endpoints[0]?.tunnels).toBe(0)
  })

  it('reaches the origin with the same clean head as any request', async () => {
    const app = await echoOrigin()
    const { port } = await front(app.url)
    await dial(port)
    const request = app.heads[0] as IncomingMessage
    expect(request.url).toBe('/chat?a=b')
    expect(request.headers).toMatchObject({
      host: 'example.com',
      connection: 'Upgrade',
      upgrade: 'websocket',
      'x-forwarded-for': '192.0.2.1',
      'x-own': '1',
      via: '1.1 sluice',
      'sec-websocket-protocol': 'chat',
    })
  })

  it('hands on the 101 without hop-by-hop fields and with the request id, and bytes that came early on either side', async () => {
    const app = await origin(async (socket) => {
      socket.write(`${switching}Keep-Alive: timeout=5\r\nX-App: 1\r\n\r\nfirst`)
      socket.on('data', (chunk) => void socket.write(`[${chunk.toString()}]`))
    })
    const { port } = await front(app.url)
    const { text } = await raw(port, '', (seen) => seen.endsWith('first'))
    expect(text).toContain('101 Switching Protocols')
    expect(text.toLowerCase()).toContain('\r\nx-app: 1\r\n')
    expect(text.toLowerCase()).toContain('\r\nx-request-id: test-id-1\r\n')
    expect(text.toLowerCase()).not.toContain('keep-alive')
    expect(app.requests[0]?.head).not.toMatch(/x-hop/i)
    expect((await raw(port, 'early', (seen) => seen.includes('[early]'))).text).toContain('first')
  })

  it('closes when nobody has spoken for long enough, and not while somebody speaks', async () => {
    const app = await echoOrigin()
    const { port, room } = await front(app.url, { upgradeIdleTimeoutMs: 10_000 })
    const socket = await dial(port)
    for (let i = 0; i < 3; i++) {
      room.clock.advance(8000)
      socket.send('x')
      await once(socket, 'message')
    }
    expect(room.upstreams.tunnels()).toBe(1)
    const closed = once(socket, 'close')
    room.clock.advance(11_000)
    await closed
    expect(room.upstreams.tunnels()).toBe(0)
    await until(() => app.server.clients.size === 0, 'origin side closed')
  })

  it('outlives a reload and a drain, until the deadline closes it', async () => {
    const app = await echoOrigin()
    const { port, room } = await front(app.url)
    const socket = await dial(port)
    let drained = false
    const drain = room.upstreams.drain().then(() => (drained = true))
    socket.send('still here')
    await once(socket, 'message')
    expect(drained).toBe(false)
    const closed = once(socket, 'close')
    room.upstreams.close()
    await Promise.all([closed, drain])
    expect(room.clock.pending).toBe(0)
  })

  it.each([
    ['the client vanishes', (socket: WebSocket) => socket.terminate()],
    ['the origin vanishes', (_: WebSocket, server: WebSocketServer) => [...server.clients][0]?.terminate()],
  ])('closes both sides when %s', async (_name, vanish) => {
    const app = await echoOrigin()
    const { port, room } = await front(app.url)
    const socket = await dial(port)
    const closed = once(socket, 'close')
    vanish(socket, app.server)
    await closed
    await until(() => {
      room.clock.advance(500)
      return room.upstreams.tunnels() === 0 && app.server.clients.size === 0
    }, 'both closed')
  })
})

describe('an upgrade that the origin does not agree to', () => {
  it('is answered as it answered, on a connection that stays usable', async () => {
    const app = await origin(
      'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\nhello',
    )
    const { port, room } = await front(app.url)
    const { text } = await raw(port, 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(text).toMatch(/^HTTP\/1\.1 426 /)
    expect(text).toContain('hello')
    expect(app.requests).toHaveLength(1)
    expect(room.upstreams.tunnels()).toBe(0)
    expect(room.upstreams.stats()[0]?.endpoints[0]).toMatchObject({ open: 1, idle: 1 })
  })

  it.each([
    ['another protocol', switching.replace('websocket', 'h2c')],
    ['no Upgrade field', switching.replace('Upgrade: websocket\r\n', '')],
    ['no Connection field', switching.replace('Connection: Upgrade\r\n', '')],
    ['a wrong accept', switching.replace(accept, 'AAAA')],
    ['no accept', switching.replace(/Sec-WebSocket-Accept.*\r\n/, '')],
    ['a malformed head', `${switching}X: a\nb\r\n`],
  ])('is a 502 when its 101 has %s', async (_name, head) => {
    const app = await origin(`${head}\r\nTUNNEL`)
    const { port, room, answers } = await front(app.url)
    const { text } = await raw(port)
    expect(text).toMatch(/^HTTP\/1\.1 502 /)
    expect(text).not.toContain('TUNNEL')
    expect(answers[0]).toMatchObject({ code: 'upstream_protocol' })
    await until(() => app.sockets.size === 0, 'closed')
    expect(room.upstreams.tunnels()).toBe(0)
  })

  it('is a 502 when it hangs up', async () => {
    const app = await origin((socket) => void socket.destroy())
    expect((await raw((await front(app.url)).port)).text).toMatch(/^HTTP\/1\.1 502 /)
  })

  it('is given up when the client leaves first', async () => {
    const app = await origin(() => {})
    const { port, answers, sent } = await front(app.url)
    const client = connect(port, '127.0.0.1')
    client.write(
      `GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    await until(() => app.requests.length === 1, 'request')
    client.destroy()
    // Its engine is the one to notice: nobody reads the socket of an upgrade before both sides agreed.
    sent[0]?.exchange.abort(new ClientClosedError())
    await until(() => app.sockets.size === 0, 'closed')
    expect(answers[0]).toMatchObject({ code: 'client_closed' })
  })
})

it('an upgrade to anything but WebSocket goes on as a plain request', async () => {
  const app = await origin('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const { room } = await front(app.url)
  const sent = room.send({
    headers: ['Connection', 'Upgrade, HTTP2-Settings', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMA'],
    upgrade: { request: {}, socket: {}, head: Buffer.alloc(0) },
  })
  expect((await readBody(await sent.response)).text).toBe('ok')
  expect(headerOf(app.requests[0] as never, 'upgrade')).toBeUndefined()
  expect(headerOf(app.requests[0] as never, 'http2-settings')).toBeUndefined()
})

import { createServer } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { BodySource } from '../../src/body.ts'
import { silentLogger } from '../../src/log.ts'
import type { UpstreamOptions } from '../../src/upstream/options.ts'
import { createUpstreams } from '../../src/upstream/stage.ts'
import { makeAuthority, makeServerCertificate } from '../support/certificates.ts'
import { makeBody } from '../support/exchange.ts'
import { plainAnswer, RawOrigin, type RawOriginOptions, type Script } from '../support/raw-origin.ts'
import {
  failure,
  HandBody,
  openRoom,
  readBody,
  type Room,
  sender,
  SlowReader,
  until,
  upstreamOptions,
} from './harness.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function startOrigin(script: Script | string, options: RawOriginOptions = {}): Promise<RawOrigin> {
  const origin = await RawOrigin.start(script, options)
  cleanups.push(() => origin.close())
  return origin
}

function open(urls: readonly string[], over: Partial<UpstreamOptions> = {}): Room {
  const room = openRoom(urls, over)
  cleanups.push(() => room.upstreams.close())
  return room
}

const stats = (room: Room) => room.upstreams.stats()[0]?.endpoints[0]
const answer = plainAnswer('x')
const ok = 'HTTP/1.1 200 OK\r\n'

describe('the pool', () => {
  it('uses the connection again that was used last', async () => {
    const waiting: (() => void)[] = []
    const origin = await startOrigin((socket) => void waiting.push(() => socket.write(answer)))
    const room = open([origin.url])
    const both = [room.send(), room.send()]
    await until(() => waiting.length === 2, 'two requests')
    for (const [i, reply] of waiting.entries()) {
      reply()
      await both[i]?.response
    }
    origin.script = (socket) => void socket.write(answer)
    for (let i = 0; i < 3; i++) await room.send().response
    expect(origin.requests.slice(2).map(({ connection }) => connection)).toEqual([2, 2, 2])
  })

  it('opens no more connections than allowed, lets some requests wait and refuses the rest', async () => {
    const waiting: (() => void)[] = []
    const origin = await startOrigin((socket) => void waiting.push(() => socket.write(answer)))
    const room = open([origin.url], { maxConnections: 2, maxPending: 2 })
    const all = Array.from({ length: 5 }, () => room.send())
    expect(await failure(all[4]?.response as never)).toMatchObject({ status: 503, code: 'pool_exhausted' })
    await until(() => waiting.length === 2, 'two requests')
    expect(stats(room)).toMatchObject({ open: 2, inUse: 2, pending: 2 })
    for (let i = 0; i < 4; i++) {
      await until(() => waiting.length > 0, 'next')
      waiting.shift()?.()
      expect((await all[i]?.response)?.status).toBe(200)
    }
    expect(origin.connections).toBe(2)
  })

  it('gives a waiting request the place of a connection that broke', async () => {
    const origin = await startOrigin(
      (socket, { target }) => void (target === '/break' ? socket.destroy() : socket.write(answer)),
    )
    const room = open([origin.url], { maxConnections: 1 })
    const first = room.send({ target: '/break' })
    const second = room.send()
    expect(await failure(first.response)).toMatchObject({ code: 'upstream_reset' })
    expect((await second.response).status).toBe(200)
  })

  it('lets nobody wait longer than the limit', async () => {
    const origin = await startOrigin(() => {})
    const room = open([origin.url], { maxConnections: 1, pendingTimeoutMs: 1000 })
    room.send()
    const second = room.send()
    room.clock.advance(1250)
    expect(await failure(second.response)).toMatchObject({ code: 'pool_exhausted' })
  })

  it('takes a connection from a reader that stalled when others wait, and only then', async () => {
    const big = `HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n${'x'.repeat(8_000_000)}`
    const origin = await startOrigin(
      (socket, { target }) => void socket.write(target === '/big' ? big : answer),
    )
    const room = open([origin.url], { maxConnections: 1 })
    const stalled = new SlowReader((await room.send({ target: '/big' }).response).body as BodySource, false)
    await until(() => stalled.bytes > 0, 'the first piece')
    for (let i = 0; i < 40; i++) room.clock.advance(250)
    expect(stalled.outcome).toBe('open')
    const waiting = room.send()
    for (let i = 0; i < 12; i++) room.clock.advance(250)
    expect((await waiting.response).status).toBe(200)
    expect(stalled.outcome).toBe('failed')
    expect(stalled.error?.code).toBe('upstream_aborted')
  })

  it('closes what has been idle for too long, and what is too old', async () => {
    const origin = await startOrigin(answer)
    const room = open([origin.url], { idleTimeoutMs: 1000, maxLifetimeMs: 3000 })
    await room.send().response
    room.clock.advance(750)
    expect(stats(room)?.idle).toBe(1)
    room.clock.advance(750)
    expect(stats(room)?.open).toBe(0)
    await room.send().response
    for (let i = 0; i < 5; i++) {
      room.clock.advance(700)
      await room.send().response
    }
    expect(origin.connections).toBe(3)
  })

  it('does not keep a connection that says close', async () => {
    const origin = await startOrigin(plainAnswer('x', 'Connection: close\r\n'))
    const room = open([origin.url])
    await room.send().response
    expect(stats(room)?.open).toBe(0)
  })

  it('takes the endpoints in weighted turns', async () => {
    const [a, b] = [await startOrigin(answer), await startOrigin(answer)]
    const options = upstreamOptions([a.url, b.url])
    const room = open([a.url, b.url], {
      endpoints: options.endpoints.map((endpoint, i) => ({ ...endpoint, weight: i === 0 ? 2 : 1 })),
    })
    for (let i = 0; i < 6; i++) await room.send().response
    expect([a.requests.length, b.requests.length]).toEqual([4, 2])
  })
})

describe('a reused connection that dies before it answers', () => {
  /** Answers the first request of the first connection, then dies on the second. */
  async function stale(
    die: (script: Parameters<Script>[0]) => void,
  ): Promise<{ origin: RawOrigin; room: Room }> {
    const origin = await startOrigin((socket, { connection, method, target }) => {
      if (connection === 1 && target !== '/first') die(socket)
      else socket.write(method === 'HEAD' ? answer.slice(0, -1) : answer)
    })
    const room = open([origin.url])
    await room.send({ target: '/first' }).response
    return { origin, room }
  }

  it.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])(
    'is replaced by a fresh one for %s',
    async (method) => {
      for (const die of [
        (socket: { end(): unknown }) => void socket.end(),
        (socket: { resetAndDestroy(): unknown }) => void socket.resetAndDestroy(),
      ]) {
        const { room } = await stale(die)
        const sent = room.send({ method, target: '/again' })
        expect(
          await sent.response.then(
            ({ status }) => status,
            () => 0,
          ),
        ).toBe(200)
        expect(sent.exchange.slots.upstream).toMatchObject({ retried: true, reused: false })
      }
    },
  )

  it('is replaced once, by a connection of its own and never by another idle one', async () => {
    let dying = false
    const origin = await startOrigin(
      (socket) => void (dying ? socket.destroy() : setTimeout(() => socket.write(answer), 20)),
    )
    const room = open([origin.url])
    await Promise.all([room.send().response, room.send().response, room.send().response])
    expect(stats(room)?.idle).toBe(3)
    dying = true
    expect(await failure(room.send().response)).toMatchObject({ code: 'upstream_reset' })
    expect(origin.connections).toBe(4)
    expect(origin.requests).toHaveLength(5)
  })

  it('is replaced within the limit on connections', async () => {
    const origin = await startOrigin((socket, { connection, target }) => {
      if (connection === 1 && target === '/again') socket.destroy()
      else setTimeout(() => socket.write(answer), 5)
    })
    const room = open([origin.url], { maxConnections: 1 })
    await room.send({ target: '/first' }).response
    const both = await Promise.all([
      room.send({ target: '/again' }).response,
      room.send({ target: '/other' }).response,
    ])
    expect(both.map(({ status }) => status)).toEqual([200, 200])
    expect(origin.connections).toBeLessThanOrEqual(3)
    expect(stats(room)?.open).toBe(1)
  })

  it.each(['POST', 'PATCH', 'LOCK'])('is not replaced for %s', async (method) => {
    const { origin, room } = await stale((socket) => void socket.destroy())
    expect(await failure(room.send({ method }).response)).toMatchObject({
      status: 502,
      code: 'upstream_reset',
    })
    expect(origin.connections).toBe(1)
  })

  it('is not replaced once a byte of the body was taken, but is before', async () => {
    const { room } = await stale((socket) => void socket.destroy())
    const taken = room.send({ method: 'PUT', body: makeBody(Buffer.from('hello')).body })
    expect(await failure(taken.response)).toMatchObject({ code: 'upstream_reset' })

    const second = await startOrigin(answer)
    const other = open([second.url])
    await other.send().response
    const body = new HandBody(5)
    const sent = other.send({ method: 'PUT', body })
    for (const socket of second.sockets) socket.destroy()
    await until(() => second.connections === 2 && second.sockets.size === 1, 'a fresh connection')
    await until(() => stats(other)?.requests === 3, 'the retry')
    await until(() => sent.exchange.slots.upstream?.reused === false, 'sent again')
    body.feed('hello')
    body.finish()
    expect((await sent.response).status).toBe(200)
    expect(second.requests.at(-1)).toMatchObject({ method: 'PUT', body: 'hello', complete: true })
  })

  it('is not replaced after the first byte of an answer', async () => {
    const { origin, room } = await stale((socket) => void socket.end('H'))
    expect(await failure(room.send().response)).toMatchObject({ code: 'upstream_reset' })
    expect(origin.connections).toBe(1)
  })

  it('is not even tried for a connection that was fresh', async () => {
    const origin = await startOrigin((socket) => void socket.destroy())
    expect(await failure(open([origin.url]).send().response)).toMatchObject({ code: 'upstream_reset' })
    expect(origin.connections).toBe(1)
  })
})

describe('timeouts', () => {
  it('an origin that does not accept is a 504', async () => {
    // Reserved for documentation: nothing answers there. Nothing is sent either where there is no route.
    const room = open(['http://127.0.0.1:1'], { connectTimeoutMs: 1000 })
    expect(await failure(room.send().response)).toMatchObject({ status: 502, code: 'connect_failed' })
  })

  it('a TLS handshake that never ends is a 504', async () => {
    const server = createServer((socket) => void socket.on('error', () => {}).resume())
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => void server.close())
    const room = open([`https://127.0.0.1:${(server.address() as { port: number }).port}`], {
      connectTimeoutMs: 1000,
    })
    const sent = room.send()
    room.clock.advance(1000)
    expect(await failure(sent.response)).toMatchObject({ status: 504, code: 'connect_timeout' })
  })

  it.each([
    ['says nothing', ''],
    ['stops within the head', 'HTTP/1.1 200 OK\r\n'],
  ])('an origin that %s is a 504', async (_name, text) => {
    const origin = await startOrigin((socket) => void socket.write(text))
    const room = open([origin.url], { responseHeadTimeoutMs: 1000 })
    const sent = room.send()
    await until(() => origin.requests.length === 1, 'request')
    room.clock.advance(750)
    expect(stats(room)?.inUse).toBe(1)
    room.clock.advance(1000)
    expect(await failure(sent.response)).toMatchObject({ status: 504, code: 'response_timeout' })
    await until(() => origin.sockets.size === 0, 'closed')
  })

  it('a route may wait longer, or less long, than its upstream', async () => {
    const origin = await startOrigin(() => {})
    const room = open([origin.url], { responseHeadTimeoutMs: 10_000 })
    const sent = room.send({}, { responseHeadTimeoutMs: 500 })
    await until(() => origin.requests.length === 1, 'request')
    room.clock.advance(1250)
    expect(await failure(sent.response)).toMatchObject({ code: 'response_timeout' })
  })

  it('the wait for an answer does not begin before the request is sent', async () => {
    const origin = await startOrigin(answer)
    const room = open([origin.url], { responseHeadTimeoutMs: 1000, bodyIdleTimeoutMs: 1000 })
    const body = new HandBody(5)
    const sent = room.send({ method: 'POST', body })
    await until(() => body.sink !== undefined, 'start')
    room.clock.advance(60_000)
    body.feed('hello')
    body.finish()
    expect((await sent.response).status).toBe(200)
  })

  it('a body that stops coming is cut, but not while its reader is the slow one', async () => {
    const origin = await startOrigin(`${ok}Content-Length: 100\r\n\r\nhello`)
    const room = open([origin.url], { bodyIdleTimeoutMs: 1000 })
    const response = await room.send().response
    room.clock.advance(60_000)
    const reader = new SlowReader(response.body as never, false)
    room.clock.advance(60_000)
    expect(reader.outcome).toBe('open')
    reader.source.resume()
    room.clock.advance(750)
    expect(reader.outcome).toBe('open')
    room.clock.advance(750)
    expect(reader).toMatchObject({ outcome: 'failed', error: { code: 'upstream_aborted' } })
  })
})

describe('ways to an origin', () => {
  it('goes over a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
    cleanups.push(() => rmSync(folder, { recursive: true }))
    const origin = await startOrigin(answer, { path: join(folder, 'app.sock') })
    const room = open([origin.url])
    expect((await readBody(await room.send({}, { host: 'endpoint' }).response)).text).toBe('x')
    expect(origin.requests[0]?.head).toContain('Host: localhost')
  })

  it('goes over TLS to an origin whose certificate it can verify, and resumes', async () => {
    const authority = await makeAuthority()
    const server = await makeServerCertificate(['app.internal'], authority)
    const folder = mkdtempSync(join(tmpdir(), 'sluice-'))
    cleanups.push(() => rmSync(folder, { recursive: true }))
    const caFile = join(folder, 'ca.pem')
    writeFileSync(caFile, authority.cert)
    const body = 'y'.repeat(100_000)
    const origin = await startOrigin(plainAnswer(body), { tls: { cert: server.cert, key: server.key } })
    const tls = { caFile, serverName: 'app.internal', verify: true }
    const room = open([origin.url], { tls })
    for (let i = 0; i < 2; i++) expect((await readBody(await room.send().response)).text).toBe(body)
    expect(origin.connections).toBe(1)

    for (const [name, wrong] of Object.entries({
      'another name': { ...tls, serverName: 'other.internal' },
      'an unknown authority': { ...tls, caFile: undefined },
    })) {
      const error = await failure(open([origin.url], { tls: wrong }).send().response)
      expect(error, name).toMatchObject({ status: 502, code: 'connect_failed' })
    }
    const trusting = open([origin.url], { tls: { ...tls, caFile: undefined, verify: false } })
    expect((await trusting.send().response).status).toBe(200)
    expect(origin.requests).toHaveLength(3)
  })
})

describe('plans', () => {
  it('keep the connections of upstreams that did not change, and let go of the others', async () => {
    const origin = await startOrigin(answer)
    const { clock, upstreams: first } = open([origin.url])
    const send = sender(first, clock)
    await send().response
    const deps = { clock, logger: silentLogger }
    const same = new Map([['app', upstreamOptions([origin.url])]])
    const second = createUpstreams(same, deps, first)
    await first.drain()
    const later = sender(second, clock)
    await later().response
    await send().response
    expect(origin.connections).toBe(1)

    const third = createUpstreams(
      new Map([['app', upstreamOptions([origin.url], { maxConnections: 7 })]]),
      deps,
      second,
    )
    await second.drain()
    await until(() => origin.sockets.size === 0, 'closed')
    await sender(third, clock)().response
    await later().response
    expect(origin.connections).toBe(3)
    third.close()
  })

  it('that are abandoned give back what they took', async () => {
    const origin = await startOrigin(answer)
    const { clock, upstreams: first } = open([origin.url])
    await sender(first, clock)().response
    const deps = { clock, logger: silentLogger }
    createUpstreams(new Map([['app', upstreamOptions([origin.url])]]), deps, first).abandon()
    await sender(first, clock)().response
    expect(origin.connections).toBe(1)
    const again = createUpstreams(new Map([['app', upstreamOptions([origin.url])]]), deps, first)
    await sender(again, clock)().response
    expect(origin.connections).toBe(1)
    again.close()
  })

  it('drain when the last answer is through, and at once when closed', async () => {
    let reply = () => {}
    const origin = await startOrigin((socket) => {
      reply = () => void socket.write(answer)
    })
    const room = open([origin.url])
    const sent = room.send()
    await until(() => origin.requests.length === 1, 'request')
    let drained = false
    const drain = room.upstreams.drain().then(() => {
      drained = true
    })
    reply()
    expect((await sent.response).status).toBe(200)
    await drain
    expect(drained).toBe(true)
    expect(room.clock.pending).toBe(0)

    const other = open([origin.url])
    const cut = other.send()
    await until(() => origin.requests.length === 2, 'request')
    const closing = other.upstreams.drain()
    other.upstreams.close()
    await closing
    expect(await failure(cut.response)).toMatchObject({ status: 503 })
  })
})

import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ClientClosedError } from '../../src/errors.ts'
import { makeBody } from '../support/exchange.ts'
import {
  headerOf,
  plainAnswer,
  RawOrigin,
  type RawOriginOptions,
  type Script,
} from '../support/raw-origin.ts'
import type { UpstreamOptions } from '../../src/upstream/options.ts'
import { failure, HandBody, openRoom, readBody, type Room, SlowReader, until } from './harness.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

async function start(
  script: Script | string,
  over: Partial<UpstreamOptions> = {},
  options: RawOriginOptions = {},
): Promise<{ origin: RawOrigin; room: Room }> {
  const origin = await RawOrigin.start(script, options)
  const room = openRoom([origin.url], over)
  cleanups.push(
    () => origin.close(),
    () => room.upstreams.close(),
  )
  return { origin, room }
}

const stats = (room: Room) => room.upstreams.stats()[0]?.endpoints[0]
const ok = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n'
const after = (ms: number, task: () => void) =>
  new Promise<void>((resolve) => void setTimeout(() => (task(), resolve()), ms))

describe('answers', () => {
  it('hands on status, end-to-end fields, body and length, and adds Via', async () => {
    const { origin, room } = await start(
      plainAnswer('hello', 'Set-Cookie: a=1\r\nConnection: X-S\r\nX-S: s\r\nSet-Cookie: b=2\r\n'),
    )
    const response = await room.send({ target: '/a?b' }).response
    expect(response).toMatchObject({ status: 200, length: 5 })
    expect(response.headers).toEqual(['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Via', '1.1 sluice'])
    expect((await readBody(response)).text).toBe('hello')
    expect(origin.requests[0]).toMatchObject({ method: 'GET', target: '/a?b' })
  })

  it.each([
    ['chunks', `${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`, 5, 'hello'],
    ['an empty body', `${ok}Content-Length: 0\r\n\r\n`, 0, ''],
    ['204 that carries a length', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', undefined, ''],
    ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n', 5, ''],
    ['an interim 100 first', `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 5\r\n\r\nhello`, 5, 'hello'],
  ])('reads %s', async (_name, script, length, text) => {
    const { room } = await start(script)
    const response = await room.send().response
    expect(response.length).toBe(length)
    expect((await readBody(response)).text).toBe(text)
    await room.send().response
    expect(stats(room)).toMatchObject({ open: 1, idle: 1, requests: 2 })
  })

  it('reads a body that ends with the connection, which is not used again', async () => {
    const { origin, room } = await start((socket) => void socket.end(`${ok}\r\nhello`))
    for (let i = 0; i < 2; i++) {
      const response = await room.send().response
      expect(response.length).toBeUndefined()
      expect(await readBody(response)).toMatchObject({ text: 'hello', error: undefined })
    }
    expect(origin.connections).toBe(2)
  })

  it('keeps the announced length of a HEAD, and the connection', async () => {
    const { origin, room } = await start(`${ok}Content-Length: 1234\r\n\r\n`)
    for (let i = 0; i < 2; i++) {
      expect(await room.send({ method: 'HEAD' }).response).toMatchObject({ length: 1234, body: undefined })
    }
    expect(origin.connections).toBe(1)
  })

  it('keeps the answer but not the connection when a HEAD or 204 is followed by a body', async () => {
    const { origin, room } = await start(`${ok}Content-Length: 5\r\n\r\nhello`)
    for (let i = 0; i < 2; i++) {
      expect(await room.send({ method: 'HEAD' }).response).toMatchObject({
        status: 200,
        length: 5,
        body: undefined,
      })
    }
    origin.script = (socket) =>
      void socket.write('HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\nEVIL')
    for (let i = 0; i < 2; i++) expect((await room.send().response).status).toBe(204)
    expect(origin.connections).toBe(4)
  })

  it('passes interim answers on, without hop-by-hop fields, but not 100', async () => {
    const { room } = await start(async (socket) => {
      socket.write(
        'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X\r\nX: 1\r\n\r\n',
      )
      await after(10, () => socket.write(plainAnswer('hello')))
    })
    const sent = room.send()
    expect((await sent.response).status).toBe(200)
    expect(sent.informed).toEqual([{ status: 103, headers: ['Link', '</a.css>'] }])
  })

  it('hands trailers on, free of forbidden fields, whether they come with the head or later', async () => {
    const trailers =
      '0\r\nX-Sum: 1\r\nContent-Length: 99\r\nSet-Cookie: a=evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n'
    const head = `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`
    const { origin, room } = await start(head + trailers)
    expect(await readBody(await room.send().response)).toMatchObject({
      text: 'hello',
      trailers: ['X-Sum', '1'],
    })
    origin.script = async (socket) => {
      socket.write(head)
      await after(10, () => socket.write(trailers))
    }
    expect(await readBody(await room.send().response)).toMatchObject({
      text: 'hello',
      trailers: ['X-Sum', '1'],
    })
    expect(origin.connections).toBe(1)
  })

  it('hands each piece of a slow stream on at once', async () => {
    let push = (_text: string) => {}
    const { room } = await start((socket) => {
      push = (text) => void socket.write(`${text.length.toString(16)}\r\n${text}\r\n`)
      socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n`)
    })
    const response = await room.send().response
    const reader = new SlowReader(response.body as never, true)
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      push(text)
      await until(() => reader.pieces.at(-1) === text, text)
    }
    reader.source.cancel()
    expect(stats(room)?.open).toBe(0)
  })

  it('reads a head that dribbles in byte by byte', async () => {
    const { room } = await start(async (socket) => {
      for (const byte of plainAnswer('hello')) {
        socket.write(byte)
        await new Promise(setImmediate)
      }
    })
    expect((await readBody(await room.send().response)).text).toBe('hello')
  })

  it('carries a large body through, byte for byte', async () => {
    const body = Array.from({ length: 200_000 }, (_, i) => `${i};`).join('')
    const { room } = await start(plainAnswer(body))
    expect((await readBody(await room.send().response)).text === body).toBe(true)
    const chunks =
      body.match(/.{1,3001}/gs)?.map((text) => `${text.length.toString(16)}\r\n${text}\r\n`) ?? []
    const second = await start(`${ok}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n\r\n`)
    expect((await readBody(await second.room.send().response)).text === body).toBe(true)
  })
})

describe('answers that break the protocol', () => {
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL'
  it.each([
    ['a malformed length', `${ok}Content-Length: abc\r\n\r\nhello`],
    ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello`],
    [
      'length and chunks',
      `${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ],
    ['status 000', 'HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello'],
    ['status 999', 'HTTP/1.1 999 Odd\r\nContent-Length: 5\r\n\r\nhello'],
    ['a response too many', `${ok}Content-Length: 5\r\n\r\nhello${evil}`],
    [
      'a response after the last chunk',
      `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${evil}`,
    ],
    [
      'an unasked 101',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nTUNNEL',
    ],
    ['a head without end', `${ok}X: ${'a'.repeat(300_000)}`],
    [
      '1000 interim responses',
      `${'HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n'.repeat(1000)}${ok}Content-Length: 5\r\n\r\nhello`,
    ],
    ['NUL in a field', `${ok}X: a\0b\r\nContent-Length: 5\r\n\r\nhello`],
    ['CR in Location', 'HTTP/1.1 302 Found\r\nLocation: /x\rSet-Cookie: evil=1\r\nContent-Length: 0\r\n\r\n'],
    ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
    ['no HTTP at all', 'hello I am not HTTP\r\n'],
    [
      'malformed chunks in one read with the head',
      `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n`,
    ],
  ])('turn %s into 502 and a closed connection', async (_name, script) => {
    const { origin, room } = await start(script)
    expect(await failure(room.send().response)).toMatchObject({ status: 502, code: 'upstream_protocol' })
    expect(stats(room)).toMatchObject({ open: 0, failures: 1 })
    origin.script = (socket) => void socket.write(plainAnswer('next'))
    expect((await readBody(await room.send().response)).text).toBe('next')
    expect(origin.connections).toBe(2)
  })

  it.each([
    ['bad chunks', 'ZZ\r\n'],
    ['bytes after the last chunk', `0\r\n\r\n${evil}`],
  ])('are cut when %s come after the head', async (_name, rest) => {
    const { room } = await start(async (socket) => {
      socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`)
      await after(10, () => socket.write(rest))
    })
    const read = await readBody(await room.send().response)
    expect(read).toMatchObject({ text: 'hello', error: { code: 'upstream_protocol' } })
    expect(stats(room)?.open).toBe(0)
  })

  it.each([
    ['closes', (script: string) => (socket: Socket) => void socket.end(script)],
    [
      'resets',
      (script: string) => async (socket: Socket) => (
        socket.write(script),
        await after(10, () => socket.resetAndDestroy())
      ),
    ],
  ])('an origin that %s mid-body is never taken for a complete answer', async (_name, make) => {
    for (const script of [
      `${ok}Content-Length: 10\r\n\r\nhello`,
      `${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
      `${ok}Transfer-Encoding: chunked\r\n\r\n9\r\nhello`,
    ]) {
      const { room } = await start(make(script))
      const read = await readBody(await room.send().response)
      expect(read).toMatchObject({ text: 'hello', error: { code: 'upstream_aborted' } })
      expect(stats(room)?.open).toBe(0)
    }
  })

  it.each([
    ['before any byte', ''],
    ['within the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ])('an origin that closes %s is a 502', async (_name, text) => {
    const { origin, room } = await start((socket) => void socket.end(text))
    expect(await failure(room.send().response)).toMatchObject({ status: 502, code: 'upstream_reset' })
    expect(origin.requests).toHaveLength(1)
  })

  it('destroys an idle connection on which bytes arrive unasked', async () => {
    const { origin, room } = await start(plainAnswer('one'))
    await room.send().response
    for (const socket of origin.sockets) socket.write(evil)
    await until(() => stats(room)?.open === 0, 'closed')
    expect((await readBody(await room.send().response)).text).toBe('one')
    expect(origin.connections).toBe(2)
  })
})

describe('request bodies', () => {
  it('leave with the head in one write when they are already there', async () => {
    const { origin, room } = await start(plainAnswer('ok'))
    const sent = room.send({ method: 'POST', body: makeBody(Buffer.from('hello')).body })
    expect((await sent.response).status).toBe(200)
    expect(sent.continues).toBe(1)
    expect(origin.requests[0]).toMatchObject({
      method: 'POST',
      body: 'hello',
      chunked: false,
      complete: true,
    })
  })

  it('are streamed in chunks, with trailers, when their length is not known', async () => {
    const { origin, room } = await start(plainAnswer('ok'))
    const body = new HandBody()
    const sent = room.send({ method: 'POST', body })
    await until(() => body.sink !== undefined && origin.requests.length === 1, 'the head, before any body')
    body.feed('hel')
    body.feed('lo')
    body.finish(['X-Sum', '1'])
    expect((await sent.response).status).toBe(200)
    expect(origin.requests[0]).toMatchObject({ body: 'hello', chunked: true, trailers: 'X-Sum: 1' })
    expect(stats(room)).toMatchObject({ open: 1, idle: 1 })
  })

  it('wait while the origin does not read, and go on when it does', async () => {
    let origin = undefined as unknown as RawOrigin
    const { room } = await start(
      (socket) => void socket.write(plainAnswer('ok')),
      {},
      { onConnection: (socket) => socket.pause() },
    ).then((made) => {
      origin = made.origin
      return made
    })
    const body = new HandBody(40 * 1_000_000)
    const sent = room.send({ method: 'POST', body })
    await until(() => body.sink !== undefined, 'start')
    const piece = 'x'.repeat(1_000_000)
    let pieces = 0
    while (body.feed(piece)) if (++pieces > 30) throw new Error('no backpressure')
    pieces++
    for (const socket of origin.sockets) socket.resume()
    await until(() => body.resumed > 0, 'resume')
    for (; pieces < 40; pieces++) body.feed(piece)
    body.finish()
    expect((await sent.response).status).toBe(200)
    expect(origin.requests[0]?.body.length).toBe(40_000_000)
  })

  it('that fail never reach the origin as a finished message', async () => {
    for (const length of [10, undefined]) {
      const { origin, room } = await start(plainAnswer('ok'))
      const body = new HandBody(length)
      const sent = room.send({ method: 'POST', body })
      await until(() => body.sink !== undefined, 'start')
      body.feed('hello')
      body.sink?.fail(new ClientClosedError())
      expect(await failure(sent.response)).toMatchObject({ code: 'client_closed' })
      await until(() => origin.sockets.size === 0, 'closed')
      expect(origin.requests.filter(({ complete }) => complete)).toEqual([])
    }
  })

  it('shorter or longer than announced break the connection', async () => {
    for (const text of ['hell', 'hello!']) {
      const { origin, room } = await start(plainAnswer('ok'))
      const body = new HandBody(5)
      const sent = room.send({ method: 'POST', body })
      await until(() => body.sink !== undefined, 'start')
      body.feed(text)
      body.finish()
      expect(await failure(sent.response)).toMatchObject({ code: 'client_closed' })
      await until(() => origin.sockets.size === 0, 'closed')
      expect(origin.requests.filter(({ complete }) => complete)).toEqual([])
    }
  })

  it('stop when the origin refuses early; its answer stands and the connection is not used again', async () => {
    const { origin, room } = await start(plainAnswer('too big', '', '413 Too Big'), {}, { early: true })
    const body = new HandBody(1000)
    const sent = room.send({ method: 'POST', body })
    const response = await sent.response
    expect(response.status).toBe(413)
    expect((await readBody(response)).text).toBe('too big')
    expect(body.cancelled).toBe(true)
    expect(stats(room)?.open).toBe(0)
    await room.send().response
    expect(origin.connections).toBe(2)
  })

  it('go on while the origin answers 200 as it reads', async () => {
    const { room } = await start(
      (socket) => void socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n`),
      {},
      { early: true },
    )
    const body = new HandBody()
    const response = await room.send({ method: 'POST', body }).response
    const reader = new SlowReader(response.body as never, true)
    expect(body.feed('more')).toBe(true)
    expect(body.cancelled).toBe(false)
    reader.source.cancel()
    expect(body.cancelled).toBe(true)
  })

  it('get the early answer of an origin that closed, even when writing to it fails before the answer is read', async () => {
    const body = new HandBody()
    const { room } = await start(
      (socket) => {
        socket.write(plainAnswer('too big', 'Connection: close\r\n', '413 Too Big'))
        socket.destroy()
        // All of it before the gateway's side is polled: the first piece brings the reset, the next ones fail.
        for (let i = 0; i < 5; i++) body.feed('x'.repeat(20_000))
      },
      {},
      { early: true },
    )
    const response = await room.send({ method: 'POST', body }).response
    expect(response.status).toBe(413)
    expect((await readBody(response)).text).toBe('too big')
    expect(stats(room)?.open).toBe(0)
  })
})

describe('backpressure', () => {
  it('holds a stalled reader to what the sockets buffer', async () => {
    const size = 50_000_000
    let written = 0
    const { room } = await start(async (socket) => {
      socket.write(`${ok}Content-Length: ${size}\r\n\r\n`)
      const piece = Buffer.alloc(100_000, 97)
      for (; written < size; written += piece.length) {
        if (!socket.write(piece)) await new Promise((resolve) => socket.once('drain', resolve))
      }
    })
    const response = await room.send().response
    expect(response.length).toBe(size)
    const reader = new SlowReader(response.body as never, false)
    await until(() => reader.bytes > 0, 'first bytes')
    await after(100, () => {})
    expect(reader.bytes).toBeLessThanOrEqual(2 * 65_536)
    expect(written).toBeLessThan(size)
    reader.flowing = true
    reader.source.resume()
    await until(() => reader.outcome === 'ended', 'the end')
    expect(reader.bytes).toBe(size)
  })

  it('reads nothing more before the body has a reader', async () => {
    let written = 0
    const { room } = await start(async (socket) => {
      socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n`)
      const piece = `186a0\r\n${'a'.repeat(100_000)}\r\n`
      for (let i = 0; i < 300 && !socket.destroyed; i++, written++) {
        if (!socket.write(piece))
          await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve))
      }
    })
    const response = await room.send().response
    await after(50, () => {})
    expect(written).toBeLessThan(300)
    ;(response.body as unknown as { cancel(): void }).cancel()
    expect(stats(room)?.open).toBe(0)
  })
})

describe('a client that leaves', () => {
  it('aborts the request that waits for its answer', async () => {
    const { origin, room } = await start(() => {})
    const sent = room.send()
    await until(() => origin.requests.length === 1, 'request')
    sent.exchange.abort(new ClientClosedError())
    expect(await failure(sent.response)).toMatchObject({ code: 'client_closed' })
    await until(() => origin.sockets.size === 0, 'closed')
  })

  it('aborts a body that is being read, once', async () => {
    const { origin, room } = await start(`${ok}Content-Length: 10\r\n\r\nhello`)
    const sent = room.send()
    const response = await sent.response
    const reader = new SlowReader(response.body as never, true)
    sent.exchange.abort(new ClientClosedError())
    expect(reader).toMatchObject({ outcome: 'failed', error: { code: 'client_closed' } })
    await until(() => origin.sockets.size === 0, 'closed')
  })

  it('before the start sends nothing', async () => {
    const { origin, room } = await start(plainAnswer('x'))
    const sent = room.send()
    sent.exchange.abort(new ClientClosedError())
    expect(await failure(sent.response)).toMatchObject({ code: 'client_closed' })
    await room.send().response
    expect(origin.requests).toHaveLength(1)
    expect(headerOf(origin.requests[0] as never, 'host')).toBe('example.com')
  })

  it('after the answer does no harm to the connection', async () => {
    const { origin, room } = await start(plainAnswer('x'))
    const sent = room.send()
    await sent.response
    sent.exchange.abort(new ClientClosedError())
    await room.send().response
    expect(origin.connections).toBe(1)
  })
})

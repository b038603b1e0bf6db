import { connect, constants, type IncomingHttpHeaders } from 'node:http2'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import type { BodySink, BodySource } from '../../../src/body.ts'
import { UpstreamAbortedError, type GatewayError } from '../../../src/errors.ts'
import type { Exchange, Handler } from '../../../src/exchange.ts'
import { getField } from '../../../src/http/fields.ts'
import { errorCode, frameFlag, frameType } from '../../../src/listener/http2/frames.ts'
import {
  data,
  type Fields,
  frame,
  get,
  headers,
  literal,
  RawHttp2,
  request,
  rst,
  settings,
  preface,
  windowUpdate,
} from '../../support/http2-client.ts'
import { answer, readBody, startHttp2Engine, type TestHttp2Engine } from '../../support/http2-engine.ts'

const open: { stop(): Promise<void> }[] = []
const clients: RawHttp2[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) client.close()
  for (const engine of open.splice(0)) await engine.stop()
})

async function start(
  handle: Handler,
  over: Parameters<typeof startHttp2Engine>[1] = {},
): Promise<TestHttp2Engine> {
  const engine = await startHttp2Engine(handle, over)
  open.push(engine)
  return engine
}

async function dial(engine: TestHttp2Engine, first?: Buffer): Promise<RawHttp2> {
  const client = await RawHttp2.open(engine.port, first)
  clients.push(client)
  return client
}

/** A source that the test feeds by hand. */
class HandFed implements BodySource {
  readonly length: number | undefined
  sink: BodySink | undefined
  resumed = 0
  cancelled = false
  constructor(length?: number) {
    this.length = length
  }
  start(sink: BodySink): void {
    this.sink = sink
  }
  resume(): void {
    this.resumed += 1
  }
  cancel(): void {
    this.cancelled = true
  }
}

/** Reads the body and keeps what came of it. */
interface Reading {
  bytes: number
  ended: boolean
  trailers: readonly string[] | undefined
  error: GatewayError | undefined
}

function watch(exchange: Exchange, take = true): Reading {
  const reading: Reading = { bytes: 0, ended: false, trailers: undefined, error: undefined }
  exchange.body?.start({
    data(chunk) {
      reading.bytes += chunk.byteLength
      return take
    },
    end(trailers) {
      reading.ended = true
      reading.trailers = trailers
    },
    fail(error) {
      reading.error = error
    },
  })
  return reading
}

const never = () => new Promise<never>(() => {})
const post = (more: Fields = []) => headers(1, request('POST', '/', more), false)

async function settle(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 2000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('did not settle')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('the request head', () => {
  it('is built from what came over the wire', async () => {
    const engine = await start(() => answer(200, 'ok'))
    const client = await dial(engine)
    client.send(
      headers(1, [
        [':method', 'GET'],
        [':path', '/a%20b?x=1?y'],
        [':scheme', 'https'],
        [':authority', 'Example.COM:8443'],
        ['cookie', 'a=1'],
        ['x-one', 'first'],
        ['cookie', 'b=2'],
        ['x-one', 'second'],
        ['accept', '*/*'],
        ['cookie', 'c=3'],
      ]),
    )
    await client.answer()
    expect(engine.seen[0]?.request).toEqual({
      method: 'GET',
      target: '/a%20b?x=1?y',
      path: '/a%20b',
      query: 'x=1?y',
      scheme: 'https',
      authority: 'example.com:8443',
      host: 'example.com',
      httpVersion: '2.0',
      headers: [
        'host',
        'example.com:8443',
        'cookie',
        'a=1; b=2; c=3',
        'x-one',
        'first',
        'x-one',
        'second',
        'accept',
        '*/*',
      ],
    })
    expect(engine.seen[0]?.body).toBeUndefined()
  })

  it('takes Host where there is no :authority, and both when they agree', async () => {
    const engine = await start(() => answer(200, 'ok'))
    const client = await dial(engine)
    const rest: Fields = [
      [':method', 'GET'],
      [':path', '/'],
      [':scheme', 'https'],
    ]
    client.send(headers(1, [...rest, ['host', 'a.example']]))
    client.send(headers(3, [...rest, [':authority', 'B.example'], ['x', 'y'], ['host', 'b.EXAMPLE']]))
    expect((await client.answer(1)).status).toBe(200)
    expect((await client.answer(3)).status).toBe(200)
    expect(engine.seen.map((each) => each.request.headers)).toEqual([
      ['host', 'a.example'],
      ['host', 'b.example', 'x', 'y'],
    ])
  })

  it('does not believe :scheme', async () => {
    const engine = await start(() => answer(200, 'ok'))
    const client = await dial(engine)
    client.send(
      headers(1, [
        [':method', 'GET'],
        [':path', '/'],
        [':scheme', 'http'],
        [':authority', 'a'],
      ]),
    )
    await client.answer()
    expect(engine.seen[0]?.request.scheme).toBe('https')
  })

  it('takes OPTIONS *', async () => {
    const engine = await start(() => answer(200, 'ok'))
    const client = await dial(engine)
    client.send(headers(1, request('OPTIONS', '*')))
    expect((await client.answer()).status).toBe(200)
    expect(engine.seen[0]?.request).toMatchObject({ target: '*', path: '*', query: '' })
  })

  const noAuthority: Fields = [
    [':method', 'GET'],
    [':path', '/'],
    [':scheme', 'https'],
  ]
  // Some never get past nghttp2, which resets the stream; the others are answered.
  const refusals: readonly [name: string, outcome: number | 'reset', fields: Fields][] = [
    ['no authority at all', 'reset', noAuthority],
    ['an empty authority', 'reset', [...noAuthority, [':authority', '']]],
    ['user information in the authority', 'reset', [...noAuthority, [':authority', 'a@b']]],
    ['a port out of range', 400, [...noAuthority, [':authority', 'a:70000']]],
    ['a slash in the authority', 'reset', [...noAuthority, [':authority', 'a/b']]],
    ['Host that differs from :authority', 400, get([['host', 'other.example']])],
    [
      'two Host fields',
      'reset',
      get([
        ['host', 'example.com'],
        ['host', 'example.com'],
      ]),
    ],
    ['a target in absolute form', 'reset', request('GET', 'http://example.com/')],
    ['a target without slash', 'reset', request('GET', 'x')],
    ['a fragment', 400, request('GET', '/a#b')],
    ['a space in the target', 'reset', request('GET', '/a b')],
    ['* for GET', 'reset', request('GET', '*')],
    ['a target that is too long', 414, request('GET', `/${'x'.repeat(4096)}`)],
    ['too many fields', 431, get(Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'y'] as const))],
    ['too large a section', 431, get([['x-large', 'y'.repeat(16_384 - 32)]])],
    ['an unknown expectation', 417, get([['expect', 'the-unexpected']])],
    [
      'CONNECT',
      405,
      [
        [':method', 'CONNECT'],
        [':authority', 'a:443'],
      ],
    ],
  ]
  for (const [name, outcome, fields] of refusals) {
    it(`answers ${outcome} to ${name}`, async () => {
      const engine = await start(() => answer(200, 'ok'))
      const client = await dial(engine)
      const bytes = literal(fields)
      // Large sections need more than one frame.
      const parts: Buffer[] = []
      for (let at = 0; at < bytes.length; at += 16_384) parts.push(bytes.subarray(at, at + 16_384))
      client.send(
        ...parts.map((part, i) =>
          frame(
            i === 0 ? frameType.headers : frameType.continuation,
            (i === parts.length - 1 ? frameFlag.endHeaders : 0) | (i === 0 ? frameFlag.endStream : 0),
            1,
            part,
          ),
        ),
      )
      const got = await client.answer()
      if (outcome === 'reset') expect(got).toMatchObject({ status: 0, reset: errorCode.protocolError })
      else expect(got).toMatchObject({ status: outcome, complete: true })
      expect(engine.seen).toEqual([])
      // The connection lives on.
      client.send(headers(3, get()))
      expect((await client.answer(3)).status).toBe(200)
      expect(engine.finished.map((each) => each.status)).toEqual(outcome === 'reset' ? [200] : [outcome, 200])
    })
  }

  it('is served just below the limits', async () => {
    const engine = await start(() => answer(200, 'ok'))
    const client = await dial(engine)
    client.send(headers(1, request('GET', `/${'x'.repeat(4095)}`)))
    client.send(headers(3, get(Array.from({ length: 100 }, (_, i) => [`x-${i}`, 'y'] as const))))
    expect((await client.answer(1)).status).toBe(200)
    expect((await client.answer(3)).status).toBe(200)
  })
})

describe('the request body', () => {
  it('arrives whole, with its trailers', async () => {
    const engine = await start(async (exchange) => {
      const { bytes, trailers } = await readBody(exchange.body)
      return answer(200, `${bytes.toString()} ${JSON.stringify(trailers)}`)
    })
    const client = await dial(engine)
    client.send(post(), data(1, 'abc'), data(1, 'def'))
    client.send(
      headers(1, [
        ['x-sum', '7'],
        ['authorization', 'x'],
      ]),
    )
    // What frames or routes a message has no place in trailers and is left out.
    expect((await client.answer()).body).toBe('abcdef ["x-sum","7"]')
  })

  it('is empty but present until END_STREAM', async () => {
    const engine = await start(async (exchange) =>
      answer(200, `${(await readBody(exchange.body)).bytes.length}`),
    )
    const client = await dial(engine)
    client.send(post())
    await settle(() => engine.seen.length === 1)
    expect(engine.seen[0]?.body).toBeDefined()
    client.send(data(1, '', true))
    expect((await client.answer()).body).toBe('0')
  })

  const cuts: readonly [name: string, send: readonly Buffer[]][] = [
    ['a reset stream', [rst(1)]],
    ['a stream reset with NO_ERROR', [rst(1, errorCode.noError)]],
    ['invalid trailers', [headers(1, [['x-sum', 'a\r\nb']])]],
    ['pseudo-fields in trailers', [headers(1, [[':path', '/admin']])]],
    ['a second section without END_STREAM', [headers(1, [['x', 'y']], false)]],
    ['END_STREAM before content-length is reached', [data(1, 'd', true)]],
    ['more DATA than content-length', [data(1, 'defghijklmnop', true)]],
    ['a broken frame', [frame(frameType.ping, 0, 0, 'x')]],
    [
      'an end in the middle of the last frame',
      [frame(frameType.data, frameFlag.endStream, 1, 'defg', 7).subarray(0, 13)],
    ],
  ]
  for (const take of [true, false]) {
    for (const [name, send] of cuts) {
      it(`is failed, never ended, by ${name}${take ? '' : ' while it is not read'}`, async () => {
        let reading: Reading | undefined
        const engine = await start((exchange) => {
          reading = watch(exchange, take)
          return never()
        })
        const client = await dial(engine)
        client.send(post([['content-length', '10']]), data(1, 'abc'))
        await settle(() => reading?.bytes === 3)
        client.send(...send)
        if (name.startsWith('an end')) client.socket.end()
        await settle(() => engine.finished.length === 1)
        expect(reading?.ended).toBe(false)
        expect(reading?.error).toBeDefined()
        expect(engine.finished[0]).toMatchObject({ status: 499, bodyBytes: 0, complete: false })
        expect(engine.seen[0]?.abortReason).toBeDefined()
      })
    }
  }

  it('is failed when all of it comes at once with the reset', async () => {
    const readings: Reading[] = []
    const engine = await start((exchange) => {
      readings.push(watch(exchange))
      return never()
    })
    const client = await dial(engine)
    client.send(post(), data(1, 'abc'), rst(1))
    client.send(headers(3, get()))
    await settle(() => engine.seen.length > 0 && engine.seen.at(-1)?.request.method === 'GET')
    for (const reading of readings.slice(0, -1)) expect(reading.ended).toBe(false)
  })

  it('holds the client back while nobody reads', async () => {
    const source = { reading: undefined as Reading | undefined }
    const engine = await start((exchange) => {
      source.reading = watch(exchange, false)
      return never()
    })
    const client = await dial(engine)
    client.send(post())
    for (let i = 0; i < 4; i += 1) client.send(data(1, Buffer.alloc(16_000)))
    await settle(() => (source.reading?.bytes ?? 0) > 0)
    const granted = () =>
      client.frames
        .filter((each) => each.type === frameType.windowUpdate && each.streamId === 1)
        .reduce((sum, each) => sum + each.payload.readUInt32BE(0), 0)
    await new Promise((resolve) => setTimeout(resolve, 50))
    for (let i = 0; i < 4; i += 1) client.send(data(1, Buffer.alloc(16_000)))
    await new Promise((resolve) => setTimeout(resolve, 50))
    // Node's stream buffers up to 64 KiB, which is given back to the client; the window itself, 65,535 bytes, is not.
    const held = granted()
    expect(held).toBeLessThan(100_000)
    expect(source.reading?.bytes).toBeLessThan(65_536)
    await settle(() => {
      engine.seen[0]?.body?.resume()
      return granted() > held
    })
  })

  it('over the limit is refused with 413, declared or not', async () => {
    const engine = await start(
      async (exchange) => {
        await readBody(exchange.body)
        return answer(200, 'ok')
      },
      { limits: { maxBodyBytes: 10 } },
    )
    const client = await dial(engine)
    client.send(post([['content-length', '11']]))
    expect(await client.answer(1)).toMatchObject({ status: 413, complete: true })
    client.send(headers(3, request('POST', '/'), false), data(3, 'x'.repeat(11)))
    expect(await client.answer(3)).toMatchObject({ status: 413, complete: true })
    client.send(headers(5, request('POST', '/'), false), data(5, 'x'.repeat(10), true))
    expect(await client.answer(5)).toMatchObject({ status: 200 })
    // The rest is not wanted, and the client is told so without an error.
    expect([client.resetCode(1), client.resetCode(3), client.resetCode(5)]).toEqual([0, 0, undefined])
  })

  for (const started of [false, true]) {
    it(`is stopped by RST_STREAM NO_ERROR behind an early answer (${started ? 'begun' : 'not begun'})`, async () => {
      let reading: Reading | undefined
      const engine = await start((exchange) => {
        if (started) reading = watch(exchange, false)
        return answer(200, 'early')
      })
      const client = await dial(engine)
      client.send(post(), data(1, 'x'.repeat(5000)))
      await client.until(() => client.resetCode(1) !== undefined, 'RST_STREAM')
      expect(client.answerSoFar(1)).toMatchObject({ status: 200, body: 'early', complete: true, reset: 0 })
      // Frames that were on their way are no offence.
      client.send(data(1, 'x'.repeat(5000)), data(1, 'x', true), headers(3, get()))
      expect(await client.answer(3)).toMatchObject({ status: 200 })
      await settle(() => engine.finished.length === 2)
      expect(engine.finished[0]).toMatchObject({ status: 200, bodyBytes: 5, complete: true })
      if (started) expect(reading?.ended).toBe(false)
    })
  }

  it('that is complete but unread does not keep the stream open', async () => {
    const engine = await start((exchange) => {
      watch(exchange, false)
      return answer(200, 'ok')
    })
    const client = await dial(engine)
    client.send(post(), data(1, 'x'.repeat(30_000).slice(0, 16_000)), data(1, 'y', true))
    await client.answer()
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]?.complete).toBe(true)
  })
})

describe('interim answers', () => {
  it('sends 100 when the body is wanted, once', async () => {
    const engine = await start(async (exchange) => {
      exchange.sendContinue()
      exchange.sendContinue()
      return answer(200, (await readBody(exchange.body)).bytes.toString())
    })
    const client = await dial(engine)
    client.send(post([['expect', '100-continue']]))
    await client.until(() => client.answerSoFar().interim.length > 0, '100')
    client.send(data(1, 'hello', true))
    expect(await client.answer()).toMatchObject({ status: 200, body: 'hello', interim: [100] })
  })

  it('passes 103 on, and nothing after the head', async () => {
    let late: boolean | undefined
    const engine = await start((exchange) => {
      expect(exchange.inform(103, ['Link', '</a.css>', 'Link', '</b.css>'])).toBe(true)
      expect(exchange.inform(101, [])).toBe(false)
      setTimeout(() => {
        late = exchange.inform(103, [])
      }, 20)
      return answer(200, 'ok')
    })
    const client = await dial(engine)
    client.send(headers(1, get()))
    expect(await client.answer()).toMatchObject({ status: 200, interim: [103] })
    await settle(() => late !== undefined)
    expect(late).toBe(false)
  })
})

describe('the answer', () => {
  it('carries length, date, request id and HSTS', async () => {
    const engine = await start(
      () => answer(201, 'ok', ['X-Test', 'a', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']),
      {
        transportSecurity: 'max-age=1',
      },
    )
    const client = await dial(engine)
    client.send(headers(1, get()))
    const { status, fields } = await client.answer()
    expect(status).toBe(201)
    expect(fields).toMatchObject({
      'content-length': '2',
      'x-test': 'a',
      'strict-transport-security': 'max-age=1',
      'x-request-id': engine.seen[0]?.id,
    })
    expect(fields['date']).toMatch(/GMT$/)
  })

  it('keeps the fields the origin repeated, and drops those of a connection', async () => {
    const list = [
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'ETag',
      '"a"',
      'ETag',
      '"b"',
      'Date',
      'Mon, 01 Jan 2024 00:00:00 GMT',
    ]
    const hop = [
      'Connection',
      'close',
      'Keep-Alive',
      'x',
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2c',
      'TE',
      'gzip',
    ]
    const engine = await start(() => answer(200, '', [...list, ...hop, 'X-Request-Id', 'ours']))
    const session = connect(`http://127.0.0.1:${engine.port}`)
    const stream = session.request({ ':path': '/' })
    const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders]
    expect(fields['set-cookie']).toEqual(['a=1', 'b=2'])
    expect(fields).toMatchObject({ date: 'Mon, 01 Jan 2024 00:00:00 GMT', 'x-request-id': 'ours' })
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te'])
      expect(fields[name]).toBeUndefined()
    stream.resume()
    await once(stream, 'close')
    session.close()
  })

  const bodiless: readonly [name: string, method: string, status: number, length: number | undefined][] = [
    ['HEAD', 'HEAD', 200, 1234],
    ['HEAD of unknown length', 'HEAD', 200, undefined],
    ['304', 'GET', 304, 1234],
    ['204', 'GET', 204, undefined],
    ['205', 'GET', 205, 0],
    ['200 without a body', 'GET', 200, 0],
  ]
  for (const [name, method, status, length] of bodiless) {
    it(`has no body: ${name}`, async () => {
      const source = new HandFed()
      const engine = await start(() => ({
        status,
        headers: [],
        body: method === 'HEAD' ? source : undefined,
        length,
      }))
      const client = await dial(engine)
      client.send(headers(1, request(method, '/')))
      const got = await client.answer()
      expect(got).toMatchObject({ status, body: '', complete: true, reset: undefined })
      expect(got.fields['content-length']).toBe(length === undefined ? undefined : String(length))
      if (method === 'HEAD') expect(source.cancelled).toBe(true)
      await settle(() => engine.finished.length === 1)
      expect(engine.finished[0]).toMatchObject({ complete: true, bodyBytes: 0 })
    })
  }

  it('passes each piece on at once, and trailers', async () => {
    const source = new HandFed()
    const engine = await start(() => ({
      status: 200,
      headers: ['Content-Type', 'text/event-stream'],
      body: source,
      length: undefined,
    }))
    const client = await dial(engine)
    client.send(headers(1, get()))
    await client.until(() => client.answerSoFar().status === 200, 'head')
    source.sink?.data(Buffer.from('one'))
    await client.until(() => client.answerSoFar().body === 'one', 'first piece')
    source.sink?.data(Buffer.from('two'))
    await client.until(() => client.answerSoFar().body === 'onetwo', 'second piece')
    source.sink?.end(['X-Sum', '9'])
    expect(await client.answer()).toMatchObject({
      body: 'onetwo',
      trailers: { 'x-sum': '9' },
      complete: true,
    })
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]).toMatchObject({ complete: true, bodyBytes: 6 })
  })

  it('ends without trailers when there are none', async () => {
    const source = new HandFed()
    const engine = await start(() => ({ status: 200, headers: [], body: source, length: undefined }))
    const client = await dial(engine)
    client.send(headers(1, get()))
    await settle(() => source.sink !== undefined)
    source.sink?.data(Buffer.from('one'))
    source.sink?.end()
    expect(await client.answer()).toMatchObject({
      body: 'one',
      trailers: undefined,
      complete: true,
      reset: undefined,
    })
  })

  const cuts: readonly [name: string, length: number | undefined, cut: (sink: BodySink) => void][] = [
    ['an origin that dies', undefined, (sink) => sink.fail(new UpstreamAbortedError('origin', 'reset'))],
    [
      'an origin that dies, length known',
      10,
      (sink) => sink.fail(new UpstreamAbortedError('origin', 'reset')),
    ],
    ['fewer bytes than announced', 10, (sink) => sink.end()],
    ['more bytes than announced', 5, (sink) => void sink.data(Buffer.from('more'))],
  ]
  for (const [name, length, cut] of cuts) {
    it(`is reset, never ended, by ${name}`, async () => {
      const source = new HandFed(length)
      const engine = await start(() => ({ status: 200, headers: [], body: source, length }))
      const client = await dial(engine)
      client.send(headers(1, get()))
      await settle(() => source.sink !== undefined)
      source.sink?.data(Buffer.from('part'))
      await client.until(() => client.answerSoFar().body === 'part', 'part')
      cut(source.sink as BodySink)
      expect(await client.answer()).toMatchObject({
        body: 'part',
        complete: false,
        reset: constants.NGHTTP2_INTERNAL_ERROR,
      })
      await settle(() => engine.finished.length === 1)
      expect(engine.finished[0]).toMatchObject({ status: 200, complete: false })
      client.send(headers(3, get()))
      await settle(() => engine.seen.length === 2)
    })
  }

  const broken: readonly [name: string, status: number, list: string[]][] = [
    ['status 0', 0, []],
    ['status 999', 999, []],
    ['NUL in a value', 200, ['x-a', 'b\0c']],
    ['LF in a value', 200, ['x-a', 'b\nc']],
    ['a name that is none', 200, ['x a', 'b']],
    ['a pseudo-field', 200, [':path', 'b']],
  ]
  for (const [name, status, list] of broken) {
    it(`that cannot be written (${name}) resets the stream and nothing else`, async () => {
      const source = new HandFed()
      let first = true
      const engine = await start(() => {
        if (!first) return answer(200, 'ok')
        first = false
        return { status, headers: list, body: source, length: undefined }
      })
      const client = await dial(engine)
      client.send(headers(1, get()))
      expect(await client.answer()).toMatchObject({
        complete: false,
        reset: constants.NGHTTP2_INTERNAL_ERROR,
      })
      expect(source.cancelled).toBe(true)
      client.send(headers(3, get()))
      expect(await client.answer(3)).toMatchObject({ status: 200 })
    })
  }

  it('whose body throws resets the stream and nothing else', async () => {
    const engine = await start(async () => ({
      status: 200,
      headers: [],
      length: undefined,
      body: {
        length: undefined,
        start() {
          throw new Error('boom')
        },
        resume() {},
        cancel() {},
      },
    }))
    const client = await dial(engine)
    client.send(headers(1, get()))
    expect(await client.answer()).toMatchObject({ complete: false, reset: constants.NGHTTP2_INTERNAL_ERROR })
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]?.complete).toBe(false)
  })

  it('may have a header section larger than a frame', async () => {
    const engine = await start(() => answer(200, 'ok', ['X-Large', 'y'.repeat(100_000)]))
    const client = await dial(engine)
    client.send(headers(1, get()))
    const { fields, body } = await client.answer()
    expect(fields['x-large']?.length).toBe(100_000)
    expect(body).toBe('ok')
  })

  it('comes from answerError when the handler throws or rejects', async () => {
    let n = 0
    const engine = await start(() => {
      n += 1
      if (n === 1) throw new Error('boom')
      return Promise.reject(new Error('boom'))
    })
    const client = await dial(engine)
    client.send(headers(1, get()), headers(3, get()))
    expect(await client.answer(1)).toMatchObject({ status: 500, complete: true })
    expect(await client.answer(3)).toMatchObject({ status: 500, complete: true })
    expect(engine.finished.map((each) => each.status)).toEqual([500, 500])
  })

  it('of many megabytes in memory is written in pieces, as the client takes it', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'x')
    const engine = await start(() => ({ status: 200, headers: [], body, length: body.length }))
    const session = connect(`http://127.0.0.1:${engine.port}`)
    const stream = session.request({ ':path': '/' })
    let bytes = 0
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    await once(stream, 'end')
    expect(bytes).toBe(body.length)
    session.close()
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]).toMatchObject({ complete: true, bodyBytes: body.length })
  })

  it('holds the origin back while the client does not read', async () => {
    const source = new HandFed()
    const engine = await start(() => ({ status: 200, headers: [], body: source, length: undefined }))
    const client = await dial(engine)
    client.send(headers(1, get()))
    await settle(() => source.sink !== undefined)
    const piece = Buffer.alloc(65_536)
    let taken = 0
    while (source.sink?.data(piece) === true) taken += 1
    expect(taken).toBeLessThan(2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    // The window of a stream is 65,535: the rest waits.
    expect(source.resumed).toBe(0)
    client.send(windowUpdate(0, 1_000_000), windowUpdate(1, 1_000_000))
    await settle(() => source.resumed === 1)
  })
})

describe('a client that leaves', () => {
  it('aborts the exchange and gives the origin’s answer up', async () => {
    const source = new HandFed()
    const engine = await start(() => ({ status: 200, headers: [], body: source, length: undefined }))
    const client = await dial(engine)
    client.send(headers(1, get()))
    await settle(() => source.sink !== undefined)
    source.sink?.data(Buffer.from('part'))
    client.send(rst(1))
    await settle(() => engine.finished.length === 1)
    expect(source.cancelled).toBe(true)
    expect(engine.seen[0]?.abortReason?.code).toBe('client_closed')
    expect(engine.finished[0]).toMatchObject({ status: 200, bodyBytes: 4, complete: false })
  })

  it('while the handler is at work is logged as 499, and a late answer is given up', async () => {
    const source = new HandFed()
    let late: (() => void) | undefined
    const engine = await start(
      () =>
        new Promise(
          (resolve) => (late = () => resolve({ status: 200, headers: [], body: source, length: undefined })),
        ),
    )
    const client = await dial(engine)
    client.send(headers(1, get()))
    await settle(() => late !== undefined)
    client.socket.destroy()
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]).toMatchObject({ status: 499, complete: false })
    late?.()
    await settle(() => source.cancelled)
    expect(engine.finished.length).toBe(1)
    await settle(() => engine.connections() === 0)
  })
})

describe('drain', () => {
  it('says GOAWAY, lets streams finish and refuses new ones', async () => {
    let finish: (() => void) | undefined
    const engine = await start(() => new Promise((resolve) => (finish = () => resolve(answer(200, 'done')))))
    const client = await dial(engine)
    const idle = await dial(engine)
    client.send(headers(1, get()))
    await settle(() => finish !== undefined && engine.connections() === 2)
    engine.drain()
    await idle.until(() => idle.goaway === 0 && idle.closed, 'GOAWAY')
    await client.until(() => client.goaway === 0, 'GOAWAY')
    client.send(headers(3, get()))
    finish?.()
    expect(await client.answer(1)).toMatchObject({ status: 200, body: 'done', complete: true })
    await client.until(() => client.closed, 'end')
    expect(engine.seen.length).toBe(1)
    await settle(() => engine.connections() === 0)
  })
})

describe('many at once', () => {
  it('carries 100 streams both ways without mixing them', async () => {
    const engine = await start(async (exchange) => {
      const { bytes } = await readBody(exchange.body)
      return answer(200, `${getField(exchange.request.headers, 'x-n')}:${bytes.toString()}`)
    })
    const session = connect(`http://127.0.0.1:${engine.port}`)
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const stream = session.request({ ':path': '/', ':method': 'POST', 'x-n': String(n) })
        stream.setEncoding('utf8')
        stream.end(`${n}-`.repeat(500))
        let text = ''
        for await (const chunk of stream) text += chunk as string
        return text
      }),
    )
    expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => `${n}:${`${n}-`.repeat(500)}`))
    session.close()
  })

  it('reads a request that comes byte by byte', async () => {
    const engine = await start(async (exchange) =>
      answer(200, (await readBody(exchange.body)).bytes.toString()),
    )
    const client = await dial(engine, Buffer.alloc(0))
    const bytes = Buffer.concat([preface, settings([3, 5]), post([['x-a', 'b']]), data(1, 'hello', true)])
    for (const byte of bytes) {
      client.send(Buffer.from([byte]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await client.answer()).toMatchObject({ status: 200, body: 'hello' })
  })
})

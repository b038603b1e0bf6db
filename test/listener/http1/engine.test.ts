import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { BodySource } from '../../../src/body.ts'
import type { Exchange, GatewayResponse, Handler } from '../../../src/exchange.ts'
import { UpstreamAbortedError } from '../../../src/errors.ts'
import { rawRequest, startHttp1Engine, type TestEngine } from '../../support/http1-engine.ts'

let engine: TestEngine | undefined
afterEach(async () => {
  await engine?.stop()
  engine = undefined
})

const text = (body: string, status = 200): GatewayResponse => {
  const bytes = Buffer.from(body)
  return { status, headers: ['Content-Type', 'text/plain'], body: bytes, length: bytes.length }
}

/** Answers with method, target and body, once the body is complete. */
const echo: Handler = (exchange) => {
  const { method, target } = exchange.request
  if (exchange.body === undefined) return text(`${method} ${target} -`)
  return readBody(exchange).then((body) => text(`${method} ${target} ${body}`))
}

function readBody(exchange: Exchange): Promise<string> {
  return new Promise((resolve, reject) => {
    let body = ''
    exchange.sendContinue()
    exchange.body?.start({
      data(chunk) {
        body += Buffer.from(chunk).toString('latin1')
        return true
      },
      end: () => resolve(body),
      fail: reject,
    })
  })
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${fields}\r\n`

describe('the HTTP/1.1 engine', () => {
  it('answers a request and keeps the connection for the next one', async () => {
    engine = await startHttp1Engine(echo)
    const { text: answer } = await rawRequest(engine.port, get('/1') + get('/2', 'Connection: close\r\n'))
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2)
    expect(answer).toMatch(/GET \/1 -HTTP\/1\.1[\s\S]*GET \/2 -$/)
    expect(engine.finished.map((f) => [f.status, f.complete, f.bodyBytes])).toEqual([
      [200, true, 8],
      [200, true, 8],
    ])
  })

  it('answers pipelined requests in order although the first one takes longer', async () => {
    let release: (() => void) | undefined
    engine = await startHttp1Engine((exchange) => {
      if (exchange.request.path !== '/0') return echo(exchange)
      return new Promise((resolve) => {
        release = () => resolve(text('slow'))
        setImmediate(() => release?.())
      })
    })
    const paths = Array.from({ length: 200 }, (_, i) => `/${i}`)
    const all = paths.map((path, i) => get(path, i === 199 ? 'Connection: close\r\n' : '')).join('')
    const { text: answer } = await rawRequest(engine.port, all)
    const bodies = [...answer.matchAll(/\r\n\r\n(slow|GET (\/\d+) -)/g)].map((m) => m[2] ?? '/0')
    expect(bodies).toEqual(paths)
  })

  it('serves thousands of pipelined requests behind a slow one without deep recursion or losing one', async () => {
    engine = await startHttp1Engine((exchange) =>
      exchange.request.path === '/0'
        ? new Promise((resolve) => setImmediate(() => resolve(text('first'))))
        : text('x'),
    )
    const all =
      get('/0') + 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(5000) + get('/', 'Connection: close\r\n')
    const { text: answer } = await rawRequest(engine.port, all)
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(5002)
  })

  it('reads bodies by length and by chunks', async () => {
    engine = await startHttp1Engine(echo)
    const { text: answer } = await rawRequest(
      engine.port,
      'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello' +
        'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
    )
    expect(answer).toContain('POST /a hello')
    expect(answer).toContain('POST /b abcde')
  })

  it.each([
    ['a body that declares more than the limit', 'Content-Length: 2000000\r\n\r\n'],
    [
      'a chunked body that grows past the limit',
      `Transfer-Encoding: chunked\r\n\r\n200000\r\n${'x'.repeat(0x200000)}`,
    ],
  ])('refuses %s with 413', async (_, rest) => {
    engine = await startHttp1Engine(echo)
    const { text: answer } = await rawRequest(
      engine.port,
      `POST / HTTP/1.1\r\nHost: a\r\n${rest}`,
      /body_too_large/,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(engine.finished[0]?.exchange.error?.code).toBe('body_too_large')
  })

  it('answers a body whose chunks break with 400, tells the reader, and closes', async () => {
    engine = await startHttp1Engine(echo)
    const { text: answer, closed } = await rawRequest(
      engine.port,
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(closed).toBe(true)
    expect(engine.finished).toHaveLength(1)
  })

  it('answers a good request before the garbage behind it, then closes', async () => {
    engine = await startHttp1Engine(
      (exchange) => new Promise((resolve) => setImmediate(() => resolve(echo(exchange)))),
    )
    const { text: answer, closed } = await rawRequest(engine.port, `${get('/good')}GARBAGE\0\r\n\r\n`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*GET \/good -/)
    expect(closed).toBe(true)
  })

  it('does not let bytes behind a closing request spoil its answer', async () => {
    engine = await startHttp1Engine(
      (exchange) => new Promise((resolve) => setImmediate(() => resolve(echo(exchange)))),
    )
    const { text: answer } = await rawRequest(engine.port, get('/0', 'Connection: close\r\n') + get('/1'))
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK/)
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })

  it('serves nothing behind a request that it refused', async () => {
    engine = await startHttp1Engine(echo)
    const refused =
      'POST /bad HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n'
    const { text: answer, closed } = await rawRequest(engine.port, refused + get('/smuggled'))
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
    expect(closed).toBe(true)
    expect(engine.finished.map((f) => f.exchange.request.target)).toEqual(['/bad'])
  })

  it('answers a client that half-closed', async () => {
    engine = await startHttp1Engine(
      (exchange) => new Promise((resolve) => setTimeout(() => resolve(echo(exchange)), 50)),
    )
    const { text: answer } = await rawRequest(engine.port, get('/late'), undefined, true)
    expect(answer).toContain('GET /late -')
  })

  it('sends interim answers to HTTP/1.1 and none to HTTP/1.0', async () => {
    engine = await startHttp1Engine((exchange) => {
      exchange.inform(103, ['Link', '</a.css>; rel=preload'])
      return text('done')
    })
    const modern = await rawRequest(engine.port, get('/', 'Connection: close\r\n'))
    expect(modern.text).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/,
    )
    const old = await rawRequest(engine.port, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    expect(old.text).toMatch(/^HTTP\/1\.1 200 OK/)
  })

  it('sends 100 Continue only when the body is wanted', async () => {
    engine = await startHttp1Engine((exchange) =>
      exchange.request.path === '/no' ? text('no', 403) : echo(exchange),
    )
    const fields = 'Host: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n'
    const wanted = await rawRequest(
      engine.port,
      [`POST /yes HTTP/1.1\r\n${fields}`, 'hello'],
      /POST \/yes hello/,
    )
    expect(wanted.text).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
    wanted.socket.destroy()
    const refused = await rawRequest(engine.port, `POST /no HTTP/1.1\r\n${fields}`)
    expect(refused.text).toMatch(/^HTTP\/1\.1 403 /)
  })

  it('streams unknown lengths in chunks with trailers, and cuts a body that failed without its terminator', async () => {
    engine = await startHttp1Engine((exchange) => ({
      status: 200,
      headers: [],
      length: undefined,
      body: source((sink) => {
        sink.data(Buffer.from('part'))
        if (exchange.request.path === '/whole') sink.end(['X-Sum', '1'])
        else sink.fail(new UpstreamAbortedError('test', 'cut'))
      }),
    }))
    const whole = await rawRequest(engine.port, get('/whole', 'Connection: close\r\n'))
    expect(whole.text).toMatch(/4\r\npart\r\n0\r\nX-Sum: 1\r\n\r\n$/)
    const cut = await rawRequest(engine.port, get('/cut'))
    expect(cut.text).not.toContain('0\r\n\r\n')
    expect(engine.finished.map((f) => f.complete)).toEqual([true, false])
  })

  it('writes large bodies piece by piece and waits for a reader that stalls', async () => {
    const big = Buffer.alloc(32 * 1024 * 1024, 'x')
    engine = await startHttp1Engine(() => ({ status: 200, headers: [], body: big, length: big.length }))
    const socket = connect(engine.port, '127.0.0.1')
    socket.pause()
    socket.write(get('/'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const [server] = [...engine.sockets]
    expect(server?.writableLength).toBeLessThanOrEqual(256 * 1024)
    expect(engine.finished).toHaveLength(0)
    let received = 0
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    socket.resume()
    while (engine.finished.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(engine.finished[0]).toMatchObject({ complete: true, bodyBytes: big.length })
    socket.destroy()
    expect(received).toBeGreaterThan(0)
  })

  it('aborts the exchange of a client that leaves', async () => {
    let aborted: string | undefined
    engine = await startHttp1Engine(
      (exchange) =>
        new Promise((_, reject) => {
          exchange.onAbort((why) => {
            aborted = why.code
            reject(why)
          })
          for (const socket of engine?.sockets ?? []) setImmediate(() => socket.resetAndDestroy())
        }),
    )
    await rawRequest(engine.port, get('/'))
    while (engine.finished.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(aborted).toBe('client_closed')
    expect(engine.finished[0]).toMatchObject({ status: 499, complete: false })
    expect(engine.connections()).toBe(0)
  })

  it('turns a handler that throws into an answer and goes on', async () => {
    engine = await startHttp1Engine((exchange) => {
      if (exchange.request.path === '/bug') throw new Error('bug')
      return text('fine')
    })
    const { text: answer } = await rawRequest(engine.port, get('/bug') + get('/ok', 'Connection: close\r\n'))
    expect(answer).toMatch(/^HTTP\/1\.1 500 [\s\S]*fine$/)
  })

  it.each([
    ['an origin status that Node refuses', { status: 1000, headers: [] }],
    ['an origin field that Node refuses', { status: 200, headers: ['X-Bad', 'a\u0000b'] }],
  ])('drops the connection instead of crashing on %s', async (_, answer) => {
    engine = await startHttp1Engine(() => ({
      ...answer,
      headers: [...answer.headers],
      body: undefined,
      length: 0,
    }))
    const { text: got } = await rawRequest(engine.port, get('/'))
    expect(got).toBe('')
    expect(engine.finished[0]?.complete).toBe(false)
  })

  it('closes idle connections on drain and ends busy ones after their answer', async () => {
    let release: () => void = () => {}
    engine = await startHttp1Engine(
      (exchange) =>
        new Promise((resolve) => {
          release = () => resolve(echo(exchange))
        }),
    )
    const busy = rawRequest(engine.port, get('/busy'))
    while (engine.sockets.size === 0 || engine.connections() === 0)
      await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setTimeout(resolve, 20))
    engine.drain()
    release()
    const { text: answer, closed } = await busy
    expect(answer).toMatch(/Connection: close\r\n[\s\S]*GET \/busy -$/)
    expect(closed).toBe(true)
  })

  it('cuts a client that is slow with its header at the timeout, with 408', async () => {
    engine = await startHttp1Engine(echo, { timeouts: { headerMs: 100 } })
    const { text: answer, closed } = await rawRequest(engine.port, 'GET / HTTP/1.1\r\nHost: a\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(closed).toBe(true)
  })

  it('cuts a client that is slow with its body, with 408', async () => {
    engine = await startHttp1Engine(echo, { timeouts: { bodyMs: 100 } })
    const { text: answer, closed } = await rawRequest(
      engine.port,
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel',
    )
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(closed).toBe(true)
  })
})

function source(run: (sink: Parameters<BodySource['start']>[0]) => void): BodySource {
  return { length: undefined, start: (sink) => run(sink), resume() {}, cancel() {} }
}

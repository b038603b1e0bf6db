import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UpstreamResetError } from '../../src/errors.ts'
import type { Outcome } from '../../src/listener/service.ts'
import { accessLog } from '../../src/observe/access-log.ts'
import type { LogSink } from '../../src/observe/log-sink.ts'
import { isSecretName, redactQuery, redactReferer } from '../../src/observe/redact.ts'
import { makeExchange } from '../support/exchange.ts'
import type { ExchangeInit } from '../support/exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

class MemorySink implements LogSink {
  readonly dropped = 0
  readonly batches: { text: string; lines: number }[] = []
  write(bytes: Uint8Array, lines: number, done?: () => void): void {
    this.batches.push({ text: new TextDecoder().decode(bytes), lines })
    done?.()
  }
  drop(): void {}
  close(): Promise<void> {
    return Promise.resolve()
  }
  get text(): string {
    return this.batches.map((batch) => batch.text).join('')
  }
}

const ok: Outcome = { status: 200, bodyBytes: 12, complete: true }

function line(format: 'json' | 'combined', init: ExchangeInit, outcome: Outcome = ok): string {
  const clock = new ManualClock()
  const sink = new MemorySink()
  const log = accessLog({ format, sink, clock })
  const exchange = makeExchange({ ...init, clock })
  clock.advance(12.5)
  log.record(exchange, outcome)
  log.flush()
  return sink.text
}

function entry(init: ExchangeInit, outcome: Outcome = ok): Record<string, unknown> {
  return JSON.parse(line('json', init, outcome)) as Record<string, unknown>
}

describe('a JSON line', () => {
  it('tells what happened', () => {
    const headers = ['User-Agent', 'curl/8', 'Referer', 'https://u:p@a.example/x?token=1#f']
    expect(entry({ target: '/a?b=1&token=abc', headers, host: 'a.example:8443' })).toEqual({
      time: '2026-01-02T03:04:05.012Z',
      id: 'test-id-1',
      client: '192.0.2.1',
      method: 'GET',
      scheme: 'https',
      host: 'a.example:8443',
      path: '/a',
      query: 'b=1&token=redacted',
      protocol: 'HTTP/1.1',
      status: 200,
      bytes: 12,
      duration_ms: 12.5,
      outcome: 'complete',
      user_agent: 'curl/8',
      referer: 'https://a.example/x',
    })
  })

  it('names route, upstream, error and TLS version where there are any', () => {
    const clock = new ManualClock()
    const sink = new MemorySink()
    const log = accessLog({ format: 'json', sink, clock })
    const tls = {
      version: 'TLSv1.3',
      cipher: 'x',
      serverName: undefined,
      resumed: false,
      clientCertificate: undefined,
    }
    const exchange = makeExchange({ clock, connection: { tls } })
    exchange.slots.route = { name: 'api' }
    exchange.slots.upstream = { endpoint: 'http://127.0.0.1:3000', reused: true, retried: true }
    exchange.forward = {
      upstream: 'app',
      host: 'client',
      headerEdits: undefined,
      responseHeadTimeoutMs: undefined,
      bodyIdleTimeoutMs: undefined,
    }
    exchange.error = new UpstreamResetError('http://127.0.0.1:3000')
    log.record(exchange, { status: 502, bodyBytes: 0, complete: false })
    log.flush()
    expect(JSON.parse(sink.text)).toMatchObject({
      route: 'api',
      upstream: 'app',
      endpoint: 'http://127.0.0.1:3000',
      reused: true,
      retried: true,
      error: 'upstream_reset',
      error_detail: expect.stringContaining('closed the connection') as string,
      tls: 'TLSv1.3',
      outcome: 'cut',
    })
  })

  it('never holds credentials', () => {
    const headers = [
      'Authorization',
      'Basic hunter2',
      'Cookie',
      'a=hunter2',
      'Proxy-Authorization',
      'hunter2',
    ]
    for (const format of ['json', 'combined'] as const) {
      expect(line(format, { headers, target: '/?password=hunter2&API%5FKEY=hunter2' })).not.toContain(
        'hunter2',
      )
    }
  })

  it('is one line that reads back as what was sent, whatever was sent', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(text, text, text, (path, agent, referer) => {
        const bare = path.replaceAll('?', '')
        const written = line('json', {
          target: `/${bare}`,
          headers: ['User-Agent', agent, 'Referer', referer.replaceAll(/[?#@]/g, '')],
        })
        expect(written.indexOf('\n')).toBe(written.length - 1)
        // oxlint-disable-next-line no-control-regex
        expect(written.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u0080-\u009f\u2028\u2029]/)
        const parsed = JSON.parse(written) as Record<string, unknown>
        expect(parsed).toMatchObject({
          path: `/${bare}`,
          user_agent: agent,
          referer: referer.replaceAll(/[?#@]/g, ''),
        })
      }),
      { numRuns: 1_000 },
    )
  })

  it('has a bound', () => {
    const long = 'é"'.repeat(20_000)
    const written = line('json', {
      target: `/${long}?${long}`,
      headers: ['User-Agent', long, 'Referer', long],
    })
    expect(Buffer.byteLength(written)).toBeLessThan(48 * 1024)
    expect(JSON.parse(written)).toHaveProperty('user_agent')
  })
})

describe('a combined line', () => {
  it('looks like those of nginx', () => {
    expect(line('combined', { target: '/a?b=1&secret=x', headers: ['User-Agent', 'curl/8 "x" \\'] })).toBe(
      String.raw`192.0.2.1 - - [02/Jan/2026:03:04:05 +0000] "GET /a?b=1&secret=redacted HTTP/1.1" 200 12 "-" "curl/8 \x22x\x22 \x5C"` +
        '\n',
    )
  })

  it('keeps its shape, whatever was sent', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(text, text, (path, agent) => {
        const written = line('combined', {
          target: `/${path}`,
          headers: ['User-Agent', agent, 'Referer', agent],
        })
        expect(written).toMatch(
          /^192\.0\.2\.1 - - \[[^\]]+\] "GET [ -!#-[\]-~\\]* HTTP\/1\.1" 200 12 "[ -!#-~]*" "[ -!#-~]*"\n$/,
        )
        expect(written).not.toMatch(/\\(?!x[0-9A-F]{2})/)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('redaction', () => {
  it.each([
    'token',
    'access_token',
    'X-Amz-Signature',
    'PASSWORD',
    'user[password]',
    'api%5fkey',
    'key',
    'code',
    'sessionId',
    'client_secret',
    '%74oken',
  ])('takes %s for a secret', (name) => expect(isSecretName(name)).toBe(true))
  it.each(['keyword', 'zipcode', 'page', 'compass', 'author', 'q', '', '%zz'])(
    'takes %j for none',
    (name) => {
      expect(isSecretName(name)).toBe(false)
    },
  )
  it.each([
    ['a=1', 'a=1'],
    ['token=', 'token='],
    ['token', 'token'],
    ['token=a=b&c=d', 'token=redacted&c=d'],
    ['a&token=1&&key=2&', 'a&token=redacted&&key=redacted&'],
  ])('of %s leaves %s', (query, expected) => expect(redactQuery(query)).toBe(expected))
  it.each([
    ['https://a.example/x?y#z', 'https://a.example/x'],
    ['https://u:p@a.example', 'https://a.example'],
    ['https://u:p@q@a.example/@b', 'https://a.example/@b'],
    ['/x@y', '/x@y'],
  ])('of the referer %s leaves %s', (referer, expected) => expect(redactReferer(referer)).toBe(expected))
})

describe('batches', () => {
  it('go out after 100 ms, or at 256 KiB', () => {
    const clock = new ManualClock()
    const sink = new MemorySink()
    const log = accessLog({ format: 'json', sink, clock })
    log.record(makeExchange({ clock }), ok)
    log.record(makeExchange({ clock }), ok)
    clock.advance(99)
    expect(sink.batches).toHaveLength(0)
    clock.advance(1)
    expect(sink.batches.map(({ lines }) => lines)).toEqual([2])
    expect(clock.pending).toBe(0)
    for (let i = 0; i < 1600; i++) log.record(makeExchange({ clock }), ok)
    expect(sink.batches.length).toBeGreaterThan(1)
    clock.advance(100)
    expect(sink.text.split('\n')).toHaveLength(1603)
    expect(Math.max(...sink.batches.map(({ text }) => text.length))).toBeLessThan(270_000)
  })

  it('are none when the log is off', () => {
    const sink = new MemorySink()
    const log = accessLog({ format: 'off', sink, clock: new ManualClock() })
    log.record(makeExchange(), ok)
    log.flush()
    expect(sink.batches).toHaveLength(0)
  })
})

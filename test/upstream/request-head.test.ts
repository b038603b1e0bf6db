import { describe, expect, it } from 'vitest'
import type { ClientCertificate, ForwardPlan } from '../../src/exchange.ts'
import { requestHead } from '../../src/upstream/request-head.ts'
import { isTraceparent, traceparentSource } from '../../src/upstream/trace-context.ts'
import { type ExchangeInit, makeExchange } from '../support/exchange.ts'
import { HandBody, plan } from './harness.ts'

const made = '00-11111111111111111111111111111111-2222222222222222-01'

function build(init: ExchangeInit = {}, over: Partial<ForwardPlan> = {}, upgrade = false): string[] {
  const text = requestHead(
    makeExchange(init),
    { ...plan, ...over },
    { endpointAuthority: '127.0.0.1:3000', makeTraceparent: () => made, upgrade },
  )
  expect(text.endsWith('\r\n\r\n')).toBe(true)
  return text.slice(0, -4).split('\r\n')
}

const values = (lines: string[], name: string) =>
  lines
    .filter((line) => line.toLowerCase().startsWith(`${name}: `))
    .map((line) => line.slice(name.length + 2))

describe('the request head', () => {
  it('is what the client sent, with the gateway named', () => {
    expect(
      build({ method: 'GET', target: '/a?b=c', headers: ['Accept', '*/*', 'Cookie', 'a=1', 'x-own', 'é'] }),
    ).toEqual([
      'GET /a?b=c HTTP/1.1',
      'Host: example.com',
      'Accept: */*',
      'Cookie: a=1',
      'x-own: é',
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: example.com',
      'X-Forwarded-Port: 8443',
      'X-Real-IP: 192.0.2.1',
      'Forwarded: for=192.0.2.1;host=example.com;proto=https',
      'Via: 1.1 sluice',
      'X-Request-Id: test-id-1',
      `traceparent: ${made}`,
    ])
  })

  it.each([
    ['client', 'example.com:81'],
    ['endpoint', '127.0.0.1:3000'],
    [{ literal: 'app.internal' }, 'app.internal'],
  ] as const)('takes Host from %j', (host, expected) => {
    expect(values(build({ host: 'example.com:81' }, { host }), 'host')).toEqual([expected])
  })

  it('names the endpoint when an HTTP/1.0 client sent no Host', () => {
    expect(values(build({ host: '', httpVersion: '1.0' }), 'host')).toEqual(['127.0.0.1:3000'])
  })

  it('strips hop-by-hop fields and what Connection names', () => {
    const lines = build({
      headers: [
        'Connection', 'X-Secret, keep-alive, Upgrade, HTTP2-Settings', 'X-Secret', 's', 'Keep-Alive', 'timeout=5', 'Proxy-Connection', 'keep-alive',
        'Proxy-Authorization', 'Basic eDp5', 'Proxy', 'http://evil', 'Upgrade', 'h2c', 'HTTP2-Settings', 'AAMA', 'TE', 'gzip', 'Expect', '100-continue',
        'Transfer-Encoding', 'gzip, chunked', 'Content-Length', '5', 'Trailer', 'X-T',
      ],
    }) // prettier-ignore
    for (const line of lines) {
      expect(line).not.toMatch(
        /^(connection|x-secret|keep-alive|proxy|upgrade|http2|te|expect|transfer|content-length|trailer)/i,
      )
    }
  })

  it('does not let Connection take away Host, framing or the fields of the gateway', () => {
    const lines = build({
      method: 'POST',
      body: new HandBody(5),
      headers: [
        'Connection',
        'close, Host, Content-Length, X-Forwarded-For, X-Real-IP, Via, Forwarded, X-Request-Id, traceparent',
      ],
    })
    for (const name of [
      'host',
      'content-length',
      'x-forwarded-for',
      'x-real-ip',
      'via',
      'forwarded',
      'x-request-id',
      'traceparent',
    ]) {
      expect(values(lines, name)).toHaveLength(1)
    }
  })

  it.each([
    ['a body with a length', 'POST', new HandBody(5), 'Content-Length: 5'],
    ['a body without', 'POST', new HandBody(), 'Transfer-Encoding: chunked'],
    ['a DELETE with a body', 'DELETE', new HandBody(), 'Transfer-Encoding: chunked'],
    ['a POST without body', 'POST', undefined, 'Content-Length: 0'],
  ])('frames %s anew', (_name, method, body, line) => {
    const init: ExchangeInit = { method, headers: ['Content-Length', '99', 'Transfer-Encoding', ',chunked'] }
    if (body !== undefined) init.body = body
    const framing = build(init).filter((each) => /^(content-length|transfer-encoding)/i.test(each))
    expect(framing).toEqual([line])
  })

  it('passes on TE only as trailers, and Trailer only with chunks', () => {
    const lines = build({
      method: 'POST',
      body: new HandBody(),
      headers: ['TE', 'gzip;q=1, trailers', 'Trailer', 'X-T'],
    })
    expect(values(lines, 'te')).toEqual(['trailers'])
    expect(values(lines, 'connection')).toEqual(['TE'])
    expect(values(lines, 'trailer')).toEqual(['X-T'])
  })

  it('asks for WebSocket in its own words', () => {
    const lines = build(
      {
        headers: ['Connection', 'Upgrade, X-A', 'Upgrade', 'WebSocket', 'X-A', 'b', 'Sec-WebSocket-Key', 'k'],
      },
      {},
      true,
    )
    expect(lines.slice(-2)).toEqual(['Connection: Upgrade', 'Upgrade: websocket'])
    expect(values(lines, 'sec-websocket-key')).toEqual(['k'])
    expect(values(lines, 'x-a')).toEqual([])
  })
})

describe('forwarded fields', () => {
  const sent = [
    'X-Forwarded-For', '6.6.6.6', 'x-forwarded-proto', 'gopher', 'X-Forwarded-Host', 'evil', 'X-Forwarded-Port', '1', 'X-Real-IP', '6.6.6.6',
    'Forwarded', 'for=6.6.6.6', 'X-Forwarded-Prefix', '/p', 'X-Request-Id', 'forged', 'Via', '1.1 edge',
  ] // prettier-ignore

  it('begin anew for a client', () => {
    const lines = build({ headers: sent })
    expect(lines.join('\n')).not.toMatch(/6\.6\.6\.6|gopher|evil|forged|Prefix/)
    expect(values(lines, 'via')).toEqual(['1.1 edge', '1.1 sluice'])
  })

  it('are continued for a trusted proxy', () => {
    const lines = build({
      headers: sent,
      peerTrusted: true,
      client: '6.6.6.6',
      connection: { remoteAddress: '10.0.0.1' },
    })
    expect(values(lines, 'x-forwarded-for')).toEqual(['6.6.6.6, 10.0.0.1'])
    expect(values(lines, 'x-forwarded-proto')).toEqual(['gopher'])
    expect(values(lines, 'x-forwarded-host')).toEqual(['evil'])
    expect(values(lines, 'x-forwarded-port')).toEqual(['1'])
    expect(values(lines, 'x-forwarded-prefix')).toEqual(['/p'])
    expect(values(lines, 'x-real-ip')).toEqual(['6.6.6.6'])
    expect(values(lines, 'forwarded')).toEqual(['for=6.6.6.6, for=10.0.0.1;host=example.com;proto=https'])
    expect(values(lines, 'x-request-id')).toEqual(['test-id-1'])
  })

  it.each([
    'X_Forwarded_For',
    'X-Forwarded_For',
    'x_real_ip',
    'X_Client_Cert_Subject',
    'X_Request_Id',
    'Content_Length',
    'transfer_encoding',
    'Proxy_Authorization',
  ])('drop the alias %s, from trusted proxies too', (name) => {
    for (const peerTrusted of [false, true]) {
      expect(values(build({ headers: [name, '6.6.6.6'], peerTrusted }), name.toLowerCase())).toEqual([])
    }
  })

  it('leave other names with an underscore alone', () => {
    expect(values(build({ headers: ['x_tenant', 'a', 'user_id', 'b'] }), 'x_tenant')).toEqual(['a'])
  })

  it('quote IPv6 and ports in Forwarded', () => {
    const lines = build({ client: '2001:db8::1', host: 'example.com:8443' })
    expect(values(lines, 'forwarded')).toEqual(['for="[2001:db8::1]";host="example.com:8443";proto=https'])
  })

  it('say what mutual TLS found, and nothing that the client made up', () => {
    const forged = [
      'X-Client-Cert-Verified',
      'true',
      'x-client-cert-subject',
      'CN=root',
      'X-Client-Cert-Fingerprint',
      '00',
      'X-Client-Cert-Other',
      '1',
    ]
    const tls = { version: 'TLSv1.3', cipher: 'x', serverName: undefined, resumed: false }
    expect(build({ headers: forged }).join('\n')).not.toMatch(/client-cert/i)
    const clientCertificate: ClientCertificate = {
      verified: true,
      subject: 'CN=a\r\nX-Evil: 1,O=ü%',
      fingerprint: 'ab',
    }
    const lines = build({ headers: forged, connection: { tls: { ...tls, clientCertificate } } })
    expect(values(lines, 'x-client-cert-verified')).toEqual(['true'])
    expect(values(lines, 'x-client-cert-subject')).toEqual(['CN=a%0D%0AX-Evil: 1,O=%C3%BC%25'])
    expect(values(lines, 'x-client-cert-fingerprint')).toEqual(['ab'])
  })
})

describe('header edits', () => {
  it('apply in the order remove, set, add and can replace Host but not framing', () => {
    const headerEdits = {
      remove: ['cookie', 'x-forwarded-port', 'host'],
      set: ['Accept', 'text/html', 'Host', 'other.example', 'Transfer-Encoding', 'chunked'],
      add: ['X-Gate', '1', 'Content-Length', '7', 'Connection', 'X-Gate'],
    }
    const lines = build({ headers: ['accept', '*/*', 'Cookie', 'a=1'] }, { headerEdits })
    expect(lines[1]).toBe('Host: other.example')
    expect(values(lines, 'accept')).toEqual(['text/html'])
    expect(values(lines, 'x-gate')).toEqual(['1'])
    expect(lines.join('\n')).not.toMatch(/cookie|forwarded-port|transfer-encoding|content-length|connection/i)
  })
})

describe('traceparent', () => {
  const valid = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  it('is kept with its tracestate when valid', () => {
    const lines = build({ headers: ['tracestate', 'a=1', 'Traceparent', valid, 'tracestate', 'b=2'] })
    expect(values(lines, 'traceparent')).toEqual([valid])
    expect(values(lines, 'tracestate')).toEqual(['a=1,b=2'])
  })

  it.each([
    valid.toUpperCase(),
    valid.slice(1),
    `${valid}-x`,
    `ff${valid.slice(2)}`,
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01',
    `01${valid.slice(2)}x`,
    'nonsense',
    '',
  ])('is made anew, without tracestate, for %j', (bad) => {
    const lines = build({ headers: ['traceparent', bad, 'tracestate', 'a=1'] })
    expect(values(lines, 'traceparent')).toEqual([made])
    expect(values(lines, 'tracestate')).toEqual([])
  })

  it('is made anew when there are two', () => {
    expect(values(build({ headers: ['traceparent', valid, 'traceparent', valid] }), 'traceparent')).toEqual([
      made,
    ])
  })

  it('of a later version may be longer', () => {
    expect(isTraceparent(`01${valid.slice(2)}-more`)).toBe(true)
  })

  it('comes out valid and different each time, even from zeros', () => {
    const next = traceparentSource((bytes) => void bytes.fill(0))
    expect(isTraceparent(next())).toBe(true)
    let count = 0
    const counting = traceparentSource((bytes) => {
      for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32BE(count++, i)
    })
    expect(new Set(Array.from({ length: 1000 }, counting)).size).toBe(1000)
  })
})

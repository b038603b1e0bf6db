import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { judgeHead } from '../../../src/listener/http1/request-gate.ts'
import { isWebSocketRequest } from '../../../src/listener/http1/upgrade-rules.ts'

const limits = { maxUriBytes: 100, maxHeaderBytes: 1000, maxHeaderCount: 10, maxBodyBytes: 1000 }
const judge = (rawHeaders: string[], over: { method?: string; url?: string; httpVersion?: string } = {}) =>
  judgeHead({ method: 'GET', url: '/', httpVersion: '1.1', rawHeaders, ...over }, true, limits)

describe('the request gate', () => {
  it('lets a plain request pass and takes its target apart', () => {
    const { head, fault, hasBody } = judge(['Host', 'A.example:8443', 'X-A', '1'], { url: '/p/a?q=1?2' })
    expect(fault).toBeUndefined()
    expect(hasBody).toBe(false)
    expect(head).toMatchObject({
      method: 'GET',
      target: '/p/a?q=1?2',
      path: '/p/a',
      query: 'q=1?2',
      scheme: 'https',
      authority: 'a.example:8443',
      host: 'a.example',
      httpVersion: '1.1',
    })
  })

  it.each<[string, string[], { method?: string; url?: string; httpVersion?: string }, number]>([
    ['no Host in HTTP/1.1', [], {}, 400],
    ['two Host lines, even equal ones', ['Host', 'a', 'host', 'a'], {}, 400],
    ['a malformed Host', ['Host', 'a b'], {}, 400],
    ['an empty Host', ['Host', ''], {}, 400],
    ['user information in Host', ['Host', 'u@a'], {}, 400],
    ['HTTP/2.0 on the wire', ['Host', 'a'], { httpVersion: '2.0' }, 505],
    ['a missing version', [], { httpVersion: '0.9' }, 505],
    ['two Content-Length lines', ['Host', 'a', 'Content-Length', '1', 'Content-Length', '1'], {}, 400],
    ['a Content-Length list', ['Host', 'a', 'Content-Length', '1, 1'], {}, 400],
    ['a signed Content-Length', ['Host', 'a', 'Content-Length', '+1'], {}, 400],
    ['a Content-Length beyond exact numbers', ['Host', 'a', 'Content-Length', '1'.repeat(16)], {}, 400],
    ['Transfer-Encoding gzip, chunked', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'], {}, 400],
    ['Transfer-Encoding identity', ['Host', 'a', 'Transfer-Encoding', 'identity'], {}, 400],
    ['Transfer-Encoding ,chunked', ['Host', 'a', 'Transfer-Encoding', ',chunked'], {}, 400],
    ['an empty Transfer-Encoding', ['Host', 'a', 'Transfer-Encoding', ''], {}, 400],
    [
      'two Transfer-Encoding lines',
      ['Host', 'a', 'Transfer-Encoding', 'chunked', 'transfer-encoding', 'chunked'],
      {},
      400,
    ],
    ['both framings', ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Content-Length', '1'], {}, 400],
    [
      'Transfer-Encoding in HTTP/1.0',
      ['Host', 'a', 'Transfer-Encoding', 'chunked'],
      { httpVersion: '1.0' },
      400,
    ],
    ['an unknown expectation', ['Host', 'a', 'Expect', 'y 100-continue'], {}, 417],
    ['another authority in the target', ['Host', 'a'], { url: 'http://b/' }, 400],
    ['user information in the target', ['Host', 'a'], { url: 'http://u:p@a/' }, 400],
    ['another scheme in the target', ['Host', 'a'], { url: 'ftp://a/' }, 400],
    ['an empty authority in the target', ['Host', 'a'], { url: 'http:///x' }, 400],
    ['authority form', ['Host', 'a'], { url: 'a:80' }, 400],
    ['`*` with GET', ['Host', 'a'], { url: '*' }, 400],
    ['a fragment', ['Host', 'a'], { url: '/a#b' }, 400],
    ['a folded field', ['Host', 'a', 'X', 'a\r\n b'], {}, 400],
    ['a target too long', ['Host', 'a'], { url: `/${'a'.repeat(100)}` }, 414],
    ['too many fields', ['Host', 'a', ...Array.from({ length: 20 }, () => 'x')], {}, 431],
    ['a header section too large', ['Host', 'a', 'X', 'y'.repeat(1000)], {}, 431],
  ])('refuses %s', (_, headers, over, status) => {
    expect(judge(headers, over).fault?.status).toBe(status)
  })

  it.each<[string, string[], { method?: string; url?: string; httpVersion?: string }]>([
    ['HTTP/1.0 without Host', [], { httpVersion: '1.0' }],
    ['absolute form that agrees with Host', ['Host', 'a.example'], { url: 'http://A.example/x' }],
    ['OPTIONS *', ['Host', 'a'], { method: 'OPTIONS', url: '*' }],
    ['chunked in any case', ['Host', 'a', 'transfer-encoding', 'CHUNKED'], { method: 'POST' }],
    ['an IPv6 Host with port', ['Host', '[::1]:8443'], {}],
    ['100-continue', ['Host', 'a', 'Expect', '100-Continue', 'Content-Length', '3'], { method: 'POST' }],
  ])('lets %s pass', (_, headers, over) => {
    expect(judge(headers, over).fault).toBeUndefined()
  })

  it('never throws and never passes a head without exactly one valid framing', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom('Host', 'Content-Length', 'Transfer-Encoding', 'Expect', 'X-Other'),
            fc.oneof(fc.string(), fc.constantFrom('a', '5', 'chunked', '100-continue')),
          ),
          { maxLength: 6 },
        ),
        fc.oneof(fc.webPath(), fc.string()),
        (fields, url) => {
          const verdict = judge(fields.flat(), { url, method: 'POST' })
          if (verdict.fault !== undefined) return
          const count = (name: string): number => fields.filter(([n]) => n === name).length
          expect(count('Host')).toBe(1)
          expect(count('Content-Length') + count('Transfer-Encoding')).toBeLessThanOrEqual(1)
          expect(verdict.head.target).toMatch(/^(\/[\x21-\x7e]*)$/)
        },
      ),
    )
  })
})

describe('an upgrade', () => {
  const good = [
    'Host',
    'a',
    'Connection',
    'keep-alive, Upgrade',
    'Upgrade',
    'websocket',
    'Sec-WebSocket-Version',
    '13',
    'Sec-WebSocket-Key',
    'dGhlIHNhbXBsZSBub25jZQ==',
  ]
  const without = (name: string): string[] =>
    good.flatMap((_, i) =>
      i % 2 === 0 && good[i] !== name ? [good[i] as string, good[i + 1] as string] : [],
    )

  it('is taken for a well-formed WebSocket request', () => {
    expect(isWebSocketRequest('GET', '1.1', good)).toBe(true)
  })

  it.each<[string, string, string, string[]]>([
    ['POST', 'POST', '1.1', good],
    ['HTTP/1.0', 'GET', '1.0', good],
    ['h2c', 'GET', '1.1', [...without('Upgrade'), 'Upgrade', 'h2c']],
    ['two protocols', 'GET', '1.1', [...good, 'Upgrade', 'h2c']],
    ['no Connection: Upgrade', 'GET', '1.1', without('Connection')],
    ['another version', 'GET', '1.1', [...without('Sec-WebSocket-Version'), 'Sec-WebSocket-Version', '777']],
    ['no key', 'GET', '1.1', without('Sec-WebSocket-Key')],
    ['a body', 'GET', '1.1', [...good, 'Content-Length', '5']],
    ['chunks', 'GET', '1.1', [...good, 'Transfer-Encoding', 'chunked']],
  ])('is none with %s', (_, method, version, headers) => {
    expect(isWebSocketRequest(method, version, headers)).toBe(false)
  })
})

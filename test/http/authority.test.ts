import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAuthority } from '../../src/http/authority.ts'
import { checkTarget, parseAbsoluteTarget } from '../../src/http/target.ts'
import { cleanTrailers } from '../../src/http/trailers.ts'

describe('parseAuthority', () => {
  it.each([
    ['example.com', 'example.com', 'example.com', 0],
    ['Example.COM:8443', 'example.com:8443', 'example.com', 8443],
    ['example.com.', 'example.com', 'example.com', 0],
    ['example.com.:80', 'example.com:80', 'example.com', 80],
    ['example.com:', 'example.com', 'example.com', 0],
    ['127.0.0.1:1', '127.0.0.1:1', '127.0.0.1', 1],
    ['[::1]', '[::1]', '[::1]', 0],
    ['[2001:DB8::1]:443', '[2001:db8::1]:443', '[2001:db8::1]', 443],
    ['under_score.local', 'under_score.local', 'under_score.local', 0],
  ])('reads %s', (text, authority, host, port) => {
    expect(parseAuthority(text)).toEqual({ authority, host, port })
  })

  it.each([
    '',
    ':80',
    '.',
    '.a',
    'a..b',
    'a b',
    'a/b',
    'u@a',
    'a:80,evil',
    'a\0b',
    '[::1',
    '[::1]x',
    '[zz]',
    '[::1%eth0]',
    'a:b',
    'a:99999',
    'a:0',
    'a:123456',
    'a?b',
    'a#b',
    'a\\b',
    'a"b',
    'a,b',
    'a%2eb',
    'ä.example',
    'a'.repeat(254),
  ])('refuses %j', (text) => {
    expect(parseAuthority(text)).toBeUndefined()
  })

  it('is stable: reading its own result gives the same', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        fc.integer({ min: 1, max: 65535 }),
        (host, port) => {
          const first = parseAuthority(`${host}:${port}`)
          expect(first?.port).toBe(port)
          expect(parseAuthority(first?.authority ?? '')).toEqual(first)
        },
      ),
    )
  })
})

describe('targets', () => {
  it.each(['/', '/a?b', '//x', '/a"<>\\^`{|}b', '/%zz'])('accepts %s', (text) =>
    expect(checkTarget(text)).toBe(text),
  )
  it.each(['', 'a', '*', '/a b', '/a#b', '/\x7f', '/\x01', '/ä', '?x=1'])('refuses %j', (text) =>
    expect(checkTarget(text)).toBeUndefined(),
  )
  it.each([
    ['http://a/b?c', { scheme: 'http', authority: 'a', target: '/b?c' }],
    ['HTTPS://a', { scheme: 'https', authority: 'a', target: '/' }],
    ['http://a?x', { scheme: 'http', authority: 'a', target: '/?x' }],
    ['ftp://a/', undefined],
    ['http:/a', undefined],
    ['http://a/#f', undefined],
  ])('takes %s apart', (text, parts) => expect(parseAbsoluteTarget(text)).toEqual(parts))
})

describe('trailers', () => {
  it('passes what may be late and drops what frames, routes or authenticates, aliases included', () => {
    expect(
      cleanTrailers([
        'X-Sum',
        '1',
        'Content-Length',
        '3',
        'HOST',
        'evil',
        'X_Forwarded_For',
        '6.6.6.6',
        'Set-Cookie',
        'a',
        'grpc-status',
        '0',
      ]),
    ).toEqual(['X-Sum', '1', 'grpc-status', '0'])
  })
})

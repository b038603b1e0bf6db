import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseEndpoint, parseHostPattern } from '../../src/origin-address.ts'

describe('endpoints', () => {
  it.each([
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://localhost', 'http://localhost:80'],
    ['HTTPS://Origin.Example/', 'https://origin.example:443'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
    ['http://[0:0:0:0:0:0:0:1]', 'http://[::1]:80'],
    ['http://app_1:80', 'http://app_1:80'],
    ['unix:/run/app.sock', 'unix:/run/app.sock'],
    ['unix:///run/app.sock', 'unix:/run/app.sock'],
  ])('reads %j as %j', (text, canonical) => expect(parseEndpoint(text)?.text).toBe(canonical))

  it.each([
    '',
    'localhost:3000',
    'ftp://localhost',
    'http://',
    'http://user:secret@localhost',
    'http://localhost/path',
    'http://localhost?x',
    'http://localhost#x',
    'http://localhost:0',
    'http://localhost:65536',
    'http://127.1',
    'http://300.1.1.1',
    'http://-a.example',
    'http://a..b',
    'http://a b',
    'http://[::1',
    'http://::1',
    'http://[fe80::1%25eth0]',
    'http://evil\\@good.example',
    'unix:',
    `unix:/${'x'.repeat(107)}`,
    'unix:/a\0b',
  ])('refuses %j', (text) => expect(parseEndpoint(text)).toBeUndefined())

  it('reads its canonical form as itself, and agrees with WHATWG URLs on host and port', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('http', 'https'),
        fc.domain(),
        fc.integer({ min: 1, max: 65_535 }),
        (scheme, host, port) => {
          const found = parseEndpoint(`${scheme}://${host}:${port}`)
          if (found?.kind !== 'tcp') throw new Error('expected an address')
          expect(parseEndpoint(found.text)).toEqual(found)
          const url = new URL(found.text)
          expect([url.hostname, Number(url.port || (found.secure ? 443 : 80))]).toEqual([
            found.host,
            found.port,
          ])
        },
      ),
    )
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseEndpoint(text)
        parseEndpoint(`http://${text}`)
        parseHostPattern(text)
      }),
    )
  })
})

describe('host patterns', () => {
  it.each([
    ['api.example.com', 'api.example.com'],
    ['API.Example.COM.', 'api.example.com'],
    ['*.Example.com', '*.example.com'],
    ['*', '*'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['127.0.0.1', '127.0.0.1'],
    ['[::1]', '[::1]'],
  ])('reads %j as %j', (text, canonical) => expect(parseHostPattern(text)).toBe(canonical))

  it.each([
    '',
    '*.',
    '**',
    '*example.com',
    'a.*.example',
    '*.*.example',
    'a.example:80',
    'http://a',
    'a/b',
    '*.127.0.0.1',
    '::1',
    '.a',
    'a..b',
  ])('refuses %j', (text) => expect(parseHostPattern(text)).toBeUndefined())
})

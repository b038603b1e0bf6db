import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readPath } from '../../src/route/path.ts'
import { compileRedirect } from '../../src/route/redirect.ts'
import { makeExchange } from '../support/exchange.ts'

function locate(
  to: string,
  target: string,
  paths: string[] = [],
  host = 'shop.example:8443',
): string | undefined {
  const template = compileRedirect(to, paths)
  if (typeof template === 'string') throw new Error(template)
  const { request } = makeExchange({ target, host })
  const reading = readPath(request.path) ?? { matched: '', forwarded: '' }
  return template(request, reading.forwarded, reading.matched)
}

describe('where a redirect leads', () => {
  it.each([
    ['https://www.example.com{path}', '/a/b?x=1', 'https://www.example.com/a/b'],
    ['https://www.example.com{target}', '/a/b?x=1', 'https://www.example.com/a/b?x=1'],
    ['https://www.example.com{path}?{query}&from=old', '/a?x=1', 'https://www.example.com/a?x=1&from=old'],
    ['https://{host}{target}', '/a', 'https://shop.example/a'],
    ['{scheme}://{host}:9443{path}', '/a', 'https://shop.example:9443/a'],
    ['https://www.{host}/', '/a', 'https://www.shop.example/'],
    ['/new', '/old', '/new'],
    ['/login?next={target}', '/a?x=1&y=//z', '/login?next=%2Fa%3Fx%3D1%26y%3D%2F%2Fz'],
    ['{path}/', '/a', '/a/'],
    ['https://example.com{path}', '/a/%2e%2e/b', 'https://example.com/b'],
  ])('%s for %s is %s', (to, target, expected) => {
    expect(locate(to, target)).toBe(expected)
  })

  it('fills in the parameters of the path and what its star covered', () => {
    expect(locate('/people/{id}/{rest}', '/users/7/posts/1', ['/users/:id/*'])).toBe('/people/7/posts/1')
    expect(locate('/new/{rest}', '/old', ['/old/*'])).toBe('/new/')
    expect(locate('/p/{id}', '/b/2', ['/a/:id', '/b/:id'])).toBe('/p/2')
  })

  it.each([
    ['{path}', '//evil.example/x', '/evil.example/x'],
    ['{target}', '///evil.example', '/evil.example'],
    ['/{rest}', '/go//evil.example', '/evil.example'],
    ['{path}', String.raw`/\evil.example`, '/%5Cevil.example'],
    ['https://example.com{path}', '//evil.example', 'https://example.com//evil.example'],
  ])('never becomes an open redirect: %s for %s', (to, target, expected) => {
    expect(locate(to, target, ['/go/*'])).toBe(expected)
  })

  it('needs a host that the request names', () => {
    expect(locate('https://{host}{path}', '//evil.example', [], '')).toBeUndefined()
  })

  it('stays on its host and one line, whatever the request holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
        const path = `/${text.replaceAll('?', '')}`
        const { request } = makeExchange({ target: path })
        for (const to of [
          '{path}',
          'https://safe.example{path}',
          '/x/{rest}',
          'https://safe.example/?u={path}',
        ]) {
          const template = compileRedirect(to, ['/*'])
          if (typeof template === 'string') throw new Error(template)
          const url = template(request, path, path) ?? ''
          expect(url).toMatch(/^[\u0021-\u007e]*$/)
          expect(new URL(url, 'https://safe.example').host).toBe('safe.example')
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it.each([
    'ftp://x/',
    '//evil.example',
    'javascript:alert(1)',
    'https://',
    'https://{path}',
    'https://a{rest}',
    'https://{rest}.example/',
    'https://user@host/',
    'https://a/{nope}',
    'https://a/\r\nX: y',
    'www.example.com',
  ])('refuses the template %j', (to) => {
    expect(compileRedirect(to, ['/*'])).toMatch(/^expected/)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RouteMatch } from '../../src/route/options.ts'
import { RouteTable } from '../../src/route/table.ts'
import { makeExchange } from '../support/exchange.ts'

interface Named {
  readonly name: string
  readonly match: RouteMatch
}

function route(name: string, match: Partial<RouteMatch>): Named {
  return { name, match: { hosts: [], paths: [], methods: [], headers: [], query: [], ...match } }
}

function find(routes: Named[], method: string, url: string, headers: string[] = []): string | undefined {
  const { host, pathname, search } = new URL(url)
  const { request } = makeExchange({ method, host, target: pathname + search, headers })
  return new RouteTable(routes).find(request, request.path)?.name
}

describe('the most specific route wins', () => {
  const hosts = [
    route('any', {}),
    route('wild', { hosts: ['*.example.com'] }),
    route('longer', { hosts: ['*.eu.example.com'] }),
    route('exact', { hosts: ['api.example.com', '[::1]'] }),
  ]
  it.each([
    ['api.example.com', 'exact'],
    ['[::1]', 'exact'],
    ['www.example.com', 'wild'],
    ['a.b.example.com', 'wild'],
    ['www.eu.example.com', 'longer'],
    ['eu.example.com', 'wild'],
    ['example.com', 'any'],
    ['badexample.com', 'any'],
    ['example.com.evil.test', 'any'],
  ])('host %s takes %s', (host, expected) => {
    expect(find(hosts, 'GET', `http://${host}/`)).toBe(expected)
    expect(find(hosts.toReversed(), 'GET', `http://${host}/`)).toBe(expected)
  })

  const paths = [
    route('all', { paths: ['/*'] }),
    route('api', { paths: ['/api/*'] }),
    route('api v1', { paths: ['/api/v1/*'] }),
    route('exact', { paths: ['/api/v1/users'] }),
    route('user', { paths: ['/api/v1/users/:id'] }),
    route('me', { paths: ['/api/v1/users/me'] }),
    route('posts', { paths: ['/api/v1/users/:id/posts'] }),
    route('below user', { paths: ['/api/v1/users/:id/*'] }),
    route('root', { paths: ['/'] }),
    route('encoded', { paths: ['/café'] }),
  ]
  it.each([
    ['/', 'root'],
    ['/x', 'all'],
    ['/api', 'api'],
    ['/api/', 'api'],
    ['/apis', 'all'],
    ['/api/v2', 'api'],
    ['/api/v1', 'api v1'],
    ['/api/v1/users', 'exact'],
    ['/api/v1/users/', 'api v1'],
    ['/api/v1/users/7', 'user'],
    ['/api/v1/users/me', 'me'],
    ['/api/v1/users/me/posts', 'posts'],
    ['/api/v1/users/7/posts', 'posts'],
    ['/api/v1/users/7/posts/1', 'below user'],
    ['/api/v1/users/7/', 'below user'],
    ['//api', 'all'],
    ['/API', 'all'],
    ['/caf%C3%A9', 'encoded'],
    ['/api%2Fv1', 'all'],
  ])('path %s takes %s', (path, expected) => {
    expect(find(paths, 'GET', `http://h${path}`)).toBe(expected)
    expect(find(paths.toReversed(), 'GET', `http://h${path}`)).toBe(expected)
  })

  it('compares segment by segment from the left: a literal beats a parameter, a parameter a star', () => {
    const routes = [route('late', { paths: ['/:a/b'] }), route('early', { paths: ['/a/*'] })]
    expect(find(routes, 'GET', 'http://h/a/b')).toBe('early')
    expect(find(routes, 'GET', 'http://h/x/b')).toBe('late')
  })

  it('asks routes with more conditions first, then the one written first', () => {
    const routes = [
      route('first', { paths: ['/x'] }),
      route('second', { paths: ['/x'] }),
      route('post', { paths: ['/x'], methods: ['POST'] }),
      route('beta', {
        paths: ['/x'],
        headers: [{ name: 'x-beta', value: '1' }],
        query: [{ name: 'v', value: undefined }],
      }),
    ]
    expect(find(routes, 'GET', 'http://h/x')).toBe('first')
    expect(find(routes, 'POST', 'http://h/x')).toBe('post')
    expect(find(routes, 'POST', 'http://h/x?v', ['X-Beta', '1'])).toBe('beta')
    expect(find(routes, 'GET', 'http://h/x?v=2', ['X-Beta', '2'])).toBe('first')
    expect(find(routes, 'GET', 'http://h/x?v=2', ['X-Beta', '2', 'X-BETA', '1'])).toBe('beta')
  })

  it('falls back to a less specific host when conditions of the better one fail', () => {
    const routes = [route('all', {}), route('api', { hosts: ['api.test'], paths: ['/api/*'] })]
    expect(find(routes, 'GET', 'http://api.test/other')).toBe('all')
  })

  it.each([
    ['debug=1', true],
    ['x=2&debug=1', true],
    ['debug=%31', true],
    ['d%65bug=1', true],
    ['debug=2&debug=1', true],
    ['debug=10', false],
    ['xdebug=1', false],
    ['debug', false],
    ['a=debug=1', false],
  ])('query %s holds debug=1: %s', (query, holds) => {
    const routes = [route('debug', { query: [{ name: 'debug', value: '1' }] })]
    expect(find(routes, 'GET', `http://h/?${query}`)).toBe(holds ? 'debug' : undefined)
  })

  it('takes HEAD where GET is named', () => {
    const routes = [route('get', { methods: ['GET'] })]
    expect(find(routes, 'HEAD', 'http://h/')).toBe('get')
    expect(find(routes, 'POST', 'http://h/')).toBeUndefined()
  })

  it('tells the methods that would have been taken', () => {
    const table = new RouteTable([
      route('a', { paths: ['/x'], methods: ['GET'] }),
      route('b', { paths: ['/:any'], methods: ['PUT'] }),
      route('c', { paths: ['/x'], methods: ['DELETE'], headers: [{ name: 'x-admin', value: undefined }] }),
    ])
    const { request } = makeExchange({ method: 'POST', target: '/x' })
    expect(table.allowedMethods(request, '/x')).toEqual(['GET', 'HEAD', 'PUT'])
    expect(table.allowedMethods(request, '/x/y')).toBeUndefined()
  })

  it.each(['x', '/a*', '/*/b', '/:', '/:a/:a', '/a?b', '/../a'])('refuses the pattern %s', (path) => {
    expect(() => new RouteTable([route('bad', { paths: [path] })])).toThrow(/expected/)
  })
})

it('a wildcard covers exactly the names that end in its dot and name, with something in front', () => {
  const label = fc.stringMatching(/^[a-z0-9]{1,4}$/)
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  fc.assert(
    fc.property(name, name, (suffix, host) => {
      const found = find([route('wild', { hosts: [`*.${suffix}`] })], 'GET', `http://x/`)
      expect(found).toBeUndefined()
      const { request } = makeExchange({ host })
      const wild = new RouteTable([route('wild', { hosts: [`*.${suffix}`] })]).find(request, '/')
      expect(wild !== undefined).toBe(host.length > suffix.length + 1 && host.endsWith(`.${suffix}`))
    }),
  )
})

it('finds among 1,000 routes what a plain search by the written rule finds', () => {
  const segment = fc.constantFrom('a', 'b', ':p', 'c')
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
    .map(
      ([segments, open]) =>
        `/${segments.map((s, i) => (s === ':p' ? `:p${i}` : s)).join('/')}${open ? (segments.length > 0 ? '/*' : '*') : ''}`,
    )
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`)
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 40 }), path, (patterns, sent) => {
      const routes = patterns.map((text, i) => route(String(i), { paths: [text] }))
      const { request } = makeExchange({ target: sent })
      const found = new RouteTable(routes).find(request, sent)?.name
      const best = patterns
        .map((text, i) => ({ i, rank: rank(text, sent) }))
        .filter(({ rank: value }) => value !== undefined)
        .toSorted((x, y) =>
          (x.rank as string) < (y.rank as string) ? -1 : x.rank === y.rank ? x.i - y.i : 1,
        )[0]
      expect(found).toBe(best === undefined ? undefined : String(best.i))
    }),
    { numRuns: 500 },
  )
})

/** One letter a step, so that text order is the written rule: literal, parameter, end, star. Undefined: no match. */
function rank(pattern: string, path: string): string | undefined {
  const open = pattern.endsWith('/*')
  const steps = (open ? pattern.slice(0, -2) : pattern).split('/').slice(1)
  const segments = path.split('/').slice(1)
  if (open ? steps.length > segments.length : steps.length !== segments.length) return undefined
  let letters = ''
  for (const [i, step] of steps.entries()) {
    if (step.startsWith(':') && segments[i] !== '') letters += 'b'
    else if (step === segments[i]) letters += 'a'
    else return undefined
  }
  return letters + (open ? 'd' : 'c')
}

import { describe, expect, it } from 'vitest'
import { refuseWith } from '../../src/answer-error.ts'
import { ErrorPages } from '../../src/error-page.ts'
import { BodyTooLargeError } from '../../src/errors.ts'
import type { Exchange, GatewayResponse } from '../../src/exchange.ts'
import { getField } from '../../src/http/fields.ts'
import { resolveRoute, routeSchema } from '../../src/route/schema.ts'
import { routeStage } from '../../src/route/stage.ts'
import { check } from '../../src/schema.ts'
import type { Authored } from '../../src/schema.ts'
import { bodyText, makeBody, makeExchange } from '../support/exchange.ts'
import type { ExchangeInit } from '../support/exchange.ts'

type AuthoredRoute = Authored<typeof routeSchema>

/** Runs one request through the stage; `seen` is what the next one got. */
function run(routes: AuthoredRoute[], init: ExchangeInit = {}) {
  const resolved = routes.map((route, i) => {
    const result = check(routeSchema, route, '/')
    if (!result.ok)
      throw new Error(result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'))
    return resolveRoute(result.value, i)
  })
  let seen: Exchange | undefined
  const stage = routeStage({ routes: resolved, refuse: refuseWith(new ErrorPages()), maxBodyBytes: 1000 })
  const handler = stage.wrap((exchange) => {
    seen = exchange
    return { status: 200, headers: ['Server', 'origin', 'X-Old', '1'], body: undefined, length: 0 }
  })
  const exchange = makeExchange(init)
  const response = handler(exchange) as GatewayResponse
  return { exchange, response, seen }
}

function faults(route: AuthoredRoute): string[] {
  const result = check(routeSchema, route, '/')
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('proxy', () => {
  it('hands the request on as it came', () => {
    const { seen, response } = run([{ proxy: 'app' }], { target: '/a//b%2Fc?x=%41&y' })
    expect(seen?.forward).toMatchObject({ upstream: 'app', host: 'client' })
    expect(seen?.forwardTarget).toBe('/a//b%2Fc?x=%41&y')
    expect(response.status).toBe(200)
  })

  it('sends no dot segments upstream, and matches where they lead', () => {
    const routes: AuthoredRoute[] = [
      { match: { path: '/admin/*' }, respond: { status: 403 } },
      { proxy: 'app' },
    ]
    expect(run(routes, { target: '/x/%2e%2e/admin/y' }).response.status).toBe(403)
    expect(run(routes, { target: '/%61dmin' }).response.status).toBe(403)
    expect(run(routes, { target: '/admin/%2e%2e/x?q=..%2f' }).seen?.forwardTarget).toBe('/x?q=..%2f')
    expect(run(routes, { target: '/x/..%2fadmin' }).response.status).toBe(400)
    expect(run(routes, { target: '/../admin' }).response.status).toBe(400)
    expect(run(routes, { target: '/%zz' }).response.status).toBe(400)
  })

  it.each([
    [{ stripPrefix: '/api' }, '/api/users?x=1', '/users?x=1'],
    [{ stripPrefix: '/api' }, '/api', '/'],
    [{ stripPrefix: '/api' }, '/api?', '/?'],
    [{ stripPrefix: '/api' }, '/api/', '/'],
    [{ stripPrefix: '/api' }, '/%61pi/%61', '/a'],
    [{ stripPrefix: '/api', addPrefix: '/v2' }, '/api/users', '/v2/users'],
    [{ addPrefix: '/v2' }, '/api', '/v2/api'],
    [{ stripPrefix: '/api' }, '/api/%2e%2e/api/x', '/x'],
  ])('rewrites %j of %s to %s', (rewrite, target, expected) => {
    const { seen } = run([{ match: { path: ['/api/*', '/other'] }, proxy: 'app', rewrite }], { target })
    expect(seen?.forwardTarget).toBe(expected)
  })

  it("gives the upstream stage the route's settings", () => {
    const proxy = { upstream: 'app', host: 'other.example', responseTimeout: '5s', bodyIdleTimeout: '6s' }
    const { seen } = run([
      { proxy, requestHeaders: { set: { 'X-A': '1' }, remove: ['X-B'], add: { 'X-C': ['1', '2'] } } },
    ])
    expect(seen?.forward).toEqual({
      upstream: 'app',
      host: { literal: 'other.example' },
      headerEdits: { remove: ['x-b'], set: ['X-A', '1'], add: ['X-C', '1', 'X-C', '2'] },
      responseHeadTimeoutMs: 5_000,
      bodyIdleTimeoutMs: 6_000,
    })
  })

  it('edits the answer: remove, set, add', () => {
    const responseHeaders = { remove: ['server'], set: { 'x-old': '2' }, add: { 'X-New': 'n' } }
    expect(run([{ proxy: 'app', responseHeaders }]).response.headers).toEqual(['X-Old', '2', 'X-New', 'n'])
  })
})

describe('bodies and deadlines', () => {
  it("refuses a declared length beyond the route's limit at once", () => {
    const { body } = makeBody(new Uint8Array(0), 101)
    expect(() => run([{ proxy: 'app', maxBody: 100 }], { method: 'POST', body })).toThrow(BodyTooLargeError)
  })

  it('lets a route take more than the default, and counts what has no length', () => {
    const long = makeBody(new Uint8Array(0), 5_000)
    expect(run([{ proxy: 'app', maxBody: '1MiB' }], { body: long.body }).seen).toBeDefined()
    const chunked = makeBody(new Uint8Array(0))
    Object.defineProperty(chunked.body, 'length', { value: undefined })
    run([{ proxy: 'app' }], { body: chunked.body })
    expect(chunked.state.limit).toBe(1000)
  })

  it('sets the deadline of the route', () => {
    const { exchange } = run([{ proxy: 'app', timeout: '2s' }])
    expect(exchange.deadlineMs).toBe(exchange.startedMs + 2_000)
    expect(run([{ proxy: 'app' }]).exchange.deadlineMs).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('answers of the route itself', () => {
  it('redirects', () => {
    const { response, seen } = run([{ redirect: { to: 'https://new.example{target}' } }], { target: '/a?b' })
    expect(seen).toBeUndefined()
    expect(response).toMatchObject({
      status: 308,
      headers: ['Location', 'https://new.example/a?b'],
      length: 0,
    })
  })

  it('responds, without a body for HEAD and 204', () => {
    const respond = { body: 'hello', headers: { 'X-A': '1' } }
    const { response } = run([{ respond }])
    expect(bodyText(response)).toBe('hello')
    expect(getField(response.headers, 'content-type')).toBe('text/plain; charset=utf-8')
    const head = run([{ respond }], { method: 'HEAD' }).response
    expect(head).toMatchObject({ body: undefined, length: 5 })
    expect(run([{ respond: { status: 204 } }]).response).toMatchObject({ body: undefined, length: undefined })
  })

  it('does not let one answer change the next', () => {
    const routes: AuthoredRoute[] = [
      { respond: { headers: { A: '1' } }, responseHeaders: { add: { B: '2' } } },
    ]
    expect(run(routes).response.headers).toEqual(['A', '1', 'B', '2'])
    expect(run(routes).response.headers).toEqual(['A', '1', 'B', '2'])
  })

  it('is down for maintenance, except for whom it allows', () => {
    const routes: AuthoredRoute[] = [
      { proxy: 'app', maintenance: { retryAfter: '10m', allow: ['10.0.0.0/8'] } },
    ]
    const { response, seen } = run(routes, { headers: ['Accept', 'text/html'] })
    expect(seen).toBeUndefined()
    expect(response.status).toBe(503)
    expect(getField(response.headers, 'retry-after')).toBe('600')
    expect(bodyText(response)).toContain('Down for maintenance')
    expect(run(routes, { client: '10.1.2.3' }).seen?.forward?.upstream).toBe('app')
    expect(run([{ maintenance: {} }]).response.status).toBe(503)
  })
})

describe('what no route takes', () => {
  const routes: AuthoredRoute[] = [
    { match: { host: 'a.example', path: '/x', method: ['GET', 'POST'] }, proxy: 'app' },
  ]
  it.each([
    [{ host: 'a.example', target: '/x' }, 200, undefined],
    [{ host: 'a.example', target: '/y' }, 404, undefined],
    [{ host: 'b.example', target: '/x' }, 404, undefined],
    [{ host: 'a.example', target: '/x', method: 'PUT' }, 405, 'GET, HEAD, POST'],
    [{ host: 'b.example', target: '/x', method: 'PUT' }, 404, undefined],
    [{ target: '*', method: 'OPTIONS' }, 204, 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'],
    [
      { host: 'a.example', target: '/x', method: 'TRACE' },
      405,
      'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    ],
  ])('%j is answered %i', (init, status, allow) => {
    const { response } = run(routes, init)
    expect(response.status).toBe(status)
    expect(getField(response.headers, 'allow')).toBe(allow)
  })
})

describe('faults in a route', () => {
  it.each<[AuthoredRoute, string]>([
    [{}, 'expected exactly one of'],
    [{ proxy: 'a', respond: {} }, 'expected exactly one of'],
    [{ proxy: 'a', match: { path: 'x' } }, 'match.path'],
    [{ proxy: 'a', match: { method: 'get' } }, 'capitals'],
    [{ proxy: 'a', match: { method: 'TRACE' } }, 'TRACE'],
    [{ redirect: { to: '//evil' } }, 'redirect.to'],
    [{ proxy: 'a', responseHeaders: { set: { 'Content-Length': '1' } } }, 'written by the gateway'],
    [{ proxy: 'a', requestHeaders: { remove: ['Transfer-Encoding'] } }, 'written by the gateway'],
    [{ proxy: 'a', match: { path: '/b/*' }, rewrite: { stripPrefix: '/c' } }, 'rewrite.stripPrefix'],
    [{ respond: {}, rewrite: { addPrefix: '/c' } }, 'only beside proxy'],
    [{ proxy: { upstream: 'a', host: 'x\r\ny' } }, 'proxy'],
    [{ maintenance: { allow: ['10.0.0.0/8'] } }, 'expected an action beside'],
  ])('%j', (route, message) => {
    expect(faults(route).join('\n')).toContain(message)
  })

  it('finds none in a sound one', () => {
    expect(
      faults({
        name: 'api',
        match: {
          host: ['*.example.com', 'a.test'],
          path: '/api/*',
          headers: { 'x-a': true },
          query: { debug: '1' },
        },
        proxy: { upstream: 'app', host: '[::1]:80' },
        rewrite: { stripPrefix: '/api' },
        maxBody: '1GiB',
        timeout: '30s',
      }),
    ).toEqual([])
  })
})

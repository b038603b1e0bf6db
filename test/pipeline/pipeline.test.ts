import { describe, expect, it } from 'vitest'
import { BodyTooLargeError, ConnectError, DeadlineError, toGatewayError } from '../../src/errors.ts'
import { noTrace } from '../../src/exchange.ts'
import type { Exchange, GatewayResponse, Handler } from '../../src/exchange.ts'
import { getField, getFields } from '../../src/http/fields.ts'
import type { Logger } from '../../src/log.ts'
import { parseCidr } from '../../src/net-address.ts'
import type { AccessLog } from '../../src/observe/access-log.ts'
import { TraceRing } from '../../src/observe/trace.ts'
import { buildPipeline } from '../../src/pipeline.ts'
import type { PipelineParts } from '../../src/pipeline.ts'
import { resolveRoute, routeSchema } from '../../src/route/schema.ts'
import { check } from '../../src/schema.ts'
import type { Authored } from '../../src/schema.ts'
import { bodyText, makeBody, makeExchange } from '../support/exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

function plan(
  routes: Authored<typeof routeSchema>[],
  upstream: Handler = () => ({
    status: 200,
    headers: ['X-Request-Id', 'of-the-origin'],
    body: undefined,
    length: 0,
  }),
  more: Partial<PipelineParts> = {},
) {
  const clock = new ManualClock()
  const logged: { exchange: Exchange; status: number }[] = []
  const said: string[] = []
  const accessLog: AccessLog = {
    record: (exchange, { status }) => void logged.push({ exchange, status }),
    flush() {},
  }
  const say = (message: string) => void said.push(message)
  const logger: Logger = { debug: say, info: say, warn: say, error: say }
  const pipeline = buildPipeline({
    guard: { allow: [], deny: [] },
    trustedProxies: [],
    routes: routes.map((route, i) => {
      const result = check(routeSchema, route, '/')
      if (!result.ok) throw new Error(JSON.stringify(result.issues))
      return resolveRoute(result.value, i)
    }),
    upstream: { name: 'upstream', wrap: () => upstream },
    errorPages: { custom: [] },
    limits: { maxUriBytes: 1, maxHeaderBytes: 1, maxHeaderCount: 1, maxBodyBytes: 1000 },
    exchangeTimeoutMs: undefined,
    strictTransportSecurity: undefined,
    trace: noTrace,
    accessLog,
    clock,
    logger,
    ...more,
  })
  /** As an engine does it. */
  const serve = async (exchange: Exchange): Promise<GatewayResponse> => {
    try {
      return await pipeline.service.handle(exchange)
    } catch (error) {
      return pipeline.service.answerError(exchange, toGatewayError(error))
    }
  }
  return { ...pipeline, clock, logged, said, serve }
}

const denied = parseCidr('192.0.2.0/24')
if (denied === undefined) throw new Error('bad block')

describe('a request through the stages', () => {
  it('is answered by the upstream, at once where that answers at once', () => {
    const { service } = plan([{ proxy: 'app' }])
    expect(service.handle(makeExchange())).not.toBeInstanceOf(Promise)
  })

  it.each<[string, Handler | undefined]>([
    ['at once', undefined],
    [
      'later',
      () =>
        Promise.resolve({
          status: 200,
          headers: ['x-request-id', 'a', 'X-Request-Id', 'b'],
          body: undefined,
          length: 0,
        }),
    ],
  ])('bears its id once when answered %s', async (_when, upstream) => {
    const { serve } = plan([{ proxy: 'app' }], upstream)
    const response = await serve(makeExchange({ id: 'mine' }))
    expect(getFields(response.headers, 'x-request-id')).toEqual(['mine'])
  })

  it('bears its id on pages, redirects and refusals too', async () => {
    const { serve } = plan([{ match: { path: '/r' }, redirect: { to: '/x' } }])
    for (const target of ['/r', '/nowhere', '/%']) {
      const response = await serve(makeExchange({ id: 'mine', target }))
      expect(getField(response.headers, 'x-request-id')).toBe('mine')
    }
  })

  it('is refused by the guard before a route is looked for', async () => {
    const { serve, admit } = plan([{ proxy: 'app' }], undefined, { guard: { allow: [], deny: [denied] } })
    const exchange = makeExchange({ client: '192.0.2.9' })
    expect((await serve(exchange)).status).toBe(403)
    expect(exchange.slots.route).toBeUndefined()
    expect((await serve(makeExchange({ client: '198.51.100.9' }))).status).toBe(200)
    expect(admit('192.0.2.9')).toBe('close')
  })
})

describe('a failure', () => {
  it("becomes a page with the route's header edits", async () => {
    const { serve } = plan([{ proxy: 'app', responseHeaders: { set: { 'X-Frame-Options': 'DENY' } } }], () =>
      Promise.reject(new ConnectError('10.0.0.1:80', 'no')),
    )
    const response = await serve(makeExchange({ id: 'mine', headers: ['Accept', 'text/html'] }))
    expect(response.status).toBe(502)
    expect(getField(response.headers, 'x-frame-options')).toBe('DENY')
    expect(getField(response.headers, 'x-request-id')).toBe('mine')
    expect(bodyText(response)).toContain('mine')
    expect(bodyText(response)).not.toContain('10.0.0.1')
  })

  it('of a body that is too large is 413', async () => {
    const { serve } = plan([{ proxy: 'app' }])
    const { body } = makeBody(new Uint8Array(0), 1001)
    const exchange = makeExchange({ method: 'POST', body })
    expect((await serve(exchange)).status).toBe(413)
    expect(exchange.error).toBeInstanceOf(BodyTooLargeError)
  })

  it('that nobody expected is 500 and goes to the runtime log, once a second at most', async () => {
    const { serve, said, clock } = plan([{ proxy: 'app' }], () => {
      throw new TypeError('a bug')
    })
    expect((await serve(makeExchange())).status).toBe(500)
    await serve(makeExchange())
    expect(said).toHaveLength(1)
    clock.advance(1000)
    await serve(makeExchange())
    expect(said).toHaveLength(2)
  })
})

const waiting: Handler = (exchange) =>
  new Promise((_resolve, reject) => {
    exchange.onAbort(reject)
  })

describe('a deadline', () => {
  it('of the route ends the exchange with 504, within a sweep', async () => {
    const { serve, service, clock } = plan([{ proxy: 'app', timeout: '2s' }], waiting)
    const exchange = makeExchange({ clock })
    const answer = serve(exchange)
    clock.advance(1_999)
    expect(exchange.abortReason).toBeUndefined()
    clock.advance(251)
    expect(exchange.abortReason).toBeInstanceOf(DeadlineError)
    expect((await answer).status).toBe(504)
    service.finished(exchange, { status: 504, bodyBytes: 0, complete: true })
    expect(clock.pending).toBe(0)
  })

  it("of the gateway holds where the route has none, and gives way to the route's", () => {
    const { service, clock } = plan(
      [{ match: { path: '/slow' }, proxy: 'app', timeout: '1m' }, { proxy: 'app' }],
      waiting,
      {
        exchangeTimeoutMs: 1_000,
      },
    )
    const quick = makeExchange({ clock })
    const slow = makeExchange({ clock, target: '/slow' })
    for (const exchange of [quick, slow]) void Promise.resolve(service.handle(exchange)).catch(() => {})
    clock.advance(2_000)
    expect(quick.abortReason?.code).toBe('deadline')
    expect(slow.abortReason).toBeUndefined()
  })

  it('is over with the exchange, and does not cut a tunnel', async () => {
    const { service, clock } = plan(
      [
        { match: { path: '/ws' }, proxy: 'app', timeout: '1s' },
        { proxy: 'app', timeout: '1s' },
      ],
      ({ request }) =>
        request.path === '/ws'
          ? { status: 101, headers: [], body: undefined, length: undefined, detached: true }
          : { status: 200, headers: [], body: undefined, length: 0 },
    )
    const done = makeExchange({ clock })
    await service.handle(done)
    service.finished(done, { status: 200, bodyBytes: 0, complete: true })
    const tunnel = makeExchange({ clock, target: '/ws' })
    const response = await service.handle(tunnel)
    expect(response.headers).toEqual([])
    expect(clock.pending).toBe(0)
    clock.advance(10_000)
    expect(done.abortReason).toBeUndefined()
    expect(tunnel.abortReason).toBeUndefined()
  })
})

it('logs and traces an exchange when it is over', async () => {
  const trace = new TraceRing(4)
  const { serve, service, clock, logged } = plan([{ name: 'api', proxy: 'app' }], undefined, { trace })
  const exchange = makeExchange({ id: 'mine', clock, trace, target: '/a?secret=1' })
  await serve(exchange)
  clock.advance(5)
  service.finished(exchange, { status: 200, bodyBytes: 3, complete: true })
  expect(logged).toEqual([{ exchange, status: 200 }])
  const found = trace.find('mine')
  expect(found?.entries.map(({ stage, outcome, detail }) => [stage, outcome, detail])).toEqual([
    ['guard', 'admitted', undefined],
    ['route', 'matched', 'api'],
  ])
  expect(found?.summary).toMatchObject({
    method: 'GET',
    path: '/a',
    route: 'api',
    status: 200,
    durationMs: 5,
  })
  expect(JSON.stringify(found)).not.toContain('secret')
})

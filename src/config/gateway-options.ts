import { errorPagesSchema, resolveErrorPages } from '../error-page-options.ts'
import type { ErrorPageOptions } from '../error-page.ts'
import { guardSchema, resolveGuard, type GuardOptions } from '../guard/options.ts'
import type {
  ListenerLimits,
  ListenerOptions,
  ListenerTimeouts,
  TlsServiceOptions,
} from '../listener/options.ts'
import {
  limitsSchema,
  listenersSchema,
  resolveLimits,
  resolveListeners,
  resolveTimeouts,
  resolveTlsService,
  timeoutsSchema,
  tlsSchema,
} from '../listener/schema.ts'
import type { LogLevel } from '../log.ts'
import type { Cidr, ListenAddress } from '../net-address.ts'
import {
  accessLogSchema,
  resolveAccessLog,
  resolveTrace,
  traceSchema,
  type AccessLogOptions,
  type TraceOptions,
} from '../observe/options.ts'
import type { RouteOptions } from '../route/options.ts'
import { resolveRoute, routeSchema } from '../route/schema.ts'
import {
  address,
  type Checked,
  choice,
  cidr,
  listOf,
  name,
  oneOf,
  strictObject,
  tableOf,
  text,
  whole,
  z,
} from '../schema.ts'
import { resolveUpstream, upstreamSchema, type UpstreamOptions } from '../upstream/options.ts'

/** Every option of the gateway in one tree: the rooms' own schemas, put together. The bound of a list stands beside it. */
export const gatewaySchema = strictObject({
  $schema: text('a URL', 2_000).optional().describe('Where editors find the JSON Schema of this file.'),
  workers: oneOf(choice('auto'), whole(1, 256))
    .prefault('auto')
    .describe(
      'Threads that carry traffic; `auto` is one a core. The environment variable SLUICE_WORKERS goes before.',
    ),
  listeners: listenersSchema.describe(
    'Where to listen. Default: HTTPS on 8443, and 8080 that redirects to it.',
  ),
  tls: tlsSchema.describe('Settings of every TLS listener.'),
  trustedProxies: listOf(cidr(), 10_000)
    .prefault([])
    .describe(
      'Proxies in front of the gateway. Only their X-Forwarded-For, Forwarded and X-Request-Id count.',
    ),
  limits: limitsSchema.describe('Bounds of what clients may send and hold open.'),
  timeouts: timeoutsSchema.describe('How long clients may take.'),
  guard: guardSchema.meta({ id: 'Guard' }).prefault({}).describe('Who may come in.'),
  upstreams: tableOf(name(), upstreamSchema.meta({ id: 'Upstream' }), 10_000)
    .prefault({})
    .describe('The applications behind the gateway, by name.'),
  routes: listOf(routeSchema.meta({ id: 'Route' }), 100_000)
    .optional()
    .describe(
      'What to do with which request; the most specific route wins. None: everything goes to the only upstream.',
    ),
  errorPages: errorPagesSchema
    .prefault({})
    .describe('Own pages by status (`404`) or class (`5xx`): files in .html, .json or .txt.'),
  accessLog: accessLogSchema.meta({ id: 'AccessLog' }).prefault({}).describe('One line for each request.'),
  log: strictObject({
    level: choice('debug', 'info', 'warn', 'error').prefault('info').describe('Least level that is written.'),
  })
    .meta({ id: 'Log' })
    .prefault({})
    .describe('What happens to the gateway itself, as JSON lines on standard error.'),
  trace: traceSchema
    .prefault({})
    .describe('Decision traces that can be read back by request id. `false`: none.'),
  admin: oneOf(
    strictObject({
      address: address()
        .prefault('127.0.0.1:2019')
        .describe('A loopback address or `unix:`. Never one that others can reach: it reloads the gateway.'),
    }).meta({ id: 'Admin' }),
    z.literal(false),
  )
    .prefault({})
    .describe('Health, traces and reload. `false`: no admin endpoint.'),
})

export type CheckedGateway = Checked<typeof gatewaySchema>

/** The whole configuration, complete. Nothing reads what users wrote after this. */
export interface ResolvedGateway {
  /** 1 to 256. */
  readonly workers: number
  readonly listeners: readonly ListenerOptions[]
  readonly tls: TlsServiceOptions
  readonly trustedProxies: readonly Cidr[]
  readonly limits: ListenerLimits
  readonly timeouts: ListenerTimeouts
  readonly guard: GuardOptions
  readonly upstreams: ReadonlyMap<string, UpstreamOptions>
  /** In the order of writing. */
  readonly routes: readonly RouteOptions[]
  readonly errorPages: ErrorPageOptions
  readonly accessLog: AccessLogOptions
  readonly logLevel: LogLevel
  readonly trace: TraceOptions
  /** Undefined: no admin endpoint. */
  readonly admin: { readonly address: ListenAddress } | undefined
}

/** From checked to resolved. With no routes everything goes to the only upstream: cross-checks.ts has seen to that. */
export function resolveGateway(checked: CheckedGateway, workers: number): ResolvedGateway {
  const names = Object.keys(checked.upstreams)
  const routes = checked.routes ?? names.map((only) => ({ name: only, proxy: only }))
  return {
    workers,
    listeners: resolveListeners(checked.listeners, checked.tls),
    tls: resolveTlsService(checked.tls),
    trustedProxies: checked.trustedProxies,
    limits: resolveLimits(checked.limits),
    timeouts: resolveTimeouts(checked.timeouts),
    guard: resolveGuard(checked.guard),
    upstreams: new Map(names.map((key) => [key, resolveUpstream(checked.upstreams[key] as UpstreamChecked)])),
    routes: routes.map(resolveRoute),
    errorPages: resolveErrorPages(checked.errorPages),
    accessLog: resolveAccessLog(checked.accessLog),
    logLevel: checked.log.level,
    trace: resolveTrace(checked.trace),
    admin: checked.admin === false ? undefined : { address: checked.admin.address },
  }
}

type UpstreamChecked = Checked<typeof upstreamSchema>

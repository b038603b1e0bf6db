import type { Refuse } from '../answer-error.ts'
import { BadRequestError } from '../errors.ts'
import type { Exchange, ForwardPlan, GatewayResponse } from '../exchange.ts'
import { hasField } from '../http/fields.ts'
import { CidrTable } from '../net-address.ts'
import type {
  MaintenanceOptions,
  ProxyAction,
  RedirectAction,
  RespondAction,
  RouteOptions,
} from './options.ts'
import type { PathReading } from './path.ts'
import { compileRedirect } from './redirect.ts'
import { rewritePath } from './rewrite.ts'

/** What a route does with a request: an answer, or undefined to hand it on to the upstream. */
export type Act = (exchange: Exchange, reading: PathReading) => GatewayResponse | undefined

/** @throws RangeError for a redirect that config/ should have refused */
export function compileAction(route: RouteOptions, refuse: Refuse): Act {
  const { action, maintenance } = route
  const act = action === undefined ? undefined : actionOf(route, action)
  if (maintenance === undefined) {
    if (act === undefined) throw new RangeError(`route ${route.name} has no action`)
    return act
  }
  return maintain(maintenance, act, refuse)
}

function actionOf(route: RouteOptions, action: NonNullable<RouteOptions['action']>): Act {
  switch (action.kind) {
    case 'proxy':
      return proxy(route, action)
    case 'redirect':
      return redirect(route, action)
    case 'respond':
      return respond(action)
    default:
      return action satisfies never
  }
}

function proxy(route: RouteOptions, action: ProxyAction): Act {
  const plan: ForwardPlan = {
    upstream: action.upstream,
    host: action.host,
    headerEdits: route.requestHeaders,
    responseHeadTimeoutMs: action.responseTimeoutMs,
    bodyIdleTimeoutMs: action.bodyIdleTimeoutMs,
  }
  const { rewrite } = route
  const rewrites = rewrite.stripPrefix !== undefined || rewrite.addPrefix !== undefined
  return (exchange, reading) => {
    exchange.forward = plan
    const { request } = exchange
    const path = rewrites ? rewritePath(rewrite, reading) : reading.forwarded
    if (path !== request.path) {
      // A bare `?` at the end of what was sent is kept: some origins tell `/a?` from `/a`.
      exchange.forwardTarget = path + request.target.slice(request.path.length)
    }
    return undefined
  }
}

function redirect(route: RouteOptions, action: RedirectAction): Act {
  const template = compileRedirect(action.to, route.match.paths)
  if (typeof template === 'string') throw new RangeError(`route ${route.name}: ${template}`)
  return (exchange, reading) => {
    const location = template(exchange.request, reading.forwarded, reading.matched)
    if (location === undefined) throw new BadRequestError('redirect needs a host and the request names none')
    return { status: action.status, headers: ['Location', location], body: undefined, length: 0 }
  }
}

function respond(action: RespondAction): Act {
  const { status } = action
  const bodiless = status === 204 || status === 304
  const headers = [...action.headers]
  if (!bodiless && action.body.byteLength > 0 && !hasField(headers, 'content-type')) {
    headers.push('Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff')
  }
  return (exchange) => ({
    status,
    headers: headers.slice(),
    body: bodiless || exchange.request.method === 'HEAD' ? undefined : action.body,
    length: bodiless ? undefined : action.body.byteLength,
  })
}

function maintain(options: MaintenanceOptions, otherwise: Act | undefined, refuse: Refuse): Act {
  const allowed = CidrTable.of(options.allow)
  const refusal = {
    status: 503,
    code: 'maintenance',
    headers:
      options.retryAfterSeconds === undefined ? [] : ['Retry-After', String(options.retryAfterSeconds)],
    page: {
      title: 'Down for maintenance',
      detail: options.detail ?? 'We are working on it. Please come back in a little while.',
    },
  }
  return (exchange, reading) => {
    if (otherwise !== undefined && allowed.has(exchange.clientAddress)) return otherwise(exchange, reading)
    exchange.note('route', refusal.code)
    return refuse(exchange, refusal)
  }
}

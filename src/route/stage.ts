import type { Refusal, Refuse } from '../answer-error.ts'
import { BodyTooLargeError } from '../errors.ts'
import type { Exchange, GatewayResponse, Handler, Stage } from '../exchange.ts'
import { compileAction } from './actions.ts'
import type { Act } from './actions.ts'
import { applyEdits } from './header-edits.ts'
import type { RouteMatch, RouteOptions } from './options.ts'
import { needsReading, readPath } from './path.ts'
import type { PathReading } from './path.ts'
import { RouteTable } from './table.ts'

/**
 * Finds the route of a request and does what it says: answers at once (redirect, respond, maintenance) or sets
 * `forward` and `forwardTarget` for the upstream stage. Sets the route's body limit and deadline; edits its answers.
 *
 * Nothing matches: 404, also for a host that no route names (421 would tell strangers which names are ours). Only the
 * method differs: 405 with Allow. `OPTIONS *` is the gateway's own, answered 204; TRACE, which reflects cookies and
 * authorization to scripts, is 405 everywhere. A path that cannot be read without doubt (path.ts) is 400.
 *
 * Never looks into bodies. Keeps the compiled table, and nothing for a request.
 */
export interface RouteStageParts {
  readonly routes: readonly RouteOptions[]
  readonly refuse: Refuse
  /** For routes that name no limit of their own, bytes. */
  readonly maxBodyBytes: number
}

interface CompiledRoute {
  readonly name: string
  readonly match: RouteMatch
  readonly options: RouteOptions
  readonly act: Act
  readonly maxBodyBytes: number
}

const serverMethods = ['Allow', 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS']
const noTrace: Refusal = { status: 405, code: 'method_not_allowed', headers: serverMethods }
const notFound: Refusal = { status: 404, code: 'not_found' }
const badPath: Refusal = { status: 400, code: 'bad_path' }

/** @throws RangeError for routes that config/ should have refused */
export function routeStage(parts: RouteStageParts): Stage {
  const { refuse } = parts
  const table = new RouteTable<CompiledRoute>(
    parts.routes.map((options) => ({
      name: options.name,
      match: options.match,
      options,
      act: compileAction(options, refuse),
      maxBodyBytes: options.maxBodyBytes ?? parts.maxBodyBytes,
    })),
  )

  const turnAway = (exchange: Exchange, refusal: Refusal): GatewayResponse => {
    exchange.note('route', refusal.code)
    return refuse(exchange, refusal)
  }

  const unmatched = (exchange: Exchange, path: string): GatewayResponse => {
    const methods = table.allowedMethods(exchange.request, path)
    if (methods === undefined) return turnAway(exchange, notFound)
    const headers = ['Allow', methods.join(', ')]
    return turnAway(exchange, { status: 405, code: 'method_not_allowed', headers })
  }

  return {
    name: 'route',
    wrap:
      (next: Handler): Handler =>
      (exchange) => {
        const { request } = exchange
        if (request.method === 'TRACE') return turnAway(exchange, noTrace)
        if (request.target === '*') {
          exchange.note('route', 'server_options')
          return { status: 204, headers: serverMethods.slice(), body: undefined, length: undefined }
        }
        const { path } = request
        let reading: PathReading | undefined
        if (needsReading(path)) {
          reading = readPath(path)
          if (reading === undefined) return turnAway(exchange, badPath)
        }
        const matched = reading === undefined ? path : reading.matched
        const route = table.find(request, matched)
        if (route === undefined) return unmatched(exchange, matched)

        exchange.slots.route = route.options
        exchange.note('route', 'matched', route.name)
        if (route.options.timeoutMs !== undefined)
          exchange.deadlineMs = exchange.startedMs + route.options.timeoutMs
        limitBody(exchange, route.maxBodyBytes)
        const answer = route.act(exchange, reading ?? { matched: path, forwarded: path }) ?? next(exchange)
        const edits = route.options.responseHeaders
        if (edits === undefined) return answer
        if (answer instanceof Promise) return answer.then((response) => edit(response, edits))
        return edit(answer, edits)
      },
  }
}

/** The route that an exchange took, once the stage has run. */
export function routeOf(exchange: Exchange): RouteOptions | undefined {
  return exchange.slots.route as RouteOptions | undefined
}

/** Edits of the route for an answer that did not come back through the stage: an error's. */
export function editErrorAnswer(exchange: Exchange, response: GatewayResponse): void {
  const edits = routeOf(exchange)?.responseHeaders
  if (edits !== undefined) edit(response, edits)
}

function edit(
  response: GatewayResponse,
  edits: NonNullable<RouteOptions['responseHeaders']>,
): GatewayResponse {
  // A handed-over socket has its head behind it.
  if (response.detached !== true) applyEdits(response.headers, edits)
  return response
}

/** A declared length beyond the limit is refused before a byte is read; other bodies are counted as they arrive. */
function limitBody({ body }: Exchange, maxBytes: number): void {
  if (body === undefined) return
  if (body.length !== undefined && body.length > maxBytes) throw new BodyTooLargeError(maxBytes)
  body.setLimit(maxBytes)
}

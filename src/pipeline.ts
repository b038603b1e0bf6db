import { answerWith, refuseWith } from './answer-error.ts'
import { clientResolver } from './client-address.ts'
import type { Clock } from './clock.ts'
import { Deadlines } from './deadlines.ts'
import { ErrorPages } from './error-page.ts'
import type { ErrorPageOptions } from './error-page.ts'
import { toGatewayError } from './errors.ts'
import type { GatewayError } from './errors.ts'
import { compose, noTrace } from './exchange.ts'
import type { Exchange, GatewayResponse, Handler, Stage, TraceRecorder } from './exchange.ts'
import type { GuardOptions } from './guard/options.ts'
import { admitWith, guardStage } from './guard/stage.ts'
import type { Admit } from './guard/stage.ts'
import { compileJudge } from './guard/verdict.ts'
import { setField } from './http/fields.ts'
import type { Outcome, RequestLimits, Service } from './listener/service.ts'
import type { Logger } from './log.ts'
import { CidrTable } from './net-address.ts'
import type { Cidr } from './net-address.ts'
import type { AccessLog } from './observe/access-log.ts'
import { endStage } from './observe/trace.ts'
import type { TraceSummary } from './observe/trace.ts'
import type { RouteOptions } from './route/options.ts'
import { editErrorAnswer, routeOf, routeStage } from './route/stage.ts'

/**
 * One plan of the configuration as engines serve it: the stages in their order, and what stands around them (the
 * client's address, request ids, deadlines, error answers, access log, trace).
 *
 * `handle` may throw, or reject with, anything; the engine then calls `answerError` with it. A handler
 * rejects with `exchange.abortReason` once the exchange is aborted. `finished` ends the exchange, whatever became of it.
 * Built anew for each reload beside the old plan, which serves what it began. Keeps nothing but the exchanges under
 * way that have a deadline.
 */
export interface PipelineParts {
  readonly guard: GuardOptions
  readonly trustedProxies: readonly Cidr[]
  readonly routes: readonly RouteOptions[]
  /** The last stage: answers what routes forward. */
  readonly upstream: Stage
  readonly errorPages: ErrorPageOptions
  readonly limits: RequestLimits
  /** Deadline of exchanges whose route names none, milliseconds; undefined for none. */
  readonly exchangeTimeoutMs: number | undefined
  readonly strictTransportSecurity: string | undefined
  /** `noTrace` when tracing is off. */
  readonly trace: TraceRecorder
  readonly accessLog: AccessLog
  readonly clock: Clock
  readonly logger: Logger
}

export interface Pipeline {
  readonly service: Service
  /** The listeners' gate, asked before TLS. */
  readonly admit: Admit
}

/** @throws RangeError for options that config/ should have refused */
export function buildPipeline(parts: PipelineParts): Pipeline {
  const { accessLog, clock, trace } = parts
  const pages = new ErrorPages(parts.errorPages)
  const refuse = refuseWith(pages)
  const answer = answerWith(pages)
  const judge = compileJudge(parts.guard)
  const trusted = CidrTable.of(parts.trustedProxies)
  const deadlines = new Deadlines(clock)

  const chain = compose([
    // Cheap refusals first: a denied client costs no look-up of routes.
    guardStage(judge, refuse),
    // What all later stages do depends on the route.
    routeStage({ routes: parts.routes, refuse, maxBodyBytes: parts.limits.maxBodyBytes }),
    // Nobody is asked who did not have to be.
    parts.upstream,
  ])

  const report = internalErrors(parts.logger, clock)
  return {
    admit: admitWith(judge, (address) => trusted.has(address)),
    service: {
      handle: serve(chain, deadlines, parts.exchangeTimeoutMs),
      answerError(exchange, thrown) {
        // Engines may hand on what a handler threw as it is.
        const error = toGatewayError(thrown)
        if (error.code === 'internal') report(exchange, error)
        const response = answer(exchange, error)
        editErrorAnswer(exchange, response)
        return named(response, exchange)
      },
      finished(exchange, outcome) {
        if (exchange.deadlineMs !== Number.POSITIVE_INFINITY) deadlines.forget(exchange)
        accessLog.record(exchange, outcome)
        if (trace !== noTrace) exchange.note(endStage, '', summary(exchange, outcome, clock))
      },
      trace,
      limits: parts.limits,
      resolveClient: clientResolver(parts.trustedProxies),
      strictTransportSecurity: parts.strictTransportSecurity,
    },
  }
}

function serve(chain: Handler, deadlines: Deadlines, timeoutMs: number | undefined): Handler {
  return (exchange) => {
    if (timeoutMs !== undefined) exchange.deadlineMs = exchange.startedMs + timeoutMs
    const response = chain(exchange)
    // The route may have set it meanwhile.
    if (exchange.deadlineMs === Number.POSITIVE_INFINITY) {
      return response instanceof Promise
        ? response.then((value) => named(value, exchange))
        : named(response, exchange)
    }
    deadlines.watch(exchange)
    const settle = (value: GatewayResponse) => {
      // A tunnel has its own idle timeout, and lives as long as both sides want it.
      if (value.detached === true) deadlines.forget(exchange)
      return named(value, exchange)
    }
    return response instanceof Promise ? response.then(settle) : settle(response)
  }
}

/** Every answer bears the request's id; an origin's own gives way, so that log, page and field agree. */
function named(response: GatewayResponse, exchange: Exchange): GatewayResponse {
  if (response.detached !== true) setField(response.headers, 'X-Request-Id', exchange.id)
  return response
}

function summary(exchange: Exchange, outcome: Outcome, clock: Clock): TraceSummary {
  const { request } = exchange
  return {
    method: request.method,
    host: request.authority,
    path: request.path,
    route: routeOf(exchange)?.name,
    client: exchange.clientAddress,
    status: outcome.status,
    bodyBytes: outcome.bodyBytes,
    complete: outcome.complete,
    durationMs: Math.round((clock.nowMs() - exchange.startedMs) * 1000) / 1000,
    endedMs: clock.wallMs(),
  }
}

/** What we did not expect goes to the runtime log with its stack, at most once a second: clients may provoke it. */
function internalErrors(logger: Logger, clock: Clock): (exchange: Exchange, error: GatewayError) => void {
  let nextMs = Number.NEGATIVE_INFINITY
  let unsaid = 0
  return (exchange, error) => {
    const now = clock.nowMs()
    if (now < nextMs) {
      unsaid++
      return
    }
    nextMs = now + 1000
    const stack = error.cause instanceof Error ? error.cause.stack : undefined
    logger.error('unexpected failure', { id: exchange.id, reason: error.message, stack, unsaid })
    unsaid = 0
  }
}

import type { ResolvedGateway } from '../config/gateway-options.ts'
import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import { type TraceRecorder, noTrace } from '../exchange.ts'
import { connectionIds } from '../listener/connections.ts'
import type { ListenerDeps } from '../listener/listener.ts'
import type { Service } from '../listener/service.ts'
import type { TlsMaterial } from '../listener/certificates.ts'
import type { Logger } from '../log.ts'
import { CidrTable } from '../net-address.ts'
import { type AccessLog, accessLog } from '../observe/access-log.ts'
import type { LogSink } from '../observe/log-sink.ts'
import { TraceRing } from '../observe/trace.ts'
import { type Pipeline, buildPipeline } from '../pipeline.ts'
import { ConnectionTable } from '../shared/connection-table.ts'
import { type Upstreams, createUpstreams } from '../upstream/stage.ts'
import { boundOptions } from './bound-plan.ts'
import type { PlanSource, WorkerPlan, WorkerStart } from './messages.ts'
import { type ListenerWish, ServedListener } from './served-listener.ts'

/**
 * One worker: turns plans into listeners, engines and pipelines, and swaps them. It knows nothing of threads and
 * messages (worker-entry.ts does).
 *
 * In memory: the plan in use, at most one prepared beside it, and of former plans what their last requests still need.
 */
export interface GatewayWorkerDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Where access log batches go. */
  readonly sink: LogSink
}

/** A plan as built: everything that a request needs. */
interface Edition {
  readonly plan: WorkerPlan
  readonly config: ResolvedGateway
  readonly pipeline: Pipeline
  readonly upstreams: Upstreams
  readonly accessLog: AccessLog
  readonly trace: TraceRecorder
}

interface Prepared {
  readonly edition: Edition
  readonly opened: readonly ServedListener[]
  readonly changes: readonly { commit(): void; abandon(): void }[]
}

/** How often former engines and closed listeners are looked at, and a drain is checked. */
const sweepMs = 1_000
const drainCheckMs = 20

export class GatewayWorker {
  readonly #deps: GatewayWorkerDeps
  readonly #listenerDeps: Omit<ListenerDeps, 'ticketKey'>
  #ticketKey: Uint8Array
  #edition: Edition | undefined
  #prepared: Prepared | undefined
  readonly #listeners = new Map<string, ServedListener>()
  /** Of listeners that a reload took away, and which still have connections. */
  #vanished: ServedListener[] = []
  /** Upstreams of plans that are over, until their last request and tunnel have ended. */
  readonly #retiring = new Set<Upstreams>()
  readonly #sweep: Timer

  constructor(start: WorkerStart, deps: GatewayWorkerDeps) {
    this.#deps = deps
    this.#ticketKey = start.ticketKey
    this.#listenerDeps = {
      clock: deps.clock,
      logger: deps.logger,
      table: new ConnectionTable(start.connectionTable, start.index),
      nextConnectionId: connectionIds(start.index),
      worker: start.index,
    }
    this.#sweep = deps.clock.every(sweepMs, () => this.#letGo())
  }

  /** Builds `plan` beside the one in use and opens new listeners. Faults, one line each; nothing has changed then. */
  async prepare(plan: WorkerPlan): Promise<readonly string[]> {
    await this.abandon()
    const opened: ServedListener[] = []
    const changes: { commit(): void; abandon(): void }[] = []
    let edition: Edition | undefined
    try {
      edition = await this.#build(plan)
      for (const wish of wishesOf(edition)) {
        const known = this.#listeners.get(wish.key)
        if (known === undefined)
          opened.push(await ServedListener.open(wish, { ...this.#listenerDeps, ticketKey: this.#ticketKey }))
        else changes.push(known.prepare(wish, this.#deps))
      }
      this.#prepared = { edition, opened, changes }
      return []
    } catch (error) {
      await undo(opened, changes)
      edition?.upstreams.abandon()
      return [reason(error)]
    }
  }

  /** Puts the prepared plan to use: requests from here on are served by it, those under way stay with theirs. */
  async commit(generation: number): Promise<readonly string[]> {
    const prepared = this.#prepared
    if (prepared?.edition.plan.generation !== generation) return [`plan ${generation} is not prepared`]
    this.#prepared = undefined
    const former = this.#edition
    this.#edition = prepared.edition
    for (const change of prepared.changes) change.commit()
    for (const listener of prepared.opened) this.#listeners.set(listener.key, listener)
    const wanted = new Set(prepared.edition.plan.listeners.map((listener) => listener.key))
    for (const [key, listener] of this.#listeners) {
      // The key may have been rotated while a new listener was being opened.
      if (wanted.has(key)) listener.listener.setTicketKey(this.#ticketKey)
      else {
        this.#listeners.delete(key)
        this.#vanished.push(listener)
        await listener.drain()
      }
    }
    if (former !== undefined) {
      if (former.accessLog !== prepared.edition.accessLog) former.accessLog.flush()
      this.#retire(former.upstreams)
    }
    return []
  }

  async abandon(): Promise<void> {
    const prepared = this.#prepared
    this.#prepared = undefined
    if (prepared === undefined) return
    await undo(prepared.opened, prepared.changes)
    prepared.edition.upstreams.abandon()
  }

  /** All of the new certificates, or none. */
  replaceCertificates(materials: readonly (TlsMaterial | undefined)[]): readonly string[] {
    const edition = this.#edition
    if (edition === undefined) return []
    const turns: (() => void)[] = []
    try {
      for (const [at, { key }] of edition.plan.listeners.entries()) {
        const turn = this.#listeners.get(key)?.prepareMaterial(materials[at])
        if (turn !== undefined) turns.push(turn)
      }
    } catch (error) {
      return [reason(error)]
    }
    for (const turn of turns) turn()
    return []
  }

  setTicketKey(key: Uint8Array): void {
    this.#ticketKey = key
    for (const listener of this.#listeners.values()) listener.listener.setTicketKey(key)
  }

  /** Takes no more connections, waits up to `deadlineMs` for what runs, then cuts it. Returns how many requests that hit. */
  async drain(deadlineMs: number): Promise<number> {
    const { clock } = this.#deps
    await this.abandon()
    const listeners = [...this.#listeners.values(), ...this.#vanished]
    await Promise.all(listeners.map((listener) => listener.drain()))
    if (this.#edition !== undefined) this.#retire(this.#edition.upstreams)
    const until = clock.nowMs() + deadlineMs
    const busy = (): number => listeners.reduce((sum, listener) => sum + listener.busyConnections, 0)
    while (busy() > 0 && clock.nowMs() < until) await pause(clock, drainCheckMs)
    const tunnels = [...this.#retiring].reduce((sum, upstreams) => sum + upstreams.tunnels(), 0)
    const cut = Math.max(0, busy() - tunnels)
    for (const listener of listeners) listener.destroy()
    for (const upstreams of this.#retiring) upstreams.close()
    this.#edition?.accessLog.flush()
    this.#sweep.cancel()
    return cut
  }

  trace(requestId: string): object | undefined {
    const trace = this.#edition?.trace
    return trace instanceof TraceRing ? trace.find(requestId) : undefined
  }

  stats(): object {
    const listeners = [...this.#listeners.values()].map(({ listener }) => ({
      name: listener.name,
      connections: listener.connections,
      ...listener.stats,
    }))
    return { listeners, upstreams: this.#edition?.upstreams.stats() ?? [] }
  }

  async #build(plan: WorkerPlan): Promise<Edition> {
    const { clock, logger, sink } = this.#deps
    const config = await loadSource(plan.source)
    const former = this.#edition
    const sameLog = former?.config.accessLog.format === config.accessLog.format
    const log =
      former !== undefined && sameLog
        ? former.accessLog
        : accessLog({ format: config.accessLog.format, sink, clock })
    const sameTrace = former?.config.trace.keep === config.trace.keep
    const trace =
      former !== undefined && sameTrace
        ? former.trace
        : config.trace.keep > 0
          ? new TraceRing(config.trace.keep)
          : noTrace
    const upstreams = createUpstreams(config.upstreams, { clock, logger }, former?.upstreams)
    const pipeline = buildPipeline({
      guard: config.guard,
      trustedProxies: config.trustedProxies,
      routes: config.routes,
      upstream: upstreams.stage(),
      errorPages: config.errorPages,
      limits: config.limits.request,
      exchangeTimeoutMs: config.timeouts.exchangeMs,
      strictTransportSecurity: config.tls.strictTransportSecurity,
      trace,
      accessLog: log,
      clock,
      logger,
    })
    return { plan, config, pipeline, upstreams, accessLog: log, trace }
  }

  #retire(upstreams: Upstreams): void {
    this.#retiring.add(upstreams)
    upstreams.drain().then(
      () => this.#retiring.delete(upstreams),
      () => this.#retiring.delete(upstreams),
    )
  }

  #letGo(): void {
    for (const listener of this.#listeners.values()) listener.sweep()
    this.#vanished = this.#vanished.filter((listener) => {
      if (listener.busyConnections > 0) return true
      listener.destroy()
      return false
    })
  }
}

async function loadSource(source: PlanSource): Promise<ResolvedGateway> {
  if (source.kind === 'resolved') return source.config
  // Only here, so that a worker whose plan was posted does not carry the schema and the parsers.
  const { loadConfig } = await import('../config/load.ts')
  const loaded = await loadConfig(source.path, process.env)
  if (loaded.source.fingerprint !== source.fingerprint) {
    throw new Error(`${source.path} has changed since it was checked; reload to use it`)
  }
  return loaded.config
}

function wishesOf({ plan, config, pipeline }: Edition): ListenerWish[] {
  const trusted = CidrTable.of(config.trustedProxies)
  return plan.listeners.map((bound, at) => {
    const options = config.listeners[at]
    if (options === undefined) throw new Error(`the plan has no listener ${at}`)
    return {
      key: bound.key,
      options: boundOptions(options, bound),
      material: bound.material,
      limits: config.limits,
      timeouts: config.timeouts,
      service: pipeline.service satisfies Service,
      admit: pipeline.admit,
      isTrustedProxy: (address) => trusted.has(address),
    }
  })
}

async function undo(
  opened: readonly ServedListener[],
  changes: readonly { abandon(): void }[],
): Promise<void> {
  for (const change of changes) change.abandon()
  for (const listener of opened) {
    await listener.drain()
    listener.destroy()
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve))
}

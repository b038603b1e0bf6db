import type { Clock, Timer } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { Exchange, ForwardPlan, GatewayResponse } from '../exchange.ts'
import type { Logger } from '../log.ts'
import { Call, type CallContext } from './call.ts'
import { Endpoint, tlsOptions } from './endpoint.ts'
import type { UpstreamOptions } from './options.ts'
import { Pool, type PoolStats } from './pool.ts'
import { RoundRobin } from './round-robin.ts'
import { Tunnels } from './upgrade.ts'

/** Deadlines are compared this often: every timeout of the room may be late by one period, or by two where waiting begins between two. */
export const sweepMs = 250

export interface ClusterDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly makeTraceparent: () => string
  readonly readBuffer: Buffer
}

/** The endpoints of one upstream, each with its pool, and the tunnels through them. */
export class Cluster {
  readonly name: string
  readonly options: UpstreamOptions
  readonly #pools: readonly Pool[]
  readonly #order: RoundRobin
  readonly #tunnels: Tunnels
  readonly #context: CallContext
  readonly #clock: Clock
  /** Runs from the first request on. */
  #sweeper: Timer | undefined = undefined
  #retiring = false
  #quietWaiters: (() => void)[] = []

  /** Throws when the CA file cannot be read. */
  constructor(name: string, options: UpstreamOptions, deps: ClusterDeps) {
    const { clock, logger, makeTraceparent, readBuffer } = deps
    this.name = name
    this.#clock = clock
    this.options = options
    const tls = tlsOptions(options.tls)
    const onQuiet = () => this.#checkQuiet()
    this.#pools = options.endpoints.map(
      ({ address }) => new Pool(name, new Endpoint(address, tls, readBuffer), options, clock, onQuiet),
    )
    this.#order = new RoundRobin(options.endpoints.map(({ weight }) => weight))
    this.#tunnels = new Tunnels(options.upgradeIdleTimeoutMs, logger)
    this.#context = {
      responseHeadTimeoutMs: options.responseHeadTimeoutMs,
      bodyIdleTimeoutMs: options.bodyIdleTimeoutMs,
      makeTraceparent,
      openTunnel: (exchange, pool, head, connection, first) =>
        this.#tunnels.open(exchange, head, connection, first, () => pool.tunnelClosed()),
    }
  }

  get stats(): PoolStats[] {
    return this.#pools.map((pool) => pool.stats)
  }

  get tunnels(): number {
    return this.#tunnels.count
  }

  /** Sends the exchange to the next endpoint. */
  forward(exchange: Exchange, plan: ForwardPlan): Promise<GatewayResponse> {
    const call = new Call(exchange, plan, this.#pools[this.#order.next()] as Pool, this.#context)
    exchange.slots.upstream = call
    this.#sweeper ??= this.#clock.every(sweepMs, () => this.#sweep(this.#clock.nowMs()))
    return call.begin()
  }

  /** Closes what is idle, and the rest as it becomes so. Late requests are still served. Resolves when nothing is left. */
  retire(): Promise<void> {
    this.#retiring = true
    for (const pool of this.#pools) pool.retire()
    return new Promise((resolve) => {
      this.#quietWaiters.push(resolve)
      this.#checkQuiet()
    })
  }

  /** Breaks every request and tunnel. */
  close(): void {
    this.#retiring = true
    const error = new GatewayError('shutting_down', 503, 'gateway', false, 'the gateway is stopping')
    for (const pool of this.#pools) pool.close(error)
    this.#tunnels.close()
    this.#checkQuiet()
  }

  #sweep(nowMs: number): void {
    for (const pool of this.#pools) pool.sweep(nowMs)
    this.#tunnels.sweep(nowMs)
  }

  #checkQuiet(): void {
    if (!this.#retiring || this.#tunnels.count > 0) return
    for (const pool of this.#pools) if (!pool.quiet) return
    this.#sweeper?.cancel()
    this.#sweeper = undefined
    for (const resolve of this.#quietWaiters.splice(0)) resolve()
  }
}

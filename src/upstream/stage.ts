/**
 * The upstream room: carries an exchange to an origin and its answer back, over pooled HTTP/1.1 connections.
 *
 * It decides which endpoint of the upstream is next, which connection carries the request, what the origin gets to see
 * of it, whether the answer keeps to the protocol, and whether a request may be sent a second time.
 * It never buffers a body, repairs a malformed answer, retries what the origin may have acted on, or passes
 * a cut body off as a complete one.
 * In memory: per endpoint at most `maxConnections` sockets and `maxPending` waiting requests, per response one
 * read (64 KiB) at most, one read buffer per worker.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import { GatewayError } from '../errors.ts'
import type { Stage } from '../exchange.ts'
import type { Logger } from '../log.ts'
import type { UpstreamSlot } from './call.ts'
import { Cluster } from './cluster.ts'
import type { UpstreamOptions } from './options.ts'
import type { PoolStats } from './pool.ts'
import { type FillRandom, systemRandom, traceparentSource } from './trace-context.ts'

declare module '../exchange.ts' {
  interface ExchangeSlots {
    upstream?: UpstreamSlot
  }
}

/** One read of a plain socket. */
const readBytes = 65_536

export interface UpstreamsDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Defaults to the system's. */
  readonly fillRandom?: FillRandom
}

export interface UpstreamStats {
  readonly upstream: string
  readonly endpoints: readonly PoolStats[]
}

/** All upstreams of one plan, in one worker. */
export interface Upstreams {
  /** The last stage of the pipeline; answers every exchange that has `forward` set. */
  stage(): Stage
  stats(): UpstreamStats[]
  /** Open tunnels (WebSocket), without those that a later plan took over. */
  tunnels(): number
  /**
   * Gives up the pools: idle connections close now, the others as they become free. Requests that still come are served.
   * Resolves when nothing is left, tunnels included. Pools that a later plan took over are left alone.
   */
  drain(): Promise<void>
  /** Breaks what is left; then `drain` resolves. */
  close(): void
  /** For a plan that never took effect: closes what was built for it and gives back what it took over. */
  abandon(): void
}

/** The clusters of one plan, and which of them are still its own to close. */
class PlanUpstreams implements Upstreams {
  readonly #clusters: ReadonlyMap<string, Cluster>
  readonly #owned: Set<Cluster>
  /** Gone once this plan has been drained or closed, so that a chain of plans is not kept. */
  #previous: PlanUpstreams | undefined

  constructor(clusters: ReadonlyMap<string, Cluster>, previous: PlanUpstreams | undefined) {
    this.#clusters = clusters
    this.#owned = new Set(clusters.values())
    this.#previous = previous
    if (previous !== undefined) for (const cluster of this.#owned) previous.#owned.delete(cluster)
  }

  /** The cluster of that name if its options are these and it is still this plan's own. */
  find(name: string, options: UpstreamOptions): Cluster | undefined {
    const cluster = this.#clusters.get(name)
    if (cluster === undefined || !this.#owned.has(cluster)) return undefined
    return isDeepStrictEqual(cluster.options, options) ? cluster : undefined
  }

  stage(): Stage {
    return {
      name: 'upstream',
      wrap: (next) => (exchange) => {
        const plan = exchange.forward
        if (plan === undefined) return next(exchange)
        const cluster = this.#clusters.get(plan.upstream)
        if (cluster !== undefined) return cluster.forward(exchange, plan)
        throw new GatewayError('no_upstream', 500, 'gateway', false, `no upstream is called ${plan.upstream}`)
      },
    }
  }

  stats(): UpstreamStats[] {
    return Array.from(this.#clusters.values(), ({ name, stats }) => ({ upstream: name, endpoints: stats }))
  }

  tunnels(): number {
    let count = 0
    for (const cluster of this.#owned) count += cluster.tunnels
    return count
  }

  async drain(): Promise<void> {
    this.#previous = undefined
    await Promise.all(Array.from(this.#owned, (cluster) => cluster.retire()))
  }

  close(): void {
    this.#previous = undefined
    for (const cluster of this.#owned) cluster.close()
  }

  abandon(): void {
    const previous = this.#previous
    this.#previous = undefined
    for (const cluster of this.#owned) {
      if (previous !== undefined && previous.#clusters.get(cluster.name) === cluster)
        previous.#owned.add(cluster)
      else cluster.close()
    }
    this.#owned.clear()
  }
}

/**
 * Builds the upstreams of a plan. With `previous`, upstreams whose options did not change keep their connections;
 * call `previous.drain()` afterwards to let go of the others. Throws when a CA file cannot be read; `previous` is
 * untouched then.
 */
export function createUpstreams(
  options: ReadonlyMap<string, UpstreamOptions>,
  deps: UpstreamsDeps,
  previous?: Upstreams,
): Upstreams {
  const clusterDeps = {
    clock: deps.clock,
    logger: deps.logger,
    makeTraceparent: traceparentSource(deps.fillRandom ?? systemRandom),
    readBuffer: Buffer.allocUnsafeSlow(readBytes),
  }
  const earlier = previous instanceof PlanUpstreams ? previous : undefined
  const clusters = new Map<string, Cluster>()
  const built: Cluster[] = []
  try {
    for (const [name, wanted] of options) {
      let cluster = earlier?.find(name, wanted)
      if (cluster === undefined) built.push((cluster = new Cluster(name, wanted, clusterDeps)))
      clusters.set(name, cluster)
    }
  } catch (error) {
    for (const cluster of built) cluster.close()
    throw error
  }
  return new PlanUpstreams(clusters, earlier)
}

import type { Clock } from '../clock.ts'
import { type GatewayError, PoolExhaustedError, UpstreamAbortedError } from '../errors.ts'
import { type Assignment, type ConnectionOwner, UpstreamConnection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { UpstreamOptions } from './options.ts'

/** A request that wants a connection. */
export interface Applicant extends Assignment {
  /** Only a connection that never carried a request will do (a retry). */
  readonly needsFresh: boolean
  /** Monotonic; written by the pool. */
  queuedMs: number
}

export interface PoolStats {
  readonly endpoint: string
  /** Open or being opened, without tunnels. */
  readonly open: number
  readonly idle: number
  readonly inUse: number
  readonly pending: number
  readonly tunnels: number
  /** Requests sent and connections that failed to open or broke, since the start. */
  readonly requests: number
  readonly failures: number
}

/** While others wait for a connection, a reader that has taken nothing for this long loses its own. */
const stalledReaderMs = 2000

/**
 * The connections of one endpoint. The one used last is used next (LIFO), so that surplus ones fall idle and close.
 * Memory: at most `maxConnections` connections and `maxPending` waiting requests.
 */
export class Pool implements ConnectionOwner {
  readonly endpoint: Endpoint
  readonly #upstream: string
  readonly #options: UpstreamOptions
  readonly #clock: Clock
  readonly #onQuiet: () => void
  readonly #open = new Set<UpstreamConnection>()
  readonly #idle: UpstreamConnection[] = []
  readonly #pending: Applicant[] = []
  #retiring = false
  #tunnels = 0
  #requests = 0
  #failures = 0

  /** `onQuiet` is called whenever the last connection in use becomes free. */
  constructor(
    upstream: string,
    endpoint: Endpoint,
    options: UpstreamOptions,
    clock: Clock,
    onQuiet: () => void,
  ) {
    this.#upstream = upstream
    this.endpoint = endpoint
    this.#options = options
    this.#clock = clock
    this.#onQuiet = onQuiet
  }

  /** Nothing in use, nothing waiting. Tunnels are not counted. */
  get quiet(): boolean {
    return this.#open.size === this.#idle.length && this.#pending.length === 0
  }

  get stats(): PoolStats {
    return {
      endpoint: this.endpoint.name,
      open: this.#open.size,
      idle: this.#idle.length,
      inUse: this.#open.size - this.#idle.length,
      pending: this.#pending.length,
      tunnels: this.#tunnels,
      requests: this.#requests,
      failures: this.#failures,
    }
  }

  /** Finds a connection for `applicant`, now or later; it hears through its Assignment. */
  submit(applicant: Applicant): void {
    if (!applicant.needsFresh) {
      const connection = this.#idle.pop()
      if (connection !== undefined) {
        this.#requests++
        connection.assign(applicant)
        return
      }
    } else if (this.#open.size >= this.#options.maxConnections) this.#idle[0]?.destroy()
    if (this.#open.size < this.#options.maxConnections) this.#connect(applicant)
    else if (this.#pending.length < this.#options.maxPending || applicant.needsFresh) {
      applicant.queuedMs = this.#clock.nowMs()
      if (applicant.needsFresh) this.#pending.unshift(applicant)
      else this.#pending.push(applicant)
    } else applicant.onFailure(new PoolExhaustedError(this.#upstream), false)
  }

  /** Takes back an applicant that is still waiting. */
  withdraw(applicant: Applicant): void {
    const at = this.#pending.indexOf(applicant)
    if (at >= 0) this.#pending.splice(at, 1)
  }

  onFree(connection: UpstreamConnection, reusable: boolean): void {
    if (!reusable || connection.expired) {
      connection.destroy()
      return
    }
    const next = this.#pending[0]
    if (next === undefined) {
      if (this.#retiring) connection.destroy()
      else this.#idle.push(connection)
    } else if (next.needsFresh) connection.destroy()
    else {
      this.#pending.shift()
      this.#requests++
      connection.assign(next)
    }
    if (this.quiet) this.#onQuiet()
  }

  onGone(connection: UpstreamConnection): void {
    if (!this.#open.delete(connection)) return
    const at = this.#idle.lastIndexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    const next = this.#pending.shift()
    if (next !== undefined) this.#connect(next)
    if (this.quiet) this.#onQuiet()
  }

  /** A connection became a tunnel: no longer the pool's, and its place is free. */
  detach(connection: UpstreamConnection): void {
    this.#tunnels++
    this.onGone(connection)
  }

  tunnelClosed(): void {
    this.#tunnels--
    this.#onQuiet()
  }

  countFailure(): void {
    this.#failures++
  }

  sweep(nowMs: number): void {
    const { connectTimeoutMs, idleTimeoutMs, maxLifetimeMs, pendingTimeoutMs } = this.#options
    for (const connection of this.#open)
      connection.sweep(nowMs, connectTimeoutMs, idleTimeoutMs, maxLifetimeMs)
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const waiting = this.#pending[i]
      if (waiting === undefined) continue
      if (nowMs - waiting.queuedMs < pendingTimeoutMs) continue
      this.#pending.splice(i, 1)
      waiting.onFailure(new PoolExhaustedError(this.#upstream), false)
    }
    this.#cutStalledReaders(nowMs)
  }

  /**
   * Clients that stop reading hold a connection each until their write timeout. That must not keep others out: as many of
   * them as there are requests waiting are cut early. With free connections left nobody is.
   */
  #cutStalledReaders(nowMs: number): void {
    let wanted = this.#pending.length
    if (wanted === 0) return
    for (const connection of this.#open) {
      if (connection.stalledMs(nowMs) < stalledReaderMs) continue
      connection.abandon(
        new UpstreamAbortedError(this.endpoint.name, 'the client does not read and others wait'),
      )
      wanted -= 1
      if (wanted === 0) return
    }
  }

  /** From now on connections close as they become free. */
  retire(): void {
    this.#retiring = true
    for (const connection of this.#idle.slice()) connection.destroy()
  }

  /** Breaks everything. Requests in progress end with `error`. */
  close(error: GatewayError): void {
    this.#retiring = true
    for (const waiting of this.#pending.splice(0)) waiting.onFailure(error, false)
    for (const connection of this.#open) connection.abandon(error)
  }

  #connect(applicant: Applicant): void {
    this.#requests++
    const { maxHeaderBytes } = this.#options
    this.#open.add(
      new UpstreamConnection(this.endpoint, this, maxHeaderBytes, this.#clock.nowMs(), applicant),
    )
  }
}

import type { ListenerTimeouts, ListenerLimits, ListenerOptions } from '../listener/options.ts'
import {
  type ListenerDeps,
  type ListenerPlan,
  type OpenListener,
  openListener,
} from '../listener/listener.ts'
import type { TlsMaterial } from '../listener/certificates.ts'
import type { Engine, Engines } from '../listener/engine.ts'
import { createHttp1Engine } from '../listener/http1/engine.ts'
import { createHttp2Engine } from '../listener/http2/engine.ts'
import { redirectHandler } from '../listener/redirect.ts'
import type { EngineContext, Service } from '../listener/service.ts'
import type { Clock } from '../clock.ts'
import type { GatewayResponse } from '../exchange.ts'
import type { Logger } from '../log.ts'

/** What one listener of one plan is to be. */
export interface ListenerWish {
  readonly key: string
  /** With the port that was found. */
  readonly options: ListenerOptions
  readonly material: TlsMaterial | undefined
  readonly limits: ListenerLimits
  readonly timeouts: ListenerTimeouts
  readonly service: Service
  readonly admit: (address: string) => 'accept' | 'close'
  readonly isTrustedProxy: (address: string) => boolean
}

/** What engines look up at each request. A reload puts another service in; engines are not told. */
interface ServiceCell {
  service: Service
}

/**
 * One listen address of one worker over the reloads: the listening socket, the engines behind it, and the service they
 * look up. Engines are built with timeouts and limits; when those change, new connections get new engines and open ones
 * finish on theirs, with the new plan all the same.
 *
 * In memory beside the connections: the engines of former settings until their last connection has ended.
 */
export class ServedListener {
  readonly key: string
  readonly listener: OpenListener
  #wish: ListenerWish
  #engines: Engines
  readonly #cell: ServiceCell
  #former: Engine[] = []

  private constructor(wish: ListenerWish, listener: OpenListener, engines: Engines, cell: ServiceCell) {
    this.key = wish.key
    this.listener = listener
    this.#wish = wish
    this.#engines = engines
    this.#cell = cell
  }

  /** Rejects with ListenError or CertificateError; nothing is left open then. */
  static async open(wish: ListenerWish, deps: ListenerDeps): Promise<ServedListener> {
    const cell = { service: serviceOf(wish) }
    const engines = createEngines(wish, cell, deps)
    try {
      return new ServedListener(wish, await openListener(planOf(wish, engines), deps), engines, cell)
    } catch (error) {
      for (const engine of enginesOf(engines)) engine.destroy()
      throw error
    }
  }

  /** Builds what `wish` needs beside what runs. Throws CertificateError; nothing has changed then. */
  prepare(
    wish: ListenerWish,
    deps: { readonly clock: Clock; readonly logger: Logger },
  ): { commit(): void; abandon(): void } {
    const keepsEngines = engineSettings(wish) === engineSettings(this.#wish)
    const engines = keepsEngines
      ? this.#engines
      : createEngines(wish, { service: serviceOf(wish) }, deps, this.#cell)
    const abandon = (): void => {
      if (!keepsEngines) for (const engine of enginesOf(engines)) engine.destroy()
    }
    try {
      const turn = this.listener.prepare(planOf(wish, engines))
      return {
        commit: () => {
          if (!keepsEngines) this.#former.push(...enginesOf(this.#engines))
          this.#engines = engines
          this.#wish = wish
          this.#cell.service = serviceOf(wish)
          turn()
        },
        abandon,
      }
    } catch (error) {
      abandon()
      throw error
    }
  }

  /** New certificates for the same plan. Throws CertificateError; the old ones stay then. */
  prepareMaterial(material: TlsMaterial | undefined): () => void {
    const wish = { ...this.#wish, material }
    const turn = this.listener.prepare(planOf(wish, this.#engines))
    return () => {
      this.#wish = wish
      turn()
    }
  }

  /** Takes no more connections and lets the open ones finish. */
  async drain(): Promise<void> {
    await this.listener.close()
    for (const engine of this.#all()) engine.drain()
  }

  /** Cuts what is left and lets go of everything. */
  destroy(): void {
    for (const engine of this.#all()) engine.destroy()
    this.listener.destroy()
  }

  /** Drops former engines that have nothing left to serve. */
  sweep(): void {
    this.#former = this.#former.filter((engine) => {
      if (engine.connections > 0) return true
      engine.destroy()
      return false
    })
  }

  /** Connections that an engine has, which after `drain` are those with a request under way. */
  get busyConnections(): number {
    return this.#all().reduce((sum, engine) => sum + engine.connections, 0)
  }

  #all(): Engine[] {
    return [...this.#former, ...enginesOf(this.#engines)]
  }
}

function enginesOf({ http1, http2 }: Engines): Engine[] {
  return http2 === undefined ? [http1] : [http1, http2]
}

/** Equal for wishes that can share engines. */
function engineSettings({ options, limits, timeouts }: ListenerWish): string {
  return JSON.stringify([options.http2, limits.maxHttp2Streams, limits.request, timeouts])
}

/** `building` is what engines see while they are built, `cell` what they look up from then on. */
function createEngines(
  wish: ListenerWish,
  building: ServiceCell,
  deps: { readonly clock: Clock; readonly logger: Logger },
  cell: ServiceCell = building,
): Engines {
  let current = building
  const context: EngineContext = {
    clock: deps.clock,
    logger: deps.logger,
    timeouts: wish.timeouts,
    service: () => current.service,
  }
  const http1 = createHttp1Engine(context)
  const http2 = wish.options.http2
    ? createHttp2Engine(context, { maxConcurrentStreams: wish.limits.maxHttp2Streams })
    : undefined
  current = cell
  return { http1, http2 }
}

function serviceOf({ options, service }: ListenerWish): Service {
  if (options.redirectToHttps === undefined) return service
  const redirect = redirectHandler(options.redirectToHttps)
  return {
    ...service,
    handle(exchange) {
      const response = redirect(exchange) as GatewayResponse
      response.headers.push('X-Request-Id', exchange.id)
      return response
    },
  }
}

function planOf(wish: ListenerWish, engines: Engines): ListenerPlan {
  return {
    options: wish.options,
    material: wish.material,
    engines,
    limits: wish.limits,
    handshakeTimeoutMs: wish.timeouts.handshakeMs,
    admit: wish.admit,
    isTrustedProxy: wish.isTrustedProxy,
  }
}

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import type { Connection, TlsFacts } from '../exchange.ts'
import type { Logger } from '../log.ts'
import { canonicalAddress, CidrTable } from '../net-address.ts'
import { type ConnectionTable, refused, uncounted } from '../shared/connection-table.ts'
import { Connections, type ListenerStats, newListenerStats } from './connections.ts'
import type { Engine } from './engine.ts'
import type { ListenerPlan } from './plan.ts'
import { parseProxyHeader } from './proxy-protocol.ts'
import { createTlsTerminator, type TlsTerminator } from './tls.ts'
import { readTlsFacts } from './tls-facts.ts'

/**
 * What happens to one accepted socket before HTTP, in this order:
 * total limit, PROXY header (listed peers only), gate, limit per client, TLS, engine. Cheap refusals come first, so that
 * whoever is not let in never costs a handshake. A refused connection is closed without a word.
 *
 * Memory: a record of a few hundred bytes for each connection, and up to 64 KiB of bytes received while a PROXY header
 * is awaited; `limits.connections` bounds both, `timeouts.handshake` how long they last.
 */
export interface ReceptionDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly table: ConnectionTable
  readonly nextConnectionId: () => number
}

/** One connection between accept and engine. */
interface Guest {
  readonly raw: Socket
  /** Undefined over a unix socket. */
  address: string
  port: number
  localPort: number
  ticket: number
  deadline: Timer | undefined
  expired: boolean
}

export class Reception {
  readonly connections = new Connections()
  readonly stats: ListenerStats = newListenerStats()
  readonly #deps: ReceptionDeps
  #desk: Desk
  readonly #guests = new WeakMap<Socket, Guest>()

  constructor(plan: ListenerPlan, ticketKey: Uint8Array | undefined, deps: ReceptionDeps) {
    this.#deps = deps
    this.#desk = this.furnish(plan, ticketKey)
  }

  /** Builds everything that a plan needs; throws CertificateError and changes nothing. `take` puts it to use. */
  furnish(plan: ListenerPlan, ticketKey: Uint8Array | undefined): Desk {
    const { options } = plan
    const proxies = options.proxyProtocol === undefined ? undefined : CidrTable.of(options.proxyProtocol.from)
    if (options.tls === undefined) return { plan, proxies, tls: undefined }
    if (plan.material === undefined || ticketKey === undefined)
      throw new Error('a TLS listener needs certificates and a ticket key')
    const desk: Desk = {
      plan,
      proxies,
      tls: createTlsTerminator(options.tls, options.http2, plan.material, ticketKey, {
        secured: (socket, raw) => this.#secured(desk, socket, raw),
        failed: (error, raw) => this.#handshakeFailed(error, raw),
      }),
    }
    return desk
  }

  take(desk: Desk): void {
    this.#desk = desk
  }

  setTicketKeys(key: Uint8Array): void {
    this.#desk.tls?.setTicketKeys(key)
  }

  /** For the listening socket: a connection was accepted. */
  receive(raw: Socket): void {
    const { clock, table } = this.#deps
    const desk = this.#desk
    const { plan } = desk
    // Before anything else: a reset between accept and here must not surface as an uncaught error.
    raw.on('error', ignore)
    this.stats.accepted += 1
    const overUnix = plan.options.address.kind === 'unix'
    const address = overUnix ? '' : canonicalAddress(raw.remoteAddress ?? '')
    if (address === undefined) {
      // Gone already.
      raw.destroy()
      return
    }
    if (!table.openTotal(plan.limits.maxConnections)) {
      this.stats.totalRefused += 1
      refuse(raw)
      return
    }
    const guest: Guest = {
      raw,
      address,
      port: raw.remotePort ?? 0,
      localPort: raw.localPort ?? 0,
      ticket: uncounted,
      deadline: undefined,
      expired: false,
    }
    this.connections.add(raw)
    raw.once('close', () => {
      guest.deadline?.cancel()
      this.connections.delete(raw)
      table.closeClient(guest.ticket)
      table.closeTotal()
    })
    const announces = desk.proxies !== undefined && desk.proxies.has(address)
    if (announces || desk.tls !== undefined) {
      guest.deadline = clock.after(plan.handshakeTimeoutMs, () => {
        this.stats.handshakeTimedOut += 1
        guest.expired = true
        raw.destroy()
      })
    }
    if (announces) this.#awaitProxyHeader(desk, guest)
    else if (this.#letIn(plan, guest)) this.#admit(desk, guest)
  }

  #awaitProxyHeader(desk: Desk, guest: Guest): void {
    const { raw } = guest
    let received: Buffer = Buffer.alloc(0)
    const left = (): void => void raw.destroy()
    const read = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const header = parseProxyHeader(received)
      if (header.kind === 'incomplete') return
      raw.off('data', read)
      raw.off('end', left)
      if (header.kind === 'invalid') {
        this.stats.proxyHeaderRefused += 1
        this.#deps.logger.debug('PROXY header refused', {
          listener: desk.plan.options.name,
          reason: header.reason,
        })
        refuse(raw)
        return
      }
      // Paused, or the stream would flow on without anybody listening until the next reader is there.
      raw.pause()
      if (header.bytes < received.length) raw.unshift(received.subarray(header.bytes))
      if (header.client !== undefined) {
        guest.address = header.client.address
        guest.port = header.client.port
        guest.localPort = header.client.localPort
      }
      if (this.#letIn(desk.plan, guest)) this.#admit(desk, guest)
    }
    raw.on('data', read)
    raw.on('end', left)
  }

  /** Gate and limit per client, on the client's own address. */
  #letIn(plan: ListenerPlan, guest: Guest): boolean {
    const { address, raw } = guest
    if (address === '') return true
    if (plan.admit(address) === 'close') {
      this.stats.gateRefused += 1
      refuse(raw)
      return false
    }
    const max = plan.limits.maxConnectionsPerClient
    if (max === undefined || plan.isTrustedProxy(address)) return true
    const ticket = this.#deps.table.openClient(address, max)
    if (ticket === refused) {
      this.stats.clientRefused += 1
      refuse(raw)
      return false
    }
    guest.ticket = ticket
    return true
  }

  #admit(desk: Desk, guest: Guest): void {
    const { raw } = guest
    if (desk.tls !== undefined) {
      this.#guests.set(raw, guest)
      // The TLS socket inherits this: a client that ends in the middle of its handshake is gone, not half-open.
      raw.allowHalfOpen = false
      desk.tls.handshake(raw)
      return
    }
    guest.deadline?.cancel()
    const wasPaused = raw.isPaused()
    this.#handOver(desk.plan, guest, desk.plan.engines.http1, raw, undefined)
    if (wasPaused) raw.resume()
  }

  #secured(desk: Desk, socket: TLSSocket, raw: Socket): void {
    socket.on('error', ignore)
    const guest = this.#guests.get(raw)
    // A guest past its deadline is destroyed already; its handshake may still report in.
    if (guest === undefined || raw.destroyed || socket.destroyed) {
      socket.destroy()
      return
    }
    guest.deadline?.cancel()
    socket.allowHalfOpen = true
    const { plan } = desk
    const facts = readTlsFacts(socket, plan.options.tls?.clientAuth ?? 'none')
    const engine = socket.alpnProtocol === 'h2' ? plan.engines.http2 : plan.engines.http1
    if (engine === undefined) socket.destroy()
    else this.#handOver(plan, guest, engine, socket, facts)
  }

  #handOver(
    plan: ListenerPlan,
    guest: Guest,
    engine: Engine,
    socket: Socket,
    tls: TlsFacts | undefined,
  ): void {
    const connection: Connection = {
      id: this.#deps.nextConnectionId(),
      listener: plan.options.name,
      encrypted: tls !== undefined,
      remoteAddress: guest.address,
      remotePort: guest.port,
      localPort: guest.localPort,
      tls,
    }
    try {
      engine.accept(socket, connection)
    } catch (error) {
      // A fault of ours, but one connection's: the others must not go down with it.
      this.#deps.logger.error('connection not taken over', {
        listener: plan.options.name,
        reason: reason(error),
      })
      socket.destroy()
    }
  }

  #handshakeFailed(error: Error, raw: Socket | undefined): void {
    const guest = raw === undefined ? undefined : this.#guests.get(raw)
    // Our own cut at the deadline comes back as a failure too.
    if (guest?.expired === true) return
    this.stats.handshakeFailed += 1
    this.#deps.logger.debug('TLS handshake failed', {
      listener: this.#desk.plan.options.name,
      client: guest?.address,
      reason: reason(error),
    })
    raw?.destroy()
  }
}

/** What one plan was turned into. Connections stay with the desk that received them. */
export interface Desk {
  readonly plan: ListenerPlan
  /** Peers that must send a PROXY header. */
  readonly proxies: CidrTable<true> | undefined
  readonly tls: TlsTerminator | undefined
}

/** By reset where TCP allows it: no TIME_WAIT on our side for somebody who is not welcome. */
function refuse(raw: Socket): void {
  if (raw.remoteFamily === undefined) raw.destroy()
  else raw.resetAndDestroy()
}

function ignore(): void {}

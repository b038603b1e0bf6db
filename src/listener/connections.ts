import type { Socket } from 'node:net'

/**
 * The open sockets of one listener, from accept to close, for shutting down. Engines keep their own accounts; this one
 * also knows those that no engine has seen yet (PROXY header, handshake).
 * Bound: `limits.connections`, checked before a socket gets here.
 */
export class Connections {
  readonly #sockets = new Set<Socket>()

  get size(): number {
    return this.#sockets.size
  }

  add(socket: Socket): void {
    this.#sockets.add(socket)
  }

  delete(socket: Socket): void {
    this.#sockets.delete(socket)
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

/** What became of connections, per listener and worker; plain counts since start. */
export interface ListenerStats {
  accepted: number
  /** Closed before TLS: the gate (bans, address lists). */
  gateRefused: number
  /** Closed before TLS: `limits.connections`. */
  totalRefused: number
  /** Closed before TLS: `limits.connectionsPerClient`. */
  clientRefused: number
  proxyHeaderRefused: number
  handshakeFailed: number
  /** PROXY header or handshake not complete within `timeouts.handshake`. */
  handshakeTimedOut: number
  /** `accept` itself failed, mostly for want of file descriptors. */
  acceptFailed: number
}

export function newListenerStats(): ListenerStats {
  return {
    accepted: 0,
    gateRefused: 0,
    totalRefused: 0,
    clientRefused: 0,
    proxyHeaderRefused: 0,
    handshakeFailed: 0,
    handshakeTimedOut: 0,
    acceptFailed: 0,
  }
}

/** Ids for `Connection.id`, never the same on two workers (0 to 1,023). */
export function connectionIds(worker: number): () => number {
  let count = 0
  return () => {
    count += 1
    return count * 1024 + worker
  }
}

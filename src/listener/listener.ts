import type { Server } from 'node:net'
import type { ListenAddress } from '../net-address.ts'
import { bind } from './bind.ts'
import type { ListenerStats } from './connections.ts'
import type { ListenerPlan } from './plan.ts'
import { Reception, type ReceptionDeps } from './reception.ts'

export type { ListenerPlan } from './plan.ts'

/**
 * One listen address in one worker: accepts connections, decides whether they may come in, terminates TLS and hands
 * sockets to the engines.
 *
 * It never reads a byte of HTTP, never touches a file and never hands a connection to another thread.
 * In memory: a record for each open connection (`limits.connections` over all workers), one TLS context a certificate.
 * A plan can be replaced while connections run: new ones follow the new plan, open ones finish on theirs.
 */
export interface OpenListener {
  readonly name: string
  /** Where it listens; with the port that the kernel chose when 0 was asked for. */
  readonly address: ListenAddress
  readonly stats: Readonly<ListenerStats>
  /** Open sockets, those in the handshake included. */
  readonly connections: number
  /**
   * Builds what a new plan for the same address needs and returns the switch to it, which cannot fail.
   * Throws CertificateError; the plan in use stays. Also how certificates are swapped.
   */
  prepare(plan: ListenerPlan): () => void
  /** New tickets are made with this key; those made with another are no longer taken. 48 bytes. */
  setTicketKey(key: Uint8Array): void
  /** Stops accepting. Open connections go on. Idempotent. */
  close(): Promise<void>
  /** Cuts every connection, wherever it is. */
  destroy(): void
}

export interface ListenerDeps extends ReceptionDeps {
  /** 48 bytes from the main thread; may be undefined where no listener has TLS. */
  readonly ticketKey: Uint8Array | undefined
  /** 0-based number of this worker. Unix sockets are opened by worker 0 only: the kernel cannot spread them. */
  readonly worker: number
}

/** Rejects with ListenError or CertificateError; nothing is left open then. */
export async function openListener(plan: ListenerPlan, deps: ListenerDeps): Promise<OpenListener> {
  let ticketKey = deps.ticketKey
  const { logger } = deps
  const { name, address } = plan.options
  const reception = new Reception(plan, ticketKey, deps)
  let failures = 0
  const server: Server | undefined =
    address.kind === 'unix' && deps.worker !== 0
      ? undefined
      : await bind(
          address,
          (socket) => reception.receive(socket),
          (error) => {
            // One line now and then: when descriptors run out this comes thousands of times a second.
            reception.stats.acceptFailed += 1
            if (failures++ % 1000 === 0)
              logger.warn('cannot accept connections', { listener: name, reason: error.message })
          },
        )
  let closing: Promise<void> | undefined
  return {
    name,
    address: boundAddress(address, server),
    stats: reception.stats,
    get connections() {
      return reception.connections.size
    },
    prepare(next) {
      const desk = reception.furnish(next, ticketKey)
      return () => {
        reception.take(desk)
        // The key may have changed since.
        if (ticketKey !== undefined) reception.setTicketKeys(ticketKey)
      }
    },
    setTicketKey(key) {
      ticketKey = key
      reception.setTicketKeys(key)
    },
    close() {
      closing ??= closeServer(server)
      return closing
    },
    destroy: () => reception.connections.destroyAll(),
  }
}

function boundAddress(address: ListenAddress, server: Server | undefined): ListenAddress {
  const bound = server?.address()
  return address.kind === 'tcp' && typeof bound === 'object' && bound !== null
    ? { ...address, port: bound.port }
    : address
}

/** Resolves once no more connections come. `Server.close` calls back much later: when the last connection has ended. */
function closeServer(server: Server | undefined): Promise<void> {
  server?.close()
  return new Promise((resolve) => void setImmediate(resolve))
}

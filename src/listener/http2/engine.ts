import type { Socket } from 'node:net'
import { reason } from '../../errors.ts'
import type { Timer } from '../../clock.ts'
import type { Connection } from '../../exchange.ts'
import type { Engine } from '../engine.ts'
import type { EngineContext } from '../service.ts'
import { Http2Connection, type Http2Options } from './connection.ts'

export type { Http2Options } from './connection.ts'

/** How often connections are looked at, milliseconds; timeouts are kept to within one look. */
const sweepMs = 500

/**
 * The HTTP/2 engine: `node:http2`'s core streams, never its compatibility layer, behind a frame gate of our own.
 * It decides whether frames and messages are well formed, and cuts clients that flood or stall. It never pushes, never serves
 * CONNECT, never passes on a field it has not checked.
 * Memory: one Http2Connection a socket (connection.ts has its bounds); the listener bounds how many there are.
 */
export function createHttp2Engine(context: EngineContext, options: Http2Options): Engine {
  const connections = new Set<Http2Connection>()
  const { clock, logger, timeouts } = context
  let draining = false
  let lastMs = clock.nowMs()

  // One timer for all connections; it runs for as long as the engine has any.
  const sweep = (): void => {
    const now = clock.nowMs()
    const elapsedMs = now - lastMs
    lastMs = now
    for (const connection of connections) connection.sweep(elapsedMs, timeouts)
  }
  let timer: Timer | undefined

  return {
    accept(socket: Socket, facts: Connection): void {
      let connection: Http2Connection
      try {
        connection = new Http2Connection(context, facts, socket, options)
      } catch (error) {
        // A socket that died between handshake and here.
        logger.debug('http2 session not set up', { id: facts.id, reason: reason(error) })
        socket.destroy()
        return
      }
      connections.add(connection)
      if (timer === undefined) {
        lastMs = clock.nowMs()
        timer = clock.every(sweepMs, sweep)
      }
      socket.on('close', () => {
        connections.delete(connection)
        if (connections.size > 0) return
        timer?.cancel()
        timer = undefined
      })
      if (draining) connection.drain()
    },
    drain(): void {
      draining = true
      for (const connection of connections) connection.drain()
    },
    destroy(): void {
      draining = true
      for (const connection of connections) connection.destroy()
    },
    get connections(): number {
      return connections.size
    },
  }
}

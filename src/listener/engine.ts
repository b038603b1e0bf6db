import type { Socket } from 'node:net'
import type { Connection } from '../exchange.ts'

/**
 * Speaks one HTTP version on sockets that the listener hands over. The listener has done everything below HTTP:
 * accept gate, connection limits, PROXY header, TLS. From `accept` on the socket belongs to the engine: its errors,
 * its timeouts and its end.
 */
export interface Engine {
  /**
   * Takes over `socket`, a plain `net.Socket` or a `tls.TLSSocket` past its handshake. Bytes that came behind a PROXY
   * header are already in the socket's read buffer. Sockets allow half-open: the engine ends its own side.
   */
  accept(socket: Socket, connection: Connection): void
  /** Stops keep-alive: idle connections close now, busy ones after their answer (h1 `Connection: close`, h2 GOAWAY). */
  drain(): void
  /** Destroys what is left. */
  destroy(): void
  /** Sockets accepted and not closed yet. */
  readonly connections: number
}

/** The engines that one listener feeds, chosen by ALPN. `http2` is absent where a listener does not offer it. */
export interface Engines {
  readonly http1: Engine
  readonly http2: Engine | undefined
}

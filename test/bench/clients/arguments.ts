import type { ConnectionOptions } from 'node:tls'

/** What the two clients below are told, as JSON in one argument. */
export interface ClientTask {
  readonly port: number
  /** handshakes.ts: for how long. */
  readonly seconds: number
  /** handshakes.ts: resume a session instead of making a new one. */
  readonly resumed: boolean
  /** idle-connections.ts: how many. */
  readonly connections: number
}

export const task = JSON.parse(process.argv[2] ?? '{}') as ClientTask

/**
 * One version and one group for all servers: newer libraries would agree on a hybrid post-quantum group with
 * each other, and on X25519 with older ones, which compares libraries instead of servers.
 */
export const tlsTo: ConnectionOptions = {
  host: '127.0.0.1',
  port: task.port,
  servername: 'localhost',
  rejectUnauthorized: false,
  minVersion: 'TLSv1.3',
  ecdhCurve: 'X25519',
  ALPNProtocols: ['http/1.1'],
}

import type { TlsMaterial } from './certificates.ts'
import type { Engines } from './engine.ts'
import type { ListenerOptions } from './options.ts'

/** All that one listener works by; a reload brings a whole new one. */
export interface ListenerPlan {
  readonly options: ListenerOptions
  /** Undefined without TLS. */
  readonly material: TlsMaterial | undefined
  readonly engines: Engines
  readonly limits: {
    readonly maxConnections: number
    readonly maxConnectionsPerClient: number | undefined
  }
  /** From accept to the end of PROXY header and TLS handshake, milliseconds. */
  readonly handshakeTimeoutMs: number
  /** Bans and address lists, asked before TLS. Not asked for unix sockets. Must not throw. */
  readonly admit: (address: string) => 'accept' | 'close'
  /** Trusted proxies carry many clients: no limit per client applies to them. Must not throw. */
  readonly isTrustedProxy: (address: string) => boolean
}

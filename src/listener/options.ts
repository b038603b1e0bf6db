import type { Cidr, ListenAddress } from '../net-address.ts'
import type { ConnectionTimeouts, RequestLimits } from './service.ts'

/** One listen address with everything that happens on it below HTTP. */
export interface ListenerOptions {
  /** The address as written; names the listener in logs and in `Connection.listener`. Unique. */
  readonly name: string
  readonly address: ListenAddress
  /** Undefined for a plain-text listener. */
  readonly tls: TlsOptions | undefined
  /** Offers `h2` by ALPN. Only with TLS: HTTP/2 by prior knowledge is not offered. */
  readonly http2: boolean
  /** Undefined: PROXY headers are not understood. */
  readonly proxyProtocol: ProxyProtocolOptions | undefined
  /** Set when every request is answered by a redirect to HTTPS. */
  readonly redirectToHttps: RedirectOptions | undefined
}

export interface ProxyProtocolOptions {
  /** Peers that must open with a PROXY header (v1 or v2). Other peers are served without one being looked for. */
  readonly from: readonly Cidr[]
}

export interface RedirectOptions {
  /** Port to send clients to; 443 is left out of the URL. */
  readonly port: number
  readonly status: 301 | 302 | 307 | 308
}

export type TlsPreset = 'modern' | 'intermediate'
export type ClientAuth = 'none' | 'request' | 'require'

export interface TlsOptions {
  /** `modern`: TLS 1.3 only. `intermediate`: also TLS 1.2 with ECDHE and AEAD. */
  readonly preset: TlsPreset
  /** The first one answers names that no other covers. Empty: the development certificate. */
  readonly certificates: readonly CertificateFiles[]
  readonly clientAuth: ClientAuth
  /** PEM file of the authorities that client certificates are verified against. Set unless `clientAuth` is `none`. */
  readonly clientCaFile: string | undefined
}

export interface CertificateFiles {
  /** Absolute path of a PEM file: the certificate, then its chain. */
  readonly certFile: string
  readonly keyFile: string
  /** Names to serve it for, `*.` for one label; undefined takes them from the certificate. */
  readonly names: readonly string[] | undefined
}

/** What listeners share. */
export interface ListenerLimits {
  /** Open connections over all workers and listeners; beyond: closed before TLS. */
  readonly maxConnections: number
  /** The same for one client address (IPv6: one /64); undefined: no limit. Trusted proxies are exempt. */
  readonly maxConnectionsPerClient: number | undefined
  /** Concurrent streams of one HTTP/2 connection. */
  readonly maxHttp2Streams: number
  readonly request: RequestLimits
}

export interface ListenerTimeouts extends ConnectionTimeouts {
  /** How long a shutdown waits for exchanges to finish. */
  readonly drainMs: number
  /** Deadline of a whole exchange; undefined: none. */
  readonly exchangeMs: number | undefined
}

/** Settings of TLS that belong to the gateway, not to one listener. */
export interface TlsServiceOptions {
  /** How often the ticket keys change, which is also the longest time a stolen key opens recorded sessions. */
  readonly ticketRotationMs: number
  /** `Strict-Transport-Security` value, or undefined. */
  readonly strictTransportSecurity: string | undefined
}

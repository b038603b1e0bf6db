import type { Exchange, GatewayResponse, Handler, TraceRecorder } from '../exchange.ts'
import type { GatewayError } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'

/** What the log is told about an answer once its last byte was handed to the transport, or once it was cut. */
export interface Outcome {
  /** As sent; 499 when the client left before a head was sent. */
  readonly status: number
  /** Body bytes handed to the transport. */
  readonly bodyBytes: number
  /** False when the answer was cut: client gone, upstream died mid-body, write timeout. */
  readonly complete: boolean
}

/**
 * What an engine serves: one plan of the configuration. Looked up through `EngineContext.service()` at each request,
 * so that a reload swaps plans between two requests.
 */
export interface Service {
  readonly handle: Handler
  /** Turns any failure into an answer (errors.ts mapping: page by Accept, request id). Never throws. */
  readonly answerError: (exchange: Exchange, error: GatewayError) => GatewayResponse
  /** Called exactly once an exchange. */
  readonly finished: (exchange: Exchange, outcome: Outcome) => void
  readonly trace: TraceRecorder
  readonly limits: RequestLimits
  /** Resolves the client's address from the peer and, when the peer is trusted, its forwarded fields. */
  readonly resolveClient: (peerAddress: string, headers: readonly string[]) => ResolvedClient
  /** HSTS value for answers over TLS, or undefined. */
  readonly strictTransportSecurity: string | undefined
}

export interface ResolvedClient {
  readonly address: string
  readonly trusted: boolean
  /** A trusted peer's request id if it is well formed, else undefined. */
  readonly requestId: string | undefined
}

export interface RequestLimits {
  /** Request line target, bytes; beyond: 414. */
  readonly maxUriBytes: number
  /** Whole header section, bytes; beyond: 431. */
  readonly maxHeaderBytes: number
  /** Field lines; beyond: 431. */
  readonly maxHeaderCount: number
  /** Body bytes before a route says otherwise; beyond: 413. */
  readonly maxBodyBytes: number
}

/** Milliseconds, all of them. */
export interface ConnectionTimeouts {
  /** TLS handshake, or PROXY header. */
  readonly handshakeMs: number
  /** From the first byte of a request (or the connection's start) to the end of its head: 408. */
  readonly headerMs: number
  /** Time a body may take beyond what `minBodyRate` grants; not counted while we ourselves do not read: 408. */
  readonly bodyMs: number
  /** Bytes a second that a request body must reach on average once `bodyMs` is used up. */
  readonly minBodyRate: number
  /** Idle between two requests, or with no open stream. */
  readonly idleMs: number
  /** A write that makes no progress. */
  readonly writeMs: number
  /** After a half-close, how long the upstream's answer may still take to begin. */
  readonly halfCloseMs: number
}

/** What an engine (HTTP/1.1, HTTP/2) is built with. */
export interface EngineContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly service: () => Service
  readonly timeouts: ConnectionTimeouts
}

import type { BodySource, RequestBody } from './body.ts'
import type { Clock } from './clock.ts'
import type { GatewayError } from './errors.ts'
import type { RawFields } from './http/fields.ts'

/** What TLS told about a connection. */
export interface TlsFacts {
  readonly version: string
  readonly cipher: string
  readonly serverName: string | undefined
  readonly resumed: boolean
  /** Set when the client showed a certificate. `verified` is false under `clientAuth: request` with an unknown issuer. */
  readonly clientCertificate: ClientCertificate | undefined
}

export interface ClientCertificate {
  readonly verified: boolean
  /** RFC 4514 style, most specific first: `CN=alice,O=Example`. */
  readonly subject: string
  /** SHA-256 of the certificate, lower-case hex without separators. */
  readonly fingerprint: string
}

/** One client connection, shared by all of its requests. */
export interface Connection {
  readonly id: number
  readonly listener: string
  readonly encrypted: boolean
  /** The peer's address: the socket's, or the one that a trusted PROXY header named. Canonical text; '' for unix sockets. */
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  readonly tls: TlsFacts | undefined
}

export type HttpVersion = '1.0' | '1.1' | '2.0'

/** The request head, as checked by the engine: immutable. */
export interface RequestHead {
  /** As sent, case kept: `GET`. */
  readonly method: string
  /** Origin form, `/path?query`, or `*` for a server-wide OPTIONS. No fragment, no control characters. */
  readonly target: string
  /** `target` up to the first `?`, still percent-encoded. */
  readonly path: string
  /** After the first `?`, without it; '' when there is none. */
  readonly query: string
  /** What the client used to reach us, before any trusted forwarded field. */
  readonly scheme: 'http' | 'https'
  /** Host as sent, validated, lower case, with its port if one was sent: `example.com:8443`. '' only for HTTP/1.0 without Host. */
  readonly authority: string
  /** `authority` without the port; IPv6 keeps its brackets; no trailing dot. */
  readonly host: string
  readonly httpVersion: HttpVersion
  /** No pseudo-fields. For HTTP/2, cookie crumbs are joined and `host` is present. */
  readonly headers: RawFields
}

/** How an upgrade request (WebSocket) is taken over; opaque to every stage but upstream. */
export interface UpgradeHandle {
  /** Node's IncomingMessage, net.Socket and first bytes, for http-proxy-3. */
  readonly request: unknown
  readonly socket: unknown
  readonly head: Uint8Array
}

/**
 * The way back. `headers` hold no framing (Content-Length, Transfer-Encoding), no hop-by-hop fields and no Date unless
 * the origin sent one: the engine writes those. The array belongs to the exchange: stages edit it in place.
 */
export interface GatewayResponse {
  status: number
  headers: string[]
  /** A stream, bytes in memory, or nothing. Bytes are written as they are. */
  body: BodySource | Uint8Array | undefined
  /**
   * Content-Length to announce: the length of the body where it is known. For HEAD and 304, where no body follows,
   * what the origin announced; undefined when it announced none.
   */
  length: number | undefined
  /** True when the socket was handed over (101): the engine writes nothing. */
  detached?: boolean
}

/** Runs per request. Answers at once where it can: a cache hit costs no promise. */
export type Handler = (exchange: Exchange) => GatewayResponse | Promise<GatewayResponse>

export interface Stage {
  readonly name: string
  /** Called once, when the pipeline is built. */
  wrap(next: Handler): Handler
}

/** Builds one handler from stages, outermost first. The last stage must answer without calling `next`. */
export function compose(stages: readonly Stage[]): Handler {
  const end: Handler = () => {
    throw new Error('the last stage called next')
  }
  return stages.reduceRight<Handler>((next, stage) => stage.wrap(next), end)
}

/** Where trace entries go. One per worker; a ring with a fixed bound (observe/trace.ts). */
export interface TraceRecorder {
  /** Claims a place for an exchange, or -1 when tracing is off. */
  begin(id: string): number
  /** One fixed-shape entry. `stage` and `outcome` come from closed sets; `detail` is kept by reference. */
  note(place: number, stage: string, outcome: string, detail: unknown, nanoseconds: number): void
}

export const noTrace: TraceRecorder = { begin: () => -1, note() {} }

/** What a proxied request turns into on its way out. Compiled once per route; set by the route stage. */
export interface ForwardPlan {
  readonly upstream: string
  /** `client` keeps the Host that came, `endpoint` uses the endpoint's own, else a literal. */
  readonly host: 'client' | 'endpoint' | { readonly literal: string }
  readonly headerEdits: HeaderEdits | undefined
  /** Per-route overrides of the upstream's timeouts, milliseconds; undefined keeps the upstream's. */
  readonly responseHeadTimeoutMs: number | undefined
  readonly bodyIdleTimeoutMs: number | undefined
}

/** Applied in the order remove, set, add. Names in `remove` are lower case. */
export interface HeaderEdits {
  readonly remove: readonly string[]
  readonly set: RawFields
  readonly add: RawFields
}

/** Interim answers (RFC 9110 §15.2); false when the client cannot have them (HTTP/1.0) or has gone. */
export type SendInformation = (status: number, headers: RawFields) => boolean

/** Extended by declaration merging: each stage room adds its own typed, optional slot. */
export interface ExchangeSlots {
  route?: unknown
}

/**
 * One request on its way through the gateway.
 * Memory: one object a request, dropped with it; nothing here outlives the exchange.
 */
export class Exchange {
  /** Request id: ours, or a trusted proxy's. 1 to 128 characters of [A-Za-z0-9._-]. */
  readonly id: string
  readonly request: RequestHead
  readonly connection: Connection
  /** The client's address after `trustedProxies` were taken into account. Canonical text. */
  readonly clientAddress: string
  /** True when the direct peer is a trusted proxy, so that its forwarded fields count. */
  readonly peerTrusted: boolean
  /** Undefined when the request has none. */
  readonly body: RequestBody | undefined
  readonly upgrade: UpgradeHandle | undefined
  /** Monotonic, from `clock.nowMs()`. */
  readonly startedMs: number
  readonly clock: Clock
  /** Monotonic instant at which the exchange must be over; Infinity when there is no deadline. */
  deadlineMs: number = Number.POSITIVE_INFINITY
  /** `path?query` to send upstream; the request's own unless a rewrite changed it. */
  forwardTarget: string
  forward: ForwardPlan | undefined = undefined
  /** Set by the engine; answers false when nothing can be sent. */
  inform: SendInformation = () => false
  /** Asks the client for the body if it waits for `100 Continue`; called when the upstream wants the body. */
  sendContinue: () => void = () => {}
  slots: ExchangeSlots = {}

  /** Why the exchange failed, for the log; the first one counts. */
  error: GatewayError | undefined = undefined

  #abortReason: GatewayError | undefined = undefined
  #onAbort: ((reason: GatewayError) => void)[] | undefined = undefined
  readonly #trace: TraceRecorder
  readonly #tracePlace: number
  #markMs: number

  constructor(init: {
    id: string
    request: RequestHead
    connection: Connection
    clientAddress: string
    peerTrusted: boolean
    body: RequestBody | undefined
    upgrade: UpgradeHandle | undefined
    clock: Clock
    trace: TraceRecorder
  }) {
    this.id = init.id
    this.request = init.request
    this.connection = init.connection
    this.clientAddress = init.clientAddress
    this.peerTrusted = init.peerTrusted
    this.body = init.body
    this.upgrade = init.upgrade
    this.clock = init.clock
    this.startedMs = init.clock.nowMs()
    this.forwardTarget = init.request.target
    this.#trace = init.trace
    this.#tracePlace = init.trace.begin(init.id)
    this.#markMs = this.startedMs
  }

  /**
   * Leaves one trace entry: which stage decided what, and how long it took since the entry before it.
   * Costs nothing but a branch when tracing is off.
   */
  note(stage: string, outcome: string, detail?: unknown): void {
    if (this.#tracePlace < 0) return
    const now = this.clock.nowMs()
    this.#trace.note(this.#tracePlace, stage, outcome, detail, (now - this.#markMs) * 1e6)
    this.#markMs = now
  }

  /** Set once the client has gone or the deadline passed. */
  get abortReason(): GatewayError | undefined {
    return this.#abortReason
  }

  /** Ends the exchange from outside; the first reason stands. Listeners run once, synchronously. */
  abort(reason: GatewayError): void {
    if (this.#abortReason !== undefined) return
    this.#abortReason = reason
    const listeners = this.#onAbort
    this.#onAbort = undefined
    if (listeners !== undefined) for (const listener of listeners) listener(reason)
  }

  /** Calls `listener` when the exchange is aborted, at once if it already is. */
  onAbort(listener: (reason: GatewayError) => void): void {
    if (this.#abortReason !== undefined) listener(this.#abortReason)
    else if (this.#onAbort === undefined) this.#onAbort = [listener]
    else this.#onAbort.push(listener)
  }

  offAbort(listener: (reason: GatewayError) => void): void {
    const at = this.#onAbort?.indexOf(listener) ?? -1
    if (at >= 0) this.#onAbort?.splice(at, 1)
  }
}

import type { RawFields } from './http/fields.ts'

/** Who failed. `downstream` is the client and its connection, `upstream` the origin and its connection. */
export type ErrorSide = 'downstream' | 'gateway' | 'upstream'

export interface GatewayErrorOptions {
  readonly cause?: unknown
  /** Further fields of the answer, such as Retry-After or Allow. */
  readonly headers?: RawFields
}

/**
 * A failure with a stable `code`, the client's `status`, the side that failed and whether another
 * attempt is safe as far as the transport knows (method and body decide on it too).
 * The message is for logs. Clients get the status, its title and a request id, never the message.
 * A block, a limit and a miss are decisions, not errors.
 */
export class GatewayError extends Error {
  readonly code: string
  readonly status: number
  readonly side: ErrorSide
  readonly retryable: boolean
  readonly headers: RawFields

  constructor(
    code: string,
    status: number,
    side: ErrorSide,
    retryable: boolean,
    message: string,
    options: GatewayErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.status = status
    this.side = side
    this.retryable = retryable
    this.headers = options.headers ?? []
  }
}

/** A request that breaks the protocol. The connection is closed after the answer. */
export class BadRequestError extends GatewayError {
  constructor(message: string, options: GatewayErrorOptions & { code?: string; status?: number } = {}) {
    super(options.code ?? 'bad_request', options.status ?? 400, 'downstream', false, message, options)
  }
}

/** The request body is larger than the route allows (413). */
export class BodyTooLargeError extends GatewayError {
  constructor(maxBytes: number) {
    super('body_too_large', 413, 'downstream', false, `request body exceeds ${maxBytes} bytes`)
  }
}

/** The client was too slow in sending (408). */
export class RequestTimeoutError extends GatewayError {
  constructor(phase: 'header' | 'body') {
    super('request_timeout', 408, 'downstream', false, `client too slow in sending the request ${phase}`)
  }
}

/** The client went away before the exchange was over. Nobody is left to answer (logged as 499). */
export class ClientClosedError extends GatewayError {
  constructor(message = 'client closed the connection', options: GatewayErrorOptions = {}) {
    super('client_closed', 499, 'downstream', false, message, options)
  }
}

/** The overall deadline of the exchange passed (504). */
export class DeadlineError extends GatewayError {
  constructor(timeoutMs: number) {
    super('deadline', 504, 'gateway', false, `exchange took longer than ${timeoutMs} ms`)
  }
}

/** No connection to the endpoint within the connect timeout (504). */
export class ConnectTimeoutError extends GatewayError {
  constructor(endpoint: string, timeoutMs: number) {
    super('connect_timeout', 504, 'upstream', true, `no connection to ${endpoint} within ${timeoutMs} ms`)
  }
}

/** The endpoint refused the connection, or TLS with it failed (502). */
export class ConnectError extends GatewayError {
  constructor(endpoint: string, cause: unknown) {
    super('connect_failed', 502, 'upstream', true, `cannot connect to ${endpoint}: ${reason(cause)}`, {
      cause,
    })
  }
}

/** The endpoint closed or reset the connection before the response head was complete (502). */
export class UpstreamResetError extends GatewayError {
  constructor(endpoint: string, cause?: unknown) {
    super('upstream_reset', 502, 'upstream', true, `${endpoint} closed the connection before it answered`, {
      cause,
    })
  }
}

/** No response head within the response-head timeout (504). */
export class ResponseTimeoutError extends GatewayError {
  constructor(endpoint: string, timeoutMs: number) {
    super('response_timeout', 504, 'upstream', true, `no answer from ${endpoint} within ${timeoutMs} ms`)
  }
}

/** The response broke the protocol (502). Never retried on its own account, never stored. */
export class UpstreamProtocolError extends GatewayError {
  constructor(endpoint: string, message: string) {
    super('upstream_protocol', 502, 'upstream', false, `bad response from ${endpoint}: ${message}`)
  }
}

/** The response stopped half-way: reset, early close or idle for too long. The client must see it cut. */
export class UpstreamAbortedError extends GatewayError {
  constructor(endpoint: string, message: string, cause?: unknown) {
    super('upstream_aborted', 502, 'upstream', false, `${endpoint}: response cut short: ${message}`, {
      cause,
    })
  }
}

/** Every connection to the upstream is in use and the wait for one is over or full (503). */
export class PoolExhaustedError extends GatewayError {
  constructor(upstream: string) {
    super('pool_exhausted', 503, 'gateway', true, `no free connection to upstream ${upstream}`, {
      headers: ['Retry-After', '1'],
    })
  }
}

/** The text of anything thrown, on one line. */
export function reason(cause: unknown): string {
  if (cause instanceof AggregateError && cause.errors.length > 0) return reason(cause.errors[0])
  const text =
    cause instanceof Error
      ? cause.message || ((cause as NodeJS.ErrnoException).code ?? cause.name)
      : String(cause)
  return text.replace(/[\r\n]+/g, ' ')
}

/** Anything thrown, as a GatewayError; what we did not expect is an `internal` 500. */
export function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError('internal', 500, 'gateway', false, reason(error), { cause: error })
}

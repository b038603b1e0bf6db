import type { BodySink, BodySource } from '../body.ts'
import { type GatewayError, UpstreamProtocolError } from '../errors.ts'
import type { Exchange, ForwardPlan, GatewayResponse } from '../exchange.ts'
import type { RawFields } from '../http/fields.ts'
import type { UpstreamConnection } from './connection.ts'
import type { Applicant, Pool } from './pool.ts'
import { requestHead } from './request-head.ts'
import { RequestSender, type SenderOwner } from './request-sender.ts'
import type { ResponseHead } from './response-head.ts'
import { acceptsKey, asksForWebSocket } from './websocket.ts'

/** What the upstream stage leaves for the log. */
export interface UpstreamSlot {
  readonly endpoint: string
  /** The connection had carried a request before. */
  readonly reused: boolean
  /** A stale connection was replaced by a fresh one. */
  readonly retried: boolean
}

/** What a call needs to know of the room. */
export interface CallContext {
  readonly responseHeadTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  readonly makeTraceparent: () => string
  /** Joins client and origin once the origin agreed to the upgrade. */
  openTunnel(
    exchange: Exchange,
    pool: Pool,
    head: ResponseHead,
    connection: UpstreamConnection,
    first: Buffer | undefined,
  ): void
}

/** Methods that may be sent again when nothing is known of the first time (RFC 9110 §9.2.2). */
function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'PUT':
    case 'DELETE':
    case 'TRACE':
      return true
    default:
      return false
  }
}

/**
 * One exchange with one endpoint, from the wait for a connection to the last byte of the answer; also the answer's body.
 * Settles its promise once: with the answer as soon as its head is there, or with the error.
 * Holds at most one read of the body until the reader starts. A second attempt is made only when a reused connection
 * died before any byte of an answer, the method is idempotent and no body byte was taken; then on a fresh connection.
 */
export class Call implements Applicant, SenderOwner, BodySource, UpstreamSlot {
  readonly headRequest: boolean
  readonly upgrade: boolean
  readonly responseHeadTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  requestSent = false
  needsFresh = false
  queuedMs = 0
  reused = false
  retried = false
  /** Of the response body; set with its head. */
  length: number | undefined = undefined
  /**
   * Undefined once the call is over. V8 may put calls where only its full collection looks; a dead one would keep all of its
   * exchange through every small collection until then (measured: 7 microseconds a request).
   */
  #exchange: Exchange | undefined
  readonly #plan: ForwardPlan
  readonly #pool: Pool
  readonly #context: CallContext
  readonly #sender: RequestSender | undefined
  readonly #onAbort: (reason: GatewayError) => void
  #resolve: (response: GatewayResponse) => void = ignore
  #reject: (error: GatewayError) => void = ignore
  #headText: string | undefined = undefined
  #connection: UpstreamConnection | undefined = undefined
  #answered = false
  #over = false
  // The body on its way to its reader.
  #sink: BodySink | undefined = undefined
  #held: Buffer | undefined = undefined
  #ended = false
  #trailers: RawFields | undefined = undefined
  #failure: GatewayError | undefined = undefined

  constructor(exchange: Exchange, plan: ForwardPlan, pool: Pool, context: CallContext) {
    this.#exchange = exchange
    this.#plan = plan
    this.#pool = pool
    this.#context = context
    this.headRequest = exchange.request.method === 'HEAD'
    this.upgrade = exchange.upgrade !== undefined && asksForWebSocket(exchange.request.headers)
    this.responseHeadTimeoutMs = plan.responseHeadTimeoutMs ?? context.responseHeadTimeoutMs
    this.bodyIdleTimeoutMs = plan.bodyIdleTimeoutMs ?? context.bodyIdleTimeoutMs
    this.#sender = exchange.body === undefined ? undefined : new RequestSender(exchange.body, this)
    this.#onAbort = (reason) => this.#abandon(reason)
  }

  get endpoint(): string {
    return this.#pool.endpoint.name
  }

  /** To be called once. */
  begin(): Promise<GatewayResponse> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      this.#exchange?.onAbort(this.#onAbort)
      if (!this.#over) this.#pool.submit(this)
    })
  }

  // From the connection.

  onConnection(connection: UpstreamConnection): void {
    if (this.#over) {
      // Given up while the connection was being made; the next request can have it.
      connection.release()
      return
    }
    this.#connection = connection
    this.reused = connection.served > 1
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#headText ??= requestHead(exchange, this.#plan, {
      endpointAuthority: this.#pool.endpoint.authority,
      makeTraceparent: this.#context.makeTraceparent,
      upgrade: this.upgrade,
    })
    const sender = this.#sender
    if (sender === undefined) {
      this.requestSent = true
      connection.write(this.#headText)
      return
    }
    exchange.sendContinue()
    sender.send(connection, this.#headText)
  }

  onInformation(head: ResponseHead): void {
    // The gateway has asked the client for the body itself; a 100 from the origin has nothing left to say.
    if (head.status !== 100) this.#exchange?.inform(head.status, head.headers)
  }

  onResponse(
    head: ResponseHead | undefined,
    piece: Buffer | undefined,
    ended: boolean,
    trailers: RawFields | undefined,
  ): void {
    if (ended) {
      this.#finish()
      this.#connection = undefined
    }
    if (head !== undefined) {
      this.#answer(head, piece, ended, trailers)
      if (ended) this.#release()
      return
    }
    const sink = this.#sink
    if (sink === undefined) {
      this.#held =
        this.#held === undefined
          ? piece
          : Buffer.concat(piece === undefined ? [this.#held] : [this.#held, piece])
      this.#ended = ended
      this.#trailers = trailers
      if (ended) this.#release()
      return
    }
    if (piece !== undefined && !sink.data(piece)) this.#connection?.pause()
    if (ended && this.#sink !== undefined) {
      this.#sink = undefined
      sink.end(trailers)
    }
    if (ended) this.#release()
  }

  onTunnel(head: ResponseHead, connection: UpstreamConnection, first: Buffer | undefined): void {
    const exchange = this.#exchange
    if (exchange === undefined) {
      connection.destroy()
      return
    }
    if (head.upgrade !== 'websocket' || !acceptsKey(exchange.request.headers, head.headers)) {
      connection.destroy()
      this.onFailure(
        new UpstreamProtocolError(this.endpoint, '101 that does not match the upgrade asked for'),
        false,
      )
      return
    }
    this.#finish()
    this.#connection = undefined
    this.#answered = true
    this.#pool.detach(connection)
    this.#context.openTunnel(exchange, this.#pool, head, connection, first)
    exchange.note('upstream', 'tunnel', this.endpoint)
    this.#resolve({ status: 101, headers: head.headers, body: undefined, length: undefined, detached: true })
    this.#release()
  }

  onDrain(): void {
    this.#sender?.onDrain()
  }

  onFailure(error: GatewayError, stale: boolean): void {
    this.#connection = undefined
    if (this.#over) return
    if (stale && this.#mayRetry()) {
      this.needsFresh = true
      this.retried = true
      this.requestSent = false
      this.#pool.submit(this)
      return
    }
    this.#pool.countFailure()
    this.#fail(error)
  }

  // From the sender.

  onRequestSent(): void {
    this.requestSent = true
  }

  onRequestFailed(error: GatewayError): void {
    this.#abandon(error)
  }

  // From the reader of the response body.

  start(sink: BodySink): void {
    if (this.#failure !== undefined) {
      sink.fail(this.#failure)
      return
    }
    const held = this.#held
    this.#held = undefined
    this.#sink = sink
    const flows = held === undefined || sink.data(held)
    if (this.#sink === undefined) return
    if (this.#ended) {
      this.#sink = undefined
      sink.end(this.#trailers)
    } else if (flows) this.#connection?.resume()
  }

  resume(): void {
    this.#connection?.resume()
  }

  cancel(): void {
    this.#sink = undefined
    this.#held = undefined
    if (this.#over) return
    this.#finish()
    this.#drop()
    this.#release()
  }

  #answer(
    head: ResponseHead,
    piece: Buffer | undefined,
    ended: boolean,
    trailers: RawFields | undefined,
  ): void {
    this.#answered = true
    const status = head.status
    const bodiless = this.headRequest || status === 204 || status === 304
    head.headers.push('Via', head.httpMinor === 1 ? '1.1 sluice' : '1.0 sluice')
    this.#exchange?.note('upstream', this.reused ? 'reused' : 'fresh', this.endpoint)
    let body: GatewayResponse['body']
    if (bodiless) this.length = status === 204 ? undefined : head.contentLength
    else if (ended && trailers === undefined) {
      body = piece
      this.length = piece === undefined ? 0 : piece.byteLength
    } else {
      body = this.#asBody()
      this.length = head.contentLength
      this.#held = piece
      this.#ended = ended
      this.#trailers = trailers
      this.#connection?.pause()
      // An origin that refuses before it has read the body wants no more of it. One that answers otherwise may be
      // answering as it reads, and gets the rest.
      if (!ended && status >= 300) this.#sender?.stop()
    }
    this.#resolve({ status, headers: head.headers, body, length: this.length })
  }

  #asBody(): BodySource {
    return this
  }

  #mayRetry(): boolean {
    return (
      !this.retried &&
      this.#exchange !== undefined &&
      isIdempotent(this.#exchange.request.method) &&
      (this.#sender === undefined || this.#sender.replayable)
    )
  }

  /** Ends the call from our side: the client left, its body failed, the deadline passed. */
  #abandon(error: GatewayError): void {
    if (this.#over) return
    this.#pool.withdraw(this)
    this.#drop()
    this.#fail(error)
  }

  #drop(): void {
    const connection = this.#connection
    this.#connection = undefined
    connection?.destroy()
  }

  #fail(error: GatewayError): void {
    this.#finish()
    if (!this.#answered) {
      this.#answered = true
      this.#exchange?.note('upstream', error.code, this.endpoint)
      this.#reject(error)
      this.#release()
      return
    }
    this.#release()
    this.#failure = error
    this.#held = undefined
    const sink = this.#sink
    this.#sink = undefined
    sink?.fail(error)
  }

  /** Nothing more goes to the origin and no abort is listened for. Idempotent. */
  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#exchange?.offAbort(this.#onAbort)
    this.#sender?.stop()
  }

  /** Lets go of everything that is not needed by the log or by a reader that is still to come. */
  #release(): void {
    this.#exchange = undefined
    this.#headText = undefined
    this.#resolve = ignore
    this.#reject = ignore
  }
}

function ignore(): void {}

import type { IncomingMessage } from 'node:http'
import type { BodySink, RequestBody } from '../../body.ts'
import type { Clock } from '../../clock.ts'
import { BodyTooLargeError, ClientClosedError, type GatewayError } from '../../errors.ts'
import { cleanTrailers } from '../../http/trailers.ts'

/**
 * A request body over Node's IncomingMessage. Memory: what the stream holds itself, at most one read (64 KiB).
 * Nothing is read before `start`; the parser stops the socket when its buffer is full.
 * `cancel` keeps the rest for `discard`, which the engine calls once the answer is out.
 */
export class Http1RequestBody implements RequestBody {
  readonly length: number | undefined
  received = 0
  started = false
  /** All bytes were handed on. */
  complete = false
  /** Monotonic instant at which the client began to owe us bytes; 0 while it does not. */
  waitingSinceMs = 0
  /** Milliseconds for which the client owed us bytes before the present wait. */
  waitedMs = 0
  #limit: number
  #sink: BodySink | undefined
  #paused = false
  #failure: GatewayError | undefined
  readonly #message: IncomingMessage
  readonly #clock: Clock

  constructor(message: IncomingMessage, length: number | undefined, maxBytes: number, clock: Clock) {
    this.#message = message
    this.length = length
    this.#limit = maxBytes
    this.#clock = clock
  }

  setLimit(maxBytes: number): void {
    this.#limit = maxBytes
  }

  start(sink: BodySink): void {
    if (this.#sink !== undefined || this.complete) return
    if (this.#failure !== undefined) {
      sink.fail(this.#failure)
      return
    }
    this.#sink = sink
    // Declared too large: refused before a byte is read.
    if (this.length !== undefined && this.length > this.#limit) {
      this.fail(new BodyTooLargeError(this.#limit))
      return
    }
    this.waitingSinceMs = this.#clock.nowMs()
    const message = this.#message
    message.on('data', this.#onData)
    message.on('end', this.#onEnd)
    message.on('error', () =>
      this.fail(new ClientClosedError('client closed the connection during the request body')),
    )
  }

  resume(): void {
    if (!this.#paused || this.#sink === undefined) return
    this.#paused = false
    this.waitingSinceMs = this.#clock.nowMs()
    this.#message.resume()
  }

  cancel(): void {
    this.#detach()
    if (!this.#paused && !this.complete) {
      this.#paused = true
      this.#message.pause()
    }
  }

  /** Ends delivery with an error, now or when a reader comes; later bytes go nowhere. */
  fail(error: GatewayError): void {
    this.#failure ??= error
    const sink = this.#sink
    this.cancel()
    sink?.fail(error)
  }

  /** Reads on to the end without keeping anything; `count` is told of every piece. */
  discard(count: (bytes: number) => void): void {
    this.#detach()
    const message = this.#message
    message.on('data', (chunk: Buffer) => count(chunk.byteLength))
    message.on('end', () => {
      this.complete = true
    })
    message.on('error', () => {})
    message.resume()
  }

  /** Client time spent so far on this body, for the minimum rate. */
  clientMs(nowMs: number): number {
    return this.waitedMs + (this.waitingSinceMs === 0 ? 0 : nowMs - this.waitingSinceMs)
  }

  #detach(): void {
    this.#stopWaiting()
    this.#sink = undefined
    this.#message.off('data', this.#onData)
    this.#message.off('end', this.#onEnd)
  }

  #stopWaiting(): void {
    this.waitedMs = this.clientMs(this.#clock.nowMs())
    this.waitingSinceMs = 0
  }

  readonly #onData = (chunk: Buffer): void => {
    const sink = this.#sink
    if (sink === undefined) return
    this.received += chunk.byteLength
    if (this.received > this.#limit) {
      this.fail(new BodyTooLargeError(this.#limit))
      return
    }
    this.started = true
    if (!sink.data(chunk) && this.#sink !== undefined) {
      this.#paused = true
      this.#stopWaiting()
      this.#message.pause()
    }
  }

  readonly #onEnd = (): void => {
    const sink = this.#sink
    if (sink === undefined) return
    this.complete = true
    this.#detach()
    const raw = this.#message.rawTrailers
    sink.end(raw.length > 0 ? cleanTrailers(raw) : undefined)
  }
}

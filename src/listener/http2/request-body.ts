import type { ServerHttp2Stream } from 'node:http2'
import type { BodySink, RequestBody } from '../../body.ts'
import { BodyTooLargeError, ClientClosedError, type GatewayError, RequestTimeoutError } from '../../errors.ts'
import { cleanTrailers } from '../../http/trailers.ts'
import type { ConnectionTimeouts } from '../service.ts'
import type { InboundStream } from './gate.ts'

/**
 * A request body over one HTTP/2 stream. Complete means: END_STREAM came over the wire, with valid trailers and as many bytes
 * as were announced. Node ends a stream that was reset just as it ends a finished one, so its word is not taken for it.
 * Memory: one stream window (64 KiB) at most, which only reading opens again.
 */
export class Http2RequestBody implements RequestBody {
  readonly length: number | undefined
  received = 0
  started = false
  /** All bytes were handed on. */
  complete = false
  #limit: number
  #sink: BodySink | undefined
  #begun = false
  #paused = false
  #error: GatewayError | undefined
  /** Milliseconds for which the client owed us bytes; -1 before the first sweep that sees it owing. */
  #owedMs = -1
  readonly #stream: ServerHttp2Stream
  readonly #inbound: InboundStream

  constructor(stream: ServerHttp2Stream, inbound: InboundStream, maxBytes: number) {
    this.#stream = stream
    this.#inbound = inbound
    this.length = inbound.contentLength
    this.#limit = maxBytes
  }

  setLimit(maxBytes: number): void {
    this.#limit = maxBytes
  }

  start(sink: BodySink): void {
    if (this.#begun) return
    this.#begun = true
    this.#sink = sink
    if (this.#error !== undefined) {
      this.fail(this.#error)
      return
    }
    // Declared too large: refused before a byte is read.
    if (this.length !== undefined && this.length > this.#limit) {
      this.fail(new BodyTooLargeError(this.#limit))
      return
    }
    this.#stream.on('data', this.#onData)
    this.#stream.on('end', this.#onEnd)
  }

  resume(): void {
    if (!this.#paused || this.#sink === undefined) return
    this.#paused = false
    this.#stream.resume()
  }

  cancel(): void {
    if (this.#sink === undefined) return
    this.#detach()
    // What is left stays unread, so that flow control stops the client until the answer is out.
    if (!this.complete) this.#stream.pause()
  }

  /** Ends delivery with an error, now or as soon as a sink is there. */
  fail(error: GatewayError): void {
    if (this.complete) return
    this.#error ??= error
    const sink = this.#sink
    this.cancel()
    sink?.fail(error)
  }

  /** Lets the stream end: what is left of the body is dropped. */
  discard(): void {
    this.#detach()
    if (this.#begun) this.#stream.resume()
  }

  /** Called by the engine's sweep: fails the body when the client is too slow with it. */
  checkRate(elapsedMs: number, timeouts: ConnectionTimeouts): void {
    if (this.#sink === undefined || this.#paused || this.#inbound.ended) return
    if (this.#owedMs < 0) {
      this.#owedMs = 0
      return
    }
    this.#owedMs += elapsedMs
    const granted = timeouts.minBodyRate > 0 ? (this.received / timeouts.minBodyRate) * 1000 : 0
    if (this.#owedMs > timeouts.bodyMs + granted) this.fail(new RequestTimeoutError('body'))
  }

  #detach(): void {
    this.#sink = undefined
    this.#stream.off('data', this.#onData)
    this.#stream.off('end', this.#onEnd)
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
      this.#stream.pause()
    }
  }

  readonly #onEnd = (): void => {
    const sink = this.#sink
    if (sink === undefined) return
    const { ended, reset, fault, received, trailers } = this.#inbound
    if (!ended || reset || fault !== undefined || received !== this.received) {
      this.fail(new ClientClosedError('request body cut short'))
      return
    }
    this.complete = true
    this.#detach()
    sink.end(trailers === undefined ? undefined : cleanTrailers(flatten(trailers)))
  }
}

function flatten(fields: readonly { readonly name: string; readonly value: string }[]): string[] {
  const raw: string[] = []
  for (const { name, value } of fields) raw.push(name, value)
  return raw
}

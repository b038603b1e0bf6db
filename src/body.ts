import type { GatewayError } from './errors.ts'
import type { RawFields } from './http/fields.ts'

/**
 * Takes the bytes of one body. Calls come in order: any number of `data`, then exactly one of `end` and `fail`.
 */
export interface BodySink {
  /**
   * Takes ownership of `chunk`. Returns false when the source must stop until `resume` is called on it;
   * a source may still deliver what it already holds, at most one read's worth (64 KiB).
   */
  data(chunk: Uint8Array): boolean
  /** The body is complete. `trailers` are already free of forbidden fields. */
  end(trailers?: RawFields): void
  /** The body will never be complete. It must not be presented as a complete one. */
  fail(error: GatewayError): void
}

/**
 * A body that arrives piece by piece, with backpressure. It has one reader.
 * Until `start` nothing is read beyond what the transport has already handed over.
 */
export interface BodySource {
  /** Total bytes where the framing says so, else undefined. */
  readonly length: number | undefined
  /** Begins delivery to `sink`; may call it at once. Called at most once. */
  start(sink: BodySink): void
  /** Asks for more after `data` returned false. Idempotent; harmless when not paused. */
  resume(): void
  /**
   * The reader wants no more: no further calls reach the sink. Idempotent.
   * A request source lets the engine discard or refuse what is left; a response source gives up its connection.
   */
  cancel(): void
}

/** A request body. `limit` is checked as bytes arrive: one byte more and the sink fails with BodyTooLargeError. */
export interface RequestBody extends BodySource {
  /** Bytes delivered so far. */
  readonly received: number
  /** True once a byte has been handed to a sink, after which the request cannot be sent again. */
  readonly started: boolean
  setLimit(maxBytes: number): void
}

/** A body that is already in memory; also a source, so that readers need one path only. */
export function bytesSource(bytes: Uint8Array): BodySource {
  let cancelled = false
  return {
    length: bytes.byteLength,
    start(sink) {
      if (cancelled) return
      if (bytes.byteLength > 0) sink.data(bytes)
      if (!cancelled) sink.end()
    },
    resume() {},
    cancel() {
      cancelled = true
    },
  }
}

import { maxOutstanding } from './log-sink.ts'
import type { LogSink } from './log-sink.ts'

/** What a worker posts to the main thread. */
export interface LogBatch {
  /** Transferred, not copied: a batch of text costs the sender ten times as much. */
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly lines: number
  /** Lines that the worker had to drop since its last batch. */
  readonly dropped: number
}

/**
 * The worker's half: batches go to the main thread, which acknowledges their size once they are written or dropped.
 * Holds nothing itself, and lets at most 1 MiB be on its way: a main thread that lags costs lines, not memory.
 */
export class RelaySink implements LogSink {
  dropped = 0
  #outstanding = 0
  #told = 0
  #onIdle: (() => void) | undefined = undefined
  readonly #post: (batch: LogBatch) => void

  /** `post` must not throw; it may transfer the bytes away. */
  constructor(post: (batch: LogBatch) => void) {
    this.#post = post
  }

  write(bytes: Uint8Array<ArrayBuffer>, lines: number, done?: () => void): void {
    const size = bytes.byteLength
    if (this.#outstanding + size > maxOutstanding) {
      this.dropped += lines
    } else {
      this.#outstanding += size
      this.#post({ bytes, lines, dropped: this.dropped - this.#told })
      this.#told = this.dropped
    }
    done?.()
  }

  drop(lines: number): void {
    this.dropped += lines
  }

  /** To be called with the size of each batch, in bytes, that the main thread is done with. */
  acknowledge(size: number): void {
    this.#outstanding = Math.max(0, this.#outstanding - size)
    if (this.#outstanding === 0) this.#onIdle?.()
  }

  /** Settles when all is acknowledged. The main thread bounds the wait: it ends the worker. */
  close(): Promise<void> {
    if (this.#outstanding === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onIdle = resolve
    })
  }
}

/** The main thread's half: writes a worker's batch and acknowledges it. */
export function relayBatch(batch: LogBatch, sink: LogSink, acknowledge: (size: number) => void): void {
  if (batch.dropped > 0) sink.drop(batch.dropped)
  const size = batch.bytes.byteLength
  sink.write(batch.bytes, batch.lines, () => acknowledge(size))
}

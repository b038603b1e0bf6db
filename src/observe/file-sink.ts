import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import type { Logger } from '../log.ts'
import { maxOutstanding } from './log-sink.ts'
import type { LogSink } from './log-sink.ts'
import { openFile, standardOutput } from './log-target.ts'
import type { LogTarget } from './log-target.ts'

/**
 * Writes log batches to standard output or a file, on the main thread.
 *
 * One write is in flight; up to 1 MiB waits behind it and more is dropped and counted. A full pipe (EAGAIN) is asked
 * again shortly; a full disk drops the batch; a reader that went away (EPIPE) or a dead descriptor drops everything
 * until `reopen`. Drops are reported to the runtime log, at most every ten seconds. Nothing here throws or blocks.
 */
export interface FileSink extends LogSink {
  /** Opens the path again, for log rotation; standard output stays. False, with a log entry, when that failed. */
  reopen(): boolean
}

export interface FileSinkParts {
  /** `-` for standard output. */
  readonly path: string
  readonly clock: Clock
  readonly logger: Logger
}

interface Batch {
  readonly bytes: Uint8Array
  readonly size: number
  readonly lines: number
  readonly done: (() => void) | undefined
}

const retryMs = 5
const reportMs = 10_000
const closeMs = 1_000

/** @throws the system's error when a file cannot be opened */
export function fileSink(parts: FileSinkParts): FileSink {
  return new Writer(parts, parts.path === '-' ? standardOutput() : openFile(parts.path))
}

class Writer implements FileSink {
  dropped = 0
  readonly #parts: FileSinkParts
  #target: LogTarget
  /** The one to take over once the write in flight is over. */
  #nextTarget: LogTarget | undefined = undefined
  #broken = false
  #busy = false
  #outstanding = 0
  #written = 0
  #reported = 0
  #reportTimer: Timer | undefined = undefined
  #onIdle: (() => void) | undefined = undefined
  #closed = false
  readonly #queue: Batch[] = []

  constructor(parts: FileSinkParts, target: LogTarget) {
    this.#parts = parts
    this.#target = target
  }

  write(bytes: Uint8Array<ArrayBuffer>, lines: number, done?: () => void): void {
    const size = bytes.byteLength
    if (this.#broken || this.#closed || this.#outstanding + size > maxOutstanding) {
      this.drop(lines)
      done?.()
      return
    }
    this.#outstanding += size
    this.#queue.push({ bytes, size, lines, done })
    this.#pump()
  }

  drop(lines: number): void {
    this.dropped += lines
    this.#reportTimer ??= this.#parts.clock.after(reportMs, () => this.#report())
  }

  reopen(): boolean {
    if (this.#closed) return false
    const { path, logger } = this.#parts
    if (path === '-') return true
    try {
      const target = openFile(path)
      this.#nextTarget?.close()
      this.#nextTarget = target
    } catch (error) {
      logger.error('cannot reopen the access log', { reason: reason(error) })
      return false
    }
    if (!this.#busy) this.#takeOver()
    return true
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      // The clock's timers do not keep the process alive, and waiting for a full pipe needs nothing else.
      const alive = setInterval(() => {}, closeMs)
      const finish = () => {
        clearInterval(alive)
        timer.cancel()
        this.#onIdle = undefined
        this.#closed = true
        this.#report()
        resolve()
      }
      const timer = this.#parts.clock.after(closeMs, () => {
        this.#dropQueue()
        finish()
      })
      if (!this.#busy && this.#queue.length === 0) finish()
      else this.#onIdle = finish
    })
  }

  #pump(): void {
    if (this.#busy) return
    const batch = this.#queue[0]
    if (batch === undefined) {
      this.#onIdle?.()
      return
    }
    this.#busy = true
    this.#target.write(batch.bytes, this.#written, (error, count) => this.#wrote(batch, error, count))
  }

  #wrote(batch: Batch, error: NodeJS.ErrnoException | null, count: number): void {
    if (error === null) {
      this.#written += count
      if (this.#written >= batch.bytes.byteLength) this.#settle(batch)
    } else if (error.code === 'EAGAIN' || error.code === 'EWOULDBLOCK') {
      // Stays busy meanwhile.
      this.#parts.clock.after(retryMs, () => {
        this.#busy = false
        this.#pump()
      })
      return
    } else {
      this.drop(batch.lines)
      this.#settle(batch)
      if (error.code !== 'ENOSPC' && error.code !== 'EDQUOT') this.#break(error)
    }
    this.#busy = false
    this.#takeOver()
    this.#pump()
  }

  /** The batch at the front is over, written or not. After a close that gave up it may be gone already. */
  #settle(batch: Batch): void {
    this.#written = 0
    if (this.#queue[0] !== batch) return
    this.#queue.shift()
    this.#outstanding -= batch.size
    batch.done?.()
  }

  #break(error: NodeJS.ErrnoException): void {
    if (this.#broken) return
    this.#broken = true
    this.#parts.logger.error('access log cannot be written; lines are dropped', { reason: reason(error) })
    this.#dropQueue()
  }

  #dropQueue(): void {
    for (const batch of this.#queue.splice(0)) {
      this.#outstanding -= batch.size
      this.drop(batch.lines)
      batch.done?.()
    }
  }

  /** Never cuts a line in two: only between batches, or after a failure. */
  #takeOver(): void {
    if (this.#nextTarget === undefined || this.#written > 0) return
    this.#target.close()
    this.#target = this.#nextTarget
    this.#nextTarget = undefined
    this.#broken = false
  }

  #report(): void {
    this.#reportTimer?.cancel()
    this.#reportTimer = undefined
    const lines = this.dropped - this.#reported
    if (lines === 0) return
    this.#reported = this.dropped
    this.#parts.logger.warn('access log lines dropped', { lines, total: this.dropped })
  }
}

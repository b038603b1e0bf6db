import { isAscii } from 'node:buffer'
import type { Clock, Timer } from '../clock.ts'
import type { Exchange } from '../exchange.ts'
import type { Outcome } from '../listener/service.ts'
import { combinedLine, jsonLine } from './access-line.ts'
import type { LogSink } from './log-sink.ts'

/**
 * The access log of one worker: a line for each exchange, gathered and handed to the sink every 256 KiB or 100 ms,
 * whichever comes first. Holds at most that batch and one line; what the sink cannot take is its to drop and count.
 */
export interface AccessLog {
  record(exchange: Exchange, outcome: Outcome): void
  /** Hands on what has been gathered. */
  flush(): void
}

export interface AccessLogParts {
  readonly format: 'json' | 'combined' | 'off'
  readonly sink: LogSink
  readonly clock: Clock
}

const batchBytes = 262_144
/** A line is never longer (access-line.ts); a batch has room for one more when it is full. */
const maxLineBytes = 65_536
const batchMs = 100

export const noAccessLog: AccessLog = { record() {}, flush() {} }

export function accessLog({ format, sink, clock }: AccessLogParts): AccessLog {
  if (format === 'off') return noAccessLog
  const line = format === 'json' ? jsonLine() : combinedLine()
  let batch: Buffer<ArrayBuffer> | undefined
  let used = 0
  let lines = 0
  let timer: Timer | undefined
  const flush = () => {
    timer?.cancel()
    timer = undefined
    if (batch === undefined) return
    const bytes = new Uint8Array(batch.buffer, 0, used)
    const count = lines
    batch = undefined
    used = 0
    lines = 0
    sink.write(withoutControls(bytes), count)
  }
  return {
    record(exchange, outcome) {
      const text = line(exchange, outcome, clock.wallMs(), clock.nowMs() - exchange.startedMs)
      // Into bytes at once: the pieces that a line is put together from must not live to see a garbage collection.
      batch ??= Buffer.allocUnsafeSlow(batchBytes + maxLineBytes)
      used += batch.write(text, used)
      lines++
      if (used >= batchBytes) flush()
      else timer ??= clock.after(batchMs, flush)
    },
    flush,
  }
}

/**
 * JSON leaves C1 controls and the Unicode line separators as they are; terminals and some readers do not. They can only
 * stand inside strings here, and are rare: one fast look at the batch finds out, instead of one at each value.
 */
function withoutControls(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (isAscii(bytes)) return bytes
  const text = Buffer.from(bytes.buffer, 0, bytes.byteLength).toString()
  return new TextEncoder().encode(
    text.replace(
      /[\u0080-\u009f\u2028\u2029]/g,
      (c) => String.raw`\u` + c.charCodeAt(0).toString(16).padStart(4, '0'),
    ),
  )
}

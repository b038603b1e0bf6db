import { isAscii } from 'node:buffer'
import type { Clock, Timer } from '../clock.ts'
import type { Exchange } from '../exchange.ts'
import type { Outcome } from '../listener/service.ts'
import { combinedLine, jsonLine } from './access-line.ts'
import type { LogSink } from './log-sink.ts'

/**
 * The access log of one worker: a line for each exchange, gathered and handed to the sink every 64 KiB or 100 ms,
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

const batchSize = 65_536
const batchMs = 100

export const noAccessLog: AccessLog = { record() {}, flush() {} }

export function accessLog({ format, sink, clock }: AccessLogParts): AccessLog {
  if (format === 'off') return noAccessLog
  const line = format === 'json' ? jsonLine() : combinedLine()
  let batch = ''
  let lines = 0
  let timer: Timer | undefined
  const flush = () => {
    timer?.cancel()
    timer = undefined
    if (lines === 0) return
    const text = batch
    const count = lines
    batch = ''
    lines = 0
    sink.write(encode(text), count)
  }
  return {
    record(exchange, outcome) {
      batch += line(exchange, outcome, clock.wallMs(), clock.nowMs() - exchange.startedMs)
      lines++
      if (batch.length >= batchSize) flush()
      else timer ??= clock.after(batchMs, flush)
    },
    flush,
  }
}

const encoder = new TextEncoder()

/**
 * JSON leaves C1 controls and the Unicode line separators as they are; terminals and some readers do not. They can only
 * stand inside strings here, and are rare: one fast look at the batch finds out, instead of one at each value.
 */
function encode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text)
  if (isAscii(bytes)) return bytes
  return encoder.encode(
    text.replace(
      /[\u0080-\u009f\u2028\u2029]/g,
      (c) => String.raw`\u` + c.charCodeAt(0).toString(16).padStart(4, '0'),
    ),
  )
}

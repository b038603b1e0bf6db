import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/**
 * Standard error for the runtime log: takes whole lines and never blocks, so that whoever stops reading it does not stop
 * the gateway. What cannot be written at once is dropped, and the next line that gets through says how many were.
 * In memory: the rest of one line, at most 64 KiB.
 */
export function stderrWriter(): (line: string) => void {
  const target = openTarget()
  if (target === undefined) return streamWriter()
  let rest: Buffer = Buffer.alloc(0)
  let dropped = 0
  return (line) => {
    const notice =
      dropped === 0
        ? ''
        : `${JSON.stringify({ level: 'warn', message: 'runtime log lines dropped', lines: dropped })}\n`
    const text = Buffer.from(notice + line)
    const bytes = rest.length === 0 ? text : Buffer.concat([rest, text])
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(target, bytes, written)
    } catch {
      // Full (EAGAIN), gone (EPIPE) or no descriptor at all: there is nowhere to complain.
    }
    if (written === bytes.length) {
      rest = Buffer.alloc(0)
      dropped = 0
    } else if (written > rest.length && bytes.length - written <= maxRest) {
      // A line that was begun must be ended, or it would spoil the next one.
      rest = bytes.subarray(written)
      dropped = 0
    } else {
      rest = bytes.subarray(written, Math.max(written, rest.length))
      dropped += 1
    }
  }
}

const maxRest = 65_536

/** A descriptor of our own that does not block; the flags of the shared one stay. Undefined for sockets, which cannot be opened anew. */
function openTarget(): number | undefined {
  try {
    const stat = fstatSync(2)
    if (stat.isSocket()) return undefined
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    }
  } catch {
    // No /proc, or a closed descriptor.
  }
  return 2
}

/** Node's stream writes to a socket without blocking, and keeps what the reader does not take: bounded here. */
function streamWriter(): (line: string) => void {
  process.stderr.on('error', () => {})
  return (line) => {
    if (process.stderr.writableLength < maxRest) process.stderr.write(line)
  }
}

import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/**
 * Standard error for the runtime log: takes whole lines and never blocks, so that whoever stops reading it does not stop
 * the gateway. What cannot be written at once is dropped, and the next line that gets through says how many were.
 * In memory: lines that were begun, at most 64 KiB and one line.
 */
export function stderrWriter(): (line: string) => void {
  const fd = openTarget()
  const write = fd === undefined ? toStream() : toDescriptor(fd)
  let dropped = 0
  return (line) => {
    if (write(dropped === 0 ? line : dropNotice(dropped) + line)) dropped = 0
    else dropped += 1
  }
}

/** Takes text, or refuses all of it. */
type Write = (text: string) => boolean

const maxHeld = 65_536

function dropNotice(lines: number): string {
  return `${JSON.stringify({ level: 'warn', message: 'runtime log lines dropped', lines })}\n`
}

/**
 * A descriptor of our own that does not block; the flags of the shared one stay as they are. Undefined for sockets, which
 * cannot be opened anew.
 */
function openTarget(): number | undefined {
  try {
    const stat = fstatSync(2)
    if (stat.isSocket()) return undefined
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      return openSync('/proc/self/fd/2', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    }
  } catch {
    // No /proc, or a closed descriptor: writing will tell.
  }
  return 2
}

function toDescriptor(fd: number): Write {
  let rest: Buffer = Buffer.alloc(0)
  /** Returns what could not be written: the pipe is full (EAGAIN), the reader gone (EPIPE), or there is no descriptor. */
  const push = (bytes: Buffer): Buffer => {
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(fd, bytes, written)
    } catch {
      // There is nowhere to complain.
    }
    return bytes.subarray(written)
  }
  return (text) => {
    // A line that was begun must be ended first, or it would spoil the next one.
    rest = push(rest)
    if (rest.length > 0) return false
    const bytes = Buffer.from(text)
    const left = push(bytes)
    if (left.length === bytes.length || left.length > maxHeld) return false
    rest = Buffer.from(left)
    return true
  }
}

/** Node's stream writes to a socket (journald's) without blocking, and keeps what the reader does not take. */
function toStream(): Write {
  process.stderr.on('error', () => {})
  return (text) => {
    if (process.stderr.writableLength >= maxHeld) return false
    process.stderr.write(text)
    return true
  }
}

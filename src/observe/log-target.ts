import { close, constants, fstatSync, openSync, write } from 'node:fs'

/** Something that takes bytes without ever blocking the thread; one write at a time. */
export interface LogTarget {
  /** Writes `bytes` from `offset` on; `done` tells how many were taken, or why none. */
  write(
    bytes: Uint8Array,
    offset: number,
    done: (error: NodeJS.ErrnoException | null, count: number) => void,
  ): void
  close(): void
}

/** A file that is appended to. @throws the system's error when it cannot be opened */
export function openFile(path: string): LogTarget {
  return descriptor(openSync(path, 'a', 0o640))
}

/**
 * Standard output. A write that blocks would hold a thread of the pool, and the exit of the process, until somebody
 * reads. So a pipe or terminal is opened anew, which gives a descriptor that does not block and leaves the flags of the
 * shared one alone. A socket (journald's) cannot be opened anew: Node's own stream writes to it without blocking.
 */
export function standardOutput(): LogTarget {
  try {
    const stat = fstatSync(1)
    if (stat.isSocket()) return outputStream()
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      return descriptor(
        openSync('/proc/self/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
      )
    }
  } catch {
    // No /proc, or a closed descriptor: the first write tells.
  }
  return descriptor(1)
}

function descriptor(fd: number): LogTarget {
  return {
    write: (bytes, offset, done) => write(fd, bytes, offset, bytes.byteLength - offset, null, done),
    close: () => {
      if (fd !== 1) close(fd, ignore)
    },
  }
}

function outputStream(): LogTarget {
  // The callback tells of the same error; without a listener it would end the process.
  process.stdout.on('error', ignore)
  return {
    write(bytes, offset, done) {
      process.stdout.write(bytes.subarray(offset), (error) => done(error ?? null, bytes.byteLength - offset))
    },
    close() {},
  }
}

function ignore(): void {}

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Clock, Timer } from '../../clock.ts'
import { goawayFrame } from './frames.ts'
import type { FrameGate } from './gate.ts'

/** One write to the socket at most, so that a stalled reader shows within `writeMs` and a slow one does not. */
const pieceBytes = 64 * 1024
/** How long a closed connection may take to say goodbye, and how much it may still send meanwhile. */
const lingerMs = 1000
const lingerBytes = 256 * 1024

type Done = (error?: Error | null) => void

/**
 * The stream that `node:http2` talks to: the client’s socket with the frame gate on the way in. Frames that Node cannot bear are
 * hidden; once the gate has found a fault nothing passes any more and `onFault` is called.
 * Memory: what the session hands over for writing (bounded by its streams), 64 KiB of it at a time in the socket.
 */
export class GatedSocket extends Duplex {
  /** Counts writes that the socket has taken; together with `writing` it tells a stalled reader. */
  writesDone = 0
  writing = false
  readonly #socket: Socket
  readonly #gate: FrameGate
  readonly #clock: Clock
  readonly #onFault: () => void
  #paused = false
  #faultReported = false
  #refused = false
  #linger: Timer | undefined
  #lingerBytes = 0
  #abrupt = false
  // The write in progress: its callback and, for a long one, what is left of it.
  #callback: Done | undefined
  #pieces: readonly Buffer[] = []
  #nextPiece = 0

  constructor(socket: Socket, gate: FrameGate, clock: Clock, onFault: () => void) {
    super({ allowHalfOpen: true, autoDestroy: true, emitClose: true, decodeStrings: false })
    this.#socket = socket
    this.#gate = gate
    this.#clock = clock
    this.#onFault = onFault
    socket.on('data', this.#onData)
    socket.on('end', () => this.push(null))
    socket.on('close', () => {
      this.#linger?.cancel()
      this.destroy()
    })
    // 'close' follows, and says all that matters.
    socket.on('error', ignore)
    this.on('error', ignore)
  }

  /** Ends the socket without waiting for anything. */
  abort(): void {
    this.#abrupt = true
    this.destroy()
    this.#socket.destroy()
  }

  /**
   * Says GOAWAY itself: the session would lose its own behind a write in progress. It goes between two of the session's writes,
   * which hold whole frames; where a long one is stuck half-way it is left out. Whatever the session writes later is dropped.
   */
  refuse(code: number, lastStreamId: number): void {
    if (this.#refused) return
    this.#refused = true
    if (this.#pieces.length === 0 && this.#socket.writable)
      this.#socket.write(goawayFrame(code, lastStreamId))
  }

  override _read(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Done): void {
    if (this.#refused) {
      callback()
      return
    }
    this.#callback = callback
    this.writing = true
    this.#socket.write(chunk, this.#written)
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], callback: Done): void {
    if (this.#refused) {
      callback()
      return
    }
    this.#callback = callback
    this.writing = true
    const pieces: Buffer[] = []
    for (const { chunk } of chunks) pieces.push(chunk)
    this.#pieces = pieces
    this.#nextPiece = 0
    this.#writePieces()
  }

  override _final(callback: Done): void {
    this.#linger ??= this.#clock.after(lingerMs, () => this.#socket.destroy())
    this.#socket.end(() => callback())
  }

  /** Closing with unread bytes makes the kernel reset the connection and drop our GOAWAY: those bytes are read, and dropped, for a moment. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const socket = this.#socket
    const done = this.#callback
    this.#callback = undefined
    if (this.#linger === undefined || this.#abrupt || socket.readableEnded || socket.destroyed)
      socket.destroy()
    else socket.resume()
    done?.(error)
    callback(null)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.destroyed || this.#faultReported) {
      this.#lingerBytes += chunk.length
      if (this.#lingerBytes > lingerBytes) this.#socket.destroy()
      return
    }
    const passed = this.#gate.read(chunk)
    if (
      passed > 0 &&
      !this.push(passed === chunk.length ? chunk : chunk.subarray(0, passed)) &&
      !this.#paused
    ) {
      this.#paused = true
      this.#socket.pause()
    }
    if (this.#gate.fault !== undefined) {
      this.#faultReported = true
      this.#onFault()
    }
  }

  /** Writes on, at most `pieceBytes` (and one piece more), in one go. */
  #writePieces(): void {
    const pieces = this.#pieces
    const socket = this.#socket
    let bytes = 0
    let to = this.#nextPiece
    while (to < pieces.length && bytes < pieceBytes) {
      bytes += (pieces[to] as Buffer).length
      to += 1
    }
    const group = to - this.#nextPiece === pieces.length ? pieces : pieces.slice(this.#nextPiece, to)
    this.#nextPiece = to
    if (to === pieces.length) this.#pieces = []
    // One copy of a few frames costs less than one request object a piece; long pieces go as they are.
    if (bytes <= 4096) {
      socket.write(Buffer.concat(group, bytes), this.#written)
      return
    }
    socket.cork()
    const last = group.length - 1
    for (let i = 0; i < last; i += 1) socket.write(group[i] as Buffer)
    socket.write(group[last] as Buffer, this.#written)
    socket.uncork()
  }

  readonly #written = (error?: Error | null): void => {
    this.writesDone += 1
    const callback = this.#callback
    if (callback === undefined) return
    if (!error && this.#pieces.length > 0) {
      this.#writePieces()
      return
    }
    this.#pieces = []
    this.#callback = undefined
    this.writing = false
    callback(error)
  }
}

function ignore(): void {}

import type { Socket } from 'node:net'
import {
  ConnectError,
  ConnectTimeoutError,
  type GatewayError,
  reason,
  ResponseTimeoutError,
} from '../errors.ts'
import { toGatewayError, UpstreamAbortedError, UpstreamProtocolError, UpstreamResetError } from '../errors.ts'
import type { RawFields } from '../http/fields.ts'
import type { Endpoint } from './endpoint.ts'
import type { ResponseHead } from './response-head.ts'
import { type Framing, type ResponseEvents, ResponseParser } from './response-parser.ts'

/** One request and its response, as a connection serves it. Calls come from socket callbacks and must not throw. */
export interface Assignment {
  readonly headRequest: boolean
  readonly upgrade: boolean
  /** The whole request was handed to the socket. */
  readonly requestSent: boolean
  readonly responseHeadTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  /** The connection is ready and the assignment's own: it may write. */
  onConnection(connection: UpstreamConnection): void
  onInformation(head: ResponseHead): void
  /**
   * What one read brought: the head if it was in it, then all body bytes in one piece, then whether that was the end.
   * `piece` belongs to the receiver.
   */
  onResponse(
    head: ResponseHead | undefined,
    piece: Buffer | undefined,
    ended: boolean,
    trailers: RawFields | undefined,
  ): void
  /** A 101 that was asked for; the connection is now a pair of byte streams. `first` came after the head. */
  onTunnel(head: ResponseHead, connection: UpstreamConnection, first: Buffer | undefined): void
  /** The socket takes bytes again after `write` returned false. */
  onDrain(): void
  /** The connection is lost to this assignment. `stale`: a reused connection died before a response byte. */
  onFailure(error: GatewayError, stale: boolean): void
}

/** After a failed write, how long an answer that the origin sent before it closed may still take to come in. */
const afterWriteErrorMs = 1000

/** Who owns the connection between two assignments. */
export interface ConnectionOwner {
  /** The response is complete; `reusable` unless either side or the protocol says otherwise. */
  onFree(connection: UpstreamConnection, reusable: boolean): void
  /** Destroyed, whoever did it. Called once. `connecting`: it never came up. */
  onGone(connection: UpstreamConnection): void
}

/** What a tunnel is told; see `takeOver`. */
export interface TunnelEvents {
  /** Returns false to pause reading. The chunk belongs to the receiver. */
  onBytes(chunk: Buffer): boolean
  onEnd(): void
  onGone(): void
}

/**
 * One socket to an endpoint: carries one request at a time, parses the response as it is read, holds nothing between
 * two reads but an unfinished head. Reads go into a shared buffer; what outlives the callback is copied once.
 */
export class UpstreamConnection implements ResponseEvents {
  readonly endpoint: Endpoint
  readonly createdMs: number
  /** Requests sent so far. */
  served = 0
  /** Older than the lifetime: not to be used again. */
  expired = false
  state: 'connecting' | 'idle' | 'busy' | 'tunnel' | 'gone' = 'connecting'
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  readonly #parser: ResponseParser
  #assignment: Assignment | undefined
  #tunnel: TunnelEvents | undefined = undefined
  /** Something happened since the last sweep, which stamps `#sinceMs`: no clock is read per request. */
  #touched = true
  #sinceMs = 0
  #awaitingSinceMs = -1
  #paused = false
  /** When a sweep first met the present pause; 0 while there is none. */
  #pausedSinceMs = 0
  #inRead = false
  #writeError: Error | undefined = undefined
  #answered = false
  #headSeen = false
  // What the read at hand brought so far.
  #head: ResponseHead | undefined = undefined
  #framing: Framing = 'none'
  #keepAlive = false
  #pieceStart = 0
  #pieceEnd = 0
  #ended = false
  #trailers: RawFields | undefined = undefined

  /** Starts to connect for `assignment`. */
  constructor(
    endpoint: Endpoint,
    owner: ConnectionOwner,
    maxHeaderBytes: number,
    nowMs: number,
    assignment: Assignment,
  ) {
    this.endpoint = endpoint
    this.createdMs = nowMs
    this.#owner = owner
    this.#assignment = assignment
    this.#parser = new ResponseParser(this, maxHeaderBytes)
    const socket = endpoint.open((count, buffer) => this.#onRead(count, buffer))
    this.#socket = socket
    socket.once(endpoint.secure ? 'secureConnect' : 'connect', () => this.#onConnect())
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#onError(error))
    socket.on('close', () => this.#lose(this.#writeError))
    keepReadingAfterWriteError(socket)
  }

  get paused(): boolean {
    return this.#paused
  }

  /** Gives an idle connection its next request. */
  assign(assignment: Assignment): void {
    this.#assignment = assignment
    this.#begin(assignment)
  }

  /** Gives the connection back unused, within `onConnection`. */
  release(): void {
    this.served--
    this.#assignment = undefined
    this.state = 'idle'
    this.#owner.onFree(this, true)
  }

  /** Writes part of the request. False: wait for `onDrain`. */
  write(data: string | Uint8Array): boolean {
    if (this.#writeError !== undefined) return false
    this.#touched = true
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data)
  }

  /** Makes one write of the next few. */
  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    // Within a read the callback's result does it.
    if (!this.#inRead) this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused || this.state === 'gone') return
    this.#paused = false
    this.#pausedSinceMs = 0
    this.#touched = true
    this.#socket.resume()
  }

  /** Turns the connection into a tunnel, after `onTunnel`. It no longer times out here. */
  takeOver(events: TunnelEvents): void {
    this.#assignment = undefined
    this.#tunnel = events
    this.state = 'tunnel'
  }

  /** Writes to a tunnel; `done` is called once the bytes are with the kernel, or with the error. */
  writeTunnel(data: Uint8Array, done: (error?: Error | null) => void): void {
    this.#socket.write(data, done)
  }

  /** Half-closes a tunnel. */
  endTunnel(): void {
    this.#socket.end()
  }

  /** Closes at once. The assignment hears nothing any more. */
  destroy(): void {
    if (this.state === 'gone') return
    this.state = 'gone'
    const tunnel = this.#tunnel
    this.#assignment = undefined
    this.#tunnel = undefined
    this.#socket.destroy()
    tunnel?.onGone()
    this.#owner.onGone(this)
  }

  /** Closes at once; the assignment fails with `error`. */
  abandon(error: GatewayError): void {
    this.#fail(error)
  }

  /** Milliseconds for which the reader of the response has taken nothing, as far as sweeps have seen; 0 when it reads. */
  stalledMs(nowMs: number): number {
    return this.state === 'busy' && this.#pausedSinceMs > 0 ? nowMs - this.#pausedSinceMs : 0
  }

  /** Compares with the deadlines; called every quarter of a second or so. */
  sweep(nowMs: number, connectTimeoutMs: number, idleTimeoutMs: number, maxLifetimeMs: number): void {
    if (this.#touched || this.#paused) {
      this.#touched = false
      this.#sinceMs = nowMs
    }
    if (this.#paused && this.#pausedSinceMs === 0) this.#pausedSinceMs = nowMs
    const waitedMs = nowMs - this.#sinceMs
    // Node does not tell of the end of input once a write has failed: what was to be read has been read by now.
    if (this.#writeError !== undefined && waitedMs >= afterWriteErrorMs) {
      this.#lose(this.#writeError)
      return
    }
    if (nowMs - this.createdMs >= maxLifetimeMs) this.expired = true
    const assignment = this.#assignment
    switch (this.state) {
      case 'connecting':
        if (nowMs - this.createdMs >= connectTimeoutMs) {
          this.#fail(new ConnectTimeoutError(this.endpoint.name, connectTimeoutMs))
        }
        break
      case 'idle':
        if (waitedMs >= idleTimeoutMs || this.expired) this.destroy()
        break
      case 'busy':
        if (assignment !== undefined) this.#sweepBusy(assignment, nowMs, waitedMs)
        break
      case 'tunnel':
      case 'gone':
        break
      default:
        this.state satisfies never
    }
  }

  #sweepBusy(assignment: Assignment, nowMs: number, waitedMs: number): void {
    if (!assignment.requestSent && !this.#headSeen && this.#writeError === undefined) {
      // The client's pace is its engine's concern; ours is an origin that takes no more bytes.
      if (!this.#socket.writableNeedDrain) this.#sinceMs = nowMs
      else if (waitedMs >= assignment.bodyIdleTimeoutMs) {
        this.#fail(new ResponseTimeoutError(this.endpoint.name, assignment.bodyIdleTimeoutMs))
      }
    } else if (!this.#headSeen) {
      // Counted from the request's end and not from the last read: a head that dribbles gets no extension.
      if (this.#awaitingSinceMs < 0) this.#awaitingSinceMs = nowMs
      else if (nowMs - this.#awaitingSinceMs >= assignment.responseHeadTimeoutMs) {
        this.#fail(new ResponseTimeoutError(this.endpoint.name, assignment.responseHeadTimeoutMs))
      }
    } else if (waitedMs >= assignment.bodyIdleTimeoutMs) {
      this.#fail(
        new UpstreamAbortedError(this.endpoint.name, `nothing for ${assignment.bodyIdleTimeoutMs} ms`),
      )
    }
  }

  #onConnect(): void {
    if (this.state !== 'connecting') return
    const assignment = this.#assignment
    if (assignment !== undefined) this.#begin(assignment)
  }

  #begin(assignment: Assignment): void {
    this.state = 'busy'
    this.served++
    this.#touched = true
    this.#awaitingSinceMs = -1
    this.#answered = false
    this.#headSeen = false
    this.#parser.begin(assignment.headRequest, assignment.upgrade)
    assignment.onConnection(this)
  }

  #onRead(count: number, buffer: Buffer): boolean {
    this.#touched = true
    this.#inRead = true
    try {
      return this.#read(count, buffer)
    } catch (error) {
      // A receiver that throws must not take the worker down with it.
      this.#fail(toGatewayError(error))
      return false
    } finally {
      this.#inRead = false
    }
  }

  #read(count: number, buffer: Buffer): boolean {
    if (this.state === 'tunnel') {
      if (this.#tunnel?.onBytes(copyOf(buffer, 0, count)) === false) this.#paused = true
      return !this.#paused
    }
    const assignment = this.#assignment
    if (assignment === undefined) {
      // Nobody asked: a late answer or an attempt to poison the next one. Never reused.
      this.destroy()
      return false
    }
    this.#answered = true
    this.#pieceStart = 0
    this.#pieceEnd = 0
    const used = this.#parser.push(buffer, 0, count)
    if (this.#assignment !== assignment) return false
    if (this.#parser.fault !== undefined) {
      this.#fail(new UpstreamProtocolError(this.endpoint.name, this.#parser.fault))
      return false
    }
    if (this.#framing === 'tunnel' && this.#head !== undefined) {
      const head = this.#head
      this.#head = undefined
      assignment.onTunnel(head, this, used < count ? copyOf(buffer, used, count) : undefined)
      return !this.#paused
    }
    // Bytes after a body are a second response or a wrong length: neither may pass for this one. After a response that
    // has no body by definition they are a sloppy origin's body; that response stands, the connection does not.
    const extra = used < count
    if (extra && this.#framing !== 'none') {
      this.#fail(new UpstreamProtocolError(this.endpoint.name, 'bytes after the end of the response'))
      return false
    }
    this.#deliver(assignment, buffer, extra)
    return !this.#paused && this.state !== 'gone'
  }

  #deliver(assignment: Assignment, buffer: Buffer, extra: boolean): void {
    const piece =
      this.#pieceEnd > this.#pieceStart ? copyOf(buffer, this.#pieceStart, this.#pieceEnd) : undefined
    this.#pieceEnd = this.#pieceStart
    const head = this.#head
    const trailers = this.#trailers
    if (!this.#ended) {
      if (head === undefined && piece === undefined) return
      this.#head = undefined
      assignment.onResponse(head, piece, false, undefined)
      return
    }
    const reusable =
      this.#keepAlive &&
      !extra &&
      this.#writeError === undefined &&
      assignment.requestSent &&
      this.#framing !== 'close'
    this.#head = undefined
    this.#trailers = undefined
    this.#ended = false
    this.#assignment = undefined
    this.#paused = false
    this.#pausedSinceMs = 0
    this.state = 'idle'
    assignment.onResponse(head, piece, true, trailers)
    this.#owner.onFree(this, reusable)
  }

  onInformation(head: ResponseHead): void {
    this.#awaitingSinceMs = -1
    this.#assignment?.onInformation(head)
  }

  onHead(head: ResponseHead, framing: Framing): void {
    this.#headSeen = true
    this.#head = head
    this.#framing = framing
    this.#keepAlive = head.keepAlive
  }

  /** Gathers the pieces of one read at one place of its buffer, so that they leave it in one copy. */
  onBody(buffer: Buffer, start: number, end: number): void {
    if (this.#pieceEnd === this.#pieceStart) {
      this.#pieceStart = start
      this.#pieceEnd = end
    } else {
      buffer.copyWithin(this.#pieceEnd, start, end)
      this.#pieceEnd += end - start
    }
  }

  onEnd(trailers: RawFields | undefined): void {
    this.#ended = true
    this.#trailers = trailers
  }

  #onDrain(): void {
    this.#touched = true
    this.#assignment?.onDrain()
  }

  /**
   * A write that fails while a request is under way is not the end yet: an origin that refused the body may have
   * answered before it closed, and that answer is still to be read. Reading then ends by itself, with the answer or not.
   */
  #onError(error: Error): void {
    if (this.state === 'busy' && !this.#socket.destroyed && !this.#paused) this.#writeError = error
    else this.#lose(error)
  }

  /** The peer sent its FIN. */
  #onEnd(): void {
    if (this.state === 'tunnel') {
      this.#tunnel?.onEnd()
      return
    }
    const assignment = this.#assignment
    if (assignment !== undefined && this.state === 'busy' && this.#headSeen && this.#parser.endOfInput()) {
      this.#deliver(assignment, emptyBuffer, false)
      return
    }
    this.#lose(this.#writeError)
  }

  /** The connection broke: whoever waits for it hears of it in its own terms. */
  #lose(cause: Error | undefined): void {
    if (this.state === 'gone') return
    const name = this.endpoint.name
    if (this.state === 'connecting') this.#fail(new ConnectError(name, cause ?? new Error('closed')))
    else if (this.#assignment === undefined) this.destroy()
    else if (this.#headSeen) {
      const text = cause === undefined ? 'closed before the end of the body' : reason(cause)
      this.#fail(new UpstreamAbortedError(name, text, cause))
    } else this.#fail(new UpstreamResetError(name, cause), this.served > 1 && !this.#answered)
  }

  #fail(error: GatewayError, stale = false): void {
    const assignment = this.#assignment
    this.destroy()
    assignment?.onFailure(error, stale)
  }
}

/**
 * Node destroys a socket, and what it has not read, as soon as a write fails. There is no option against it: a socket's
 * constructor sets `autoDestroy`. We close sockets ourselves in every case.
 */
function keepReadingAfterWriteError(socket: Socket): void {
  const states = socket as unknown as Record<'_readableState' | '_writableState', { autoDestroy: boolean }>
  states._readableState.autoDestroy = false
  states._writableState.autoDestroy = false
}

const emptyBuffer = Buffer.alloc(0)

/** The bytes as a buffer of their own: small ones share a slab, large ones have exactly their size. */
function copyOf(buffer: Buffer, start: number, end: number): Buffer {
  const length = end - start
  const copy = length <= 2048 ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
  buffer.copy(copy, 0, start, end)
  return copy
}

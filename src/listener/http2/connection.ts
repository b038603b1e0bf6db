import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import { reason } from '../../errors.ts'
import type { Connection } from '../../exchange.ts'
import type { ConnectionTimeouts, EngineContext } from '../service.ts'
import { errorCode } from './frames.ts'
import { FrameGate, type GateObserver, type InboundStream } from './gate.ts'
import { GatedSocket } from './gated-socket.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { resetStream } from './stream-reset.ts'

export interface Http2Options {
  /** SETTINGS_MAX_CONCURRENT_STREAMS. */
  readonly maxConcurrentStreams: number
}

/** Unread request bytes of one stream, and the window of all of them together. */
const streamWindowBytes = 65_535
const connectionWindowBytes = 1024 * 1024
/** Megabytes that nghttp2 may hold for one connection before it refuses streams. */
const maxSessionMegabytes = 16
/** A response header section, all told; larger ones would end the whole session. */
const maxResponseHeaderBytes = 256 * 1024

/**
 * One HTTP/2 connection: the session of `node:http2` behind the frame gate, and its timers, which Node has none of.
 * Memory: one Http2Exchange a stream, at most `maxConcurrentStreams`; per stream one receive window (64 KiB) and one piece to write.
 */
export class Http2Connection implements GateObserver {
  readonly context: EngineContext
  readonly connection: Connection
  readonly #gate: FrameGate
  readonly #gated: GatedSocket
  readonly #session: ServerHttp2Session
  readonly #streams = new Map<number, Http2Exchange>()
  // What the sweep has seen: milliseconds without progress, and by what it knows.
  #idleMs = 0
  #served = false
  #unfinishedMs = 0
  #framesSeen = 0
  #writeMs = 0
  #writesSeen = 0
  #closing = false

  constructor(context: EngineContext, connection: Connection, socket: Socket, options: Http2Options) {
    this.context = context
    this.connection = connection
    // Between the limit and twice of it requests are answered with 431; what is larger still ends the connection.
    const maxHeaderListBytes = context.service().limits.maxHeaderBytes * 2
    this.#gate = new FrameGate({ maxHeaderListBytes, maxStreams: options.maxConcurrentStreams }, this)
    this.#gated = new GatedSocket(socket, this.#gate, context.clock, () => this.#onFault())
    const session = performServerHandshake(this.#gated, {
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        initialWindowSize: streamWindowBytes,
        maxHeaderListSize: maxHeaderListBytes,
        enableConnectProtocol: false,
      },
      maxHeaderListPairs: Math.ceil(maxHeaderListBytes / 32),
      maxSessionMemory: maxSessionMegabytes,
      maxSendHeaderBlockLength: maxResponseHeaderBytes,
      // An origin's repeated field is the origin's affair; here it would be an exception.
      strictSingleValueFields: false,
    })
    this.#session = session
    session.on('stream', this.#onStream)
    session.on('error', (error) =>
      context.logger.debug('http2 session error', { id: connection.id, reason: reason(error) }),
    )
    session.on('frameError', (type, code) =>
      context.logger.debug('http2 frame not sent', { id: connection.id, type, code }),
    )
    session.setLocalWindowSize(connectionWindowBytes)
  }

  get streams(): number {
    return this.#streams.size
  }

  /** GOAWAY now; the connection ends with its last stream. */
  drain(): void {
    this.#closing = true
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close()
  }

  destroy(): void {
    this.#session.destroy()
    this.#gated.abort()
  }

  /** A stream is over; `served` when its answer went out in full. */
  streamClosed(exchange: Http2Exchange, served: boolean): void {
    this.#streams.delete(exchange.inbound.id)
    this.#gate.release(exchange.inbound, served)
  }

  refused(stream: InboundStream): void {
    this.context.logger.debug('http2 stream refused', { id: this.connection.id, reason: stream.fault })
    this.#streams.get(stream.id)?.refuse(stream.fault ?? '')
    if (!this.#gate.countRefusal()) this.#onFault()
  }

  reset(stream: InboundStream): void {
    this.#streams.get(stream.id)?.clientReset()
  }

  windowGranted(stream: InboundStream | undefined): void {
    if (stream !== undefined) this.#streams.get(stream.id)?.granted()
    else for (const exchange of this.#streams.values()) exchange.granted()
  }

  /** Looks for what does not move. Called every so often with the time since the last call. */
  sweep(elapsedMs: number, timeouts: ConnectionTimeouts): void {
    this.#gate.floods.drain(elapsedMs)
    const gated = this.#gated
    if (this.#checkSocket(elapsedMs, timeouts) || this.#checkHeader(elapsedMs, timeouts)) return
    if (this.#streams.size === 0) {
      this.#idleMs += elapsedMs
      // Before the first SETTINGS the client has only a header's time.
      const limit = this.#gate.established ? timeouts.idleMs : Math.min(timeouts.headerMs, timeouts.idleMs)
      if (this.#idleMs > limit) this.#end(limit, timeouts)
      return
    }
    this.#idleMs = 0
    const open = this.#streams.size
    let stalled = 0
    // Looked at once: the first reset of this sweep makes the socket busy, and would excuse every stream behind it.
    const socketBusy = gated.writing
    for (const exchange of this.#streams.values()) {
      if (exchange.sweep(elapsedMs, timeouts, socketBusy)) stalled += 1
    }
    // A client that reads none of its streams holds the connection for nothing.
    if (stalled === open) this.#endSession(errorCode.enhanceYourCalm)
  }

  /** The client takes nothing at all any more. */
  #checkSocket(elapsedMs: number, timeouts: ConnectionTimeouts): boolean {
    const gated = this.#gated
    if (!gated.writing || gated.writesDone !== this.#writesSeen) {
      this.#writesSeen = gated.writesDone
      this.#writeMs = 0
      return false
    }
    this.#writeMs += elapsedMs
    if (this.#writeMs <= timeouts.writeMs) return false
    this.destroy()
    return true
  }

  /** A header block, or any control frame, that does not come to its end. */
  #checkHeader(elapsedMs: number, timeouts: ConnectionTimeouts): boolean {
    const gate = this.#gate
    if (!gate.unfinished) {
      this.#unfinishedMs = 0
      this.#framesSeen = gate.framesBegun
      return false
    }
    // CONTINUATION frames are counted elsewhere, so that another frame may mean progress.
    if (gate.framesBegun !== this.#framesSeen) {
      this.#framesSeen = gate.framesBegun
      this.#unfinishedMs = 0
      return false
    }
    this.#unfinishedMs += elapsedMs
    if (this.#unfinishedMs <= timeouts.headerMs) return false
    this.#endSession(errorCode.enhanceYourCalm)
    return true
  }

  /** Nobody uses the connection: GOAWAY, and the end. */
  #end(limitMs: number, timeouts: ConnectionTimeouts): void {
    if (this.#idleMs > limitMs + timeouts.halfCloseMs) this.destroy()
    else if (this.#gate.established) this.drain()
    else this.destroy()
  }

  #onFault(): void {
    const { fault } = this.#gate
    if (fault === undefined || this.#session.destroyed) return
    this.context.logger.debug('http2 connection refused', {
      id: this.connection.id,
      ...fault,
      served: this.#served,
    })
    this.#endSession(fault.code)
  }

  /** GOAWAY with `code`; the streams are aborted with it. */
  #endSession(code: number): void {
    this.#gated.refuse(code, this.#gate.lastStreamId)
    this.#session.destroy()
  }

  readonly #onStream = (
    stream: ServerHttp2Stream,
    _headers: object,
    _flags: number,
    raw?: readonly string[],
  ): void => {
    stream.on('error', ignore)
    const inbound = this.#gate.adopt(stream.id as number)
    // A count that differs means that Node has dropped a field which the gate let pass.
    const fault =
      inbound === undefined
        ? 'unknown stream'
        : (inbound.fault ??
          (raw !== undefined && raw.length !== inbound.fields.length * 2 ? 'a field was dropped' : undefined))
    if (inbound === undefined || fault !== undefined) {
      this.#refuseAtOnce(stream, inbound, fault)
      return
    }
    if (inbound.reset || stream.destroyed || stream.closed || this.#closing) {
      this.#discard(stream, inbound, this.#closing ? errorCode.refusedStream : errorCode.cancel)
      return
    }
    this.#idleMs = 0
    this.#served = true
    let exchange: Http2Exchange
    try {
      exchange = new Http2Exchange(this, stream, inbound)
    } catch (error) {
      this.context.logger.error('http2 exchange not set up', {
        id: this.connection.id,
        reason: reason(error),
      })
      this.#discard(stream, inbound, errorCode.internalError)
      return
    }
    this.#streams.set(inbound.id, exchange)
    exchange.serve()
  }

  /** A malformed request never becomes an exchange. @see RFC 9113 §8.1.1 */
  #refuseAtOnce(
    stream: ServerHttp2Stream,
    inbound: InboundStream | undefined,
    fault: string | undefined,
  ): void {
    this.context.logger.debug('http2 stream refused', { id: this.connection.id, reason: fault })
    this.#discard(stream, inbound, errorCode.protocolError)
    if (!this.#gate.countRefusal()) this.#onFault()
  }

  #discard(stream: ServerHttp2Stream, inbound: InboundStream | undefined, code: number): void {
    if (inbound !== undefined) {
      if (stream.destroyed) this.#gate.release(inbound, false)
      else stream.on('close', () => this.#gate.release(inbound, false))
    }
    resetStream(stream, code)
  }
}

function ignore(): void {}

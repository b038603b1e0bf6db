import { FloodLimits, maxContinuations, tinyWindowBytes, type FloodKind } from './flood-limits.ts'
import {
  errorCode,
  frameFlag,
  FrameReader,
  frameType,
  hideFrame,
  maxFrameBytes,
  type FrameVisitor,
} from './frames.ts'
import { parseContentLength, requestSectionFault, trailerSectionFault, type Field } from './header-rules.ts'
import { HpackDecoder } from './hpack-decoder.ts'

/** One stream as the client opened it, seen on the wire. What was checked here is what the exchange is built from. */
export class InboundStream {
  readonly id: number
  fields: readonly Field[] = []
  trailers: readonly Field[] | undefined = undefined
  /** Why the stream must be reset with PROTOCOL_ERROR. */
  fault: string | undefined = undefined
  /** END_STREAM has come, with the last byte before it. */
  ended = false
  /** The client sent RST_STREAM. */
  reset = false
  /** DATA bytes so far, padding left out. */
  received = 0
  contentLength: number | undefined = undefined
  /** The session has announced it. */
  adopted = false
  /** The call of `read` that opened it. */
  readonly turn: number

  constructor(id: number, turn: number) {
    this.id = id
    this.turn = turn
  }
}

/** What the gate reports. Calls come from within `read`, before the session sees the bytes. */
export interface GateObserver {
  /** `stream.fault` was set after the stream had been opened properly: trailers, lengths, windows. */
  refused(stream: InboundStream): void
  /** The client has reset the stream. */
  reset(stream: InboundStream): void
  /** The client widened the window of a stream, or of the connection (undefined). */
  windowGranted(stream: InboundStream | undefined): void
}

export interface GateFault {
  readonly code: number
  readonly reason: string
}

export interface GateLimits {
  /** Header section by the RFC's reckoning (name, value and 32 octets a field), and the compressed block; beyond: the connection ends. */
  readonly maxHeaderListBytes: number
  readonly maxStreams: number
}

/** Ids of streams that are over, for telling late frames from forged ones. Bound: 128. */
const rememberedStreams = 128

/**
 * The frame gate: reads what the client sends before `node:http2` does and decides what may not pass: frames that break the
 * protocol (connection error), messages that do (the stream is marked), floods. It answers nothing itself.
 * Needed because Node drops invalid fields in silence, tells nobody about frames on closed streams and counts no floods.
 * Memory: a header block in the making (`maxHeaderListBytes`), the HPACK table (4 KiB), one object an open stream (twice
 * `maxStreams`, and those of one read), 128 ids of past streams.
 * @see RFC 9113 §4 to §8
 */
export class FrameGate implements FrameVisitor {
  readonly floods = new FloodLimits()
  readonly #reader = new FrameReader(this)
  readonly #decoder = new HpackDecoder()
  readonly #limits: GateLimits
  readonly #observer: GateObserver
  readonly #streams = new Map<number, InboundStream>()
  readonly #past = new Float64Array(rememberedStreams)
  #pastAt = 0
  #lastStreamId = 0
  #turn = 0
  #settingsSeen = false
  #fault: GateFault | undefined
  // The header block being read; stream id 0 when there is none.
  #blockStreamId = 0
  /** Undefined for a block on a stream that we have reset: decoded for the table's sake and dropped. */
  #blockStream: InboundStream | undefined
  #blockIsTrailer = false
  #blockEndsStream = false
  #blockParts: Buffer[] = []
  #blockBytes = 0
  #continuations = 0
  // The fields of the block being decoded.
  #fields: Field[] = []
  #listBytes = 0

  constructor(limits: GateLimits, observer: GateObserver) {
    this.#limits = limits
    this.#observer = observer
  }

  /** Set once; from then on nothing passes. */
  get fault(): GateFault | undefined {
    return this.#fault
  }

  /** The client has begun something that costs a header timeout: preface, header block or control frame in parts. */
  get unfinished(): boolean {
    return this.#blockStreamId !== 0 || this.#reader.unfinished
  }

  /** The highest stream that the client opened. */
  get lastStreamId(): number {
    return this.#lastStreamId
  }

  /** Changes whenever the client begins another frame. */
  get framesBegun(): number {
    return this.#reader.framesBegun
  }

  /** True once preface and first SETTINGS are there. */
  get established(): boolean {
    return this.#settingsSeen
  }

  /** Takes a look at `chunk`. Returns how many of its bytes may be passed on; fewer than all when `fault` is set. */
  read(chunk: Buffer): number {
    this.#turn += 1
    const passed = this.#reader.read(chunk)
    if (passed < chunk.length)
      this.#fault ??= { code: errorCode.protocolError, reason: 'not an HTTP/2 preface' }
    return passed
  }

  /** The stream that the session announces, or undefined when it never passed here. */
  adopt(id: number): InboundStream | undefined {
    const stream = this.#streams.get(id)
    if (stream !== undefined) stream.adopted = true
    return stream
  }

  /** The session is done with a stream. `served` when it was answered to the end. */
  release(stream: InboundStream, served: boolean): void {
    if (!this.#streams.delete(stream.id)) return
    this.#remember(stream)
    if (served) this.floods.credit('reset')
  }

  /** A reset that the client provoked; false when it was one too many. */
  countRefusal(): boolean {
    return this.#take('reset')
  }

  head(type: number, flags: number, streamId: number, length: number): number {
    if (length > maxFrameBytes) return this.#fail(errorCode.frameSizeError, 'frame too large')
    if (this.#blockStreamId !== 0 && (type !== frameType.continuation || streamId !== this.#blockStreamId)) {
      return this.#fail(errorCode.protocolError, 'frame inside a header block')
    }
    if (!this.#settingsSeen) {
      if (type !== frameType.settings || (flags & frameFlag.ack) !== 0) {
        return this.#fail(errorCode.protocolError, 'no SETTINGS behind the preface')
      }
      this.#settingsSeen = true
    }
    switch (type) {
      case frameType.data:
        return this.#dataHead(flags, streamId, length)
      case frameType.headers:
        return this.#headersHead(flags, streamId, length)
      case frameType.priority:
        if (streamId === 0) return this.#fail(errorCode.protocolError, 'PRIORITY on stream 0')
        if (length !== 5) return this.#fail(errorCode.frameSizeError, 'PRIORITY of wrong size')
        return this.#take('priority') ? 5 : -1
      case frameType.rstStream:
        if (this.#isIdle(streamId)) return this.#fail(errorCode.protocolError, 'RST_STREAM on an idle stream')
        if (length !== 4) return this.#fail(errorCode.frameSizeError, 'RST_STREAM of wrong size')
        return 4
      case frameType.settings:
        if (streamId !== 0) return this.#fail(errorCode.protocolError, 'SETTINGS on a stream')
        if ((flags & frameFlag.ack) !== 0 ? length !== 0 : length % 6 !== 0) {
          return this.#fail(errorCode.frameSizeError, 'SETTINGS of wrong size')
        }
        return this.#take('settings') ? length : -1
      case frameType.pushPromise:
        return this.#fail(errorCode.protocolError, 'PUSH_PROMISE from a client')
      case frameType.ping:
        if (streamId !== 0) return this.#fail(errorCode.protocolError, 'PING on a stream')
        if (length !== 8) return this.#fail(errorCode.frameSizeError, 'PING of wrong size')
        if (!this.#take('ping')) return -1
        // We ask for none; Node would end the session over it, the RFC has it ignored.
        return (flags & frameFlag.ack) !== 0 ? hideFrame : 0
      case frameType.goaway:
        if (streamId !== 0) return this.#fail(errorCode.protocolError, 'GOAWAY on a stream')
        return length < 8 ? this.#fail(errorCode.frameSizeError, 'GOAWAY of wrong size') : 0
      case frameType.windowUpdate:
        if (length !== 4) return this.#fail(errorCode.frameSizeError, 'WINDOW_UPDATE of wrong size')
        if (streamId !== 0 && this.#isIdle(streamId)) {
          return this.#fail(errorCode.protocolError, 'WINDOW_UPDATE on an idle stream')
        }
        return 4
      case frameType.continuation:
        if (this.#blockStreamId === 0) return this.#fail(errorCode.protocolError, 'CONTINUATION out of place')
        this.#continuations += 1
        return this.#continuations > maxContinuations ? this.#calm('too many CONTINUATION frames') : length
      default:
        // Extensions are ignored (RFC 9113 §5.5), but not without end.
        return this.#take('unknown') ? 0 : -1
    }
  }

  payload(
    type: number,
    flags: number,
    streamId: number,
    length: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): boolean {
    switch (type) {
      case frameType.data:
        return this.#data(flags, streamId, length, start === end ? -1 : (bytes[start] as number))
      case frameType.headers:
        return this.#headers(flags, streamId, bytes, start, end)
      case frameType.continuation:
        return this.#fragment(flags, bytes, start, end)
      case frameType.priority:
        return (bytes.readUInt32BE(start) & 0x7fff_ffff) !== streamId || this.#dependsOnItself()
      case frameType.rstStream:
        return this.#reset(streamId)
      case frameType.settings:
        return this.#settings(bytes, start, end)
      case frameType.windowUpdate:
        return this.#windowUpdate(streamId, bytes.readUInt32BE(start) & 0x7fff_ffff)
      default:
        return true
    }
  }

  done(type: number, flags: number, streamId: number): boolean {
    if (type !== frameType.data || (flags & frameFlag.endStream) === 0) return true
    const stream = this.#streams.get(streamId)
    if (stream !== undefined) this.#endStream(stream)
    return true
  }

  #dataHead(flags: number, streamId: number, length: number): number {
    if (this.#isIdle(streamId)) return this.#fail(errorCode.protocolError, 'DATA on an idle stream')
    const stream = this.#streams.get(streamId)
    if (stream === undefined ? !this.#wasResetByUs(streamId) : stream.ended || stream.reset) {
      return this.#fail(errorCode.streamClosed, 'DATA on a closed stream')
    }
    if (length === 0 && (flags & (frameFlag.endStream | frameFlag.padded)) === 0 && !this.#take('emptyData'))
      return -1
    if ((flags & frameFlag.padded) === 0) {
      // Node ends the session over it, all other streams included; without this frame only the stream is reset.
      const excess = stream?.contentLength !== undefined && stream.received + length > stream.contentLength
      return excess ? hideFrame : 0
    }
    return length === 0 ? this.#fail(errorCode.frameSizeError, 'DATA without its pad length') : 1
  }

  /** `pad` is -1 when there is none. */
  #data(flags: number, streamId: number, length: number, pad: number): boolean {
    const bytes = length - (pad + 1)
    if (bytes < 0) return this.#failed(errorCode.protocolError, 'padding longer than the frame')
    if (bytes === 0 && pad >= 0 && (flags & frameFlag.endStream) === 0 && !this.#take('emptyData'))
      return false
    const stream = this.#streams.get(streamId)
    if (stream === undefined) return true
    stream.received += bytes
    if (stream.contentLength !== undefined && stream.received > stream.contentLength) {
      if (pad >= 0) return this.#failed(errorCode.protocolError, 'more DATA than content-length')
      this.#refuse(stream, 'more DATA than content-length')
    }
    return true
  }

  #headersHead(flags: number, streamId: number, length: number): number {
    if (streamId === 0 || streamId % 2 === 0)
      return this.#fail(errorCode.protocolError, 'HEADERS on a stream not the client’s')
    let stream = this.#streams.get(streamId)
    this.#blockIsTrailer = stream !== undefined
    if (stream !== undefined) {
      if (stream.ended || stream.reset)
        return this.#fail(errorCode.streamClosed, 'HEADERS on a closed stream')
    } else if (streamId > this.#lastStreamId) {
      this.#lastStreamId = streamId
      if (this.#streams.size >= this.#limits.maxStreams * 2) this.#forgetRefused()
      if (this.#fault !== undefined) return -1
      stream = new InboundStream(streamId, this.#turn)
      this.#streams.set(streamId, stream)
    } else if (!this.#wasResetByUs(streamId)) {
      return this.#isRemembered(streamId)
        ? this.#fail(errorCode.streamClosed, 'HEADERS on a closed stream')
        : this.#fail(errorCode.protocolError, 'HEADERS on a lower stream')
    }
    this.#blockStreamId = streamId
    this.#blockStream = stream
    this.#blockEndsStream = (flags & frameFlag.endStream) !== 0
    this.#continuations = 0
    return length
  }

  #headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    let from = start
    let to = end
    if ((flags & frameFlag.padded) !== 0) {
      if (from === to) return this.#failed(errorCode.frameSizeError, 'HEADERS without its pad length')
      to -= bytes[from] as number
      from += 1
    }
    if ((flags & frameFlag.priority) !== 0) {
      if (from + 5 > end) return this.#failed(errorCode.frameSizeError, 'HEADERS without its priority')
      if ((bytes.readUInt32BE(from) & 0x7fff_ffff) === streamId) return this.#dependsOnItself()
      from += 5
    }
    if (to < from) return this.#failed(errorCode.protocolError, 'padding longer than the frame')
    return this.#fragment(flags, bytes, from, to)
  }

  #fragment(flags: number, bytes: Buffer, start: number, end: number): boolean {
    const whole = (flags & frameFlag.endHeaders) !== 0
    if (whole && this.#blockParts.length === 0) return this.#block(bytes, start, end)
    this.#blockBytes += end - start
    if (this.#blockBytes > this.#limits.maxHeaderListBytes) return this.#calm('header block too large') > 0
    this.#blockParts.push(Buffer.from(bytes.subarray(start, end)))
    if (!whole) return true
    const block = Buffer.concat(this.#blockParts)
    this.#blockParts = []
    this.#blockBytes = 0
    return this.#block(block, 0, block.length)
  }

  /** A whole header block. */
  #block(block: Buffer, start: number, end: number): boolean {
    this.#fields = []
    this.#listBytes = 0
    const fault = this.#decoder.decode(block, start, end, this.#collect)
    this.#blockStreamId = 0
    if (fault === 'stopped') return this.#calm('header list too large') > 0
    if (fault === 'malformed') return this.#failed(errorCode.compressionError, 'malformed header block')
    const stream = this.#blockStream
    if (stream === undefined) return true
    this.#blockStream = undefined
    if (this.#blockIsTrailer) {
      stream.trailers = this.#fields
      const broken = this.#blockEndsStream
        ? trailerSectionFault(this.#fields)
        : 'second header section in the middle'
      if (broken !== undefined) this.#refuse(stream, broken)
    } else {
      stream.fields = this.#fields
      stream.fault = requestSectionFault(this.#fields)
      if (stream.fault === undefined) this.#declareLength(stream)
    }
    if (this.#blockEndsStream) this.#endStream(stream)
    return true
  }

  readonly #collect = (field: Field): boolean => {
    this.#listBytes += field.size
    if (this.#listBytes > this.#limits.maxHeaderListBytes) return false
    this.#fields.push(field)
    return true
  }

  #declareLength(stream: InboundStream): void {
    for (const field of stream.fields) {
      if (field.kind !== 'content-length') continue
      stream.contentLength = parseContentLength(field.value)
      if (stream.contentLength === undefined) stream.fault = 'malformed content-length'
      return
    }
  }

  #endStream(stream: InboundStream): void {
    stream.ended = true
    if (stream.contentLength !== undefined && stream.received !== stream.contentLength) {
      this.#refuse(stream, 'content-length differs from the DATA')
    }
  }

  #refuse(stream: InboundStream, reason: string): void {
    if (stream.fault !== undefined) return
    stream.fault = reason
    if (stream.adopted) this.#observer.refused(stream)
  }

  #reset(streamId: number): boolean {
    if (!this.#take('reset')) return false
    const stream = this.#streams.get(streamId)
    if (stream !== undefined && !stream.reset) {
      stream.reset = true
      if (stream.adopted) this.#observer.reset(stream)
    }
    return true
  }

  /** Values that a peer must refuse; unknown settings are ignored. @see RFC 9113 §6.5.2 */
  #settings(bytes: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end; at += 6) {
      const value = bytes.readUInt32BE(at + 2)
      switch (bytes.readUInt16BE(at)) {
        case 2:
          if (value > 1) return this.#failed(errorCode.protocolError, 'ENABLE_PUSH neither 0 nor 1')
          break
        case 4:
          if (value > 0x7fff_ffff)
            return this.#failed(errorCode.flowControlError, 'INITIAL_WINDOW_SIZE too large')
          this.#observer.windowGranted(undefined)
          break
        case 5:
          if (value < maxFrameBytes || value > 0xff_ffff)
            return this.#failed(errorCode.protocolError, 'MAX_FRAME_SIZE out of range')
          break
        default:
      }
    }
    return true
  }

  #windowUpdate(streamId: number, increment: number): boolean {
    const stream = this.#streams.get(streamId)
    if (increment === 0) return this.#failed(errorCode.protocolError, 'WINDOW_UPDATE by 0')
    if (increment < tinyWindowBytes && !this.#take('tinyWindow')) return false
    if (streamId === 0 || stream !== undefined) this.#observer.windowGranted(stream)
    return true
  }

  #isIdle(streamId: number): boolean {
    return streamId > this.#lastStreamId || streamId % 2 === 0
  }

  /** Streams that the session refused without announcing them leave nothing else behind. */
  #forgetRefused(): void {
    for (const stream of this.#streams.values()) {
      if (stream.adopted || stream.turn === this.#turn) continue
      this.#streams.delete(stream.id)
      this.#remember(stream)
      this.#take('reset')
    }
  }

  #remember(stream: InboundStream): void {
    this.#past[this.#pastAt] = stream.id * 2 + (stream.ended || stream.reset ? 0 : 1)
    this.#pastAt = (this.#pastAt + 1) % rememberedStreams
  }

  /** The client may not know yet that the stream is over. */
  #wasResetByUs(streamId: number): boolean {
    return this.#past.includes(streamId * 2 + 1)
  }

  #isRemembered(streamId: number): boolean {
    return this.#past.includes(streamId * 2)
  }

  #take(kind: FloodKind): boolean {
    return this.floods.take(kind) || this.#calm(`${kind} flood`) > 0
  }

  #dependsOnItself(): boolean {
    return this.#failed(errorCode.protocolError, 'stream depends on itself')
  }

  #calm(reason: string): number {
    return this.#fail(errorCode.enhanceYourCalm, reason)
  }

  #fail(code: number, reason: string): number {
    this.#fault ??= { code, reason }
    return -1
  }

  #failed(code: number, reason: string): boolean {
    return this.#fail(code, reason) >= 0
  }
}

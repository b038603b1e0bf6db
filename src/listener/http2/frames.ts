/** Frame types. @see RFC 9113 §6 */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

/** Flags; END_STREAM and ACK share a bit. @see RFC 9113 §6 */
export const frameFlag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

/** @see RFC 9113 §7 */
export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const

/** The largest payload we accept: SETTINGS_MAX_FRAME_SIZE is left at its default. */
export const maxFrameBytes = 16_384

const headBytes = 9
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** From `FrameVisitor.head`: the session must not see this frame. */
export const hideFrame = -2
/** No extension has this type; sessions ignore it. */
const hiddenType = 0xfe

/** What takes the frames apart. Each call may stop the reader by returning false. */
export interface FrameVisitor {
  /** A frame head. Returns how many of its first payload bytes are wanted, at most `length`, -1 to stop, or `hideFrame`. */
  head(type: number, flags: number, streamId: number, length: number): number
  /** The wanted bytes, `bytes[start, end)`; valid during the call only. Called for every frame whose head passed. */
  payload(
    type: number,
    flags: number,
    streamId: number,
    length: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): boolean
  /** The last byte of the frame has come. */
  done(type: number, flags: number, streamId: number): boolean
}

/**
 * Cuts the client's bytes into frames, whatever pieces they come in. It looks at them and passes them on: nothing is kept but
 * a frame head (9 bytes) and the wanted part of one payload (at most 16 KiB), and those only when a piece ends inside.
 * @see RFC 9113 §3.4, §4.1
 */
export class FrameReader {
  /** Counts frames begun; odd-looking jumps do not matter, only change does. */
  framesBegun = 0
  readonly #visitor: FrameVisitor
  #prefaceSeen = 0
  readonly #head = Buffer.alloc(headBytes)
  #headSeen = 0
  #type = 0
  #flags = 0
  #streamId = 0
  #length = 0
  /** Payload bytes still wanted before the visitor is called; -1 once it was called. */
  #wanted = 0
  #kept: Buffer | undefined
  #keptBytes = 0
  /** Payload bytes of the present frame that have not come yet. */
  #left = 0
  #inFrame = false
  #failed = false

  constructor(visitor: FrameVisitor) {
    this.#visitor = visitor
  }

  /** True inside a frame head or a payload other than DATA, or before the preface is complete. */
  get unfinished(): boolean {
    if (this.#prefaceSeen < preface.length) return true
    return this.#inFrame ? this.#type !== frameType.data : this.#headSeen > 0
  }

  get prefaceComplete(): boolean {
    return this.#prefaceSeen === preface.length
  }

  /** Reads on. Returns how many bytes of `chunk` may be passed on: all of them unless the preface is wrong or the visitor stopped. */
  read(chunk: Buffer): number {
    if (this.#failed) return 0
    let at = 0
    while (this.#prefaceSeen < preface.length && at < chunk.length) {
      if (chunk[at] !== preface[this.#prefaceSeen]) return this.#fail(at)
      this.#prefaceSeen += 1
      at += 1
    }
    // Where the present frame, or what came of it with this chunk, begins: an offending frame is not passed on.
    let begun = at
    for (;;) {
      if (!this.#inFrame) {
        if (at === chunk.length) break
        begun = at
        at = this.#readHead(chunk, at)
        if (!this.#inFrame) break
        this.framesBegun += 1
        const wanted = this.#visitor.head(this.#type, this.#flags, this.#streamId, this.#length)
        if (wanted === -1) return this.#fail(begun)
        // Only where its head came in one piece, as it does from everyone who does not cut it on purpose.
        if (wanted === hideFrame && at - begun === headBytes) chunk[begun + 3] = hiddenType
        this.#wanted = Math.max(0, wanted)
        this.#left = this.#length
        this.#keptBytes = 0
      }
      if (this.#wanted >= 0) {
        at = this.#readWanted(chunk, at)
        if (at < 0) return this.#fail(begun)
        if (this.#wanted >= 0) break
      }
      const skipped = Math.min(this.#left, chunk.length - at)
      at += skipped
      this.#left -= skipped
      if (this.#left > 0) break
      this.#inFrame = false
      if (!this.#visitor.done(this.#type, this.#flags, this.#streamId)) return this.#fail(begun)
    }
    return at
  }

  #readHead(chunk: Buffer, from: number): number {
    let head = chunk
    let offset = from
    let at = from
    if (this.#headSeen > 0 || chunk.length - from < headBytes) {
      const taken = Math.min(headBytes - this.#headSeen, chunk.length - from)
      chunk.copy(this.#head, this.#headSeen, from, from + taken)
      this.#headSeen += taken
      at += taken
      if (this.#headSeen < headBytes) return at
      this.#headSeen = 0
      head = this.#head
      offset = 0
    } else {
      at += headBytes
    }
    this.#length =
      ((head[offset] as number) << 16) | ((head[offset + 1] as number) << 8) | (head[offset + 2] as number)
    this.#type = head[offset + 3] as number
    this.#flags = head[offset + 4] as number
    this.#streamId =
      (((head[offset + 5] as number) & 0x7f) << 24) |
      ((head[offset + 6] as number) << 16) |
      ((head[offset + 7] as number) << 8) |
      (head[offset + 8] as number)
    this.#inFrame = true
    return at
  }

  /** Collects the wanted bytes; returns the new position, or -1 when the visitor stopped. */
  #readWanted(chunk: Buffer, from: number): number {
    const missing = this.#wanted - this.#keptBytes
    if (this.#keptBytes === 0 && chunk.length - from >= missing) {
      this.#left -= missing
      return this.#visit(chunk, from, from + missing) ? from + missing : -1
    }
    const taken = Math.min(missing, chunk.length - from)
    if (taken === 0) return from
    // One of exactly this frame's size, never what another frame left behind.
    if (this.#keptBytes === 0 || this.#kept === undefined) this.#kept = Buffer.allocUnsafeSlow(this.#wanted)
    chunk.copy(this.#kept, this.#keptBytes, from, from + taken)
    this.#keptBytes += taken
    this.#left -= taken
    if (taken < missing) return from + taken
    const kept = this.#kept
    // Not held between frames: most connections never need it again.
    this.#kept = undefined
    return this.#visit(kept, 0, this.#wanted) ? from + taken : -1
  }

  #visit(bytes: Buffer, start: number, end: number): boolean {
    this.#wanted = -1
    return this.#visitor.payload(this.#type, this.#flags, this.#streamId, this.#length, bytes, start, end)
  }

  #fail(passed: number): number {
    this.#failed = true
    return passed
  }
}

/** @see RFC 9113 §6.8 */
export function goawayFrame(code: number, lastStreamId: number): Buffer {
  const bytes = Buffer.alloc(headBytes + 8)
  bytes[2] = 8
  bytes[3] = frameType.goaway
  bytes.writeUInt32BE(lastStreamId, headBytes)
  bytes.writeUInt32BE(code, headBytes + 4)
  return bytes
}

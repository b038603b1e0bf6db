import type { RawFields } from '../http/fields.ts'
import { readFieldLines, readResponseHead, type ResponseHead } from './response-head.ts'
import { cleanTrailers } from '../http/trailers.ts'

/** How the end of a response body is known (RFC 9112 §6.3). `tunnel`: a 101 that was asked for. */
export type Framing = 'none' | 'length' | 'chunked' | 'close' | 'tunnel'

/** What the parser tells, in order: any informations, one head, any body pieces, one end. */
export interface ResponseEvents {
  /** An interim response, 100 and 102 to 199. */
  onInformation(head: ResponseHead): void
  onHead(head: ResponseHead, framing: Framing): void
  /** Body bytes `buffer[start, end)`; valid during the call only. */
  onBody(buffer: Buffer, start: number, end: number): void
  /** The response is complete. Trailers are free of forbidden fields. Not called for `tunnel`. */
  onEnd(trailers: RawFields | undefined): void
}

/** More interim responses than this are a flood. */
const maxInformations = 16
/** A chunk-size line, extensions included. */
const maxChunkLineBytes = 4096

const idle = 0
const head = 1
const lengthBody = 2
const closeBody = 3
const chunkSize = 4
const chunkExtension = 5
const chunkLineEnd = 6
const chunkData = 7
const chunkDataReturn = 8
const chunkDataEnd = 9
const trailers = 10
const done = 11
const broken = 12

const headStart = Buffer.from('HTTP/1.', 'latin1')
const endOfHead = Buffer.from('\r\n\r\n', 'latin1')

/**
 * A strict, incremental parser of HTTP/1.x responses: no I/O, no repair, any split of the bytes gives the same result.
 * One per connection, `begin` for each request. What it keeps in memory: an unfinished head or trailer section,
 * at most `maxHeaderBytes`; body bytes are never kept.
 */
export class ResponseParser {
  /** Why the response was refused; final until `begin`. */
  fault: string | undefined = undefined
  readonly #events: ResponseEvents
  readonly #maxHeaderBytes: number
  #state = idle
  #headRequest = false
  #upgradeAsked = false
  #informations = 0
  /** Bytes left of the body or of the chunk. */
  #left = 0
  #digits = 0
  #lineBytes = 0
  #held: Buffer | undefined = undefined
  #heldBytes = 0

  constructor(events: ResponseEvents, maxHeaderBytes: number) {
    this.#events = events
    this.#maxHeaderBytes = maxHeaderBytes
  }

  /** Expects the response to a request. `upgradeAsked` allows one 101. */
  begin(headRequest: boolean, upgradeAsked: boolean): void {
    this.fault = undefined
    this.#state = head
    this.#headRequest = headRequest
    this.#upgradeAsked = upgradeAsked
    this.#informations = 0
    this.#heldBytes = 0
  }

  /** True once no byte of the current response is outstanding. */
  get complete(): boolean {
    return this.#state === done
  }

  /**
   * Takes `buffer[start, end)` and returns how far it was used: less than `end` only when bytes follow the end of the
   * response (or the head of a 101), or when `fault` is set.
   */
  push(buffer: Buffer, start: number, end: number): number {
    let at = start
    while (at < end && this.#state < done) {
      switch (this.#state) {
        case head:
          at = this.#readHead(buffer, at, end)
          break
        case lengthBody:
        case chunkData: {
          const stop = Math.min(end, at + this.#left)
          this.#events.onBody(buffer, at, stop)
          this.#left -= stop - at
          at = stop
          if (this.#left === 0) {
            if (this.#state === lengthBody) this.#finish(undefined)
            else this.#state = chunkDataReturn
          }
          break
        }
        case closeBody:
          this.#events.onBody(buffer, at, end)
          at = end
          break
        case trailers:
          at = this.#readTrailers(buffer, at, end)
          break
        case idle:
          this.#break('bytes that nobody asked for')
          break
        default:
          this.#readChunkLine(buffer[at] as number)
          at++
      }
    }
    return at
  }

  /** The peer ended the connection. True when that completes the response; else it was cut. */
  endOfInput(): boolean {
    if (this.#state === closeBody) this.#finish(undefined)
    return this.#state === done
  }

  #finish(fields: RawFields | undefined): void {
    this.#state = done
    this.#events.onEnd(fields)
  }

  #break(fault: string): void {
    this.fault = fault
    this.#state = broken
  }

  #readHead(buffer: Buffer, start: number, end: number): number {
    // The usual case: nothing held, the whole head in one read. The search may run into stale bytes past `end`.
    if (this.#heldBytes === 0) {
      const mark = buffer.indexOf(endOfHead, start)
      if (mark >= 0 && mark + 4 <= end) {
        if (mark + 4 - start > this.#maxHeaderBytes) this.#break('response head too large')
        else this.#takeHead(buffer.toString('latin1', start, mark))
        return mark + 4
      }
    }
    const before = this.#heldBytes
    const text = this.#hold(buffer, start, end, 'response head too large')
    return text === undefined ? end : (this.#takeHead(text), start + this.#heldEnd(before))
  }

  /** How many bytes of the current piece belonged to the section just completed; forgets what was held. */
  #heldEnd(before: number): number {
    const used = this.#heldBytes - before
    this.#heldBytes = 0
    return used
  }

  /**
   * Adds a piece of a section that ends in an empty line. Returns its text without the final CRLF CRLF once it is there
   * (then `#heldBytes` counts the section alone), else undefined.
   */
  #hold(buffer: Buffer, start: number, end: number, tooLarge: string): string | undefined {
    const before = this.#heldBytes
    const take = Math.min(end - start, this.#maxHeaderBytes - before)
    if (this.#held === undefined || this.#held.length < before + take) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(Math.max(4096, (before + take) * 2), Math.max(this.#maxHeaderBytes, 4096)),
      )
      if (this.#held !== undefined) this.#held.copy(grown, 0, 0, before)
      this.#held = grown
    }
    const held = this.#held
    buffer.copy(held, before, start, start + take)
    const filled = before + take
    const mark = held.indexOf(endOfHead, Math.max(0, before - 3))
    if (mark >= 0 && mark + 4 <= filled) {
      this.#heldBytes = mark + 4
      return held.toString('latin1', 0, mark)
    }
    this.#heldBytes = filled
    // Faults that need no end of the section: an origin that speaks another protocol would else be waited for.
    if (filled >= this.#maxHeaderBytes) this.#break(tooLarge)
    else if (this.#state === head && !startsLike(held, filled)) this.#break('not an HTTP/1.x status line')
    else if (hasBareLineFeed(held, Math.max(0, before - 1), filled))
      this.#break('bare LF in a header section')
    return undefined
  }

  #takeHead(text: string): void {
    const parsed = readResponseHead(text)
    if (typeof parsed === 'string') {
      this.#break(parsed)
      return
    }
    const status = parsed.status
    if (status < 200) {
      if (status !== 101) {
        if (++this.#informations > maxInformations) this.#break('too many interim responses')
        else this.#events.onInformation(parsed)
      } else if (this.#upgradeAsked && parsed.upgrade !== undefined) {
        this.#state = done
        this.#events.onHead(parsed, 'tunnel')
      } else this.#break('101 that nobody asked for')
    } else if (this.#headRequest || status === 204 || status === 304) {
      this.#events.onHead(parsed, 'none')
      this.#finish(undefined)
    } else if (parsed.chunked) {
      this.#events.onHead(parsed, 'chunked')
      this.#expectChunk()
    } else if (parsed.contentLength === undefined) {
      this.#events.onHead(parsed, 'close')
      this.#state = closeBody
    } else {
      this.#events.onHead(parsed, 'length')
      this.#left = parsed.contentLength
      this.#state = lengthBody
      if (this.#left === 0) this.#finish(undefined)
    }
  }

  #expectChunk(): void {
    this.#state = chunkSize
    this.#left = 0
    this.#digits = 0
    this.#lineBytes = 0
  }

  /** One byte of what stands between two pieces of chunk data (RFC 9112 §7.1). */
  #readChunkLine(byte: number): void {
    if (this.#state === chunkDataReturn || this.#state === chunkDataEnd) {
      if (byte !== (this.#state === chunkDataReturn ? 13 : 10)) this.#break('no CRLF after chunk data')
      else if (this.#state === chunkDataReturn) this.#state = chunkDataEnd
      else this.#expectChunk()
      return
    }
    if (this.#state === chunkLineEnd) {
      if (byte !== 10) this.#break('bare CR in a chunk line')
      else if (this.#left > 0) this.#state = chunkData
      else {
        this.#state = trailers
        // The size line's CRLF stands in for the one before an empty line: one search finds both kinds of end.
        this.#heldBytes = 0
        this.#hold(endOfHead, 0, 2, 'trailer section too large')
      }
      return
    }
    if (++this.#lineBytes > maxChunkLineBytes) {
      this.#break('chunk line too long')
      return
    }
    if (this.#state === chunkSize) {
      const digit = hexDigit(byte)
      if (digit >= 0) {
        this.#left = this.#left * 16 + digit
        if (++this.#digits > 16 || this.#left > Number.MAX_SAFE_INTEGER) this.#break('chunk too large')
        return
      }
      if (this.#digits === 0) this.#break('malformed chunk size')
      else if (byte === 13) this.#state = chunkLineEnd
      else if (byte === 59) this.#state = chunkExtension
      else this.#break('malformed chunk size')
      return
    }
    // Chunk extensions are read over and dropped (RFC 9112 §7.1.1).
    if (byte === 13) this.#state = chunkLineEnd
    else if (byte < 32 ? byte !== 9 : byte === 127) this.#break('control character in a chunk extension')
  }

  #readTrailers(buffer: Buffer, start: number, end: number): number {
    const before = this.#heldBytes
    const text = this.#hold(buffer, start, end, 'trailer section too large')
    if (text === undefined) return end
    const used = this.#heldEnd(before)
    const fields: string[] = []
    const fault = text.length > 2 ? readFieldLines(text, 2, fields) : undefined
    if (fault !== undefined) this.#break(`trailer section: ${fault}`)
    else this.#finish(cleanTrailers(fields))
    return start + used
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

function startsLike(held: Buffer, filled: number): boolean {
  const length = Math.min(filled, headStart.length)
  return held.compare(headStart, 0, length, 0, length) === 0
}

function hasBareLineFeed(held: Buffer, from: number, to: number): boolean {
  for (let i = held.indexOf(10, from); i >= 0 && i < to; i = held.indexOf(10, i + 1)) {
    if (i === 0 || held[i - 1] !== 13) return true
  }
  return false
}

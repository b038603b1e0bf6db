import { constants, type ServerHttp2Stream } from 'node:http2'
import type { BodySink, BodySource } from '../../body.ts'
import type { GatewayResponse } from '../../exchange.ts'
import type { RawFields } from '../../http/fields.ts'
import { errorCode } from './frames.ts'
import { resetStream } from './stream-reset.ts'

/** One write at most: 100 stalled readers of one large body must not cost its size each. */
const pieceBytes = 64 * 1024

const ending = { endStream: true }
const streaming = {}
const trailing = { waitForTrailers: true }

/** Never passed on: they speak of another connection, or the framing is ours to write. */
const dropped: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'content-length',
  'te',
])

/**
 * Writes one answer onto one stream, with backpressure, and resets the stream where the answer was cut, so that a part never
 * looks like the whole. Memory: what the stream holds unsent, at most one piece (64 KiB) beyond its mark (16 KiB).
 */
export class ResponseWriter implements BodySink {
  /** Body bytes handed to the stream. */
  bodyBytes = 0
  status = 0
  /** Everything was handed to the stream, END_STREAM included. */
  ended = false
  /** Something moved since the sweep looked last. */
  moved = false
  #over = false
  #source: BodySource | undefined
  #rest: Uint8Array | undefined
  #trailers: RawFields | undefined
  #length: number | undefined
  #listening = false
  readonly #stream: ServerHttp2Stream
  readonly #written: () => void

  /** `written` is called once if the answer was handed over in full; never when it was cut. */
  constructor(stream: ServerHttp2Stream, written: () => void) {
    this.#stream = stream
    this.#written = written
  }

  get headSent(): boolean {
    return this.status !== 0
  }

  /** Bytes wait for the client to take them. */
  get waiting(): boolean {
    return this.#stream.writableLength > 0 || (this.ended && !this.#stream.writableFinished)
  }

  /** Throws nothing: an answer that cannot be written resets the stream and is reported as the return value. */
  write(
    answer: GatewayResponse,
    isHead: boolean,
    id: string,
    transportSecurity: string | undefined,
  ): string | undefined {
    const { body, status } = answer
    const stream = this.#stream
    const source = body instanceof Uint8Array ? undefined : body
    if (answer.detached === true) return this.#impossible(source, 'an upgrade in HTTP/2')
    // Node turns 0 into 200 and throws at others.
    if (!(status >= 200 && status <= 599)) return this.#impossible(source, 'a status out of range')
    const bodiless = isHead || body === undefined || status === 204 || status === 205 || status === 304
    const headers = headerList(answer, id, transportSecurity)
    if (headers === undefined) return this.#impossible(source, 'control character in a response field')
    try {
      const options = bodiless
        ? ending
        : source !== undefined && answer.length === undefined
          ? trailing
          : streaming
      // Node's types know header objects only; its documentation and its code take the flat list as well.
      stream.respond(headers as never, options)
    } catch (error) {
      return this.#impossible(source, (error as Error).message)
    }
    this.status = status
    this.moved = true
    if (bodiless) {
      source?.cancel()
      this.#end()
    } else if (body instanceof Uint8Array) {
      this.#writePieces(body)
    } else {
      this.#source = body
      this.#length = answer.length
      body.start(this)
    }
    return undefined
  }

  data(chunk: Uint8Array): boolean {
    if (this.#over) return false
    this.bodyBytes += chunk.byteLength
    if (this.#length !== undefined && this.bodyBytes > this.#length) {
      this.fail()
      return false
    }
    this.moved = true
    if (this.#stream.write(chunk)) return true
    this.#listen()
    return false
  }

  end(trailers?: RawFields): void {
    if (this.#over) return
    if (this.#length !== undefined && this.bodyBytes < this.#length) {
      this.fail()
      return
    }
    if (this.#length === undefined && trailers !== undefined && trailers.length > 0) {
      this.#trailers = trailers
      this.#stream.on('wantTrailers', this.#sendTrailers)
    }
    this.#stream.end()
    this.#end()
  }

  /** The body stopped half-way: RST_STREAM instead of END_STREAM. */
  fail(): void {
    if (this.#over) return
    const source = this.#source
    this.#stop()
    source?.cancel()
    resetStream(this.#stream, errorCode.internalError)
  }

  /** The client has gone, or the exchange is over. */
  cut(): void {
    const source = this.#source
    this.#stop()
    source?.cancel()
  }

  #writePieces(body: Uint8Array): void {
    const stream = this.#stream
    let rest = body
    while (rest.byteLength > pieceBytes) {
      const piece = rest.subarray(0, pieceBytes)
      rest = rest.subarray(pieceBytes)
      this.bodyBytes += pieceBytes
      this.moved = true
      if (!stream.write(piece)) {
        this.#rest = rest
        this.#listen()
        return
      }
    }
    this.#rest = undefined
    this.bodyBytes += rest.byteLength
    stream.end(rest)
    this.#end()
  }

  #listen(): void {
    if (this.#listening) return
    this.#listening = true
    this.#stream.on('drain', this.#onDrain)
  }

  readonly #onDrain = (): void => {
    if (this.#over) return
    this.moved = true
    if (this.#rest !== undefined) this.#writePieces(this.#rest)
    else this.#source?.resume()
  }

  readonly #sendTrailers = (): void => {
    const fields: Record<string, string[]> = Object.create(null)
    const raw = this.#trailers ?? []
    for (let i = 0; i < raw.length; i += 2) {
      const name = (raw[i] as string).toLowerCase()
      if (!dropped.has(name)) (fields[name] ??= []).push(raw[i + 1] as string)
    }
    try {
      this.#stream.sendTrailers(fields)
    } catch {
      resetStream(this.#stream, errorCode.internalError)
    }
  }

  #impossible(source: BodySource | undefined, reason: string): string {
    this.#stop()
    source?.cancel()
    resetStream(this.#stream, errorCode.internalError)
    return reason
  }

  #end(): void {
    this.ended = true
    this.#stop()
    this.#written()
  }

  #stop(): void {
    this.#over = true
    this.#source = undefined
    this.#rest = undefined
  }
}

/** Names and values alternating, as Node takes them; undefined when a value would break out of its field. */
function headerList(
  answer: GatewayResponse,
  id: string,
  transportSecurity: string | undefined,
): (string | number)[] | undefined {
  const raw = answer.headers
  const list: (string | number)[] = [constants.HTTP2_HEADER_STATUS, answer.status]
  let named = false
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase()
    const value = raw[i + 1] as string
    if (dropped.has(name)) continue
    if (name === 'x-request-id') named = true
    if (hasControl(value)) return undefined
    list.push(name, value)
  }
  if (answer.length !== undefined && answer.status !== 204) list.push('content-length', String(answer.length))
  if (!named) list.push('x-request-id', id)
  if (transportSecurity !== undefined) list.push('strict-transport-security', transportSecurity)
  return list
}

/** Node joins fields with NUL before it hands them on: one inside a value would make two fields of it. */
function hasControl(value: string): boolean {
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i)
    if (code < 0x20 && code !== 0x09) return true
  }
  return false
}

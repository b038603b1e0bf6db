import type { ServerResponse } from 'node:http'
import type { BodySink, BodySource } from '../../body.ts'
import type { GatewayResponse } from '../../exchange.ts'
import type { RawFields } from '../../http/fields.ts'
import type { Http1Connection } from './connection.ts'

/** One write at most: 100 stalled readers of one large body must not cost its size each. */
const pieceBytes = 64 * 1024

export type Written = (status: number, bodyBytes: number, complete: boolean) => void

/**
 * Writes one answer to a client: frames it, streams it with backpressure, and cuts it where it was cut upstream, so that a
 * part never looks like the whole. Memory: what the socket holds unsent, at most one piece (64 KiB) beyond its mark.
 */
export class ResponseWriter implements BodySink {
  readonly #response: ServerResponse
  readonly #connection: Http1Connection
  readonly #isHead: boolean
  #written: Written = () => {}
  #status = 0
  #bodyBytes = 0
  #source: BodySource | undefined
  #rest: Uint8Array | undefined
  #listening = false
  #over = false

  constructor(response: ServerResponse, connection: Http1Connection, isHead: boolean) {
    this.#response = response
    this.#connection = connection
    this.#isHead = isHead
  }

  /** `written` is called once: when the last byte was handed to the socket, or when the answer was cut. */
  write(answer: GatewayResponse, written: Written): void {
    this.#written = written
    this.#status = answer.status
    if (answer.detached === true) {
      this.#over = true
      written(answer.status, 0, true)
      return
    }
    const { body, headers, status } = answer
    const response = this.#response
    const bodiless = this.#isHead || status === 204 || status === 304
    if (answer.length !== undefined && status !== 204) headers.push('Content-Length', String(answer.length))
    if (this.#connection.lastAnswer) headers.push('Connection', 'close')
    try {
      response.writeHead(status, headers)
    } catch {
      // Node refuses a status or a field that our own parser let through: the client gets nothing rather than half of it.
      if (body !== undefined && !(body instanceof Uint8Array)) body.cancel()
      this.#connection.destroy()
      this.#end(false)
      return
    }
    this.#connection.wrote()
    if (body === undefined || bodiless) {
      if (body !== undefined && !(body instanceof Uint8Array)) body.cancel()
      response.end()
      this.#end(true)
    } else if (body instanceof Uint8Array) {
      if (body.byteLength <= pieceBytes) {
        this.#bodyBytes = body.byteLength
        response.end(body)
        this.#end(true)
      } else {
        this.#rest = body
        this.#writePieces()
      }
    } else {
      this.#source = body
      body.start(this)
      // The head goes out with the first piece; when that is not there yet, at once.
      if (!this.#over && this.#bodyBytes === 0) response.flushHeaders()
    }
  }

  data(chunk: Uint8Array): boolean {
    if (this.#over) return false
    this.#bodyBytes += chunk.byteLength
    this.#connection.wrote()
    if (this.#response.write(chunk)) return true
    this.#listen()
    return false
  }

  end(trailers?: RawFields): void {
    if (this.#over) return
    const response = this.#response
    if (trailers !== undefined && trailers.length > 0 && response.chunkedEncoding) {
      const pairs: [string, string][] = []
      for (let i = 0; i < trailers.length; i += 2)
        pairs.push([trailers[i] as string, trailers[i + 1] as string])
      response.addTrailers(pairs)
    }
    response.end()
    this.#end(true)
  }

  /** The body stopped half-way: no terminator, no clean close (a reset tells even HTTP/1.0 readers). */
  fail(): void {
    if (this.#over) return
    this.#resetSocket()
    this.#end(false)
  }

  /** The client has gone. */
  cut(): void {
    this.#source?.cancel()
    this.#end(false)
  }

  #writePieces(): void {
    let rest = this.#rest as Uint8Array
    while (!this.#over) {
      const piece = rest.subarray(0, pieceBytes)
      rest = rest.subarray(piece.byteLength)
      this.#rest = rest
      this.#bodyBytes += piece.byteLength
      this.#connection.wrote()
      if (rest.byteLength === 0) {
        this.#rest = undefined
        this.#response.end(piece)
        this.#end(true)
        return
      }
      if (!this.#response.write(piece)) {
        this.#listen()
        return
      }
    }
  }

  #listen(): void {
    if (this.#listening) return
    this.#listening = true
    this.#response.on('drain', this.#onDrain)
  }

  readonly #onDrain = (): void => {
    if (this.#over) return
    this.#connection.wrote()
    if (this.#rest !== undefined) this.#writePieces()
    else this.#source?.resume()
  }

  #resetSocket(): void {
    const { socket } = this.#connection
    // Over TLS the missing close_notify is what tells; a reset there would only lose bytes already on the way.
    if ('encrypted' in socket) socket.destroy()
    else socket.resetAndDestroy()
  }

  #end(complete: boolean): void {
    if (this.#over) return
    this.#over = true
    this.#source = undefined
    this.#rest = undefined
    this.#written(this.#status, this.#bodyBytes, complete)
  }
}

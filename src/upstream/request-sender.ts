import type { BodySink, RequestBody } from '../body.ts'
import { ClientClosedError, type GatewayError } from '../errors.ts'
import type { RawFields } from '../http/fields.ts'
import type { UpstreamConnection } from './connection.ts'

/** Up to here a piece is copied behind its head or chunk size, to leave in one write. */
const copyBytes = 16_384

/** Who is told how the sending ended. */
export interface SenderOwner {
  onRequestSent(): void
  onRequestFailed(error: GatewayError): void
}

/**
 * Streams one request body to the origin, framed by its length or in chunks, as fast as the socket takes it.
 * A body that fails or does not have its announced length is never finished: the owner breaks the connection.
 * Holds the request head until the first piece is there, so that both leave in one write.
 */
export class RequestSender implements BodySink {
  readonly #body: RequestBody
  readonly #owner: SenderOwner
  #connection: UpstreamConnection | undefined = undefined
  #head: string | undefined = undefined
  #begun = false
  #over = false
  /** Bytes still to come of a body with a length. */
  #left: number

  constructor(body: RequestBody, owner: SenderOwner) {
    this.#body = body
    this.#owner = owner
    this.#left = body.length ?? 0
  }

  /** True while the same request can still be sent from its start. */
  get replayable(): boolean {
    return !this.#over && !this.#body.started
  }

  /** Sends on `connection`; a second time only while `replayable`. */
  send(connection: UpstreamConnection, head: string): void {
    this.#connection = connection
    this.#head = head
    if (this.#begun) this.#body.resume()
    else {
      this.#begun = true
      this.#body.start(this)
    }
    // The body has not begun yet: the origin gets the head now.
    if (this.#head !== undefined && !this.#over) {
      connection.write(this.#head)
      this.#head = undefined
    }
  }

  /** No more: what is left of the body is its engine's to discard. */
  stop(): void {
    if (this.#over) return
    this.#over = true
    this.#connection = undefined
    this.#body.cancel()
  }

  onDrain(): void {
    if (!this.#over) this.#body.resume()
  }

  data(chunk: Uint8Array): boolean {
    const connection = this.#connection
    if (this.#over || connection === undefined || chunk.byteLength === 0) return !this.#over
    if (this.#body.length === undefined)
      return this.#write(connection, `${chunk.byteLength.toString(16)}\r\n`, chunk, '\r\n')
    this.#left -= chunk.byteLength
    if (this.#left < 0) {
      this.#fail(new ClientClosedError('request body longer than announced'))
      return false
    }
    return this.#write(connection, '', chunk, '')
  }

  end(trailers?: RawFields): void {
    const connection = this.#connection
    if (this.#over || connection === undefined) return
    if (this.#left > 0) {
      this.#fail(new ClientClosedError('request body shorter than announced'))
      return
    }
    this.#over = true
    const head = this.#head ?? ''
    this.#head = undefined
    if (this.#body.length === undefined) connection.write(`${head}0\r\n${trailerLines(trailers)}\r\n`)
    else if (head !== '') connection.write(head)
    this.#owner.onRequestSent()
  }

  fail(error: GatewayError): void {
    this.#fail(error)
  }

  #fail(error: GatewayError): void {
    if (this.#over) return
    this.stop()
    this.#owner.onRequestFailed(error)
  }

  #write(connection: UpstreamConnection, before: string, chunk: Uint8Array, after: string): boolean {
    const prefix = (this.#head ?? '') + before
    this.#head = undefined
    if (prefix === '' && after === '') return connection.write(chunk)
    if (chunk.byteLength <= copyBytes) {
      const joined = Buffer.allocUnsafe(prefix.length + chunk.byteLength + after.length)
      joined.write(prefix, 0, 'latin1')
      joined.set(chunk, prefix.length)
      if (after !== '') joined.write(after, prefix.length + chunk.byteLength, 'latin1')
      return connection.write(joined)
    }
    connection.cork()
    connection.write(prefix)
    let flows = connection.write(chunk)
    if (after !== '') flows = connection.write(after)
    connection.uncork()
    return flows
  }
}

function trailerLines(trailers: RawFields | undefined): string {
  if (trailers === undefined) return ''
  let lines = ''
  for (let i = 0; i < trailers.length; i += 2)
    lines += `${trailers[i] as string}: ${trailers[i + 1] as string}\r\n`
  return lines
}

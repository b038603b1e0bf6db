import type { ServerHttp2Stream } from 'node:http2'
import {
  ClientClosedError,
  type GatewayError,
  reason,
  toGatewayError,
  RequestTimeoutError,
} from '../../errors.ts'
import { Exchange, type GatewayResponse } from '../../exchange.ts'
import type { RawFields } from '../../http/fields.ts'
import { newRequestId } from '../request-id.ts'
import type { ConnectionTimeouts, Service } from '../service.ts'
import type { Http2Connection } from './connection.ts'
import { errorCode } from './frames.ts'
import type { InboundStream } from './gate.ts'
import { Http2RequestBody } from './request-body.ts'
import { judgeHead } from './request-head.ts'
import { ResponseWriter } from './response-writer.ts'
import { resetStream } from './stream-reset.ts'

/** One request on an HTTP/2 connection: joins a stream to an Exchange. Dropped with the stream. */
export class Http2Exchange {
  readonly inbound: InboundStream
  readonly #connection: Http2Connection
  readonly #stream: ServerHttp2Stream
  readonly #service: Service
  readonly #exchange: Exchange
  readonly #body: Http2RequestBody | undefined
  readonly #writer: ResponseWriter
  readonly #fault: GatewayError | undefined
  #cutReason: GatewayError | undefined
  #done = false
  /** Milliseconds for which the client has taken nothing of what waits for it. */
  #stillMs = 0

  constructor(connection: Http2Connection, stream: ServerHttp2Stream, inbound: InboundStream) {
    const { context } = connection
    const service = context.service()
    const verdict = judgeHead(inbound.fields, connection.connection.encrypted, service.limits)
    inbound.fields = []
    this.inbound = inbound
    this.#connection = connection
    this.#stream = stream
    this.#service = service
    this.#fault = verdict.fault
    // A body of which all bytes are known to be none is none.
    const hasBody =
      verdict.fault === undefined &&
      !(inbound.ended && inbound.received === 0 && inbound.trailers === undefined)
    this.#body = hasBody ? new Http2RequestBody(stream, inbound, service.limits.maxBodyBytes) : undefined
    const client = service.resolveClient(connection.connection.remoteAddress, verdict.head.headers)
    this.#exchange = new Exchange({
      id: client.requestId ?? newRequestId(),
      request: verdict.head,
      connection: connection.connection,
      clientAddress: client.address,
      peerTrusted: client.trusted,
      body: this.#body,
      upgrade: undefined,
      clock: context.clock,
      trace: service.trace,
    })
    this.#exchange.inform = this.#inform
    if (verdict.expectsContinue) this.#exchange.sendContinue = this.#sendContinue
    this.#writer = new ResponseWriter(stream, this.#written)
    stream.on('close', this.#onClose)
  }

  /** Runs the pipeline and writes the answer. */
  serve(): void {
    if (this.#fault !== undefined) {
      this.#exchange.error = this.#fault
      this.#write(this.#service.answerError(this.#exchange, this.#fault))
      return
    }
    let answer: GatewayResponse | Promise<GatewayResponse>
    try {
      answer = this.#service.handle(this.#exchange)
    } catch (error) {
      this.#fail(error)
      return
    }
    if (answer instanceof Promise) answer.then(this.#write, this.#fail)
    else this.#write(answer)
  }

  /** The client has reset the stream: the exchange ends now, whatever is still buffered. */
  clientReset(): void {
    this.#cut(new ClientClosedError('client reset the stream'))
    // A reset with NO_ERROR would leave the stream waiting for a reader.
    process.nextTick(() => this.#body?.discard())
  }

  /** What the client sent broke the protocol after it had begun well. */
  refuse(fault: string): void {
    this.#cut(new ClientClosedError(`malformed request: ${fault}`))
    // Not from within the gate: nghttp2 has yet to see the frame, and ends the whole session if its stream has gone meanwhile.
    process.nextTick(resetStream, this.#stream, errorCode.protocolError)
  }

  /** The client widened a window that this stream may have been waiting for. */
  granted(): void {
    this.#writer.moved = true
  }

  /**
   * Called by the engine's sweep. `socketBusy`: the connection itself is what the bytes wait for.
   * True when the stream was reset because its client stopped reading.
   */
  sweep(elapsedMs: number, timeouts: ConnectionTimeouts, socketBusy: boolean): boolean {
    if (this.#done) return false
    this.#body?.checkRate(elapsedMs, timeouts)
    const writer = this.#writer
    const { abortReason } = this.#exchange
    if (abortReason !== undefined && writer.headSent) {
      this.#reset(abortReason)
      return false
    }
    if (writer.moved || socketBusy || !writer.waiting) {
      writer.moved = false
      this.#stillMs = 0
      return false
    }
    this.#stillMs += elapsedMs
    if (this.#stillMs <= timeouts.writeMs) return false
    this.#reset(new ClientClosedError('client stopped reading'))
    return true
  }

  #reset(error: GatewayError): void {
    this.#cut(error)
    resetStream(this.#stream, errorCode.cancel)
  }

  #cut(error: GatewayError): void {
    if (this.#done || this.#cutReason !== undefined) return
    this.#cutReason = error
    this.#exchange.error ??= error
    this.#exchange.abort(error)
    this.#body?.fail(error)
    this.#writer.cut()
  }

  readonly #fail = (error: unknown): void => {
    if (this.#done || this.#cutReason !== undefined) return
    this.#write(this.#service.answerError(this.#exchange, toGatewayError(error)))
    // As with HTTP/1.1, a client that was too slow gets its 408 and the connection ends.
    if (error instanceof RequestTimeoutError) this.#connection.drain()
  }

  readonly #write = (answer: GatewayResponse): void => {
    if (this.#done || this.#cutReason !== undefined || this.#stream.closed) {
      // Nobody is left to read it: give the body up, so that its connection is not held.
      if (answer.body !== undefined && !(answer.body instanceof Uint8Array)) answer.body.cancel()
      return
    }
    const transportSecurity = this.#connection.connection.encrypted
      ? this.#service.strictTransportSecurity
      : undefined
    const isHead = this.#exchange.request.method === 'HEAD'
    let problem: string | undefined
    try {
      problem = this.#writer.write(answer, isHead, this.#exchange.id, transportSecurity)
    } catch (error) {
      // A body that throws at its start: nothing of it may reach the event loop, which would end the worker.
      problem = reason(error)
      this.#writer.fail()
    }
    if (problem === undefined) return
    this.#connection.context.logger.warn('answer could not be written', { id: this.#exchange.id, problem })
  }

  /** The answer was handed over in full. A request that has not ended by now is told to stop (RFC 9113 §8.1). */
  readonly #written = (): void => {
    const body = this.#body
    if (this.#exchange.sendContinue !== ignore) this.#exchange.sendContinue = ignore
    if (body === undefined ? this.inbound.ended : body.complete) return
    if (this.#stream.writableFinished) this.#dropRest()
    else this.#stream.once('finish', this.#dropRest)
  }

  readonly #dropRest = (): void => {
    this.#body?.fail(new ClientClosedError('answer was complete before the request body'))
    if (!this.inbound.ended) this.#stream.close(errorCode.noError)
    this.#body?.discard()
  }

  readonly #onClose = (): void => {
    const writer = this.#writer
    const complete = writer.ended && this.#cutReason === undefined && this.#stream.writableFinished
    if (!complete) this.#cut(new ClientClosedError())
    this.#connection.streamClosed(this, complete)
    if (this.#done) return
    this.#done = true
    const status = writer.headSent ? writer.status : (this.#cutReason?.status ?? 499)
    this.#service.finished(this.#exchange, { status, bodyBytes: writer.bodyBytes, complete })
  }

  readonly #inform = (status: number, headers: RawFields): boolean => {
    if (status === 101 || !this.#canInform()) return false
    const fields: Record<string, number | string | string[]> = Object.create(null)
    for (let i = 0; i < headers.length; i += 2) {
      const name = (headers[i] as string).toLowerCase()
      const before = fields[name]
      if (before === undefined) fields[name] = [headers[i + 1] as string]
      else (before as string[]).push(headers[i + 1] as string)
    }
    fields[':status'] = status
    return this.#additional(fields)
  }

  readonly #sendContinue = (): void => {
    this.#exchange.sendContinue = ignore
    if (this.#canInform()) this.#additional({ ':status': 100 })
  }

  #canInform(): boolean {
    const stream = this.#stream
    return (
      !this.#done &&
      this.#cutReason === undefined &&
      !stream.closed &&
      !stream.destroyed &&
      !stream.headersSent
    )
  }

  /** Node refuses fields that do not belong; an interim answer is not worth more than leaving it out. */
  #additional(fields: Record<string, number | string | string[]>): boolean {
    try {
      this.#stream.additionalHeaders(fields)
      return true
    } catch {
      return false
    }
  }
}

function ignore(): void {}

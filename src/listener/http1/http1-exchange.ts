import type { IncomingMessage, ServerResponse } from 'node:http'
import { ClientClosedError, type GatewayError } from '../../errors.ts'
import { Exchange, type GatewayResponse } from '../../exchange.ts'
import type { RawFields } from '../../http/fields.ts'
import { newRequestId } from '../request-id.ts'
import type { Service } from '../service.ts'
import type { Http1Connection } from './connection.ts'
import { Http1RequestBody } from './request-body.ts'
import { judgeHead } from './request-gate.ts'
import { ResponseWriter } from './response-writer.ts'

/** One request on an HTTP/1.1 connection: joins Node's request and response to an Exchange. */
export class Http1Exchange {
  readonly request: IncomingMessage
  readonly body: Http1RequestBody | undefined
  readonly #exchange: Exchange
  readonly #response: ServerResponse
  readonly #service: Service
  readonly #connection: Http1Connection
  readonly #fault: GatewayError | undefined
  #writer: ResponseWriter | undefined
  #serving = false
  #done = false

  private constructor(
    connection: Http1Connection,
    service: Service,
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    body: Http1RequestBody | undefined,
    fault: GatewayError | undefined,
  ) {
    this.#connection = connection
    this.#service = service
    this.#exchange = exchange
    this.request = request
    this.#response = response
    this.body = body
    this.#fault = fault
  }

  static open(
    connection: Http1Connection,
    request: IncomingMessage,
    response: ServerResponse,
  ): Http1Exchange {
    const { context } = connection
    const service = context.service()
    const verdict = judgeHead(
      {
        method: request.method as string,
        url: request.url as string,
        httpVersion: request.httpVersion,
        rawHeaders: request.rawHeaders,
      },
      connection.connection.encrypted,
      service.limits,
    )
    const body =
      verdict.hasBody && verdict.fault === undefined
        ? new Http1RequestBody(request, verdict.contentLength, service.limits.maxBodyBytes, context.clock)
        : undefined
    const client = service.resolveClient(connection.connection.remoteAddress, verdict.head.headers)
    const exchange = new Exchange({
      id: client.requestId ?? newRequestId(),
      request: verdict.head,
      connection: connection.connection,
      clientAddress: client.address,
      peerTrusted: client.trusted,
      body,
      upgrade: undefined,
      clock: context.clock,
      trace: service.trace,
    })
    // Writing after the client left makes Node emit 'error' here; the socket's 'close' has already told us.
    response.on('error', ignore)
    const joined = new Http1Exchange(connection, service, exchange, request, response, body, verdict.fault)
    if (request.httpVersion === '1.1') exchange.inform = joined.#inform
    if (verdict.expectsContinue) exchange.sendContinue = joined.#sendContinue
    return joined
  }

  /** Runs the pipeline and writes the answer, once. True when the exchange is over at return. */
  serve(): boolean {
    if (this.#serving) return this.#done
    this.#serving = true
    this.#answer()
    return this.#done
  }

  #answer(): void {
    if (this.#fault !== undefined) {
      this.#refuse(this.#fault)
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

  /** The client can send no more of the body. The pipeline hears of it through the body, and answers. */
  bodyFailed(error: GatewayError): void {
    if (this.body !== undefined && !this.body.complete) this.body.fail(error)
  }

  /** The connection is gone. */
  cut(error: ClientClosedError): void {
    if (this.#done) return
    this.#exchange.error ??= error
    this.#exchange.abort(error)
    this.body?.fail(error)
    if (this.#writer === undefined) this.#finish(error.status, 0, false)
    else this.#writer.cut()
  }

  /** A request that breaks the rules: answered, and the connection ends with it. */
  #refuse(fault: GatewayError): void {
    this.#connection.closing = true
    this.#exchange.error = fault
    this.#write(this.#service.answerError(this.#exchange, fault))
  }

  readonly #fail = (error: unknown): void => {
    if (this.#done) return
    this.#write(this.#service.answerError(this.#exchange, error as GatewayError))
  }

  readonly #write = (answer: GatewayResponse): void => {
    if (this.#done || this.#connection.closed) {
      // Nobody is left to read it: give the body up, so that its connection is not held.
      if (answer.body !== undefined && !(answer.body instanceof Uint8Array)) answer.body.cancel()
      return
    }
    const { encrypted } = this.#connection.connection
    const transportSecurity = this.#service.strictTransportSecurity
    if (encrypted && transportSecurity !== undefined)
      answer.headers.push('Strict-Transport-Security', transportSecurity)
    this.#writer = new ResponseWriter(
      this.#response,
      this.#connection,
      this.#exchange.request.method === 'HEAD',
    )
    this.#writer.write(answer, this.#written)
  }

  readonly #written = (status: number, bodyBytes: number, complete: boolean): void => {
    this.#finish(status, bodyBytes, complete)
    this.#connection.served(this)
  }

  #finish(status: number, bodyBytes: number, complete: boolean): void {
    if (this.#done) return
    this.#done = true
    if (!complete) this.#exchange.abort(this.#exchange.error ?? new ClientClosedError())
    this.#service.finished(this.#exchange, { status, bodyBytes, complete })
  }

  readonly #inform = (status: number, headers: RawFields): boolean => {
    if (this.#done || this.#connection.closed || this.#response.headersSent) return false
    this.#response.writeInformation(status, headers as string[])
    return true
  }

  readonly #sendContinue = (): void => {
    if (this.#done || this.#connection.closed || this.#response.headersSent) return
    this.#exchange.sendContinue = ignore
    this.#response.writeContinue()
  }
}

function ignore(): void {}

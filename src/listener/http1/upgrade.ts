import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ClientClosedError, type GatewayError } from '../../errors.ts'
import { Exchange, type GatewayResponse } from '../../exchange.ts'
import { newRequestId } from '../request-id.ts'
import type { EngineContext } from '../service.ts'
import type { Http1Connection } from './connection.ts'
import { writeRawAnswer } from './raw-answer.ts'
import { judgeHead } from './request-gate.ts'

/**
 * Sends a WebSocket request through the pipeline like any other; the upstream stage takes the socket over when the origin
 * agrees (`detached`). Otherwise the answer goes back and the connection ends, since Node's parser has let go of it.
 */
export function serveUpgrade(
  context: EngineContext,
  connection: Http1Connection,
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
): void {
  const service = context.service()
  const parsed = {
    method: request.method as string,
    url: request.url as string,
    httpVersion: request.httpVersion,
    rawHeaders: request.rawHeaders,
  }
  const verdict = judgeHead(parsed, connection.connection.encrypted, service.limits)
  const client = service.resolveClient(connection.connection.remoteAddress, verdict.head.headers)
  const exchange = new Exchange({
    id: client.requestId ?? newRequestId(),
    request: verdict.head,
    connection: connection.connection,
    clientAddress: client.address,
    peerTrusted: client.trusted,
    body: undefined,
    upgrade: { request, socket, head },
    clock: context.clock,
    trace: service.trace,
  })

  let over = false
  connection.upgrading = true
  const finish = (status: number, bodyBytes: number, complete: boolean): void => {
    if (over) return
    over = true
    connection.upgrading = false
    service.finished(exchange, { status, bodyBytes, complete })
  }
  const write = (answer: GatewayResponse): void => {
    if (over) {
      if (answer.body !== undefined && !(answer.body instanceof Uint8Array)) answer.body.cancel()
      return
    }
    if (answer.detached === true) {
      finish(answer.status, 0, true)
      return
    }
    writeRawAnswer(socket, answer, false, (bodyBytes, complete) => finish(answer.status, bodyBytes, complete))
  }
  const fail = (error: unknown): void => write(service.answerError(exchange, error as GatewayError))

  socket.on('close', () => {
    if (over) return
    const gone = new ClientClosedError()
    exchange.error ??= gone
    exchange.abort(gone)
    finish(gone.status, 0, false)
  })

  if (verdict.fault !== undefined) {
    exchange.error = verdict.fault
    fail(verdict.fault)
    return
  }
  try {
    const answer = service.handle(exchange)
    if (answer instanceof Promise) answer.then(write, fail)
    else write(answer)
  } catch (error) {
    fail(error)
  }
}

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { BadRequestError, ClientClosedError, type GatewayError, RequestTimeoutError } from '../../errors.ts'
import { type Connection, Exchange } from '../../exchange.ts'
import type { Engine } from '../engine.ts'
import { newRequestId } from '../request-id.ts'
import type { EngineContext } from '../service.ts'
import { Http1Connection } from './connection.ts'
import { writeRawAnswer } from './raw-answer.ts'
import { headForLog } from './request-gate.ts'
import { isWebSocketRequest } from './upgrade-rules.ts'
import { serveUpgrade } from './upgrade.ts'

const sweepMs = 500

/** Where a socket keeps its connection, so that Node's events find it without a map. */
const own: unique symbol = Symbol('http1 connection')
type OwnedSocket = Socket & { [own]?: Http1Connection }

/**
 * The HTTP/1.1 engine: Node's HTTP server (llhttp, strict) on sockets that the listener hands over, and our own gate behind it.
 * It decides nothing about requests but whether they are well formed (request-gate.ts). Never a lenient parser.
 * Memory: one Http1Connection a socket; the listener bounds how many there are.
 */
export function createHttp1Engine(context: EngineContext): Engine {
  const connections = new Set<Http1Connection>()
  const { timeouts, clock, logger } = context
  let draining = false

  const server = createServer({
    // A request that fits our own limits must get past llhttp, so that the answer is ours (414, 431).
    maxHeaderSize: 4096 + context.service().limits.maxHeaderBytes + context.service().limits.maxUriBytes,
    headersTimeout: timeouts.headerMs,
    // Bodies are watched by the sweep, which knows whether it is the client who is slow.
    requestTimeout: 0,
    keepAliveTimeout: timeouts.idleMs,
    connectionsCheckingInterval: sweepMs,
    requireHostHeader: false,
    optimizeEmptyRequests: true,
    insecureHTTPParser: false,
    shouldUpgradeCallback: (request) =>
      isWebSocketRequest(request.method as string, request.httpVersion, request.rawHeaders),
  })
  // Node drops fields past its count in silence; 0 means all of them, and our gate answers 431.
  server.maxHeadersCount = 0
  // Clients may send FIN and wait for the answer; clients that left are found by the sweep.
  ;(server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true
  // A server that never listens would never check header timeouts: Node starts that on 'listening'.
  server.emit('listening')

  const take = (request: IncomingMessage, response: ServerResponse): void => {
    const connection = (request.socket as OwnedSocket)[own]
    if (connection === undefined) response.destroy()
    else connection.take(request, response)
  }
  server.on('request', take)
  server.on('checkContinue', take)
  server.on('checkExpectation', take)

  server.on('clientError', (error: NodeJS.ErrnoException, duplex) => {
    const socket = duplex as OwnedSocket
    const connection = socket[own]
    if (connection === undefined) {
      socket.destroy()
      return
    }
    // Bytes behind a request that said `Connection: close` are none of our business (RFC 9112 §9.6).
    if (error.code === 'HPE_CLOSED_CONNECTION' && connection.busy) return
    const fault = faultOf(error)
    if (connection.broke(fault)) return
    if (fault instanceof ClientClosedError || socket.bytesRead === 0) {
      socket.destroy()
      return
    }
    answerBroken(context, connection, fault)
  })

  server.on('upgrade', (request, duplex, head) => {
    const socket = duplex as OwnedSocket
    const connection = socket[own]
    socket.on('error', ignore)
    // An upgrade behind unanswered requests cannot be put in order any more.
    if (connection === undefined || connection.busy || connection.ending) socket.destroy()
    else serveUpgrade(context, connection, request, socket, head)
  })

  server.on('connect', (_request, duplex) => {
    const socket = duplex as OwnedSocket
    socket.on('error', ignore)
    const connection = socket[own]
    if (connection === undefined || connection.busy) socket.destroy()
    else
      answerBroken(
        context,
        connection,
        new BadRequestError('CONNECT', { code: 'method_not_allowed', status: 405 }),
      )
  })

  const sweep = clock.every(sweepMs, () => {
    const now = clock.nowMs()
    for (const connection of connections) connection.sweep(now)
  })

  return {
    accept(socket: Socket, facts: Connection): void {
      const connection = new Http1Connection(socket, facts, context)
      connection.ending = draining
      ;(socket as OwnedSocket)[own] = connection
      connections.add(connection)
      socket.on('close', () => {
        connections.delete(connection)
        connection.gone()
      })
      socket.on('end', () => connection.halfClosed())
      server.emit('connection', socket)
    },
    drain(): void {
      draining = true
      for (const connection of connections) {
        connection.ending = true
        if (!connection.busy) connection.socket.end()
      }
      logger.debug('http1 draining', { connections: connections.size })
    },
    destroy(): void {
      sweep.cancel()
      server.close()
      for (const connection of connections) connection.destroy()
    },
    get connections(): number {
      return connections.size
    },
  }
}

/** What a parser or socket error means for the client. */
function faultOf(error: NodeJS.ErrnoException): GatewayError {
  const code = error.code ?? ''
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new BadRequestError('header section too large', {
        code: 'header_too_large',
        status: 431,
        cause: error,
      })
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new BadRequestError('chunk extensions too large', {
        code: 'body_too_large',
        status: 413,
        cause: error,
      })
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new RequestTimeoutError('header')
    case 'HPE_INVALID_EOF_STATE':
      return new ClientClosedError('client closed the connection inside a request', { cause: error })
    default:
      if (code.startsWith('HPE_'))
        return new BadRequestError(`malformed request: ${error.message}`, { cause: error })
      return new ClientClosedError(`connection failed: ${error.message}`, { cause: error })
  }
}

/** Answers bytes that never became a request, with a log line like any other. */
function answerBroken(context: EngineContext, connection: Http1Connection, fault: GatewayError): void {
  const service = context.service()
  const { remoteAddress, encrypted } = connection.connection
  const exchange = new Exchange({
    id: newRequestId(),
    request: headForLog({ method: '-', url: '-', httpVersion: '1.1', rawHeaders: [] }, encrypted),
    connection: connection.connection,
    clientAddress: service.resolveClient(remoteAddress, []).address,
    peerTrusted: false,
    body: undefined,
    upgrade: undefined,
    clock: context.clock,
    trace: service.trace,
  })
  exchange.error = fault
  connection.closing = true
  const answer = service.answerError(exchange, fault)
  writeRawAnswer(connection.socket, answer, false, (bodyBytes, complete) => {
    service.finished(exchange, { status: answer.status, bodyBytes, complete })
  })
}

function ignore(): void {}

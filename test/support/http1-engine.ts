import { createServer, type Server, type Socket } from 'node:net'
import { connect } from 'node:net'
import { once } from 'node:events'
import { systemClock, type Clock } from '../../src/clock.ts'
import { toGatewayError } from '../../src/errors.ts'
import { type Exchange, type Handler, noTrace } from '../../src/exchange.ts'
import { createHttp1Engine } from '../../src/listener/http1/engine.ts'
import type { ConnectionTimeouts, Outcome, RequestLimits, Service } from '../../src/listener/service.ts'
import { silentLogger } from '../../src/log.ts'

export interface Finished extends Outcome {
  readonly exchange: Exchange
}

export interface TestEngine {
  readonly port: number
  readonly finished: Finished[]
  /** Runs the pending connection sweep by hand where a manual clock is used. */
  readonly sockets: Set<Socket>
  readonly drain: () => void
  readonly connections: () => number
  stop(): Promise<void>
}

export const testLimits: RequestLimits = {
  maxUriBytes: 4096,
  maxHeaderBytes: 16_384,
  maxHeaderCount: 100,
  maxBodyBytes: 1024 * 1024,
}

export const testTimeouts: ConnectionTimeouts = {
  handshakeMs: 10_000,
  headerMs: 10_000,
  bodyMs: 10_000,
  minBodyRate: 500,
  idleMs: 10_000,
  writeMs: 10_000,
  halfCloseMs: 1000,
}

/** The HTTP/1.1 engine on a plain socket with the given handler for a pipeline. */
export async function startHttp1Engine(
  handle: Handler,
  over: { clock?: Clock; limits?: Partial<RequestLimits>; timeouts?: Partial<ConnectionTimeouts> } = {},
): Promise<TestEngine> {
  const finished: Finished[] = []
  const sockets = new Set<Socket>()
  const service: Service = {
    handle,
    answerError(exchange, cause) {
      const error = toGatewayError(cause)
      exchange.error ??= error
      const body = Buffer.from(`${error.status} ${error.code}`)
      return { status: error.status, headers: ['Content-Type', 'text/plain'], body, length: body.length }
    },
    finished: (exchange, outcome) => void finished.push({ exchange, ...outcome }),
    trace: noTrace,
    limits: { ...testLimits, ...over.limits },
    resolveClient: (address) => ({ address, trusted: false, requestId: undefined }),
    strictTransportSecurity: undefined,
  }
  const engine = createHttp1Engine({
    clock: over.clock ?? systemClock,
    logger: silentLogger,
    service: () => service,
    timeouts: { ...testTimeouts, ...over.timeouts },
  })
  let next = 0
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    next += 1
    engine.accept(socket, {
      id: next,
      listener: 'test',
      encrypted: false,
      remoteAddress: '127.0.0.1',
      remotePort: socket.remotePort ?? 0,
      localPort: socket.localPort ?? 0,
      tls: undefined,
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    finished,
    sockets,
    drain: () => engine.drain(),
    connections: () => engine.connections,
    async stop() {
      engine.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Sends bytes (and FIN, with `fin`), reads to the end of the connection (or until `until` matches), and returns what came as latin1. */
export async function rawRequest(
  port: number,
  bytes: string | readonly string[],
  until?: RegExp,
  fin = false,
): Promise<{ text: string; closed: boolean; socket: Socket }> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.setNoDelay(true)
  let text = ''
  let closed = false
  const done = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (until?.test(text) === true) resolve()
    })
    socket.on('error', () => {
      closed = true
      resolve()
    })
    socket.on('end', () => {
      closed = true
      socket.end()
      resolve()
    })
    socket.on('close', () => {
      closed = true
      resolve()
    })
  })
  for (const part of typeof bytes === 'string' ? [bytes] : bytes) socket.write(part, 'latin1')
  if (fin) socket.end()
  await done
  return { text, closed, socket }
}

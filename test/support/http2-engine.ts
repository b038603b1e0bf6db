import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { BodySource } from '../../src/body.ts'
import { systemClock, type Clock } from '../../src/clock.ts'
import { toGatewayError } from '../../src/errors.ts'
import { type Exchange, type GatewayResponse, type Handler, noTrace } from '../../src/exchange.ts'
import type { RawFields } from '../../src/http/fields.ts'
import { createHttp2Engine } from '../../src/listener/http2/engine.ts'
import type { ConnectionTimeouts, Outcome, RequestLimits, Service } from '../../src/listener/service.ts'
import { silentLogger } from '../../src/log.ts'

export interface Http2Finished extends Outcome {
  readonly exchange: Exchange
}

export interface TestHttp2Engine {
  readonly port: number
  readonly finished: Http2Finished[]
  /** What the handler was given, in order. */
  readonly seen: Exchange[]
  readonly sockets: Set<Socket>
  drain(): void
  connections(): number
  stop(): Promise<void>
}

const limits: RequestLimits = {
  maxUriBytes: 4096,
  maxHeaderBytes: 16_384,
  maxHeaderCount: 100,
  maxBodyBytes: 1024 * 1024,
}

const timeouts: ConnectionTimeouts = {
  handshakeMs: 10_000,
  headerMs: 10_000,
  bodyMs: 10_000,
  minBodyRate: 500,
  idleMs: 60_000,
  writeMs: 10_000,
  halfCloseMs: 1000,
}

/** The HTTP/2 engine on a plain socket, by prior knowledge, with the given handler for a pipeline. */
export async function startHttp2Engine(
  handle: Handler,
  over: {
    clock?: Clock
    limits?: Partial<RequestLimits>
    timeouts?: Partial<ConnectionTimeouts>
    streams?: number
    transportSecurity?: string
  } = {},
): Promise<TestHttp2Engine> {
  const finished: Http2Finished[] = []
  const seen: Exchange[] = []
  const sockets = new Set<Socket>()
  const service: Service = {
    handle(exchange) {
      seen.push(exchange)
      return handle(exchange)
    },
    answerError(exchange, cause) {
      const error = toGatewayError(cause)
      exchange.error ??= error
      const body = Buffer.from(`${error.status} ${error.code}`)
      return { status: error.status, headers: ['Content-Type', 'text/plain'], body, length: body.length }
    },
    finished: (exchange, outcome) => void finished.push({ exchange, ...outcome }),
    trace: noTrace,
    limits: { ...limits, ...over.limits },
    resolveClient: (address) => ({ address, trusted: false, requestId: undefined }),
    strictTransportSecurity: over.transportSecurity,
  }
  const engine = createHttp2Engine(
    {
      clock: over.clock ?? systemClock,
      logger: silentLogger,
      service: () => service,
      timeouts: { ...timeouts, ...over.timeouts },
    },
    { maxConcurrentStreams: over.streams ?? 100 },
  )
  let next = 0
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    next += 1
    engine.accept(socket, {
      id: next,
      listener: 'test',
      encrypted: true,
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
    seen,
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

/** A whole answer in memory. */
export function answer(status: number, text: string, headers: string[] = []): GatewayResponse {
  const body = Buffer.from(text)
  return { status, headers, body, length: body.length }
}

export interface ReadBody {
  readonly bytes: Buffer
  readonly trailers: RawFields | undefined
}

/** Reads a body to its end; rejects when it is cut. */
export function readBody(source: BodySource | undefined): Promise<ReadBody> {
  if (source === undefined) return Promise.resolve({ bytes: Buffer.alloc(0), trailers: undefined })
  const chunks: Uint8Array[] = []
  return new Promise((resolve, reject) => {
    source.start({
      data(chunk) {
        chunks.push(chunk)
        return true
      },
      end: (trailers) => resolve({ bytes: Buffer.concat(chunks), trailers }),
      fail: reject,
    })
  })
}

import { lstat, rm } from 'node:fs/promises'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { reason } from '../errors.ts'
import type { Logger } from '../log.ts'
import { type ListenAddress, printListenAddress } from '../net-address.ts'
import { judgeAdminRequest } from './request-gate.ts'
import { type AdminAnswer, type AdminTarget, answerAdmin } from './routes.ts'

/**
 * The admin endpoint: health, traces and control over plain HTTP on a loopback address or a unix socket, in the main
 * thread. It decides who may ask (request-gate.ts) and what the answer is (routes.ts); it never carries traffic.
 *
 * Memory: at most 64 connections with 8 KiB of head each; request bodies are not read, and end the connection.
 */
export interface AdminServer {
  /** As bound, with the real port: `127.0.0.1:2019` or `unix:/path`. */
  readonly address: string
  close(): Promise<void>
}

/** Rejects with the system's error when the address cannot be bound. */
export async function openAdmin(
  address: ListenAddress,
  target: AdminTarget,
  logger: Logger,
): Promise<AdminServer> {
  const overUnixSocket = address.kind === 'unix'
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5_000,
      requestTimeout: 5_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      serve(request, response, target, overUnixSocket).catch((error: unknown) => {
        logger.error('admin request failed', { reason: reason(error) })
        if (response.headersSent) response.destroy()
        else send(request, response, { status: 500, body: { error: 'internal error' } })
      })
    },
  )
  server.maxConnections = 64
  server.on('clientError', (_error, socket) => socket.destroy())
  if (address.kind === 'unix') await removeStaleSocket(address.path)
  await listen(server, address)
  server.on('error', (error) => logger.warn('admin endpoint', { reason: reason(error) }))
  return {
    address: printBound(address, server.address()),
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      if (address.kind === 'unix') await rm(address.path, { force: true })
    },
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  target: AdminTarget,
  overUnixSocket: boolean,
): Promise<void> {
  const method = request.method ?? ''
  const verdict = judgeAdminRequest(method, request.rawHeaders, overUnixSocket)
  send(
    request,
    response,
    verdict.kind === 'allowed'
      ? await answerAdmin(target, method, request.url ?? '/')
      : { status: verdict.status, body: { error: verdict.reason } },
  )
}

function send(request: IncomingMessage, response: ServerResponse, answer: AdminAnswer): void {
  const body = `${JSON.stringify(answer.body)}\n`
  const hasBody =
    request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined
  response.writeHead(answer.status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(answer.allow === undefined ? {} : { Allow: answer.allow }),
    ...(hasBody ? { Connection: 'close' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function printBound(asked: ListenAddress, bound: string | AddressInfo | null): string {
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  return printListenAddress(
    asked.kind === 'unix' ? asked : { ...asked, host: asked.host ?? '127.0.0.1', port },
  )
}

async function listen(server: Server, address: ListenAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    if (address.kind === 'unix') server.listen({ path: address.path, exclusive: true }, resolve)
    else server.listen({ host: address.host ?? '127.0.0.1', port: address.port, exclusive: true }, resolve)
  }).finally(() => server.removeAllListeners('error'))
}

/** Removes a socket file that nobody serves any more: what a killed gateway leaves behind. */
async function removeStaleSocket(path: string): Promise<void> {
  const facts = await lstat(path).catch(() => undefined)
  if (facts?.isSocket() !== true) return
  const refused = await new Promise<boolean>((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'))
  })
  if (refused) await rm(path, { force: true })
}

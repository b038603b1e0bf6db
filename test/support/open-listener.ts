import { randomBytes } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { systemClock } from '../../src/clock.ts'
import type { Clock } from '../../src/clock.ts'
import type { Connection } from '../../src/exchange.ts'
import type { Engine } from '../../src/listener/engine.ts'
import { type ListenerDeps, openListener, type OpenListener } from '../../src/listener/listener.ts'
import type { ListenerOptions } from '../../src/listener/options.ts'
import type { ListenerPlan } from '../../src/listener/plan.ts'
import { silentLogger } from '../../src/log.ts'
import { ConnectionTable } from '../../src/shared/connection-table.ts'

/** Answers every connection with what it knows about it and echoes what it is sent, prefixed by its own name. */
export class EchoEngine implements Engine {
  readonly accepted: Connection[] = []
  readonly sockets = new Set<Socket>()
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  get connections(): number {
    return this.sockets.size
  }

  accept(socket: Socket, connection: Connection): void {
    this.accepted.push(connection)
    this.sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.sockets.delete(socket))
    socket.on('end', () => socket.end())
    socket.on('data', (chunk: Buffer) => socket.write(`${this.name}:${chunk.toString('latin1')}`))
  }

  drain(): void {
    this.destroy()
  }

  destroy(): void {
    for (const socket of this.sockets) socket.destroy()
  }
}

export interface TestListener {
  readonly listener: OpenListener
  readonly http1: EchoEngine
  readonly http2: EchoEngine
  readonly table: ConnectionTable
  readonly plan: ListenerPlan
  readonly port: number
}

export interface TestListenerInit {
  readonly options?: Partial<ListenerOptions>
  readonly plan?: Partial<ListenerPlan>
  readonly clock?: Clock
  readonly deps?: Partial<ListenerDeps>
}

/** A listener with echo engines on a free port of 127.0.0.1. */
export async function openTestListener(init: TestListenerInit = {}): Promise<TestListener> {
  const http1 = new EchoEngine('h1')
  const http2 = new EchoEngine('h2')
  const table = init.deps?.table ?? new ConnectionTable(ConnectionTable.allocate(100, 2, 1), 0)
  const options: ListenerOptions = {
    name: ':0',
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    tls: undefined,
    http2: true,
    proxyProtocol: undefined,
    redirectToHttps: undefined,
    ...init.options,
  }
  const plan: ListenerPlan = {
    options,
    material: undefined,
    engines: { http1, http2 },
    limits: { maxConnections: 100, maxConnectionsPerClient: undefined },
    handshakeTimeoutMs: 10_000,
    admit: () => 'accept',
    isTrustedProxy: () => false,
    ...init.plan,
  }
  let id = 0
  const listener = await openListener(plan, {
    clock: init.clock ?? systemClock,
    logger: silentLogger,
    table,
    nextConnectionId: () => (id += 1),
    ticketKey: randomBytes(48),
    worker: 0,
    ...init.deps,
  })
  const port = listener.address.kind === 'tcp' ? listener.address.port : 0
  return { listener, http1, http2, table, plan, port }
}

/** Collects what a socket sends until it closes or `enough` is reached; never rejects, a reset counts as the end. */
export function readUntil(socket: Socket, enough: (text: string) => boolean): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (enough(text)) resolve(text)
    })
  })
}

/** A raw client that has connected, or was refused so quickly that it only saw the reset. */
export async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  await new Promise<void>((resolve) => {
    socket.once('connect', () => resolve())
    socket.once('close', () => resolve())
  })
  return socket
}

/** Resolves when the socket is closed, however it came about. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) resolve()
    socket.on('error', () => {})
    socket.resume()
    socket.once('close', () => resolve())
  })
}

/** Waits until `condition` holds; fails by the test's own timeout. For effects that show in counters only. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => void setImmediate(resolve))
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => void server.close(() => resolve()))
  return port
}

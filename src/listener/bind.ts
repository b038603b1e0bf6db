import { lstat, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { reason } from '../errors.ts'
import { type ListenAddress, printListenAddress } from '../net-address.ts'

/** A listen address that cannot be had. The message is one line and names the address. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: string | undefined

  constructor(address: ListenAddress, cause: unknown) {
    const code = codeOf(cause)
    super(`cannot listen on ${printListenAddress(address)}: ${explanations[code ?? ''] ?? reason(cause)}`, {
      cause,
    })
    this.code = code
  }
}

/** Connections that wait for `accept`; the kernel lowers it to net.core.somaxconn. */
const backlog = 4096

/**
 * Opens one listening socket and hands each connection to `accepted`. TCP: `reusePort`, so that every worker can listen
 * on the same address and the kernel spreads connections. Unix: at most one process may listen; a socket file that
 * nobody serves any more is replaced. Sockets come with `allowHalfOpen` and without Nagle's delay.
 * Rejects with ListenError.
 */
export async function bind(
  address: ListenAddress,
  accepted: (socket: Socket) => void,
  failed: (error: Error) => void,
): Promise<Server> {
  if (address.kind === 'unix') await removeStaleSocket(address)
  const server = createServer({ allowHalfOpen: true, noDelay: true }, accepted)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new ListenError(address, error)))
    if (address.kind === 'unix') server.listen({ path: address.path, backlog }, resolve)
    else {
      const where = { port: address.port, backlog, reusePort: true }
      server.listen(address.host === undefined ? where : { ...where, host: address.host }, resolve)
    }
  })
  server.removeAllListeners('error')
  // From here on: accept failed (out of descriptors, mostly). The listener stays.
  server.on('error', failed)
  return server
}

/**
 * A free TCP port for an address with port 0, or the port itself after making sure that no other process has it:
 * `reusePort` would let two gateways of one user share a port in silence. For the main thread, before workers start.
 * Rejects with ListenError.
 */
export async function probePort(address: ListenAddress & { kind: 'tcp' }): Promise<number> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      const where = { port: address.port, exclusive: true }
      server.listen(address.host === undefined ? where : { ...where, host: address.host }, resolve)
    })
    const bound = server.address()
    return bound !== null && typeof bound === 'object' ? bound.port : address.port
  } catch (error) {
    throw new ListenError(address, error)
  } finally {
    if (server.listening) await new Promise<void>((resolve) => void server.close(() => resolve()))
  }
}

async function removeStaleSocket(address: ListenAddress & { kind: 'unix' }): Promise<void> {
  const facts = await lstat(address.path).catch(() => undefined)
  if (facts === undefined) return
  if (!facts.isSocket()) throw new ListenError(address, new Error('the path exists and is no socket'))
  if (await isServed(address.path)) {
    throw new ListenError(address, Object.assign(new Error('in use'), { code: 'EADDRINUSE' }))
  }
  await rm(address.path, { force: true }).catch((error: unknown) => {
    throw new ListenError(address, error)
  })
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused: the file is all that is left. Anything else (no permission, backlog full): do not touch it.
    probe.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'))
  })
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

const explanations: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is already in use',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine has no such address',
  ENOENT: 'the folder does not exist',
}

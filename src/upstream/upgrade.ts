/**
 * Tunnels between a client and an origin that agreed to WebSocket. This is the one file that imports http-proxy-3,
 * which joins the two ends: it writes the 101, pipes both ways and takes both down together.
 *
 * Its habits, and what is done about them:
 * - it sends the request with `node:http`, and on any failure destroys the client's socket, so that no other answer
 *   is possible: our own client does the handshake first, with the same clean head, limits, timeouts and retry as any
 *   other request; http-proxy-3 is called once the origin has agreed, and gets the agreed answer replayed;
 * - it builds its request from Node's: it gets a made-up one with nothing in it but the upgrade, and what it sends
 *   ends at `OriginEnd`, never on the wire;
 * - it opens a connection per request unless given an agent: ours hands out that end;
 * - it has no idle timeout, no count and no close: those are here.
 *
 * Memory: per tunnel what two sockets buffer, bounded by their high-water marks. Tunnels are bounded by the
 * listener's connection limits.
 */
import { Agent, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { createProxyServer } from 'http-proxy-3'
import type { Logger } from '../log.ts'
import { reason } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { TunnelEvents, UpstreamConnection } from './connection.ts'
import type { ResponseHead } from './response-head.ts'

/** How long the origin may take to close after the client has gone. */
const lingerMs = 1_000
/** What http-proxy-3 writes first is its request; more than this is none. */
const maxRequestBytes = 16_384

/** The origin's side as http-proxy-3 sees it: swallows its request, replays the origin's 101, then passes bytes. */
class OriginEnd extends Duplex implements TunnelEvents {
  /** Something passed since the last sweep. */
  active = true
  idleSinceMs = 0
  clientGone = false
  readonly #connection: UpstreamConnection
  readonly #answer: Buffer
  readonly #onClosed: (end: OriginEnd) => void
  #asked = false
  #askedBytes = 0

  constructor(connection: UpstreamConnection, answer: Buffer, onClosed: (end: OriginEnd) => void) {
    super({ allowHalfOpen: true })
    this.#connection = connection
    this.#answer = answer
    this.#onClosed = onClosed
    connection.pause()
  }

  onBytes(chunk: Buffer): boolean {
    this.active = true
    return this.push(chunk)
  }

  onEnd(): void {
    this.push(null)
  }

  onGone(): void {
    this.destroy()
  }

  override _read(): void {
    if (this.#asked) this.#connection.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.active = true
    if (this.#asked) {
      this.#connection.writeTunnel(chunk, done)
      return
    }
    this.#askedBytes += chunk.length
    // The request has no body, so it ends where a piece of it ends.
    if (chunk.subarray(-4).toString('latin1') === '\r\n\r\n') {
      this.#asked = true
      this.push(this.#answer)
      this.#connection.resume()
    } else if (this.#askedBytes > maxRequestBytes) this.destroy()
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.endTunnel()
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#connection.destroy()
    this.#onClosed(this)
    done(error)
  }

  // What callers of a net.Socket expect; the socket underneath is set up already.
  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

/** Hands out one prepared end instead of connecting. */
class PreparedAgent extends Agent {
  readonly #end: Duplex

  constructor(end: Duplex) {
    super({ keepAlive: false })
    this.#end = end
  }

  override createConnection(): Duplex {
    return this.#end
  }
}

/** All tunnels of one upstream. */
export class Tunnels {
  readonly #logger: Logger
  readonly #idleTimeoutMs: number
  readonly #open = new Set<OriginEnd>()
  readonly #proxy = createProxyServer({ ws: true, xfwd: false })

  constructor(idleTimeoutMs: number, logger: Logger) {
    this.#idleTimeoutMs = idleTimeoutMs
    this.#logger = logger
    // Without a listener of its own http-proxy-3 throws.
    this.#proxy.on('error', (error: unknown) => this.#logger.debug('tunnel broke', { reason: reason(error) }))
  }

  get count(): number {
    return this.#open.size
  }

  /**
   * Joins the client of `exchange.upgrade` with `connection`, whose origin answered 101 with `head`; `first` came after it.
   * The client gets that answer with its hop-by-hop fields put right. `onClosed` is called once when all is over.
   */
  open(
    exchange: Exchange,
    head: ResponseHead,
    connection: UpstreamConnection,
    first: Buffer | undefined,
    onClosed: () => void,
  ): void {
    const handle = exchange.upgrade
    if (handle === undefined) throw new Error('not an upgrade')
    const client = handle.socket as Socket
    const answer = answerBytes(head, exchange.id, first)
    const end = new OriginEnd(connection, answer, (closed) => {
      this.#open.delete(closed)
      onClosed()
    })
    this.#open.add(end)
    connection.takeOver(end)
    if (client.destroyed) {
      end.destroy()
      return
    }
    client.once('close', () => {
      end.clientGone = true
      end.active = true
    })
    const agent = new PreparedAgent(end)
    const head0 = Buffer.from(handle.head.buffer, handle.head.byteOffset, handle.head.byteLength)
    this.#proxy.ws(
      madeUpRequest(client),
      client,
      head0,
      { target: 'http://tunnel.invalid', agent },
      (error) => {
        this.#logger.debug('tunnel broke', { reason: reason(error) })
        end.destroy()
      },
    )
  }

  sweep(nowMs: number): void {
    for (const end of this.#open) {
      if (end.active) {
        end.active = false
        end.idleSinceMs = nowMs
      } else if (nowMs - end.idleSinceMs >= (end.clientGone ? lingerMs : this.#idleTimeoutMs)) end.destroy()
    }
  }

  close(): void {
    for (const end of this.#open) end.destroy()
  }
}

/** The only request that http-proxy-3 lets through, with nothing of the client's in it. */
function madeUpRequest(socket: Socket): IncomingMessage {
  return {
    method: 'GET',
    url: '/',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    headers: { host: 'tunnel.invalid', connection: 'Upgrade', upgrade: 'websocket' },
    socket,
    connection: socket,
  } as unknown as IncomingMessage
}

function answerBytes(head: ResponseHead, id: string, first: Buffer | undefined): Buffer {
  let text = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  for (let i = 0; i < head.headers.length; i += 2) {
    text += `${head.headers[i] as string}: ${head.headers[i + 1] as string}\r\n`
  }
  const bytes = Buffer.from(`${text}Via: 1.1 sluice\r\nX-Request-Id: ${id}\r\n\r\n`, 'latin1')
  return first === undefined ? bytes : Buffer.concat([bytes, first])
}

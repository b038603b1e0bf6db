import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ClientClosedError, type GatewayError, RequestTimeoutError } from '../../errors.ts'
import type { Connection } from '../../exchange.ts'
import type { EngineContext } from '../service.ts'
import { Http1Exchange } from './http1-exchange.ts'

/** Requests of one connection that may wait behind the one being served before we stop reading from it. */
const maxPipelined = 16
/** Request body bytes read and dropped after an early answer, so that the client gets to see that answer. */
const maxDiscardBytes = 256 * 1024

/**
 * One HTTP/1.1 client connection: serves pipelined requests one after the other and knows when to give up.
 * Memory: the exchange being served, and the heads of pipelined requests: at most what one read (64 KiB) holds beyond
 * `maxPipelined`, since reading stops there.
 */
export class Http1Connection {
  readonly socket: Socket
  readonly connection: Connection
  readonly context: EngineContext
  /** True once the answer under way is the last one: requests behind it are dropped. */
  closing = false
  /** True once the connection ends as soon as nothing is left to answer: drain, or a parse error behind good requests. */
  ending = false
  closed = false
  /** Set while an upgrade waits for the origin's word: Node has let go of the socket, but an answer is still owed. */
  upgrading = false
  readonly #queue: Http1Exchange[] = []
  #stopped = false
  #halfClosedMs = 0
  #writes = 0
  #stalledMs = 0
  #lingerUntilMs = 0
  #running = false

  constructor(socket: Socket, connection: Connection, context: EngineContext) {
    this.socket = socket
    this.connection = connection
    this.context = context
  }

  get busy(): boolean {
    return this.#queue.length > 0 || this.upgrading
  }

  /** Whether the answer about to be written must announce the end of the connection. */
  get lastAnswer(): boolean {
    return this.closing || (this.ending && this.#queue.length <= 1)
  }

  /** Takes a parsed request; serves it now, or after those before it. */
  take(request: IncomingMessage, response: ServerResponse): void {
    // The parser is ahead of us: after the last answer nothing is served, or a refused request would shield the next one.
    if (this.closing) return
    const exchange = Http1Exchange.open(this, request, response)
    this.#queue.push(exchange)
    if (this.#queue.length > maxPipelined && !this.#stopped) {
      this.#stopped = true
      this.socket.pause()
    }
    this.#run()
  }

  /** The answer of the exchange at the head was handed to the transport; the next one may start. */
  served(exchange: Http1Exchange): void {
    if (this.#queue[0] !== exchange) return
    this.#queue.shift()
    this.#discardRest(exchange)
    if (this.closing)
      for (const dropped of this.#queue.splice(0)) dropped.cut(new ClientClosedError('connection closing'))
    this.#run()
  }

  /** Serves from the head of the queue. A loop, not a recursion: one read can bring 2,000 requests. */
  #run(): void {
    if (this.#running) return
    this.#running = true
    while (!this.closed) {
      const exchange = this.#queue[0]
      if (exchange === undefined) break
      if (!exchange.serve()) break
    }
    this.#running = false
    if (this.#queue.length === 0 && this.#stopped && !this.closed) {
      this.#stopped = false
      this.socket.resume()
    }
  }

  /** Counts a write, so that the sweep can tell a slow reader from a stalled one. */
  wrote(): void {
    this.#writes += 1
  }

  /**
   * The parser gave up: nothing more can be read. The request whose body broke is answered with `error`, good requests before it
   * are served. True when an answer is under way, so that the engine must not write one of its own.
   */
  broke(error: GatewayError): boolean {
    this.ending = true
    if (this.#queue.length === 0) return false
    this.#queue.at(-1)?.bodyFailed(error)
    return true
  }

  /** The client sent FIN. Its answers still go out, if they begin soon. */
  halfClosed(): void {
    this.#halfClosedMs = this.context.clock.nowMs()
  }

  gone(): void {
    this.closed = true
    const error = new ClientClosedError()
    for (const exchange of this.#queue.splice(0)) exchange.cut(error)
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Called about every half second: write stalls, slow bodies, half-closed clients, lingering. */
  sweep(nowMs: number): void {
    const { timeouts } = this.context
    if (this.#lingerUntilMs !== 0 && nowMs > this.#lingerUntilMs) {
      this.destroy()
      return
    }
    if (this.socket.writableLength === 0) this.#stalledMs = 0
    else if (this.#stalledMs === 0 || this.#writes > 0) this.#stalledMs = nowMs
    else if (nowMs - this.#stalledMs > timeouts.writeMs) {
      this.destroy()
      return
    }
    if (this.#halfClosedMs !== 0) {
      // While the answer moves, the client may well be reading it; a client that left answers writes with a reset.
      if (this.#writes > 0 || this.socket.writableLength > 0) this.#halfClosedMs = nowMs
      else if (nowMs - this.#halfClosedMs > timeouts.halfCloseMs) {
        this.destroy()
        return
      }
    }
    this.#writes = 0
    const body = this.#queue[0]?.body
    if (body !== undefined && body.waitingSinceMs !== 0) {
      const allowedMs = timeouts.bodyMs + (body.received / timeouts.minBodyRate) * 1000
      if (body.clientMs(nowMs) > allowedMs) {
        this.closing = true
        body.fail(new RequestTimeoutError('body'))
      }
    }
  }

  /**
   * After an early answer the rest of the body is read and dropped, up to a bound: closing with unread bytes makes the kernel
   * reset the connection, and the client might lose the answer.
   */
  #discardRest(exchange: Http1Exchange): void {
    const body = exchange.body
    if (body === undefined || body.complete || this.closed) return
    let discarded = 0
    this.#lingerUntilMs = this.context.clock.nowMs() + this.context.timeouts.bodyMs
    body.discard((bytes) => {
      discarded += bytes
      if (discarded > maxDiscardBytes) this.destroy()
    })
    exchange.request.once('end', () => {
      this.#lingerUntilMs = 0
    })
  }
}

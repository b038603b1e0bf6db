import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'

/** One request as the origin saw it on the wire, latin1. */
export interface SeenRequest {
  /** Counts from 1, in the order in which connections came. */
  readonly connection: number
  readonly method: string
  readonly target: string
  /** The head as sent, without the final empty line. */
  readonly head: string
  /** Names and values alternating, as sent. */
  readonly headers: readonly string[]
  /** Decoded. What had come of it when the connection ended, if it did before the end. */
  body: string
  trailers: string
  /** True once the message is finished. */
  complete: boolean
  /** `Transfer-Encoding: chunked` as against a length. */
  readonly chunked: boolean
}

/** Answers one request by writing whatever it likes to the socket. */
export type Script = (socket: Socket, request: SeenRequest) => void | Promise<void>

export interface RawOriginOptions {
  readonly tls?: TlsOptions
  /** A Unix socket instead of a port. */
  readonly path?: string
  /** Called when the head is there instead of when the body is. */
  readonly early?: boolean
  /** Sees every connection first. */
  readonly onConnection?: (socket: Socket, connection: number) => void
}

/**
 * A scriptable origin on raw TCP (or TLS): records what it saw and writes what the script says, right or wrong.
 * A string script is written as it stands.
 */
export class RawOrigin {
  readonly requests: SeenRequest[] = []
  readonly sockets = new Set<Socket>()
  connections = 0
  /** Bytes on a connection that were no request. */
  readonly junk: string[] = []
  script: Script
  readonly #server: Server
  readonly #raw = new Set<Socket>()
  readonly #options: RawOriginOptions

  private constructor(script: Script | string, options: RawOriginOptions) {
    this.script = typeof script === 'string' ? (socket) => void socket.write(script, 'latin1') : script
    this.#options = options
    const accept = (socket: Socket) => this.#accept(socket)
    this.#server =
      options.tls === undefined
        ? createServer({ allowHalfOpen: true }, accept)
        : createTlsServer({ ...options.tls, allowHalfOpen: true }, accept)
    // Under TLS these are the sockets beneath, some of which never get as far as a request.
    this.#server.on('connection', (socket: Socket) => {
      this.#raw.add(socket)
      socket.on('close', () => this.#raw.delete(socket))
    })
  }

  static async start(script: Script | string, options: RawOriginOptions = {}): Promise<RawOrigin> {
    const origin = new RawOrigin(script, options)
    await new Promise<void>((resolve, reject) => {
      origin.#server.once('error', reject)
      if (options.path === undefined) origin.#server.listen(0, '127.0.0.1', resolve)
      else origin.#server.listen(options.path, resolve)
    })
    return origin
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** `http://127.0.0.1:PORT`, `https://…` or `unix:…`. */
  get url(): string {
    if (this.#options.path !== undefined) return `unix:${this.#options.path}`
    return `${this.#options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.port}`
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    for (const socket of this.#raw) socket.destroy()
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()))
  }

  #accept(socket: Socket): void {
    const connection = ++this.connections
    let buffered = ''
    let current: SeenRequest | undefined
    let left = 0
    let busy = false
    this.sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => this.sockets.delete(socket))
    socket.on('end', () => {
      if (!busy) socket.end()
    })
    this.#options.onConnection?.(socket, connection)
    const run = (request: SeenRequest) => {
      busy = true
      void Promise.resolve(this.script(socket, request)).finally(() => {
        busy = false
        step()
      })
    }
    const step = () => {
      for (;;) {
        if (current === undefined) {
          if (busy && this.#options.early !== true) return
          const mark = buffered.indexOf('\r\n\r\n')
          if (mark < 0) return
          const head = buffered.slice(0, mark)
          buffered = buffered.slice(mark + 4)
          const parsed = parseHead(head, connection)
          if (parsed === undefined) {
            this.junk.push(head)
            continue
          }
          current = parsed
          left = Number(headerOf(parsed, 'content-length') ?? 0)
          this.requests.push(parsed)
          if (this.#options.early === true) run(parsed)
        }
        if (current.chunked) {
          const rest = readChunks(current, buffered)
          buffered = rest
          if (!current.complete) return
        } else {
          const piece = buffered.slice(0, left)
          buffered = buffered.slice(piece.length)
          current.body += piece
          left -= piece.length
          if (left > 0) return
          current.complete = true
        }
        const done = current
        current = undefined
        if (this.#options.early !== true) run(done)
      }
    }
    socket.on('data', (chunk: Buffer) => {
      buffered += chunk.toString('latin1')
      step()
    })
  }
}

/** A field's first value; `name` in lower case. */
export function headerOf(request: { readonly headers: readonly string[] }, name: string): string | undefined {
  for (let i = 0; i < request.headers.length; i += 2) {
    if (request.headers[i]?.toLowerCase() === name) return request.headers[i + 1]
  }
  return undefined
}

/** `HTTP/1.1 200 OK` with a length and a body. */
export function plainAnswer(body: string, fields = '', status = '200 OK'): string {
  return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`
}

function parseHead(head: string, connection: number): SeenRequest | undefined {
  const lines = head.split('\r\n')
  const match = /^([^ ]+) ([^ ]+) HTTP\/1\.1$/.exec(lines[0] ?? '')
  if (match === null) return undefined
  const headers: string[] = []
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    headers.push(line.slice(0, colon), line.slice(colon + 1).trim())
  }
  const chunked = headerOf({ headers }, 'transfer-encoding') === 'chunked'
  return {
    connection,
    method: match[1] as string,
    target: match[2] as string,
    head,
    headers,
    body: '',
    trailers: '',
    complete: false,
    chunked,
  }
}

/** Takes whole chunks out of `text` into the request; returns what is left. */
function readChunks(request: SeenRequest, text: string): string {
  let rest = text
  for (;;) {
    const line = /^([0-9a-f]+)\r\n/i.exec(rest)
    if (line === null) return rest
    const size = Number.parseInt(line[1] as string, 16)
    const at = line[0].length
    if (size === 0) {
      const end = rest.indexOf('\r\n\r\n', at - 2)
      if (end < 0) return rest
      request.trailers = rest.slice(at, Math.max(at, end))
      request.complete = true
      return rest.slice(end + 4)
    }
    if (rest.length < at + size + 2) return rest
    request.body += rest.slice(at, at + size)
    rest = rest.slice(at + size + 2)
  }
}

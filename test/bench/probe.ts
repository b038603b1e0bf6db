import { request } from 'node:https'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Running } from './processes.ts'

/** The answer to one request, and what was negotiated for it. */
interface Answer {
  readonly status: number
  readonly bytes: number
  /** `TLSv1.3 TLS_AES_256_GCM_SHA384` */
  readonly tls: string
}

const startLimitMs = 15_000
const requestLimitMs = 5_000

/** A loopback port that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Waits until something accepts connections. Throws when the process ends first, or after 15 s. */
export async function awaitListening(server: Running, port: number): Promise<void> {
  const endMs = performance.now() + startLimitMs
  while (!(await accepts(port))) {
    if (server.hasExited()) throw new Error(`did not start: ${server.complaint()}`)
    if (performance.now() > endMs)
      throw new Error(`does not listen after ${startLimitMs} ms: ${server.complaint()}`)
    await new Promise<void>((resolve) => void setTimeout(resolve, 50))
  }
}

/** One request as the load will send it. Throws unless the answer is 200 with a body of that size. */
export async function checkAnswer(
  port: number,
  protocol: 'h1' | 'h2',
  path: string,
  postBytes: number | undefined,
  answerBytes: number,
): Promise<string> {
  const body = postBytes === undefined ? undefined : Buffer.alloc(postBytes, 'x')
  const answer = await (protocol === 'h1' ? askHttp1(port, path, body) : askHttp2(port, path))
  if (answer.status !== 200 || answer.bytes !== answerBytes) {
    throw new Error(
      `${path} answers ${answer.status} with ${answer.bytes} bytes, not 200 with ${answerBytes}`,
    )
  }
  return answer.tls
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function askHttp1(port: number, path: string, body: Buffer | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      path,
      method: body === undefined ? 'GET' : 'POST',
      rejectUnauthorized: false,
      agent: false,
      timeout: requestLimitMs,
    })
    asking.once('timeout', () => asking.destroy(new Error(`${path}: no answer within ${requestLimitMs} ms`)))
    asking.once('error', reject)
    asking.once('response', (response) => {
      const tls = negotiated(response.socket as TLSSocket)
      let bytes = 0
      response.on('data', (chunk: Buffer) => void (bytes += chunk.byteLength))
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, bytes, tls }))
    })
    asking.end(body)
  })
}

function askHttp2(port: number, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://localhost:${port}`, {
      host: '127.0.0.1',
      rejectUnauthorized: false,
    })
    session.once('error', reject)
    const stream = session.request({ ':path': path })
    stream.setTimeout(requestLimitMs, () => stream.destroy(new Error(`${path}: no answer`)))
    stream.once('error', reject)
    let status = 0
    let bytes = 0
    stream.once('response', (headers) => void (status = headers[':status'] ?? 0))
    stream.on('data', (chunk: Buffer) => void (bytes += chunk.byteLength))
    stream.once('end', () => {
      const tls = negotiated(session.socket as TLSSocket)
      session.close()
      resolve({ status, bytes, tls })
    })
  })
}

function negotiated(socket: TLSSocket): string {
  return `${socket.getProtocol()} ${socket.getCipher().name}`
}

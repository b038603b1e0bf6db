import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:http2'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'

/** 100 bodies of 10 MiB at once, each different, in both directions and over both protocols. */
const bytes = 10 * 1024 * 1024
const pieceBytes = 64 * 1024

/** Piece `at` of body `id`: differs from every other one, and is cheap to make. */
function piece(id: number, at: number): Buffer {
  const made = Buffer.alloc(pieceBytes, (id * 7 + at) % 251)
  made.writeUInt32BE(id, 0)
  made.writeUInt32BE(at, 4)
  return made
}

function digestOf(id: number): string {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes / pieceBytes; at += 1) hash.update(piece(id, at))
  return hash.digest('hex')
}

interface Writer {
  write(chunk: Buffer): boolean
  end(): void
  once(event: 'drain', listener: () => void): unknown
}

function send(id: number, to: Writer, at = 0): void {
  for (let next = at; next < bytes / pieceBytes; next += 1) {
    if (to.write(piece(id, next))) continue
    to.once('drain', () => send(id, to, next + 1))
    return
  }
  to.end()
}

let origin: Server
let gateway: TestGateway

beforeAll(async () => {
  origin = createServer((asked, answer) => {
    const id = Number(asked.url?.slice(1))
    if (asked.method === 'GET') {
      answer.writeHead(200, { 'Content-Length': bytes })
      send(id, answer)
      return
    }
    const hash = createHash('sha256')
    asked.on('data', (chunk: Buffer) => hash.update(chunk))
    asked.on('end', () => answer.end(hash.digest('hex')))
  })
  // A POST on a connection that the origin closes just then cannot be sent again.
  origin.keepAliveTimeout = 120_000
  await new Promise<void>((resolve) => void origin.listen(0, '127.0.0.1', resolve))
  gateway = await startTestGateway({
    workers: 2,
    limits: { body: '20MiB' },
    upstreams: { app: { endpoints: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
  })
})

afterAll(async () => {
  await gateway?.stop()
  origin?.close()
  origin?.closeAllConnections()
})

interface Readable {
  on(event: 'data', listener: (chunk: Buffer) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** The digest of what comes, or the text itself. */
function read(from: Readable, digest: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    let text = ''
    from.on('data', (chunk) => {
      if (digest) hash.update(chunk)
      else text += chunk.toString()
    })
    from.on('end', () => resolve(digest ? hash.digest('hex') : text))
    from.on('error', reject)
  })
}

function overHttp1(method: string, agent: Agent, id: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(`${gateway.url}/${id}`, { method, agent }, (answer) => {
      read(answer, method === 'GET').then(resolve, reject)
    })
    asked.on('error', reject)
    if (method === 'POST') send(id, asked)
    else asked.end()
  })
}

test.each(['GET', 'POST'])(
  '100 bodies of 10 MiB at once arrive as they were sent (%s)',
  async (method) => {
    const agent = new Agent({ rejectUnauthorized: false, keepAlive: true })
    const sessions = Array.from({ length: 10 }, () => connect(gateway.url, { rejectUnauthorized: false }))
    try {
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, id) => {
          const session = sessions[Math.floor(id / 10)]
          // Every other ten over HTTP/2.
          if (session === undefined || Math.floor(id / 10) % 2 === 0) return overHttp1(method, agent, id)
          const stream = session.request(
            { ':method': method, ':path': `/${id}` },
            { endStream: method === 'GET' },
          )
          if (method === 'POST') send(id, stream)
          return read(stream, method === 'GET')
        }),
      )
      expect(answers).toEqual(Array.from({ length: 100 }, (_, id) => digestOf(id)))
    } finally {
      agent.destroy()
      for (const session of sessions) session.destroy()
    }
  },
  120_000,
)

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { echoWebSocket } from './websocket.ts'
import { demoPage } from './page.ts'

/**
 * The app behind the demo: plain HTTP with something of everything a gateway meets. For trying things out only.
 *
 * Memory: request bodies are echoed up to 1 MiB and refused beyond; large answers are made piece by piece as the reader takes them.
 */
export function createDemoOrigin(): Server {
  const server = createServer((request, response) => {
    response.on('error', () => {})
    request.on('error', () => {})
    answer(request, response)
  })
  server.on('upgrade', (request, socket, head) => {
    if (pathOf(request) === '/ws') return echoWebSocket(request, socket, head)
    socket.on('error', () => {})
    socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  return server
}

const maxEchoBytes = 1_048_576
const maxLargeBytes = 1024 ** 3
const maxSlowMs = 60_000

function answer(request: IncomingMessage, response: ServerResponse): void {
  const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '')
  switch (pathOf(request)) {
    case '/':
      return send(response, 200, 'text/html; charset=utf-8', demoPage)
    case '/api/time':
      return sendJson(response, 200, { time: new Date().toISOString() })
    case '/api/echo':
      return echo(request, response)
    case '/events':
      return events(response)
    case '/slow': {
      const timer = setTimeout(
        () => sendJson(response, 200, { slept: true }),
        bounded(query.get('ms'), 1_000, maxSlowMs),
      )
      response.on('close', () => clearTimeout(timer))
      return
    }
    case '/fail':
      return query.has('cut') ? cut(response) : fail(response, query)
    case '/large':
      return large(response, bounded(query.get('bytes'), 1_000_000, maxLargeBytes))
    default:
      return sendJson(response, 404, { error: 'no such page' })
  }
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const pieces: Buffer[] = []
  let bytes = 0
  request.on('data', (piece: Buffer) => {
    bytes += piece.length
    if (bytes <= maxEchoBytes) pieces.push(piece)
  })
  request.on('end', () => {
    if (bytes > maxEchoBytes) return sendJson(response, 413, { error: 'more than 1 MiB' })
    const body = Buffer.concat(pieces).toString('utf8')
    sendJson(response, 200, { method: request.method, target: request.url, headers: request.headers, body })
  })
}

function events(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  let id = 0
  const tell = () => {
    id += 1
    response.write(`id: ${id}\ndata: event ${id} at ${new Date().toISOString()}\n\n`)
  }
  tell()
  const timer = setInterval(tell, 1_000)
  response.on('close', () => clearInterval(timer))
}

function fail(response: ServerResponse, query: URLSearchParams): void {
  const status = Number(query.get('status') ?? 500)
  if (!Number.isInteger(status) || status < 200 || status > 599)
    return sendJson(response, 400, { error: 'status: 200 to 599' })
  if (status === 204 || status === 304) {
    response.writeHead(status)
    response.end()
    return
  }
  sendJson(response, status, { status })
}

/** Promises more than it sends. */
function cut(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 1_000 })
  response.write('this answer is going to be cu', () => response.destroy())
}

const block = Buffer.alloc(65_536, 'sluice ')

function large(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes })
  let left = bytes
  const more = () => {
    while (left > 0) {
      const size = Math.min(left, block.length)
      left -= size
      if (!response.write(block.subarray(0, size)) && left > 0) {
        response.once('drain', more)
        return
      }
    }
    response.end()
  }
  more()
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json', `${JSON.stringify(body, null, 2)}\n`)
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] as string
}

/** A whole number from a query, 0 to `max`. */
function bounded(text: string | null, fallback: number, max: number): number {
  const value = text === null ? fallback : Number(text)
  return Number.isFinite(value) ? Math.min(Math.max(Math.trunc(value), 0), max) : fallback
}

import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { BodySink } from '../../body.ts'
import type { GatewayResponse } from '../../exchange.ts'

/**
 * Writes an answer straight to a socket that Node's HTTP server has let go of: after a parse error, and for refused
 * upgrades and CONNECT. The connection always ends with it.
 * Memory: what the socket holds unsent.
 */
export function writeRawAnswer(
  socket: Socket,
  answer: GatewayResponse,
  isHead: boolean,
  written: (bodyBytes: number, complete: boolean) => void,
): void {
  const { body } = answer
  if (!socket.writable) {
    if (body !== undefined && !(body instanceof Uint8Array)) body.cancel()
    socket.destroy()
    written(0, false)
    return
  }
  let head = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Unknown'}\r\n`
  for (let i = 0; i < answer.headers.length; i += 2)
    head += `${answer.headers[i]}: ${answer.headers[i + 1]}\r\n`
  if (answer.length !== undefined && answer.status !== 204) head += `Content-Length: ${answer.length}\r\n`
  head += 'Connection: close\r\n\r\n'
  socket.write(head, 'latin1')
  if (body === undefined || isHead || answer.status === 204 || answer.status === 304) {
    if (body !== undefined && !(body instanceof Uint8Array)) body.cancel()
    endSocket(socket)
    written(0, true)
  } else if (body instanceof Uint8Array) {
    socket.write(body)
    endSocket(socket)
    written(body.byteLength, true)
  } else {
    let bytes = 0
    const source = body
    const sink: BodySink = {
      data(chunk) {
        bytes += chunk.byteLength
        return socket.write(chunk)
      },
      end() {
        endSocket(socket)
        written(bytes, true)
      },
      fail() {
        socket.destroy()
        written(bytes, false)
      },
    }
    socket.on('drain', () => source.resume())
    socket.on('close', () => source.cancel())
    source.start(sink)
  }
}

/** Sends what is buffered, then FIN; what the client still sends is read and dropped until the socket's own timeout. */
function endSocket(socket: Socket): void {
  socket.setTimeout(5000, () => socket.destroy())
  socket.resume()
  socket.end()
}

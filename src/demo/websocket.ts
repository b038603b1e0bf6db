import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/**
 * A WebSocket echo (RFC 6455), server side, small and complete enough for browsers and test clients: text and binary
 * messages in one or many frames, ping, pong, close. No extensions.
 *
 * Memory: 1 MiB for one message; more ends the connection with 1009. A client that sends and does not read is paused.
 */
export function echoWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy())
  const key = request.headers['sec-websocket-key']
  if (
    request.headers.upgrade?.toLowerCase() !== 'websocket' ||
    key === undefined ||
    request.headers['sec-websocket-version'] !== '13'
  ) {
    socket.end(
      'HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    )
    return
  }
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  const echo = new Echo(socket)
  socket.on('data', (chunk: Buffer) => echo.receive(chunk))
  socket.on('drain', () => socket.resume())
  socket.on('end', () => socket.end())
  if (head.length > 0) echo.receive(head)
}

const maxMessageBytes = 1_048_576
const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

interface Frame {
  readonly isFinal: boolean
  readonly opcode: number
  readonly payload: Buffer
  /** Bytes taken from the input. */
  readonly size: number
}

/** One connection's state: bytes of an unfinished frame and the frames of an unfinished message. */
class Echo {
  readonly #socket: Duplex
  #pending: Buffer = Buffer.alloc(0)
  #message: Buffer[] = []
  #messageBytes = 0
  #messageOpcode = 0
  #closed = false

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  receive(chunk: Buffer): void {
    if (this.#closed) return
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (!this.#closed) {
      const frame = readFrame(this.#pending)
      if (frame === undefined) return
      if (typeof frame === 'number') return this.#close(frame)
      this.#pending = this.#pending.subarray(frame.size)
      this.#take(frame)
    }
  }

  #take({ isFinal, opcode, payload }: Frame): void {
    switch (opcode) {
      case opcodes.ping:
        return this.#send(opcodes.pong, payload)
      case opcodes.pong:
        return
      case opcodes.close:
        return this.#close(payload.length >= 2 ? payload.readUInt16BE(0) : 1000)
      case opcodes.text:
      case opcodes.binary:
        if (this.#messageOpcode !== 0) return this.#close(1002)
        this.#messageOpcode = opcode
        break
      default:
        if (opcode !== opcodes.continuation || this.#messageOpcode === 0) return this.#close(1002)
    }
    this.#messageBytes += payload.length
    if (this.#messageBytes > maxMessageBytes) return this.#close(1009)
    this.#message.push(payload)
    if (!isFinal) return
    const whole = Buffer.concat(this.#message)
    const sentOpcode = this.#messageOpcode
    this.#message = []
    this.#messageBytes = 0
    this.#messageOpcode = 0
    if (sentOpcode === opcodes.text && !isUtf8(whole)) return this.#close(1007)
    this.#send(sentOpcode, whole)
  }

  #send(opcode: number, payload: Buffer): void {
    if (!this.#socket.write(Buffer.concat([frameHead(opcode, payload.length), payload]))) this.#socket.pause()
  }

  #close(code: number): void {
    this.#closed = true
    this.#pending = Buffer.alloc(0)
    const payload = Buffer.alloc(2)
    payload.writeUInt16BE(isSendableCode(code) ? code : 1002)
    this.#socket.end(Buffer.concat([frameHead(opcodes.close, 2), payload]))
  }
}

/** The first frame of `input`, undefined when it is not complete yet, or the close code for what breaks the protocol. */
function readFrame(input: Buffer): Frame | number | undefined {
  if (input.length < 2) return undefined
  const first = input[0] as number
  const second = input[1] as number
  const opcode = first & 15
  const isFinal = (first & 0x80) !== 0
  const isControl = opcode >= 8
  // Reserved bits, unknown opcodes, unmasked client frames, long or fragmented control frames.
  if ((first & 0x70) !== 0 || (second & 0x80) === 0) return 1002
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return 1002
  const short = second & 0x7f
  if (isControl && (short > 125 || !isFinal)) return 1002
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
  const start = 2 + lengthBytes + 4
  if (input.length < start) return undefined
  const length =
    short === 126 ? input.readUInt16BE(2) : short === 127 ? Number(input.readBigUInt64BE(2)) : short
  if (length > maxMessageBytes) return 1009
  if (input.length < start + length) return undefined
  const payload = Buffer.from(input.subarray(start, start + length))
  for (let at = 0; at < length; at += 1)
    payload[at] = (payload[at] as number) ^ (input[start - 4 + (at & 3)] as number)
  return { isFinal, opcode, payload, size: start + length }
}

function frameHead(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, length])
  const head = Buffer.alloc(length < 65_536 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = length < 65_536 ? 126 : 127
  if (length < 65_536) head.writeUInt16BE(length, 2)
  else head.writeBigUInt64BE(BigInt(length), 2)
  return head
}

function isUtf8(bytes: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

/** Codes that may stand in a close frame (RFC 6455 §7.4). */
function isSendableCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code < 5000)
  )
}

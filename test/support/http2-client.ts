import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { errorCode, frameFlag, frameType } from '../../src/listener/http2/frames.ts'
import { HpackDecoder } from '../../src/listener/http2/hpack-decoder.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Any frame at all; `length` lies when given. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | string = '',
  length?: number,
): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : Buffer.from(payload)
  const head = Buffer.alloc(9)
  head.writeUIntBE(length ?? bytes.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, bytes])
}

export type Fields = readonly (readonly [name: string, value: string])[]

/** Literal fields, never indexed, without Huffman: every byte as given. */
export function literal(fields: Fields): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of fields) parts.push(Buffer.from([0]), text(name), text(value))
  return Buffer.concat(parts)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(bytes.length, 7, 0), bytes])
}

/** An HPACK integer behind the bits of `first`. */
export function integer(value: number, prefixBits: number, first: number): Buffer {
  const mask = 2 ** prefixBits - 1
  if (value < mask) return Buffer.from([first | value])
  const bytes = [first | mask]
  let rest = value - mask
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

/** The pseudo-fields of `GET /` and more fields behind them. */
export function get(more: Fields = []): Fields {
  return request('GET', '/', more)
}

export function request(method: string, path: string, more: Fields = []): Fields {
  return [[':method', method], [':scheme', 'https'], [':path', path], [':authority', 'example.com'], ...more]
}

export function headers(streamId: number, fields: Fields, endStream = true): Buffer {
  return frame(
    frameType.headers,
    frameFlag.endHeaders | (endStream ? frameFlag.endStream : 0),
    streamId,
    literal(fields),
  )
}

export function data(streamId: number, payload: Uint8Array | string, endStream = false): Buffer {
  return frame(frameType.data, endStream ? frameFlag.endStream : 0, streamId, payload)
}

export function rst(streamId: number, code: number = errorCode.cancel): Buffer {
  return frame(frameType.rstStream, 0, streamId, uint32(code))
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(frameType.windowUpdate, 0, streamId, uint32(increment))
}

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  return frame(
    frameType.settings,
    0,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))),
  )
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export interface RawAnswer {
  readonly status: number
  readonly fields: Record<string, string>
  readonly body: string
  readonly trailers: Record<string, string> | undefined
  /** END_STREAM came. */
  readonly complete: boolean
  /** Error code of RST_STREAM, if one came. */
  readonly reset: number | undefined
  /** Interim statuses before it. */
  readonly interim: readonly number[]
}

/** An HTTP/2 client made of bare frames: says what it is told to and records what comes. */
export class RawHttp2 {
  readonly socket: Socket
  readonly frames: Frame[] = []
  /** No more will come: the connection was ended or reset. */
  closed = false
  readonly #decoder = new HpackDecoder()
  readonly #sections = new Map<number, [string, string][][]>()
  #pending: Buffer = Buffer.alloc(0)
  #waiters: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => this.#close())
    socket.on('end', () => {
      this.#close()
      socket.end()
    })
    socket.on('close', () => this.#close())
  }

  /** Connects and sends what is given; by default preface and empty SETTINGS. */
  static async open(port: number, first: Buffer = Buffer.concat([preface, settings()])): Promise<RawHttp2> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    const client = new RawHttp2(socket)
    client.send(first)
    return client
  }

  send(...parts: readonly Buffer[]): void {
    if (this.socket.writable) this.socket.write(Buffer.concat(parts))
  }

  /** Waits until `found` gives something; rejects after two seconds with what did come. */
  async until<T>(found: () => T | undefined | false, what = 'frames'): Promise<T> {
    const deadline = Date.now() + 2000
    for (;;) {
      const result = found()
      if (result !== undefined && result !== false) return result
      const left = deadline - Date.now()
      if (left <= 0) throw new Error(`no ${what} within two seconds; got ${this.describe()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiters.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  /** Error code of GOAWAY, or undefined. */
  get goaway(): number | undefined {
    const last = this.frames.findLast((each) => each.type === frameType.goaway)
    return last?.payload.readUInt32BE(4)
  }

  resetCode(streamId: number): number | undefined {
    return this.frames
      .find((each) => each.type === frameType.rstStream && each.streamId === streamId)
      ?.payload.readUInt32BE(0)
  }

  /** The answer on a stream, once it has ended or was reset. */
  async answer(streamId = 1): Promise<RawAnswer> {
    await this.until(() => this.#over(streamId) || this.closed, `end of stream ${streamId}`)
    return this.answerSoFar(streamId)
  }

  answerSoFar(streamId = 1): RawAnswer {
    const sections = this.#sections.get(streamId) ?? []
    const statusOf = (section: [string, string][]) =>
      Number(section.find(([name]) => name === ':status')?.[1] ?? 0)
    const heads = sections.filter((section) => statusOf(section) > 0)
    const final = heads.find((section) => statusOf(section) >= 200)
    const trailers = sections.find((section) => statusOf(section) === 0)
    const parts = this.frames.filter((each) => each.type === frameType.data && each.streamId === streamId)
    return {
      status: final === undefined ? 0 : statusOf(final),
      fields: Object.fromEntries(final ?? []),
      body: Buffer.concat(parts.map((each) => each.payload)).toString('latin1'),
      trailers: trailers === undefined ? undefined : Object.fromEntries(trailers),
      complete: this.#ended(streamId),
      reset: this.resetCode(streamId),
      interim: heads.map(statusOf).filter((status) => status < 200),
    }
  }

  describe(): string {
    const frames = this.frames.map(
      (each) => `${each.type}/${each.flags}@${each.streamId}[${each.payload.toString('hex').slice(0, 40)}]`,
    )
    return `${frames.join(' ')}${this.closed ? ' closed' : ''}`
  }

  close(): void {
    this.socket.destroy()
  }

  #ended(streamId: number): boolean {
    return this.frames.some(
      (each) =>
        each.streamId === streamId &&
        each.type <= frameType.headers &&
        (each.flags & frameFlag.endStream) !== 0,
    )
  }

  #over(streamId: number): boolean {
    return this.#ended(streamId) || this.resetCode(streamId) !== undefined
  }

  #take(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 9) {
      const length = this.#pending.readUIntBE(0, 3)
      if (this.#pending.length < 9 + length) break
      const taken: Frame = {
        type: this.#pending[3] as number,
        flags: this.#pending[4] as number,
        streamId: this.#pending.readUInt32BE(5) & 0x7fff_ffff,
        payload: Buffer.from(this.#pending.subarray(9, 9 + length)),
      }
      this.#pending = this.#pending.subarray(9 + length)
      this.frames.push(taken)
      if (taken.type === frameType.headers || taken.type === frameType.continuation) this.#section(taken)
    }
    this.#wake()
  }

  #open: Buffer[] = []

  #section(taken: Frame): void {
    this.#open.push(taken.payload)
    if ((taken.flags & frameFlag.endHeaders) === 0) return
    const block = Buffer.concat(this.#open)
    this.#open = []
    const fields: [string, string][] = []
    this.#decoder.decode(block, 0, block.length, (field) => {
      fields.push([field.name, field.value])
      return true
    })
    const sections = this.#sections.get(taken.streamId) ?? []
    sections.push(fields)
    this.#sections.set(taken.streamId, sections)
  }

  #close(): void {
    this.closed = true
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter()
  }
}

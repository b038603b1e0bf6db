import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { floodBudgets, type FloodKind, FloodLimits } from '../../../src/listener/http2/flood-limits.ts'
import { errorCode, frameFlag, frameType } from '../../../src/listener/http2/frames.ts'
import {
  data,
  frame,
  get,
  headers,
  literal,
  RawHttp2,
  request,
  rst,
  settings,
  uint32,
  windowUpdate,
} from '../../support/http2-client.ts'
import { answer, readBody, startHttp2Engine, type TestHttp2Engine } from '../../support/http2-engine.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const clock = new ManualClock()
let engine: TestHttp2Engine
beforeAll(async () => {
  engine = await startHttp2Engine(
    async (exchange) => answer(200, `${(await readBody(exchange.body)).bytes.length}`),
    { clock },
  )
})
afterAll(() => engine.stop())

const clients: RawHttp2[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})
async function dial(): Promise<RawHttp2> {
  const client = await RawHttp2.open(engine.port)
  clients.push(client)
  return client
}

const ping = frame(frameType.ping, 0, 0, '12345678')
const openPost = headers(1, request('POST', '/'), false)
const times = (count: number, make: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))

const floods: readonly [kind: FloodKind, name: string, make: (i: number) => Buffer, first?: Buffer][] = [
  ['settings', 'SETTINGS', () => settings([3, 100])],
  ['ping', 'PING', () => ping],
  [
    'priority',
    'PRIORITY',
    () => frame(frameType.priority, 0, 9, Buffer.concat([uint32(0), Buffer.from([1])])),
  ],
  ['emptyData', 'empty DATA', () => data(1, ''), openPost],
  [
    'emptyData',
    'DATA of nothing but padding',
    () => frame(frameType.data, frameFlag.padded, 1, '\x02\0\0'),
    openPost,
  ],
  ['tinyWindow', 'tiny WINDOW_UPDATE', () => windowUpdate(0, 1)],
  ['unknown', 'unknown frames', () => frame(99, 0, 0, 'x')],
  ['reset', 'rapid reset', (i) => Buffer.concat([headers(i * 2 + 1, get()), rst(i * 2 + 1)])],
  ['reset', 'malformed requests', (i) => headers(i * 2 + 1, get([['x-a', 'a\nb']]))],
]

describe('floods', () => {
  for (const [kind, name, make, first] of floods) {
    it(`of ${name} end the connection with ENHANCE_YOUR_CALM`, async () => {
      const client = await dial()
      const { burst } = floodBudgets[kind]
      client.send(first ?? Buffer.alloc(0))
      // In waves: of the streams opened at once, those over the limit are refused before anyone looks at them.
      for (let sent = 0; sent < burst + 50 && !client.closed; sent += 50) {
        client.send(times(50, (i) => make(i + sent)))
        const last = (sent + 49) * 2 + 1
        if (name === 'malformed requests') {
          await client.until(() => client.closed || client.resetCode(last) !== undefined, 'RST_STREAM')
        } else await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await client.until(() => client.closed, 'end')
      expect(client.goaway).toBe(errorCode.enhanceYourCalm)
    })

    it(`half as much of ${name} is served`, async () => {
      const client = await dial()
      const { burst } = floodBudgets[kind]
      client.send(first ?? Buffer.alloc(0))
      for (let sent = 0; sent < burst / 2; sent += 25) {
        client.send(times(Math.min(25, Math.floor(burst / 2) - sent), (i) => make(i + sent)))
        await new Promise((resolve) => setImmediate(resolve))
      }
      client.send(headers(9999, get()))
      expect(await client.answer(9999)).toMatchObject({ status: 200 })
    })
  }

  it('of CONTINUATION end the connection', async () => {
    const client = await dial()
    client.send(
      frame(frameType.headers, 0, 1, literal(get())),
      times(20, () => frame(frameType.continuation, 0, 1, literal([['a', 'b']]))),
    )
    await client.until(() => client.closed, 'end')
    expect(client.goaway).toBe(errorCode.enhanceYourCalm)
  })

  it('of a header list that unpacks to megabytes (HPACK bomb) end the connection', async () => {
    const client = await dial()
    const large = Buffer.concat([
      Buffer.from([0x40, 1, 0x78]),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, 0x79),
    ])
    // Each byte 0xbe is another field of 4 KB.
    const block = Buffer.concat([literal(get()), large, Buffer.alloc(8000, 0xbe)])
    const seen = engine.seen.length
    client.send(frame(frameType.headers, frameFlag.endHeaders | frameFlag.endStream, 1, block))
    await client.until(() => client.closed, 'end')
    expect(client.goaway).toBe(errorCode.enhanceYourCalm)
    expect(engine.seen.length).toBe(seen)
  })

  it('do not end a connection that serves as much as it cancels', async () => {
    const client = await dial()
    let id = -1
    for (let i = 0; i < 200; i += 1) {
      id += 2
      client.send(headers(id, get()))
      await client.answer(id)
      id += 2
      client.send(headers(id, get()), rst(id))
    }
    client.send(headers(9999, get()))
    expect(await client.answer(9999)).toMatchObject({ status: 200 })
  })
})

describe('the buckets', () => {
  it('run dry with time', () => {
    const limits = new FloodLimits()
    const { burst, perSecond } = floodBudgets.ping
    for (let i = 0; i < burst; i += 1) expect(limits.take('ping')).toBe(true)
    expect(limits.take('ping')).toBe(false)
    limits.drain(2000)
    for (let i = 0; i < perSecond * 2 - 1; i += 1) expect(limits.take('ping')).toBe(true)
    expect(limits.take('ping')).toBe(false)
    expect(limits.take('settings')).toBe(true)
  })
})

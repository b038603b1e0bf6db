import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { bytesSource } from '../../../src/body.ts'
import { RequestTimeoutError } from '../../../src/errors.ts'
import type { Handler } from '../../../src/exchange.ts'
import { errorCode, frameFlag, frameType } from '../../../src/listener/http2/frames.ts'
import {
  data,
  frame,
  get,
  headers,
  literal,
  preface,
  RawHttp2,
  request,
  settings,
  windowUpdate,
} from '../../support/http2-client.ts'
import { answer, readBody, startHttp2Engine, type TestHttp2Engine } from '../../support/http2-engine.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const timeouts = {
  handshakeMs: 10_000,
  headerMs: 10_000,
  bodyMs: 20_000,
  minBodyRate: 500,
  idleMs: 60_000,
  writeMs: 30_000,
  halfCloseMs: 1000,
}

let clock: ManualClock
let engine: TestHttp2Engine
let client: RawHttp2
let handle: Handler
beforeEach(async () => {
  clock = new ManualClock()
  handle = () => answer(200, 'ok')
  engine = await startHttp2Engine((exchange) => handle(exchange), { clock, timeouts })
})
afterEach(async () => {
  client.close()
  await engine.stop()
})

/** Lets sockets and immediates run. */
async function turn(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 15))
}

async function open(first?: Buffer): Promise<void> {
  client = await RawHttp2.open(engine.port, first)
  await settle(() => engine.connections() === 1)
}

async function settle(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 2000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('did not settle')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('a client that says nothing', () => {
  const silences: readonly [name: string, first: Buffer, limitMs: number][] = [
    ['at all', Buffer.alloc(0), timeouts.headerMs],
    ['behind half a preface', preface.subarray(0, 10), timeouts.headerMs],
    ['behind the preface', preface, timeouts.headerMs],
    ['behind its SETTINGS', Buffer.concat([preface, settings()]), timeouts.idleMs],
  ]
  for (const [name, first, limitMs] of silences) {
    it(`${name} is cut after ${limitMs} ms`, async () => {
      await open(first)
      await turn()
      clock.advance(limitMs - 1000)
      await turn()
      expect(client.closed).toBe(false)
      clock.advance(2000)
      await client.until(() => client.closed, 'end')
      await settle(() => {
        clock.advance(1000)
        return engine.connections() === 0
      })
    })
  }

  it('between two requests is told GOAWAY, and cut if it stays', async () => {
    await open()
    client.send(headers(1, get()))
    await client.answer()
    await settle(() => engine.finished.length === 1)
    clock.advance(timeouts.idleMs - 1000)
    await turn()
    expect(client.goaway).toBeUndefined()
    client.send(headers(3, get()))
    await client.answer(3)
    await settle(() => engine.finished.length === 2)
    clock.advance(timeouts.idleMs - 1000)
    await turn()
    expect(client.goaway).toBeUndefined()
    clock.advance(2000)
    await client.until(() => client.goaway === errorCode.noError, 'GOAWAY')
    await settle(() => {
      clock.advance(1000)
      return engine.connections() === 0
    })
  })

  it('but PING is idle all the same', async () => {
    await open()
    for (let i = 0; i < 7; i += 1) {
      client.send(frame(frameType.ping, 0, 0, '12345678'))
      await turn()
      clock.advance(10_000)
    }
    await client.until(() => client.goaway !== undefined, 'GOAWAY')
  })
})

describe('a header section that does not end', () => {
  const parts: readonly [name: string, bytes: Buffer][] = [
    ['a block without END_HEADERS', frame(frameType.headers, frameFlag.endStream, 1, literal(get()))],
    ['half a HEADERS frame', headers(1, get()).subarray(0, 20)],
    ['half a frame head', headers(1, get()).subarray(0, 5)],
    ['half a PING', frame(frameType.ping, 0, 0, '12345678').subarray(0, 12)],
  ]
  for (const [name, bytes] of parts) {
    it(`is cut after headerMs: ${name}`, async () => {
      await open()
      client.send(bytes)
      await turn()
      clock.advance(timeouts.headerMs - 1000)
      await turn()
      expect(client.closed).toBe(false)
      clock.advance(2000)
      await client.until(() => client.closed, 'end')
      expect(client.goaway).toBe(errorCode.enhanceYourCalm)
    })
  }

  it('is cut though other streams are at work', async () => {
    handle = () => new Promise(() => {})
    await open()
    client.send(headers(1, get()), frame(frameType.headers, 0, 3, literal(get())))
    await turn()
    clock.advance(timeouts.headerMs + 1000)
    await client.until(() => client.closed, 'end')
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]?.status).toBe(499)
  })
})

describe('a request body', () => {
  it('too slow is failed with 408, and the connection ends as with HTTP/1.1', async () => {
    handle = async (exchange) => answer(200, (await readBody(exchange.body)).bytes.toString())
    await open()
    client.send(headers(1, request('POST', '/'), false), data(1, 'a'))
    await settle(() => engine.seen[0]?.body?.received === 1)
    clock.advance(timeouts.bodyMs - 1000)
    await turn()
    expect(client.answerSoFar().status).toBe(0)
    clock.advance(3000)
    expect(await client.answer()).toMatchObject({ status: 408, complete: true })
    await client.until(() => client.resetCode(1) === errorCode.noError, 'RST_STREAM')
    expect(engine.seen[0]?.error).toBeInstanceOf(RequestTimeoutError)
    await client.until(() => client.goaway === errorCode.noError, 'GOAWAY')
  })

  it('fast enough takes as long as it takes', async () => {
    handle = async (exchange) => answer(200, `${(await readBody(exchange.body)).bytes.length}`)
    await open()
    client.send(headers(1, request('POST', '/'), false))
    await settle(() => engine.seen.length === 1)
    for (let i = 1; i <= 12; i += 1) {
      client.send(data(1, Buffer.alloc(5000)))
      await settle(() => engine.seen[0]?.body?.received === i * 5000)
      clock.advance(10_000)
    }
    client.send(data(1, '', true))
    expect(await client.answer()).toMatchObject({ status: 200, body: '60000' })
  })

  it('that we do not read is nobody’s fault but ours', async () => {
    handle = (exchange) => {
      exchange.body?.start({ data: () => false, end() {}, fail() {} })
      return new Promise(() => {})
    }
    await open()
    client.send(headers(1, request('POST', '/'), false), data(1, 'a'))
    await settle(() => engine.seen[0]?.body?.received === 1)
    clock.advance(200_000)
    await turn()
    expect(engine.finished).toEqual([])
    expect(client.closed).toBe(false)
  })
})

describe('a client that stops reading', () => {
  it('one stream loses that stream after writeMs, and keeps the others', async () => {
    handle = (exchange) =>
      exchange.request.headers.includes('x-idle') ? new Promise(() => {}) : answer(200, 'x'.repeat(20))
    await open(Buffer.concat([preface, settings([4, 0])]))
    client.send(headers(1, get()))
    client.send(headers(3, get([['x-idle', '1']])))
    await settle(() => client.answerSoFar().status === 200)
    clock.advance(timeouts.writeMs - 1000)
    await turn()
    expect(client.resetCode(1)).toBeUndefined()
    clock.advance(3000)
    await client.until(() => client.resetCode(1) === errorCode.cancel, 'RST_STREAM')
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]).toMatchObject({ status: 200, complete: false })
    expect(client.goaway).toBeUndefined()
  })

  it('all of its streams (zero window) loses the connection after writeMs', async () => {
    await open(Buffer.concat([preface, settings([4, 0])]))
    for (let id = 1; id < 20; id += 2) client.send(headers(id, get()))
    await settle(() => client.answerSoFar(19).status === 200)
    clock.advance(timeouts.writeMs + 2000)
    await settle(() => engine.finished.length === 10)
    await client.until(() => client.goaway === errorCode.enhanceYourCalm, 'GOAWAY')
  })

  it('keeps it while the window still grows', async () => {
    handle = () => answer(200, 'x'.repeat(20))
    await open(Buffer.concat([preface, settings([4, 0])]))
    client.send(headers(1, get()))
    await settle(() => client.answerSoFar().status === 200)
    for (let i = 1; i <= 5; i += 1) {
      clock.advance(timeouts.writeMs - 5000)
      client.send(windowUpdate(1, 4))
      await settle(() => client.answerSoFar().body.length === 4 * i)
    }
    expect(await client.answer()).toMatchObject({ body: 'x'.repeat(20), complete: true })
  })

  it('at all loses the connection after writeMs', async () => {
    const big = Buffer.alloc(32 * 1024 * 1024)
    handle = () => ({ status: 200, headers: [], body: big, length: big.length })
    await open(Buffer.concat([preface, settings([4, 0x7fff_ffff]), windowUpdate(0, 0x7fff_0000)]))
    client.socket.pause()
    client.send(headers(1, get()))
    await settle(() => engine.seen.length === 1)
    // Until the kernel's buffers are full.
    const [socket] = engine.sockets
    let written = -1
    while (socket?.bytesWritten !== written) {
      written = socket?.bytesWritten ?? 0
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    clock.advance(500)
    clock.advance(timeouts.writeMs - 1500)
    await turn()
    expect(engine.connections()).toBe(1)
    clock.advance(3000)
    await settle(() => engine.connections() === 0)
    await settle(() => engine.finished.length === 1)
    expect(engine.finished[0]).toMatchObject({ status: 200, complete: false })
    expect(engine.finished[0]?.bodyBytes).toBeLessThan(16 * 1024 * 1024)
  })

  it('is not meant where the origin is what is slow', async () => {
    handle = () => ({
      status: 200,
      headers: [],
      body: { ...bytesSource(Buffer.alloc(0)), start() {} },
      length: undefined,
    })
    await open()
    client.send(headers(1, get()))
    await settle(() => client.answerSoFar().status === 200)
    clock.advance(500_000)
    await turn()
    expect(engine.finished).toEqual([])
    expect(client.goaway).toBeUndefined()
  })
})

describe('an exchange that is over for other reasons', () => {
  it('is cut at the next sweep when its answer had begun', async () => {
    handle = () => ({
      status: 200,
      headers: [],
      body: { ...bytesSource(Buffer.alloc(0)), start() {} },
      length: undefined,
    })
    await open()
    client.send(headers(1, get()))
    await settle(() => client.answerSoFar().status === 200)
    engine.seen[0]?.abort(new RequestTimeoutError('body'))
    clock.advance(1000)
    expect(await client.answer()).toMatchObject({ complete: false, reset: errorCode.cancel })
  })
})

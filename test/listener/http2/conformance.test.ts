import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorCode, frameFlag, frameType } from '../../../src/listener/http2/frames.ts'
import { maxContinuations } from '../../../src/listener/http2/flood-limits.ts'
import {
  data,
  type Fields,
  frame,
  get,
  headers,
  integer,
  literal,
  preface,
  RawHttp2,
  request,
  rst,
  settings,
  uint32,
  windowUpdate,
} from '../../support/http2-client.ts'
import { answer, readBody, startHttp2Engine, type TestHttp2Engine } from '../../support/http2-engine.ts'

// Modelled on the sections of h2spec (generic, http2, hpack), one row a case. Errors are asked for more strictly than h2spec
// does: by code, and a connection error by GOAWAY and an end.

const {
  data: DATA,
  headers: HEADERS,
  priority: PRIORITY,
  rstStream: RST_STREAM,
  settings: SETTINGS,
} = frameType
const { pushPromise: PUSH_PROMISE, ping: PING, goaway: GOAWAY, windowUpdate: WINDOW_UPDATE } = frameType
const CONTINUATION = frameType.continuation
const {
  endStream: END_STREAM,
  endHeaders: END_HEADERS,
  padded: PADDED,
  priority: WITH_PRIORITY,
  ack: ACK,
} = frameFlag
const {
  protocolError,
  streamClosed,
  frameSizeError,
  compressionError,
  flowControlError,
  refusedStream,
  enhanceYourCalm,
} = errorCode

let engine: TestHttp2Engine
beforeAll(async () => {
  engine = await startHttp2Engine(
    async (exchange) => {
      // Streams that tests keep open on purpose are not answered before their request has ended.
      const { bytes } = await readBody(exchange.body)
      return answer(200, `${exchange.request.method} ${bytes.length}`)
    },
    { streams: 10 },
  )
})
afterAll(() => engine.stop())

interface Case {
  readonly name: string
  /** Sent behind the preface and SETTINGS. */
  readonly send: readonly Buffer[]
  /** Sent instead of preface and SETTINGS. */
  readonly first?: Buffer
  /** Waits for the answer on stream 1 before `afterwards` is sent. */
  readonly afterwards?: readonly Buffer[]
  /** Codes of GOAWAY, the connection ending with it. */
  readonly connection?: readonly number[]
  /** Codes of RST_STREAM on stream 1 (or `stream`), the connection living on. */
  readonly reset?: readonly number[]
  /** The answer on stream 1 (or `stream`). */
  readonly body?: string
  readonly stream?: number
  /** A PING is answered. */
  readonly alive?: boolean
  readonly check?: (client: RawHttp2) => Promise<void>
}

const openPost = headers(1, request('POST', '/'), false)
const priority = (dependency: number, weight = 15) =>
  Buffer.concat([uint32(dependency), Buffer.from([weight])])
const block = (fields: Fields) => literal(fields)
const half = (fields: Fields): [Buffer, Buffer] => {
  const bytes = block(fields)
  return [bytes.subarray(0, 10), bytes.subarray(10)]
}
const [firstHalf, secondHalf] = half(get())
const getBlock = block(get())

const sections: Record<string, readonly Case[]> = {
  '3.4 preface': [
    { name: 'serves behind a valid preface', send: [headers(1, get())], body: 'GET 0' },
    {
      name: 'refuses an invalid preface',
      first: Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n'),
      send: [],
      connection: [protocolError],
    },
    {
      name: 'refuses HTTP/1.1',
      first: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      send: [],
      connection: [protocolError],
    },
    {
      name: 'refuses another frame than SETTINGS first',
      first: preface,
      send: [headers(1, get())],
      connection: [protocolError],
    },
    {
      name: 'refuses SETTINGS ACK first',
      first: preface,
      send: [frame(SETTINGS, ACK, 0)],
      connection: [protocolError],
    },
  ],
  '4.2 frame size': [
    {
      name: 'takes DATA of 16,384 bytes',
      send: [openPost, data(1, Buffer.alloc(16_384), true)],
      body: 'POST 16384',
    },
    {
      name: 'refuses larger DATA',
      send: [openPost, data(1, Buffer.alloc(16_385), true)],
      connection: [frameSizeError],
    },
    {
      name: 'refuses larger HEADERS',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, block([['x', 'y'.repeat(16_384)]])]),
        ),
      ],
      connection: [frameSizeError],
    },
    {
      name: 'refuses a larger unknown frame',
      send: [frame(200, 0, 0, Buffer.alloc(16_385))],
      connection: [frameSizeError],
    },
  ],
  '4.3 field section compression': [
    {
      name: 'refuses a block that does not decode',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.from([0x40, 0x01, 0x41]))],
      connection: [compressionError],
    },
    {
      name: 'refuses PRIORITY inside a block',
      send: [
        frame(HEADERS, END_STREAM, 1, firstHalf),
        frame(PRIORITY, 0, 1, priority(0)),
        frame(CONTINUATION, END_HEADERS, 1, secondHalf),
      ],
      connection: [protocolError],
    },
    {
      name: 'refuses HEADERS of another stream inside a block',
      send: [frame(HEADERS, END_STREAM, 1, firstHalf), headers(3, get())],
      connection: [protocolError],
    },
    {
      name: 'takes a block cut in the middle of a string',
      send: [frame(HEADERS, END_STREAM, 1, firstHalf), frame(CONTINUATION, END_HEADERS, 1, secondHalf)],
      body: 'GET 0',
    },
  ],
  '5.1 stream states': [
    { name: 'idle: refuses DATA', send: [data(1, 'x')], connection: [protocolError] },
    { name: 'idle: refuses RST_STREAM', send: [rst(1)], connection: [protocolError] },
    { name: 'idle: refuses WINDOW_UPDATE', send: [windowUpdate(1, 100)], connection: [protocolError] },
    {
      name: 'idle: refuses CONTINUATION',
      send: [frame(CONTINUATION, END_HEADERS, 1, getBlock)],
      connection: [protocolError],
    },
    {
      name: 'idle: takes PRIORITY',
      send: [frame(PRIORITY, 0, 1, priority(0)), headers(1, get())],
      body: 'GET 0',
    },
    {
      name: 'half-closed (remote): refuses DATA',
      send: [headers(1, get()), data(1, 'x', true)],
      connection: [streamClosed],
    },
    {
      name: 'half-closed (remote): refuses HEADERS',
      send: [headers(1, get()), headers(1, get())],
      connection: [streamClosed],
    },
    {
      name: 'half-closed (remote): refuses CONTINUATION',
      send: [headers(1, get()), frame(CONTINUATION, END_HEADERS, 1, getBlock)],
      connection: [protocolError, streamClosed],
    },
    {
      name: 'half-closed (remote): takes WINDOW_UPDATE, PRIORITY',
      send: [headers(1, get()), windowUpdate(1, 100), frame(PRIORITY, 0, 1, priority(0))],
      body: 'GET 0',
    },
    { name: 'half-closed (remote): takes RST_STREAM', send: [headers(1, get()), rst(1)], alive: true },
    {
      name: 'closed by reset: refuses DATA',
      send: [openPost, rst(1), data(1, 'x', true)],
      connection: [streamClosed],
    },
    {
      name: 'closed by reset: refuses HEADERS',
      send: [openPost, rst(1), headers(1, get())],
      connection: [streamClosed],
    },
    {
      name: 'closed by reset: refuses CONTINUATION',
      send: [openPost, rst(1), frame(CONTINUATION, END_HEADERS, 1, getBlock)],
      connection: [protocolError, streamClosed],
    },
    {
      name: 'closed by END_STREAM: refuses DATA',
      send: [headers(1, get())],
      afterwards: [data(1, 'x', true)],
      connection: [streamClosed],
    },
    {
      name: 'closed by END_STREAM: refuses HEADERS',
      send: [headers(1, get())],
      afterwards: [headers(1, get())],
      connection: [streamClosed],
    },
    {
      name: 'closed by END_STREAM: refuses CONTINUATION',
      send: [headers(1, get())],
      afterwards: [frame(CONTINUATION, END_HEADERS, 1, getBlock)],
      connection: [protocolError, streamClosed],
    },
    {
      name: 'closed: takes PRIORITY, WINDOW_UPDATE, RST_STREAM',
      send: [headers(1, get())],
      afterwards: [frame(PRIORITY, 0, 1, priority(0)), windowUpdate(1, 9), rst(1)],
      alive: true,
    },
  ],
  '5.1.1 stream identifiers': [
    { name: 'refuses an even stream', send: [headers(2, get())], connection: [protocolError] },
    {
      name: 'refuses a lower stream',
      send: [headers(5, get()), headers(3, get())],
      connection: [protocolError],
    },
  ],
  '5.1.2 concurrency': [
    {
      name: 'refuses streams over the limit',
      send: Array.from({ length: 11 }, (_, i) => headers(i * 2 + 1, request('POST', '/'), false)),
      stream: 21,
      reset: [protocolError, refusedStream],
    },
    {
      name: 'serves as many as the limit at once',
      send: Array.from({ length: 10 }, (_, i) => headers(i * 2 + 1, get())),
      stream: 19,
      body: 'GET 0',
    },
  ],
  '5.3.1 dependencies': [
    {
      name: 'refuses HEADERS that depend on themselves',
      send: [
        frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, Buffer.concat([priority(1), getBlock])),
      ],
      connection: [protocolError],
    },
    {
      name: 'refuses PRIORITY that depends on itself',
      send: [frame(PRIORITY, 0, 3, priority(3))],
      connection: [protocolError],
    },
    {
      name: 'refuses exclusive PRIORITY that depends on itself',
      send: [frame(PRIORITY, 0, 3, priority(0x8000_0003))],
      connection: [protocolError],
    },
  ],
  '5.4.1 connection errors': [
    {
      name: 'ends the connection behind GOAWAY',
      send: [frame(PING, 0, 0, '1234567890')],
      connection: [frameSizeError],
    },
  ],
  '5.5 extensions': [
    {
      name: 'ignores an unknown frame',
      send: [frame(0x16, 0xff, 0, 'x'.repeat(8)), frame(0x16, 0, 77, '')],
      alive: true,
    },
    {
      name: 'refuses one inside a header block',
      send: [
        frame(HEADERS, END_STREAM, 1, firstHalf),
        frame(0x16, 0, 1, 'x'),
        frame(CONTINUATION, END_HEADERS, 1, secondHalf),
      ],
      connection: [protocolError],
    },
  ],
  '6.1 DATA': [
    { name: 'takes several', send: [openPost, data(1, 'ab'), data(1, 'cd', true)], body: 'POST 4' },
    {
      name: 'takes padding',
      send: [openPost, frame(DATA, PADDED | END_STREAM, 1, '\x06test\0\0\0\0\0\0')],
      body: 'POST 4',
    },
    {
      name: 'takes padding only',
      send: [openPost, frame(DATA, PADDED | END_STREAM, 1, '\x03\0\0\0')],
      body: 'POST 0',
    },
    { name: 'refuses stream 0', send: [data(0, 'x')], connection: [protocolError] },
    {
      name: 'refuses too long a padding',
      send: [openPost, frame(DATA, PADDED | END_STREAM, 1, '\x06\0\0\0\0\0')],
      connection: [protocolError],
    },
    {
      name: 'refuses a missing pad length',
      send: [openPost, frame(DATA, PADDED | END_STREAM, 1, '')],
      connection: [frameSizeError],
    },
  ],
  '6.2 HEADERS': [
    {
      name: 'takes padding',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS | PADDED,
          1,
          Buffer.concat([Buffer.from([3]), getBlock, Buffer.alloc(3)]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: 'takes priority',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS | WITH_PRIORITY,
          1,
          Buffer.concat([priority(0, 255), getBlock]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: 'takes padding and priority',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
          1,
          Buffer.concat([Buffer.from([2]), priority(0x8000_0000), getBlock, Buffer.alloc(2)]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: 'refuses stream 0',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 0, getBlock)],
      connection: [protocolError],
    },
    {
      name: 'refuses too long a padding',
      send: [
        frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, Buffer.concat([Buffer.from([200]), getBlock])),
      ],
      connection: [protocolError],
    },
    {
      name: 'refuses a missing priority',
      send: [frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, 'abc')],
      connection: [frameSizeError],
    },
  ],
  '6.3 PRIORITY': [
    {
      name: 'takes weights and exclusive dependencies',
      send: [
        frame(PRIORITY, 0, 1, priority(0, 0)),
        frame(PRIORITY, 0, 3, priority(1, 255)),
        frame(PRIORITY, 0, 5, priority(0x8000_0001)),
        headers(1, get()),
      ],
      body: 'GET 0',
    },
    { name: 'refuses stream 0', send: [frame(PRIORITY, 0, 0, priority(0))], connection: [protocolError] },
    {
      name: 'refuses another size',
      send: [openPost, frame(PRIORITY, 0, 1, 'abcd')],
      connection: [frameSizeError],
    },
  ],
  '6.4 RST_STREAM': [
    { name: 'refuses stream 0', send: [rst(0)], connection: [protocolError] },
    {
      name: 'refuses another size',
      send: [openPost, frame(RST_STREAM, 0, 1, 'abc')],
      connection: [frameSizeError],
    },
  ],
  '6.5 SETTINGS': [
    {
      name: 'acknowledges',
      send: [settings([3, 100])],
      check: async (client) => {
        await client.until(
          () =>
            client.frames.filter((each) => each.type === SETTINGS && (each.flags & ACK) !== 0).length === 2,
          'ACK',
        )
      },
    },
    {
      name: 'refuses ACK with a payload',
      send: [frame(SETTINGS, ACK, 0, '\0')],
      connection: [frameSizeError],
    },
    { name: 'refuses a stream', send: [frame(SETTINGS, 0, 1, '')], connection: [protocolError] },
    { name: 'refuses another size', send: [frame(SETTINGS, 0, 0, '\0\x03\0')], connection: [frameSizeError] },
    { name: 'refuses ENABLE_PUSH of 2', send: [settings([2, 2])], connection: [protocolError] },
    {
      name: 'refuses INITIAL_WINDOW_SIZE over 2^31 - 1',
      send: [settings([4, 0x8000_0000])],
      connection: [flowControlError],
    },
    {
      name: 'refuses MAX_FRAME_SIZE under 16,384',
      send: [settings([5, 16_383])],
      connection: [protocolError],
    },
    {
      name: 'refuses MAX_FRAME_SIZE over 2^24 - 1',
      send: [settings([5, 0x100_0000])],
      connection: [protocolError],
    },
    { name: 'ignores unknown ones', send: [settings([0xff, 1])], alive: true },
  ],
  '6.6 PUSH_PROMISE': [
    {
      name: 'is refused',
      send: [openPost, frame(PUSH_PROMISE, END_HEADERS, 1, Buffer.concat([uint32(2), getBlock]))],
      connection: [protocolError],
    },
  ],
  '6.7 PING': [
    { name: 'is answered', send: [], alive: true },
    {
      name: 'an ACK is not answered',
      send: [frame(PING, ACK, 0, 'h2spech2'), frame(PING, 0, 0, 'abcdefgh')],
      check: async (client) => {
        await client.until(() => client.frames.some((each) => each.type === PING), 'PING')
        expect(
          client.frames.filter((each) => each.type === PING).map((each) => each.payload.toString()),
        ).toEqual(['abcdefgh'])
      },
    },
    { name: 'is refused on a stream', send: [frame(PING, 0, 1, '12345678')], connection: [protocolError] },
    {
      name: 'is refused with another size',
      send: [frame(PING, 0, 0, '123456')],
      connection: [frameSizeError],
    },
  ],
  '6.8 GOAWAY': [
    {
      name: 'is refused on a stream',
      send: [frame(GOAWAY, 0, 1, Buffer.alloc(8))],
      connection: [protocolError],
    },
    {
      name: 'is refused when too short',
      send: [frame(GOAWAY, 0, 0, Buffer.alloc(7))],
      connection: [frameSizeError],
    },
    {
      name: 'lets streams finish',
      send: [openPost, frame(GOAWAY, 0, 0, Buffer.alloc(8)), data(1, 'x', true)],
      body: 'POST 1',
    },
  ],
  '6.9 WINDOW_UPDATE': [
    { name: 'refuses 0 on the connection', send: [windowUpdate(0, 0)], connection: [protocolError] },
    { name: 'refuses 0 on a stream', send: [openPost, windowUpdate(1, 0)], connection: [protocolError] },
    {
      name: 'refuses another size',
      send: [frame(WINDOW_UPDATE, 0, 0, '\0\0\x01')],
      connection: [frameSizeError],
    },
    {
      name: 'refuses a connection window over 2^31 - 1',
      send: [windowUpdate(0, 0x7fff_ffff), windowUpdate(0, 0x7fff_ffff)],
      connection: [flowControlError],
    },
    {
      name: 'refuses a stream window over 2^31 - 1',
      send: [openPost, windowUpdate(1, 0x7fff_ffff), windowUpdate(1, 0x7fff_ffff)],
      connection: [flowControlError],
    },
    {
      name: 'one byte of window, one byte of DATA',
      send: [settings([4, 1]), headers(1, get())],
      check: async (client) => {
        const first = await client.until(() => client.frames.find((each) => each.type === DATA), 'DATA')
        expect(first.payload.length).toBe(1)
      },
    },
    {
      name: 'a window that grows by SETTINGS counts for open streams',
      send: [settings([4, 0]), headers(1, get())],
      check: async (client) => {
        await client.until(() => client.frames.some((each) => each.type === HEADERS), 'HEADERS')
        expect(client.frames.some((each) => each.type === DATA)).toBe(false)
        client.send(settings([4, 1]))
        const first = await client.until(() => client.frames.find((each) => each.type === DATA), 'DATA')
        expect(first.payload.length).toBe(1)
      },
    },
    {
      name: 'a window may be negative for a while',
      send: [settings([4, 3]), headers(1, get())],
      check: async (client) => {
        await client.until(() => client.frames.some((each) => each.type === DATA), 'DATA')
        client.send(settings([4, 2]), windowUpdate(1, 2))
        const second = await client.until(() => client.frames.filter((each) => each.type === DATA)[1], 'DATA')
        expect(second.payload.length).toBe(1)
      },
    },
    {
      name: 'refuses an INITIAL_WINDOW_SIZE that makes a window overflow',
      send: [openPost, windowUpdate(1, 0x7fff_0000), settings([4, 0x7fff_ffff])],
      connection: [flowControlError],
    },
  ],
  '6.10 CONTINUATION': [
    {
      name: 'takes several',
      send: [
        frame(HEADERS, END_STREAM, 1, firstHalf),
        ...[...secondHalf.subarray(0, maxContinuations - 1)].map((byte) =>
          frame(CONTINUATION, 0, 1, Buffer.from([byte])),
        ),
        frame(CONTINUATION, END_HEADERS, 1, secondHalf.subarray(maxContinuations - 1)),
      ],
      body: 'GET 0',
    },
    {
      name: 'refuses too many',
      send: [
        frame(HEADERS, END_STREAM, 1, firstHalf),
        ...Array.from({ length: maxContinuations + 1 }, () => frame(CONTINUATION, 0, 1, '')),
      ],
      connection: [enhanceYourCalm],
    },
    {
      name: 'refuses another frame behind it',
      send: [frame(HEADERS, END_STREAM, 1, firstHalf), frame(CONTINUATION, 0, 1, secondHalf), data(1, 'x')],
      connection: [protocolError],
    },
    {
      name: 'refuses stream 0',
      send: [frame(HEADERS, END_STREAM, 1, firstHalf), frame(CONTINUATION, END_HEADERS, 0, secondHalf)],
      connection: [protocolError],
    },
    {
      name: 'refuses it behind a whole HEADERS',
      send: [headers(1, request('POST', '/'), false), frame(CONTINUATION, END_HEADERS, 1, secondHalf)],
      connection: [protocolError],
    },
    {
      name: 'refuses it behind a last CONTINUATION',
      send: [
        frame(HEADERS, 0, 1, firstHalf),
        frame(CONTINUATION, END_HEADERS, 1, secondHalf),
        frame(CONTINUATION, END_HEADERS, 1, ''),
      ],
      connection: [protocolError],
    },
    {
      name: 'refuses it behind DATA',
      send: [openPost, data(1, 'x'), frame(CONTINUATION, END_HEADERS, 1, secondHalf)],
      connection: [protocolError],
    },
  ],
  '7 error codes': [
    { name: 'takes an unknown one in RST_STREAM', send: [openPost, rst(1, 0xff)], alive: true },
    {
      name: 'takes an unknown one in GOAWAY',
      send: [frame(GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(0xff)]))],
      check: async (client) => {
        await client.until(() => client.closed, 'end')
      },
    },
  ],
  '8.1 messages': [
    {
      name: 'takes trailers',
      send: [openPost, data(1, 'abc'), headers(1, [['x-sum', '1']])],
      body: 'POST 3',
    },
    {
      name: 'refuses a second section without END_STREAM',
      send: [openPost, headers(1, [['x-sum', '1']], false)],
      reset: [protocolError],
    },
    {
      name: 'refuses pseudo-fields in trailers',
      send: [openPost, data(1, 'abc'), headers(1, [[':method', 'GET']])],
      reset: [protocolError],
    },
    {
      name: 'refuses fields in trailers that no message may have',
      send: [openPost, data(1, 'abc'), headers(1, [['x-sum', 'a\nb']])],
      reset: [protocolError],
    },
  ],
  '8.1.1 content-length': [
    {
      name: 'takes one that is right',
      send: [headers(1, request('POST', '/', [['content-length', '4']]), false), data(1, 'test', true)],
      body: 'POST 4',
    },
    {
      name: 'refuses less DATA',
      send: [headers(1, request('POST', '/', [['content-length', '5']]), false), data(1, 'test', true)],
      reset: [protocolError],
    },
    {
      name: 'refuses more DATA',
      send: [headers(1, request('POST', '/', [['content-length', '3']]), false), data(1, 'test', true)],
      reset: [protocolError],
    },
    {
      name: 'refuses less in several',
      send: [
        headers(1, request('POST', '/', [['content-length', '9']]), false),
        data(1, 'test'),
        data(1, 'test', true),
      ],
      reset: [protocolError],
    },
    {
      name: 'refuses less before trailers',
      send: [
        headers(1, request('POST', '/', [['content-length', '9']]), false),
        data(1, 'test'),
        headers(1, [['a', 'b']]),
      ],
      reset: [protocolError],
    },
    {
      name: 'refuses one where no body comes',
      send: [headers(1, get([['content-length', '1']]))],
      reset: [protocolError],
    },
    {
      name: 'refuses two',
      send: [
        headers(
          1,
          request('POST', '/', [
            ['content-length', '4'],
            ['content-length', '4'],
          ]),
          false,
        ),
        data(1, 'test', true),
      ],
      reset: [protocolError],
    },
    ...['', '-1', '+4', '4 ', '0x4', '4,4', '99999999999999999999'].map((value) => ({
      name: `refuses "${value}"`,
      send: [headers(1, request('POST', '/', [['content-length', value]]), false), data(1, 'test', true)],
      reset: [protocolError],
    })),
  ],
  '8.2 fields': [
    ...(
      [
        ['an upper-case name', ['X-Test', 'a']],
        ['a space in a name', ['x test', 'a']],
        ['a colon in a name', ['x:test', 'a']],
        ['an empty name', ['', 'a']],
        ['a byte over 127 in a name', ['x\xfc', 'a']],
        ['a control character in a name', ['x\x01', 'a']],
        ['connection', ['connection', 'keep-alive']],
        ['keep-alive', ['keep-alive', '1']],
        ['proxy-connection', ['proxy-connection', 'keep-alive']],
        ['transfer-encoding', ['transfer-encoding', 'chunked']],
        ['upgrade', ['upgrade', 'h2c']],
        ['te other than trailers', ['te', 'gzip']],
        ['te with more than trailers', ['te', 'trailers, deflate']],
        ['NUL in a value', ['x-test', 'a\0b']],
        ['CR in a value', ['x-test', 'a\rb']],
        ['LF in a value', ['x-test', 'a\nb']],
        ['a smuggled request in a value', ['x-test', 'a\r\n\r\nGET /admin HTTP/1.1\r\n\r\n']],
        ['DEL in a value', ['x-test', 'a\x7fb']],
        ['leading space in a value', ['x-test', ' a']],
        ['trailing tab in a value', ['x-test', 'a\t']],
        ['LF in a cookie', ['cookie', 'a=b\nc']],
      ] as const
    ).map(([name, field]) => ({
      name: `refuses ${name}`,
      send: [headers(1, get([field]))],
      reset: [protocolError],
    })),
    {
      name: 'takes te: trailers, tabs, bytes over 127 and empty values',
      send: [
        headers(
          1,
          get([
            ['te', 'trailers'],
            ['x-a', 'a\tb c'],
            ['x-b', '\xff\x80'],
            ['x-c', ''],
          ]),
        ),
      ],
      body: 'GET 0',
    },
  ],
  '8.3 pseudo-fields': (
    [
      ['an unknown one', [...get(), [':test', 'a']]],
      ['one of responses', [...get(), [':status', '200']]],
      [
        'one behind regular fields',
        [
          [':method', 'GET'],
          [':scheme', 'https'],
          ['x-a', 'b'],
          [':path', '/'],
          [':authority', 'a'],
        ],
      ],
      ['an empty :path', request('GET', '')],
      ['no :method', get().slice(1)],
      ['no :scheme', get().filter(([name]) => name !== ':scheme')],
      ['no :path', get().filter(([name]) => name !== ':path')],
      ['two :method', [[':method', 'GET'], ...get()]],
      ['two :scheme', [[':scheme', 'https'], ...get()]],
      ['two :path', [[':path', '/'], ...get()]],
      ['two :authority', [[':authority', 'example.com'], ...get()]],
      [
        'another scheme',
        [
          [':method', 'GET'],
          [':scheme', 'file'],
          [':path', '/'],
          [':authority', 'a'],
        ],
      ],
      ['LF in :path', request('GET', '/\n')],
      ['CR LF in :method', request('GET / HTTP/1.1\r\nx: y\r\n\r\n', '/')],
      [
        'extended CONNECT',
        [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          [':scheme', 'https'],
          [':path', '/'],
          [':authority', 'a'],
        ],
      ],
      [
        'CONNECT with :path',
        [
          [':method', 'CONNECT'],
          [':path', '/'],
          [':authority', 'a'],
        ],
      ],
    ] as readonly [string, Fields][]
  ).map(([name, fields]) => ({
    name: `refuses ${name}`,
    send: [headers(1, fields)],
    reset: [protocolError],
  })),
  HPACK: [
    {
      name: '2.3.3: refuses an index beyond the tables',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([getBlock, integer(70, 7, 0x80)]))],
      connection: [compressionError],
    },
    {
      name: '2.3.3: refuses a name beyond the tables',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, integer(70, 6, 0x40), Buffer.from([1, 0x61])]),
        ),
      ],
      connection: [compressionError],
    },
    {
      name: '4.2: refuses a size update behind a field',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([getBlock, integer(0, 5, 0x20)]))],
      connection: [compressionError],
    },
    {
      name: '4.2: takes size updates at the start',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([integer(0, 5, 0x20), integer(4096, 5, 0x20), getBlock]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: '5.1: refuses an endless integer',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([Buffer.from([0xff]), Buffer.alloc(12, 0x80)]),
        ),
      ],
      connection: [compressionError],
    },
    {
      name: '5.2: refuses padding longer than 7 bits',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, Buffer.from([0x00, 0x01, 0x61, 0x83, 0x1f, 0xff, 0xff])]),
        ),
      ],
      connection: [compressionError],
    },
    {
      name: '5.2: refuses padding with zeros',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, Buffer.from([0x00, 0x01, 0x61, 0x81, 0x18])]),
        ),
      ],
      connection: [compressionError],
    },
    {
      name: '5.2: refuses the end-of-string code',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, Buffer.from([0x00, 0x01, 0x61, 0x85, 0x1f, 0xff, 0xff, 0xff, 0xff])]),
        ),
      ],
      connection: [compressionError],
    },
    {
      name: '6.1: refuses index 0',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([getBlock, Buffer.from([0x80])]))],
      connection: [compressionError],
    },
    {
      name: '6.1: takes fields of the static table',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([Buffer.from([0x82, 0x87, 0x84]), literal([[':authority', 'a']])]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: '6.2: takes a literal that is indexed, then its index',
      send: [
        frame(
          HEADERS,
          END_STREAM | END_HEADERS,
          1,
          Buffer.concat([getBlock, Buffer.from([0x40, 1, 0x78, 1, 0x79, 0xbe, 0xbe])]),
        ),
      ],
      body: 'GET 0',
    },
    {
      name: '6.3: refuses a table larger than offered',
      send: [frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.concat([integer(4097, 5, 0x20), getBlock]))],
      connection: [compressionError],
    },
  ],
}

for (const [section, cases] of Object.entries(sections)) {
  describe(section, () => {
    for (const row of cases) {
      it(row.name, async () => {
        const served = engine.seen.length
        const client = await RawHttp2.open(engine.port, row.first)
        try {
          client.send(...row.send)
          if (row.afterwards !== undefined) {
            await client.answer(1)
            client.send(...row.afterwards)
          }
          const stream = row.stream ?? 1
          if (row.connection !== undefined) {
            await client.until(() => client.closed, 'end of the connection')
            expect(row.connection, client.describe()).toContain(client.goaway)
          } else if (row.reset !== undefined) {
            const { reset, complete } = await client.answer(stream)
            expect(row.reset, client.describe()).toContain(reset)
            expect(complete).toBe(false)
            await pinged(client)
          } else if (row.body !== undefined) {
            const got = await client.answer(stream)
            expect(got).toMatchObject({ status: 200, body: row.body, complete: true })
          } else if (row.alive === true) {
            await pinged(client)
          }
          await row.check?.(client)
          // Nothing that was refused for its message has reached the pipeline as a whole request.
          if (row.reset !== undefined && section !== '5.1.2 concurrency') {
            for (const exchange of engine.seen.slice(served)) expect(exchange.abortReason).toBeDefined()
          }
        } finally {
          client.close()
        }
      })
    }
  })
}

async function pinged(client: RawHttp2): Promise<void> {
  client.send(frame(PING, 0, 0, 'are-you?'))
  await client.until(
    () =>
      client.frames.some(
        (each) => each.type === PING && (each.flags & ACK) !== 0 && each.payload.toString() === 'are-you?',
      ),
    'PING ACK',
  )
}

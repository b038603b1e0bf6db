import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Framing, type ResponseEvents, ResponseParser } from '../../src/upstream/response-parser.ts'
import type { ResponseHead } from '../../src/upstream/response-head.ts'

/** What came of one response: heads and trailers as they were, the body in one string. */
interface Outcome {
  informations: number[]
  head:
    | (Pick<ResponseHead, 'status' | 'headers' | 'contentLength' | 'keepAlive'> & { framing: Framing })
    | undefined
  body: string
  ended: boolean
  trailers: readonly string[] | undefined
  fault: boolean
  /** Bytes beyond the end of the response. */
  extra: number
}

interface Asked {
  headRequest?: boolean
  upgrade?: boolean
  maxHeaderBytes?: number
  eof?: boolean
}

function parse(pieces: readonly Buffer[], asked: Asked = {}): Outcome {
  const outcome: Outcome = {
    informations: [],
    head: undefined,
    body: '',
    ended: false,
    trailers: undefined,
    fault: false,
    extra: 0,
  }
  const events: ResponseEvents = {
    onInformation: ({ status }) => void outcome.informations.push(status),
    onHead: ({ status, headers, contentLength, keepAlive }, framing) => {
      outcome.head = { status, headers, contentLength, keepAlive, framing }
    },
    onBody: (buffer, start, end) => {
      outcome.body += buffer.toString('latin1', start, end)
    },
    onEnd: (trailers) => {
      outcome.ended = true
      outcome.trailers = trailers
    },
  }
  const parser = new ResponseParser(events, asked.maxHeaderBytes ?? 4096)
  parser.begin(asked.headRequest ?? false, asked.upgrade ?? false)
  for (const piece of pieces) {
    // As on the wire: a buffer that is used again, with what an earlier read left behind the new bytes.
    const buffer = Buffer.concat([Buffer.from('\r\n\r'), piece, Buffer.from('\n\r\n\r\n0\r\n\r\n')])
    const used = parser.push(buffer, 3, 3 + piece.length) - 3
    if (parser.fault !== undefined) break
    outcome.extra += piece.length - used
  }
  if (asked.eof === true && parser.fault === undefined) parser.endOfInput()
  outcome.fault = parser.fault !== undefined
  return outcome
}

const whole = (text: string, asked?: Asked) => parse([Buffer.from(text, 'latin1')], asked)

describe('framing', () => {
  const rows: [string, string, Asked, Partial<Outcome>][] = [
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', {}, { body: 'hello', ended: true }],
    ['a length of 0', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', {}, { body: '', ended: true }],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n2\r\n, \r\n0\r\n\r\n', {}, { body: 'hello, ', ended: true, trailers: undefined }],
    ['Chunked in capitals', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n', {}, { body: '', ended: true }],
    ['chunks with trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n', {}, { body: 'a', ended: true, trailers: ['X-Sum', '1'] }],
    ['the end of the connection', 'HTTP/1.1 200 OK\r\n\r\nhello', { eof: true }, { body: 'hello', ended: true }],
    ['HTTP/1.0 by the end of the connection', 'HTTP/1.0 200 OK\r\n\r\nhello', { eof: true }, { body: 'hello', ended: true }],
    ['204 with a body all the same', 'HTTP/1.1 204 No Content\r\n\r\nhello', {}, { body: '', ended: true, extra: 5 }],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', {}, { body: '', ended: true, extra: 0 }],
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', { headRequest: true }, { body: '', ended: true }],
    ['HEAD of chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', { headRequest: true }, { ended: true }],
    ['bytes after the end', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloEVIL', {}, { body: 'hello', ended: true, extra: 4 }],
    ['interim responses first', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na', {}, { informations: [100, 103], body: 'a', ended: true }],
    ['101 that was asked for', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\nbytes', { upgrade: true }, { ended: false, extra: 5 }],
    ['a body cut short', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel', { eof: true }, { body: 'hel', ended: false }],
    ['chunks cut before the last one', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', { eof: true }, { body: 'hello', ended: false }],
  ] // prettier-ignore
  it.each(rows)('reads %s', (_name, text, asked, expected) => {
    expect(whole(text, asked)).toMatchObject({ fault: false, ...expected })
  })

  it('takes framing and hop-by-hop fields out and keeps the rest in order', () => {
    const text =
      'HTTP/1.1 200 OK\r\nServer: x\r\nConnection: X-Secret, keep-alive\r\nX-Secret: s\r\nKeep-Alive: timeout=7\r\n' +
      'Proxy-Connection: a\r\nUpgrade: h2c\r\nContent-Length: 0\r\nset-cookie:a=1 \r\nSet-Cookie:\t b=2\r\nX-Empty:\r\n\r\n'
    expect(whole(text).head?.headers).toEqual([
      'Server',
      'x',
      'set-cookie',
      'a=1',
      'Set-Cookie',
      'b=2',
      'X-Empty',
      '',
    ])
  })

  it.each([
    ['HTTP/1.1 200 OK\r\n\r\n', true],
    ['HTTP/1.1 200 OK\r\nConnection: Close\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\n\r\n', false],
    ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n', true],
  ])('knows from %j whether the connection stays: %j', (text, keepAlive) => {
    expect(whole(text).head?.keepAlive).toBe(keepAlive)
  })
})

describe('faults', () => {
  const ok = 'HTTP/1.1 200 OK\r\n'
  const length = 'Content-Length: 5\r\n\r\nhello'
  const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`
  it.each([
    ['letters for a length', `${ok}Content-Length: abc\r\n\r\n`],
    ['a negative length', `${ok}Content-Length: -5\r\n\r\n`],
    ['a signed length', `${ok}Content-Length: +5\r\n\r\n`],
    ['an empty length', `${ok}Content-Length:\r\n\r\n`],
    ['a length in hex', `${ok}Content-Length: 0x5\r\n\r\n`],
    ['a length past 2^53', `${ok}Content-Length: 18446744073709551621\r\n\r\n`],
    ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 3\r\n\r\nhello`],
    ['the same length twice', `${ok}Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello`],
    ['a list of lengths', `${ok}Content-Length: 5, 5\r\n\r\nhello`],
    ['length and chunks', `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['an unknown coding', `${ok}Transfer-Encoding: xchunked\r\n\r\n`],
    ['two codings', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['chunked twice', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['identity', `${ok}Transfer-Encoding: identity\r\n\r\n`],
    ['chunks on HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['NUL in a value', `${ok}X: a\0b\r\n${length}`],
    ['bare CR in a value', `${ok}X: a\rY: b\r\n${length}`],
    ['bare LF in a value', `${ok}X: a\nY: b\r\n${length}`],
    ['a folded line', `${ok}X: a\r\n b\r\n${length}`],
    ['white space before the colon', `${ok}X : a\r\n${length}`],
    ['no name', `${ok}: a\r\n${length}`],
    ['no colon', `${ok}garbage line\r\n${length}`],
    ['a name that is no token', `${ok}X[]: a\r\n${length}`],
    ['a name beyond latin1 tokens', `${ok}X\xe9: a\r\n${length}`],
    ['another protocol', 'hello I am not HTTP\r\n'],
    ['another protocol in one byte', 'S'],
    ['a status of letters', 'HTTP/1.1 abc OK\r\n\r\n'],
    ['a status of five digits', 'HTTP/1.1 20000 OK\r\n\r\n'],
    ['status 000', 'HTTP/1.1 000 OK\r\n\r\n'],
    ['status 099', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['status 999', 'HTTP/1.1 999 Odd\r\n\r\n'],
    ['status 600', 'HTTP/1.1 600 Odd\r\n\r\n'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['a control character in the reason', 'HTTP/1.1 200 O\x07K\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
    ['lower case http', 'http/1.1 200 OK\r\n\r\n'],
    ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
    ['an empty line first', `\r\n${ok}${length}`],
    ['a head too large', `${ok}X: ${'a'.repeat(5000)}\r\n\r\n`],
    ['a head too large that does not end', `${ok}X: ${'a'.repeat(5000)}`],
    ['17 interim responses', `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(17)}${ok}${length}`],
    [
      'an unasked 101',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    ],
    ['a chunk size of letters', `${chunked}ZZ\r\n`],
    ['an empty chunk size', `${chunked}\r\n`],
    ['a signed chunk size', `${chunked}+5\r\nhello\r\n`],
    ['a chunk size with a space', `${chunked}5 \r\nhello\r\n`],
    ['a chunk size past 2^53', `${chunked}10000000000000005\r\nhello\r\n`],
    ['chunk lines that end in LF', `${chunked}5\nhello\n0\n\n`],
    ['a chunk longer than its size', `${chunked}4\r\nhello\r\n`],
    ['an endless chunk extension', `${chunked}5;${'a'.repeat(5000)}`],
    ['LF in a chunk extension', `${chunked}5;a\nb\r\nhello\r\n`],
    ['a folded trailer', `${chunked}0\r\nX: a\r\n b\r\n\r\n`],
    ['trailers too large', `${chunked}0\r\nX: ${'a'.repeat(5000)}\r\n\r\n`],
  ])('refuses %s', (_name, text) => {
    const outcome = whole(text)
    expect(outcome.fault).toBe(true)
    expect(outcome.ended).toBe(false)
  })

  it('refuses a 101 without Upgrade even when one was asked for', () => {
    expect(whole('HTTP/1.1 101 Switching Protocols\r\n\r\n', { upgrade: true }).fault).toBe(true)
  })

  it('still accepts 16 interim responses, an empty reason and none at all', () => {
    expect(whole(`${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(16)}HTTP/1.1 200 \r\n\r\n`)).toMatchObject({
      fault: false,
    })
    expect(whole('HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok')).toMatchObject({
      fault: false,
      body: 'ok',
      ended: true,
    })
  })
})

describe('any split of the bytes gives the same result', () => {
  const pieces = [
    'HTTP/1.1 200 OK\r\n', 'HTTP/1.0 200 OK\r\n', 'HTTP/1.1 103 Hints\r\n\r\n', 'HTTP/1.1 204 None\r\n', 'Content-Length: 5\r\n',
    'Content-Length: 0\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'X-A: b\r\n', 'X: a\nb\r\n', 'X : a\r\n', '\r\n',
    '5\r\n', 'hello', 'hello\r\n', '0\r\n\r\n', '0\r\n', '3;x=y\r\nabc\r\n', 'ZZ\r\n', '\r', '\n', '\0', '0\r\nX-T: v\r\n\r\n',
    'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n', `X-Long: ${'y'.repeat(120)}\r\n`,
  ] // prettier-ignore
  const bytes = fc
    .oneof(
      {
        weight: 4,
        arbitrary: fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((list) => list.join('')),
      },
      {
        weight: 3,
        arbitrary: fc
          .array(fc.constantFrom(...pieces), { maxLength: 8 })
          .map((list) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${list.join('')}`),
      },
      { weight: 1, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 60 }) },
    )
    .map((text) => Buffer.from(text, 'latin1'))

  it('holds for well-formed, odd and broken responses', () => {
    fc.assert(
      fc.property(
        bytes,
        fc.array(fc.nat({ max: 400 }), { maxLength: 20 }),
        fc.boolean(),
        fc.boolean(),
        (all, cuts, headRequest, upgrade) => {
          const asked = { headRequest, upgrade, maxHeaderBytes: 256, eof: true }
          const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, all.length)), all.length])].toSorted(
            (a, b) => a - b,
          )
          const split = at.slice(1).map((end, i) => all.subarray(at[i], end))
          const single = Array.from(all, (_, i) => all.subarray(i, i + 1))
          const expected = parse([all], asked)
          expect(parse(split, asked)).toEqual(expected)
          expect(parse(single, asked)).toEqual(expected)
        },
      ),
      { numRuns: 1500 },
    )
  })
})

import { connect } from 'node:http2'
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { FrameGate } from '../../../src/listener/http2/gate.ts'
import { HpackDecoder } from '../../../src/listener/http2/hpack-decoder.ts'
import { decodedBound, decodeHuffman } from '../../../src/listener/http2/huffman.ts'
import { integer } from '../../support/http2-client.ts'

function decode(decoder: HpackDecoder, hex: string): string[][] {
  const block = Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')
  const fields: string[][] = []
  const fault = decoder.decode(block, 0, block.length, ({ name, value }) => {
    fields.push([name, value])
    return true
  })
  expect(fault).toBeUndefined()
  return fields
}

const first = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
]

describe('the examples of RFC 7541 Appendix C', () => {
  it('C.2: literals and an index', () => {
    const decoder = new HpackDecoder()
    expect(decode(decoder, '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')).toEqual([
      ['custom-key', 'custom-header'],
    ])
    expect(decoder.entries).toBe(1)
    expect(decode(new HpackDecoder(), '040c 2f73 616d 706c 652f 7061 7468')).toEqual([
      [':path', '/sample/path'],
    ])
    expect(decode(new HpackDecoder(), '1008 7061 7373 776f 7264 0673 6563 7265 74')).toEqual([
      ['password', 'secret'],
    ])
    expect(decode(new HpackDecoder(), '82')).toEqual([[':method', 'GET']])
  })

  const requests: readonly [name: string, blocks: readonly string[]][] = [
    [
      'C.3: requests',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
    ],
    [
      'C.4: requests with Huffman',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
    ],
  ]
  for (const [name, blocks] of requests) {
    it(name, () => {
      const decoder = new HpackDecoder()
      expect(decode(decoder, blocks[0] as string)).toEqual(first)
      expect(decode(decoder, blocks[1] as string)).toEqual([...first, ['cache-control', 'no-cache']])
      expect(decode(decoder, blocks[2] as string)).toEqual([
        [':method', 'GET'],
        [':scheme', 'https'],
        [':path', '/index.html'],
        [':authority', 'www.example.com'],
        ['custom-key', 'custom-value'],
      ])
      expect(decoder.entries).toBe(3)
    })
  }

  it('C.6: answers with Huffman and a table of 256 bytes that evicts', () => {
    const decoder = new HpackDecoder(256)
    expect(
      decode(
        decoder,
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ),
    ).toEqual([
      [':status', '302'],
      ['cache-control', 'private'],
      ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['location', 'https://www.example.com'],
    ])
    expect(decode(decoder, '4883 640e ffc1 c0bf')[0]).toEqual([':status', '307'])
    expect(decoder.entries).toBe(4)
    expect(
      decode(
        decoder,
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ).at(-1),
    ).toEqual(['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'])
    expect(decoder.entries).toBe(3)
  })
})

describe('any bytes', () => {
  it('decode or are refused, and never throw or loop', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder()
        for (const bytes of blocks) {
          const block = Buffer.from(bytes)
          let octets = 0
          const fault = decoder.decode(block, 0, block.length, (field) => {
            octets += field.size
            return octets < 10_000
          })
          if (fault !== undefined) return
        }
        expect(decoder.entries).toBeLessThanOrEqual(128)
      }),
      { numRuns: 2000 },
    )
  })

  it('that are literals come back as they went in', () => {
    const text = fc.uint8Array({ maxLength: 300 })
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text, fc.boolean()), { maxLength: 20 }), (fields) => {
        const decoder = new HpackDecoder()
        const block = Buffer.concat(
          fields.map(([name, value, indexed]) =>
            Buffer.concat([
              Buffer.from([indexed ? 0x40 : 0]),
              integer(name.length, 7, 0),
              name,
              integer(value.length, 7, 0),
              value,
            ]),
          ),
        )
        const seen: string[][] = []
        decoder.decode(block, 0, block.length, ({ name, value }) => {
          seen.push([name, value])
          return true
        })
        const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')
        expect(seen).toEqual(fields.map(([name, value]) => [latin1(name), latin1(value)]))
      }),
    )
  })
})

describe('Huffman', () => {
  it('refuses the end-of-string code, long padding and padding with zeros', () => {
    const into = Buffer.alloc(100)
    const tries = ['ffffffff', '3fffffff', 'ff', '0700', '1f80', '1ffe']
    const results = tries.map((hex) => decodeHuffman(Buffer.from(hex, 'hex'), 0, hex.length / 2, into))
    expect(results).toEqual(tries.map(() => -1))
  })

  it('never writes more than its bound', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const into = new Uint8Array(decodedBound(bytes.length) + 8).fill(0xaa)
        const written = decodeHuffman(bytes, 0, bytes.length, into)
        expect(written).toBeLessThanOrEqual(decodedBound(bytes.length))
        expect(into.subarray(decodedBound(bytes.length)).every((byte) => byte === 0xaa)).toBe(true)
      }),
    )
  })
})

// nghttp2's encoder as an oracle: it chooses Huffman where that is shorter, and indexes as it likes.
describe('what nghttp2 encodes', () => {
  const servers: { close(): void }[] = []
  afterAll(() => {
    for (const server of servers.splice(0)) server.close()
  })

  /** A client session that is answered nothing, and the field sections that came of its requests. */
  function encoder() {
    const sections: (readonly string[])[][] = []
    const gate = new FrameGate(
      { maxHeaderListBytes: 1_000_000, maxStreams: 1000 },
      { refused() {}, reset() {}, windowGranted() {} },
    )
    let id = 1
    const session = connect('http://localhost', {
      peerMaxConcurrentStreams: 10_000,
      createConnection: () => {
        return new Duplex({
          read() {},
          write(chunk: Buffer, _encoding, done) {
            gate.read(Buffer.from(chunk))
            for (let stream = gate.adopt(id); stream !== undefined; stream = gate.adopt(id)) {
              sections.push(stream.fields.map(({ name, value }) => [name, value]))
              gate.release(stream, true)
              id += 2
            }
            done()
          },
        })
      },
    })
    session.on('error', () => {})
    servers.push({ close: () => session.destroy() })
    return {
      async send(fields: Record<string, string>): Promise<(readonly string[])[]> {
        const before = sections.length
        session.request({ ':path': '/', ...fields }).on('error', () => {})
        while (sections.length === before && gate.fault === undefined)
          await new Promise((resolve) => setImmediate(resolve))
        expect(gate.fault).toBeUndefined()
        return (sections.at(-1) ?? []).filter(([name]) => name?.startsWith('x-') === true)
      },
    }
  }

  it('decodes every byte that a value may hold', async () => {
    const nghttp2 = encoder()
    for (let code = 0x21; code < 0x100; code += 1) {
      if (code === 0x7f) continue
      // Among short codes, so that Huffman is chosen; at the start, in the middle, at the end.
      const char = String.fromCharCode(code)
      const value = `${char}aaaaaaaaaaaaaaaaaaaa${char}${char}aaaaaaaaaaaaaaaaaaaa${char}`
      expect(await nghttp2.send({ 'x-byte': value })).toEqual([['x-byte', value]])
    }
  })

  it('decodes any fields, the dynamic table in use', async () => {
    const nghttp2 = encoder()
    const name = fc.stringMatching(/^[a-z0-9-]{1,12}$/).map((text) => `x-${text}`)
    const value = fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,60}[\x21-\x7e]$/)
    await fc.assert(
      fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 8 }), async (fields) => {
        expect(await nghttp2.send(fields)).toEqual(Object.entries(fields))
      }),
      { numRuns: 150 },
    )
  })
})

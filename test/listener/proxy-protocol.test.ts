import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalAddress } from '../../src/net-address.ts'
import { parseProxyHeader, type ProxyHeader } from '../../src/listener/proxy-protocol.ts'
import { proxyHeaderV2 } from '../support/proxy-header.ts'

describe('version 1', () => {
  test.each<[string, ProxyHeader]>([
    [
      'PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET',
      { kind: 'complete', bytes: 45, client: { address: '192.0.2.1', port: 56324, localPort: 443 } },
    ],
    [
      'PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n',
      { kind: 'complete', bytes: 36, client: { address: '2001:db8::1', port: 1, localPort: 65535 } },
    ],
    ['PROXY UNKNOWN\r\n', { kind: 'complete', bytes: 15, client: undefined }],
    ['PROXY UNKNOWN ff:ff 1 what ever\r\n', { kind: 'complete', bytes: 33, client: undefined }],
  ])('takes %j', (text, header) => {
    expect(parseProxyHeader(Buffer.from(text))).toEqual(header)
  })

  test.each([
    'GET / HTTP/1.1\r\n',
    'proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n',
    'PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n',
    'PROXY TCP4 2001:db8::1 ::1 1 2\r\n',
    'PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 -1 2\r\n',
    'PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n',
    'PROXY TCP4 192.0.2.1 198.51.100.7 1 2\nGET / HTTP/1.1\r\n',
    'PROXY TCP6 fe80::1%x ::1 1 2\r\n',
    `PROXY UNKNOWN ${'x'.repeat(120)}\r\n`,
    '\r\nGET / HTTP/1.1',
  ])('refuses %j', (text) => {
    expect(parseProxyHeader(Buffer.from(text)).kind).toBe('invalid')
  })

  test('is at most 107 bytes long', () => {
    expect(parseProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`)).kind).toBe('complete')
    expect(parseProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`)).kind).toBe('invalid')
    expect(parseProxyHeader(Buffer.from(`PROXY UNKNOWN ${'x'.repeat(92)}`)).kind).toBe('incomplete')
  })
})

describe('version 2', () => {
  test('takes addresses and skips unknown TLVs', () => {
    const tlv = Buffer.from([0xe0, 0, 3, 1, 2, 3, 0x04, 0, 0])
    expect(
      parseProxyHeader(proxyHeaderV2({ source: '192.0.2.1', sourcePort: 7, destinationPort: 443, tlv })),
    ).toEqual({
      kind: 'complete',
      bytes: 16 + 12 + 9,
      client: { address: '192.0.2.1', port: 7, localPort: 443 },
    })
    expect(
      parseProxyHeader(proxyHeaderV2({ source: '2001:db8::1', sourcePort: 7, destinationPort: 443 })),
    ).toEqual({
      kind: 'complete',
      bytes: 16 + 36,
      client: { address: '2001:db8::1', port: 7, localPort: 443 },
    })
  })

  test('counts an IPv4-mapped source as IPv4', () => {
    const header = parseProxyHeader(
      proxyHeaderV2({ source: '::ffff:c000:201', sourcePort: 7, destinationPort: 443 }),
    )
    expect(header).toMatchObject({ client: { address: '192.0.2.1' } })
  })

  const signature = '0d0a0d0a000d0a515549540a'
  test.each([
    ['LOCAL without addresses', '20000000', 16],
    ['LOCAL with a payload of any family', '20ff0003010203', 19],
    ['an unspecified family', '21000000', 16],
    ['a unix socket', `213100d8${'00'.repeat(216)}`, 232],
  ])('leaves the socket its own address: %s', (_, rest, bytes) => {
    expect(parseProxyHeader(Buffer.from(signature + rest, 'hex'))).toEqual({
      kind: 'complete',
      bytes,
      client: undefined,
    })
  })

  test.each([
    ['version 1 in binary', '11110000'],
    ['an unknown command', '22110000'],
    ['UDP', '2112000c'],
    ['too short for IPv4', '2111000b'],
    ['too short for IPv6', '2121000c'],
    ['a payload over 4,096 bytes', '21111001'],
    ['a TLV that ends early', `2111000f${'01'.repeat(12)}e00005`],
    ['one byte behind the addresses', `2111000d${'01'.repeat(13)}`],
  ])('refuses %s', (_, rest) => {
    expect(parseProxyHeader(Buffer.from(signature + rest, 'hex')).kind).toBe('invalid')
  })
})

/** As the listener does it: piece by piece, until the parser has made up its mind. */
function feed(bytes: Buffer, cuts: readonly number[]): ProxyHeader {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  let header: ProxyHeader = { kind: 'incomplete' }
  for (const end of ends) {
    header = parseProxyHeader(bytes.subarray(0, end))
    if (header.kind !== 'incomplete') break
  }
  return header
}

describe('any bytes, any split', () => {
  const port = fc.nat(65535)
  const address = fc.oneof(fc.ipV4(), fc.ipV6())
  const line = fc.tuple(address, port, port).map(([source, sourcePort, destinationPort]) => {
    const isIpv6 = source.includes(':')
    return Buffer.from(
      `PROXY ${isIpv6 ? `TCP6 ${source} ::1` : `TCP4 ${source} 127.0.0.1`} ${sourcePort} ${destinationPort}\r\n`,
    )
  })
  const binary = fc
    .tuple(address, port, port)
    .map(([source, sourcePort, destinationPort]) => proxyHeaderV2({ source, sourcePort, destinationPort }))
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const cuts = fc.array(fc.nat(400), { maxLength: 8 })

  test('a valid header gives its addresses and leaves the rest, however it is split', () => {
    fc.assert(
      fc.property(fc.oneof(line, binary), noise, cuts, (head, rest, places) => {
        const header = feed(Buffer.concat([head, rest]), places)
        expect(header).toMatchObject({ kind: 'complete', bytes: head.length })
        expect(header).toEqual(parseProxyHeader(head))
        if (header.kind === 'complete')
          expect(canonicalAddress(header.client?.address ?? '')).toBe(header.client?.address)
      }),
    )
  })

  test('a damaged header comes to the same verdict, however it is split', () => {
    const damaged = fc
      .tuple(fc.oneof(line, binary), fc.nat(300), fc.nat(255), noise)
      .map(([head, at, byte, rest]) => {
        const bytes = Buffer.concat([head, rest])
        bytes[at % bytes.length] = byte
        return bytes
      })
    fc.assert(
      fc.property(damaged, cuts, (bytes, places) => {
        expect(feed(bytes, places).kind).toBe(parseProxyHeader(bytes).kind)
      }),
      { numRuns: 1000 },
    )
  })
})

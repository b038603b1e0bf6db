import { isIPv4, isIPv6 } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  canonicalAddress,
  type Cidr,
  CidrTable,
  parseCidr,
  parseListenAddress,
  printCidr,
  printListenAddress,
} from '../src/net-address.ts'

describe('addresses', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::', '2001:db8::'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::8', '1::8'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['0:0:1::', '0:0:1::'],
    ['fe80::1%eth0', 'fe80::1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical)
  })

  test.each(
    [
      '',
      '1.2.3',
      '1.2.3.4.5',
      '01.2.3.4',
      '1.2.3.256',
      '1.2.3.',
      '.1.2.3',
      '1..2.3',
      '1.2.3.4 ',
      '0x1.2.3.4',
      '1.2.3.-4',
      ':',
      ':::',
      '1:',
      ':1',
      '1:2:3:4:5:6:7',
      '1:2:3:4:5:6:7:8:9',
      '1::2::3',
      '12345::',
      'g::',
      '1:2:3:4:5:6:7::8',
      '::1.2.3',
      '1.2.3.4::',
      '::1.2.3.4:5',
      '[::1]',
      '1:2:3:4:5:6:7:1.2.3.4',
      '::%',
    ].filter((text) => text !== '::%'),
  )('%j is no address', (text) => {
    expect(canonicalAddress(text)).toBeUndefined()
  })

  test('agrees with Node about what is an address', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '00',
      '12',
      '255',
      '256',
      'ff',
      'FFFF',
      '12345',
      ':',
      '::',
      '.',
      '1.2.3.4',
      'g',
      '',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        // Node takes "::" for no group at all ("1:2:3:4:5:6:7::8" is refused by both).
        expect(canonicalAddress(text) !== undefined).toBe(isIPv4(text) || isIPv6(text))
      }),
      { numRuns: 3000 },
    )
  })

  test('canonical text is a fixed point and names the same address', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const canonical = canonicalAddress(text) as string
        expect(canonicalAddress(canonical)).toBe(canonical)
        const host = canonical.includes(':')
          ? new URL(`http://[${text}]/`).hostname
          : new URL(`http://${canonical}/`).hostname
        expect(host).toBe(canonical.includes(':') ? `[${canonical}]` : canonical)
      }),
    )
  })
})

describe('CIDR blocks', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['192.0.2.7', '192.0.2.7/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::/0', '::/0'],
    ['2001:db8::/33', '2001:db8::/33'],
    ['::1', '::1/128'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ])('%s is the block %s', (text, printed) => {
    expect(printCidr(parseCidr(text) as Cidr)).toBe(printed)
  })

  test.each([
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '::1/64',
    '::/129',
    '::ffff:0.0.0.0/95',
    'x/8',
  ])('%s is refused', (text) => {
    expect(parseCidr(text)).toBeUndefined()
  })

  test('the longest prefix decides', () => {
    const table = new CidrTable<string>(
      [
        ['0.0.0.0/0', 'all'],
        ['10.0.0.0/8', 'ten'],
        ['10.1.0.0/16', 'ten-one'],
        ['10.1.2.3', 'host'],
        ['2001:db8::/32', 'doc'],
        ['2001:db8:0:1::/64', 'net'],
      ].map(([block, name]) => [parseCidr(block as string) as Cidr, name as string]),
    )
    expect(table.lookup('192.0.2.1')).toBe('all')
    expect(table.lookup('10.9.9.9')).toBe('ten')
    expect(table.lookup('10.1.9.9')).toBe('ten-one')
    expect(table.lookup('10.1.2.3')).toBe('host')
    expect(table.lookup('::ffff:10.1.2.3')).toBe('host')
    expect(table.lookup('2001:db8::5')).toBe('doc')
    expect(table.lookup('2001:DB8:0:1:ffff::')).toBe('net')
    expect(table.lookup('2001:db9::')).toBeUndefined()
    expect(table.lookup('')).toBeUndefined()
    expect(table.lookup('not an address')).toBeUndefined()
    expect(table.size).toBe(6)
  })

  test('agrees with a plain scan over all blocks', () => {
    const block = fc
      .tuple(fc.constantFrom(0, 4, 8, 12, 16, 31, 32), fc.nat({ max: 0xffffffff }))
      .map(([prefix, word]) => {
        const masked = prefix === 0 ? 0 : (word & (0xffffffff << (32 - prefix))) >>> 0
        return { prefix, masked, text: `${dotted(masked)}/${prefix}` }
      })
    fc.assert(
      fc.property(fc.array(block, { maxLength: 20 }), fc.nat({ max: 0xffffffff }), (blocks, word) => {
        const table = new CidrTable(blocks.map((one) => [parseCidr(one.text) as Cidr, one.prefix]))
        const near = blocks[0] === undefined ? word : (blocks[0].masked | (word & 0xff)) >>> 0
        for (const address of [word, near]) {
          const holding = blocks.filter(
            ({ prefix, masked }) =>
              prefix === 0 || (address & (0xffffffff << (32 - prefix))) >>> 0 === masked,
          )
          const longest = holding.length === 0 ? undefined : Math.max(...holding.map((one) => one.prefix))
          expect(table.lookup(dotted(address))).toBe(longest)
        }
      }),
    )
  })
})

function dotted(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.')
}

describe('listen addresses', () => {
  test.each([
    [':8443', { kind: 'tcp', host: undefined, port: 8443 }],
    ['*:80', { kind: 'tcp', host: undefined, port: 80 }],
    ['127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
    ['[::1]:443', { kind: 'tcp', host: '::1', port: 443 }],
    ['localhost:80', { kind: 'tcp', host: 'localhost', port: 80 }],
    ['unix:/run/app.sock', { kind: 'unix', path: '/run/app.sock' }],
  ])('%s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address)
    expect(parseListenAddress(printListenAddress(address as never))).toEqual(address)
  })

  test.each([
    '',
    '8443',
    ':',
    ':65536',
    ':080',
    '::1:443',
    '[::1]',
    '[127.0.0.1]:80',
    'example.com:80',
    'unix:',
    `unix:/${'x'.repeat(107)}`,
  ])('%j is refused', (text) => {
    expect(parseListenAddress(text)).toBeUndefined()
  })
})

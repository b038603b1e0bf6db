import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientResolver } from '../../src/client-address.ts'
import { parseCidr } from '../../src/net-address.ts'

const trusted = ['10.0.0.0/8', '2001:db8:ffff::/48']
  .map((text) => parseCidr(text))
  .filter((block) => block !== undefined)
const resolve = clientResolver(trusted)

const idOf = (...headers: string[]) => resolve('10.0.0.1', headers).requestId

describe('who the client is', () => {
  it('is the peer, whatever it claims, unless it is a trusted proxy', () => {
    const headers = [
      'X-Forwarded-For',
      '198.51.100.1',
      'Forwarded',
      'for=198.51.100.1',
      'X-Request-Id',
      'mine',
    ]
    expect(resolve('192.0.2.1', headers)).toEqual({
      address: '192.0.2.1',
      trusted: false,
      requestId: undefined,
    })
    expect(resolve('', headers).trusted).toBe(false)
  })

  it.each([
    [['X-Forwarded-For', '198.51.100.1'], '198.51.100.1'],
    [['X-Forwarded-For', '6.6.6.6, 198.51.100.1'], '198.51.100.1'],
    [['X-Forwarded-For', '6.6.6.6, 198.51.100.1, 10.0.0.2,10.0.0.3'], '198.51.100.1'],
    [['X-Forwarded-For', '6.6.6.6', 'x-forwarded-for', '198.51.100.1'], '198.51.100.1'],
    [['X-Forwarded-For', '10.0.0.9, 10.0.0.2'], '10.0.0.9'],
    [['X-Forwarded-For', '198.51.100.1:4711'], '198.51.100.1'],
    [['X-Forwarded-For', '2001:DB8:0::1'], '2001:db8::1'],
    [['X-Forwarded-For', '[2001:db8::1]:4711'], '2001:db8::1'],
    [['X-Forwarded-For', '::ffff:198.51.100.1'], '198.51.100.1'],
    [['X-Forwarded-For', '6.6.6.6, unknown, 10.0.0.2'], '10.0.0.2'],
    [['X-Forwarded-For', '6.6.6.6, <script>'], '10.0.0.1'],
    [['X-Forwarded-For', '198.51.100.1, , '], '198.51.100.1'],
    [['X-Forwarded-For', ''], '10.0.0.1'],
    [['X-Forwarded-For', ','], '10.0.0.1'],
    [['Forwarded', 'for=198.51.100.1;proto=https;by=10.0.0.1'], '198.51.100.1'],
    [['Forwarded', 'for=6.6.6.6, For="[2001:db8::1]:80", for=10.0.0.2'], '2001:db8::1'],
    [['Forwarded', 'for=6.6.6.6, proto=https'], '10.0.0.1'],
    [['Forwarded', 'for=_hidden'], '10.0.0.1'],
    [['X-Forwarded-For', '198.51.100.1', 'Forwarded', 'for=6.6.6.6'], '198.51.100.1'],
    [[], '10.0.0.1'],
  ])('behind a proxy that sends %j is %s', (headers, expected) => {
    expect(resolve('10.0.0.1', headers)).toMatchObject({ address: expected, trusted: true })
  })

  it('reads 50 hops and no more', () => {
    const list = ['198.51.100.1', ...Array.from({ length: 60 }, () => '10.0.0.2')].join(', ')
    expect(resolve('10.0.0.1', ['X-Forwarded-For', list]).address).toBe('10.0.0.2')
  })

  it('takes a request id from a trusted proxy when it is well formed', () => {
    expect(idOf('X-Request-Id', 'abc-1.2_3')).toBe('abc-1.2_3')
    expect(idOf('X-Request-Id', 'a b')).toBeUndefined()
    expect(idOf('X-Request-Id', '')).toBeUndefined()
    expect(idOf('X-Request-Id', 'x'.repeat(129))).toBeUndefined()
    expect(idOf('X-Request-Id', 'a', 'X-Request-Id', 'b')).toBeUndefined()
  })

  it('never takes what is left of the first untrusted hop, whatever stands there', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (forged) => {
        const headers = ['X-Forwarded-For', `${forged}, 198.51.100.1, 10.0.0.2`]
        expect(resolve('10.0.0.1', headers).address).toBe('198.51.100.1')
      }),
    )
  })
})

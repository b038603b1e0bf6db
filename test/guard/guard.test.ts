import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { refuseWith } from '../../src/answer-error.ts'
import { ErrorPages } from '../../src/error-page.ts'
import type { GatewayResponse } from '../../src/exchange.ts'
import { resolveGuard } from '../../src/guard/options.ts'
import { admitWith, guardStage } from '../../src/guard/stage.ts'
import { compileJudge } from '../../src/guard/verdict.ts'
import { parseCidr } from '../../src/net-address.ts'
import type { Cidr } from '../../src/net-address.ts'
import { makeExchange } from '../support/exchange.ts'

function blocks(...texts: string[]): Cidr[] {
  return texts.map((text) => {
    const block = parseCidr(text)
    if (block === undefined) throw new Error(text)
    return block
  })
}

function judge(allow: string[], deny: string[]) {
  return compileJudge({ allow: blocks(...allow), deny: blocks(...deny) })
}

describe('the verdict', () => {
  const listed = judge(
    ['10.1.0.0/16', '2001:db8:1::/48', '192.0.2.7'],
    ['10.0.0.0/8', '10.1.2.0/24', '2001:db8::/32', '192.0.2.7'],
  )
  it.each([
    ['10.2.0.1', 'deny', '10.0.0.0/8'],
    ['10.1.0.1', 'admit', '10.1.0.0/16'],
    ['10.1.2.3', 'deny', '10.1.2.0/24'],
    ['::ffff:10.1.0.1', 'admit', '10.1.0.0/16'],
    ['2001:db8:1::1', 'admit', '2001:db8:1::/48'],
    ['2001:db8:2::1', 'deny', '2001:db8::/32'],
    ['192.0.2.7', 'deny', '192.0.2.7/32'],
    ['203.0.113.1', 'deny', undefined],
    ['', 'admit', undefined],
  ])('on %s is %s by %s', (address, kind, rule) => {
    expect(listed(address)).toEqual({ kind, rule })
  })

  it('admits everybody but the denied when there is no allow list', () => {
    const denied = judge([], ['198.51.100.0/24'])
    expect(denied('198.51.100.9').kind).toBe('deny')
    expect(denied('198.51.101.9').kind).toBe('admit')
    expect(judge([], [])('198.51.100.9')).toEqual({ kind: 'admit', rule: undefined })
  })

  it('is that of the longest block that holds the address', () => {
    const bits = fc.integer({ min: 8, max: 32 })
    fc.assert(
      fc.property(fc.array(fc.tuple(bits, fc.boolean()), { minLength: 1, maxLength: 8 }), (rules) => {
        // Blocks around 10.255.255.255 that do hold it: host bits cleared.
        const around = (size: number) => {
          const word = (0x0affffff & (0xffffffff << (32 - size))) >>> 0
          return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}/${size}`
        }
        const verdict = judge(
          rules.filter(([, deny]) => !deny).map(([size]) => around(size)),
          rules.filter(([, deny]) => deny).map(([size]) => around(size)),
        )('10.255.255.255')
        const longest = Math.max(...rules.map(([size]) => size))
        const denies = rules.some(([size, deny]) => size === longest && deny)
        expect(verdict.kind).toBe(denies ? 'deny' : 'admit')
      }),
    )
  })
})

describe('the guard', () => {
  const stage = guardStage(judge([], ['192.0.2.0/24']), refuseWith(new ErrorPages()))
  const handler = stage.wrap(() => ({ status: 200, headers: [], body: undefined, length: 0 }))

  it('answers 403 with a page and asks nobody further', () => {
    const exchange = makeExchange({ client: '192.0.2.1' })
    expect(handler(exchange)).toMatchObject({ status: 403 })
    expect(exchange.slots.refused).toBe('denied')
  })

  it('lets others through', () => {
    expect((handler(makeExchange({ client: '198.51.100.1' })) as GatewayResponse).status).toBe(200)
  })

  it('closes sockets of denied peers, but not those of trusted proxies, which speak for others', () => {
    const admit = admitWith(judge([], ['192.0.2.0/24']), (address) => address === '192.0.2.200')
    expect(admit('192.0.2.1')).toBe('close')
    expect(admit('192.0.2.200')).toBe('accept')
    expect(admit('198.51.100.1')).toBe('accept')
    expect(admit('')).toBe('accept')
  })

  it('has empty lists by default', () => {
    expect(resolveGuard({})).toEqual({ allow: [], deny: [] })
  })
})

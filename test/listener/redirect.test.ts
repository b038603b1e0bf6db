import { describe, expect, test } from 'vitest'
import { BadRequestError } from '../../src/errors.ts'
import { Exchange } from '../../src/exchange.ts'
import { noTrace } from '../../src/exchange.ts'
import { redirectHandler } from '../../src/listener/redirect.ts'
import { rotateTicketKeys } from '../../src/listener/ticket-keys.ts'
import { ManualClock } from '../support/manual-clock.ts'

function request(host: string, target: string): Exchange {
  return new Exchange({
    id: 'id',
    request: {
      method: 'GET',
      target,
      path: target,
      query: '',
      scheme: 'http',
      authority: `${host}:8080`,
      host,
      httpVersion: '1.1',
      headers: ['Host', `${host}:8080`],
    },
    connection: {
      id: 1,
      listener: ':8080',
      encrypted: false,
      remoteAddress: '192.0.2.1',
      remotePort: 1,
      localPort: 8080,
      tls: undefined,
    },
    clientAddress: '192.0.2.1',
    peerTrusted: false,
    body: undefined,
    upgrade: undefined,
    clock: new ManualClock(),
    trace: noTrace,
  })
}

describe('the redirect to HTTPS', () => {
  test.each([
    [443, 'example.com', '/', 'https://example.com/'],
    [8443, 'example.com', '/a?b=c', 'https://example.com:8443/a?b=c'],
    [443, '[2001:db8::1]', '/a', 'https://[2001:db8::1]/a'],
    [443, 'example.com', '*', 'https://example.com/'],
    // The host is ours to write; a path that looks like one stays a path.
    [443, 'example.com', '//evil.example/x', 'https://example.com//evil.example/x'],
  ])('on port %i sends %s%s to %s', (port, host, target, location) => {
    const answer = redirectHandler({ port, status: 308 })(request(host, target))
    expect(answer).toEqual({ status: 308, headers: ['Location', location], body: undefined, length: 0 })
  })

  test('refuses a request that names no host', () => {
    expect(() => redirectHandler({ port: 443, status: 301 })(request('', '/'))).toThrow(BadRequestError)
  })
})

describe('ticket keys', () => {
  test('change every period, for as long as wanted', () => {
    const clock = new ManualClock()
    let made = 0
    const random = (size: number): Uint8Array => new Uint8Array(size).fill((made += 1))
    const seen: number[] = []
    const periodMs = 60 * 86_400_000 + 1
    const keys = rotateTicketKeys(periodMs, clock, random, (key) => void seen.push(key[0] as number))
    expect(keys.current).toHaveLength(48)
    clock.advance(periodMs - 1)
    expect(seen).toEqual([])
    clock.advance(1)
    expect(seen).toEqual([2])
    clock.advance(periodMs * 2)
    expect(seen).toEqual([2, 3, 4])
    expect(keys.current[0]).toBe(4)
    keys.stop()
    clock.advance(periodMs * 2)
    expect(seen).toEqual([2, 3, 4])
  })
})

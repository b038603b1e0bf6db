import { expect, test } from 'vitest'
import { isLoopbackHost, judgeAdminRequest } from '../../src/admin/request-gate.ts'

const own = 'Host: 127.0.0.1:2019'

test.each([
  ['GET', [own]],
  ['GET', ['Host: localhost']],
  ['GET', ['Host: LOCALHOST:9000']],
  ['GET', ['host: [::1]:2019']],
  ['POST', [own]],
  ['POST', [own, 'Origin: http://127.0.0.1:2019', 'Sec-Fetch-Site: same-origin']],
  ['POST', [own, 'Sec-Fetch-Site: none']],
  ['GET', [own, 'Sec-Fetch-Site: cross-site']],
])('lets %s with %j in', (method, lines) => {
  expect(judgeAdminRequest(method, raw(lines), false)).toEqual({ kind: 'allowed' })
})

test.each([
  [400, 'GET', []],
  [400, 'GET', [own, 'Host: localhost']],
  [403, 'GET', ['Host: rebound.example']],
  [403, 'GET', ['Host: 10.0.0.1:2019']],
  [403, 'GET', ['Host: 127.0.0.1.example']],
  [403, 'GET', ['Host: localhost.example:2019']],
  [403, 'GET', ['Host: 127.0.0.1@evil.example']],
  [403, 'GET', ['Host: ']],
  [403, 'POST', [own, 'Origin: http://evil.example']],
  [403, 'POST', [own, 'Origin: https://127.0.0.1:2019']],
  [403, 'POST', [own, 'Origin: http://localhost:2019']],
  [403, 'POST', [own, 'Origin: null']],
  [403, 'GET', [own, 'Origin: http://127.0.0.1:2019', 'Origin: http://evil.example']],
  [403, 'POST', [own, 'Sec-Fetch-Site: cross-site']],
  [403, 'POST', [own, 'Sec-Fetch-Site: same-site']],
])('refuses with %i: %s with %j', (status, method, lines) => {
  expect(judgeAdminRequest(method, raw(lines), false)).toMatchObject({ kind: 'refused', status })
})

test('asks no host name of those who come over a unix socket, but an origin all the same', () => {
  expect(judgeAdminRequest('POST', ['Host', 'sluice'], true)).toEqual({ kind: 'allowed' })
  expect(judgeAdminRequest('POST', ['Host', 'sluice', 'Origin', 'http://evil.example'], true).kind).toBe(
    'refused',
  )
})

test.each(['127.0.0.1', '127.255.255.255:1', '[::1]', 'localhost:65535'])('%s is a loopback host', (host) => {
  expect(isLoopbackHost(host)).toBe(true)
})

test.each(['127.0.0.256', '127.1', '0.0.0.0', '[::]', '::1', 'localhost:', 'localhost.', ''])(
  '%j is none',
  (host) => {
    expect(isLoopbackHost(host)).toBe(false)
  },
)

function raw(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const colon = line.indexOf(': ')
    return [line.slice(0, colon), line.slice(colon + 2)]
  })
}

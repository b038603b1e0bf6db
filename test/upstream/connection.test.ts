import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { GatewayError } from '../../src/errors.ts'
import { type Assignment, UpstreamConnection } from '../../src/upstream/connection.ts'
import type { Endpoint } from '../../src/upstream/endpoint.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

it('ends a second after a failed write, since Node keeps the end of input to itself then', async () => {
  const origin = createServer((accepted) => cleanups.push(() => accepted.destroy())).listen(0, '127.0.0.1')
  cleanups.push(() => origin.close())
  await once(origin, 'listening')
  const socket: Socket = connect((origin.address() as AddressInfo).port, '127.0.0.1')
  cleanups.push(() => socket.destroy())
  const failures: GatewayError[] = []
  const ready = Promise.withResolvers<void>()
  const assignment: Assignment = {
    headRequest: false,
    upgrade: false,
    requestSent: false,
    responseHeadTimeoutMs: 60_000,
    bodyIdleTimeoutMs: 60_000,
    onConnection: () => ready.resolve(),
    onInformation() {},
    onResponse() {},
    onTunnel() {},
    onDrain() {},
    onFailure: (error) => void failures.push(error),
  }
  const endpoint = { name: 'test', secure: false, open: () => socket } as unknown as Endpoint
  const owner = { onFree() {}, onGone() {} }
  const connection = new UpstreamConnection(endpoint, owner, 16_384, 0, assignment)
  const sweep = (nowMs: number): void => connection.sweep(nowMs, 5000, 60_000, 600_000)
  await ready.promise
  socket.emit('error', new Error('write EPIPE'))
  // An answer that was sent before the origin closed may still come in; further writes do not put the end off.
  sweep(1000)
  expect(connection.write('more')).toBe(false)
  sweep(1750)
  expect(failures).toEqual([])
  sweep(2000)
  expect(failures.map(({ code }) => code)).toEqual(['upstream_reset'])
})

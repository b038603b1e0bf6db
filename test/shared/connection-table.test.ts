import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ConnectionTable, refused, uncounted } from '../../src/shared/connection-table.ts'

function tables(workers: number, maxConnections = 100): ConnectionTable[] {
  const memory = ConnectionTable.allocate(maxConnections, workers, 0x5eed)
  return Array.from({ length: workers }, (_, worker) => new ConnectionTable(memory, worker))
}

describe('the total', () => {
  test('is one limit over all workers', () => {
    const [a, b] = tables(2) as [ConnectionTable, ConnectionTable]
    expect([a.openTotal(3), b.openTotal(3), a.openTotal(3)]).toEqual([true, true, true])
    expect(b.openTotal(3)).toBe(false)
    expect(a.total()).toBe(3)
    b.closeTotal()
    expect(b.openTotal(3)).toBe(true)
  })
})

describe('clients', () => {
  test('have one limit over all workers, and get their place back', () => {
    const [a, b] = tables(2) as [ConnectionTable, ConnectionTable]
    const first = a.openClient('192.0.2.1', 2)
    expect(first).toBeGreaterThanOrEqual(0)
    expect(b.openClient('192.0.2.1', 2)).toBeGreaterThanOrEqual(0)
    expect(a.openClient('192.0.2.1', 2)).toBe(refused)
    expect(a.openClient('192.0.2.2', 2)).toBeGreaterThanOrEqual(0)
    a.closeClient(first)
    expect(b.client('192.0.2.1')).toBe(1)
    expect(b.openClient('192.0.2.1', 2)).toBeGreaterThanOrEqual(0)
  })

  test('with IPv6 are a /64, and a mapped address is its IPv4 self', () => {
    const [a] = tables(1) as [ConnectionTable]
    a.openClient('2001:db8:0:1::1', 10)
    a.openClient('2001:db8:0:1:ffff::2', 10)
    a.openClient('2001:db8:0:2::1', 10)
    a.openClient('::ffff:192.0.2.1', 10)
    a.openClient('::1', 10)
    expect(a.client('2001:db8:0:1::9')).toBe(2)
    expect(a.client('192.0.2.1')).toBe(1)
    expect(a.client('::1')).toBe(1)
  })

  test('without an IP address are let in and not counted', () => {
    const [a] = tables(1) as [ConnectionTable]
    expect(a.openClient('', 0)).toBe(uncounted)
    a.closeClient(uncounted)
    a.closeClient(refused)
    expect(a.client('')).toBe(0)
  })

  test('leave their slots to others: many more clients than slots come and go', () => {
    const [a, b] = tables(2, 10) as [ConnectionTable, ConnectionTable]
    for (let i = 0; i < 20_000; i += 1) {
      const address = `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`
      const ticket = (i & 1 ? a : b).openClient(address, 1)
      expect(ticket).toBeGreaterThanOrEqual(0)
      ;(i & 1 ? a : b).closeClient(ticket)
      expect(a.client(address)).toBe(0)
    }
  })

  test('as many as connections may be open find a slot each', () => {
    const [a] = tables(1, 4096) as [ConnectionTable]
    let lost = 0
    for (let i = 0; i < 4096; i += 1)
      if (a.openClient(`10.0.${i >> 8}.${i & 255}`, 1) === uncounted) lost += 1
    expect(lost).toBe(0)
  })

  test('count as a plain map does, whatever is opened and closed where', () => {
    const step = fc.record({ worker: fc.nat(2), client: fc.nat(6), close: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const all = tables(3)
        const open = new Map<string, number[]>()
        for (const { worker, client, close } of steps) {
          const address = `192.0.2.${client}`
          const key = `${worker}/${address}`
          const table = all[worker] as ConnectionTable
          const tickets = open.get(key) ?? []
          open.set(key, tickets)
          const ticket = close ? tickets.pop() : undefined
          if (ticket !== undefined) table.closeClient(ticket)
          else {
            const opened = table.openClient(address, 4)
            if (opened !== refused) tickets.push(opened)
          }
          let sum = 0
          for (let each = 0; each < 3; each += 1) sum += open.get(`${each}/${address}`)?.length ?? 0
          expect(sum).toBeLessThanOrEqual(4)
          expect(table.client(address)).toBe(sum)
        }
      }),
    )
  })
})

test('a dead worker takes its counts with it and leaves the others theirs', () => {
  const [a, b] = tables(2) as [ConnectionTable, ConnectionTable]
  a.openTotal(10)
  b.openTotal(10)
  a.openClient('192.0.2.1', 10)
  b.openClient('192.0.2.1', 10)
  b.clearWorker(0)
  expect(b.total()).toBe(1)
  expect(b.client('192.0.2.1')).toBe(1)
})

test('a place is never given twice while workers fight for it', async () => {
  const { Worker } = await import('node:worker_threads')
  const memory = ConnectionTable.allocate(10, 3, 7)
  const module = new URL('../../src/shared/connection-table.ts', import.meta.url).href
  // Each worker opens and closes as fast as it can; nobody may ever see more than the limit admitted.
  const code = `
    const { workerData, parentPort } = require('node:worker_threads')
    import(${JSON.stringify(module)}).then(({ ConnectionTable }) => {
      const table = new ConnectionTable(workerData.memory, workerData.worker)
      const inside = new Int32Array(workerData.inside)
      let admitted = 0, worst = 0
      for (let i = 0; i < 30000; i += 1) {
        const client = i % 3
        const ticket = table.openClient('192.0.2.' + client, 2)
        if (ticket < 0) continue
        admitted += 1
        worst = Math.max(worst, Atomics.add(inside, client, 1) + 1)
        Atomics.sub(inside, client, 1)
        table.closeClient(ticket)
      }
      parentPort.postMessage({ admitted, worst })
    })`
  const inside = new SharedArrayBuffer(16)
  const results = await Promise.all(
    [0, 1, 2].map(
      (worker) =>
        new Promise<{ admitted: number; worst: number }>((resolve, reject) => {
          const thread = new Worker(code, { eval: true, workerData: { memory, worker, inside } })
          thread.once('message', resolve)
          thread.once('error', reject)
        }),
    ),
  )
  const table = new ConnectionTable(memory, 0)
  for (const { admitted, worst } of results) {
    expect(admitted).toBeGreaterThan(1000)
    expect(worst).toBeLessThanOrEqual(2)
  }
  for (const client of [0, 1, 2]) expect(table.client(`192.0.2.${client}`)).toBe(0)
})

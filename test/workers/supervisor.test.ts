import { beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../../src/log.ts'
import type { WorkerStart } from '../../src/workers/messages.ts'
import { Supervisor, WorkerStartError } from '../../src/workers/supervisor.ts'
import type { ThreadEvents, WorkerThread } from '../../src/workers/thread.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** A thread that does what the test says. */
class FakeThread implements WorkerThread {
  readonly index: number
  readonly events: ThreadEvents
  readonly calls: string[] = []
  ended = false

  constructor(index: number, events: ThreadEvents) {
    this.index = index
    this.events = events
  }

  started(): void {
    this.events.message({ kind: 'started' })
  }

  post(): void {}

  call(name: string): Promise<never> {
    this.calls.push(name)
    return this.ended
      ? Promise.reject(new Error('ended'))
      : (Promise.resolve({ faults: [] }) as Promise<never>)
  }

  terminate(): Promise<void> {
    this.die(1)
    return Promise.resolve()
  }

  die(code: number, error?: unknown): void {
    if (this.ended) return
    this.ended = true
    this.events.exit(code, error)
  }
}

let clock: ManualClock
let threads: FakeThread[]
let ended: number[]
let supervisor: Supervisor

beforeEach(() => {
  clock = new ManualClock()
  threads = []
  ended = []
  supervisor = new Supervisor(2, {
    clock,
    logger: silentLogger,
    spawn: ({ index }, events) => {
      const thread = new FakeThread(index, events)
      threads.push(thread)
      return thread
    },
    startOf: (index) => ({ index }) as WorkerStart,
    ended: (index) => void ended.push(index),
    message: () => {},
  })
})

async function start(): Promise<void> {
  const starting = supervisor.start()
  for (const thread of threads) thread.started()
  await starting
}

/** Lets promise chains run: nothing here waits for time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
}

function last(): FakeThread {
  return threads.at(-1) as FakeThread
}

test('starts every worker, and is done when the last one serves', async () => {
  const starting = supervisor.start()
  expect(threads.map((thread) => thread.index)).toEqual([0, 1])
  threads[0]?.started()
  expect(supervisor.serving).toBe(1)
  threads[1]?.started()
  await starting
  expect(supervisor.serving).toBe(2)
})

test('a worker that cannot start fails the start and ends the others', async () => {
  const starting = supervisor.start()
  threads[0]?.started()
  threads[1]?.events.message({ kind: 'start-failed', faults: ['no such file'] })
  await expect(starting).rejects.toThrow(new WorkerStartError(['no such file']))
  expect(threads.every((thread) => thread.ended)).toBe(true)
  clock.advance(60_000)
  expect(threads.length).toBe(2)
})

test('a worker that hangs while it starts is ended after 30 s', async () => {
  const starting = supervisor.start()
  threads[0]?.started()
  clock.advance(30_000)
  await expect(starting).rejects.toThrow('worker 1 did not start within 30 s')
})

test('a worker that dies is cleaned up after, and started again after 100 ms', async () => {
  await start()
  threads[1]?.die(1, new Error('out of luck'))
  expect(ended).toEqual([1])
  expect(supervisor.serving).toBe(1)
  clock.advance(99)
  expect(threads.length).toBe(2)
  clock.advance(1)
  expect(last().index).toBe(1)
  last().started()
  expect(supervisor.serving).toBe(2)
})

test('the pause doubles up to 10 s, and is short again after a healthy minute', async () => {
  await start()
  const pauses: number[] = []
  for (let death = 0; death < 9; death += 1) {
    const count = threads.length
    const from = clock.nowMs()
    ;(threads.findLast((thread) => thread.index === 0) as FakeThread).die(1)
    while (threads.length === count) clock.advance(100)
    pauses.push(clock.nowMs() - from)
    last().started()
    await settle()
  }
  expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000])
  clock.advance(60_000)
  const count = threads.length
  last().die(1)
  clock.advance(100)
  expect(threads.length).toBe(count + 1)
})

test('a restart that fails is tried again', async () => {
  await start()
  threads[0]?.die(1)
  clock.advance(100)
  last().events.message({ kind: 'start-failed', faults: ['port in use'] })
  expect(supervisor.serving).toBe(1)
  clock.advance(200)
  last().started()
  expect(supervisor.serving).toBe(2)
})

test('nothing is started again once it stops', async () => {
  await start()
  threads[0]?.die(1)
  supervisor.stopRestarting()
  threads[1]?.die(0)
  clock.advance(60_000)
  expect(threads.length).toBe(2)
})

test('a restart that falls due during a reload waits for its end', async () => {
  await start()
  threads[0]?.die(1)
  const gate = Promise.withResolvers<void>()
  const work = supervisor.hold(() => gate.promise)
  clock.advance(100)
  await settle()
  expect(threads.length).toBe(2)
  gate.resolve()
  await work
  await settle()
  expect(threads.length).toBe(3)
})

test('a reload waits for workers that are starting', async () => {
  await start()
  threads[0]?.die(1)
  clock.advance(100)
  let held = false
  const work = supervisor.hold(async () => {
    held = true
    return (await supervisor.broadcast('prepare', { plan: {} as never }, 100)).length
  })
  await settle()
  expect(held).toBe(false)
  last().started()
  expect(await work).toBe(2)
})

test('a broadcast asks those that serve, and tells which of them failed', async () => {
  await start()
  threads[0]?.die(1)
  const one = await supervisor.broadcast('abandon', {}, 100)
  expect(one).toEqual([{ index: 1, answer: { faults: [] }, failure: undefined }])
  ;(threads[1] as FakeThread).ended = true
  expect(await supervisor.broadcast('abandon', {}, 100)).toEqual([
    { index: 1, answer: undefined, failure: 'ended' },
  ])
})

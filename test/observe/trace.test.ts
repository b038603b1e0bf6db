import { describe, expect, it } from 'vitest'
import { ConnectError } from '../../src/errors.ts'
import { TraceRing, endStage } from '../../src/observe/trace.ts'
import { makeExchange } from '../support/exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

describe('the trace', () => {
  it('keeps what each stage decided, and how long it took', () => {
    const clock = new ManualClock()
    const trace = new TraceRing(10)
    const exchange = makeExchange({ id: 'a', clock, trace })
    clock.advance(1)
    exchange.note('guard', 'admitted')
    clock.advance(2)
    exchange.note('route', 'matched', 'api')
    exchange.note('answer', 'connect_failed', new ConnectError('x:1', new Error('no')))
    expect(trace.find('a')).toEqual({
      id: 'a',
      entries: [
        { stage: 'guard', outcome: 'admitted', detail: undefined, nanoseconds: 1_000_000 },
        { stage: 'route', outcome: 'matched', detail: 'api', nanoseconds: 2_000_000 },
        {
          stage: 'answer',
          outcome: 'connect_failed',
          detail: 'connect_failed: cannot connect to x:1: no',
          nanoseconds: 0,
        },
      ],
      dropped: 0,
      summary: undefined,
    })
  })

  it('keeps the last N exchanges, and no note of an older one in the place of a newer', () => {
    const trace = new TraceRing(3)
    const places = ['a', 'b', 'c', 'd'].map((id) => trace.begin(id))
    trace.note(places[0] as number, 'late', '', undefined, 1)
    trace.note(places[3] as number, 'route', 'matched', undefined, 1)
    expect(trace.find('a')).toBeUndefined()
    expect(trace.find('b')?.entries).toEqual([])
    expect(trace.find('d')?.entries).toHaveLength(1)
  })

  it('keeps 16 entries of an exchange and its summary, and counts the rest', () => {
    const trace = new TraceRing(1)
    const place = trace.begin('a')
    for (let i = 0; i < 20; i++) trace.note(place, 'x', String(i), undefined, 1)
    trace.note(place, endStage, '', { status: 200 }, 1)
    expect(trace.find('a')).toMatchObject({ dropped: 4, summary: { status: 200 } })
    expect(trace.find('a')?.entries).toHaveLength(16)
  })

  it('finds the newest of two with one id', () => {
    const trace = new TraceRing(5)
    trace.begin('a')
    trace.note(trace.begin('a'), 'new', '', undefined, 1)
    expect(trace.find('a')?.entries[0]?.stage).toBe('new')
  })

  it('can read any detail back', () => {
    const trace = new TraceRing(1)
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    const place = trace.begin('a')
    for (const detail of [loop, 5, null, 'x'.repeat(1000), { rule: 'r' }, new Error('e')])
      trace.note(place, 's', 'o', detail, 1)
    expect(trace.find('a')?.entries.map(({ detail }) => detail)).toEqual([
      '[unreadable]',
      '5',
      undefined,
      'x'.repeat(500),
      '{"rule":"r"}',
      'e',
    ])
  })
})

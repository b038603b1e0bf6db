import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameReader, frameFlag, frameType, hideFrame } from '../../../src/listener/http2/frames.ts'
import { FrameGate, type GateObserver } from '../../../src/listener/http2/gate.ts'
import {
  data,
  frame,
  get,
  headers,
  preface,
  request,
  rst,
  settings,
  windowUpdate,
} from '../../support/http2-client.ts'

const quiet: GateObserver = { refused() {}, reset() {}, windowGranted() {} }

/** Cuts `bytes` at the given places. */
function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
  const parts: Buffer[] = []
  let from = 0
  for (const place of [...places, bytes.length]) {
    // A copy: the gate may hide frames by changing their type.
    parts.push(Buffer.from(bytes.subarray(from, place)))
    from = place
  }
  return parts
}

const arbitraryFrame = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 9 }),
      fc.uint8Array({ maxLength: 40 }),
    )
    .map(([type, flags, id, payload]) => frame(type, flags, id, payload)),
  fc.constantFrom(
    headers(1, get()),
    headers(3, request('POST', '/'), false),
    headers(3, [['x-sum', '1']]),
    data(3, 'hello'),
    data(3, 'bye', true),
    rst(3),
    settings([3, 100]),
    windowUpdate(0, 1000),
    frame(frameType.ping, 0, 0, '12345678'),
  ),
)

/** Everything that the gate says about some bytes. */
function judge(parts: readonly Buffer[]): unknown {
  const log: unknown[] = []
  const gate = new FrameGate(
    { maxHeaderListBytes: 1000, maxStreams: 10 },
    {
      refused: (stream) => log.push(['refused', stream.id, stream.fault]),
      reset: (stream) => log.push(['reset', stream.id]),
      windowGranted: (stream) => log.push(['window', stream?.id]),
    },
  )
  for (const part of parts) {
    gate.read(part)
    // As the session would.
    for (const id of [1, 3]) gate.adopt(id)
    if (gate.fault !== undefined) break
  }
  const streams = [1, 3].map((id) => {
    const stream = gate.adopt(id)
    if (stream === undefined) return undefined
    const { fields, trailers, fault, ended, reset, received, contentLength } = stream
    return { fields, trailers, fault, ended, reset, received, contentLength }
  })
  return { fault: gate.fault, streams, unfinished: gate.fault === undefined && gate.unfinished }
}

describe('the frame gate', () => {
  it('comes to the same verdict however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryFrame, { maxLength: 12 }),
        fc.array(fc.nat(600), { maxLength: 12 }),
        (frames, cuts) => {
          const bytes = Buffer.concat([preface, settings(), ...frames])
          expect(judge(split(bytes, cuts))).toEqual(judge([Buffer.from(bytes)]))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('keeps nothing of a short frame that was cut behind its head for the long one after it', () => {
    const parts = [
      Buffer.concat([preface, settings(), windowUpdate(0, 1000).subarray(0, 9)]),
      Buffer.concat([windowUpdate(0, 1000).subarray(9), headers(1, get()).subarray(0, 30)]),
      headers(1, get()).subarray(30),
    ]
    expect(judge(parts)).toEqual(judge([Buffer.concat(parts)]))
    expect(judge(parts)).toMatchObject({ fault: undefined, unfinished: false })
  })

  it('never throws, whatever comes, and passes nothing on behind a fault', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }),
        fc.boolean(),
        (chunks, polite) => {
          const gate = new FrameGate({ maxHeaderListBytes: 1000, maxStreams: 10 }, quiet)
          if (polite) gate.read(Buffer.concat([preface, settings()]))
          for (const chunk of chunks) {
            const dead = gate.fault !== undefined
            const passed = gate.read(Buffer.from(chunk))
            if (dead) expect(passed).toBe(0)
            expect(passed === chunk.length || gate.fault !== undefined).toBe(true)
          }
        },
      ),
      { numRuns: 1000 },
    )
  })

  it('remembers a bounded number of streams that the session never announced', () => {
    const gate = new FrameGate({ maxHeaderListBytes: 1000, maxStreams: 10 }, quiet)
    gate.read(Buffer.concat([preface, settings()]))
    let refused = 0
    for (let id = 1; id < 2001 && gate.fault === undefined; id += 2) {
      gate.read(headers(id, get()))
      refused += 1
    }
    expect(gate.fault?.reason).toBe('reset flood')
    expect(refused).toBeLessThan(300)
  })
})

describe('the frame reader', () => {
  it('passes on exactly what came before a frame that the visitor stops at', () => {
    const good = Buffer.concat([preface, settings(), frame(frameType.ping, 0, 0, '12345678')])
    const bad = frame(77, 0, 0, 'stop')
    fc.assert(
      fc.property(fc.array(fc.nat(100), { maxLength: 6 }), (cuts) => {
        const reader = new FrameReader({
          head: (type) => (type === 77 ? -1 : 0),
          payload: () => true,
          done: () => true,
        })
        let passed = 0
        for (const part of split(Buffer.concat([good, bad, good]), cuts)) passed += reader.read(part)
        // A frame head that came in parts may have begun to pass: less than a head is no frame.
        expect(passed).toBeGreaterThanOrEqual(good.length)
        expect(passed).toBeLessThan(good.length + 9)
      }),
    )
  })

  it('turns a frame that is to be hidden into one that is ignored', () => {
    const reader = new FrameReader({
      head: (type) => (type === frameType.ping ? hideFrame : 0),
      payload: () => true,
      done: () => true,
    })
    const bytes = Buffer.concat([preface, frame(frameType.ping, frameFlag.ack, 0, '12345678')])
    expect(reader.read(bytes)).toBe(bytes.length)
    expect(bytes[preface.length + 3]).toBe(0xfe)
  })
})

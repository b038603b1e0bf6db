import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { maxDurationMs, parseDuration, parseSize, printDuration, printSize } from '../../src/quantities.ts'

describe('durations', () => {
  it.each([
    ['0', 0],
    ['500ms', 500],
    ['10s', 10_000],
    ['1.5s', 1_500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    [' 12h ', 43_200_000],
    ['365d', 31_536_000_000],
  ])('reads %j as %d ms', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds))

  it.each([
    '',
    '10',
    '10 bananas',
    '-1s',
    '1e3s',
    '10S',
    's',
    '30m1h',
    '1s1s',
    '1.s',
    '99999d',
    '1s,',
    'Infinity',
    '0x10s',
  ])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined())

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: maxDurationMs }), (value) => {
        expect(parseDuration(printDuration(value))).toBe(value)
      }),
    )
  })

  it('answers any text with a bounded whole number or nothing', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\d.]{1,20}(ms|s|m|h|d){1,3}$/)), (text) => {
        const value = parseDuration(text)
        if (value !== undefined)
          expect(Number.isInteger(value) && value >= 0 && value <= maxDurationMs).toBe(true)
      }),
    )
  })
})

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['512B', 512],
    ['1kB', 1_000],
    ['1MB', 1_000_000],
    ['64KiB', 65_536],
    ['64 KiB', 65_536],
    ['10mib', 10_485_760],
    ['1.5GiB', 1_610_612_736],
  ])('reads %j as %d bytes', (text, bytes) => expect(parseSize(text)).toBe(bytes))

  it.each(['', '10', '10 bananas', '-1B', '10K', '10M', '1e3B', '9999999999TiB', '1  MiB', 'iB'])(
    'refuses %j',
    (text) => expect(parseSize(text)).toBeUndefined(),
  )

  it('reads back what it prints', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 31 - 1 }), fc.constantFrom(1, 1_024, 1_048_576), (count, unit) => {
        expect(parseSize(printSize(count * unit))).toBe(count * unit)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  makeField,
  parseContentLength,
  requestSectionFault,
  trailerSectionFault,
} from '../../../src/listener/http2/header-rules.ts'

const section = (...fields: readonly (readonly [string, string])[]) =>
  fields.map(([name, value]) => makeField(name, value))
const plain = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/'],
  [':authority', 'a'],
] as const

const latin1 = fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString('latin1'))

describe('fields', () => {
  it('are refused exactly when a name is no lower-case token or a value holds a control character', () => {
    fc.assert(
      fc.property(latin1, latin1, (name, value) => {
        const field = makeField(`x${name}`, value)
        const good =
          /^[a-z0-9!#$%&'*+.^_`|~-]*$/.test(name) &&
          /^(?![\t ])[\t\x20-\x7e\x80-\xff]*$/.test(value) &&
          !/[\t ]$/.test(value)
        expect(field.fault === undefined).toBe(good)
      }),
      { numRuns: 2000 },
    )
  })

  it('count name, value and 32', () => {
    expect(makeField('ab', 'cde').size).toBe(37)
  })
})

describe('sections', () => {
  it('of an ordinary request pass', () => {
    expect(
      requestSectionFault(section(...plain, ['cookie', 'a'], ['te', 'trailers'], ['x', ''])),
    ).toBeUndefined()
    expect(requestSectionFault(section([':method', 'CONNECT'], [':authority', 'a:443']))).toBeUndefined()
    expect(trailerSectionFault(section(['x-sum', 'a']))).toBeUndefined()
    expect(trailerSectionFault([])).toBeUndefined()
  })

  it('name what is wrong', () => {
    expect(requestSectionFault(section(...plain, ['x', 'y'], [':path', '/']))).toBe('repeated :path')
    expect(requestSectionFault(section([':method', 'GET'], ['x', 'y'], [':path', '/']))).toBe(
      'pseudo-field behind a regular field',
    )
    expect(requestSectionFault([])).toBe('no :method')
    expect(requestSectionFault(section(...plain, ['connection', 'close']))).toBe('connection-specific field')
    expect(trailerSectionFault(section([':status', '200']))).toBe('unknown pseudo-field')
    expect(trailerSectionFault(section([':path', '/']))).toBe('pseudo-field in trailers')
  })
})

describe('content-length', () => {
  it('is digits, exactly', () => {
    const rows: readonly [string, number | undefined][] = [
      ['0', 0],
      ['007', 7],
      ['9007199254740991', 9_007_199_254_740_991],
      ['9007199254740992', undefined],
      ['', undefined],
      ['1 ', undefined],
      ['-1', undefined],
      ['1,1', undefined],
      ['1e3', undefined],
    ]
    for (const [text, value] of rows) expect(parseContentLength(text), text).toBe(value)
  })
})

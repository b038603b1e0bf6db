import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expandEnvironment } from '../../src/config/environment.ts'

const env = { PORT: '8443', EMPTY: '', TRICK: '${PORT}' }

describe('environment variables in a file', () => {
  it.each([
    [':${PORT}', ':8443'],
    ['${PORT:-80}', '8443'],
    ['${NONE:-80}', '80'],
    ['${EMPTY:-80}', '80'],
    ['${NONE:-}', ''],
    ['${EMPTY}', ''],
    ['${NONE:-http://a:1}', 'http://a:1'],
    ['$${PORT}', '${PORT}'],
    ['$PORT $ {PORT} {path}', '$PORT $ {PORT} {path}'],
    ['${TRICK}', '${PORT}'],
    ['${PORT}${PORT}', '84438443'],
  ])('%j becomes %j', (text, expanded) =>
    expect(expandEnvironment(text, env)).toEqual({ value: expanded, issues: [] }),
  )

  it('are put into strings at any depth, never into keys', () => {
    const written = { '${PORT}': [1, true, null, { a: '${PORT}' }] }
    expect(expandEnvironment(written, env).value).toEqual({ '${PORT}': [1, true, null, { a: '8443' }] })
  })

  it.each(['${NONE}', '${}', '${1A}', '${A-b}', '${PORT', 'a ${PORT b'])(
    '%j is a fault with its path',
    (text) => {
      const { value, issues } = expandEnvironment({ a: [text] }, env)
      expect(value).toEqual({ a: [text] })
      expect(issues).toMatchObject([{ path: ['a', 0] }])
    },
  )

  it('does not look at inherited names', () => {
    expect(
      expandEnvironment('${constructor:-x}', Object.create({ constructor: 'y' }) as typeof env).value,
    ).toBe('x')
  })

  it('leaves text without "${" as it is', () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes('${')),
        (text) => {
          expect(expandEnvironment(text, env)).toEqual({ value: text, issues: [] })
        },
      ),
    )
  })
})

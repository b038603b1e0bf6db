import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { needsReading, readPath } from '../../src/route/path.ts'

describe('reading a path', () => {
  it.each([
    ['/%61dmin', '/admin', '/%61dmin'],
    ['/a%2fb', '/a%2Fb', '/a%2fb'],
    ['/a%2Fb', '/a%2Fb', '/a%2Fb'],
    ['/caf%c3%a9', '/caf%C3%A9', '/caf%c3%a9'],
    ['/a%20b', '/a%20b', '/a%20b'],
    ['/100%25', '/100%25', '/100%25'],
    ['/%2561', '/%2561', '/%2561'],
    ['/x/../admin', '/admin', '/admin'],
    ['/x/%2e%2e/admin', '/admin', '/admin'],
    ['/x/.%2E/admin', '/admin', '/admin'],
    ['/a/./b', '/a/b', '/a/b'],
    ['/a/b/..', '/a/', '/a/'],
    ['/a/..', '/', '/'],
    ['/a/.', '/a/', '/a/'],
    ['/.', '/', '/'],
    ['/a//../b', '/a/b', '/a/b'],
    ['/a//b/%63', '/a//b/c', '/a//b/%63'],
    ['/.well-known/x', '/.well-known/x', '/.well-known/x'],
    ['/a/..b/c...', '/a/..b/c...', '/a/..b/c...'],
    ['/group%2Fproject/v1.2', '/group%2Fproject/v1.2', '/group%2Fproject/v1.2'],
    [String.raw`/a\b`, String.raw`/a\b`, String.raw`/a\b`],
    ['/a/../%7euser%2F', '/~user%2F', '/~user%2F'],
  ])('%s is matched as %s and forwarded as %s', (sent, matched, forwarded) => {
    expect(readPath(sent)).toEqual({ matched, forwarded })
  })

  it.each([
    '/..',
    '/a/../..',
    '/%2e%2e/etc',
    '/a/%2e%2e/%2e%2e/x',
    '/%',
    '/%1',
    '/%zz',
    '/a%0',
    '/a%00b',
    '/x/..%2Fadmin',
    '/x/%2e%2e%2fadmin',
    '/x%2F..',
    '/x/..%5cadmin',
    String.raw`/x/..\admin`,
    String.raw`/x\..\admin`,
    '/x/..;/admin',
    '/x/..;v=1/admin',
    '/x/%2e%2e%3b/admin',
  ])('%s is refused', (sent) => {
    expect(needsReading(sent)).toBe(true)
    expect(readPath(sent)).toBeUndefined()
  })

  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2E',
    'a',
    'b',
    '%61',
    '%2f',
    '%5C',
    '\\',
    ';',
    '%',
    '%C3',
    '~',
    '%00',
  )
  const anyPath = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

  it('leaves no dot segment, in whatever spelling, and reading twice changes nothing', () => {
    fc.assert(
      fc.property(anyPath, (sent) => {
        const reading = needsReading(sent) ? readPath(sent) : { matched: sent, forwarded: sent }
        if (reading === undefined) return
        for (const path of [reading.matched, reading.forwarded]) {
          expect(path.startsWith('/')).toBe(true)
          // As the most generous origin would see it.
          const decoded = path
            .replace(/%(?:2e|2f|5c|3b)/gi, (hex) => decodeURIComponent(hex))
            .replaceAll('\\', '/')
          const names = decoded.split('/').map((segment) => segment.split(';')[0])
          expect(names).not.toContain('..')
          expect(names).not.toContain('.')
        }
        expect(readPath(reading.matched)).toEqual({ matched: reading.matched, forwarded: reading.matched })
        expect(readPath(reading.forwarded)?.matched).toBe(reading.matched)
      }),
      { numRuns: 2_000 },
    )
  })

  it('agrees with the URL standard on where a path without oddities leads', () => {
    const plain = fc.array(fc.constantFrom('a', 'b', '.', '..', '%2e', '%2E.', ''), { maxLength: 8 })
    fc.assert(
      fc.property(plain, (segments) => {
        const sent = `/${segments.join('/')}`
        const reading = readPath(sent)
        // URL stops at the root where we refuse.
        if (reading !== undefined) expect(reading.forwarded).toBe(new URL(`http://h${sent}`).pathname)
      }),
    )
  })
})

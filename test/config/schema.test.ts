import { describe, expect, it } from 'vitest'
import {
  address,
  check,
  choice,
  cidr,
  duration,
  endpointUrl,
  filePath,
  flag,
  headerName,
  headerValue,
  hostPattern,
  httpUrl,
  listOf,
  name,
  oneOf,
  oneOrMore,
  size,
  strictObject,
  tableOf,
  text,
  whole,
  type Schema,
} from '../../src/schema.ts'
import { closest } from '../../src/spelling.ts'

const accepted = (schema: Schema, value: unknown) => {
  const result = check(schema, value, '/etc/sluice')
  return result.ok ? result.value : result.issues
}
const messages = (schema: Schema, value: unknown) => {
  const result = check(schema, value, '/etc/sluice')
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

describe('the vocabulary', () => {
  it.each<[string, Schema, unknown, unknown]>([
    ['a duration', duration(), '10s', 10_000],
    ['a duration in milliseconds', duration(), 250, 250],
    ['a size', size(), '64KiB', 65_536],
    ['a size in bytes', size(), 100, 100],
    ['a whole number', whole(1, 10), 10, 10],
    ['a whole number from the environment', whole(1, 10), '7', 7],
    ['a flag', flag(), false, false],
    ['a flag from the environment', flag(), 'true', true],
    ['text', text(), 'hello', 'hello'],
    ['a name', name(), 'api-v2.main', 'api-v2.main'],
    ['an address', address(), ':8443', { kind: 'tcp', host: undefined, port: 8443 }],
    ['a relative socket', address(), 'unix:app.sock', { kind: 'unix', path: '/etc/sluice/app.sock' }],
    ['a network', cidr(), '10.0.0.0/8', { family: 4, address: '10.0.0.0', prefix: 8 }],
    ['a host', hostPattern(), '*.Example.com', '*.example.com'],
    [
      'an endpoint',
      endpointUrl(),
      'unix:app.sock',
      { kind: 'unix', path: '/etc/sluice/app.sock', text: 'unix:/etc/sluice/app.sock' },
    ],
    ['a URL', httpUrl(), 'https://example.com/a', 'https://example.com/a'],
    ['a header name', headerName(), 'X-Frame-Options', 'X-Frame-Options'],
    ['a header value', headerValue(), ' deny ', 'deny'],
    ['an empty header value', headerValue(), '', ''],
    ['a file', filePath(), 'certs/a.pem', '/etc/sluice/certs/a.pem'],
    ['an absolute file', filePath(), '/a.pem', '/a.pem'],
    ['one or more', oneOrMore(name()), 'a', ['a']],
    ['more than one', oneOrMore(name()), ['a', 'b'], ['a', 'b']],
  ])('accepts %s', (_, schema, value, expected) => expect(accepted(schema, value)).toEqual(expected))

  it.each<[Schema, unknown, string]>([
    [duration(), '10 bananas', 'expected a duration such as "10s", got "10 bananas"'],
    [duration(100), '1ms', 'expected a duration of 100ms or more such as "10s", got "1ms"'],
    [duration(), -5, 'expected a duration such as "10s", got -5'],
    [duration(), Number.NaN, 'expected a duration such as "10s", got NaN'],
    [duration(), null, 'expected a duration such as "10s", got null'],
    [duration(), undefined, 'required, expected a duration such as "10s"'],
    [size(), '10 bananas', 'expected a size such as "10MiB", got "10 bananas"'],
    [size(1_024, 65_536), '1MiB', 'expected a size from 1KiB to 64KiB such as "10MiB", got "1MiB"'],
    [size(), 1.5, 'expected a size such as "10MiB", got 1.5'],
    [whole(1, 10), 11, 'expected a whole number from 1 to 10, got 11'],
    [whole(1, 10), 1.5, 'expected a whole number from 1 to 10, got 1.5'],
    [whole(1, 10), '1e1', 'expected a whole number from 1 to 10, got "1e1"'],
    [whole(0, 10), '', 'expected a whole number from 0 to 10, got ""'],
    [flag(), 'yes', 'expected true or false, got "yes"'],
    [text('a title', 5), 'abcdef', 'expected a title of 1 to 5 characters, got "abcdef"'],
    [text(), 'a\nb', 'expected text of 1 to 1000 characters, got "a\\nb"'],
    [name(), 'a b', 'expected a name (letters, digits, ".", "_", "-"; at most 64), got "a b"'],
    [choice('json', 'off'), 'xml', 'expected "json" or "off", got "xml"'],
    [listOf(name(), 1), ['a', 'b'], 'expected at most 1 entries'],
    [listOf(name()), 'a', 'expected a list, got "a"'],
    [strictObject({}), [], 'expected an object, got a list'],
    [oneOf(flag(), strictObject({})), 'x', 'expected true or false, got "x"'],
    [oneOf(flag(), strictObject({})), 5, 'expected true or false or an object, got 5'],
    [oneOf(choice('auto'), whole(1, 9)), 'x', 'expected "auto" or a whole number from 1 to 9, got "x"'],
  ])('says of %#: %j', (schema, value, message) => expect(messages(schema, value)).toEqual([`: ${message}`]))

  it.each<[Schema, unknown]>([
    [address(), '8443'],
    [address(), ':65536'],
    [cidr(), '10.0.0.0/33'],
    [cidr(), '10.0.0.1/8'],
    [hostPattern(), 'foo.*.example'],
    [endpointUrl(), 'localhost:3000'],
    [httpUrl(), 'javascript:alert(1)'],
    [httpUrl(), 'https://user:secret@example.com'],
    [headerName(), 'X Bad'],
    [headerName(), 'X-Bad:'],
    [headerName(), ''],
    [headerValue(), 'a\r\nSet-Cookie: b'],
    [headerValue(), 'a\0'],
    [headerValue(), 'snow ☃'],
    [filePath(), ''],
    [filePath(), 'a\0b'],
  ])('refuses %#: %j', (schema, value) => expect(messages(schema, value)).toHaveLength(1))

  it('never repeats a header value, which may be a secret', () => {
    expect(messages(headerValue(), 'Bearer s3cret\n').join()).not.toContain('s3cret')
    expect(messages(oneOf(headerValue(), strictObject({})), 'Bearer s3cret\n').join()).not.toContain('s3cret')
  })

  it('cuts long values', () => {
    expect(messages(duration(), 'x'.repeat(1_000))[0]).toHaveLength(
      ': expected a duration such as "10s", got ""'.length + 60,
    )
  })

  it('answers a union with the faults of the branch that was meant', () => {
    const endpoint = oneOf(
      endpointUrl(),
      strictObject({ url: endpointUrl(), weight: whole(0, 10).prefault(1) }),
    )
    expect(messages(endpoint, { url: 'http://a', wieght: 1, weight: 99 })).toEqual([
      'weight: expected a whole number from 0 to 10, got 99',
      ': unknown option "wieght", did you mean "weight"?',
    ])
  })

  it('names every unknown option', () => {
    const schema = strictObject({ upstreams: flag().optional(), routes: flag().optional() })
    expect(messages(schema, { upstrems: 1, ROUTES: 2, zebra: 3 })).toEqual([
      ': unknown option "upstrems", did you mean "upstreams"?',
      ': unknown option "ROUTES", did you mean "routes"?',
      ': unknown option "zebra"',
    ])
  })

  it('does not let a key reach the prototype', () => {
    const written: unknown = JSON.parse('{"__proto__": {"polluted": true}}')
    expect(messages(strictObject({}), written)).toHaveLength(1)
    expect(accepted(tableOf(name(), flag()), written)).toEqual({})
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  it('bounds tables', () => {
    expect(messages(tableOf(name(), flag(), 1), { a: true, b: true })).toEqual([
      ': expected at most 1 entries',
    ])
  })
})

describe('suggestions', () => {
  const words = ['upstreams', 'routes', 'listeners', 'tls', 'log']
  it.each([
    ['upstrems', 'upstreams'],
    ['upstream', 'upstreams'],
    ['Routes', 'routes'],
    ['listnerse', 'listeners'],
    ['tsl', 'tls'],
    ['banana', undefined],
    ['', undefined],
    ['x'.repeat(10_000), undefined],
  ])('for %j: %j', (word, meant) => expect(closest(word, words)).toBe(meant))
})

import { generateKeyPairSync } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  CertificateError,
  CertificateIndex,
  checkAuthority,
  inspectCertificate,
} from '../../src/listener/certificates.ts'
import { distinguishedName } from '../../src/listener/tls-facts.ts'
import { asPem, makeServerCertificate, type TestCertificate } from '../support/certificates.ts'

const refuse = (): never => {
  throw new Error('ee key too small')
}

let one: TestCertificate
let two: TestCertificate

beforeAll(async () => {
  one = await makeServerCertificate(['one.example', '*.one.example', '192.0.2.1'])
  two = await makeServerCertificate(['two.example'])
})

describe('inspecting a pair', () => {
  test('tells names and end of a good one', () => {
    const facts = inspectCertificate(asPem(one))
    expect(facts.names).toEqual(['one.example', '*.one.example'])
    expect(facts.notAfterMs).toBeGreaterThan(Date.now())
    expect(inspectCertificate(asPem(one, ['other.example'])).names).toEqual(['other.example'])
  })

  test('says what is wrong with a bad one in one line that names the file', () => {
    const encrypted = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    }).privateKey
    const rows: [Partial<TestCertificate>, RegExp][] = [
      [{ cert: '' }, /^test\.pem: not a PEM certificate: [^\n]+$/],
      [{ cert: one.key }, /^test\.pem: not a PEM certificate: [^\n]+$/],
      [{ key: one.cert }, /^test\.key: not a private key: [^\n]+$/],
      [{ key: encrypted }, /^test\.key: the private key is encrypted[^\n]+$/],
      [{ key: two.key }, /^test\.key: the key does not belong to the certificate test\.pem$/],
    ]
    for (const [change, message] of rows) {
      const inspect = (): unknown => inspectCertificate({ ...asPem(one), ...change })
      expect(inspect).toThrow(CertificateError)
      expect(inspect).toThrow(message)
    }
    expect(() => checkAuthority('nonsense', 'ca.pem')).toThrow(/^ca\.pem: not a PEM certificate/)
  })
})

describe('the index', () => {
  const contexts = new Map<string, SecureContext>()
  const contextOf = (pem: { cert: string; key: string }): SecureContext => {
    const context = createSecureContext({ cert: pem.cert, key: pem.key })
    contexts.set(pem.cert, context)
    return context
  }

  test('prefers exact over wildcard and takes one label for the star', () => {
    const index = new CertificateIndex(
      [asPem(one), asPem(two, ['api.one.example', 'two.example.'])],
      contextOf,
    )
    const nameOf = (serverName: string): string | undefined => {
      const context = index.select(serverName)
      return context === contexts.get(one.cert)
        ? 'one'
        : context === contexts.get(two.cert)
          ? 'two'
          : undefined
    }
    expect(
      ['one.example', 'ONE.example.', 'www.one.example', 'api.one.example', 'two.example'].map(nameOf),
    ).toEqual(['one', 'one', 'one', 'two', 'two'])
    expect(['a.b.one.example', '.one.example', 'example', '', 'xone.example'].map(nameOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  test('of two certificates for one name the first stands', () => {
    const index = new CertificateIndex(
      [asPem(one, ['same.example']), asPem(two, ['same.example'])],
      contextOf,
    )
    expect(index.select('same.example')).toBe(contexts.get(one.cert))
  })

  test('reports what OpenSSL refuses, with the file', () => {
    expect(() => new CertificateIndex([asPem(one)], refuse)).toThrow(
      'test.pem: cannot be used for TLS: ee key too small',
    )
    expect(() => new CertificateIndex([], contextOf)).toThrow(CertificateError)
  })
})

test.each([
  ['C=DE\nO=Example\nCN=alice', 'CN=alice,O=Example,C=DE'],
  ['CN=a\\,b', 'CN=a\\,b'],
  ['CN=Zoë \u{1f600}', 'CN=Zo\\C3\\AB \\F0\\9F\\98\\80'],
  ['CN=tab\there', 'CN=tab\\09here'],
  [`CN=${'x'.repeat(1021)}`, `CN=${'x'.repeat(1021)}`],
  [`CN=${'x'.repeat(1022)}`, ''],
  [undefined as unknown as string, ''],
])('the subject %j is written %j', (subject, text) => {
  expect(distinguishedName({ subject })).toBe(text)
})

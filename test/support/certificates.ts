import { generate } from 'selfsigned'
import type { CertificatePem } from '../../src/listener/certificates.ts'

/** An authority that exists for one test run. */
export interface TestAuthority {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

export interface TestCertificate {
  readonly cert: string
  readonly key: string
}

const dayMs = 86_400_000

/** A certificate authority (EC P-256). */
export async function makeAuthority(name = 'Test Authority'): Promise<TestAuthority> {
  const made = await generate([{ name: 'commonName', value: name }], {
    ...basics(),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  return { cert: `${made.cert.trim()}\n`, key: made.private }
}

/** A certificate for `names` (DNS names or IP addresses); signed by `authority`, or by itself. */
export async function makeServerCertificate(
  names: readonly string[],
  authority?: TestAuthority,
): Promise<TestCertificate> {
  const made = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    ...basics(),
    ...(authority === undefined ? {} : { ca: authority }),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) =>
          /^[\d.]+$|:/.test(name) ? { type: 7, ip: name } : { type: 2, value: name },
        ),
      },
    ],
  })
  return { cert: `${made.cert.trim()}\n`, key: made.private }
}

/** A client certificate; signed by `authority`, or by itself. */
export async function makeClientCertificate(
  subject: Readonly<Record<string, string>>,
  authority?: TestAuthority,
): Promise<TestCertificate> {
  const attributes = Object.entries(subject).map(([shortName, value]) => ({ shortName, value }))
  const made = await generate(attributes, {
    ...basics(),
    ...(authority === undefined ? {} : { ca: authority }),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', clientAuth: true },
    ],
  })
  return { cert: `${made.cert.trim()}\n`, key: made.private }
}

/** As the listener takes it. */
export function asPem(certificate: TestCertificate, names?: readonly string[]): CertificatePem {
  return { ...certificate, names, certFile: 'test.pem', keyFile: 'test.key' }
}

function basics() {
  const now = Date.now()
  return {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - dayMs),
    notAfterDate: new Date(now + 90 * dayMs),
  } as const
}

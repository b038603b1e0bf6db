import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { SecureContext } from 'node:tls'
import { reason } from '../errors.ts'

/**
 * Certificates as text, checked, and the choice among them by server name. No files here: the main thread reads them
 * (certificate-files.ts) and workers get the text by message.
 */
export interface CertificatePem {
  /** PEM: the certificate, then its chain. */
  readonly cert: string
  readonly key: string
  /** Names to serve it for; undefined takes the DNS names of the certificate. */
  readonly names: readonly string[] | undefined
  /** Where `cert` and `key` came from, for messages. */
  readonly certFile: string
  readonly keyFile: string
}

/** What TLS needs beside its options; plain text, so that it can be posted to workers. */
export interface TlsMaterial {
  /** At least one. */
  readonly certificates: readonly CertificatePem[]
  readonly clientCa: string | undefined
}

/** A certificate, key or authority that cannot be used. The message is one line and names the file. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
}

export interface CertificateFacts {
  readonly names: readonly string[]
  readonly notAfterMs: number
}

/** Checks one pair and tells what it is for. Throws CertificateError. */
export function inspectCertificate(pem: CertificatePem): CertificateFacts {
  const certificate = parseCertificate(pem.cert, pem.certFile)
  let key: KeyObject
  try {
    key = createPrivateKey(pem.key)
  } catch (error) {
    const isEncrypted = pem.key.includes('ENCRYPTED')
    throw new CertificateError(
      `${pem.keyFile}: ${isEncrypted ? 'the private key is encrypted; store it without a passphrase' : `not a private key: ${reason(error)}`}`,
    )
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new CertificateError(`${pem.keyFile}: the key does not belong to the certificate ${pem.certFile}`)
  }
  return {
    names: pem.names ?? dnsNames(certificate),
    notAfterMs: Date.parse(certificate.validTo),
  }
}

/** Checks a file of authorities: at least one certificate. Throws CertificateError. */
export function checkAuthority(pem: string, file: string): void {
  parseCertificate(pem, file)
}

function parseCertificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new CertificateError(`${file}: not a PEM certificate: ${reason(error)}`)
  }
}

/** The DNS names of the subject alternative name; the common name has not counted since RFC 9525. */
export function dnsNames(certificate: X509Certificate): string[] {
  const names: string[] = []
  for (const entry of (certificate.subjectAltName ?? '').split(', ')) {
    // Names with odd characters are quoted by Node; no host is called that.
    if (entry.startsWith('DNS:') && !entry.includes('"')) names.push(entry.slice('DNS:'.length))
  }
  return names
}

/**
 * Picks a TLS context by server name: exact, then wildcard (the star stands for one label), else none, which means the
 * first certificate. Of two certificates for one name the first stands. Not changed once built: new certificates come as
 * a new index.
 */
export class CertificateIndex {
  readonly #exact = new Map<string, SecureContext>()
  readonly #wildcard = new Map<string, SecureContext>()

  /** At least one certificate. `contextOf` makes the context of one; what it throws becomes a CertificateError. */
  constructor(certificates: readonly CertificatePem[], contextOf: (pem: CertificatePem) => SecureContext) {
    if (certificates.length === 0) throw new CertificateError('a TLS listener needs a certificate')
    for (const pem of certificates) {
      const { names } = inspectCertificate(pem)
      let context: SecureContext
      try {
        context = contextOf(pem)
      } catch (error) {
        throw new CertificateError(`${pem.certFile}: cannot be used for TLS: ${reason(error)}`)
      }
      for (const name of names) {
        const plain = plainName(name)
        const isWildcard = plain.startsWith('*.')
        const index = isWildcard ? this.#wildcard : this.#exact
        const key = isWildcard ? plain.slice(1) : plain
        if (!index.has(key)) index.set(key, context)
      }
    }
  }

  /** `serverName` as the client sent it; undefined when no certificate covers it. */
  select(serverName: string): SecureContext | undefined {
    const name = plainName(serverName)
    const dot = name.indexOf('.')
    return this.#exact.get(name) ?? (dot > 0 ? this.#wildcard.get(name.slice(dot)) : undefined)
  }
}

function plainName(name: string): string {
  const lower = name.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

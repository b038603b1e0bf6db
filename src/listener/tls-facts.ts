import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { ClientCertificate, TlsFacts } from '../exchange.ts'
import type { ClientAuth } from './options.ts'

/** Longest subject that is passed on, characters. A longer one is reported as '', never cut: a cut name is another name. */
const maxSubjectLength = 1024

/** Reads once, after the handshake, what exchanges may want to know. */
export function readTlsFacts(socket: TLSSocket, clientAuth: ClientAuth): TlsFacts {
  const serverName = socket.servername
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    serverName: typeof serverName === 'string' && serverName !== '' ? serverName.toLowerCase() : undefined,
    resumed: socket.isSessionReused(),
    clientCertificate: clientAuth === 'none' ? undefined : readClientCertificate(socket),
  }
}

function readClientCertificate(socket: TLSSocket): ClientCertificate | undefined {
  // Present on resumed connections too: the ticket carries the certificate and the result of its verification.
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  return {
    verified: socket.authorized,
    subject: distinguishedName(certificate),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/**
 * The subject as one line of visible ASCII, most specific part first (RFC 4514). Node prints one part a line, outermost
 * first, with RFC 4514's escapes already in place; what is not ASCII is written as escaped UTF-8 octets (§2.4), so that
 * the name is safe in a header field whatever the certificate holds.
 */
export function distinguishedName(certificate: Pick<X509Certificate, 'subject'>): string {
  // Node types it as a string, but a certificate without any subject has undefined here.
  const subject: string | undefined = certificate.subject
  if (!subject) return ''
  const name = subject
    .split('\n')
    .toReversed()
    .join(',')
    .replace(/[^\x20-\x7e]+/gu, (text) => {
      let escaped = ''
      for (const octet of Buffer.from(text))
        escaped += `\\${octet.toString(16).toUpperCase().padStart(2, '0')}`
      return escaped
    })
  return name.length > maxSubjectLength ? '' : name
}

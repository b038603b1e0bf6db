import { constants, createHash } from 'node:crypto'
import { Socket } from 'node:net'
import {
  createSecureContext,
  createServer,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from 'node:tls'
import { CertificateIndex, type TlsMaterial } from './certificates.ts'
import type { TlsOptions, TlsPreset } from './options.ts'

/**
 * TLS for one listener: versions, suites, certificates by server name, client certificates, tickets.
 *
 * A `tls.Server` that never listens: it is fed sockets which have passed the accept gate and the PROXY parser. It is
 * never changed but for its ticket keys: new certificates or options come as a new terminator, and connections of the old
 * one live on. No session cache: sessions resume by ticket, which costs no memory here.
 */
export interface TlsTerminator {
  /** Begins the handshake on a connected socket. Bytes in its read buffer count. */
  handshake(socket: Socket): void
  setTicketKeys(key: Uint8Array): void
}

export interface TlsEvents {
  /** After the handshake and, with `clientAuth: 'require'`, with a verified client only. */
  secured(socket: TLSSocket, raw: Socket): void
  /** The handshake failed; `raw` is still to be destroyed. */
  failed(error: Error, raw: Socket | undefined): void
}

/** Suites in our order. AEAD with ephemeral keys only: no CBC, no static RSA, no finite-field Diffie-Hellman. */
const tls13Suites = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'
const tls12Suites =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:' +
  'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:' +
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'

/** How long a ticket may be used, seconds. Below any sensible rotation of the keys. */
const sessionSeconds = 7200

/** What OpenSSL is told, for tests and for the main thread's check of a configuration. */
export function secureContextOptions(preset: TlsPreset): SecureContextOptions {
  return {
    minVersion: preset === 'modern' ? 'TLSv1.3' : 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: preset === 'modern' ? tls13Suites : `${tls13Suites}:${tls12Suites}`,
    ecdhCurve: 'X25519:P-256:P-384',
    honorCipherOrder: true,
    secureOptions:
      // A renegotiation costs the server more than the client; nobody needs one.
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_NO_COMPRESSION |
      // Our order, but ChaCha20 first for clients that put it first: those without AES in hardware.
      constants.SSL_OP_CIPHER_SERVER_PREFERENCE |
      constants.SSL_OP_PRIORITIZE_CHACHA,
    sessionTimeout: sessionSeconds,
  }
}

/** Throws CertificateError when a certificate cannot be used with these options. `ticketKey` is 48 bytes. */
export function createTlsTerminator(
  options: TlsOptions,
  offersHttp2: boolean,
  material: TlsMaterial,
  ticketKey: Uint8Array,
  events: TlsEvents,
): TlsTerminator {
  const base: SecureContextOptions = {
    ...secureContextOptions(options.preset),
    // Tickets of a listener that asks no certificate, or trusts other authorities, must not resume here.
    sessionIdContext: createHash('sha256')
      .update(`${options.clientAuth}\n${material.clientCa ?? ''}`)
      .digest('hex')
      .slice(0, 32),
  }
  if (material.clientCa !== undefined) base.ca = material.clientCa
  const index = new CertificateIndex(material.certificates, (pem) =>
    createSecureContext({ ...base, cert: pem.cert, key: pem.key }),
  )
  const first = material.certificates[0]
  const server: Server = createServer({
    ...base,
    cert: first?.cert,
    key: first?.key,
    ticketKeys: Buffer.from(ticketKey),
    ALPNProtocols: offersHttp2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    requestCert: options.clientAuth !== 'none',
    rejectUnauthorized: options.clientAuth === 'require',
    // An unknown name is served by the first certificate: clients without SNI and health checks by address need one.
    SNICallback: (name, done) => done(null, index.select(name)),
  })
  server.on('secureConnection', (socket) => {
    const raw = rawSocket(socket)
    if (raw === undefined) socket.destroy()
    else events.secured(socket, raw)
  })
  server.on('tlsClientError', (error, socket) => {
    events.failed(error, rawSocket(socket))
    socket.destroy()
  })
  server.on('error', (error) => events.failed(error, undefined))
  return {
    handshake: (socket) => void server.emit('connection', socket),
    setTicketKeys: (key) => server.setTicketKeys(Buffer.from(key)),
  }
}

/**
 * The socket that `handshake` was called with. Node offers no public way from a TLSSocket back to it; `_parent` has been
 * there since TLSSocket exists, and a test pins it.
 */
function rawSocket(socket: TLSSocket): Socket | undefined {
  const parent: unknown = Reflect.get(socket, '_parent')
  return parent instanceof Socket ? parent : undefined
}

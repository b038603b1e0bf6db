import { printListenAddress } from '../net-address.ts'
import {
  address,
  type Checked,
  choice,
  cidr,
  duration,
  filePath,
  flag,
  hostPattern,
  listOf,
  oneOf,
  size,
  strictObject,
  whole,
} from '../schema.ts'
import type {
  CertificateFiles,
  ListenerLimits,
  ListenerOptions,
  ListenerTimeouts,
  RedirectOptions,
  TlsOptions,
  TlsServiceOptions,
} from './options.ts'

/** What users may write in `listeners`, `tls`, `limits` and `timeouts`, and how it becomes the listener's options. */

const certificate = strictObject({
  cert: filePath().describe('PEM file: the certificate, then its chain.'),
  key: filePath().describe('PEM file of the private key.'),
  names: listOf(hostPattern(), 1_000)
    .optional()
    .describe('Names to serve it for. Default: those in the certificate.'),
})

const certificates = listOf(certificate, 10_000)
const preset = choice('intermediate', 'modern')
const clientAuth = choice('none', 'request', 'require')

const ownTls = strictObject({
  preset: preset.optional().describe('As `tls.preset`, for this listener.'),
  certificates: certificates.optional().describe('As `tls.certificates`, for this listener.'),
  clientAuth: clientAuth.optional().describe('As `tls.clientAuth`, for this listener.'),
  clientCa: filePath().optional().describe('As `tls.clientCa`, for this listener.'),
}).meta({ id: 'ListenerTls' })

const redirect = strictObject({
  port: whole(1, 65_535)
    .optional()
    .describe('Port to send clients to. Default: that of the first TLS listener.'),
  status: choice(301, 302, 307, 308).prefault(308).describe('Status; 307 and 308 keep method and body.'),
}).meta({ id: 'RedirectToHttps' })

export const listenerSchema = strictObject({
  address: address().describe(
    'Where to listen: `:8443`, `127.0.0.1:8080`, `[::1]:443`, `unix:/run/sluice.sock`.',
  ),
  tls: oneOf(flag(), ownTls)
    .prefault(false)
    .describe('`true` uses the settings of `tls`; an object changes some of them for this listener.'),
  http2: flag().optional().describe('Offer HTTP/2 by ALPN. Default: on with TLS, never without.'),
  proxyProtocol: strictObject({
    from: listOf(cidr(), 1_000)
      .min(1)
      .describe('Peers that must begin with a PROXY header (v1 or v2). Others are served without.'),
  })
    .optional()
    .describe('Take the client address from a load balancer in front. Off unless peers are listed.'),
  redirectToHttps: oneOf(flag(), redirect)
    .prefault(false)
    .describe('Answer every request with a redirect to HTTPS. Only without TLS.'),
}).meta({ id: 'Listener' })

export const listenersSchema = listOf(listenerSchema, 64)
  .min(1)
  .prefault([
    { address: ':8443', tls: true },
    { address: ':8080', redirectToHttps: true },
  ])

export const tlsSchema = strictObject({
  preset: preset
    .prefault('intermediate')
    .describe('`modern`: TLS 1.3 only. `intermediate`: also TLS 1.2 with ECDHE and AEAD.'),
  certificates: certificates
    .prefault([])
    .describe(
      'The first one answers names that no other covers. None: a development certificate, made in `certs/`.',
    ),
  clientAuth: clientAuth
    .prefault('none')
    .describe(
      'Client certificates: `request` asks and tells the upstream whether it verified, `require` refuses others.',
    ),
  clientCa: filePath().optional().describe('PEM file of the authorities that sign client certificates.'),
  ticketRotation: duration(60_000, 7 * 86_400_000)
    .prefault('12h')
    .describe(
      'How often the keys of session tickets change: a stolen key opens recorded sessions of that time only.',
    ),
  hsts: strictObject({
    maxAge: duration(1_000).prefault('365d').describe('How long browsers insist on HTTPS.'),
    includeSubDomains: flag().prefault(false).describe('Also for every name below.'),
    preload: flag().prefault(false).describe("Asks for the browsers' built-in list. Hard to undo."),
  })
    .optional()
    .describe('`Strict-Transport-Security` on every answer over TLS. Off by default: browsers remember it.'),
})
  .meta({ id: 'Tls' })
  .prefault({})

export const limitsSchema = strictObject({
  connections: whole(1, 1_000_000)
    .prefault(20_000)
    .describe('Open connections in all; beyond: closed before TLS.'),
  connectionsPerClient: whole(1, 1_000_000)
    .optional()
    .describe(
      'The same for one client address (IPv6: one /64). Default: no limit, as many people may share an address.',
    ),
  headerBytes: size(1_024, 1_048_576).prefault('32KiB').describe('Header section of a request; beyond: 431.'),
  headerCount: whole(10, 2_000).prefault(100).describe('Header lines of a request; beyond: 431.'),
  uriBytes: size(256, 1_048_576).prefault('16KiB').describe('Path and query of a request; beyond: 414.'),
  body: size()
    .prefault('10MiB')
    .describe('Request body unless the route says otherwise (`maxBody`); beyond: 413.'),
  http2Streams: whole(1, 1_000).prefault(100).describe('Concurrent requests on one HTTP/2 connection.'),
})
  .meta({ id: 'Limits' })
  .prefault({})

export const timeoutsSchema = strictObject({
  handshake: duration(100).prefault('10s').describe('TLS handshake, or PROXY header.'),
  header: duration(100)
    .prefault('10s')
    .describe('From the first byte of a request to the end of its head: 408.'),
  body: duration(100)
    .prefault('20s')
    .describe('Time a request body may take beyond what `minBodyRate` grants: 408.'),
  minBodyRate: whole(0, 1_000_000_000)
    .prefault(500)
    .describe('Bytes a second that a request body must reach on average once `body` is used up.'),
  idle: duration(100).prefault('60s').describe('A connection without a request is closed after this.'),
  write: duration(100)
    .prefault('30s')
    .describe('A client that takes no byte of its answer for this long is cut.'),
  halfClose: duration(0)
    .prefault('1s')
    .describe('After the client closed its side: how long an answer may still take to begin.'),
  drain: duration(0).prefault('30s').describe('How long a shutdown waits for requests to finish.'),
  exchange: duration(0)
    .prefault('0')
    .describe('Whole exchange, request head to last byte: 504. 0: no limit.'),
})
  .meta({ id: 'Timeouts' })
  .prefault({})

type CheckedTls = Checked<typeof tlsSchema>
type CheckedListener = Checked<typeof listenerSchema>

/** Every listener with its TLS settings; what it leaves open comes from the gateway's `tls`. */
export function resolveListeners(listeners: readonly CheckedListener[], tls: CheckedTls): ListenerOptions[] {
  const httpsPort = listeners.map(portOfTls).find((port) => port !== undefined) ?? 443
  return listeners.map((listener) => {
    const listenerTls = resolveTls(listener.tls, tls)
    return {
      name: printListenAddress(listener.address),
      address: listener.address,
      tls: listenerTls,
      http2: listenerTls !== undefined && listener.http2 !== false,
      proxyProtocol: listener.proxyProtocol,
      redirectToHttps: resolveRedirect(listener.redirectToHttps, httpsPort),
    }
  })
}

function portOfTls({ tls, address: at }: CheckedListener): number | undefined {
  return tls !== false && at.kind === 'tcp' ? at.port : undefined
}

function resolveTls(own: CheckedListener['tls'], tls: CheckedTls): TlsOptions | undefined {
  if (own === false) return undefined
  const set = own === true ? {} : own
  const chosenAuth = set.clientAuth ?? tls.clientAuth
  return {
    preset: set.preset ?? tls.preset,
    certificates: (set.certificates ?? tls.certificates).map(({ cert, key, names }): CertificateFiles => ({
      certFile: cert,
      keyFile: key,
      names,
    })),
    clientAuth: chosenAuth,
    clientCaFile: chosenAuth === 'none' ? undefined : (set.clientCa ?? tls.clientCa),
  }
}

function resolveRedirect(
  written: CheckedListener['redirectToHttps'],
  httpsPort: number,
): RedirectOptions | undefined {
  if (written === false) return undefined
  const { port, status } = written === true ? { port: undefined, status: 308 as const } : written
  return { port: port ?? httpsPort, status }
}

export function resolveLimits(checked: Checked<typeof limitsSchema>): ListenerLimits {
  return {
    maxConnections: checked.connections,
    maxConnectionsPerClient: checked.connectionsPerClient,
    maxHttp2Streams: checked.http2Streams,
    request: {
      maxUriBytes: checked.uriBytes,
      maxHeaderBytes: checked.headerBytes,
      maxHeaderCount: checked.headerCount,
      maxBodyBytes: checked.body,
    },
  }
}

export function resolveTimeouts(checked: Checked<typeof timeoutsSchema>): ListenerTimeouts {
  return {
    handshakeMs: checked.handshake,
    headerMs: checked.header,
    bodyMs: checked.body,
    minBodyRate: checked.minBodyRate,
    idleMs: checked.idle,
    writeMs: checked.write,
    halfCloseMs: checked.halfClose,
    drainMs: checked.drain,
    exchangeMs: checked.exchange === 0 ? undefined : checked.exchange,
  }
}

export function resolveTlsService(checked: CheckedTls): TlsServiceOptions {
  const { hsts, ticketRotation } = checked
  const parts = hsts === undefined ? [] : [`max-age=${Math.floor(hsts.maxAge / 1_000)}`]
  if (hsts?.includeSubDomains === true) parts.push('includeSubDomains')
  if (hsts?.preload === true) parts.push('preload')
  return {
    ticketRotationMs: ticketRotation,
    strictTransportSecurity: parts.length === 0 ? undefined : parts.join('; '),
  }
}

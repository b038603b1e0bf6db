import type { Exchange, ForwardPlan, HeaderEdits } from '../exchange.ts'
import { getField, joinField, removeField, setField } from '../http/fields.ts'
import { fateOf, framingNames } from './request-fields.ts'
import { listTokens, removeNamed } from './response-head.ts'
import { isTraceparent } from './trace-context.ts'

export interface RequestHeadContext {
  /** The endpoint's own Host: `127.0.0.1:3000`. */
  readonly endpointAuthority: string
  readonly makeTraceparent: () => string
  /** Asks for a switch to WebSocket; the only upgrade there is. */
  readonly upgrade: boolean
}

/**
 * The head of the request as the origin gets it: latin1 text, up to and with the empty line.
 * Framing is written anew from the body, never copied. The client's forwarded fields count when its peer is a trusted
 * proxy, else they are gone. `Expect` is not handed on: the gateway itself asks for the body when a connection is there.
 */
export function requestHead(exchange: Exchange, plan: ForwardPlan, context: RequestHeadContext): string {
  const { request, body } = exchange
  const fields: string[] = []
  let connection: string | undefined
  let traceparent: string | undefined
  let tracestate: string | undefined
  let wantsTrailers = false

  const sent = request.headers
  for (let i = 0; i < sent.length; i += 2) {
    const name = sent[i] as string
    const value = sent[i + 1] as string
    const fate = fateOf(name)
    switch (fate) {
      case 'keep':
        fields.push(name, value)
        break
      case 'drop':
        break
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`
        break
      case 'te':
        if (listTokens(value).includes('trailers')) wantsTrailers = true
        break
      case 'trailer':
        if (body !== undefined && body.length === undefined) fields.push(name, value)
        break
      case 'traceparent':
        // Two of them are as good as none (W3C Trace Context §3.2.2.5).
        traceparent = traceparent === undefined && isTraceparent(value) ? value : ''
        break
      case 'tracestate':
        tracestate = tracestate === undefined ? value : `${tracestate},${value}`
        break
      case 'forwarded':
        if (exchange.peerTrusted) fields.push(name, value)
        break
      default:
        fate satisfies never
    }
  }
  // Only what is still in the list can be named away: not Host, not the framing, not what the gateway adds below.
  if (connection !== undefined && !isPlainConnection(connection)) removeNamed(fields, listTokens(connection))

  addForwarded(exchange, fields)
  addClientCertificate(exchange, fields)
  fields.push('Via', `${request.httpVersion} sluice`, 'X-Request-Id', exchange.id)
  if (traceparent !== undefined && traceparent !== '') {
    fields.push('traceparent', traceparent)
    if (tracestate !== undefined) fields.push('tracestate', tracestate)
  } else fields.push('traceparent', context.makeTraceparent())

  let host = plan.host === 'client' ? request.authority : plan.host === 'endpoint' ? '' : plan.host.literal
  if (host === '') host = context.endpointAuthority
  if (plan.headerEdits !== undefined) host = applyEdits(fields, plan.headerEdits) ?? host

  let head = `${request.method} ${exchange.forwardTarget} HTTP/1.1\r\nHost: ${host}\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i] as string}: ${fields[i + 1] as string}\r\n`
  if (context.upgrade) return `${head}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`
  if (wantsTrailers) head += 'Connection: TE\r\nTE: trailers\r\n'
  return head + framing(exchange)
}

/** The framing line and the end of the head. */
function framing(exchange: Exchange): string {
  const body = exchange.body
  if (body !== undefined) {
    return body.length === undefined
      ? 'Transfer-Encoding: chunked\r\n\r\n'
      : `Content-Length: ${body.length}\r\n\r\n`
  }
  // Methods that usually carry a body announce an empty one (RFC 9110 §8.6); some origins answer 411 without it.
  const method = exchange.request.method
  return method === 'POST' || method === 'PUT' || method === 'PATCH' ? 'Content-Length: 0\r\n\r\n' : '\r\n'
}

function isPlainConnection(value: string): boolean {
  return value === 'keep-alive' || value === 'close' || value === 'Keep-Alive' || value === 'Close'
}

/** X-Forwarded-*, X-Real-IP and Forwarded (RFC 7239): continued from a trusted proxy, begun anew otherwise. */
function addForwarded(exchange: Exchange, fields: string[]): void {
  const { request, connection } = exchange
  const peer = connection.remoteAddress
  const scheme = request.scheme
  let forwardedFor = peer
  let proto: string = scheme
  let host = request.authority
  let port = String(connection.localPort > 0 ? connection.localPort : scheme === 'https' ? 443 : 80)
  let forwarded = forwardedElement(peer, request.authority, scheme)
  if (exchange.peerTrusted) {
    const sent = request.headers
    forwardedFor = append(joinField(sent, 'x-forwarded-for'), peer)
    proto = getField(sent, 'x-forwarded-proto') ?? proto
    host = getField(sent, 'x-forwarded-host') ?? host
    port = getField(sent, 'x-forwarded-port') ?? port
    forwarded = append(joinField(sent, 'forwarded'), forwarded)
  }
  if (forwardedFor !== '') fields.push('X-Forwarded-For', forwardedFor)
  fields.push('X-Forwarded-Proto', proto)
  if (host !== '') fields.push('X-Forwarded-Host', host)
  fields.push('X-Forwarded-Port', port)
  if (exchange.clientAddress !== '') fields.push('X-Real-IP', exchange.clientAddress)
  fields.push('Forwarded', forwarded)
}

function append(list: string | undefined, entry: string): string {
  if (list === undefined || list === '') return entry
  return entry === '' ? list : `${list}, ${entry}`
}

/** `for=192.0.2.1;host="example.com:8443";proto=https`. An IPv6 address stands in brackets and quotes. */
function forwardedElement(peer: string, authority: string, scheme: string): string {
  const node = peer === '' ? 'unknown' : peer.includes(':') ? `"[${peer}]"` : peer
  const host = authority === '' ? '' : authority.includes(':') ? `host="${authority}";` : `host=${authority};`
  return `for=${node};${host}proto=${scheme}`
}

/** What mutual TLS found out. The client's own fields of these names are dropped in any case. */
function addClientCertificate(exchange: Exchange, fields: string[]): void {
  const certificate = exchange.connection.tls?.clientCertificate
  if (certificate === undefined) return
  fields.push(
    'X-Client-Cert-Verified',
    certificate.verified ? 'true' : 'false',
    'X-Client-Cert-Subject',
    printable(certificate.subject),
    'X-Client-Cert-Fingerprint',
    certificate.fingerprint,
  )
}

/**
 * Text fit for a field value: what is not printable ASCII is percent-encoded as UTF-8, and so is `%`.
 * The client chooses what stands in its certificate: a line break there would else split the head.
 */
function printable(text: string): string {
  return text.replace(/[^\x20-\x24\x26-\x7e]/gu, (char) => {
    let encoded = ''
    for (const byte of Buffer.from(char, 'utf8'))
      encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    return encoded
  })
}

/** Applies configured edits in place; returns a Host if they set one. Framing stays out of their reach. */
function applyEdits(fields: string[], edits: HeaderEdits): string | undefined {
  for (const name of edits.remove) removeField(fields, name)
  for (let i = 0; i < edits.set.length; i += 2)
    setField(fields, edits.set[i] as string, edits.set[i + 1] as string)
  for (let i = 0; i < edits.add.length; i += 2)
    fields.push(edits.add[i] as string, edits.add[i + 1] as string)
  removeNamed(fields, framingNames)
  const host = getField(fields, 'host')
  if (host !== undefined) removeField(fields, 'host')
  return host
}

/**
 * What becomes of a client's field on its way to the origin, by name. Pure.
 * Everything that the gateway says itself is taken out of the client's mouth first.
 */
export type Fate =
  | 'keep'
  /** Hop-by-hop, framing, or a name that the gateway alone may use. */
  | 'drop'
  | 'connection'
  | 'te'
  /** Kept when the body is chunked. */
  | 'trailer'
  /** Kept when valid (W3C Trace Context); `tracestate` goes with it. */
  | 'traceparent'
  | 'tracestate'
  /** Kept from a trusted proxy only, as it came. */
  | 'forwarded'

const fates: ReadonlyMap<string, Fate> = new Map<string, Fate>([
  ['connection', 'connection'],
  ['content-length', 'drop'],
  ['expect', 'drop'],
  ['forwarded', 'drop'],
  ['host', 'drop'],
  ['http2-settings', 'drop'],
  ['keep-alive', 'drop'],
  ['te', 'te'],
  ['trailer', 'trailer'],
  ['traceparent', 'traceparent'],
  ['tracestate', 'tracestate'],
  ['transfer-encoding', 'drop'],
  ['upgrade', 'drop'],
  ['x-client-cert-fingerprint', 'drop'],
  ['x-client-cert-subject', 'drop'],
  ['x-client-cert-verified', 'drop'],
  ['x-forwarded-for', 'drop'],
  ['x-forwarded-host', 'drop'],
  ['x-forwarded-port', 'drop'],
  ['x-forwarded-proto', 'drop'],
  ['x-real-ip', 'drop'],
  ['x-request-id', 'drop'],
])

/**
 * The fate of a field. Names with `_` take the fate of their twin with `-`, unless that is to be kept: origins that
 * read fields the CGI way cannot tell `X_Forwarded_For` from `X-Forwarded-For`, so an alias would be a forgery.
 */
export function fateOf(name: string): Fate {
  // Most names need no look-up: no reserved name begins with their letter, or none of their length does.
  const length = name.length
  switch (name.charCodeAt(0) | 0x20) {
    case 0x63: // c
      if (length !== 10 && length !== 14) return 'keep'
      break
    case 0x65: // e
      if (length !== 6) return 'keep'
      break
    case 0x66: // f
      if (length !== 9) return 'keep'
      break
    case 0x68: // h
      if (length !== 4 && length !== 14) return 'keep'
      break
    case 0x6b: // k
      if (length !== 10) return 'keep'
      break
    case 0x75: // u
      if (length !== 7) return 'keep'
      break
    case 0x70: // p
    case 0x74: // t
    case 0x78: // x
      break
    default:
      return 'keep'
  }
  const lower = name.toLowerCase()
  if (lower.includes('_')) return fateOfLower(lower.replaceAll('_', '-')) === 'keep' ? 'keep' : 'drop'
  return fateOfLower(lower)
}

function fateOfLower(lower: string): Fate {
  const fate = fates.get(lower)
  if (fate !== undefined) return fate
  if (lower.startsWith('x-forwarded-')) return 'forwarded'
  // Proxy is no field at all, but CGI turns it into HTTP_PROXY ("httpoxy"); Proxy-* is meant for the next hop only.
  if (lower === 'proxy' || lower.startsWith('proxy-')) return 'drop'
  return lower.startsWith('x-client-cert-') ? 'drop' : 'keep'
}

/** Names that configured header edits cannot touch either: they are how the message is framed. Lower case. */
export const framingNames: readonly string[] = [
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]

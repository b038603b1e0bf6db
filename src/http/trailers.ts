import type { RawFields } from './fields.ts'

/**
 * Fields that a trailer section must not set, because something before the body has already acted on them
 * (RFC 9110 §6.5.1): framing, routing, request modifiers, authentication, cookies, response control, payload processing.
 */
const forbidden = new Set([
  'age', 'alt-svc', 'authorization', 'cache-control', 'connection', 'content-encoding', 'content-length',
  'content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expect', 'expires', 'forwarded',
  'host', 'http2-settings', 'keep-alive', 'last-modified', 'location', 'max-forwards', 'pragma', 'range',
  'retry-after', 'server', 'set-cookie', 'set-cookie2', 'strict-transport-security', 'te', 'traceparent',
  'tracestate', 'trailer', 'transfer-encoding', 'upgrade', 'vary', 'via', 'warning', 'www-authenticate',
  'x-real-ip', 'x-request-id',
]) // prettier-ignore

const forbiddenPrefixes = [
  'proxy-',
  'if-',
  'accept-',
  'x-forwarded-',
  'x-client-cert-',
  'access-control-',
  'sec-',
  ':',
]

/** True for a field that may pass in a trailer section. Names with `_` are read as if with `-`, as CGI does. */
function mayTrail(name: string): boolean {
  const lower = name.toLowerCase().replaceAll('_', '-')
  return !forbidden.has(lower) && !forbiddenPrefixes.some((prefix) => lower.startsWith(prefix))
}

/** The fields that may pass, or undefined when none is left. */
export function cleanTrailers(trailers: RawFields): RawFields | undefined {
  const kept: string[] = []
  for (let i = 0; i < trailers.length; i += 2) {
    const name = trailers[i] as string
    if (mayTrail(name)) kept.push(name, trailers[i + 1] as string)
  }
  return kept.length > 0 ? kept : undefined
}

import type { RawFields } from './fields.ts'

/**
 * Fields that must not come in a trailer section, since they frame, route, authenticate or steer the message whose head
 * has already been acted on.
 * @see RFC 9110 §6.5.1
 */
const forbidden: ReadonlySet<string> = new Set([
  'age',
  'authorization',
  'cache-control',
  'connection',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'cookie',
  'date',
  'expect',
  'expires',
  'forwarded',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'retry-after',
  'set-cookie',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'vary',
  'via',
  'warning',
  'www-authenticate',
  'x-real-ip',
  'x-request-id',
])

/** The trailer fields that may be passed on, in order. `x-forwarded-*` and `x-client-cert-*` are ours alone and never pass. */
export function trailerFields(raw: RawFields): string[] {
  const kept: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase().replaceAll('_', '-')
    if (forbidden.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-client-cert-')) continue
    kept.push(raw[i] as string, raw[i + 1] as string)
  }
  return kept
}

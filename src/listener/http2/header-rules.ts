/**
 * What a field of an HTTP/2 request may be, and what a section of them must be. Node drops a field that breaks the rules and
 * serves the request without it, so that the origin would see another request than the client sent: we refuse the stream.
 * Pure: decides on values, keeps nothing.
 * @see RFC 9113 §8.2, §8.3
 */

/** One decoded field. Immutable, so that the dynamic table can hand out the same object again, verdict included. */
export interface Field {
  readonly name: string
  readonly value: string
  /** Octets by the table's reckoning: name, value and 32. @see RFC 7541 §4.1 */
  readonly size: number
  readonly kind: FieldKind
  /** Why no message may hold this field; undefined when it may. */
  readonly fault: string | undefined
}

/** Kinds that a section or the head has to tell apart. */
export type FieldKind =
  | 'regular'
  | ':method'
  | ':scheme'
  | ':authority'
  | ':path'
  | ':protocol'
  | 'host'
  | 'cookie'
  | 'content-length'
  | 'expect'

const special: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>(
  (
    [
      ':method',
      ':scheme',
      ':authority',
      ':path',
      ':protocol',
      'host',
      'cookie',
      'content-length',
      'expect',
    ] as const
  ).map((name) => [name, name]),
)

/** They speak about one connection of HTTP/1.1; in HTTP/2 they smuggle. @see RFC 9113 §8.2.2 */
const connectionSpecific: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** 1 for characters of a token that are not upper case. @see RFC 9110 §5.6.2 */
const nameCodes = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") nameCodes[char.charCodeAt(0)] = 1

/** Judges a field once, when it is decoded. Both strings hold one octet a character. */
export function makeField(name: string, value: string): Field {
  const kind = special.get(name) ?? 'regular'
  return { name, value, size: name.length + value.length + 32, kind, fault: fieldFault(name, value, kind) }
}

function fieldFault(name: string, value: string, kind: FieldKind): string | undefined {
  if (name.length === 0) return 'empty field name'
  if (name.charCodeAt(0) === 0x3a) {
    if (kind === 'regular') return 'unknown pseudo-field'
  } else {
    for (let i = 0; i < name.length; i += 1) {
      if (nameCodes[name.charCodeAt(i)] !== 1) return 'malformed field name'
    }
    if (connectionSpecific.has(name)) return 'connection-specific field'
    if (name === 'te' && value !== 'trailers') return 'te other than trailers'
  }
  return valueFault(value)
}

/** NUL, CR and LF split messages further on; other control characters Node drops in silence. @see RFC 9113 §8.2.1 */
function valueFault(value: string): string | undefined {
  const { length } = value
  if (length === 0) return undefined
  for (let i = 0; i < length; i += 1) {
    const code = value.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return 'control character in a field value'
  }
  if (isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(length - 1)))
    return 'white space around a field value'
  return undefined
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/**
 * Why a request's first section is malformed, or undefined: pseudo-fields known, first, once each, all there; one
 * Content-Length at most. Extended CONNECT (RFC 8441) is not offered, so `:protocol` is unknown too.
 * @see RFC 9113 §8.3.1
 */
export function requestSectionFault(fields: readonly Field[]): string | undefined {
  let method: Field | undefined
  let scheme: Field | undefined
  let authority: Field | undefined
  let path: Field | undefined
  let contentLength: Field | undefined
  let regular = false
  for (const field of fields) {
    if (field.fault !== undefined) return field.fault
    switch (field.kind) {
      case ':method':
        if (method !== undefined) return 'repeated :method'
        method = field
        break
      case ':scheme':
        if (scheme !== undefined) return 'repeated :scheme'
        scheme = field
        break
      case ':authority':
        if (authority !== undefined) return 'repeated :authority'
        authority = field
        break
      case ':path':
        if (path !== undefined) return 'repeated :path'
        path = field
        break
      case ':protocol':
        return 'extended CONNECT is not offered'
      case 'content-length':
        if (contentLength !== undefined) return 'repeated content-length'
        contentLength = field
        regular = true
        continue
      case 'regular':
      case 'host':
      case 'cookie':
      case 'expect':
        regular = true
        continue
      default:
        field.kind satisfies never
    }
    if (regular) return 'pseudo-field behind a regular field'
  }
  if (method === undefined) return 'no :method'
  if (method.value === 'CONNECT') {
    return scheme !== undefined || path !== undefined || authority === undefined
      ? 'malformed CONNECT'
      : undefined
  }
  if (scheme === undefined) return 'no :scheme'
  if (path === undefined) return 'no :path'
  if (path.value.length === 0) return 'empty :path'
  if (scheme.value !== 'https' && scheme.value !== 'http') return 'unknown :scheme'
  return undefined
}

/** Why a trailer section is malformed, or undefined. Pseudo-fields have no place in it. @see RFC 9113 §8.1 */
export function trailerSectionFault(fields: readonly Field[]): string | undefined {
  for (const field of fields) {
    if (field.fault !== undefined) return field.fault
    if (field.name.charCodeAt(0) === 0x3a) return 'pseudo-field in trailers'
  }
  return undefined
}

/** A Content-Length value: digits only, up to 2^53 - 1; undefined when malformed. */
export function parseContentLength(value: string): number | undefined {
  if (value.length === 0 || value.length > 16) return undefined
  let length = 0
  for (let i = 0; i < value.length; i += 1) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : undefined
}

/**
 * The path as it is matched, so that `/x/%2e%2e/admin` can neither dodge a route nor reach one by confusion.
 *
 * - Octets that may stand for themselves in a segment (pchar, RFC 3986 §3.3) are decoded, so `/%61dmin` is `/admin`.
 *   All others stay encoded, with their hex digits in capitals: `%2F` never becomes a slash.
 * - Dot segments, encoded or not, are resolved (RFC 3986 §5.2.4). Slashes are kept as they came, doubled ones too.
 * - Refused: a path that climbs above the root, bad percent-encoding, `%00`, and segments that are harmless to us but
 *   climb in origins with other habits: `..%2F`, `..\`, `..%5C` (decoded late) and `..;x` (path parameters).
 *
 * What is forwarded is the path as sent, except when it held dot segments: then it is the resolved one, for what we
 * matched and what the origin sees must be the same place.
 */
export interface PathReading {
  readonly matched: string
  readonly forwarded: string
}

/** False for nearly every path: those are matched and forwarded as they are. */
export function needsReading(path: string): boolean {
  return path.includes('%') || path.includes('/.') || path.includes('\\')
}

/** Reads an absolute path; undefined when it is to be refused with 400. Linear in its length. */
export function readPath(path: string): PathReading | undefined {
  const decoded = decodePlain(path)
  if (decoded === undefined) return undefined
  if (
    !decoded.includes('/.') &&
    !decoded.includes('\\') &&
    !decoded.includes('%5C') &&
    !decoded.includes('%2F')
  ) {
    return { matched: decoded, forwarded: path }
  }
  const kept: string[] = []
  let sawDots = false
  let trailing = false
  const segments = decoded.split('/')
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i] as string
    trailing = false
    if (segment === '.') {
      sawDots = trailing = true
    } else if (segment === '..') {
      sawDots = trailing = true
      if (kept.pop() === undefined) return undefined
    } else if (climbsElsewhere(segment)) {
      return undefined
    } else {
      kept.push(segment)
    }
  }
  if (!sawDots) return { matched: decoded, forwarded: path }
  const resolved = `/${kept.join('/')}${trailing && kept.length > 0 ? '/' : ''}`
  return { matched: resolved, forwarded: resolved }
}

/** Decodes pchar octets; undefined for bad encoding or `%00`. */
function decodePlain(path: string): string | undefined {
  let from = path.indexOf('%')
  if (from < 0) return path
  let decoded = ''
  let copied = 0
  for (; from >= 0; from = path.indexOf('%', from + 3)) {
    const high = hexDigit(path.charCodeAt(from + 1))
    const low = hexDigit(path.charCodeAt(from + 2))
    if (high < 0 || low < 0) return undefined
    const code = high * 16 + low
    if (code === 0) return undefined
    decoded += path.slice(copied, from)
    decoded += isPchar(code) ? String.fromCharCode(code) : path.slice(from, from + 3).toUpperCase()
    copied = from + 3
  }
  return decoded + path.slice(copied)
}

function climbsElsewhere(segment: string): boolean {
  if (!segment.includes('.')) return false
  for (const part of segment.split(/%2F|%5C|\\/)) {
    const semicolon = part.indexOf(';')
    const name = semicolon < 0 ? part : part.slice(0, semicolon)
    if (name === '..' || name === '.') return true
  }
  return false
}

/** 0 to 15, or -1 (NaN, past the end, counts as no digit). */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

const pchars = new Set(
  Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@", (c) =>
    c.charCodeAt(0),
  ),
)

function isPchar(code: number): boolean {
  return pchars.has(code)
}

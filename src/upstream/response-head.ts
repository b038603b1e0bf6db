/**
 * Strict reading of an HTTP/1.x response head (RFC 9112 §4, §5), pure.
 * Hop-by-hop fields (RFC 9110 §7.6.1), those that Connection names and the framing fields end here: what they
 * say is kept as facts, the lines themselves are never handed on.
 */
export interface ResponseHead {
  readonly status: number
  /** End-to-end fields only, order and case kept. */
  readonly headers: string[]
  readonly httpMinor: 0 | 1
  /** Undefined when absent. Never set together with `chunked`. */
  readonly contentLength: number | undefined
  readonly chunked: boolean
  /** The peer means to keep the connection. */
  readonly keepAlive: boolean
  /** Value of Upgrade when Connection names it too, lower case. */
  readonly upgrade: string | undefined
}

const cr = 13
const lf = 10

/** 1 for each character of a token (RFC 9110 §5.6.2). */
const token = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  token[char.charCodeAt(0)] = 1
}

/**
 * Reads the field lines of `text` from `at` to its end into `into`, names and values alternating.
 * Lines end in CRLF, the last one may lack it. Returns the fault, or undefined. Refused: obs-fold, whitespace before the
 * colon, empty names, and every control character but tab (so NUL, bare CR and bare LF).
 */
export function readFieldLines(text: string, at: number, into: string[]): string | undefined {
  const end = text.length
  let i = at
  while (i < end) {
    const nameStart = i
    let char = text.charCodeAt(i)
    while (char !== 58) {
      if (token[char] !== 1)
        return char === 32 || char === 9 ? 'whitespace in a field name' : 'malformed field line'
      char = text.charCodeAt(++i)
    }
    if (i === nameStart) return 'field line without a name'
    const name = text.slice(nameStart, i)
    do char = text.charCodeAt(++i)
    while (char === 32 || char === 9)
    const valueStart = i
    while (i < end) {
      if (char < 32 ? char !== 9 : char === 127) break
      char = text.charCodeAt(++i)
    }
    let valueEnd = i
    if (i < end) {
      if (char !== cr || (i + 1 < end && text.charCodeAt(i + 1) !== lf) || i + 1 === end) {
        return 'control character in a field value'
      }
      i += 2
    }
    while (valueEnd > valueStart) {
      const last = text.charCodeAt(valueEnd - 1)
      if (last !== 32 && last !== 9) break
      valueEnd--
    }
    into.push(name, text.slice(valueStart, valueEnd))
  }
  return undefined
}

/**
 * Reads one head. `text` is latin1, from the status line to before the empty line's CRLF CRLF.
 * Returns a sentence that names the fault instead of a head when it breaks the protocol. Differs from RFC 9112 where
 * that lets a recipient repair: several Content-Length lines or a list are refused even when they agree
 * (§6.3 allows both), and so are HTTP/1.2, Transfer-Encoding on HTTP/1.0 or with Content-Length.
 * Status codes 600 to 999 are refused (RFC 9110 §15 calls them invalid, and HTTP/2 engines throw on them).
 */
export function readResponseHead(text: string): ResponseHead | string {
  if (!text.startsWith('HTTP/1.')) return 'not an HTTP/1.x status line'
  const minor = text.charCodeAt(7) - 48
  if (minor !== 0 && minor !== 1) return 'unsupported HTTP version'
  const hundreds = text.charCodeAt(9) - 48
  const tens = text.charCodeAt(10) - 48
  const ones = text.charCodeAt(11) - 48
  if (text.charCodeAt(8) !== 32 || !(hundreds >= 1 && hundreds <= 5 && isDigit(tens) && isDigit(ones))) {
    return 'malformed status code'
  }
  // Past the reason phrase, which goes no further. Servers that leave out the space before an empty one are common.
  let i = 12
  if (i < text.length && text.charCodeAt(i) !== 32 && text.charCodeAt(i) !== cr)
    return 'malformed status code'
  for (; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char < 32 ? char !== 9 : char === 127) break
  }
  if (i < text.length) {
    if (text.charCodeAt(i) !== cr || text.charCodeAt(i + 1) !== lf)
      return 'control character in the status line'
    i += 2
  }

  const headers: string[] = []
  const fault = readFieldLines(text, i, headers)
  if (fault !== undefined) return fault
  return settleFraming(hundreds * 100 + tens * 10 + ones, minor, headers)
}

/** Takes framing and hop-by-hop lines out of `headers`, in place. */
function settleFraming(status: number, minor: 0 | 1, headers: string[]): ResponseHead | string {
  let contentLength: number | undefined
  let chunked = false
  let connection: string | undefined
  let upgrade: string | undefined
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    // Most names are told apart by their length alone; only candidates are lowered and compared.
    switch (name.length) {
      case 2:
      case 7:
      case 10:
      case 14:
      case 16:
      case 17:
      case 18:
      case 25: {
        const value = headers[i + 1] as string
        switch (name.toLowerCase()) {
          case 'content-length': {
            if (contentLength !== undefined) return 'several Content-Length fields'
            contentLength = readLength(value)
            if (contentLength === undefined) return 'malformed Content-Length'
            continue
          }
          case 'transfer-encoding':
            if (chunked) return 'several Transfer-Encoding fields'
            if (value !== 'chunked' && value.toLowerCase() !== 'chunked')
              return 'unsupported Transfer-Encoding'
            chunked = true
            continue
          case 'connection':
            connection = connection === undefined ? value : `${connection},${value}`
            continue
          case 'upgrade':
            upgrade = upgrade === undefined ? value : `${upgrade},${value}`
            continue
          case 'keep-alive':
          case 'te':
          case 'proxy-connection':
          case 'proxy-authenticate':
          case 'proxy-authentication-info':
            continue
          default:
        }
        break
      }
      default:
    }
    if (kept !== i) {
      headers[kept] = name
      headers[kept + 1] = headers[i + 1] as string
    }
    kept += 2
  }
  headers.length = kept
  if (chunked && contentLength !== undefined) return 'Content-Length beside Transfer-Encoding'
  if (chunked && minor === 0) return 'Transfer-Encoding on HTTP/1.0'

  let keepAlive = minor === 1
  let upgrades = false
  if (connection !== undefined) {
    const options = listTokens(connection)
    keepAlive =
      minor === 1 ? !options.includes('close') : options.includes('keep-alive') && !options.includes('close')
    upgrades = options.includes('upgrade')
    removeNamed(headers, options)
  }
  return {
    status,
    headers,
    httpMinor: minor,
    contentLength,
    chunked,
    keepAlive,
    upgrade: upgrades ? upgrade?.toLowerCase() : undefined,
  }
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9
}

/** A Content-Length value: 1 to 15 digits, so that it is exact. Undefined when it is anything else. */
function readLength(value: string): number | undefined {
  if (value.length === 0 || value.length > 15) return undefined
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (!isDigit(digit)) return undefined
    length = length * 10 + digit
  }
  return length
}

/** The members of a comma-separated list, lower case, without empty ones. */
export function listTokens(value: string): string[] {
  const tokens: string[] = []
  for (const part of value.split(',')) {
    const trimmed = part.trim()
    if (trimmed !== '') tokens.push(trimmed.toLowerCase())
  }
  return tokens
}

/** Removes the lines whose name is in `names` (lower case), in place. */
export function removeNamed(headers: string[], names: readonly string[]): void {
  let kept = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (names.includes(name.toLowerCase())) continue
    headers[kept] = name
    headers[kept + 1] = headers[i + 1] as string
    kept += 2
  }
  headers.length = kept
}

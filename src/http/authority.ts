import { isIPv6 } from 'node:net'

export interface Authority {
  /** Lower case, with the port if one was sent; no trailing dot, no empty port. */
  readonly authority: string
  /** `authority` without the port; IPv6 keeps its brackets. */
  readonly host: string
  /** 0 when none was sent. */
  readonly port: number
}

// Clients repeat one Host on a connection: remembering the last good answer saves the work. Bound: one entry.
let lastText = ''
let lastAuthority: Authority | undefined

/**
 * Reads `host[:port]` as it stands in a Host field or in `:authority`. Undefined when it is malformed.
 * Stricter than RFC 3986 §3.2.2: registered names are letters, digits, `-`, `.`, `_` and `~` only, since no percent-encoding and no
 * sub-delimiter occurs in a DNS name and each of them has split caches from origins. No user information.
 * Names up to 253 bytes, ports 1 to 65535; an empty port (`host:`) is taken as none.
 * @see RFC 9110 §7.2, RFC 9112 §3.2
 */
export function parseAuthority(text: string): Authority | undefined {
  if (text === lastText && lastAuthority !== undefined) return lastAuthority
  const parsed = text.charCodeAt(0) === 0x5b ? parseBracketed(text) : parseNamed(text)
  if (parsed !== undefined) {
    lastText = text
    lastAuthority = parsed
  }
  return parsed
}

function parseBracketed(text: string): Authority | undefined {
  const end = text.indexOf(']')
  if (end < 0 || end > 46) return undefined
  const literal = text.slice(1, end)
  if (!isIPv6(literal) || literal.includes('%')) return undefined
  const host = text.slice(0, end + 1).toLowerCase()
  if (end + 1 === text.length) return { authority: host, host, port: 0 }
  return text.charCodeAt(end + 1) === 0x3a ? withPort(host, text, end + 2) : undefined
}

function parseNamed(text: string): Authority | undefined {
  let end = 0
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end)
    if (code === 0x3a) break
    if (!isNameCode(code)) return undefined
  }
  if (end === 0) return undefined
  // A trailing dot names the same host; without it, routes cannot be dodged by writing it.
  const nameEnd = text.charCodeAt(end - 1) === 0x2e ? end - 1 : end
  if (nameEnd === 0 || nameEnd > 253 || text.charCodeAt(0) === 0x2e) return undefined
  const host = text.slice(0, nameEnd).toLowerCase()
  if (host.includes('..')) return undefined
  return end === text.length ? { authority: host, host, port: 0 } : withPort(host, text, end + 1)
}

function withPort(host: string, text: string, from: number): Authority | undefined {
  if (from === text.length) return { authority: host, host, port: 0 }
  if (text.length - from > 5) return undefined
  let port = 0
  for (let i = from; i < text.length; i += 1) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    port = port * 10 + digit
  }
  if (port < 1 || port > 65535) return undefined
  return { authority: `${host}:${port}`, host, port }
}

/** Letters, digits, `-`, `.`, `_`, `~`. */
function isNameCode(code: number): boolean {
  return (
    (code >= 0x61 && code <= 0x7a) ||
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2d ||
    code === 0x2e ||
    (code >= 0x41 && code <= 0x5a) ||
    code === 0x5f ||
    code === 0x7e
  )
}

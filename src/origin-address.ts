/** Where an origin is and which hosts are meant, as people write it in a configuration. Pure. */
import { isIP, isIPv4 } from 'node:net'
import { domainToASCII } from 'node:url'

/** Where an origin is reached. IPv6 hosts have no brackets. `text` is the canonical form, for logs and for comparing. */
export type EndpointAddress =
  | {
      readonly kind: 'tcp'
      readonly secure: boolean
      readonly host: string
      readonly port: number
      readonly text: string
    }
  | { readonly kind: 'unix'; readonly path: string; readonly text: string }

/**
 * Reads "http://127.0.0.1:3000", "https://origin.example", "http://[::1]:80" or "unix:/run/app.sock".
 * Ports default to 80 and 443. Credentials, a path other than "/", a query or a fragment are refused:
 * paths are rewritten by routes, not by endpoints.
 */
export function parseEndpoint(text: string): EndpointAddress | undefined {
  const path = unixPath(text)
  if (path !== undefined) return { kind: 'unix', path, text: `unix:${path}` }
  const match = /^(https?):\/\/(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@[\]\\]+)(?::(\d{1,5}))?\/?$/i.exec(text)
  if (match === null) return undefined
  const secure = (match[1] as string).toLowerCase() === 'https'
  const port = match[3] === undefined ? (secure ? 443 : 80) : Number(match[3])
  const host = plainHost(match[2] as string)
  if (host === undefined || port < 1 || port > 65_535) return undefined
  return {
    kind: 'tcp',
    secure,
    host,
    port,
    text: `${secure ? 'https' : 'http'}://${bracketed(host)}:${port}`,
  }
}

/**
 * A host pattern in canonical form: "api.example.com", "*.example.com" or "*"; lower case, international names
 * in their ASCII form, no trailing dot, IPv6 in brackets. The star stands for whole labels on the left only.
 */
export function parseHostPattern(text: string): string | undefined {
  if (text === '*') return text
  if (text.startsWith('*.')) {
    const rest = dnsName(text.slice(2))
    return rest === undefined || isIP(rest) !== 0 ? undefined : `*.${rest}`
  }
  const host = plainHost(text)
  return host === undefined ? undefined : bracketed(host)
}

/** Puts an IPv6 address into brackets; everything else stays. */
export function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** "unix:/run/app.sock" or "unix:relative.sock"; at most 107 bytes, the kernel's limit for a socket's path. */
function unixPath(text: string): string | undefined {
  if (!text.startsWith('unix:')) return undefined
  const path = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
  return path === '' || path.includes('\0') || Buffer.byteLength(path) > 107 ? undefined : path
}

/** An IP address without brackets, or a DNS name; undefined for anything else. */
function plainHost(written: string): string | undefined {
  if (written.startsWith('[')) {
    const address = written.slice(1, -1)
    return isIP(address) === 6 ? canonicalIp(address) : undefined
  }
  return dnsName(written)
}

/** Lower case ASCII name without a trailing dot, labels of 1 to 63 characters, 253 in all; or an IPv4 address. */
function dnsName(written: string): string | undefined {
  if (isIPv4(written)) return written
  // A name of digits and dots only would be an address to some resolvers ("127.1"), so it is refused.
  if (/^[\d.]*$/.test(written) || /[/?#@\\%\s]/.test(written)) return undefined
  const ascii = /^[\w.-]+$/.test(written) ? written.toLowerCase() : domainToASCII(written)
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii
  if (name.length === 0 || name.length > 253) return undefined
  return name.split('.').every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label)) ? name : undefined
}

function canonicalIp(address: string): string {
  return isIPv4(address) ? address : new URL(`http://[${address}]`).hostname.slice(1, -1)
}

import { readAddress } from './ip-address.ts'

export { canonicalAddress, printAddress, readAddress } from './ip-address.ts'
export { type Cidr, CidrTable, parseCidr, printCidr } from './cidr.ts'

/** Where a listener listens. */
export type ListenAddress =
  | {
      readonly kind: 'tcp'
      /** Undefined listens on every address, IPv6 and IPv4. */
      readonly host: string | undefined
      /** 0..65535; 0 asks the kernel for a free one. */
      readonly port: number
    }
  | { readonly kind: 'unix'; readonly path: string }

const scratch = new Uint32Array(4)

/**
 * Parses `:8443`, `127.0.0.1:8080`, `[::1]:443`, `localhost:80` or `unix:/run/app.sock`; undefined when malformed.
 * A host is an IP address, `*` (every address) or `localhost`: anything else would need name resolution at start.
 */
export function parseListenAddress(text: string): ListenAddress | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length)
    // The kernel's sun_path holds 108 bytes with its final NUL.
    return path === '' || path.includes('\0') || Buffer.byteLength(path) > 107
      ? undefined
      : { kind: 'unix', path }
  }
  const colon = text.lastIndexOf(':')
  if (colon < 0) return undefined
  const port = parsePort(text.slice(colon + 1))
  if (port === undefined) return undefined
  const host = text.slice(0, colon)
  if (host === '' || host === '*') return { kind: 'tcp', host: undefined, port }
  if (host === 'localhost') return { kind: 'tcp', host, port }
  if (host.startsWith('[') && host.endsWith(']')) {
    const inner = host.slice(1, -1)
    return inner.includes(':') && readAddress(inner, scratch) !== 0
      ? { kind: 'tcp', host: inner, port }
      : undefined
  }
  return !host.includes(':') && readAddress(host, scratch) === 4 ? { kind: 'tcp', host, port } : undefined
}

export function printListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const host = address.host ?? ''
  return `${host.includes(':') ? `[${host}]` : host}:${address.port}`
}

/** A decimal port without sign or leading zeros, or undefined. */
export function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return undefined
  const port = Number(text)
  return port <= 65535 ? port : undefined
}

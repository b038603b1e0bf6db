import { canonicalAddress, parsePort } from '../net-address.ts'

/**
 * The PROXY protocol, version 1 (text) and 2 (binary), as a receiver: pure parsing of the first bytes of a connection.
 *
 * Strict: a byte that cannot belong to a header ends the parse at once, so that nobody who forgets the header can hold a
 * connection. Only what the sender vouches for is used: addresses and ports. TLVs (which may claim TLS facts) are checked
 * for their shape and skipped.
 *
 * Bound: 107 bytes of version 1, 16 + 4,096 of version 2; the caller keeps no more than that and one read.
 *
 * @see https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
 */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid'; readonly reason: string }
  | {
      readonly kind: 'complete'
      /** Length of the header; what follows is the client's. */
      readonly bytes: number
      /** Undefined for LOCAL and UNKNOWN: the sender speaks for itself (health checks), the socket's addresses count. */
      readonly client: ProxiedClient | undefined
    }

export interface ProxiedClient {
  /** Canonical text. */
  readonly address: string
  readonly port: number
  /** The port that the client connected to. */
  readonly localPort: number
}

const maxVersion1Bytes = 107
const maxVersion2Payload = 4096
const prefixVersion1 = Buffer.from('PROXY ')
const signatureVersion2 = Buffer.from([
  0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
])

const incomplete: ProxyHeader = { kind: 'incomplete' }

/** Parses all bytes received so far. Any split of the stream gives the same end. */
export function parseProxyHeader(received: Buffer): ProxyHeader {
  if (received.length === 0) return incomplete
  if (startsAlike(received, signatureVersion2)) return parseVersion2(received)
  if (startsAlike(received, prefixVersion1)) return parseVersion1(received)
  return invalid('no PROXY header')
}

/** True when `received` begins with `pattern`, as far as both go. */
function startsAlike(received: Buffer, pattern: Buffer): boolean {
  const length = Math.min(received.length, pattern.length)
  return received.compare(pattern, 0, length, 0, length) === 0
}

function invalid(reason: string): ProxyHeader {
  return { kind: 'invalid', reason }
}

function parseVersion1(received: Buffer): ProxyHeader {
  const end = received.subarray(0, maxVersion1Bytes).indexOf('\r\n')
  if (end < 0) {
    if (received.length >= maxVersion1Bytes) return invalid('version 1 header without end')
    // A bare line feed or control byte cannot become a valid line any more.
    const stray = received.findIndex(
      (byte, at) => (byte < 0x20 && !(byte === 0x0d && at === received.length - 1)) || byte > 0x7e,
    )
    return stray < 0 ? incomplete : invalid('control byte in version 1 header')
  }
  const line = received.toString('latin1', 0, end)
  const bytes = end + 2
  // What follows UNKNOWN is for the log of the sender; the receiver must ignore it.
  if (line === 'PROXY UNKNOWN' || (line.startsWith('PROXY UNKNOWN ') && isPrintable(line))) {
    return { kind: 'complete', bytes, client: undefined }
  }
  const parts = line.split(' ')
  const [, family, source = '', destination = '', sourcePort = '', destinationPort = ''] = parts
  if (parts.length !== 6 || (family !== 'TCP4' && family !== 'TCP6'))
    return invalid('malformed version 1 header')
  const isIpv6 = family === 'TCP6'
  const address = addressOf(source, isIpv6)
  const port = parsePort(sourcePort)
  const localPort = parsePort(destinationPort)
  if (address === undefined || addressOf(destination, isIpv6) === undefined)
    return invalid('bad address in version 1 header')
  if (port === undefined || localPort === undefined) return invalid('bad port in version 1 header')
  return { kind: 'complete', bytes, client: { address, port, localPort } }
}

function addressOf(text: string, isIpv6: boolean): string | undefined {
  return text.includes(':') === isIpv6 && !text.includes('%') ? canonicalAddress(text) : undefined
}

function isPrintable(line: string): boolean {
  return /^[\x20-\x7e]*$/.test(line)
}

function parseVersion2(received: Buffer): ProxyHeader {
  if (received.length < 13) return incomplete
  const versionAndCommand = received[12] as number
  if (versionAndCommand >> 4 !== 2) return invalid('unknown version of the PROXY protocol')
  const command = versionAndCommand & 15
  if (command > 1) return invalid('unknown command in version 2 header')
  if (received.length < 16) return incomplete
  const family = received[13] as number
  const length = received.readUInt16BE(14)
  if (length > maxVersion2Payload) return invalid('version 2 header too long')
  const addresses = addressBytes(family)
  // LOCAL: family and payload mean nothing.
  if (command === 1) {
    if (addresses === undefined) return invalid('unsupported address family in version 2 header')
    if (length < addresses) return invalid('version 2 header too short for its addresses')
  }
  const bytes = 16 + length
  if (received.length < bytes) return incomplete
  if (command === 0) return { kind: 'complete', bytes, client: undefined }
  if (!areTlvs(received, 16 + (addresses ?? 0), bytes)) return invalid('malformed TLV in version 2 header')
  return { kind: 'complete', bytes, client: clientOf(received, family) }
}

/** Size of the address block; undefined for what cannot come over a stream socket (UDP, unknown). */
function addressBytes(family: number): number | undefined {
  switch (family) {
    case 0x00: // unspecified
      return 0
    case 0x11: // TCP over IPv4
      return 12
    case 0x21: // TCP over IPv6
      return 36
    case 0x31: // unix stream
      return 216
    default:
      return undefined
  }
}

/** Type-length-value records must fill the rest exactly; their content is nobody's business here. */
function areTlvs(received: Buffer, from: number, to: number): boolean {
  let at = from
  while (at + 3 <= to) at += 3 + received.readUInt16BE(at + 1)
  return at === to
}

function clientOf(received: Buffer, family: number): ProxiedClient | undefined {
  if (family === 0x11) {
    const address = `${received[16]}.${received[17]}.${received[18]}.${received[19]}`
    return { address, port: received.readUInt16BE(24), localPort: received.readUInt16BE(26) }
  }
  if (family === 0x21) {
    const groups: string[] = []
    for (let at = 16; at < 32; at += 2) groups.push(received.readUInt16BE(at).toString(16))
    const address = canonicalAddress(groups.join(':')) ?? ''
    return { address, port: received.readUInt16BE(48), localPort: received.readUInt16BE(50) }
  }
  return undefined
}

import { isIPv4 } from 'node:net'

/** A PROXY protocol version 2 header for TCP, as a load balancer sends it. */
export function proxyHeaderV2(init: {
  source: string
  sourcePort: number
  destinationPort: number
  tlv?: Buffer
}): Buffer {
  const { source, sourcePort, destinationPort, tlv = Buffer.alloc(0) } = init
  const isIp4 = isIPv4(source)
  const addresses = isIp4
    ? Buffer.from([...source.split('.').map(Number), 127, 0, 0, 1])
    : Buffer.concat([ipv6Bytes(source), ipv6Bytes('::1')])
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(sourcePort, 0)
  ports.writeUInt16BE(destinationPort, 2)
  const head = Buffer.from('0d0a0d0a000d0a515549540a21000000', 'hex')
  head[13] = isIp4 ? 0x11 : 0x21
  head.writeUInt16BE(addresses.length + 4 + tlv.length, 14)
  return Buffer.concat([head, addresses, ports, tlv])
}

/** A header that speaks for the sender itself. */
export const proxyHeaderV2Local = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')

export function proxyHeaderV1(source: string, sourcePort: number, destinationPort: number): Buffer {
  const family = source.includes(':') ? `TCP6 ${source} ::1` : `TCP4 ${source} 127.0.0.1`
  return Buffer.from(`PROXY ${family} ${sourcePort} ${destinationPort}\r\n`)
}

function ipv6Bytes(text: string): Buffer {
  // The URL parser writes every address in hexadecimal groups.
  const plain = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  const [head = '', tail] = plain.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back]
  const bytes = Buffer.alloc(16)
  for (const [at, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), at * 2)
  return bytes
}

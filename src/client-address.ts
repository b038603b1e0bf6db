import { findField, getFields, joinField } from './http/fields.ts'
import type { RawFields } from './http/fields.ts'
import type { ResolvedClient } from './listener/service.ts'
import { CidrTable, canonicalAddress } from './net-address.ts'
import type { Cidr } from './net-address.ts'

/**
 * Who the client is when proxies stand in front. Only a peer in `trustedProxies` is believed: then the rightmost
 * address of X-Forwarded-For that is no trusted proxy is the client's, as every hop on the left of it could have been
 * made up. Without X-Forwarded-For, `Forwarded` (RFC 7239) is read the same way. Reading stops at a hop that is no
 * address (`unknown`, `_hidden`) and after 50 hops; the last trusted hop then stands for the client.
 * A trusted proxy must overwrite or append to both fields, never let the client's own pass alone.
 */
export function clientResolver(
  trustedProxies: readonly Cidr[],
): (peer: string, headers: RawFields) => ResolvedClient {
  const trusted = CidrTable.of(trustedProxies)
  return (peerAddress, headers) => {
    if (!trusted.has(peerAddress)) return { address: peerAddress, trusted: false, requestId: undefined }
    return {
      address: walk(peerAddress, headers, trusted),
      trusted: true,
      requestId: readRequestId(headers),
    }
  }
}

const maxHops = 50

function walk(peer: string, headers: RawFields, trusted: CidrTable<true>): string {
  const forwardedFor = joinField(headers, 'x-forwarded-for')
  const list = forwardedFor ?? joinField(headers, 'forwarded')
  if (list === undefined) return peer
  let address = peer
  let end = list.length
  for (let hops = 0; hops < maxHops && end >= 0; hops++) {
    const comma = list.lastIndexOf(',', end - 1)
    const element = end === 0 ? '' : list.slice(comma + 1, end).trim()
    end = end === 0 ? -1 : comma
    if (element === '') continue
    const hop = readHop(forwardedFor === undefined ? forParameter(element) : element)
    if (hop === undefined) return address
    address = hop
    if (!trusted.has(hop)) return address
  }
  return address
}

/** The value of `for=` in one element of Forwarded; '' when it has none. */
function forParameter(element: string): string {
  for (const pair of element.split(';')) {
    const equals = pair.indexOf('=')
    if (equals >= 0 && pair.slice(0, equals).trim().toLowerCase() === 'for')
      return pair.slice(equals + 1).trim()
  }
  return ''
}

/** `192.0.2.1`, `192.0.2.1:5678`, `2001:db8::1`, `[2001:db8::1]:5678`, each also in quotes; canonical, or undefined. */
function readHop(text: string): string | undefined {
  let bare = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
  if (bare.startsWith('[')) {
    const close = bare.indexOf(']')
    if (close < 0 || !/^(?::\d{1,5})?$/.test(bare.slice(close + 1))) return undefined
    bare = bare.slice(1, close)
    return bare.includes(':') ? canonicalAddress(bare) : undefined
  }
  const colon = bare.indexOf(':')
  if (colon > 0 && colon === bare.lastIndexOf(':') && /^\d{1,5}$/.test(bare.slice(colon + 1)))
    bare = bare.slice(0, colon)
  return canonicalAddress(bare)
}

/** One well-formed X-Request-Id, or undefined: 1 to 128 of [A-Za-z0-9._-]. */
function readRequestId(headers: RawFields): string | undefined {
  if (findField(headers, 'x-request-id', 0) < 0) return undefined
  const [id = '', ...more] = getFields(headers, 'x-request-id')
  return more.length === 0 && /^[A-Za-z0-9._-]{1,128}$/.test(id) ? id : undefined
}

import { makeField, type Field } from './header-rules.ts'
import { decodedBound, decodeHuffman } from './huffman.ts'

/** RFC 7541 Appendix A, in order; entries without `:` after the name have an empty value. */
const staticText = `:authority|:method:GET|:method:POST|:path:/|:path:/index.html|:scheme:http|:scheme:https|:status:200|:status:204|\
:status:206|:status:304|:status:400|:status:404|:status:500|accept-charset|accept-encoding:gzip, deflate|accept-language|\
accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|content-disposition|content-encoding|\
content-language|content-length|content-location|content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|\
if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|location|max-forwards|proxy-authenticate|\
proxy-authorization|range|referer|refresh|retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|\
vary|via|www-authenticate`

const staticTable: readonly Field[] = staticText.split('|').map((entry) => {
  const colon = entry.indexOf(':', 1)
  return colon < 0 ? makeField(entry, '') : makeField(entry.slice(0, colon), entry.slice(colon + 1))
})

const smallestEntry = 32

/** Takes the fields of one block in order. Returning false ends the decoding, and with it the use of the decoder. */
export type FieldSink = (field: Field) => boolean

export type DecodeFault = 'malformed' | 'stopped' | undefined

// Room for one decoded string, shared: decoding is synchronous. Grows to the largest string seen, which the gate's bound on a
// header block bounds (8/5 of it).
let scratch = Buffer.allocUnsafeSlow(4096)

/**
 * HPACK decoder for one connection's inbound direction. It runs beside the one in nghttp2, on the same bytes, because only
 * a decoder of our own sees the fields that nghttp2's wrapper drops.
 * Memory: the dynamic table, at most `tableBytes` by the RFC's reckoning (32 octets of overhead an entry), so at most 128
 * entries for 4096.
 * @see RFC 7541
 */
export class HpackDecoder {
  readonly #maxBytes: number
  /** Present limit, set by the encoder's size updates. */
  #limitBytes: number
  #bytes = 0
  /** Ring: newest at `#newest`, older ones behind it. */
  readonly #ring: (Field | undefined)[]
  #newest = 0
  #count = 0
  // Cursor of the block being read.
  #block: Buffer = scratch
  #at = 0
  #end = 0
  #failed = false

  constructor(tableBytes = 4096) {
    this.#maxBytes = tableBytes
    this.#limitBytes = tableBytes
    this.#ring = Array.from<Field | undefined>({
      length: Math.max(1, Math.floor(tableBytes / smallestEntry)),
    }).fill(undefined)
  }

  /** Entries in the dynamic table. */
  get entries(): number {
    return this.#count
  }

  /** Decodes one whole header block, `block[start, end)`. After `malformed` or `stopped` the decoder is of no more use. */
  decode(block: Buffer, start: number, end: number, sink: FieldSink): DecodeFault {
    this.#block = block
    this.#at = start
    this.#end = end
    this.#failed = false
    let fields = 0
    while (this.#at < end) {
      const first = block[this.#at] as number
      let field: Field | undefined
      if (first >= 0x80) {
        field = this.#lookUp(this.#integer(7))
      } else if (first >= 0x40) {
        field = this.#literal(6)
        if (field !== undefined) this.#insert(field)
      } else if (first >= 0x20) {
        // Size updates stand at the start of a block only, at most two (RFC 7541 §4.2).
        if (fields > 0 || !this.#resize(this.#integer(5))) return 'malformed'
        continue
      } else {
        field = this.#literal(4)
      }
      if (field === undefined) return 'malformed'
      fields += 1
      if (!sink(field)) return 'stopped'
    }
    return undefined
  }

  /** An index may only name an entry that exists; 0 is none. */
  #lookUp(index: number): Field | undefined {
    if (this.#failed || index <= 0) return undefined
    if (index <= staticTable.length) return staticTable[index - 1]
    const age = index - staticTable.length - 1
    if (age >= this.#count) return undefined
    const { length } = this.#ring
    return this.#ring[(this.#newest - age + length) % length]
  }

  #literal(prefixBits: number): Field | undefined {
    const index = this.#integer(prefixBits)
    if (this.#failed) return undefined
    const name = index === 0 ? this.#string() : this.#lookUp(index)?.name
    if (name === undefined) return undefined
    const value = this.#string()
    return value === undefined ? undefined : makeField(name, value)
  }

  /** Sets `#failed` when it ends early or goes beyond 2^28, more than anything here may be. @see RFC 7541 §5.1 */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = (this.#block[this.#at] as number) & mask
    this.#at += 1
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break
      const byte = this.#block[this.#at] as number
      this.#at += 1
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    this.#failed = true
    return -1
  }

  #string(): string | undefined {
    if (this.#at >= this.#end) return undefined
    const coded = (this.#block[this.#at] as number) >= 0x80
    const length = this.#integer(7)
    if (this.#failed || length > this.#end - this.#at) return undefined
    const start = this.#at
    this.#at += length
    if (!coded) return this.#block.toString('latin1', start, this.#at)
    const bound = decodedBound(length)
    if (bound > scratch.length) scratch = Buffer.allocUnsafeSlow(bound)
    const written = decodeHuffman(this.#block, start, this.#at, scratch)
    return written < 0 ? undefined : scratch.toString('latin1', 0, written)
  }

  #resize(bytes: number): boolean {
    if (this.#failed || bytes > this.#maxBytes) return false
    this.#limitBytes = bytes
    this.#evict(0)
    return true
  }

  /** An entry larger than the table empties it and is not kept. @see RFC 7541 §4.4 */
  #insert(field: Field): void {
    this.#evict(field.size)
    if (field.size > this.#limitBytes) return
    this.#newest = (this.#newest + 1) % this.#ring.length
    this.#ring[this.#newest] = field
    this.#count += 1
    this.#bytes += field.size
  }

  #evict(incoming: number): void {
    const { length } = this.#ring
    while (this.#count > 0 && this.#bytes + incoming > this.#limitBytes) {
      const oldest = (this.#newest - this.#count + 1 + length) % length
      this.#bytes -= this.#ring[oldest]?.size ?? 0
      this.#ring[oldest] = undefined
      this.#count -= 1
    }
  }
}

/**
 * Code lengths in bits of the HPACK Huffman code, one a byte value. The code is canonical: sorted by length, then by value,
 * codes count upwards, so the lengths say it all.
 * @see RFC 7541 Appendix B
 */
// prettier-ignore
const lengths: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]
const endOfString = 256
const longest = 30

/** Values in the order of their codes. */
const ordered: number[] = []
/** By length: the first 30 bits that belong to a longer code, and what to add to a code for its place in `ordered`. */
const limits = new Int32Array(longest + 1)
const offsets = new Int32Array(longest + 1)
/** By the next 8 bits: the value and its length (`value << 4 | length`) for codes up to 8 bits, else 0. */
const short = new Uint16Array(256)

let code = 0
for (let length = 1; length <= longest; length += 1) {
  code <<= 1
  offsets[length] = ordered.length - code
  for (let value = 0; value <= endOfString; value += 1) {
    if (lengths[value] !== length) continue
    ordered.push(value)
    if (length <= 8) short.fill((value << 4) | length, code << (8 - length), (code + 1) << (8 - length))
    code += 1
  }
  limits[length] = code * 2 ** (longest - length)
}

/** Most bytes that `length` coded bytes can turn into: the shortest code has 5 bits. */
export function decodedBound(length: number): number {
  return Math.floor((length * 8) / 5)
}

/**
 * Decodes `bytes[start, end)` into `into`, which must hold `decodedBound(end - start)` bytes.
 * Returns how many were written, or -1 for what is an error: the end-of-string code, padding of 8 bits and more, padding that
 * is not all ones.
 * @see RFC 7541 §5.2
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, into: Uint8Array): number {
  const lastBit = end * 8
  let written = 0
  let bit = start * 8
  while (bit + 5 <= lastBit) {
    const at = bit >>> 3
    const shift = bit & 7
    const first = bytes[at] as number
    const second = at + 1 < end ? (bytes[at + 1] as number) : 0xff
    const entry = short[(((first << 8) | second) >>> (8 - shift)) & 0xff] as number
    if (entry !== 0) {
      const length = entry & 0xf
      if (bit + length > lastBit) break
      into[written] = entry >> 4
      written += 1
      bit += length
      continue
    }
    const third = at + 2 < end ? (bytes[at + 2] as number) : 0xff
    const fourth = at + 3 < end ? (bytes[at + 3] as number) : 0xff
    const fifth = at + 4 < end ? (bytes[at + 4] as number) : 0xff
    const word = (((first << 24) | (second << 16) | (third << 8) | fourth) << shift) | (fifth >>> (8 - shift))
    const window = word >>> (32 - longest)
    let length = 10
    while (window >= (limits[length] as number)) length += 1
    if (bit + length > lastBit) break
    const value = ordered[(window >>> (longest - length)) + (offsets[length] as number)] as number
    if (value === endOfString) return -1
    into[written] = value
    written += 1
    bit += length
  }
  const left = lastBit - bit
  if (left > 7) return -1
  const padding = (1 << left) - 1
  return left === 0 || ((bytes[end - 1] as number) & padding) === padding ? written : -1
}

/**
 * IP addresses: strict parsing, one canonical spelling.
 *
 * One client has one spelling here: IPv4-mapped IPv6 (`::ffff:192.0.2.1`) counts as IPv4, zone ids are dropped, IPv6 is
 * printed as RFC 5952 says. Lists, limits and logs that compare text can therefore not be dodged by another spelling.
 */

/** Big-endian words of an address; IPv4 uses the first only. */
export type AddressWords = Uint32Array

// Where the parsers below leave their result. Nothing is kept between calls.
const scratch = new Uint32Array(4)

/**
 * Parses an address into `out` and returns its family, or 0 when `text` is not an address. IPv4 is four decimal
 * numbers without leading zeros (an octal reading elsewhere must not make it another host); IPv6 as RFC 4291 §2.2,
 * a zone id is ignored. Never allocates.
 */
export function readAddress(text: string, out: AddressWords): 0 | 4 | 6 {
  if (text.indexOf(':') < 0) return readIpv4(text, 0, text.length, out, 0) ? 4 : 0
  const zone = text.indexOf('%')
  if (!readIpv6(text, zone < 0 ? text.length : zone, out)) return 0
  if (out[0] !== 0 || out[1] !== 0 || out[2] !== 0xffff) return 6
  out[0] = out[3] as number
  out[1] = out[2] = out[3] = 0
  return 4
}

/** One decimal octet group after another between `from` and `to`; writes word `at`. */
function readIpv4(text: string, from: number, to: number, out: AddressWords, at: number): boolean {
  if (to - from < 7 || to - from > 15) return false
  let word = 0
  let octets = 0
  let value = -1
  for (let i = from; i <= to; i += 1) {
    const code = i < to ? text.charCodeAt(i) : 0x2e
    if (code === 0x2e) {
      if (value < 0 || octets === 4) return false
      word = word * 256 + value
      octets += 1
      value = -1
    } else {
      if (code < 0x30 || code > 0x39 || value === 0) return false
      value = (value < 0 ? 0 : value) * 10 + (code - 0x30)
      if (value > 255) return false
    }
  }
  if (octets !== 4) return false
  out[at] = word
  if (at === 0) out[1] = out[2] = out[3] = 0
  return true
}

function readIpv6(text: string, end: number, out: AddressWords): boolean {
  if (end < 2 || end > 45) return false
  out[0] = out[1] = out[2] = out[3] = 0
  let group = 0
  let gap = -1
  let i = 0
  if (text.charCodeAt(0) === 0x3a) {
    if (text.charCodeAt(1) !== 0x3a) return false
    gap = 0
    i = 2
  }
  while (i < end) {
    if (group === 8) return false
    let value = 0
    let digits = 0
    const start = i
    for (; i < end; i += 1) {
      const digit = hexDigit(text.charCodeAt(i))
      if (digit < 0) break
      value = value * 16 + digit
      digits += 1
      if (digits > 4) return false
    }
    if (i < end && text.charCodeAt(i) === 0x2e) {
      // Dotted tail: it must be the last 32 bits.
      if (digits === 0 || group > 6 || (gap < 0 && group !== 6)) return false
      if (!readIpv4(text, start, end, octetsScratch, 0)) return false
      const tail = octetsScratch[0] as number
      putGroup(out, group, tail >>> 16)
      putGroup(out, group + 1, tail & 0xffff)
      group += 2
      i = end
      break
    }
    if (digits === 0) return false
    putGroup(out, group, value)
    group += 1
    if (i === end) break
    if (text.charCodeAt(i) !== 0x3a) return false
    i += 1
    if (i === end) return false
    if (text.charCodeAt(i) === 0x3a) {
      if (gap >= 0) return false
      gap = group
      i += 1
    }
  }
  if (gap < 0) return group === 8
  if (group === 8) return false
  // Moves what follows `::` to the end.
  const moved = group - gap
  for (let k = 1; k <= moved; k += 1) {
    putGroup(out, 8 - k, groupAt(out, group - k))
    if (8 - k !== group - k) putGroup(out, group - k, 0)
  }
  return true
}

const octetsScratch = new Uint32Array(4)

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

function groupAt(words: AddressWords, group: number): number {
  const word = words[group >> 1] as number
  return (group & 1) === 0 ? word >>> 16 : word & 0xffff
}

function putGroup(words: AddressWords, group: number, value: number): void {
  const word = words[group >> 1] as number
  words[group >> 1] = (group & 1) === 0 ? (value << 16) | (word & 0xffff) : (word & 0xffff0000) | value
}

/** Canonical text of words that `readAddress` filled (RFC 5952 for IPv6). */
export function printAddress(family: 4 | 6, words: AddressWords): string {
  if (family === 4) {
    const word = words[0] as number
    return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
  }
  // The longest run of two or more zero groups, the first one where two are as long.
  let best = -1
  let bestLength = 1
  for (let i = 0; i < 8; i += 1) {
    let length = 0
    while (i + length < 8 && groupAt(words, i + length) === 0) length += 1
    if (length > bestLength) {
      best = i
      bestLength = length
    }
    i += length
  }
  let text = ''
  for (let i = 0; i < 8; i += 1) {
    if (i === best) {
      text += '::'
      i += bestLength - 1
      continue
    }
    if (i > 0 && i !== best + bestLength) text += ':'
    text += groupAt(words, i).toString(16)
  }
  return text
}

/** The one spelling of an address, or undefined when `text` is none. */
export function canonicalAddress(text: string): string | undefined {
  const family = readAddress(text, scratch)
  return family === 0 ? undefined : printAddress(family, scratch)
}

import { type AddressWords, printAddress, readAddress } from './ip-address.ts'

export interface Cidr {
  readonly family: 4 | 6
  /** The network's address in canonical text, host bits zero. */
  readonly address: string
  /** 0..32 or 0..128. */
  readonly prefix: number
}

// Where the parsers leave their result. Nothing is kept between calls.
const words: AddressWords = new Uint32Array(4)

/**
 * Parses `10.0.0.0/8`, `2001:db8::/32` or a bare address (a block of one). Undefined when malformed, which includes
 * bits set behind the prefix: `10.0.0.1/8` is more often a typo than a wish, and guessing would open a gate.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf('/')
  const addressText = slash < 0 ? text : text.slice(0, slash)
  if (addressText.includes('%')) return undefined
  const family = readAddress(addressText, words)
  if (family === 0) return undefined
  let prefix: number
  if (slash < 0) prefix = family === 4 ? 32 : 128
  else {
    const digits = text.slice(slash + 1)
    if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined
    prefix = Number(digits)
    const mapped = family === 4 && addressText.includes(':')
    if (mapped && prefix >= 96) prefix -= 96
    else if (mapped) return undefined
    if (prefix > (family === 4 ? 32 : 128)) return undefined
  }
  for (let word = 0; word < 4; word += 1) {
    const kept = Math.min(32, Math.max(0, prefix - word * 32))
    const hostMask = kept === 32 ? 0 : 0xffffffff >>> kept
    if (((words[word] as number) & hostMask) !== 0 && (family === 6 || word === 0)) return undefined
  }
  return { family, address: printAddress(family, words), prefix }
}

export function printCidr(cidr: Cidr): string {
  return `${cidr.address}/${cidr.prefix}`
}

/**
 * Longest-prefix match over CIDR blocks: a binary trie for each family, walked one bit a step.
 * A look-up parses the address and takes at most 32 or 128 steps; it allocates nothing.
 * Memory: at most `prefix` nodes a block, about 16 bytes each; blocks share the nodes of a common prefix. The table is
 * built once and not changed afterwards.
 */
export class CidrTable<T> {
  readonly size: number
  readonly #ipv4: Trie<T>
  readonly #ipv6: Trie<T>

  /** Of two entries for one block the later one stands. */
  constructor(entries: Iterable<readonly [Cidr, T]>) {
    this.#ipv4 = new Trie<T>()
    this.#ipv6 = new Trie<T>()
    let size = 0
    for (const [cidr, value] of entries) {
      if (readAddress(cidr.address, words) !== cidr.family)
        throw new RangeError(`not a CIDR block: ${cidr.address}`)
      size += (cidr.family === 4 ? this.#ipv4 : this.#ipv6).insert(words, cidr.prefix, value) ? 1 : 0
    }
    this.size = size
  }

  /** A table that only answers whether an address is in one of `blocks`. */
  static of(blocks: Iterable<Cidr>): CidrTable<true> {
    const entries: [Cidr, true][] = []
    for (const block of blocks) entries.push([block, true])
    return new CidrTable(entries)
  }

  /**
   * The value of the longest block that holds `address`, in any spelling; undefined when there is none or when `address`
   * is no IP address ('' of a unix socket). IPv4-mapped addresses are looked up as IPv4.
   */
  lookup(address: string): T | undefined {
    if (this.size === 0) return undefined
    const family = readAddress(address, words)
    if (family === 0) return undefined
    return family === 4 ? this.#ipv4.lookup(words, 32) : this.#ipv6.lookup(words, 128)
  }

  has(address: string): boolean {
    return this.lookup(address) !== undefined
  }
}

class Trie<T> {
  // Node n has its children at 2n and 2n+1; 0 means none, as the root (0) is nobody's child.
  #children: Int32Array<ArrayBuffer> = new Int32Array(64)
  readonly #values: (T | undefined)[] = [undefined]

  insert(address: Uint32Array, prefix: number, value: T): boolean {
    let node = 0
    for (let bit = 0; bit < prefix; bit += 1) {
      const at = node * 2 + bitOf(address, bit)
      let next = this.#children[at] as number
      if (next === 0) {
        next = this.#values.push(undefined) - 1
        if (next * 2 + 2 > this.#children.length) {
          const grown = new Int32Array(this.#children.length * 2)
          grown.set(this.#children)
          this.#children = grown
        }
        this.#children[at] = next
      }
      node = next
    }
    const isNew = this.#values[node] === undefined
    this.#values[node] = value
    return isNew
  }

  lookup(address: Uint32Array, bits: number): T | undefined {
    let node = 0
    let found = this.#values[0]
    for (let bit = 0; bit < bits; bit += 1) {
      node = this.#children[node * 2 + bitOf(address, bit)] as number
      if (node === 0) break
      const value = this.#values[node]
      if (value !== undefined) found = value
    }
    return found
  }
}

function bitOf(address: Uint32Array, bit: number): 0 | 1 {
  return (((address[bit >> 5] as number) >>> (31 - (bit & 31))) & 1) as 0 | 1
}

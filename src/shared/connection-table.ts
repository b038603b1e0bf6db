import { readAddress } from '../ip-address.ts'

/**
 * Open client connections, counted over all workers: in total and for each client.
 *
 * One SharedArrayBuffer, changed with Atomics only, never locked: a worker may die between any two instructions and the
 * others go on. Each worker counts in a column of its own, so that the main thread can take a dead worker's share out
 * (`clearWorker`).
 *
 * A client is an IPv4 address or an IPv6 /64: whoever has one address of a /64 usually has all of them.
 *
 * Bound: the buffer's size is fixed when it is made: two slots for each connection that may be open, 1,024 to 1,048,576
 * slots, 8 + 4 bytes times workers each (20,000 connections, 4 workers: 1.5 MiB). Slots of clients without connections
 * are used again. When a client finds no slot within its probe window the connection is let in and counted in the total
 * only; with half of the slots empty by construction that takes an attacker who knows the seed.
 */
export class ConnectionTable {
  readonly #keys: BigUint64Array
  readonly #counts: Int32Array
  readonly #totals: Int32Array
  readonly #workers: number
  readonly #worker: number
  readonly #mask: number
  readonly #seed: number

  /** Makes the memory. `seed` is 32 random bits that keep clients from choosing each other's slots. */
  static allocate(maxConnections: number, workers: number, seed: number): SharedArrayBuffer {
    let slots = 1024
    while (slots < maxConnections * 2 && slots < 1_048_576) slots *= 2
    const buffer = new SharedArrayBuffer(headerBytes + slots * 8 + (slots + 1) * workers * 4)
    const header = new Int32Array(buffer, 0, 4)
    header[0] = slots
    header[1] = workers
    header[2] = seed | 0
    return buffer
  }

  /** The view of worker `worker` (0-based). The main thread may use any number below `workers`; it only reads. */
  constructor(buffer: SharedArrayBuffer, worker: number) {
    const header = new Int32Array(buffer, 0, 4)
    const slots = header[0] as number
    this.#workers = header[1] as number
    this.#seed = header[2] as number
    if (!(worker >= 0 && worker < this.#workers)) throw new RangeError(`no column for worker ${worker}`)
    this.#worker = worker
    this.#mask = slots - 1
    this.#keys = new BigUint64Array(buffer, headerBytes, slots)
    this.#counts = new Int32Array(buffer, headerBytes + slots * 8, slots * this.#workers)
    this.#totals = new Int32Array(buffer, headerBytes + slots * (8 + this.#workers * 4), this.#workers)
  }

  /** Counts one connection, unless `max` are open already. Pair with `closeTotal` when true. */
  openTotal(max: number): boolean {
    // Counting comes before the check: two workers that take the last place at once may both be refused, never both let in.
    Atomics.add(this.#totals, this.#worker, 1)
    if (this.total() <= max) return true
    this.closeTotal()
    return false
  }

  closeTotal(): void {
    Atomics.sub(this.#totals, this.#worker, 1)
  }

  total(): number {
    let sum = 0
    for (let worker = 0; worker < this.#workers; worker += 1) sum += Atomics.load(this.#totals, worker)
    return sum
  }

  /**
   * Counts one connection of a client. Returns a ticket for `closeClient`, or `refused` when `max` are open, or
   * `uncounted` when `address` is no IP address (unix sockets) or no slot is free.
   */
  openClient(address: string, max: number): number {
    const key = clientKey(address)
    if (key === noKey) return uncounted
    const slot = this.#claim(key)
    if (slot < 0) return uncounted
    if (this.#clientCount(key) <= max) return slot
    this.closeClient(slot)
    return refused
  }

  /** Takes a ticket back. Harmless for `refused` and `uncounted`. */
  closeClient(ticket: number): void {
    if (ticket >= 0) Atomics.sub(this.#counts, ticket * this.#workers + this.#worker, 1)
  }

  /** Open connections of one client over all workers. */
  client(address: string): number {
    const key = clientKey(address)
    return key === noKey ? 0 : this.#clientCount(key)
  }

  /** Main thread: forgets what a dead worker had open. Call after it has ended and before another takes its number. */
  clearWorker(worker: number): void {
    Atomics.store(this.#totals, worker, 0)
    for (let slot = 0; slot <= this.#mask; slot += 1) {
      Atomics.store(this.#counts, slot * this.#workers + worker, 0)
      // A slot that it died on while taking it over: keep it occupied, so that probing goes on past it.
      Atomics.compareExchange(this.#keys, slot, takeoverMark(worker), retiredKey)
    }
  }

  /** Adds one to a slot that holds `key`, taking one over where there is none; -1 when the probe window is full. */
  #claim(key: bigint): number {
    const start = slotOf(key, this.#seed)
    for (let round = 0; round < 8; round += 1) {
      let free = -1
      for (let step = 0; step < probeWindow; step += 1) {
        const slot = (start + step) & this.#mask
        const held = Atomics.load(this.#keys, slot)
        if (held === key) {
          if (this.#addIfHeld(slot, key)) return slot
          free = -2
          break
        }
        if (free < 0 && (held === emptyKey || (mayTakeOver(held) && this.#isUnused(slot)))) free = slot
        if (held === emptyKey) break
      }
      if (free === -1) return -1
      if (free >= 0 && this.#takeOver(free, key)) {
        if (this.#addIfHeld(free, key)) return free
      }
    }
    return -1
  }

  /** The count goes first and the key is read afterwards: `#takeOver` looks in the opposite order, so one of both sees the other. */
  #addIfHeld(slot: number, key: bigint): boolean {
    const cell = slot * this.#workers + this.#worker
    Atomics.add(this.#counts, cell, 1)
    if (Atomics.load(this.#keys, slot) === key) return true
    Atomics.sub(this.#counts, cell, 1)
    return false
  }

  #takeOver(slot: number, key: bigint): boolean {
    const before = Atomics.load(this.#keys, slot)
    if (!mayTakeOver(before)) return false
    const mark = takeoverMark(this.#worker)
    if (Atomics.compareExchange(this.#keys, slot, before, mark) !== before) return false
    const unused = this.#isUnused(slot)
    Atomics.store(this.#keys, slot, unused ? key : before)
    return unused
  }

  #isUnused(slot: number): boolean {
    for (let worker = 0; worker < this.#workers; worker += 1) {
      if (Atomics.load(this.#counts, slot * this.#workers + worker) !== 0) return false
    }
    return true
  }

  /** Sums every slot with this key: two workers that meet a new client at once may have taken one slot each. */
  #clientCount(key: bigint): number {
    const start = slotOf(key, this.#seed)
    let sum = 0
    for (let step = 0; step < probeWindow; step += 1) {
      const slot = (start + step) & this.#mask
      const held = Atomics.load(this.#keys, slot)
      if (held === emptyKey) break
      if (held !== key) continue
      for (let worker = 0; worker < this.#workers; worker += 1) {
        sum += Atomics.load(this.#counts, slot * this.#workers + worker)
      }
    }
    return sum
  }
}

/** `openClient`: the client has its maximum already. */
export const refused = -2
/** `openClient`: let in, but not counted. */
export const uncounted = -1

const headerBytes = 64
/** Slots looked at for one client. */
const probeWindow = 32

// Keys are /64 prefixes as 64-bit numbers. The table's own values lie in ::/48, where no client lives.
const emptyKey = 0n
/** Was in use, is nobody's now. Takes part in probing and may be taken over. */
const retiredKey = 1n
const firstTakeover = 2n
const firstClient = 0x1_0000n
/** Returned for what is no IP address; never stored. */
const noKey = emptyKey

/** Marks a slot that `worker` is about to take over. */
function takeoverMark(worker: number): bigint {
  return firstTakeover + BigInt(worker)
}

function mayTakeOver(key: bigint): boolean {
  return key === emptyKey || key === retiredKey || key >= firstClient
}

const words = new Uint32Array(4)

/** IPv6: the /64. IPv4 stands in 1::/32 and what falls into ::/48 (loopback) in 2::/16, neither of them in use. */
function clientKey(address: string): bigint {
  const family = readAddress(address, words)
  if (family === 0) return noKey
  if (family === 4) return (1n << 48n) | BigInt(words[0] as number)
  const prefix = (BigInt(words[0] as number) << 32n) | BigInt(words[1] as number)
  return prefix < firstClient ? (2n << 48n) | prefix : prefix
}

function slotOf(key: bigint, seed: number): number {
  let hash = (Number(key & 0xffffffffn) ^ seed) | 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash ^= Number((key >> 32n) & 0xffffffffn)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= seed >>> 7
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 16)) >>> 0
}

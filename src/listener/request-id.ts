import { randomFillSync } from 'node:crypto'

// 256 ids a refill: one system call for 256 requests. Bound: 4 KiB.
const pool = Buffer.allocUnsafe(4096)
let used = pool.length

/** A new request id: 128 random bits in lower-case hex, so that it cannot be guessed. */
export function newRequestId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += 16
  return pool.toString('hex', used - 16, used)
}

import { randomFillSync } from 'node:crypto'

/** Fills a buffer with random bytes. */
export type FillRandom = (bytes: Buffer) => void

export const systemRandom: FillRandom = (bytes) => void randomFillSync(bytes)

const idBytes = 24
const poolBytes = idBytes * 170

/**
 * Makes `traceparent` values (W3C Trace Context, version 00). Random bytes are drawn 4 KiB at a time.
 * The sampled flag is set: with 00 an origin that follows its parent's decision would stop tracing altogether
 * as soon as it stands behind the gateway.
 */
export function traceparentSource(fillRandom: FillRandom): () => string {
  const pool = Buffer.allocUnsafeSlow(poolBytes)
  let used = poolBytes
  return () => {
    if (used === poolBytes) {
      fillRandom(pool)
      used = 0
    }
    const at = used
    used += idBytes
    // All-zero ids are invalid. One in 2^64 is not worth a loop, but a bit that is always set costs nothing.
    pool[at] = (pool[at] as number) | 1
    pool[at + 16] = (pool[at + 16] as number) | 1
    const hex = pool.toString('hex', at, at + idBytes)
    return `00-${hex.slice(0, 32)}-${hex.slice(32)}-01`
  }
}

/**
 * True for a `traceparent` that may be handed on: 00-32hex-16hex-2hex in lower case, ids not all zero. Later versions
 * may carry more after another dash; version ff is invalid.
 */
export function isTraceparent(value: string): boolean {
  if (value.length < 55 || value.length > 256) return false
  let traceBits = 0
  let parentBits = 0
  for (let i = 0; i < 55; i++) {
    const char = value.charCodeAt(i)
    if (i === 2 || i === 35 || i === 52) {
      if (char !== 45) return false
      continue
    }
    const digit = char >= 48 && char <= 57 ? char - 48 : char >= 97 && char <= 102 ? char - 87 : -1
    if (digit < 0) return false
    if (i > 2 && i < 35) traceBits |= digit
    else if (i > 35 && i < 52) parentBits |= digit
  }
  if (traceBits === 0 || parentBits === 0 || value.startsWith('ff')) return false
  if (value.length === 55) return true
  return !value.startsWith('00') && value.charCodeAt(55) === 45 && isPrintable(value)
}

function isPrintable(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const char = value.charCodeAt(i)
    if (char < 0x21 || char > 0x7e) return false
  }
  return true
}

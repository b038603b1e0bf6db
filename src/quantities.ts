/** Durations and sizes as people write them: "500ms", "10s", "64KiB". Pure. */

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

const sizeUnits: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1_000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  tb: 1_000_000_000_000,
  kib: 1_024,
  mib: 1_048_576,
  gib: 1_073_741_824,
  tib: 1_099_511_627_776,
}

/** Ten years: beyond this a duration is a mistake, not a wish. */
export const maxDurationMs = 3_653 * 86_400_000

/**
 * Milliseconds in "500ms", "1.5s", "1h30m" (units ms, s, m, h, d; each at most once, largest first), or in "0".
 * Other bare numbers in text have no unit and are refused, as are negative values and more than ten years.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  if (!/^(?:\d{1,15}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/.test(trimmed)) return undefined
  let total = 0
  let previous = Number.POSITIVE_INFINITY
  for (const [, amount, unit] of trimmed.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
    const factor = durationUnits[unit as string] as number
    if (factor >= previous) return undefined
    previous = factor
    total += Number(amount) * factor
  }
  const rounded = Math.round(total)
  return rounded <= maxDurationMs ? rounded : undefined
}

/**
 * Bytes in "10MiB", "64 KiB", "1MB", "512B" (any letter case; kB, MB, GB, TB count in thousands), or in "0".
 * Fractions are rounded to whole bytes; beyond 2^53-1 the text is refused.
 */
export function parseSize(text: string): number | undefined {
  const trimmed = text.trim()
  if (trimmed === '0') return 0
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmgt]?i?b)$/i.exec(trimmed)
  if (match === null) return undefined
  const factor = sizeUnits[(match[2] as string).toLowerCase()]
  if (factor === undefined) return undefined
  const bytes = Math.round(Number(match[1]) * factor)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** The shortest exact text of a duration: 90000 is "90s", 3600000 is "1h". */
export function printDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0'
  for (const unit of ['d', 'h', 'm', 's']) {
    const factor = durationUnits[unit] as number
    if (milliseconds % factor === 0) return `${milliseconds / factor}${unit}`
  }
  return `${milliseconds}ms`
}

/** The shortest exact text of a size in binary units: 65536 is "64KiB", 1000 is "1000B". */
export function printSize(bytes: number): string {
  if (bytes === 0) return '0'
  for (const [unit, factor] of [
    ['TiB', 1_099_511_627_776],
    ['GiB', 1_073_741_824],
    ['MiB', 1_048_576],
    ['KiB', 1_024],
  ] as const) {
    if (bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return `${bytes}B`
}

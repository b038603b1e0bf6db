import type { RewriteOptions } from './options.ts'
import type { PathReading } from './path.ts'

/**
 * The path to forward: `stripPrefix` taken off, then `addPrefix` put in front; '' after stripping counts as `/`.
 * A prefix is stripped as whole segments only. When the client spelled it with escapes (`/%61pi/x`), the normalised
 * path takes the place of the one sent. A path without the prefix stays whole.
 */
export function rewritePath(rewrite: RewriteOptions, reading: PathReading): string {
  let path = reading.forwarded
  const prefix = rewrite.stripPrefix
  if (prefix !== undefined) path = strip(reading.forwarded, prefix) ?? strip(reading.matched, prefix) ?? path
  return rewrite.addPrefix === undefined ? path : rewrite.addPrefix + path
}

function strip(path: string, prefix: string): string | undefined {
  if (!path.startsWith(prefix)) return undefined
  if (path.length === prefix.length) return '/'
  return path.charCodeAt(prefix.length) === 0x2f ? path.slice(prefix.length) : undefined
}

import { needsReading, readPath } from './path.ts'

/** One step of a path pattern: a literal segment, or `:name` for any one that is not empty. */
export type PatternSegment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'parameter'; readonly name: string }

export interface PathPattern {
  readonly segments: readonly PatternSegment[]
  /** True for a trailing `/*`: the path may end here or go on below. */
  readonly open: boolean
}

/**
 * Reads `/exact`, `/prefix/*`, `/users/:id/posts`; a string is the fault, in the style `expected …`.
 * `/prefix/*` covers `/prefix`, `/prefix/` and all below, never `/prefixes`. A trailing slash counts: `/a/` is not `/a`.
 * Literals are normalised like requests (path.ts), so `/caf%c3%a9`, `/café` and `/%63af%C3%A9` are one place.
 */
export function parsePathPattern(text: string): PathPattern | string {
  if (!text.startsWith('/')) return `expected a path that begins with "/", got ${JSON.stringify(text)}`
  if (/[?#\s]/.test(text))
    return `expected a path without query, fragment or spaces, got ${JSON.stringify(text)}`
  const open = text.endsWith('/*')
  const parts = (open ? text.slice(0, -2) : text).split('/').slice(1)
  const segments: PatternSegment[] = []
  const names = new Set<string>()
  for (const part of parts) {
    if (part.includes('*')) return `expected "*" only as the whole last segment, got ${JSON.stringify(text)}`
    if (!part.startsWith(':')) {
      const literal = literalSegment(part)
      if (literal === undefined)
        return `expected a path without dot segments or bad encoding, got ${JSON.stringify(text)}`
      segments.push({ kind: 'literal', text: literal })
      continue
    }
    const name = part.slice(1)
    if (!/^[A-Za-z_]\w*$/.test(name)) return `expected a name after ":", got ${JSON.stringify(part)}`
    if (names.has(name)) return `expected each parameter once, got ":${name}" twice`
    names.add(name)
    segments.push({ kind: 'parameter', name })
  }
  return { segments, open }
}

/** The literal path of a pattern without parameters and star, else undefined. */
export function literalPath(pattern: PathPattern): string | undefined {
  if (pattern.open) return undefined
  let path = ''
  for (const segment of pattern.segments) {
    if (segment.kind !== 'literal') return undefined
    path += `/${segment.text}`
  }
  return path
}

/** Parameters by name, and what a trailing star covered under `rest` (no slash in front). For paths that match. */
export function captures(pattern: PathPattern, path: string): Map<string, string> {
  const found = new Map<string, string>()
  let from = 1
  for (const segment of pattern.segments) {
    const slash = path.indexOf('/', from)
    const end = slash < 0 ? path.length : slash
    if (segment.kind === 'parameter') found.set(segment.name, path.slice(from, end))
    from = end + 1
  }
  if (pattern.open) found.set('rest', path.slice(from))
  return found
}

function literalSegment(part: string): string | undefined {
  const encoded = part.replace(/[^\u0021-\u007e]+/g, (run) => encodeURIComponent(run.toWellFormed()))
  const path = `/${encoded}`
  if (!needsReading(path)) return encoded
  const reading = readPath(path)
  return reading === undefined || reading.forwarded !== path ? undefined : reading.matched.slice(1)
}

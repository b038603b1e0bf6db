import type { RequestHead } from '../exchange.ts'
import { captures, parsePathPattern } from './pattern.ts'
import type { PathPattern } from './pattern.ts'

/**
 * Where a redirect leads: a template with `{scheme}`, `{host}` (no port), `{path}`, `{query}` (no question mark),
 * `{target}` (path and query), the route's `{parameters}`, and `{rest}` for what its trailing star covered.
 *
 * Never an open redirect: the host comes from the template or, with `{host}`, from the Host that the route matched;
 * a path such as `//evil.example` cannot become one. Behind the template's question mark values are encoded as one
 * parameter each (`?next={target}`), except `{query}`; elsewhere what does not belong in a URL is percent-encoded.
 */
export type RedirectTemplate = (
  request: RequestHead,
  sentPath: string,
  matchedPath: string,
) => string | undefined

interface Piece {
  /** What stands before the placeholder. */
  readonly literal: string
  /** '' at the end of the template. */
  readonly name: string
  readonly inQuery: boolean
}

const builtIns = new Set(['scheme', 'host', 'path', 'query', 'target'])

/**
 * Compiles a template; a string is the fault, in the style `expected …`. `paths` are those of the route.
 * The template answers undefined when it needs a host and the request (HTTP/1.0) named none.
 */
export function compileRedirect(to: string, paths: readonly string[]): RedirectTemplate | string {
  const absolute = /^(?:https?|\{scheme\}):\/\//.exec(to)
  const local = /^(?:\/(?!\/)|\{path\}|\{target\})/.test(to)
  if (absolute === null && !local) return `expected a URL or a path, got ${JSON.stringify(to)}`
  if (/[^\u0021-\u007e]|\\/.test(to)) {
    return `expected a URL without spaces, backslashes and characters beyond ASCII, got ${JSON.stringify(to)}`
  }
  // `{rest}` or a parameter right behind the host could make another host of it.
  const host = /^[^/?#{]*(?:\{host\}[^/?#{]*)?(?=$|[/?#]|\{path\}|\{target\})/
  const authority = absolute === null ? undefined : (host.exec(to.slice(absolute[0].length))?.[0] ?? '')
  if (authority === '' || authority?.includes('@') === true) {
    return `expected a host, then a path, got ${JSON.stringify(to)}`
  }
  const patterns = paths.map(parsePathPattern).filter((pattern) => typeof pattern !== 'string')
  const pieces = split(to)
  for (const { name } of pieces) {
    if (name === '' || builtIns.has(name) || patterns.some((pattern) => names(pattern).has(name))) continue
    return `expected one of {scheme} {host} {path} {query} {target} or a parameter of the route, got "{${name}}"`
  }
  const needsHost = pieces.some(({ name }) => name === 'host')
  const needsCaptures = pieces.some(({ name }) => name !== '' && !builtIns.has(name))
  return (request, sentPath, matchedPath) => {
    if (needsHost && request.host === '') return undefined
    const found = needsCaptures ? capturesOf(patterns, matchedPath) : undefined
    let url = ''
    for (const { literal, name, inQuery } of pieces) {
      url += literal
      if (name === '') continue
      const value = expand(name, request, sentPath) ?? found?.get(name) ?? ''
      url += inQuery && name !== 'query' ? encodeURIComponent(value.toWellFormed()) : encodeStray(value)
    }
    // A path that begins with two slashes would be read as a host.
    return absolute === null ? url.replace(/^\/{2,}/, '/') : url
  }
}

function split(template: string): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (const match of template.matchAll(/\{([A-Za-z_]\w*)\}/g)) {
    const before = template.slice(0, match.index)
    pieces.push({
      literal: template.slice(from, match.index),
      name: match[1] ?? '',
      inQuery: before.includes('?'),
    })
    from = match.index + match[0].length
  }
  pieces.push({ literal: template.slice(from), name: '', inQuery: false })
  return pieces
}

function expand(name: string, request: RequestHead, sentPath: string): string | undefined {
  switch (name) {
    case 'scheme':
      return request.scheme
    case 'host':
      return request.host
    case 'path':
      return sentPath
    case 'query':
      return request.query
    case 'target':
      return request.query === '' ? sentPath : `${sentPath}?${request.query}`
    default:
      return undefined
  }
}

/** Captures of the first of the route's paths that fits. */
function capturesOf(patterns: readonly PathPattern[], path: string): Map<string, string> | undefined {
  const depth = path.split('/').length - 1
  const fitting = patterns.find((pattern) => {
    if (pattern.open ? depth < pattern.segments.length : depth !== pattern.segments.length) return false
    const parts = path.split('/')
    return pattern.segments.every(
      (segment, i) => segment.kind === 'parameter' || segment.text === parts[i + 1],
    )
  })
  return fitting === undefined ? undefined : captures(fitting, path)
}

function names(pattern: PathPattern): Set<string> {
  const found = new Set<string>(pattern.open ? ['rest'] : [])
  for (const segment of pattern.segments) if (segment.kind === 'parameter') found.add(segment.name)
  return found
}

/** Also keeps CR and LF out, should an engine ever let one through. */
function encodeStray(text: string): string {
  return text.replace(
    /[^\u0021-\u007e]|["<>\\^`{|}]/g,
    (c) =>
      `%${Buffer.from(c, c > 'ÿ' ? 'utf8' : 'latin1')
        .toString('hex')
        .toUpperCase()
        .replace(/(..)(?=.)/g, '$1%')}`,
  )
}

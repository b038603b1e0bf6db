import type { RequestHead } from '../exchange.ts'
import { conditionsHold, countConditions, methodHolds } from './conditions.ts'
import type { RouteMatch } from './options.ts'
import { literalPath, parsePathPattern } from './pattern.ts'
import type { PathPattern } from './pattern.ts'

/**
 * Which route serves a request. Of all routes that match, the most specific one wins:
 *
 * 1. Host: an exact name, then the longest wildcard, then no host at all. `*.example.com` covers one label or more,
 *    never `example.com` itself.
 * 2. Path, compared segment by segment from the left: a literal beats a `:parameter`, a parameter beats the trailing
 *    `*`, and a path that ends beats one that goes on. So exact beats pattern, and the longer prefix the shorter one.
 * 3. More conditions (method, each header, each query parameter) before fewer.
 * 4. The order of writing.
 *
 * A route whose conditions fail gives way to the next by this order, also over to a less specific host.
 *
 * Compiled once. A look-up costs a map look-up for the host and one for each path segment, whatever the number of
 * routes; it runs no pattern and keeps nothing. Each node of a host's tree is visited at most once.
 */
export class RouteTable<R extends { readonly match: RouteMatch }> {
  readonly #exact = new Map<string, HostRoutes<R>>()
  /** By what follows the star: `.example.com`. */
  readonly #wildcards = new Map<string, HostRoutes<R>>()
  readonly #anyHost = new HostRoutes<R>()

  /** @throws RangeError for a path or host pattern that config/ should have refused */
  constructor(routes: readonly R[]) {
    for (const route of routes) {
      const patterns = route.match.paths.length === 0 ? [rootPattern] : route.match.paths.map(readPattern)
      const hosts = route.match.hosts.length === 0 ? ['*'] : route.match.hosts
      const entry = { route, conditions: countConditions(route.match) }
      for (const host of hosts) {
        const tree = this.#routesOf(host)
        for (const pattern of patterns) tree.add(pattern, entry)
      }
    }
  }

  /** `path` is the path as matched (path.ts), not as sent. */
  find(request: RequestHead, path: string): R | undefined {
    return this.#search(request, path, undefined)
  }

  /**
   * When `find` found nothing: the methods for which it would have, sorted; undefined when there are none.
   * For the `Allow` of a 405.
   */
  allowedMethods(request: RequestHead, path: string): string[] | undefined {
    const methods = new Set<string>()
    this.#search(request, path, methods)
    if (methods.has('GET')) methods.add('HEAD')
    return methods.size === 0 ? undefined : [...methods].toSorted()
  }

  #routesOf(host: string): HostRoutes<R> {
    if (host === '*') return this.#anyHost
    const wild = host.startsWith('*.')
    const key = wild ? host.slice(1) : host
    if (key === '' || key.includes('*')) throw new RangeError(`not a host pattern: ${host}`)
    const map = wild ? this.#wildcards : this.#exact
    let found = map.get(key)
    if (found === undefined) map.set(key, (found = new HostRoutes()))
    return found
  }

  #search(request: RequestHead, path: string, refused: Set<string> | undefined): R | undefined {
    const { host } = request
    const found = this.#exact.get(host)?.search(request, path, refused)
    if (found !== undefined) return found
    if (this.#wildcards.size > 0) {
      for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
        const wild = this.#wildcards.get(host.slice(dot))?.search(request, path, refused)
        if (wild !== undefined) return wild
      }
    }
    return this.#anyHost.search(request, path, refused)
  }
}

interface Entry<R> {
  readonly route: R
  readonly conditions: number
}

const rootPattern: PathPattern = { segments: [], open: true }

function readPattern(text: string): PathPattern {
  const pattern = parsePathPattern(text)
  if (typeof pattern === 'string') throw new RangeError(pattern)
  return pattern
}

/** The routes of one host: literal paths in a map, the rest in a tree of segments. */
class HostRoutes<R extends { readonly match: RouteMatch }> {
  /** A literal path is the most specific there is: asked first. */
  readonly #literal = new Map<string, Entry<R>[]>()
  readonly #root = new Node<R>()

  add(pattern: PathPattern, entry: Entry<R>): void {
    const path = literalPath(pattern)
    if (path !== undefined) {
      const entries = this.#literal.get(path)
      if (entries === undefined) this.#literal.set(path, [entry])
      else insert(entries, entry)
      return
    }
    let node = this.#root
    for (const segment of pattern.segments) {
      if (segment.kind === 'literal') node = node.child(segment.text)
      else node = node.parameter ??= new Node()
    }
    insert(pattern.open ? node.open : node.ending, entry)
  }

  search(request: RequestHead, path: string, refused: Set<string> | undefined): R | undefined {
    const entries = this.#literal.get(path)
    const found = entries === undefined ? undefined : pick(entries, request, refused)
    return found ?? descend(this.#root, request, path, 1, refused)
  }
}

class Node<R> {
  readonly literals = new Map<string, Node<R>>()
  parameter: Node<R> | undefined = undefined
  /** Routes whose path ends here. */
  readonly ending: Entry<R>[] = []
  /** Routes with a star below here. */
  readonly open: Entry<R>[] = []

  child(text: string): Node<R> {
    let node = this.literals.get(text)
    if (node === undefined) this.literals.set(text, (node = new Node()))
    return node
  }
}

/** Literal before parameter before star. `from` is where the next segment begins; past the end when none is left. */
function descend<R extends { readonly match: RouteMatch }>(
  node: Node<R>,
  request: RequestHead,
  path: string,
  from: number,
  refused: Set<string> | undefined,
): R | undefined {
  let found: R | undefined
  if (from > path.length) {
    found = pick(node.ending, request, refused)
  } else if (node.literals.size > 0 || node.parameter !== undefined) {
    const slash = path.indexOf('/', from)
    const end = slash < 0 ? path.length : slash
    const below = node.literals.get(path.slice(from, end))
    if (below !== undefined) found = descend(below, request, path, end + 1, refused)
    if (found === undefined && node.parameter !== undefined && end > from) {
      found = descend(node.parameter, request, path, end + 1, refused)
    }
  }
  return found ?? pick(node.open, request, refused)
}

/** First of `entries` that takes the request. With `refused`, only collects the methods that would have been taken. */
function pick<R extends { readonly match: RouteMatch }>(
  entries: readonly Entry<R>[],
  request: RequestHead,
  refused: Set<string> | undefined,
): R | undefined {
  for (let i = 0; i < entries.length; i++) {
    const { route } = entries[i] as Entry<R>
    if (!conditionsHold(route.match, request)) continue
    if (methodHolds(route.match, request.method)) return route
    if (refused !== undefined) for (const method of route.match.methods) refused.add(method)
  }
  return undefined
}

/** Keeps `entries` in the order in which they are asked: more conditions first, then as written. */
function insert<R>(entries: Entry<R>[], entry: Entry<R>): void {
  const before = entries.findIndex((other) => other.conditions < entry.conditions)
  if (before < 0) entries.push(entry)
  else entries.splice(before, 0, entry)
}

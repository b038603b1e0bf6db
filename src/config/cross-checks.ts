import type { Issue } from '../schema.ts'
import { suggestion } from '../spelling.ts'
import { checkAdmin, checkListeners, checkTls } from './listener-checks.ts'
import { isEveryone, isTable, list, type Path, type Report, table, type Table } from './written.ts'

/**
 * What no option can see on its own: references, doubles and settings that contradict one another.
 * Reads the configuration as written, and steps over what has the wrong shape, which the schema reports: so that all
 * faults, of either kind, are told at once. Pure.
 */
export interface CrossChecks {
  readonly issues: readonly Issue[]
  readonly warnings: readonly Issue[]
}

export function crossCheck(written: unknown): CrossChecks {
  const issues: Issue[] = []
  const warnings: Issue[] = []
  const fault = (path: Path, message: string) => void issues.push({ path, message })
  const warn = (path: Path, message: string) => void warnings.push({ path, message })
  const root = table(written)
  checkRoutes(root, fault, warn)
  checkListeners(root, fault, warn)
  checkTls(root, fault, warn)
  checkUpstreams(root, fault, warn)
  checkAdmin(root, fault)
  for (const [at, block] of list(root.trustedProxies).entries()) {
    if (isEveryone(block)) warn(['trustedProxies', at], 'trusts every client to name its own address')
  }
  return { issues, warnings }
}

function checkRoutes(root: Table, fault: Report, warn: Report): void {
  const upstreams = Object.keys(table(root.upstreams))
  if (root.routes === undefined) {
    if (upstreams.length === 0 && root.upstreams === undefined)
      fault([], 'nothing to serve: there are no upstreams and no routes')
    else if (upstreams.length === 0) fault(['upstreams'], 'expected at least one upstream, or routes')
    else if (upstreams.length > 1)
      fault(['routes'], `required, as there are ${upstreams.length} upstreams to choose from`)
    return
  }
  const routes = list(root.routes)
  if (Array.isArray(root.routes) && routes.length === 0) fault(['routes'], 'expected at least one route')
  const used = new Set<string>()
  const names = new Map<string, number>()
  const matches = new Map<string, number>()
  for (const [at, entry] of routes.entries()) {
    if (!isTable(entry)) continue
    const short = typeof entry.proxy === 'string'
    const target = short ? entry.proxy : table(entry.proxy).upstream
    if (typeof target === 'string') {
      used.add(target)
      if (!upstreams.includes(target)) {
        const hint = suggestion(target, upstreams)
        fault(
          ['routes', at, 'proxy', ...(short ? [] : ['upstream'])],
          `no upstream is called ${JSON.stringify(target)}${hint}`,
        )
      }
    }
    const name = typeof entry.name === 'string' ? entry.name : `route-${at}`
    const namesake = names.get(name)
    if (namesake !== undefined)
      fault(['routes', at, 'name'], `${JSON.stringify(name)} is already the name of routes[${namesake}]`)
    else names.set(name, at)
    const match = matchKey(entry.match)
    const twin = matches.get(match)
    if (twin !== undefined)
      fault(['routes', at, 'match'], `the same as that of routes[${twin}], which is always preferred`)
    else matches.set(match, at)
  }
  for (const name of upstreams) if (!used.has(name)) warn(['upstreams', name], 'no route uses it')
}

/**
 * Equal for matches that mean the same: order, letter case of hosts and field names, and one entry or a list of one
 * do not count.
 */
function matchKey(match: unknown): string {
  const { host, path, method, headers, query } = table(match)
  return JSON.stringify([
    entries(host, true),
    entries(path, false),
    entries(method, false),
    conditions(headers, true),
    conditions(query, false),
  ])
}

function entries(value: unknown, anyCase: boolean): readonly string[] {
  const given = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return given.map((word) => (anyCase ? String(word).toLowerCase() : String(word))).toSorted()
}

function conditions(value: unknown, anyCase: boolean): readonly string[] {
  return Object.entries(table(value))
    .map(([name, wanted]) => JSON.stringify([anyCase ? name.toLowerCase() : name, wanted]))
    .toSorted()
}

function checkUpstreams(root: Table, fault: Report, warn: Report): void {
  for (const [name, entry] of Object.entries(table(root.upstreams))) {
    const endpoints = list(table(entry).endpoints)
    const weights = endpoints.map((endpoint) => table(endpoint).weight)
    if (endpoints.length > 0 && weights.every((weight) => weight === 0 || weight === '0')) {
      fault(['upstreams', name, 'endpoints'], 'expected an endpoint with a weight above 0')
    }
    const urls = endpoints.map((endpoint) => (typeof endpoint === 'string' ? endpoint : table(endpoint).url))
    const secure = urls.some((url) => typeof url === 'string' && /^https:/i.test(url))
    const { tls } = table(entry)
    if (tls !== undefined && endpoints.length > 0 && !secure) {
      warn(['upstreams', name, 'tls'], 'not used: no endpoint is https')
    }
    const { verify } = table(tls)
    if (secure && (verify === false || verify === 'false')) {
      warn(['upstreams', name, 'tls', 'verify'], 'off: anyone on the path can read and change the traffic')
    }
  }
}

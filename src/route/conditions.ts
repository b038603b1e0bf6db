import type { RequestHead } from '../exchange.ts'
import { findField } from '../http/fields.ts'
import type { Condition, RouteMatch } from './options.ts'

/** Header and query conditions of a route; all must hold. Methods are asked apart, for they make the 405. */
export function conditionsHold(match: RouteMatch, request: RequestHead): boolean {
  for (const condition of match.headers) if (!headerHolds(condition, request)) return false
  for (const condition of match.query) if (!queryHolds(condition, request.query)) return false
  return true
}

/** `GET` in the list takes `HEAD` too; an empty list takes all. */
export function methodHolds(match: RouteMatch, method: string): boolean {
  const { methods } = match
  return methods.length === 0 || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))
}

/** How many conditions a route names beyond host and path. */
export function countConditions(match: RouteMatch): number {
  return (match.methods.length > 0 ? 1 : 0) + match.headers.length + match.query.length
}

function headerHolds({ name, value }: Condition, request: RequestHead): boolean {
  const fields = request.headers
  for (let i = findField(fields, name, 0); i >= 0; i = findField(fields, name, i + 2)) {
    if (value === undefined || fields[i + 1] === value) return true
  }
  return false
}

/** Walks the query once; decodes only where an escape is in the way. */
function queryHolds({ name, value }: Condition, query: string): boolean {
  for (let from = 0; from < query.length;) {
    const ampersand = query.indexOf('&', from)
    const end = ampersand < 0 ? query.length : ampersand
    const equals = query.indexOf('=', from)
    const nameEnd = equals < 0 || equals > end ? end : equals
    if (decodedEquals(query, from, nameEnd, name)) {
      if (value === undefined || decodedEquals(query, Math.min(nameEnd + 1, end), end, value)) return true
    }
    from = end + 1
  }
  return false
}

function decodedEquals(query: string, from: number, to: number, wanted: string): boolean {
  const raw = query.slice(from, to)
  return raw === wanted || (/[%+]/.test(raw) && decodeQuery(raw) === wanted)
}

/** Form decoding; text with bad escapes is compared as it came. */
function decodeQuery(raw: string): string {
  const spaced = raw.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}

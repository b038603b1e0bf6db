import type { Exchange } from '../exchange.ts'
import { getField } from '../http/fields.ts'
import type { Outcome } from '../listener/service.ts'
import { redactQuery, redactReferer } from './redact.ts'

/**
 * One exchange as one line. Text from clients can neither end a line nor leave its field: JSON strings are written by
 * JSON.stringify, combined fields escaped as nginx does (`\xXX`). Authorization, Cookie and Set-Cookie never appear;
 * see redact.ts for what leaves queries and referers. Long values are cut, so that a line has a bound (12 KiB or so,
 * 48 KiB when every character needs escaping).
 */
export type LineFormat = (exchange: Exchange, outcome: Outcome, endedMs: number, durationMs: number) => string

const maxTarget = 4096
const maxField = 1024

/** JSON, fields in a fixed order; what does not apply is left out. `endedMs` is wall time. */
export function jsonLine(): LineFormat {
  const isoTime = isoClock()
  const quotedHost = lastQuoted(maxField)
  const quotedAgent = lastQuoted(maxField)
  const quotedRoute = lastQuoted(maxField)
  const quotedUpstream = lastQuoted(maxField)
  const quotedEndpoint = lastQuoted(maxField)
  return (exchange, outcome, endedMs, durationMs) => {
    const { request, connection, slots } = exchange
    let line = `{"time":"${isoTime(endedMs)}","id":"${exchange.id}","client":"${exchange.clientAddress}","method":${quote(request.method, maxField)},"scheme":"${request.scheme}","host":${quotedHost(request.authority)},"path":${quote(request.path, maxTarget)}`
    if (request.query !== '') line += `,"query":${quote(redactQuery(request.query), maxTarget)}`
    line += `,"protocol":"HTTP/${request.httpVersion}","status":${outcome.status},"bytes":${outcome.bodyBytes},"duration_ms":${milliseconds(durationMs)},"outcome":"${outcome.complete ? 'complete' : 'cut'}"`
    const route = routeName(exchange)
    if (route !== undefined) line += `,"route":${quotedRoute(route)}`
    if (exchange.forward !== undefined) {
      line += `,"upstream":${quotedUpstream(exchange.forward.upstream)}`
      const { upstream } = slots
      if (upstream !== undefined) {
        line += `,"endpoint":${quotedEndpoint(upstream.endpoint)},"reused":${upstream.reused}`
        if (upstream.retried) line += ',"retried":true'
      }
    }
    const { error } = exchange
    if (error !== undefined) {
      line += `,"error":"${error.code}","error_detail":${quote(error.message, maxField)}`
    } else if (slots.refused !== undefined) {
      line += `,"refused":"${slots.refused}"`
    }
    if (connection.tls !== undefined) line += `,"tls":"${connection.tls.version}"`
    const agent = getField(request.headers, 'user-agent')
    if (agent !== undefined) line += `,"user_agent":${quotedAgent(agent)}`
    const referer = getField(request.headers, 'referer')
    if (referer !== undefined) line += `,"referer":${quote(redactReferer(referer), maxField)}`
    return `${line}}\n`
  }
}

/** Combined log format of Apache and nginx; times in UTC. No fields beyond it. */
export function combinedLine(): LineFormat {
  const commonTime = commonClock()
  return (exchange, outcome, endedMs) => {
    const { request } = exchange
    const target = request.query === '' ? request.path : `${request.path}?${redactQuery(request.query)}`
    const agent = getField(request.headers, 'user-agent')
    const referer = getField(request.headers, 'referer')
    return `${exchange.clientAddress === '' ? '-' : exchange.clientAddress} - - [${commonTime(endedMs)}] "${escape(request.method, maxField)} ${escape(target, maxTarget)} HTTP/${request.httpVersion}" ${outcome.status} ${outcome.bodyBytes} "${referer === undefined ? '-' : escape(redactReferer(referer), maxField)}" "${agent === undefined ? '-' : escape(agent, maxField)}"\n`
  }
}

function routeName(exchange: Exchange): string | undefined {
  return (exchange.slots.route as { readonly name: string } | undefined)?.name
}

function quote(text: string, most: number): string {
  return JSON.stringify(text.length > most ? `${text.slice(0, most)}…` : text)
}

/** Quotes values that tend to repeat from line to line: comparing with the last one costs a fraction. Holds that one. */
function lastQuoted(most: number): (text: string) => string {
  let last = ''
  let quoted = '""'
  return (text) => {
    if (text !== last) {
      last = text
      quoted = quote(text, most)
    }
    return quoted
  }
}

const combinedUnsafe = /[^\u0020\u0021\u0023-\u005b\u005d-\u007e]/g

function escape(text: string, most: number): string {
  const cut = text.length > most ? `${text.slice(0, most)}...` : text
  return cut.replace(combinedUnsafe, (c) => {
    const bytes = Buffer.from(c, c > '\u00ff' ? 'utf8' : 'latin1')
    return bytes
      .toString('hex')
      .toUpperCase()
      .replace(/../g, String.raw`\x$&`)
  })
}

const threeDigits = Array.from({ length: 1000 }, (_none, n) => String(n).padStart(3, '0'))

/** `12.345`. From integers: printing a double costs three times as much. */
function milliseconds(ms: number): string {
  const micros = Math.round(ms * 1000)
  const whole = Math.floor(micros / 1000)
  return `${whole}.${threeDigits[micros - whole * 1000]}`
}

/** `2026-01-02T03:04:05.678Z`; all but the milliseconds is kept for a second. */
function isoClock(): (wallMs: number) => string {
  let second = Number.NaN
  let prefix = ''
  return (wallMs) => {
    const now = Math.floor(wallMs / 1000)
    if (now !== second) {
      second = now
      prefix = new Date(now * 1000).toISOString().slice(0, 20)
    }
    return `${prefix}${threeDigits[Math.floor(wallMs) - now * 1000]}Z`
  }
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `02/Jan/2026:03:04:05 +0000`, kept for a second. */
function commonClock(): (wallMs: number) => string {
  let second = Number.NaN
  let text = ''
  return (wallMs) => {
    const now = Math.floor(wallMs / 1000)
    if (now !== second) {
      second = now
      const iso = new Date(now * 1000).toISOString()
      text = `${iso.slice(8, 10)}/${months[Number(iso.slice(5, 7)) - 1] ?? ''}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`
    }
    return text
  }
}

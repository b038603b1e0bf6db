import { BadRequestError, type GatewayError } from '../../errors.ts'
import type { RequestHead } from '../../exchange.ts'
import { parseAuthority } from '../../http/authority.ts'
import { checkTarget } from '../../http/target.ts'
import type { RequestLimits } from '../service.ts'
import type { Field } from './header-rules.ts'

export interface HeadVerdict {
  readonly head: RequestHead
  /** Set when the request is answered with an error instead of being served. `head` then serves the log only. */
  readonly fault: GatewayError | undefined
  readonly expectsContinue: boolean
}

/** 1 for the characters of a token. @see RFC 9110 §5.6.2 */
const tokenCodes = new Uint8Array(256)
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  tokenCodes[char.charCodeAt(0)] = 1
}

/**
 * Turns a well-formed field section into the head of an exchange, and decides whether that may enter the gateway: one
 * authority, the same in `:authority` and Host; a target in origin form; sizes; no CONNECT. Cookie crumbs become one field
 * (RFC 9113 §8.2.3), and a Host is put in front when the client sent none. The scheme is that of the connection, whatever
 * `:scheme` claims. Pure: no I/O, keeps nothing.
 * @see RFC 9113 §8.3.1
 */
export function judgeHead(fields: readonly Field[], encrypted: boolean, limits: RequestLimits): HeadVerdict {
  let method = ''
  let target = ''
  let named: string | undefined
  let hostField: string | undefined
  let cookieAt = -1
  let expectsContinue = false
  let fault: GatewayError | undefined
  let bytes = 0
  // Its Host comes first, as RFC 9110 §7.2 asks of those who make one.
  const headers: string[] = ['host', '']
  for (const field of fields) {
    bytes += field.size
    switch (field.kind) {
      case ':method':
        method = field.value
        continue
      case ':authority':
        named = field.value
        continue
      case ':path':
        target = field.value
        continue
      case ':scheme':
      case ':protocol':
        continue
      case 'host':
        if (hostField !== undefined) fault ??= refuse('more than one Host')
        hostField = field.value
        continue
      case 'cookie':
        if (cookieAt >= 0) {
          headers[cookieAt] = `${headers[cookieAt]}; ${field.value}`
          continue
        }
        cookieAt = headers.length + 1
        break
      case 'expect':
        if (field.value.toLowerCase() === '100-continue') expectsContinue = true
        else fault ??= refuse('unknown expectation', 'expectation_failed', 417)
        break
      case 'content-length':
      case 'regular':
        break
      default:
        field.kind satisfies never
    }
    headers.push(field.name, field.value)
  }
  if (target.length > limits.maxUriBytes) fault ??= refuse('request target too long', 'uri_too_long', 414)
  if (fields.length > limits.maxHeaderCount + pseudoFields) {
    fault ??= refuse('too many header fields', 'header_too_large', 431)
  }
  if (bytes > limits.maxHeaderBytes) fault ??= refuse('header section too large', 'header_too_large', 431)
  if (!isToken(method)) fault ??= refuse('malformed method')
  if (method === 'CONNECT') fault ??= refuse('CONNECT', 'method_not_allowed', 405)

  const sent = named === undefined ? hostField : named
  const authority = sent === undefined ? undefined : parseAuthority(sent)
  if (sent === undefined) fault ??= refuse('no authority')
  else if (authority === undefined) fault ??= refuse('malformed authority')
  // Two names in one request are how caches and routers get poisoned.
  else if (
    named !== undefined &&
    hostField !== undefined &&
    parseAuthority(hostField)?.authority !== authority.authority
  ) {
    fault ??= refuse('Host differs from :authority')
  }
  if (target === '*' ? method !== 'OPTIONS' : checkTarget(target) === undefined) {
    fault ??= refuse('malformed request target')
    target = '-'
  }
  headers[1] = authority?.authority ?? ''
  const mark = target.indexOf('?')
  return {
    head: {
      method,
      target,
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? '' : target.slice(mark + 1),
      scheme: encrypted ? 'https' : 'http',
      authority: authority?.authority ?? '',
      host: authority?.host ?? '',
      httpVersion: '2.0',
      headers,
    },
    fault,
    expectsContinue,
  }
}

/** `:method`, `:scheme`, `:authority`, `:path`: not counted as header fields. */
const pseudoFields = 4

function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (tokenCodes[text.charCodeAt(i)] !== 1) return false
  }
  return text.length > 0
}

function refuse(message: string, code = 'bad_request', status = 400): GatewayError {
  return new BadRequestError(message, { code, status })
}

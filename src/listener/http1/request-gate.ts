import { BadRequestError, type GatewayError } from '../../errors.ts'
import type { HttpVersion, RequestHead } from '../../exchange.ts'
import { getField, type RawFields } from '../../http/fields.ts'
import { parseAuthority } from '../../http/authority.ts'
import { checkTarget, parseAbsoluteTarget } from '../../http/target.ts'
import type { RequestLimits } from '../service.ts'

/**
 * Our own gate behind llhttp. It decides whether a parsed request head may enter the gateway. llhttp is strict on characters
 * and chunks; what it lets through and we refuse: versions other than 1.0 and 1.1, no Host or several or malformed ones, a
 * target that names another authority than Host, every Transfer-Encoding but a single `chunked`, Transfer-Encoding in
 * HTTP/1.0 or beside Content-Length, repeated Content-Length, unknown expectations, obsolete line folding.
 * Pure: no I/O, keeps nothing.
 */
export interface GateVerdict {
  readonly head: RequestHead
  /** Set when the request must be refused; the connection is closed after the answer. `head` then serves the log only. */
  readonly fault: GatewayError | undefined
  readonly hasBody: boolean
  /** Declared body length; undefined for chunked. 0 when there is none. */
  readonly contentLength: number | undefined
  readonly expectsContinue: boolean
}

export interface ParsedHead {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  readonly rawHeaders: RawFields
}

/** Decides on one request head. `encrypted` gives the scheme. */
export function judgeHead(parsed: ParsedHead, encrypted: boolean, limits: RequestLimits): GateVerdict {
  const raw = parsed.rawHeaders
  let fault: GatewayError | undefined
  let host: string | undefined
  let contentLength: number | undefined
  let chunked = false
  let expectsContinue = false
  let bytes = 0

  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    bytes += name.length + value.length + 4
    // Length first: most fields are none of these four.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() !== 'host') break
        if (host !== undefined) fault ??= refuse('more than one Host')
        host = value
        break
      case 6:
        if (name.toLowerCase() !== 'expect') break
        if (value.toLowerCase() !== '100-continue') fault ??= unknownExpectation()
        expectsContinue = true
        break
      case 14:
        if (name.toLowerCase() !== 'content-length') break
        if (contentLength !== undefined) fault ??= refuse('more than one Content-Length')
        contentLength = parseLength(value)
        if (contentLength === undefined) fault ??= refuse('malformed Content-Length')
        break
      case 17:
        if (name.toLowerCase() !== 'transfer-encoding') break
        if (chunked) fault ??= refuse('more than one Transfer-Encoding')
        // A coding that we do not know might end the body elsewhere than we think (RFC 9112 §6.1).
        if (value.toLowerCase() !== 'chunked') fault ??= refuse('Transfer-Encoding other than chunked')
        chunked = true
        break
      default:
    }
    if (value.includes('\r') || value.includes('\n')) fault ??= refuse('line folding in a field')
  }

  const version = parsed.httpVersion
  if (version !== '1.1' && version !== '1.0') fault ??= refuse(`HTTP version ${version}`, 'http_version', 505)
  if (chunked && contentLength !== undefined) fault ??= refuse('Transfer-Encoding beside Content-Length')
  if (chunked && version === '1.0') fault ??= refuse('Transfer-Encoding in HTTP/1.0')
  if (host === undefined && version === '1.1') fault ??= refuse('no Host')
  if (parsed.url.length > limits.maxUriBytes) fault ??= refuse('request target too long', 'uri_too_long', 414)
  if (raw.length > limits.maxHeaderCount * 2)
    fault ??= refuse('too many header fields', 'header_too_large', 431)
  if (bytes > limits.maxHeaderBytes) fault ??= refuse('header section too large', 'header_too_large', 431)

  const target = judgeTarget(parsed, host, encrypted)
  if (typeof target === 'string') fault ??= refuse(target)

  return {
    head: typeof target === 'string' || fault !== undefined ? headForLog(parsed, encrypted) : target,
    fault,
    hasBody: chunked || (contentLength ?? 0) > 0,
    contentLength: chunked ? undefined : (contentLength ?? 0),
    // HTTP/1.0 clients do not know interim answers (RFC 9110 §10.1.1).
    expectsContinue: expectsContinue && version === '1.1',
  }
}

/** The head of a request that is refused: enough for the log line, cleaned of what broke the rules. */
export function headForLog(parsed: ParsedHead, encrypted: boolean): RequestHead {
  const url = checkTarget(parsed.url.slice(0, 2048)) ?? '-'
  const mark = url.indexOf('?')
  const host = parseAuthority(getField(parsed.rawHeaders, 'host') ?? '')
  return {
    method: parsed.method,
    target: url,
    path: mark < 0 ? url : url.slice(0, mark),
    query: mark < 0 ? '' : url.slice(mark + 1),
    scheme: encrypted ? 'https' : 'http',
    authority: host?.authority ?? '',
    host: host?.host ?? '',
    httpVersion: parsed.httpVersion === '1.0' ? '1.0' : '1.1',
    headers: parsed.rawHeaders,
  }
}

/** The checked head, or what is wrong with target or Host. */
function judgeTarget(
  parsed: ParsedHead,
  hostField: string | undefined,
  encrypted: boolean,
): RequestHead | string {
  const { method, url } = parsed
  const host = hostField === undefined ? undefined : parseAuthority(hostField)
  if (hostField !== undefined && host === undefined) return 'malformed Host'
  let target: string | undefined
  if (url.charCodeAt(0) === 0x2f) {
    target = checkTarget(url)
    if (target === undefined) return 'malformed request target'
  } else if (url === '*') {
    if (method !== 'OPTIONS') return '`*` is for OPTIONS only'
    target = url
  } else {
    const absolute = parseAbsoluteTarget(url)
    if (absolute === undefined) return 'malformed request target'
    const named = parseAuthority(absolute.authority)
    if (named === undefined) return 'malformed authority in the request target'
    // RFC 9112 §3.2.2 lets the target win. Two names in one request are how caches and routers get poisoned: refuse.
    if (host !== undefined && named.authority !== host.authority)
      return 'Host differs from the request target'
    target = absolute.target
  }
  const mark = target.indexOf('?')
  return {
    method,
    target,
    path: mark < 0 ? target : target.slice(0, mark),
    query: mark < 0 ? '' : target.slice(mark + 1),
    scheme: encrypted ? 'https' : 'http',
    authority: host === undefined ? '' : host.authority,
    host: host === undefined ? '' : host.host,
    httpVersion: parsed.httpVersion as HttpVersion,
    headers: parsed.rawHeaders,
  }
}

/** Digits only, at most 15 of them, so that the number is exact. */
function parseLength(value: string): number | undefined {
  if (value.length === 0 || value.length > 15) return undefined
  let length = 0
  for (let i = 0; i < value.length; i += 1) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  return length
}

function refuse(message: string, code = 'bad_request', status = 400): GatewayError {
  return new BadRequestError(message, { code, status })
}

function unknownExpectation(): GatewayError {
  return new BadRequestError('unknown expectation', { code: 'expectation_failed', status: 417 })
}

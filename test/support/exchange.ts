import type { RequestBody } from '../../src/body.ts'
import type { Clock } from '../../src/clock.ts'
import { Exchange, noTrace } from '../../src/exchange.ts'
import type {
  Connection,
  GatewayResponse,
  HttpVersion,
  TraceRecorder,
  UpgradeHandle,
} from '../../src/exchange.ts'
import { ManualClock } from './manual-clock.ts'

export interface ExchangeInit {
  id?: string
  method?: string
  /** `/path?query` or `*`. */
  target?: string
  host?: string
  scheme?: 'http' | 'https'
  httpVersion?: HttpVersion
  /** Without Host, which is put in front. */
  headers?: string[]
  client?: string
  peerTrusted?: boolean
  connection?: Partial<Connection>
  body?: RequestBody
  upgrade?: UpgradeHandle
  clock?: Clock
  trace?: TraceRecorder
}

/** An exchange as an engine would make it: `GET https://example.com/` unless told otherwise. */
export function makeExchange(init: ExchangeInit = {}): Exchange {
  const target = init.target ?? '/'
  const mark = target.indexOf('?')
  const authority = init.host ?? 'example.com'
  const scheme = init.scheme ?? 'https'
  const client = init.client ?? '192.0.2.1'
  return new Exchange({
    id: init.id ?? 'test-id-1',
    request: {
      method: init.method ?? 'GET',
      target,
      path: mark < 0 ? target : target.slice(0, mark),
      query: mark < 0 ? '' : target.slice(mark + 1),
      scheme,
      authority,
      host: authority.replace(/:\d+$/, ''),
      httpVersion: init.httpVersion ?? '1.1',
      headers: ['Host', authority, ...(init.headers ?? [])],
    },
    connection: {
      id: 1,
      listener: ':8443',
      encrypted: scheme === 'https',
      remoteAddress: client,
      remotePort: 40_000,
      localPort: 8443,
      tls: undefined,
      ...init.connection,
    },
    clientAddress: client,
    peerTrusted: init.peerTrusted ?? false,
    body: init.body,
    upgrade: init.upgrade,
    clock: init.clock ?? new ManualClock(),
    trace: init.trace ?? noTrace,
  })
}

/** A request body that records its limit and delivers `bytes` when started. */
export function makeBody(bytes: Uint8Array, declared: number | undefined = bytes.byteLength) {
  const state = { limit: Number.POSITIVE_INFINITY, started: false, cancelled: false }
  const body: RequestBody = {
    length: declared,
    get received() {
      return state.started ? bytes.byteLength : 0
    },
    get started() {
      return state.started
    },
    setLimit(maxBytes) {
      state.limit = maxBytes
    },
    start(sink) {
      state.started = true
      sink.data(bytes)
      if (!state.cancelled) sink.end()
    },
    resume() {},
    cancel() {
      state.cancelled = true
    },
  }
  return { body, state }
}

/** The text of an answer whose body is in memory; '' when it has none. */
export function bodyText(response: GatewayResponse): string {
  if (response.body === undefined) return ''
  if (response.body instanceof Uint8Array) return Buffer.from(response.body).toString('utf8')
  throw new Error('the body is a stream')
}

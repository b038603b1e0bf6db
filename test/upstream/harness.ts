import type { BodySink, BodySource, RequestBody } from '../../src/body.ts'
import { type GatewayError, toGatewayError } from '../../src/errors.ts'
import { compose, type Exchange, type ForwardPlan, type GatewayResponse } from '../../src/exchange.ts'
import type { RawFields } from '../../src/http/fields.ts'
import { silentLogger } from '../../src/log.ts'
import { parseEndpoint } from '../../src/origin-address.ts'
import { type UpstreamOptions, resolveUpstream, upstreamSchema } from '../../src/upstream/options.ts'
import { createUpstreams, type Upstreams } from '../../src/upstream/stage.ts'
import { check } from '../../src/schema.ts'
import { makeExchange, type ExchangeInit } from '../support/exchange.ts'
import { ManualClock } from '../support/manual-clock.ts'

export const plan: ForwardPlan = {
  upstream: 'app',
  host: 'client',
  headerEdits: undefined,
  responseHeadTimeoutMs: undefined,
  bodyIdleTimeoutMs: undefined,
}

export function upstreamOptions(
  urls: readonly string[],
  over: Partial<UpstreamOptions> = {},
): UpstreamOptions {
  const checked = check(upstreamSchema, { endpoints: [...urls] }, '/')
  if (!checked.ok) throw new Error(checked.issues.map(({ message }) => message).join('; '))
  for (const url of urls) if (parseEndpoint(url) === undefined) throw new Error(url)
  return { ...resolveUpstream(checked.value), ...over }
}

export interface Room {
  readonly upstreams: Upstreams
  readonly clock: ManualClock
  send(init?: ExchangeInit, over?: Partial<ForwardPlan>): Sent
}

export interface Sent {
  readonly exchange: Exchange
  readonly response: Promise<GatewayResponse>
  readonly informed: { status: number; headers: RawFields }[]
  continues: number
}

/** The upstream stage alone, with a clock that stands still. */
export function openRoom(urls: readonly string[], over: Partial<UpstreamOptions> = {}): Room {
  const clock = new ManualClock()
  const options = new Map([['app', upstreamOptions(urls, over)]])
  const upstreams = createUpstreams(options, { clock, logger: silentLogger })
  return { upstreams, clock, send: sender(upstreams, clock) }
}

export function sender(upstreams: Upstreams, clock: ManualClock): Room['send'] {
  const handle = compose([upstreams.stage()])
  return (init = {}, planOver = {}) => {
    const exchange = makeExchange({ clock, ...init })
    exchange.forward = { ...plan, ...planOver }
    const sent = {
      exchange,
      informed: [] as Sent['informed'],
      continues: 0,
      response: undefined as unknown as Promise<GatewayResponse>,
    }
    exchange.inform = (status, headers) => {
      sent.informed.push({ status, headers: [...headers] })
      return true
    }
    exchange.sendContinue = () => void sent.continues++
    sent.response = Promise.resolve(handle(exchange))
    sent.response.catch(() => {})
    return sent
  }
}

export interface Read {
  text: string
  trailers: RawFields | undefined
  error: GatewayError | undefined
}

/** Reads a response body to its end, whichever way it comes. */
export function readBody(response: GatewayResponse): Promise<Read> {
  const body = response.body
  if (body === undefined) return Promise.resolve({ text: '', trailers: undefined, error: undefined })
  if (body instanceof Uint8Array) {
    return Promise.resolve({
      text: Buffer.from(body).toString('latin1'),
      trailers: undefined,
      error: undefined,
    })
  }
  return new Promise((resolve) => {
    let text = ''
    body.start({
      data: (chunk) => {
        text += Buffer.from(chunk).toString('latin1')
        return true
      },
      end: (trailers) => resolve({ text, trailers, error: undefined }),
      fail: (error) => resolve({ text, trailers: undefined, error }),
    })
  })
}

export async function failure(response: Promise<GatewayResponse>): Promise<GatewayError> {
  try {
    const answered = await response
    throw new Error(`answered ${answered.status}`)
  } catch (error) {
    return toGatewayError(error)
  }
}

/** A reader that takes pieces by hand. */
export class SlowReader implements BodySink {
  bytes = 0
  pieces: string[] = []
  outcome: 'open' | 'ended' | 'failed' = 'open'
  error: GatewayError | undefined
  flowing: boolean
  readonly source: BodySource

  constructor(source: BodySource, flowing: boolean) {
    this.source = source
    this.flowing = flowing
    source.start(this)
  }

  data(chunk: Uint8Array): boolean {
    this.bytes += chunk.byteLength
    this.pieces.push(Buffer.from(chunk).toString('latin1'))
    return this.flowing
  }

  end(): void {
    this.outcome = 'ended'
  }

  fail(error: GatewayError): void {
    this.outcome = 'failed'
    this.error = error
  }
}

/** A request body fed by hand. */
export class HandBody implements RequestBody {
  readonly length: number | undefined
  received = 0
  started = false
  cancelled = false
  resumed = 0
  sink: BodySink | undefined

  constructor(length?: number) {
    this.length = length
  }

  start(sink: BodySink): void {
    this.sink = sink
  }

  feed(text: string): boolean {
    if (this.cancelled) return false
    const chunk = Buffer.from(text, 'latin1')
    this.received += chunk.length
    this.started = true
    return this.sink?.data(chunk) ?? false
  }

  finish(trailers?: RawFields): void {
    if (!this.cancelled) this.sink?.end(trailers)
  }

  setLimit(): void {}

  resume(): void {
    this.resumed++
  }

  cancel(): void {
    this.cancelled = true
  }
}

/** Lets sockets do their work until `done`; fails after five seconds. */
export async function until(done: () => boolean, what = 'condition'): Promise<void> {
  const end = performance.now() + 5_000
  while (!done()) {
    if (performance.now() > end) throw new Error(`never came: ${what}`)
    await new Promise((resolve) => void setTimeout(resolve, 2))
  }
}

import type { ResolvedGateway } from '../config/gateway-options.ts'
import type { LogLevel } from '../log.ts'
import type { ListenAddress } from '../net-address.ts'
import type { LogBatch } from '../observe/relay-sink.ts'
import type { TlsMaterial } from '../listener/certificates.ts'

/**
 * Everything that main thread and workers say to one another. All of it is plain data: it crosses threads by structured
 * clone. Nothing here is sent per request.
 */

/** How a worker comes by its configuration. */
export type PlanSource =
  /** The resolved configuration itself; the rule, since it still holds when the file has been edited meanwhile. */
  | { readonly kind: 'resolved'; readonly config: ResolvedGateway }
  /** Configurations that hold functions cannot be posted: the worker loads the file and compares the fingerprint. */
  | { readonly kind: 'file'; readonly path: string; readonly fingerprint: string }

/** What a worker needs to serve one configuration. */
export interface WorkerPlan {
  /** Counts up with each reload. */
  readonly generation: number
  readonly source: PlanSource
  /** One for each of the configuration's listeners, in its order. */
  readonly listeners: readonly WorkerListener[]
}

export interface WorkerListener {
  /** The same in two plans when the address is the same; the listener is kept then. */
  readonly key: string
  /** The address with the port that was found for 0. */
  readonly address: ListenAddress
  /** Where `redirectToHttps` sends to, with the port that was found for 0. */
  readonly redirectPort: number | undefined
  readonly material: TlsMaterial | undefined
}

/** `workerData` of a worker thread. */
export interface WorkerStart {
  /** 0-based. */
  readonly index: number
  readonly plan: WorkerPlan
  /** src/shared/connection-table.ts. */
  readonly connectionTable: SharedArrayBuffer
  readonly ticketKey: Uint8Array
  readonly logLevel: LogLevel
}

/** Questions to a worker, and their answers. An empty list of faults means that it worked. */
export interface WorkerCalls {
  /** Builds a plan beside the one in use. */
  prepare: { ask: { readonly plan: WorkerPlan }; answer: { readonly faults: readonly string[] } }
  /** Puts the prepared plan to use. */
  commit: { ask: { readonly generation: number }; answer: { readonly faults: readonly string[] } }
  /** Drops the prepared plan. */
  abandon: { ask: object; answer: object }
  /** New certificates for the listeners of the plan in use, in its order. */
  certificates: {
    ask: { readonly materials: readonly (TlsMaterial | undefined)[] }
    answer: { readonly faults: readonly string[] }
  }
  /** Takes no more connections, finishes what runs, cuts the rest after `deadlineMs`. Answers when all is over. */
  drain: {
    ask: { readonly deadlineMs: number }
    answer: {
      /** Connections with a request that were cut; upgraded ones do not count, as they never end by themselves. */
      readonly cut: number
    }
  }
  trace: { ask: { readonly requestId: string }; answer: { readonly found: object | undefined } }
  stats: { ask: object; answer: object }
}

export type CallName = keyof WorkerCalls

export type ToWorker =
  | {
      readonly [Name in CallName]: {
        readonly kind: 'call'
        readonly call: number
        readonly name: Name
        readonly ask: WorkerCalls[Name]['ask']
      }
    }[CallName]
  | { readonly kind: 'log-level'; readonly level: LogLevel }
  | { readonly kind: 'ticket-key'; readonly key: Uint8Array }
  /** The main thread has written, or dropped, a batch of that size. */
  | { readonly kind: 'access-log-taken'; readonly size: number }

export type FromWorker =
  | { readonly kind: 'started' }
  | { readonly kind: 'start-failed'; readonly faults: readonly string[] }
  | { readonly kind: 'reply'; readonly call: number; readonly answer: object }
  | { readonly kind: 'call-failed'; readonly call: number; readonly reason: string }
  | { readonly kind: 'access-log'; readonly batch: LogBatch }
  /** One line of the runtime log. */
  | { readonly kind: 'log'; readonly line: string }

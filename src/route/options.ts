import type { HeaderEdits } from '../exchange.ts'
import type { RawFields } from '../http/fields.ts'
import type { Cidr } from '../net-address.ts'

/** One route, complete. Order in the list is the order of writing, the last tie-breaker. */
export interface RouteOptions {
  /** Unique; for logs, traces and metrics. */
  readonly name: string
  readonly match: RouteMatch
  /** What the route does; undefined only beside `maintenance`. */
  readonly action: RouteAction | undefined
  /** A switch in front of `action`: everybody but the clients in `allow` gets the maintenance page. */
  readonly maintenance: MaintenanceOptions | undefined
  readonly rewrite: RewriteOptions
  /** On the way to the upstream. */
  readonly requestHeaders: HeaderEdits | undefined
  /** On the way to the client, on every answer of the route, error pages included. */
  readonly responseHeaders: HeaderEdits | undefined
  /** Request body, bytes; undefined keeps the gateway's `limits.body`. */
  readonly maxBodyBytes: number | undefined
  /** From the request head to the last byte of the answer, milliseconds; undefined keeps `timeouts.exchange`. */
  readonly timeoutMs: number | undefined
}

/** All that is named must hold; within one list any entry will do. Empty lists match everything. */
export interface RouteMatch {
  /** Lower case: `api.example.com`, `*.example.com` (one label or more in front), `[::1]`. */
  readonly hosts: readonly string[]
  /** `/exact`, `/prefix/*`, `/users/:id/posts`. */
  readonly paths: readonly string[]
  /** Upper case. `GET` takes `HEAD` too. */
  readonly methods: readonly string[]
  /** Names in lower case. A value must equal one line of the field. */
  readonly headers: readonly Condition[]
  /** Names and values are compared after percent-decoding, `+` as a space. */
  readonly query: readonly Condition[]
}

export interface Condition {
  readonly name: string
  /** Undefined: being there is enough. */
  readonly value: string | undefined
}

export type RouteAction = ProxyAction | RedirectAction | RespondAction

export interface ProxyAction {
  readonly kind: 'proxy'
  readonly upstream: string
  readonly host: 'client' | 'endpoint' | { readonly literal: string }
  /** Milliseconds; undefined keeps the upstream's own. */
  readonly responseTimeoutMs: number | undefined
  readonly bodyIdleTimeoutMs: number | undefined
}

export interface RedirectAction {
  readonly kind: 'redirect'
  /** Template: see redirect.ts for its placeholders. */
  readonly to: string
  readonly status: 301 | 302 | 303 | 307 | 308
}

export interface RespondAction {
  readonly kind: 'respond'
  /** 200 to 599. */
  readonly status: number
  readonly headers: RawFields
  readonly body: Uint8Array
}

export interface MaintenanceOptions {
  /** Retry-After, whole seconds; undefined leaves it out. */
  readonly retryAfterSeconds: number | undefined
  /** A sentence for the page; undefined takes the built-in one. */
  readonly detail: string | undefined
  /** Clients for whom the route's action runs as usual; only beside an action. */
  readonly allow: readonly Cidr[]
}

export interface RewriteOptions {
  /** `/api`: whole segments, no slash at the end. */
  readonly stripPrefix: string | undefined
  /** `/v2`: put in front after stripping. */
  readonly addPrefix: string | undefined
}

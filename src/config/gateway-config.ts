// Made by `npm run docs` from the schema (gateway-options.ts). Do not edit: change the descriptions there.

/** A time: "500ms", "10s", "5m", "1h30m", "365d", or a number of milliseconds. */
export type Duration = string | number

/** A number of bytes: "64KiB", "10MiB", "1MB", or a plain number. */
export type Size = string | number

/** The whole configuration. At least one upstream or one route is needed. */
export interface GatewayConfig {
  /** Where editors find the JSON Schema of this file. */
  $schema?: string | undefined
  /**
   * Threads that carry traffic; `auto` is one a core. The environment variable SLUICE_WORKERS goes before.
   * @default "auto"
   */
  workers?: 'auto' | number | undefined
  /** Where to listen. Default: HTTPS on 8443, and 8080 that redirects to it. */
  listeners?: readonly ListenerConfig[] | undefined
  /** Settings of every TLS listener. */
  tls?: TlsConfig | undefined
  /** Proxies in front of the gateway. Only their X-Forwarded-For, Forwarded and X-Request-Id count. */
  trustedProxies?: readonly string[] | undefined
  /** Bounds of what clients may send and hold open. */
  limits?: LimitsConfig | undefined
  /** How long clients may take. */
  timeouts?: TimeoutsConfig | undefined
  /** Who may come in. */
  guard?: GuardConfig | undefined
  /** The applications behind the gateway, by name. */
  upstreams?: Readonly<Record<string, UpstreamConfig>> | undefined
  /** What to do with which request; the most specific route wins. None: everything goes to the only upstream. */
  routes?: readonly RouteConfig[] | undefined
  /** Own pages by status (`404`) or class (`5xx`): files in .html, .json or .txt. */
  errorPages?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** One line for each request. */
  accessLog?: AccessLogConfig | undefined
  /** What happens to the gateway itself, as JSON lines on standard error. */
  log?: LogConfig | undefined
  /** Decision traces that can be read back by request id. `false`: none. */
  trace?: TraceConfig | false | undefined
  /** Health, traces and reload. `false`: no admin endpoint. */
  admin?: AdminConfig | false | undefined
}

export interface TraceConfig {
  /**
   * Exchanges kept by each worker.
   * @default 1000
   */
  keep?: number | undefined
}

export interface ListenerConfig {
  /** Where to listen: `:8443`, `127.0.0.1:8080`, `[::1]:443`, `unix:/run/sluice.sock`. */
  address: string
  /**
   * `true` uses the settings of `tls`; an object changes some of them for this listener.
   * @default false
   */
  tls?: boolean | ListenerTlsConfig | undefined
  /** Offer HTTP/2 by ALPN. Default: on with TLS, never without. */
  http2?: boolean | undefined
  /** Take the client address from a load balancer in front. Off unless peers are listed. */
  proxyProtocol?: ListenerProxyProtocolConfig | undefined
  /**
   * Answer every request with a redirect to HTTPS. Only without TLS.
   * @default false
   */
  redirectToHttps?: boolean | RedirectToHttpsConfig | undefined
}

export interface ListenerProxyProtocolConfig {
  /** Peers that must begin with a PROXY header (v1 or v2). Others are served without. */
  from: readonly string[]
}

export interface ListenerTlsConfig {
  /** As `tls.preset`, for this listener. */
  preset?: 'intermediate' | 'modern' | undefined
  /** As `tls.certificates`, for this listener. */
  certificates?: readonly ListenerTlsCertificateConfig[] | undefined
  /** As `tls.clientAuth`, for this listener. */
  clientAuth?: 'none' | 'request' | 'require' | undefined
  /** As `tls.clientCa`, for this listener. */
  clientCa?: string | undefined
}

export interface ListenerTlsCertificateConfig {
  /** PEM file: the certificate, then its chain. */
  cert: string
  /** PEM file of the private key. */
  key: string
  /** Names to serve it for. Default: those in the certificate. */
  names?: readonly string[] | undefined
}

export interface RedirectToHttpsConfig {
  /** Port to send clients to. Default: that of the first TLS listener. */
  port?: number | undefined
  /**
   * Status; 307 and 308 keep method and body.
   * @default 308
   */
  status?: 301 | 302 | 307 | 308 | undefined
}

export interface TlsConfig {
  /**
   * `modern`: TLS 1.3 only. `intermediate`: also TLS 1.2 with ECDHE and AEAD.
   * @default "intermediate"
   */
  preset?: 'intermediate' | 'modern' | undefined
  /** The first one answers names that no other covers. None: a development certificate, made in `certs/`. */
  certificates?: readonly TlsCertificateConfig[] | undefined
  /**
   * Client certificates: `request` asks and tells the upstream whether it verified, `require` refuses others.
   * @default "none"
   */
  clientAuth?: 'none' | 'request' | 'require' | undefined
  /** PEM file of the authorities that sign client certificates. */
  clientCa?: string | undefined
  /**
   * How often the keys of session tickets change: a stolen key opens recorded sessions of that time only.
   * @default "12h"
   */
  ticketRotation?: Duration | undefined
  /** `Strict-Transport-Security` on every answer over TLS. Off by default: browsers remember it. */
  hsts?: TlsHstsConfig | undefined
}

export interface TlsCertificateConfig {
  /** PEM file: the certificate, then its chain. */
  cert: string
  /** PEM file of the private key. */
  key: string
  /** Names to serve it for. Default: those in the certificate. */
  names?: readonly string[] | undefined
}

export interface TlsHstsConfig {
  /**
   * How long browsers insist on HTTPS.
   * @default "365d"
   */
  maxAge?: Duration | undefined
  /**
   * Also for every name below.
   * @default false
   */
  includeSubDomains?: boolean | undefined
  /**
   * Asks for the browsers' built-in list. Hard to undo.
   * @default false
   */
  preload?: boolean | undefined
}

export interface LimitsConfig {
  /**
   * Open connections in all; beyond: closed before TLS.
   * @default 20000
   */
  connections?: number | undefined
  /** The same for one client address (IPv6: one /64). Default: no limit, as many people may share an address. */
  connectionsPerClient?: number | undefined
  /**
   * Header section of a request; beyond: 431.
   * @default "32KiB"
   */
  headerBytes?: Size | undefined
  /**
   * Header lines of a request; beyond: 431.
   * @default 100
   */
  headerCount?: number | undefined
  /**
   * Path and query of a request; beyond: 414.
   * @default "16KiB"
   */
  uriBytes?: Size | undefined
  /**
   * Request body unless the route says otherwise (`maxBody`); beyond: 413.
   * @default "10MiB"
   */
  body?: Size | undefined
  /**
   * Concurrent requests on one HTTP/2 connection.
   * @default 100
   */
  http2Streams?: number | undefined
}

export interface TimeoutsConfig {
  /**
   * TLS handshake, or PROXY header.
   * @default "10s"
   */
  handshake?: Duration | undefined
  /**
   * From the first byte of a request to the end of its head: 408.
   * @default "10s"
   */
  header?: Duration | undefined
  /**
   * Time a request body may take beyond what `minBodyRate` grants: 408.
   * @default "20s"
   */
  body?: Duration | undefined
  /**
   * Bytes a second that a request body must reach on average once `body` is used up.
   * @default 500
   */
  minBodyRate?: number | undefined
  /**
   * A connection without a request is closed after this.
   * @default "60s"
   */
  idle?: Duration | undefined
  /**
   * A client that takes no byte of its answer for this long is cut.
   * @default "30s"
   */
  write?: Duration | undefined
  /**
   * After the client closed its side: how long an answer may still take to begin.
   * @default "1s"
   */
  halfClose?: Duration | undefined
  /**
   * How long a shutdown waits for requests to finish.
   * @default "30s"
   */
  drain?: Duration | undefined
  /**
   * Whole exchange, request head to last byte: 504. 0: no limit.
   * @default "0"
   */
  exchange?: Duration | undefined
}

export interface GuardConfig {
  /** When given, only these clients may come in. Default: all. */
  allow?: readonly string[] | undefined
  /** Clients that may not come in; where both lists hold an address, the longer prefix decides. */
  deny?: readonly string[] | undefined
}

export interface UpstreamConfig {
  /** Origins, used in smooth weighted round robin. */
  endpoints: readonly (string | UpstreamEndpointConfig)[]
  /** For https endpoints. */
  tls?: UpstreamTlsConfig | undefined
  /**
   * Connections per endpoint and worker.
   * @default 1024
   */
  maxConnections?: number | undefined
  /**
   * Requests per endpoint and worker that may wait for a connection; beyond: 503.
   * @default 1024
   */
  maxPending?: number | undefined
  /**
   * How long a request waits for a connection before 503.
   * @default "5s"
   */
  pendingTimeout?: Duration | undefined
  /**
   * TCP and TLS together, before 504.
   * @default "5s"
   */
  connectTimeout?: Duration | undefined
  /**
   * From the end of the request to the response head, before 504.
   * @default "60s"
   */
  responseTimeout?: Duration | undefined
  /**
   * Between two pieces of a response body, before it is cut. Not counted while the client is the slower one.
   * @default "60s"
   */
  bodyIdleTimeout?: Duration | undefined
  /**
   * An unused connection is closed after this. Keep it below the keep-alive timeout of the origin.
   * @default "30s"
   */
  idleTimeout?: Duration | undefined
  /**
   * A connection is not reused beyond this age.
   * @default "10m"
   */
  maxLifetime?: Duration | undefined
  /**
   * Largest response head.
   * @default "64KiB"
   */
  maxHeaderBytes?: Size | undefined
  /**
   * An upgraded connection (WebSocket) with no traffic is closed after this.
   * @default "10m"
   */
  upgradeIdleTimeout?: Duration | undefined
}

export interface UpstreamEndpointConfig {
  /** Where the origin is: http, https or unix. */
  url: string
  /**
   * Share of the requests relative to the other endpoints; 0 takes none.
   * @default 1
   */
  weight?: number | undefined
}

export interface UpstreamTlsConfig {
  /** PEM file of the authorities that may sign the origin certificate. */
  ca?: string | undefined
  /** Name for SNI and verification. Default: the host of the endpoint. */
  serverName?: string | undefined
  /**
   * Verify the origin certificate. Off, anyone on the path can read and change the traffic.
   * @default true
   */
  verify?: boolean | undefined
}

export interface RouteConfig {
  /** For logs and traces. Default: made from the place in the list. */
  name?: string | undefined
  /** What the route takes; the most specific route wins. Default: everything. */
  match?: RouteMatchConfig | undefined
  /** Sends the request to an upstream. */
  proxy?: string | RouteProxyConfig | undefined
  /** Sends the client elsewhere. */
  redirect?: RouteRedirectConfig | undefined
  /** Answers at once. */
  respond?: RouteRespondConfig | undefined
  /** Answers 503 with a page; may stand in front of another action, for the clients in `allow`. */
  maintenance?: RouteMaintenanceConfig | undefined
  /** Changes the path on its way to the upstream. */
  rewrite?: RouteRewriteConfig | undefined
  /** Edits of the request on its way to the upstream. */
  requestHeaders?: RouteRequestHeadersConfig | undefined
  /** Edits of every answer of the route, error pages included. */
  responseHeaders?: RouteResponseHeadersConfig | undefined
  /** Largest request body; default: `limits.body`. */
  maxBody?: Size | undefined
  /** Longest time for the whole exchange; default: `timeouts.exchange`. */
  timeout?: Duration | undefined
}

export interface RouteMatchConfig {
  /** Host without port; `*.example.com` covers one label or more in front. Default: any. */
  host?: string | readonly string[] | undefined
  /** `/exact`, `/prefix/*` (also `/prefix` itself) or `/users/:id/posts`. Default: any. */
  path?: string | readonly string[] | undefined
  /** Methods; GET takes HEAD too. Default: any. */
  method?: string | readonly string[] | undefined
  /** Fields that must be there: with this value, or `true` for any. */
  headers?: Readonly<Record<string, string | true>> | undefined
  /** Query parameters that must be there: with this value, or `true` for any. */
  query?: Readonly<Record<string, string | true>> | undefined
}

export interface RouteProxyConfig {
  /** Name of one of `upstreams`. */
  upstream: string
  /**
   * Host for the upstream: `client` keeps the one that came, `endpoint` takes the endpoint's own, or a literal.
   * @default "client"
   */
  host?: string | undefined
  /** How long the response head may take; default: the upstream's. */
  responseTimeout?: Duration | undefined
  /** Longest silence within a response body; default: the upstream's. */
  bodyIdleTimeout?: Duration | undefined
}

export interface RouteRedirectConfig {
  /** URL or path; knows `{scheme} {host} {path} {query} {target}`, the parameters of the path, and `{rest}` for what its `*` covered. */
  to: string
  /**
   * Status of the redirect.
   * @default 308
   */
  status?: 301 | 302 | 303 | 307 | 308 | undefined
}

export interface RouteRespondConfig {
  /**
   * Status of the answer.
   * @default 200
   */
  status?: number | undefined
  /** Fields of the answer. */
  headers?: Readonly<Record<string, string>> | undefined
  /** Text of the answer, at most 1 MiB. */
  body?: string | undefined
}

export interface RouteMaintenanceConfig {
  /** Retry-After. */
  retryAfter?: Duration | undefined
  /** A sentence for the page. */
  body?: string | undefined
  /** Clients that pass on to the action beside. */
  allow?: readonly string[] | undefined
}

export interface RouteRewriteConfig {
  /** Taken off the path. */
  stripPrefix?: string | undefined
  /** Put in front of the path, after stripping. */
  addPrefix?: string | undefined
}

export interface RouteRequestHeadersConfig {
  /** Replaces the field, or adds it. */
  set?: Readonly<Record<string, string>> | undefined
  /** Adds lines beside those that are there. */
  add?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** Takes the field out, every line of it; done before set and add. */
  remove?: readonly string[] | undefined
}

export interface RouteResponseHeadersConfig {
  /** Replaces the field, or adds it. */
  set?: Readonly<Record<string, string>> | undefined
  /** Adds lines beside those that are there. */
  add?: Readonly<Record<string, string | readonly string[]>> | undefined
  /** Takes the field out, every line of it; done before set and add. */
  remove?: readonly string[] | undefined
}

export interface AccessLogConfig {
  /**
   * `json`: one object a line. `combined`: as Apache and nginx write it. `off`: no access log.
   * @default "json"
   */
  format?: 'json' | 'combined' | 'off' | undefined
  /**
   * `-` for standard output, or a file to append to; reopened on reload, for log rotation.
   * @default "-"
   */
  path?: string | undefined
}

export interface LogConfig {
  /**
   * Least level that is written.
   * @default "info"
   */
  level?: 'debug' | 'info' | 'warn' | 'error' | undefined
}

export interface AdminConfig {
  /**
   * A loopback address or `unix:`. Never one that others can reach: it reloads the gateway.
   * @default "127.0.0.1:2019"
   */
  address?: string | undefined
}

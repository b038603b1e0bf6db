import type { EndpointAddress } from '../origin-address.ts'
import {
  type Checked,
  duration,
  endpointUrl,
  filePath,
  flag,
  listOf,
  oneOf,
  size,
  strictObject,
  text,
  whole,
} from '../schema.ts'

/** One upstream, complete. Bounds count per worker and endpoint. */
export interface UpstreamOptions {
  readonly endpoints: readonly EndpointOptions[]
  readonly tls: UpstreamTlsOptions
  /** Connections to one endpoint, idle ones included; upgraded ones are not counted. */
  readonly maxConnections: number
  /** Requests that wait for a connection to one endpoint; beyond: 503. */
  readonly maxPending: number
  /** How long one of them waits: 503. */
  readonly pendingTimeoutMs: number
  readonly connectTimeoutMs: number
  /** From the end of the request to the end of the response head: 504. */
  readonly responseHeadTimeoutMs: number
  /** Between two reads of a response body while the client keeps up, and for a stalled write: cut. */
  readonly bodyIdleTimeoutMs: number
  /** An unused connection is closed after this. */
  readonly idleTimeoutMs: number
  /** A connection is not reused when it is older than this. */
  readonly maxLifetimeMs: number
  /** Response head, and trailer section, bytes; beyond: 502. */
  readonly maxHeaderBytes: number
  /** An upgraded connection on which neither side sends is closed after this. */
  readonly upgradeIdleTimeoutMs: number
}

export interface EndpointOptions {
  readonly address: EndpointAddress
  /** Share of the requests relative to the other endpoints; 0 takes none. */
  readonly weight: number
}

export interface UpstreamTlsOptions {
  /** Absolute path of a PEM file; undefined: the authorities that Node ships. */
  readonly caFile: string | undefined
  /** Name for SNI and verification; undefined: the endpoint's host. */
  readonly serverName: string | undefined
  readonly verify: boolean
}

const endpoint = oneOf(
  endpointUrl(),
  strictObject({
    url: endpointUrl().describe('Where the origin is: http, https or unix.'),
    weight: whole(0, 1_000)
      .prefault(1)
      .describe('Share of the requests relative to the other endpoints; 0 takes none.'),
  }),
)

/** What users write under `upstreams.<name>`. */
export const upstreamSchema = strictObject({
  endpoints: listOf(endpoint, 1_000).min(1).describe('Origins, used in smooth weighted round robin.'),
  tls: strictObject({
    ca: filePath().optional().describe('PEM file of the authorities that may sign the origin certificate.'),
    serverName: text('a server name', 253)
      .optional()
      .describe('Name for SNI and verification. Default: the host of the endpoint.'),
    verify: flag()
      .prefault(true)
      .describe('Verify the origin certificate. Off, anyone on the path can read and change the traffic.'),
  })
    .prefault({})
    .describe('For https endpoints.'),
  maxConnections: whole(1, 65_536).prefault(1024).describe('Connections per endpoint and worker.'),
  maxPending: whole(0, 65_536)
    .prefault(1_024)
    .describe('Requests per endpoint and worker that may wait for a connection; beyond: 503.'),
  pendingTimeout: duration(1)
    .prefault('5s')
    .describe('How long a request waits for a connection before 503.'),
  connectTimeout: duration(1).prefault('5s').describe('TCP and TLS together, before 504.'),
  responseTimeout: duration(1)
    .prefault('60s')
    .describe('From the end of the request to the response head, before 504.'),
  bodyIdleTimeout: duration(1)
    .prefault('60s')
    .describe(
      'Between two pieces of a response body, before it is cut. Not counted while the client is the slower one.',
    ),
  idleTimeout: duration(1)
    .prefault('30s')
    .describe(
      'An unused connection is closed after this. Keep it below the keep-alive timeout of the origin.',
    ),
  maxLifetime: duration(1).prefault('10m').describe('A connection is not reused beyond this age.'),
  maxHeaderBytes: size(1_024, 1_048_576).prefault('64KiB').describe('Largest response head.'),
  upgradeIdleTimeout: duration(1)
    .prefault('10m')
    .describe('An upgraded connection (WebSocket) with no traffic is closed after this.'),
})

/** From checked to resolved. */
export function resolveUpstream(checked: Checked<typeof upstreamSchema>): UpstreamOptions {
  return {
    endpoints: checked.endpoints.map((written) =>
      'kind' in written ? { address: written, weight: 1 } : { address: written.url, weight: written.weight },
    ),
    tls: { caFile: checked.tls.ca, serverName: checked.tls.serverName, verify: checked.tls.verify },
    maxConnections: checked.maxConnections,
    maxPending: checked.maxPending,
    pendingTimeoutMs: checked.pendingTimeout,
    connectTimeoutMs: checked.connectTimeout,
    responseHeadTimeoutMs: checked.responseTimeout,
    bodyIdleTimeoutMs: checked.bodyIdleTimeout,
    idleTimeoutMs: checked.idleTimeout,
    maxLifetimeMs: checked.maxLifetime,
    maxHeaderBytes: checked.maxHeaderBytes,
    upgradeIdleTimeoutMs: checked.upgradeIdleTimeout,
  }
}

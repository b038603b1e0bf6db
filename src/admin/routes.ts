/** What the gateway lets the admin endpoint see and do. */
export interface AdminTarget {
  readonly version: string
  /** Workers that serve, and whether new traffic should come here. */
  readiness(): Readiness
  reload(): Promise<ReloadResult>
  /** What the stages decided for one request; undefined when no worker remembers it. Bounded wait. */
  trace(requestId: string): Promise<object | undefined>
  /** Connections of each worker to each endpoint. Bounded wait. */
  upstreams(): Promise<readonly object[]>
}

export interface Readiness {
  readonly state: 'starting' | 'ready' | 'draining' | 'stopped'
  readonly workers: number
  readonly serving: number
}

/** `refused`: the new configuration is at fault. `failed`: it is sound, but could not be put into place. */
export type ReloadResult =
  | { readonly kind: 'reloaded'; readonly warnings: readonly string[] }
  | { readonly kind: 'refused' | 'failed'; readonly faults: readonly string[] }

/** One answer; `body` goes out as JSON. */
export interface AdminAnswer {
  readonly status: number
  readonly body: object
  readonly allow?: string
}

type Action = (target: AdminTarget, rest: string) => AdminAnswer | Promise<AdminAnswer>

/** Paths that end in a slash take one more segment, which the action gets. */
const routes = new Map<string, { readonly method: 'GET' | 'POST'; readonly action: Action }>([
  ['/livez', { method: 'GET', action: () => ({ status: 200, body: { status: 'ok' } }) }],
  ['/readyz', { method: 'GET', action: readyz }],
  [
    '/version',
    {
      method: 'GET',
      action: (target) => ({ status: 200, body: { version: target.version, node: process.versions.node } }),
    },
  ],
  [
    '/upstreams',
    {
      method: 'GET',
      action: async (target) => ({ status: 200, body: { workers: await target.upstreams() } }),
    },
  ],
  ['/trace/', { method: 'GET', action: trace }],
  ['/reload', { method: 'POST', action: reload }],
])

/** `target` is the request target; its query is ignored. HEAD counts as GET. */
export function answerAdmin(
  admin: AdminTarget,
  method: string,
  target: string,
): AdminAnswer | Promise<AdminAnswer> {
  const path = target.split('?', 1)[0] as string
  const slash = path.lastIndexOf('/')
  const route = routes.get(path) ?? routes.get(path.slice(0, slash + 1))
  if (route === undefined) return { status: 404, body: { error: 'no such path', paths: [...routes.keys()] } }
  const asked = method === 'HEAD' ? 'GET' : method
  if (asked !== route.method) {
    const allow = route.method === 'GET' ? 'GET, HEAD' : route.method
    return { status: 405, body: { error: `use ${allow}` }, allow }
  }
  return route.action(admin, path.slice(slash + 1))
}

function readyz(target: AdminTarget): AdminAnswer {
  const readiness = target.readiness()
  const isReady = readiness.state === 'ready' && readiness.serving > 0
  return { status: isReady ? 200 : 503, body: readiness }
}

async function trace(target: AdminTarget, id: string): Promise<AdminAnswer> {
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(id)) return { status: 400, body: { error: 'not a request id' } }
  const found = await target.trace(id)
  return found === undefined
    ? { status: 404, body: { error: 'no worker remembers this request' } }
    : { status: 200, body: found }
}

async function reload(target: AdminTarget): Promise<AdminAnswer> {
  const result = await target.reload()
  switch (result.kind) {
    case 'reloaded':
      return { status: 200, body: { status: 'reloaded', warnings: result.warnings } }
    case 'refused':
      return { status: 400, body: { status: 'refused', faults: result.faults } }
    case 'failed':
      return { status: 500, body: { status: 'failed', faults: result.faults } }
    default:
      return result satisfies never
  }
}

import type { ResolvedGateway } from '../config/gateway-options.ts'
import { probePort } from '../listener/bind.ts'
import type { TlsMaterial } from '../listener/certificates.ts'
import type { ListenerOptions } from '../listener/options.ts'
import type { ListenAddress } from '../net-address.ts'
import type { PlanSource, WorkerListener } from './messages.ts'

/**
 * Turns the listen addresses of a configuration into ones that every worker can bind alike: port 0 becomes a port that is
 * free, and ports that another process has are found out, before any worker shares them in silence.
 *
 * A listener that was there before keeps its port and is not probed: it is ours already.
 * Rejects with ListenError.
 */
export async function bindPlan(
  listeners: readonly ListenerOptions[],
  before: readonly WorkerListener[],
  materials: readonly (TlsMaterial | undefined)[],
): Promise<WorkerListener[]> {
  const keys = listenerKeys(listeners)
  const addresses: ListenAddress[] = []
  for (const [at, { address }] of listeners.entries()) {
    const known = before.find((listener) => listener.key === keys[at])
    if (known !== undefined) addresses.push(known.address)
    else if (address.kind === 'unix') addresses.push(address)
    else addresses.push({ ...address, port: await probePort(address) })
  }
  const firstTls = listeners.findIndex((listener) => listener.tls !== undefined)
  const tlsAddress = addresses[firstTls]
  const foundPort = tlsAddress?.kind === 'tcp' ? tlsAddress.port : 443
  return listeners.map((listener, at) => ({
    key: keys[at] as string,
    address: addresses[at] as ListenAddress,
    // 0 stands where the port of the TLS listener was not known yet.
    redirectPort: listener.redirectToHttps?.port === 0 ? foundPort : listener.redirectToHttps?.port,
    material: materials[at],
  }))
}

/** The options with what only the main thread could find out. */
export function boundOptions(options: ListenerOptions, bound: WorkerListener): ListenerOptions {
  const { redirectToHttps } = options
  return {
    ...options,
    address: bound.address,
    redirectToHttps:
      redirectToHttps === undefined
        ? undefined
        : { ...redirectToHttps, port: bound.redirectPort ?? redirectToHttps.port },
  }
}

/** The resolved configuration travels as it is, unless it holds functions; then the workers load the file themselves. */
export function planSource(
  config: ResolvedGateway,
  file: { readonly path: string; readonly fingerprint: string } | undefined,
): PlanSource {
  try {
    structuredClone(config)
    return { kind: 'resolved', config }
  } catch (error) {
    if (file === undefined) throw error
    return { kind: 'file', ...file }
  }
}

/** Names, made unique: several listeners may ask for port 0. */
function listenerKeys(listeners: readonly ListenerOptions[]): string[] {
  const seen = new Map<string, number>()
  return listeners.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name}#${count}`
  })
}

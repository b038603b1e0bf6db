import type { GatewayConfig } from './gateway-config.ts'
import type { Environment } from './resolve.ts'

/** A configuration, or a function that makes one, which may be asynchronous. */
export type GatewayConfigSource =
  | GatewayConfig
  | ((context: { readonly env: Environment }) => GatewayConfig | Promise<GatewayConfig>)

/**
 * Gives a configuration its types, and returns it as it is:
 *
 *     import { defineGateway } from 'sluice'
 *
 *     export default defineGateway({
 *       upstreams: { app: { endpoints: ['http://127.0.0.1:3000'] } },
 *     })
 */
export function defineGateway(config: GatewayConfig): GatewayConfig
export function defineGateway<T extends GatewayConfigSource>(config: T): T
export function defineGateway(config: GatewayConfigSource): GatewayConfigSource {
  return config
}

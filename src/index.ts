/** The public surface: re-exports only. */
export { defineGateway, type GatewayConfigSource } from './config/define-gateway.ts'
export { ConfigError, type ConfigFault } from './config/faults.ts'
export { findConfig, type FindOptions, type FoundConfig } from './config/find.ts'
export type { GatewayConfig } from './config/gateway-config.ts'
export type { ResolvedGateway } from './config/gateway-options.ts'
export { loadConfig, type ConfigSource, type LoadedConfig } from './config/load.ts'
export { resolveConfig, type Environment, type Resolution, type ResolveContext } from './config/resolve.ts'

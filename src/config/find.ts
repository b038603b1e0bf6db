import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError } from './faults.ts'
import type { Environment } from './resolve.ts'

/** Endings that a configuration may have, the most preferred first. */
export const endings = ['ts', 'mts', 'js', 'mjs', 'json', 'yaml', 'yml'] as const

export interface FindOptions {
  /** From `-c`. */
  readonly path?: string | undefined
  readonly env: Environment
  readonly cwd: string
  /** Folder of the machine's own configuration. */
  readonly systemDir?: string
}

export interface FoundConfig {
  /** Absolute. */
  readonly path: string
  /** Others in the same folder, which are not read. */
  readonly passedOver: readonly string[]
}

/**
 * Where the configuration is: `-c`, then SLUICE_CONFIG, then `sluice.config.*` in the working folder, then in /etc/sluice.
 * Undefined when there is none.
 * @throws ConfigError when one was named that does not exist.
 */
export function findConfig({
  path,
  env,
  cwd,
  systemDir = '/etc/sluice',
}: FindOptions): FoundConfig | undefined {
  const named = path ?? (env.SLUICE_CONFIG === '' ? undefined : env.SLUICE_CONFIG)
  if (named !== undefined) {
    const absolute = resolve(cwd, named)
    if (existsSync(absolute)) return { path: absolute, passedOver: [] }
    const origin = path === undefined ? ' (named by SLUICE_CONFIG)' : ''
    throw new ConfigError([{ path: '', message: `no such file${origin}` }], named)
  }
  for (const folder of [cwd, systemDir]) {
    const [first, ...passedOver] = endings
      .map((ending) => resolve(folder, `sluice.config.${ending}`))
      .filter((candidate) => existsSync(candidate))
    if (first !== undefined) return { path: first, passedOver }
  }
  return undefined
}

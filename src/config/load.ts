/**
 * Finds, loads and resolves a configuration. Never starts anything, never keeps anything: each call reads anew, so that
 * a reload is a second call. Relative paths in a file are taken from its own folder.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, extname, resolve } from 'node:path'
import { reason } from '../errors.ts'
import type { Issue } from '../schema.ts'
import { expandEnvironment } from './environment.ts'
import { ConfigError, type ConfigFault, type Locate } from './faults.ts'
import { endings } from './find.ts'
import type { GatewayConfig } from './gateway-config.ts'
import type { ResolvedGateway } from './gateway-options.ts'
import { fingerprint, loadModule } from './module-file.ts'
import { type Environment, resolveConfig } from './resolve.ts'
import { maxTextBytes, parseText } from './text-file.ts'

export interface ConfigSource {
  /** Absolute. */
  readonly path: string
  /** Changes when the file, or a file of the project that it imports, changes. SHA-256 in hex. */
  readonly fingerprint: string
}

export interface LoadedConfig {
  readonly config: ResolvedGateway
  readonly source: ConfigSource
  /** What works but is probably not meant. */
  readonly warnings: readonly ConfigFault[]
}

/**
 * Loads one file by its ending: .ts, .mts, .js, .mjs as programs, .json, .yaml, .yml as text.
 * @throws ConfigError, always with the file and, for text, with lines and columns.
 */
export async function loadConfig(path: string, env: Environment): Promise<LoadedConfig> {
  const absolute = resolve(path)
  const read = await readWritten(absolute, env)
  const { config, warnings } = resolveConfig(read.value as GatewayConfig, {
    baseDir: dirname(absolute),
    env,
    file: absolute,
    issues: read.issues,
    ...(read.locate === undefined ? {} : { locate: read.locate }),
  })
  return { config, warnings, source: { path: absolute, fingerprint: read.fingerprint } }
}

interface Written {
  readonly value: unknown
  readonly issues: readonly Issue[]
  readonly locate?: Locate
  readonly fingerprint: string
}

async function readWritten(path: string, env: Environment): Promise<Written> {
  const ending = extname(path).slice(1)
  switch (ending) {
    case 'ts':
    case 'mts':
    case 'js':
    case 'mjs': {
      readable(path)
      return { ...(await loadModule(path, env)), issues: [] }
    }
    case 'json':
    case 'yaml':
    case 'yml': {
      const parsed = parseText(readable(path), ending === 'json' ? 'json' : 'yaml')
      if (!parsed.ok) throw new ConfigError(parsed.faults, path)
      const { value, issues } = expandEnvironment(parsed.value, env)
      return { value, issues, locate: parsed.locate, fingerprint: fingerprint([path]) }
    }
    default:
      throw new ConfigError(
        [{ path: '', message: `expected a file that ends in ${endings.map((one) => `.${one}`).join(', ')}` }],
        path,
      )
  }
}

function readable(path: string): string {
  try {
    const { size } = statSync(path)
    if (size <= maxTextBytes) return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError([{ path: '', message: `cannot be read: ${reason(error)}` }], path, error)
  }
  throw new ConfigError([{ path: '', message: `larger than ${maxTextBytes} bytes` }], path)
}

/**
 * Configurations that are programs: .ts, .mts, .js, .mjs. Runs them with the gateway's rights, as it must.
 *
 * Two things Node does not do by itself are done by a resolver that is in place only while a file loads:
 * - `import { defineGateway } from 'sluice'` leads to this very gateway, installed or not, in a checkout or in dist;
 * - every load sees the files as they are now. Node keeps modules for ever, so each load has its own version in the
 *   query of its URLs, those that the file imports from its own project included. A reload therefore leaves
 *   the modules of the one before in memory: some KiB each time.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { reason } from '../errors.ts'
import { ConfigError } from './faults.ts'
import type { Environment } from './resolve.ts'

export interface LoadedModule {
  /** What the default export is, or what it returned. */
  readonly value: unknown
  /** SHA-256 over the file and what it imported from its own project, in hex. */
  readonly fingerprint: string
}

const versionKey = 'sluice-load'
const ownFolder = new URL('../', import.meta.url).href
const ownIndex = new URL(`../index${extname(import.meta.url)}`, import.meta.url).href
let loads = 0

/** @throws ConfigError when the file does not load, throws, or exports no configuration. */
export async function loadModule(path: string, env: Environment): Promise<LoadedModule> {
  loads += 1
  const version = `${process.pid}-${Date.now()}-${loads}`
  const url = pathToFileURL(path)
  url.searchParams.set(versionKey, version)
  const files = new Set([path])
  const hooks = registerHooks({
    resolve(specifier, context, nextResolve) {
      if (specifier === url.href) return withFormat(nextResolve(specifier, context), path)
      const fromConfig = context.parentURL?.includes(`${versionKey}=${version}`) === true
      if (!fromConfig) return nextResolve(specifier, context)
      if (specifier === 'sluice') return { url: ownIndex, shortCircuit: true }
      const resolved = nextResolve(specifier, context)
      if (!isProjectFile(resolved.url)) return resolved
      const file = new URL(resolved.url)
      const imported = fileURLToPath(file)
      files.add(imported)
      file.searchParams.set(versionKey, version)
      return withFormat({ ...resolved, url: file.href }, imported)
    },
  })
  try {
    const loaded = (await import(url.href)) as { readonly default?: unknown }
    const exported = loaded.default
    const value: unknown =
      typeof exported === 'function' ? await (exported as ConfigFunction)({ env }) : exported
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ConfigError(
        [{ path: '', message: 'expected a configuration: export default defineGateway({ ... })' }],
        path,
      )
    }
    return { value, fingerprint: fingerprint(files) }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw new ConfigError([{ path: '', message: describe(error), ...placeOf(error, path) }], path, error)
  } finally {
    hooks.deregister()
  }
}

type ConfigFunction = (context: { readonly env: Environment }) => unknown

/**
 * Says that a file with imports or exports is a module, where its package.json does not: Node would find out too, but
 * with a warning at each load in each thread.
 */
function withFormat<T extends { format?: string | null | undefined }>(resolved: T, path: string): T {
  const ending = extname(path)
  if ((resolved.format ?? null) !== null || (ending !== '.ts' && ending !== '.js')) return resolved
  try {
    if (!/^\s*(?:import|export)\b/m.test(readFileSync(path, 'utf8'))) return resolved
  } catch {
    // Node itself will say what is wrong with the file.
    return resolved
  }
  return { ...resolved, format: ending === '.ts' ? 'module-typescript' : 'module' }
}

/** Files of the user's project: neither packages nor the gateway itself, which must not run twice. */
function isProjectFile(url: string): boolean {
  return url.startsWith('file:') && !url.startsWith(ownFolder) && !url.includes('/node_modules/')
}

/** SHA-256 over files, in the order of their names; one that cannot be read counts as empty. */
export function fingerprint(files: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const file of [...files].toSorted()) {
    hash.update(file).update('\0')
    try {
      hash.update(readFileSync(file))
    } catch {
      // It was there a moment ago; the next load will say what is wrong.
    }
    hash.update('\0')
  }
  return hash.digest('hex')
}

function describe(error: unknown): string {
  const kind = error instanceof Error && error.name !== 'Error' ? `${error.name}: ` : ''
  return `cannot be loaded: ${kind}${reason(error)}`
}

/** Line and column of the first stack frame in the file; of a syntax error the line in its first lines. */
function placeOf(error: unknown, path: string): { line?: number; column?: number } {
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const start = pathToFileURL(path).href
  for (const line of stack.split('\n')) {
    const at = line.indexOf(start)
    const found = at < 0 ? null : /^(?:\?[^:\s]*)?:(\d+)(?::(\d+))?/.exec(line.slice(at + start.length))
    const plain = found ?? (line.startsWith(path) ? /^:(\d+)/.exec(line.slice(path.length)) : null)
    if (plain !== null) {
      return { line: Number(plain[1]), ...(plain[2] === undefined ? {} : { column: Number(plain[2]) }) }
    }
  }
  return {}
}

import { availableParallelism } from 'node:os'
import { check, type Issue } from '../schema.ts'
import { crossCheck } from './cross-checks.ts'
import { ConfigError, type ConfigFault, type Locate, toFaults } from './faults.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { gatewaySchema, resolveGateway, type ResolvedGateway } from './gateway-options.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface ResolveContext {
  /** Folder from which relative paths are taken. */
  readonly baseDir: string
  /** Only SLUICE_WORKERS is read. */
  readonly env: Environment
  /** The file, for the printed form of faults. */
  readonly file?: string
  readonly locate?: Locate
  /** Faults that were found before; the schema's own about the same places are left out. */
  readonly issues?: readonly Issue[]
}

export interface Resolution {
  readonly config: ResolvedGateway
  readonly warnings: readonly ConfigFault[]
}

/**
 * What users wrote, as the gateway uses it: checked and complete. Reads custom error pages, nothing else.
 * @throws ConfigError with every fault at once, those of single options and those between options.
 */
export function resolveConfig(authored: GatewayConfig, context: ResolveContext): Resolution {
  const before = context.issues ?? []
  const checked = check(gatewaySchema, authored, context.baseDir)
  const across = crossCheck(authored)
  const workers = countWorkers(context.env.SLUICE_WORKERS, checked.ok ? checked.value.workers : 'auto')
  const issues = [
    ...before,
    ...(checked.ok ? [] : checked.issues.filter((issue) => !before.some((other) => samePath(issue, other)))),
    ...across.issues,
    ...(typeof workers === 'number' ? [] : [workers]),
  ]
  if (issues.length > 0 || !checked.ok || typeof workers !== 'number') {
    throw new ConfigError(toFaults(issues, context.locate), context.file)
  }
  return {
    config: resolveGateway(checked.value, workers),
    warnings: toFaults(across.warnings, context.locate),
  }
}

function countWorkers(override: string | undefined, written: number | 'auto'): number | Issue {
  const wanted = override === undefined || override === '' ? written : override
  if (wanted === 'auto') return Math.min(availableParallelism(), 256)
  const count = Number(wanted)
  if (Number.isInteger(count) && count >= 1 && count <= 256) return count
  return {
    path: [],
    message: `SLUICE_WORKERS: expected "auto" or a whole number from 1 to 256, got ${JSON.stringify(override)}`,
  }
}

function samePath(a: Issue, b: Issue): boolean {
  return a.path.length === b.path.length && a.path.every((step, at) => step === b.path[at])
}

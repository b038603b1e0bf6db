import type { Clock } from '../clock.ts'
import { printFaults } from '../config/faults.ts'
import type { GatewayConfig } from '../config/gateway-config.ts'
import type { ResolvedGateway } from '../config/gateway-options.ts'
import { type ConfigSource, loadConfig } from '../config/load.ts'
import { type Environment, resolveConfig } from '../config/resolve.ts'
import { expiryWarnings } from '../listener/certificate-files.ts'
import type { TlsMaterial } from '../listener/certificates.ts'
import type { Logger } from '../log.ts'
import { bindPlan, planSource } from './bound-plan.ts'
import { loadMaterials } from './materials.ts'
import type { WorkerPlan } from './messages.ts'

/** Where a gateway's configuration comes from. A file is read again at each reload. */
export type GatewaySource =
  | { readonly kind: 'file'; readonly path: string }
  /** `baseDir`: where relative paths start; default: the working folder. */
  | { readonly kind: 'object'; readonly config: GatewayConfig; readonly baseDir?: string }

/** One configuration as the main thread holds it. */
export interface Plan {
  readonly config: ResolvedGateway
  readonly materials: readonly (TlsMaterial | undefined)[]
  /** What the workers get. */
  readonly worker: WorkerPlan
  /** What works but is probably not meant; one line each. */
  readonly warnings: readonly string[]
}

export interface PlanDeps {
  readonly source: GatewaySource
  readonly env: Environment
  readonly clock: Clock
  readonly logger: Logger
  /** Where the development certificate is kept. */
  readonly certificateFolder: string
}

/**
 * Loads the configuration and everything that it names, and finds ports; starts nothing. Rejects with ConfigError,
 * CertificateError or ListenError. `former` keeps its ports.
 */
export async function makePlan(deps: PlanDeps, former: Plan | undefined): Promise<Plan> {
  const { config, warnings, file } = await load(deps)
  for (const warning of warnings) deps.logger.warn('configuration', { warning })
  const materials = await loadMaterials(config, deps.certificateFolder, deps.clock)
  warnOfExpiry(materials, deps)
  const listeners = await bindPlan(config.listeners, former?.worker.listeners ?? [], materials)
  const generation = (former?.worker.generation ?? 0) + 1
  return { config, materials, worker: { generation, source: planSource(config, file), listeners }, warnings }
}

/** The same plan with its certificates read again. Rejects with CertificateError. */
export async function renewMaterials(plan: Plan, deps: PlanDeps): Promise<Plan> {
  const materials = await loadMaterials(plan.config, deps.certificateFolder, deps.clock)
  warnOfExpiry(materials, deps)
  const listeners = plan.worker.listeners.map((listener, at) => ({ ...listener, material: materials[at] }))
  return { ...plan, materials, worker: { ...plan.worker, listeners } }
}

interface Loaded {
  readonly config: ResolvedGateway
  readonly warnings: readonly string[]
  readonly file: ConfigSource | undefined
}

async function load({ source, env }: PlanDeps): Promise<Loaded> {
  if (source.kind === 'file') {
    const { config, warnings, source: file } = await loadConfig(source.path, env)
    return { config, warnings: warnings.map((fault) => printFaults([fault], file.path)), file }
  }
  const { config, warnings } = resolveConfig(source.config, { baseDir: source.baseDir ?? process.cwd(), env })
  return { config, warnings: warnings.map((fault) => printFaults([fault])), file: undefined }
}

function warnOfExpiry(materials: Plan['materials'], { clock, logger }: PlanDeps): void {
  const warnings = new Set<string>()
  for (const material of materials) {
    if (material === undefined) continue
    for (const warning of expiryWarnings(material, clock.wallMs())) warnings.add(warning)
  }
  for (const warning of warnings) logger.warn('certificate', { warning })
}

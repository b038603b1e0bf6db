import { resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import { ConfigError, printFaults } from '../config/faults.ts'
import { loadConfig } from '../config/load.ts'
import { CertificateError } from '../listener/certificates.ts'
import { loadMaterials } from '../workers/materials.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { locateConfig, printFaultLines } from './run.ts'
import type { Terminal } from './terminal.ts'

/** `sluice check`: every fault of a configuration, its certificates included, without starting anything. */
export async function check(configPath: string | undefined, terminal: Terminal): Promise<ExitCode> {
  const path = locateConfig(configPath, terminal)
  if (path === undefined) return exitCodes.failed
  try {
    const { config, warnings } = await loadConfig(path, terminal.env)
    if (warnings.length > 0) {
      for (const line of printFaults(warnings, path).split('\n')) terminal.error(`sluice: warning: ${line}`)
    }
    await loadMaterials(config, resolve('certs'), systemClock)
    terminal.out(
      `${path}: ok (${config.routes.length} routes, ${config.upstreams.size} upstreams, ${config.listeners.length} listeners)`,
    )
    return exitCodes.ok
  } catch (error) {
    if (error instanceof ConfigError) printFaultLines(error, terminal)
    else if (error instanceof CertificateError) terminal.error(`sluice: ${error.message}`)
    else throw error
    return exitCodes.failed
  }
}

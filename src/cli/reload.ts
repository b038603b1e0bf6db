import { askAdmin } from '../admin/client.ts'
import { ConfigError } from '../config/faults.ts'
import { loadConfig } from '../config/load.ts'
import { reason } from '../errors.ts'
import { type ListenAddress, parseListenAddress, printListenAddress } from '../net-address.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { lookForConfig, printFaultLines } from './run.ts'
import type { Terminal } from './terminal.ts'

const usualAddress: ListenAddress = { kind: 'tcp', host: '127.0.0.1', port: 2019 }

/** `sluice reload`: asks the running gateway to load its configuration again, and tells what came of it. */
export async function reload(
  configPath: string | undefined,
  admin: string | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  const address = await adminAddress(configPath, admin, terminal)
  if (address === undefined) return exitCodes.failed
  try {
    const { status, body } = await askAdmin(address, 'POST', '/reload')
    const { faults, warnings } = lists(body)
    for (const warning of warnings) terminal.error(`sluice: warning: ${warning}`)
    if (status === 200) {
      terminal.out('reloaded')
      return exitCodes.ok
    }
    for (const fault of faults) terminal.error(`sluice: ${fault}`)
    terminal.error(`sluice: reload failed (${status}); the configuration in use stays`)
  } catch (error) {
    terminal.error(`sluice: cannot reach the gateway at ${printListenAddress(address)}: ${reason(error)}`)
  }
  return exitCodes.failed
}

/** From the command line, else from the configuration, else the default. Undefined after having said what is wrong. */
async function adminAddress(
  configPath: string | undefined,
  admin: string | undefined,
  terminal: Terminal,
): Promise<ListenAddress | undefined> {
  if (admin !== undefined) {
    const parsed = parseListenAddress(admin)
    if (parsed === undefined) terminal.error(`sluice: ${JSON.stringify(admin)} is no address`)
    return parsed
  }
  const found = lookForConfig(configPath, terminal)
  if (found === 'fault') return undefined
  if (found === 'none') return usualAddress
  try {
    const { config } = await loadConfig(found.path, terminal.env)
    if (config.admin === undefined)
      terminal.error(`sluice: ${found.path} turns the admin endpoint off; send the gateway a HUP signal`)
    return config.admin?.address
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    printFaultLines(error, terminal)
    return undefined
  }
}

/** What the admin endpoint's answer says, whatever else it may hold. */
function lists(body: unknown): { faults: readonly string[]; warnings: readonly string[] } {
  const fields = typeof body === 'object' && body !== null ? body : {}
  const texts = (value: unknown): string[] =>
    Array.isArray(value) ? value.filter((one) => typeof one === 'string') : []
  return {
    faults: texts('faults' in fields ? fields.faults : []),
    warnings: texts('warnings' in fields ? fields.warnings : []),
  }
}

import { ConfigError } from '../config/faults.ts'
import { findConfig } from '../config/find.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { serve } from './serve.ts'
import type { Terminal } from './terminal.ts'

/** `sluice run`: from a configuration, in the foreground. */
export async function run(configPath: string | undefined, terminal: Terminal): Promise<ExitCode> {
  const path = locateConfig(configPath, terminal)
  if (path === undefined) return exitCodes.failed
  return serve({ source: { kind: 'file', path }, env: terminal.env }, terminal)
}

/** The configuration's path, or undefined after having said why there is none. */
export function locateConfig(configPath: string | undefined, terminal: Terminal): string | undefined {
  const found = lookForConfig(configPath, terminal)
  if (found === 'none') {
    terminal.error(
      'sluice: no configuration found; name one with -c FILE, or try "sluice http://localhost:3000"',
    )
  }
  return found === 'none' || found === 'fault' ? undefined : found.path
}

/** Looks where the help says. A file that was named and is not there is a fault, and has been reported. */
export function lookForConfig(
  configPath: string | undefined,
  terminal: Terminal,
): { readonly path: string } | 'none' | 'fault' {
  try {
    const found = findConfig({ path: configPath, env: terminal.env, cwd: process.cwd() })
    if (found === undefined) return 'none'
    for (const other of found.passedOver) terminal.error(`sluice: ${found.path} is used, ${other} is not`)
    return { path: found.path }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    printFaultLines(error, terminal)
    return 'fault'
  }
}

/** One line a fault. */
export function printFaultLines(error: ConfigError, terminal: Terminal): void {
  for (const line of error.message.split('\n')) terminal.error(`sluice: ${line}`)
}

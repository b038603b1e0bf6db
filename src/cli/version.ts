import { readVersion } from '../version.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

export function printVersion(terminal: Terminal): ExitCode {
  terminal.out(`sluice ${readVersion()} (node ${process.versions.node})`)
  return exitCodes.ok
}

import { readFileSync } from 'node:fs'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

/** The package's version; `package.json` lies one level above both src/ and dist/. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export function printVersion(terminal: Terminal): ExitCode {
  terminal.out(`sluice ${readVersion()} (node ${process.versions.node})`)
  return exitCodes.ok
}

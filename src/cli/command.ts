import { parseArguments } from './arguments.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { printHelp } from './help.ts'
import type { Terminal } from './terminal.ts'
import { printVersion } from './version.ts'

/**
 * Runs one command line to its end. Verbs are loaded when they are asked for, so that `sluice version` answers at once.
 */
export async function runCommand(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const command = parseArguments(words)
  switch (command.verb) {
    case 'run':
      return (await import('./run.ts')).run(command.configPath, terminal)
    case 'serve':
      return (await import('./serve-app.ts')).serveApp(command.url, terminal)
    case 'start':
      return (await import('./start.ts')).start(command.url, command.configPath, terminal)
    case 'check':
      return (await import('./check.ts')).check(command.configPath, terminal)
    case 'reload':
      return (await import('./reload.ts')).reload(command.configPath, command.admin, terminal)
    case 'version':
      return printVersion(terminal)
    case 'help':
      return printHelp(terminal)
    case 'fault':
      terminal.error(`sluice: ${command.message}`)
      return exitCodes.failed
    default:
      return command satisfies never
  }
}

#!/usr/bin/env node
/**
 * Process entry. Compiled code is kept between starts where that is possible: from a checkout it saves stripping the
 * types again in every thread, which is a third of a second and 10 MiB each. The folder lies beside the packages and not in the
 * system's temporary one, where others could put code for us to run.
 */
import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'

enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/sluice', import.meta.url)))
const { runCommand } = await import('./cli/command.ts')
const { processTerminal } = await import('./cli/terminal.ts')

process.exitCode = await runCommand(process.argv.slice(2), processTerminal())

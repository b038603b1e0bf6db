import { demoHints, startDemo } from '../demo/demo.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { lookForConfig } from './run.ts'
import { appConfig, serveApp } from './serve-app.ts'
import { localUrl, serve } from './serve.ts'
import type { Terminal } from './terminal.ts'

/** `sluice start`, which `npm start` is: one app, a configuration, or with neither the demo. */
export async function start(
  url: string | undefined,
  configPath: string | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  if (url !== undefined) return serveApp(url, terminal)
  const found = lookForConfig(configPath, terminal)
  if (found === 'fault') return exitCodes.failed
  if (found !== 'none')
    return serve({ source: { kind: 'file', path: found.path }, env: terminal.env }, terminal)
  const demo = await startDemo()
  return serve({ source: { kind: 'object', config: appConfig(demo.url) }, env: terminal.env }, terminal, {
    started: (gateway) => {
      terminal.error(
        `sluice: no configuration found, so here is a demo with an origin of its own (${demo.url})`,
      )
      for (const line of demoHints(localUrl(gateway) ?? '')) terminal.error(line)
    },
    ended: () => demo.stop(),
  })
}

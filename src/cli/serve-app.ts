import type { GatewayConfig } from '../config/gateway-config.ts'
import type { ExitCode } from './exit-codes.ts'
import { localUrl, serve } from './serve.ts'
import type { Terminal } from './terminal.ts'

/** `sluice http://localhost:3000`: HTTPS on 8443 in front of one app, and 8080 that redirects to it. */
export function serveApp(url: string, terminal: Terminal): Promise<ExitCode> {
  return serve({ source: { kind: 'object', config: appConfig(url) }, env: terminal.env }, terminal, {
    started: (gateway) => terminal.error(`sluice: ${localUrl(gateway) ?? ''} -> ${url}`),
  })
}

/** Everything else is the default. */
export function appConfig(url: string): GatewayConfig {
  return { upstreams: { app: { endpoints: [url] } } }
}

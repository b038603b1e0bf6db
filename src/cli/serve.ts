import { systemClock } from '../clock.ts'
import { Gateway, type GatewayInit, StartError } from '../gateway.ts'
import { printListenAddress } from '../net-address.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

export interface ServeOptions {
  /** Called once the gateway serves. */
  readonly started?: (gateway: Gateway) => void
  /** Called when it has stopped, or did not start. */
  readonly ended?: () => Promise<void>
}

/**
 * A terminal signals the whole process group, and npm passes the signal on once more: what comes this soon is the first
 * signal again, not a second thought.
 */
const echoMs = 250

/**
 * Runs a gateway in the foreground until a signal ends it. TERM, INT and QUIT drain, a second one of them ends the process
 * at once; HUP loads the configuration again; USR1 opens the access log again.
 */
export async function serve(
  init: GatewayInit,
  terminal: Terminal,
  options: ServeOptions = {},
): Promise<ExitCode> {
  const gateway = new Gateway(init)
  const over = Promise.withResolvers<ExitCode>()
  let stopMs = Number.POSITIVE_INFINITY
  let starting = true

  const stop = (signal: NodeJS.Signals): void => {
    if (starting) process.exit(exitCodes.ok)
    const nowMs = systemClock.nowMs()
    if (nowMs - stopMs > echoMs) {
      gateway.logger.warn('forced to stop', { signal })
      process.exit(exitCodes.forced)
    }
    if (stopMs !== Number.POSITIVE_INFINITY) return
    stopMs = nowMs
    gateway.logger.info('signal received', { signal })
    void gateway.stop().then(({ clean }) => over.resolve(clean ? exitCodes.ok : exitCodes.unclean))
  }
  const handlers: readonly [NodeJS.Signals, (signal: NodeJS.Signals) => void][] = [
    ['SIGTERM', stop],
    ['SIGINT', stop],
    ['SIGQUIT', stop],
    ['SIGHUP', () => void gateway.reload()],
    ['SIGUSR1', () => gateway.reopenLog()],
  ]
  for (const [signal, handler] of handlers) process.on(signal, handler)
  try {
    await gateway.start()
    starting = false
    options.started?.(gateway)
    return await over.promise
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    for (const fault of error.faults) terminal.error(`sluice: ${fault}`)
    return exitCodes.failed
  } finally {
    for (const [signal, handler] of handlers) process.off(signal, handler)
    await options.ended?.()
  }
}

/** `https://localhost:8443`: how to reach a listener from this machine; undefined for unix sockets. */
export function localUrl(gateway: Gateway): string | undefined {
  for (const { address, encrypted } of gateway.addresses) {
    if (address.kind !== 'tcp' || !encrypted) continue
    const host =
      address.host === undefined || address.host === '0.0.0.0' || address.host === '::'
        ? 'localhost'
        : undefined
    const port = address.port === 443 ? '' : `:${address.port}`
    return `https://${host ?? printListenAddress(address).replace(/:\d+$/, '')}${port}`
  }
  return undefined
}

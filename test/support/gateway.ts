import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { Gateway, type GatewayInit } from '../../src/gateway.ts'
import type { LogSink } from '../../src/observe/log-sink.ts'

/** A whole gateway in this process: real workers, real sockets on free ports, logs in memory. */
export interface TestGateway {
  readonly gateway: Gateway
  /** Of the first TLS listener; 0 when there is none. */
  readonly port: number
  /** Of the first listener without TLS; 0 when there is none. */
  readonly plainPort: number
  /** `https://127.0.0.1:PORT` */
  readonly url: string
  /** `http://127.0.0.1:PORT` */
  readonly plainUrl: string
  /** Runtime log, one parsed line each. */
  readonly log: readonly LogLine[]
  /** Access log, one parsed line each. Lines come up to 100 ms after the answer; `stop` waits for all. */
  readonly accessLog: readonly LogLine[]
  stop(): Promise<void>
}

export type LogLine = Readonly<Record<string, unknown>>

/** Made once and kept between runs; safe for test files that run at the same time. */
export const testCertificateFolder = join(tmpdir(), 'sluice-test-certs')

/**
 * Starts a gateway with one worker, one TLS listener and one plain one, both on 127.0.0.1, and no admin endpoint, unless
 * `config` says otherwise. Stop it when the test ends.
 */
export async function startTestGateway(
  config: Partial<GatewayConfig>,
  init: Partial<GatewayInit> = {},
): Promise<TestGateway> {
  const log: LogLine[] = []
  const accessLog: LogLine[] = []
  const gateway = new Gateway({
    source: { kind: 'object', config: { ...testDefaults(), ...config } },
    env: {},
    certificateFolder: testCertificateFolder,
    writeLog: (line) => void log.push(JSON.parse(line) as LogLine),
    accessLogSink: arraySink(accessLog),
    ...init,
  })
  await gateway.start()
  const portOf = (encrypted: boolean): number => {
    const found = gateway.addresses.find((one) => one.encrypted === encrypted)?.address
    return found?.kind === 'tcp' ? found.port : 0
  }
  const port = portOf(true)
  const plainPort = portOf(false)
  return {
    gateway,
    port,
    plainPort,
    url: `https://127.0.0.1:${port}`,
    plainUrl: `http://127.0.0.1:${plainPort}`,
    log,
    accessLog,
    stop: async () => void (await gateway.stop()),
  }
}

export function testDefaults(): Pick<GatewayConfig, 'workers' | 'listeners' | 'admin' | 'timeouts'> {
  return {
    workers: 1,
    listeners: [{ address: '127.0.0.1:0', tls: true }, { address: '127.0.0.1:0' }],
    timeouts: { drain: '2s' },
    admin: false,
  }
}

/** Collects access log lines. */
export function arraySink(lines: LogLine[]): LogSink {
  return {
    dropped: 0,
    drop() {},
    write(bytes, _lines, done) {
      const text = new TextDecoder().decode(bytes)
      for (const line of text.split('\n')) if (line !== '') lines.push(JSON.parse(line) as LogLine)
      done?.()
    },
    close: () => Promise.resolve(),
  }
}

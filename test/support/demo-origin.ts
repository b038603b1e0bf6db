import type { AddressInfo } from 'node:net'
import { createDemoOrigin } from '../../src/demo/origin.ts'

/** The demo origin in this process, on a free port: something of everything to proxy to. */
export async function startOrigin(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const server = createDemoOrigin()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

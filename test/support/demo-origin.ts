import type { AddressInfo } from 'node:net'
import { createDemoOrigin } from '../../src/demo/origin.ts'

/** The demo origin in this process, on a free port: something of everything to proxy to. */
export interface TestOrigin {
  readonly url: string
  /** Resolves when the next request for `path` has come in. */
  asked(path: string): Promise<void>
  stop(): Promise<void>
}

export async function startOrigin(): Promise<TestOrigin> {
  const server = createDemoOrigin()
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: (path) =>
      new Promise((resolve) => {
        server.on('request', (request) => {
          if (request.url?.split('?', 1)[0] === path) resolve()
        })
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

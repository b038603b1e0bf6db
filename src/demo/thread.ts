/** Thread entry: the demo origin on a loopback port of the kernel's choice, told to the parent once it listens. */
import type { AddressInfo } from 'node:net'
import { parentPort } from 'node:worker_threads'
import { createDemoOrigin } from './origin.ts'

const server = createDemoOrigin()
server.listen({ host: '127.0.0.1', port: 0 }, () => {
  parentPort?.postMessage((server.address() as AddressInfo).port)
})

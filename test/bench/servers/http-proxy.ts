import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { bareProgram } from './node-https.ts'
import type { Peer } from './peer.ts'

/** A bare `http-proxy-3` behind `node:https`, with a keep-alive agent: what one would write in ten lines. */
export const httpProxy: Peer = {
  name: 'http-proxy-3',
  abilities: new Set(['idle', 'h1 proxy']),
  version() {
    try {
      const main = createRequire(import.meta.url).resolve('http-proxy-3')
      const folder = main.slice(0, main.lastIndexOf('http-proxy-3') + 'http-proxy-3'.length)
      const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        version: string
      }
      return `http-proxy-3/${version} on node ${process.version}`
    } catch {
      return undefined
    }
  },
  prepare: (setup) => bareProgram('http-proxy.ts', setup),
}

import { join } from 'node:path'
import type { Program } from '../processes.ts'
import type { Peer, Setup } from './peer.ts'

/**
 * Bare `node:https` (or `node:http2`) that answers every request itself: the floor under a gateway on Node.
 */
export const nodeHttps: Peer = {
  name: 'node:https',
  abilities: new Set(['handshake', 'idle', 'h1 static', 'h2 static']),
  version: () => `node ${process.version}`,
  prepare: (setup) => bareProgram(setup.protocol === 'h2' ? 'node-http2.ts' : 'node-https.ts', setup),
}

/** A program of ./bare, told its setup in one argument. */
export function bareProgram(file: string, setup: Setup): Program {
  return { command: process.execPath, args: [join(import.meta.dirname, 'bare', file), JSON.stringify(setup)] }
}

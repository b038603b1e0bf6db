import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Peer, smallBody } from './peer.ts'

const root = join(import.meta.dirname, '../../..')

/**
 * Sluice from this checkout, with its defaults: JSON access log, trace kept. Nothing is turned off but the
 * admin endpoint.
 */
export const sluice: Peer = {
  name: 'sluice',
  abilities: new Set(['handshake', 'idle', 'h1 static', 'h1 proxy', 'h2 static', 'h2 proxy', 'workers']),
  version() {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    return `sluice/${version} on node ${process.version}`
  },
  prepare({ folder, port, originPort, workers, certificate }) {
    const file = join(folder, 'sluice.json')
    const config = {
      listeners: [{ address: `127.0.0.1:${port}`, tls: true, http2: true }],
      tls: { certificates: [{ cert: certificate.certFile, key: certificate.keyFile }] },
      // The bench is one client, with all of the connections.
      limits: { connections: 6000, connectionsPerClient: 6000 },
      upstreams: { origin: { endpoints: [`http://127.0.0.1:${originPort}`] } },
      routes: [
        {
          name: 'static',
          match: { path: '/static' },
          respond: { status: 200, headers: { 'Content-Type': 'text/plain' }, body: smallBody },
        },
        { name: 'all', match: { path: '/*' }, proxy: 'origin' },
      ],
      accessLog: { format: 'json', path: join(folder, 'access.log') },
      admin: false,
    }
    writeFileSync(file, JSON.stringify(config, undefined, 2))
    return {
      command: process.execPath,
      args: [join(root, 'src/main.ts'), 'run', '-c', file],
      env: { SLUICE_WORKERS: String(workers) },
    }
  },
}

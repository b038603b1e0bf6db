import { defineGateway } from '../../src/index.ts'

/**
 * For outside probes: every path to one origin, over HTTPS and over plain HTTP, and nothing else in the way.
 * ORIGIN_PORT names the origin's port on 127.0.0.1 (default 8000).
 */
export default defineGateway({
  listeners: [
    { address: ':8443', tls: true },
    { address: ':8080', tls: false },
  ],
  upstreams: { origin: { endpoints: [`http://127.0.0.1:${process.env['ORIGIN_PORT'] ?? '8000'}`] } },
  routes: [{ match: { path: '/*' }, proxy: 'origin' }],
  admin: { address: '127.0.0.1:2019' },
})

import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import type { ResolvedGateway } from '../../src/config/gateway-options.ts'
import { bindPlan, boundOptions, planSource } from '../../src/workers/bound-plan.ts'

function resolved(config: Partial<GatewayConfig>): ResolvedGateway {
  const upstreams = { app: { endpoints: ['http://127.0.0.1:1'] } }
  return resolveConfig({ upstreams, ...config }, { baseDir: '/', env: {} }).config
}

const twoListeners = resolved({
  listeners: [
    { address: '127.0.0.1:0', tls: true },
    { address: '127.0.0.1:0', redirectToHttps: true },
  ],
})

test('finds a port for each listener that asks for any, and sends clients to the one of TLS', async () => {
  const [tls, plain] = await bindPlan(twoListeners.listeners, [], [])
  if (tls?.address.kind !== 'tcp' || plain?.address.kind !== 'tcp') throw new Error('expected two ports')
  expect(tls.address.port).toBeGreaterThan(0)
  expect(plain.address.port).toBeGreaterThan(0)
  expect(plain.address.port).not.toBe(tls.address.port)
  expect(plain.redirectPort).toBe(tls.address.port)
  expect(boundOptions(twoListeners.listeners[1] as never, plain)).toMatchObject({
    address: plain.address,
    redirectToHttps: { port: tls.address.port, status: 308 },
  })
})

test('a listener that was there keeps its port, though it is in use: by us', async () => {
  const before = await bindPlan(twoListeners.listeners, [], [])
  const held = createServer()
  const { address } = before[0] as (typeof before)[0]
  await new Promise<void>((resolve) => void held.listen(address, resolve))
  const after = await bindPlan(twoListeners.listeners, before, [])
  held.close()
  expect(after.map((listener) => [listener.key, listener.address])).toEqual(
    before.map((listener) => [listener.key, listener.address]),
  )
})

test('a configuration that can be posted is, with all that it holds', () => {
  const config = resolved({ guard: { deny: ['192.0.2.0/24'] }, trustedProxies: ['10.0.0.0/8'] })
  const source = planSource(config, { path: '/a.ts', fingerprint: 'abc' })
  expect(source.kind).toBe('resolved')
  expect(structuredClone(source)).toEqual(source)
})

test('one that holds functions is loaded by each worker from its file, and needs one', () => {
  const config = { ...resolved({}), later: () => {} }
  const file = { path: '/etc/sluice/sluice.config.ts', fingerprint: 'abc' }
  expect(planSource(config, file)).toEqual({ kind: 'file', ...file })
  expect(() => planSource(config, undefined)).toThrow(/could not be cloned/)
})

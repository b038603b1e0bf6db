import { describe, expect, it } from 'vitest'
import { ConfigError, printPath } from '../../src/config/faults.ts'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { resolveConfig } from '../../src/config/resolve.ts'

const app = { endpoints: ['http://127.0.0.1:3000'] }
const resolve = (config: GatewayConfig, env = {}) => resolveConfig(config, { baseDir: '/srv', env })
/** What is wrong with a configuration, whatever its shape. */
const faults = (config: unknown, env = {}): string[] => {
  try {
    resolve(config as GatewayConfig, env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
}
const hsts = (value: object) =>
  resolve({ upstreams: { app }, tls: { hsts: value } }).config.tls.strictTransportSecurity
const warnings = (config: GatewayConfig) =>
  resolve(config).warnings.map(({ path, message }) => `${path}: ${message}`)

describe('a small configuration', () => {
  it('sends everything to the only upstream when there are no routes', () => {
    const { config } = resolve({ upstreams: { app } })
    expect(config.routes).toMatchObject([
      {
        name: 'app',
        match: { hosts: [], paths: [] },
        action: { kind: 'proxy', upstream: 'app', host: 'client' },
      },
    ])
    expect(config.upstreams.get('app')?.endpoints).toMatchObject([
      { address: { text: 'http://127.0.0.1:3000' }, weight: 1 },
    ])
  })

  it('is completed by conservative defaults', () => {
    const { config, warnings: told } = resolve({ upstreams: { app } }, { SLUICE_WORKERS: '3' })
    expect(told).toEqual([])
    expect(config).toMatchObject({
      workers: 3,
      listeners: [
        {
          name: ':8443',
          tls: { preset: 'intermediate', certificates: [], clientAuth: 'none' },
          http2: true,
          redirectToHttps: undefined,
        },
        { name: ':8080', tls: undefined, http2: false, redirectToHttps: { port: 8443, status: 308 } },
      ],
      tls: { ticketRotationMs: 43_200_000, strictTransportSecurity: undefined },
      trustedProxies: [],
      limits: {
        maxConnections: 20_000,
        maxConnectionsPerClient: undefined,
        maxHttp2Streams: 100,
        request: {
          maxUriBytes: 16_384,
          maxHeaderBytes: 32_768,
          maxHeaderCount: 100,
          maxBodyBytes: 10_485_760,
        },
      },
      timeouts: {
        handshakeMs: 10_000,
        headerMs: 10_000,
        bodyMs: 20_000,
        minBodyRate: 500,
        idleMs: 60_000,
        writeMs: 30_000,
        halfCloseMs: 1_000,
        drainMs: 30_000,
        exchangeMs: undefined,
      },
      guard: { allow: [], deny: [] },
      accessLog: { format: 'json', path: '-' },
      logLevel: 'info',
      trace: { keep: 1_000 },
      admin: { address: { kind: 'tcp', host: '127.0.0.1', port: 2019 } },
    })
  })

  it('survives the way to a worker thread', () => {
    const { config } = resolve({
      upstreams: { app },
      routes: [{ redirect: { to: '/b' } }, { match: { path: '/a' }, proxy: 'app' }],
    })
    expect(structuredClone(config)).toEqual(config)
  })

  it('needs something to serve', () => {
    expect(faults({})).toEqual(['nothing to serve: there are no upstreams and no routes'])
    expect(faults({ upstreams: {} })).toEqual(['upstreams: expected at least one upstream, or routes'])
    expect(faults({ upstreams: { app }, routes: [] })).toEqual(['routes: expected at least one route'])
    expect(faults({ upstreams: { a: app, b: app } })).toEqual([
      'routes: required, as there are 2 upstreams to choose from',
    ])
    expect(faults({ routes: [{ respond: { status: 204 } }] })).toEqual([])
  })
})

describe('settings that reach the rooms', () => {
  it('gives a listener its own TLS settings over the common ones', () => {
    const { config } = resolve({
      listeners: [
        { address: ':443', tls: true },
        { address: '[::1]:444', tls: { preset: 'modern', clientAuth: 'require' }, http2: false },
        {
          address: ':80',
          redirectToHttps: { port: 443, status: 301 },
          proxyProtocol: { from: ['10.0.0.0/8'] },
        },
      ],
      tls: {
        certificates: [{ cert: 'a.pem', key: '/keys/a.key', names: ['*.A.example'] }],
        clientCa: 'ca.pem',
      },
      upstreams: { app },
    })
    const certificates = [{ certFile: '/srv/a.pem', keyFile: '/keys/a.key', names: ['*.a.example'] }]
    expect(config.listeners).toMatchObject([
      {
        tls: { preset: 'intermediate', certificates, clientAuth: 'none', clientCaFile: undefined },
        http2: true,
      },
      {
        tls: { preset: 'modern', certificates, clientAuth: 'require', clientCaFile: '/srv/ca.pem' },
        http2: false,
      },
      {
        redirectToHttps: { port: 443, status: 301 },
        proxyProtocol: { from: [{ family: 4, address: '10.0.0.0', prefix: 8 }] },
      },
    ])
  })

  it('writes the HSTS value', () => {
    expect(hsts({})).toBe('max-age=31536000')
    expect(hsts({ maxAge: '730d', includeSubDomains: true, preload: true })).toBe(
      'max-age=63072000; includeSubDomains; preload',
    )
  })

  it('lets SLUICE_WORKERS go before the option', () => {
    expect(resolve({ upstreams: { app }, workers: 2 }).config.workers).toBe(2)
    expect(resolve({ upstreams: { app }, workers: 2 }, { SLUICE_WORKERS: '4' }).config.workers).toBe(4)
    expect(resolve({ upstreams: { app }, workers: 2 }, { SLUICE_WORKERS: '' }).config.workers).toBe(2)
    expect(resolve({ upstreams: { app } }).config.workers).toBeGreaterThan(0)
    expect(faults({ upstreams: { app } }, { SLUICE_WORKERS: 'many' })).toEqual([
      'SLUICE_WORKERS: expected "auto" or a whole number from 1 to 256, got "many"',
    ])
  })

  it('turns admin and trace off', () => {
    const { config } = resolve({ upstreams: { app }, admin: false, trace: false })
    expect([config.admin, config.trace]).toEqual([undefined, { keep: 0 }])
  })

  it('takes more than one wish for no limit', () => {
    expect(resolve({ upstreams: { app }, timeouts: { exchange: '30s' } }).config.timeouts.exchangeMs).toBe(
      30_000,
    )
    expect(
      resolve({ upstreams: { app }, limits: { connectionsPerClient: 50 } }).config.limits
        .maxConnectionsPerClient,
    ).toBe(50)
  })
})

describe('faults', () => {
  it('are told all at once, those of options and those between options', () => {
    expect(
      faults({
        upstrems: {},
        upstreams: { app: { endpoints: ['localhost:3000'], idleTimeout: '10 bananas' } },
        listeners: [{ address: ':8443' }, { address: ':8443', tls: true }],
        limits: { body: 'much' },
        routes: [
          { match: { path: 'api' }, proxy: 'ap' },
          { proxy: 'app', redirect: { to: '/x' } },
        ],
      }).toSorted(),
    ).toEqual(
      [
        'listeners[1].address: listeners[0] listens there already',
        'limits.body: expected a size such as "10MiB", got "much"',
        'upstreams.app.endpoints[0]: expected an origin such as "http://127.0.0.1:3000", "https://origin.example" or "unix:/run/app.sock" (no path), got "localhost:3000"',
        'upstreams.app.idleTimeout: expected a duration above 0 such as "10s", got "10 bananas"',
        'routes[0].match.path: expected a path that begins with "/", got "api"',
        'routes[1]: expected exactly one of proxy, redirect, respond or maintenance, got 2',
        'unknown option "upstrems", did you mean "upstreams"?',
        'routes[0].proxy: no upstream is called "ap", did you mean "app"?',
      ].toSorted(),
    )
  })

  const both = [{ proxy: 'app' }]
  it.each<[string, object, string]>([
    [
      'an unknown upstream in an object',
      { routes: [{ proxy: { upstream: 'apq' } }] },
      'routes[0].proxy.upstream: no upstream is called "apq", did you mean "app"?',
    ],
    [
      'two routes that are the same',
      {
        routes: [
          { match: { host: ['A.example', 'b'], path: '/x' }, proxy: 'app' },
          { match: { path: ['/x'], host: ['b', 'a.example'] }, proxy: 'app' },
        ],
      },
      'routes[1].match: the same as that of routes[0], which is always preferred',
    ],
    [
      'two routes without a match',
      { routes: [...both, ...both] },
      'routes[1].match: the same as that of routes[0], which is always preferred',
    ],
    [
      'two routes of one name',
      {
        routes: [
          { name: 'a', proxy: 'app' },
          { name: 'a', match: { path: '/' }, proxy: 'app' },
        ],
      },
      'routes[1].name: "a" is already the name of routes[0]',
    ],
    [
      'a route without an action',
      { routes: [{ match: { path: '/x' } }] },
      'routes[0]: expected exactly one of proxy, redirect, respond or maintenance, got 0',
    ],
    [
      'a prefix that is not on the path',
      { routes: [{ match: { path: '/v1/*' }, rewrite: { stripPrefix: '/api' }, proxy: 'app' }] },
      'routes[0].rewrite.stripPrefix: expected the beginning of one of the route\'s paths, got "/api"',
    ],
    [
      'a star in the middle of a host',
      { routes: [{ match: { host: 'a.*.example' }, proxy: 'app' }] },
      'routes[0].match.host: expected a host without port, such as "api.example.com" or "*.example.com" (a star stands for whole labels at the left end), got "a.*.example"',
    ],
    [
      'one address twice, written differently',
      { listeners: [{ address: ':80' }, { address: '*:80' }] },
      'listeners[1].address: listeners[0] listens there already',
    ],
    [
      'a listener on the admin address',
      { listeners: [{ address: '127.0.0.1:2019' }] },
      'listeners[0].address: the admin endpoint listens there already',
    ],
    [
      'HTTP/2 without TLS',
      { listeners: [{ address: ':80', http2: true }] },
      'listeners[0].http2: expected only with TLS: browsers negotiate HTTP/2 there',
    ],
    [
      'a redirect on a TLS listener',
      { listeners: [{ address: ':443', tls: true, redirectToHttps: true }] },
      'listeners[0].redirectToHttps: expected only on a listener without TLS',
    ],
    [
      'a redirect to nowhere',
      { listeners: [{ address: ':80', redirectToHttps: true }] },
      'listeners[0].redirectToHttps: there is no TLS listener to send clients to; name its port: { port: 443 }',
    ],
    [
      'client certificates without authorities',
      { tls: { clientAuth: 'require' } },
      'tls.clientAuth: needs clientCa, the authorities that sign client certificates',
    ],
    [
      'the same on one listener',
      { listeners: [{ address: ':443', tls: { clientAuth: 'request' } }] },
      'listeners[0].tls.clientAuth: needs clientCa, the authorities that sign client certificates',
    ],
    [
      'preload without subdomains',
      { tls: { hsts: { preload: true } } },
      'tls.hsts.preload: needs includeSubDomains',
    ],
    [
      'preload for too short a time',
      { tls: { hsts: { preload: true, includeSubDomains: true, maxAge: '1d' } } },
      'tls.hsts.preload: needs a maxAge of at least 365d',
    ],
    [
      'an admin endpoint for everybody',
      { admin: { address: ':2019' } },
      'admin.address: expected a loopback address or "unix:", got ":2019": whoever reaches it can reload the gateway',
    ],
    [
      'an upstream without weight',
      { upstreams: { app: { endpoints: [{ url: 'http://a', weight: 0 }] } } },
      'upstreams.app.endpoints: expected an endpoint with a weight above 0',
    ],
    [
      'an upstream without endpoints',
      { upstreams: { app: { endpoints: [] } } },
      'upstreams.app.endpoints: expected at least 1 entry',
    ],
    [
      'a bad upstream name',
      { upstreams: { 'my app': app } },
      'upstreams["my app"]: bad name: expected a name (letters, digits, ".", "_", "-"; at most 64), got "my app"',
    ],
    [
      'an error page that is not there',
      { errorPages: { '404': 'none.html' } },
      "errorPages.404: cannot read the page: ENOENT: no such file or directory, open '/srv/none.html'",
    ],
  ])('name %s', (_, config, fault) => expect(faults({ upstreams: { app }, ...config })).toContain(fault))

  it.each<[string, object]>([
    [
      'the same path on two hosts',
      {
        routes: [
          { match: { path: '/x', host: 'a' }, proxy: 'app' },
          { match: { path: '/x', host: 'b' }, proxy: 'app' },
        ],
      },
    ],
    [
      'two listeners that ask for any port',
      { listeners: [{ address: '127.0.0.1:0' }, { address: '127.0.0.1:0' }] },
    ],
    ['one port on two addresses', { listeners: [{ address: '127.0.0.1:80' }, { address: '[::1]:80' }] }],
    [
      'a redirect with a port of its own',
      { listeners: [{ address: ':80', redirectToHttps: { port: 443 } }] },
    ],
    ['an admin endpoint on a socket', { admin: { address: 'unix:/run/admin.sock' } }],
    ['an admin endpoint on IPv6 loopback', { admin: { address: '[::1]:2019' } }],
    [
      'client certificates with authorities of the gateway',
      { tls: { clientCa: 'ca.pem' }, listeners: [{ address: ':443', tls: { clientAuth: 'require' } }] },
    ],
    ['plain HTTP and nothing else', { listeners: [{ address: ':80' }] }],
    ["an editor's schema", { $schema: './sluice.schema.json' }],
  ])('do not hit %s', (_, config) => expect(faults({ upstreams: { app }, ...config })).toEqual([]))

  it.each([
    null,
    5,
    'x',
    [],
    { routes: 5 },
    { routes: [null, 5, {}] },
    { upstreams: [] },
    { upstreams: { a: null } },
    { listeners: [null, { address: 5, tls: 7 }] },
    { tls: null, admin: 'x' },
  ])('are faults and no crashes: %j', (config) => expect(faults(config).length).toBeGreaterThan(0))

  it('carry their paths as data', () => {
    try {
      resolve({ upstreams: { app }, routes: [{ proxy: 'ap' }] })
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({
        code: 'bad_configuration',
        file: undefined,
        faults: [{ path: 'routes[0].proxy' }],
      })
    }
  })

  it('quote names that are no words', () => {
    expect(printPath(['routes', 2, 'match', 'headers', 'x a'])).toBe('routes[2].match.headers["x a"]')
    expect(printPath([])).toBe('')
  })
})

describe('warnings', () => {
  it.each<[GatewayConfig, string]>([
    [{ upstreams: { app, spare: app }, routes: [{ proxy: 'app' }] }, 'upstreams.spare: no route uses it'],
    [
      { upstreams: { app }, trustedProxies: ['0.0.0.0/0'] },
      'trustedProxies[0]: trusts every client to name its own address',
    ],
    [
      { upstreams: { app }, listeners: [{ address: ':80', proxyProtocol: { from: ['::/0'] } }] },
      'listeners[0].proxyProtocol.from[0]: lets every client name its own address',
    ],
    [{ upstreams: { app }, tls: { clientCa: 'ca.pem' } }, 'tls.clientCa: not used: clientAuth is none'],
    [
      { upstreams: { app }, listeners: [{ address: ':80' }], tls: { hsts: {} } },
      'tls.hsts: not used: no listener has TLS',
    ],
    [{ upstreams: { app: { ...app, tls: {} } } }, 'upstreams.app.tls: not used: no endpoint is https'],
    [
      { upstreams: { app: { endpoints: ['https://a'], tls: { verify: false } } } },
      'upstreams.app.tls.verify: off: anyone on the path can read and change the traffic',
    ],
  ])('are told: %j', (config, warning) => expect(warnings(config)).toEqual([warning]))
})

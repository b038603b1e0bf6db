import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/faults.ts'
import { findConfig } from '../../src/config/find.ts'
import { loadConfig } from '../../src/config/load.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const write = (name: string, text: string) => {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}
/** The faults of a file, one a line, with the file's own name left out. */
const faults = async (name: string, text: string, env = {}): Promise<string[]> => {
  const path = write(name, text)
  try {
    await loadConfig(path, env)
    return []
  } catch (error) {
    if (error instanceof ConfigError)
      return error.message.split('\n').map((line) => line.replace(`${path}:`, '').trim())
    throw error
  }
}

describe('YAML', () => {
  it('is loaded with its paths taken from its own folder and its environment filled in', async () => {
    const path = write(
      'sub/gateway.yaml',
      [
        '# yaml-language-server: $schema=../sluice.schema.json',
        'workers: ${WORKERS:-2}',
        'listeners: [{ address: "unix:run/gateway.sock" }]',
        'upstreams:',
        '  app: &app { endpoints: ["http://127.0.0.1:${PORT}"], idleTimeout: 5s }',
        '  other: { <<: *app, idleTimeout: 6s }',
        'routes:',
        '  - { match: { path: /api/* }, proxy: other }',
        '  - proxy: app',
      ].join('\n'),
    )
    const { config, source, warnings } = await loadConfig(path, { PORT: '3000' })
    expect(config.workers).toBe(2)
    expect(config.listeners[0]?.address).toEqual({ kind: 'unix', path: join(folder, 'sub/run/gateway.sock') })
    expect(config.upstreams.get('app')).toMatchObject({
      idleTimeoutMs: 5_000,
      endpoints: [{ address: { port: 3000 } }],
    })
    expect(config.upstreams.get('other')).toMatchObject({
      idleTimeoutMs: 6_000,
      endpoints: [{ address: { port: 3000 } }],
    })
    expect(source).toEqual({ path, fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) })
    expect(warnings).toEqual([])
  })

  it('tells five faults of five kinds at once, each with line and column', async () => {
    const text = [
      'upstreams:',
      '  app:',
      '    endpoints: ["http://${ORIGIN}"]',
      '    idleTimeout: 10 bananas',
      'routes:',
      '  - proxy: apq',
      '  - match:',
      '      path: /x',
      '      pth: /y',
      '    maxBody: -1',
      '    proxy: app',
    ].join('\n')
    expect(await faults('five.yaml', text)).toEqual([
      '3:17: upstreams.app.endpoints[0]: the environment variable ORIGIN is not set; ${ORIGIN:-default} would give it a default',
      '4:18: upstreams.app.idleTimeout: expected a duration above 0 such as "10s", got "10 bananas"',
      '6:12: routes[0].proxy: no upstream is called "apq", did you mean "app"?',
      '9:7: routes[1].match: unknown option "pth", did you mean "path"?',
      '10:14: routes[1].maxBody: expected a size such as "10MiB", got -1',
    ])
  })

  it('says where its syntax is wrong, in every place', async () => {
    expect(await faults('syntax.yaml', 'workers: 1\nworkers: 2\nroutes: [1\n')).toEqual([
      '2:1: Map keys must be unique',
      expect.stringMatching(/^\d+:\d+: Flow sequence/),
    ])
    expect(await faults('tag.yaml', 'workers: !!js/function "x"')).toEqual([
      expect.stringMatching(/^1:10: Unresolved tag/),
    ])
    expect(await faults('two.yaml', 'workers: 1\n---\nworkers: 2\n')).toHaveLength(1)
  })

  it('refuses aliases that blow up, and nesting without end', async () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
    for (const [one, next] of ['ab', 'bc', 'cd', 'de', 'ef'].map((pair) => pair.split(''))) {
      bomb.push(`${next}: &${next} [${Array(10).fill(`*${one}`).join()}]`)
    }
    expect(await faults('bomb.yaml', bomb.join('\n'))).toEqual([
      expect.stringContaining('Excessive alias count'),
    ])
    expect((await faults('deep.yaml', '['.repeat(20_000))).length).toBeGreaterThan(0)
  })

  it('is a fault when empty, too large, missing or of an unknown kind', async () => {
    expect(await faults('empty.yaml', '')).toEqual([expect.stringContaining('nothing to serve')])
    expect(await faults('large.yaml', `# ${'x'.repeat(9 * 1_048_576)}`)).toEqual([
      'larger than 8388608 bytes',
    ])
    expect(await faults('gateway.toml', '')).toEqual([
      'expected a file that ends in .ts, .mts, .js, .mjs, .json, .yaml, .yml',
    ])
    await expect(loadConfig(join(folder, 'none.yaml'), {})).rejects.toThrow('cannot be read: ENOENT')
    await expect(loadConfig(folder, {})).rejects.toThrow(ConfigError)
  })
})

describe('JSON', () => {
  it('is loaded', async () => {
    const path = write(
      'gateway.json',
      '{\n\t"$schema": "./sluice.schema.json",\n\t"upstreams": { "app": { "endpoints": ["http:\\/\\/a:${PORT:-1}"] } }\n}\n',
    )
    const { config } = await loadConfig(path, {})
    expect(config.upstreams.get('app')?.endpoints[0]?.address.text).toBe('http://a:1')
  })

  it('has its faults with line and column', async () => {
    expect(
      await faults('a.json', '{\n  "upstreams": { "app": { "endpoints": ["a"] } },\n  "workers": 1.5\n}'),
    ).toEqual([
      expect.stringMatching(/^2:41: upstreams\.app\.endpoints\[0\]: expected an origin/),
      '3:14: workers: expected "auto" or a whole number from 1 to 256, got 1.5',
    ])
    expect(await faults('b.json', '{\n  "workers": two\n}')).toEqual(['2:14: Unresolved plain scalar "two"'])
    expect(await faults('c.json', '{ "workers": 1')).toHaveLength(1)
  })
})

/** Programs are loaded by Node itself, in a process of its own: the test runner has a loader that knows nothing of ours. */
const run = (script: string): unknown => {
  const index = new URL('../../src/index.ts', import.meta.url).href
  const text = `import { loadConfig, ConfigError } from ${JSON.stringify(index)}\nimport { writeFileSync } from 'node:fs'\n${script}`
  const runner = write('runner.mts', text)
  const binary = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url))
  return JSON.parse(execFileSync(binary, [runner], { encoding: 'utf8', timeout: 15_000 }))
}

describe('TypeScript and JavaScript', () => {
  it('import "sluice" without an installation, and other files', () => {
    const path = write(
      'ts/sluice.config.ts',
      [
        "import { defineGateway } from 'sluice'",
        "import type { GatewayConfig } from 'sluice'",
        "import { app } from './app.ts'",
        "const routes: GatewayConfig['routes'] = [{ proxy: 'app' }]",
        'export default defineGateway(async ({ env }) => ({ workers: Number(env.COUNT), upstreams: { app }, routes }))',
      ].join('\n'),
    )
    write('ts/app.ts', "export const app = { endpoints: ['http://127.0.0.1:3000'] }")
    expect(
      run(`
        const { config } = await loadConfig(${JSON.stringify(path)}, { COUNT: '3' })
        console.log(JSON.stringify([config.workers, config.upstreams.get('app').endpoints[0].address.text]))`),
    ).toEqual([3, 'http://127.0.0.1:3000'])
  })

  it('are read anew at each load, imported files included', () => {
    const path = write(
      'again/sluice.config.mjs',
      "import { workers } from './workers.mjs'\nexport default { workers, upstreams: { app: { endpoints: ['http://a'] } } }",
    )
    const imported = write('again/workers.mjs', 'export const workers = 1')
    expect(
      run(`
        const load = () => loadConfig(${JSON.stringify(path)}, {})
        const first = await load()
        const second = await load()
        writeFileSync(${JSON.stringify(imported)}, 'export const workers = 2')
        const third = await load()
        console.log(JSON.stringify([
          first.config.workers, second.config.workers, third.config.workers,
          first.source.fingerprint === second.source.fingerprint,
          first.source.fingerprint === third.source.fingerprint,
        ]))`),
    ).toEqual([1, 1, 2, true, false])
  })

  it('say in which line they fail', () => {
    const files = [
      write(
        'fail/throws.ts',
        "export default { workers: make() }\nfunction make(): number {\n  throw new TypeError('boom')\n}",
      ),
      write('fail/syntax.ts', 'export default {\n  workers: 1,,\n}'),
      write('fail/missing.ts', "import './nowhere.ts'\nexport default {}"),
      write('fail/nothing.ts', 'export const config = {}'),
      write('fail/rejects.ts', "export default async () => {\n  throw new Error('no')\n}"),
      write('fail/faulty.ts', 'export default { upstrems: {} }'),
    ]
    const lines = run(`
      const lines = []
      for (const file of ${JSON.stringify(files)}) {
        await loadConfig(file, {}).catch((error) => lines.push(error instanceof ConfigError ? error.message : String(error)))
      }
      console.log(JSON.stringify(lines))`)
    expect(lines).toEqual([
      `${files[0]}:3:9: cannot be loaded: TypeError: boom`,
      expect.stringMatching(/syntax\.ts:2:\d+: cannot be loaded: SyntaxError: /),
      expect.stringMatching(/missing\.ts: cannot be loaded: Cannot find module '.*nowhere\.ts'/),
      `${files[3]}: expected a configuration: export default defineGateway({ ... })`,
      `${files[4]}:2:9: cannot be loaded: no`,
      expect.stringContaining('unknown option "upstrems", did you mean "upstreams"?'),
    ])
  })
})

describe('the place of the configuration', () => {
  it('is -c, then SLUICE_CONFIG, then the working folder, then the system folder', () => {
    const cwd = join(folder, 'find')
    const systemDir = join(folder, 'find/etc')
    const [yaml, ts, named] = ['find/sluice.config.yaml', 'find/sluice.config.ts', 'find/other.json'].map(
      (name) => write(name, ''),
    )
    const system = write('find/etc/sluice.config.json', '')
    const env = { SLUICE_CONFIG: 'other.json' }
    expect(findConfig({ path: 'sluice.config.yaml', env, cwd, systemDir })).toEqual({
      path: yaml,
      passedOver: [],
    })
    expect(findConfig({ env, cwd, systemDir })).toEqual({ path: named, passedOver: [] })
    expect(findConfig({ env: {}, cwd, systemDir })).toEqual({ path: ts, passedOver: [yaml] })
    expect(findConfig({ env: { SLUICE_CONFIG: '' }, cwd: join(folder, 'none'), systemDir })?.path).toBe(
      system,
    )
    expect(
      findConfig({ env: {}, cwd: join(folder, 'none'), systemDir: join(folder, 'none') }),
    ).toBeUndefined()
  })

  it('is a fault when it was named and is not there', () => {
    expect(() => findConfig({ path: 'none.ts', env: {}, cwd: folder })).toThrow('none.ts: no such file')
    expect(() => findConfig({ env: { SLUICE_CONFIG: 'none.ts' }, cwd: folder })).toThrow(
      'none.ts: no such file (named by SLUICE_CONFIG)',
    )
  })
})

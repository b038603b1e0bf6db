import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseArguments } from '../src/cli/arguments.ts'
import { makeServerCertificate } from './support/certificates.ts'
import { startOrigin, type TestOrigin } from './support/demo-origin.ts'
import { startTestGateway, type TestGateway } from './support/gateway.ts'
import { runSluice } from './support/gateway-process.ts'

/** Everything that the README shows is run here, as it stands there. */
const root = new URL('../', import.meta.url)
const readme = await readFile(new URL('README.md', root), 'utf8')
const run = promisify(execFile)

const blocks = (kind: string): string[] =>
  [...readme.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].flatMap((found) =>
    found[1] === kind ? [found[2] as string] : [],
  )

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-readme-'))
  await mkdir(join(folder, 'certs'))
  const { cert, key } = await makeServerCertificate(['example.com'])
  await writeFile(join(folder, 'certs/example.pem'), cert)
  await writeFile(join(folder, 'certs/example.key'), key)
})
afterAll(() => rm(folder, { recursive: true }))

async function check(name: string, text: string): Promise<{ code: number | null; said: string }> {
  await writeFile(join(folder, name), text)
  const sluice = runSluice(['check', '-c', name], { cwd: folder })
  return { code: await sluice.exit, said: sluice.out() + sluice.error() }
}

describe('configurations in the README', () => {
  it('are there', () => {
    expect(blocks('ts')).toHaveLength(1)
    expect(blocks('yaml')).toHaveLength(2)
  })

  it.each(blocks('ts').map((text, at) => [at, text] as const))(
    'in TypeScript are sound (%i)',
    async (at, text) => {
      expect(await check(`recipe-${at}.config.ts`, text)).toMatchObject({ code: 0 })
    },
  )

  it.each(blocks('yaml').map((text, at) => [at, text] as const))(
    'in YAML are sound (%i)',
    async (at, text) => {
      expect(await check(`recipe-${at}.config.yaml`, text)).toMatchObject({ code: 0 })
    },
  )

  it('with faults get the report shown', async () => {
    const shown = blocks('console').find((text) => text.startsWith('$ sluice check')) ?? ''
    const { code, said } = await check('sluice.config.yaml', blocks('yaml faulty')[0] ?? '')
    expect(code).toBe(1)
    const lines = said
      .trim()
      .split('\n')
      .map((line) => line.replace(`${folder}/`, ''))
    expect(lines).toEqual(shown.trim().split('\n').slice(1))
  })
})

describe('commands in the README', () => {
  const scripts = readFile(new URL('package.json', root), 'utf8').then(
    (text) => (JSON.parse(text) as { scripts: Record<string, string> }).scripts,
  )

  it('of npm are scripts of the package', async () => {
    const known = await scripts
    for (const [, script] of readme.matchAll(/npm run (?:-s )?([a-z]+)/g))
      expect(known).toHaveProperty(script as string)
    expect(known).toHaveProperty('start')
    expect(known).toHaveProperty('test')
  })

  it('of sluice are understood', () => {
    const words = [...readme.matchAll(/`(?:sluice|npm start --|npm run -s sluice --) ([^`\n]+)`/g)].map(
      (found) => found[1] as string,
    )
    expect(words.length).toBeGreaterThan(5)
    for (const line of words) expect([line, parseArguments(line.split(' ')).verb]).not.toContain('fault')
  })
})

const hasCurl = spawnSync('curl', ['--version']).status === 0

describe.skipIf(!hasCurl)('requests in the README (they need curl)', () => {
  let origin: TestOrigin
  let gateway: TestGateway
  beforeAll(async () => {
    origin = await startOrigin()
    gateway = await startTestGateway({
      listeners: [
        { address: '127.0.0.1:0', tls: true },
        { address: '127.0.0.1:0', redirectToHttps: true },
      ],
      upstreams: { app: { endpoints: [origin.url] } },
    })
  })
  afterAll(async () => {
    await gateway?.stop()
    await origin?.stop()
  })

  const commands = blocks('sh').filter((text) => text.startsWith('curl '))

  it('are three', () => expect(commands).toHaveLength(3))

  it.each(commands)('get an answer: %s', async (command) => {
    const here = command
      .trim()
      .replace('https://localhost:8443', gateway.url)
      .replace('http://localhost:8080', gateway.plainUrl)
    const [program, ...words] = here.split(' ')
    const { stdout } = await run(program as string, ['-sS', ...words, '-w', '\n%{http_code}'])
    expect(stdout).toMatch(/\n(200|308)$/)
  })
})

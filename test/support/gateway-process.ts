import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { testDefaults } from './gateway.ts'

const mainFile = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** A `sluice` process, as users run it. */
export interface SluiceProcess {
  readonly child: ChildProcess
  /** What it wrote so far. */
  readonly out: () => string
  readonly error: () => string
  readonly exit: Promise<number | null>
  /** Resolves with the text once standard error holds it; rejects when the process ends first. */
  saw(text: string | RegExp): Promise<RegExpMatchArray>
}

export interface SluiceOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs `sluice` with these words. Kill what you start. */
export function runSluice(words: readonly string[], { cwd, env = {} }: SluiceOptions = {}): SluiceProcess {
  const child = spawn(process.execPath, [mainFile, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', ...env },
    ...(cwd === undefined ? {} : { cwd }),
  })
  let out = ''
  let error = ''
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (out += piece))
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (error += piece))
  const exit = new Promise<number | null>((resolve) => void child.once('close', resolve))
  return {
    child,
    out: () => out,
    error: () => error,
    exit,
    saw: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = error.match(text)
          if (found !== null) resolve(found)
        }
        child.stderr.on('data', look)
        void exit.then((code) => reject(new Error(`ended with ${code} before it said ${text}: ${error}`)))
        look()
      }),
  }
}

/** A folder with a configuration in it, as JSON; by default one worker, free ports and no admin endpoint. */
export async function configFolder(
  config: Partial<GatewayConfig> | string,
): Promise<{ readonly folder: string; readonly file: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-process-'))
  const file = join(folder, 'sluice.config.json')
  await writeFile(
    file,
    typeof config === 'string' ? config : JSON.stringify({ ...testDefaults(), ...config }),
  )
  return { folder, file, remove: () => rm(folder, { recursive: true }) }
}

/** The ports of a gateway that says it has started, in the order of its listeners, and its admin address. */
export async function startedAt(sluice: SluiceProcess): Promise<{ ports: number[]; admin: string }> {
  const [line = ''] = await sluice.saw(/^.*"gateway started".*$/m)
  const facts = JSON.parse(line) as { listeners: string; admin?: string }
  return {
    ports: facts.listeners.split(' ').map((address) => Number(address.split(':').at(-1))),
    admin: facts.admin ?? '',
  }
}

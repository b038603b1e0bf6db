import { spawn, spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Everything the bench starts, and nothing else, is ended here: by process group, each the child's own, also
 * when the bench fails or is interrupted.
 */
const graceMs = 3_000

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Placement {
  /** For `taskset -c`: "0", "1" or "0,1". */
  readonly cpus: string
  /** Where `NAME.out` and `NAME.err` are written. */
  readonly folder: string
  readonly name: string
}

export interface Running {
  readonly pid: number
  readonly outFile: string
  /** Ends when the process does; a signal counts as code -1. Never rejects. */
  readonly exited: Promise<number>
  readonly hasExited: () => boolean
  /** The last lines of what it said on standard error (or output, when that is empty). */
  readonly complaint: () => string
  /** Asks it to end, insists after 3 s, and waits for it. */
  readonly stop: () => Promise<void>
}

const groups = new Set<number>()
const canPin = isInstalled('taskset')

/** Starts a program, pinned to its processors. Throws when it cannot be started at all. */
export async function start(program: Program, placement: Placement): Promise<Running> {
  const words = [...(canPin ? ['taskset', '-c', placement.cpus] : []), program.command, ...program.args]
  const outFile = join(placement.folder, `${placement.name}.out`)
  const errFile = join(placement.folder, `${placement.name}.err`)
  const out = openSync(outFile, 'w')
  const err = openSync(errFile, 'w')
  const child = spawn(words[0] as string, words.slice(1), {
    detached: true,
    stdio: ['ignore', out, err],
    env: { ...process.env, ...program.env },
  })
  closeSync(out)
  closeSync(err)
  const { promise: exited, resolve } = Promise.withResolvers<number>()
  child.once('exit', (code) => resolve(code ?? -1))
  await new Promise<void>((started, failed) => {
    child.once('spawn', started)
    child.once('error', failed)
  })
  const pid = child.pid as number
  groups.add(pid)
  let over = false
  // What is left of the group has lost its head: nginx workers outlive a master that was killed.
  void exited.then(() => {
    over = true
    signal(pid, 'SIGKILL')
    groups.delete(pid)
  })
  return {
    pid,
    outFile,
    exited,
    hasExited: () => over,
    complaint: () => tail(errFile) || tail(outFile) || 'it said nothing',
    async stop() {
      if (over) return
      signal(pid, 'SIGTERM')
      const insist = setTimeout(() => signal(pid, 'SIGKILL'), graceMs)
      await exited
      clearTimeout(insist)
    },
  }
}

/**
 * Runs a program to its end and returns what it printed. Throws when it fails or takes longer than `limitMs`.
 */
export async function run(program: Program, placement: Placement, limitMs: number): Promise<string> {
  const running = await start(program, placement)
  let late = false
  const limit = setTimeout(() => {
    late = true
    void running.stop()
  }, limitMs)
  const code = await running.exited
  clearTimeout(limit)
  if (late) throw new Error(`${program.command} was not done after ${limitMs} ms`)
  if (code !== 0) throw new Error(`${program.command} ended with ${code}: ${running.complaint()}`)
  return readFileSync(running.outFile, 'utf8')
}

/** For the end of the bench, however it comes: kills every group that is still there, at once. */
export function killAll(): void {
  for (const pid of groups) signal(pid, 'SIGKILL')
  groups.clear()
}

export function isInstalled(command: string): boolean {
  return firstLine(command, ['--version']) !== undefined
}

/** The first line a program prints (on either stream), or undefined when there is no such program. */
export function firstLine(command: string, args: readonly string[]): string | undefined {
  const ended = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 })
  if (ended.error !== undefined) return undefined
  return `${ended.stdout}${ended.stderr}`.trim().split('\n')[0] ?? ''
}

export const pinned: boolean = canPin

function signal(group: number, name: NodeJS.Signals): void {
  try {
    process.kill(-group, name)
  } catch {
    // Gone already.
  }
}

function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().split('\n').slice(-5).join('\n')
  } catch {
    return ''
  }
}

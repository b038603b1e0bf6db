import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Placement, type Program, run } from './processes.ts'
import type { LoadScenario } from './scenarios.ts'
import { quantile } from './statistics.ts'

/** What a load generator says about its window. */
export interface LoadResult {
  /** Completed, good or bad. For handshakes: connections made. */
  readonly requests: number
  readonly micros: number
  readonly p99Micros: number
  /** Failed connections, reads, writes and timeouts, and answers other than 2xx. */
  readonly errors: number
}

const graceMs = 20_000

/** Drives one scenario against a server for that many seconds, to the end of the last request. */
export async function drive(
  scenario: LoadScenario,
  port: number,
  seconds: number,
  placement: Placement,
): Promise<LoadResult> {
  const url = `https://127.0.0.1:${port}${scenario.path}`
  return scenario.protocol === 'h1'
    ? await runWrk(scenario, url, seconds, placement)
    : await runH2load(scenario, url, seconds, placement)
}

/** Full or resumed handshakes by our own client: openssl's s_time resumes only together with a request. */
export async function driveHandshakes(
  resumed: boolean,
  port: number,
  seconds: number,
  placement: Placement,
): Promise<LoadResult> {
  const program = clientProgram('handshakes.ts', { port, seconds, resumed })
  return lastLine(await run(program, placement, seconds * 1_000 + graceMs)) as LoadResult
}

export function clientProgram(file: string, task: object): Program {
  return {
    command: process.execPath,
    args: [join(import.meta.dirname, 'clients', file), JSON.stringify(task)],
  }
}

/** The last JSON line of an output. */
export function lastLine(output: string): unknown {
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
}

async function runWrk(
  { connections, postBytes }: LoadScenario,
  url: string,
  seconds: number,
  placement: Placement,
): Promise<LoadResult> {
  const script = join(import.meta.dirname, 'wrk-report.lua')
  const post = postBytes === undefined ? [] : ['--', String(postBytes)]
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url, ...post]
  return lastLine(await run({ command: 'wrk', args }, placement, seconds * 1_000 + graceMs)) as LoadResult
}

async function runH2load(
  { connections, streams }: LoadScenario,
  url: string,
  seconds: number,
  placement: Placement,
): Promise<LoadResult> {
  const log = join(placement.folder, `${placement.name}.requests`)
  const args = ['-t1', `-c${connections}`, `-m${streams}`, '-D', `${seconds}s`, `--log-file=${log}`, url]
  const printed = await run({ command: 'h2load', args }, placement, seconds * 1_000 + graceMs)
  const done = find(printed, /^requests: .* (\d+) done,/m)
  const failed = find(printed, / (\d+) failed,/)
  const good = find(printed, /^status codes: (\d+) 2xx/m)
  const latencies = (await readFile(log, 'utf8'))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Number(line.split('\t')[2]))
  return {
    requests: done,
    micros: seconds * 1e6,
    p99Micros: quantile(latencies, 0.99),
    errors: failed + Math.max(0, done - good),
  }
}

function find(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new Error(`cannot read what h2load printed:\n${text}`)
  return Number(found)
}

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMicros, processTree, residentBytes } from './cpu.ts'
import { clientProgram, drive, driveHandshakes, lastLine, type LoadResult } from './load.ts'
import { awaitListening, checkAnswer, freePort } from './probe.ts'
import { type Running, start } from './processes.ts'
import { isShared, type Scenario } from './scenarios.ts'
import { originProgram } from './servers/origin.ts'
import { type CertificateFiles, type Peer, smallBody } from './servers/peer.ts'

/** One server in one scenario in one round. */
export type Sample = LoadSample | MemorySample

export interface LoadSample {
  readonly kind: 'load'
  /** Processor time of the server, all threads and children, per request. */
  readonly cpuMicrosPerRequest: number
  readonly requestsPerSecond: number
  readonly p99Ms: number
  /** Processor time over the window: 1 is one core, always busy. */
  readonly busyCores: number
  readonly errors: number
  readonly tls: string
}

export interface MemorySample {
  readonly kind: 'memory'
  readonly bytes: number
  readonly bytesPerConnection: number
  readonly errors: number
  readonly tls: string
}

export interface Conditions {
  /** The bench's own folder. */
  readonly folder: string
  readonly certificate: CertificateFiles
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly cpus: { readonly server: string; readonly load: string; readonly both: string }
}

const settleMs = 2_000

/**
 * Starts origin and server afresh, warms them up, measures, and ends them. Throws when any of it goes wrong.
 */
export async function measure(
  scenario: Scenario,
  peer: Peer,
  workers: number,
  conditions: Conditions,
): Promise<Sample> {
  const folder = await mkdtemp(join(conditions.folder, 'run-'))
  const shared = isShared(scenario)
  const serverCpus = shared ? conditions.cpus.both : conditions.cpus.server
  const loadCpus = shared ? conditions.cpus.both : conditions.cpus.load
  const started: Running[] = []
  try {
    const originPort = await freePort()
    const origin = await start(originProgram(folder, originPort), { folder, name: 'origin', cpus: loadCpus })
    started.push(origin)
    await awaitListening(origin, originPort)
    // Its configuration and log would meet those of the origin: a folder of its own.
    const own = await mkdtemp(join(folder, 'server-'))
    const port = await freePort()
    const { certificate } = conditions
    const program = peer.prepare({
      folder: own,
      port,
      originPort,
      workers,
      protocol: scenario.protocol,
      certificate,
    })
    const server = await start(program, { folder: own, name: 'server', cpus: serverCpus })
    started.push(server)
    await awaitListening(server, port)
    const sample = await sampleOf(scenario, server, port, conditions, loadCpus, folder, started)
    if (server.hasExited()) throw new Error(`died under load: ${server.complaint()}`)
    return sample
  } finally {
    for (const running of started.toReversed()) await running.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function sampleOf(
  scenario: Scenario,
  server: Running,
  port: number,
  { seconds, warmUpSeconds }: Conditions,
  cpus: string,
  folder: string,
  started: Running[],
): Promise<Sample> {
  switch (scenario.kind) {
    case 'load': {
      const { protocol, path, postBytes, answerBytes } = scenario
      const tls = await checkAnswer(port, protocol, path, postBytes, answerBytes)
      await drive(scenario, port, warmUpSeconds, { folder, cpus, name: 'warm-up' })
      return await window(server, tls, () => drive(scenario, port, seconds, { folder, cpus, name: 'load' }))
    }
    case 'handshake': {
      const tls = await checkAnswer(port, 'h1', '/static', undefined, smallBody.length)
      const { resumed } = scenario
      await driveHandshakes(resumed, port, warmUpSeconds, { folder, cpus, name: 'warm-up' })
      return await window(server, tls, () =>
        driveHandshakes(resumed, port, seconds, { folder, cpus, name: 'load' }),
      )
    }
    case 'idle': {
      const tls = await checkAnswer(port, 'h1', '/static', undefined, smallBody.length)
      return await hold(scenario.connections, server, port, cpus, folder, started, tls)
    }
    default:
      return scenario satisfies never
  }
}

async function window(server: Running, tls: string, load: () => Promise<LoadResult>): Promise<LoadSample> {
  const pids = processTree(server.pid)
  const before = cpuMicros(pids)
  const { requests, micros, p99Micros, errors } = await load()
  const used = cpuMicros(pids) - before
  if (requests === 0) throw new Error(`no request was answered, ${errors} failed`)
  return {
    kind: 'load',
    cpuMicrosPerRequest: used / requests,
    requestsPerSecond: requests / (micros / 1e6),
    p99Ms: p99Micros / 1_000,
    busyCores: used / micros,
    errors,
    tls,
  }
}

async function hold(
  connections: number,
  server: Running,
  port: number,
  cpus: string,
  folder: string,
  started: Running[],
  tls: string,
): Promise<MemorySample> {
  const pids = processTree(server.pid)
  const before = residentBytes(pids)
  const program = clientProgram('idle-connections.ts', { port, connections })
  const client = await start(program, { folder, cpus, name: 'idle' })
  started.push(client)
  const endMs = performance.now() + 60_000
  while ((await readFile(client.outFile, 'utf8')) === '') {
    if (client.hasExited()) throw new Error(`the client ended: ${client.complaint()}`)
    if (performance.now() > endMs) throw new Error(`${connections} connections were not open after 60 s`)
    await sleep(100)
  }
  await sleep(settleMs)
  const bytes = residentBytes(pids)
  const { open } = lastLine(await readFile(client.outFile, 'utf8')) as { open: number }
  return {
    kind: 'memory',
    bytes,
    bytesPerConnection: (bytes - before) / connections,
    errors: connections - open,
    tls,
  }
}

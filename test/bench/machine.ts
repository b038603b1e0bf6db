import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { firstLine, pinned } from './processes.ts'

/** Where the figures come from: without it they mean nothing. */
export function describeMachine(): string[] {
  const [one, five] = loadavg() as [number, number, number]
  const lines = [
    `machine  ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores, ${gib(totalmem())} GiB, ${type()} ${release()}`,
    `tools    ${toolVersions().join(', ')}`,
    `load     ${one.toFixed(2)} (1 min), ${five.toFixed(2)} (5 min) at the start`,
  ]
  if (one > 0.5) lines.push('WARNING  the machine is busy with other work: these figures are rough')
  if (!pinned) lines.push('WARNING  no taskset: servers and load share all cores')
  if (availableParallelism() < 2) lines.push('WARNING  one core only: servers and load share it')
  return lines
}

export function describeLoadNow(stolen: number): string {
  return `load     ${loadavg()[0]?.toFixed(2)} (1 min) at the end, ${(stolen * 100).toFixed(1)}% of the time stolen by the host`
}

/** First core for the server, second for the load generator and the origin. */
export function chooseCpus(): { readonly server: string; readonly load: string; readonly both: string } {
  return availableParallelism() < 2
    ? { server: '0', load: '0', both: '0' }
    : { server: '0', load: '1', both: '0,1' }
}

function toolVersions(): string[] {
  const wrk = firstLine('wrk', ['-v'])?.split(' [')[0]
  const h2load = firstLine('h2load', ['--version'])
  return [wrk ?? 'no wrk', h2load ?? 'no h2load', `clients on node ${process.version}`]
}

function gib(bytes: number): string {
  return (bytes / 1024 ** 3).toFixed(1)
}

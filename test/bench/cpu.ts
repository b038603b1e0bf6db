import { readdirSync, readFileSync } from 'node:fs'

/**
 * What the kernel accounts to a process, its threads and its descendants.
 * A process that ends while it is being read counts as nothing: servers under test keep theirs for the whole
 * window.
 */

// USER_HZ, which is 100 on every architecture that Linux is common on.
const ticksPerSecond = 100

interface ProcessTimes {
  readonly parent: number
  /** User and system time, its own and that of children it has waited for, microseconds. */
  readonly micros: number
}

/** `pid` and everything that descends from it, alive now. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const other = Number(name)
    if (!Number.isInteger(other)) continue
    const times = readTimes(other)
    if (times === undefined) continue
    const siblings = children.get(times.parent)
    if (siblings === undefined) children.set(times.parent, [other])
    else siblings.push(other)
  }
  const tree = [pid]
  for (let at = 0; at < tree.length; at += 1) tree.push(...(children.get(tree[at] as number) ?? []))
  return tree
}

/** Processor microseconds used so far by all of `pids`. Resolution: 10 ms. */
export function cpuMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (readTimes(pid)?.micros ?? 0), 0)
}

/**
 * Resident bytes of all of `pids`, where a page that several of them map is counted once (PSS).
 * nginx's master and workers would look twice their size otherwise.
 */
export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const kib = /^Pss:\s+(\d+) kB/m.exec(readProc(`${pid}/smaps_rollup`) ?? '')?.[1]
    return sum + Number(kib ?? 0) * 1024
  }, 0)
}

/** Share of all processor time that the hypervisor gave to others since `before`, 0 to 1. */
export function stolenShare(before: readonly number[]): number {
  const spent = machineTimes().map((ticks, at) => ticks - (before[at] ?? 0))
  const total = spent.reduce((sum, ticks) => sum + ticks, 0)
  return total === 0 ? 0 : (spent[7] ?? 0) / total
}

/** user, nice, system, idle, iowait, irq, softirq, steal: ticks since boot, all processors. */
export function machineTimes(): number[] {
  const line = readProc('stat')?.split('\n')[0] ?? ''
  return line.trim().split(/\s+/).slice(1, 9).map(Number)
}

function readTimes(pid: number): ProcessTimes | undefined {
  const stat = readProc(`${pid}/stat`)
  if (stat === undefined) return undefined
  // The second field is the program's name in parentheses and may hold blanks: count from behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
  return { parent: Number(fields[1]), micros: (ticks * 1e6) / ticksPerSecond }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return undefined
  }
}

import type { LoadSample, MemorySample } from './measure.ts'
import { cost, type Results } from './results.ts'
import { isShared, type Scenario } from './scenarios.ts'
import { median } from './statistics.ts'
import { gainOfTwo, type Verdict } from './targets.ts'

/** A table a scenario: medians over the rounds, with the spread of what it is about. */
export function printScenario(scenario: Scenario, results: Results): string {
  const rows = results.rowsOf(scenario.name)
  const bases = isShared(scenario) ? [] : ['nginx', 'http-proxy-3']
  const shown = bases.filter((base) => rows.includes(base))
  const head =
    scenario.kind === 'idle'
      ? ['', 'MiB', 'min-max', 'KiB/conn', 'errors']
      : [
          '',
          'CPU us/req',
          'min-max',
          scenario.kind === 'handshake' ? '/s' : 'req/s',
          'p99 ms',
          'cores',
          'errors',
        ]
  const table = [
    [...head, ...(isShared(scenario) ? ['scaling'] : []), ...shown.map((base) => `x ${base}`)],
    ...rows.map((row) => [
      ...cells(scenario, row, results),
      ...scaling(scenario, row, results),
      ...shown.map((base) => ratio(scenario, row, base, results)),
    ]),
  ]
  return `\n${scenario.name}: ${scenario.title}\n${align(table)}\n${tlsNote(scenario, results)}`
}

export function printVerdicts(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ target, measured, met }) => {
    const word = measured === undefined ? 'NOT MEASURED' : met ? 'met' : 'MISSED'
    return `  ${word.padEnd(12)}  ${measured?.toFixed(2).padStart(6) ?? '     -'}  ${target}`
  })
  return `\ntargets\n${lines.join('\n')}\n`
}

function cells(scenario: Scenario, row: string, results: Results): string[] {
  const samples = results.samplesOf(scenario.name, row)
  if (samples.length === 0)
    return [row, 'failed', ...Array.from({ length: scenario.kind === 'idle' ? 3 : 5 }, () => '')]
  const errors = String(samples.reduce((sum, sample) => sum + sample.errors, 0))
  const costs = samples.map(cost)
  if (scenario.kind === 'idle') {
    const perConnection = middle(samples as readonly MemorySample[], (sample) => sample.bytesPerConnection)
    const each = costs.map((bytes) => bytes / 1024 ** 2)
    return [row, figure(median(each)), spread(each), figure(perConnection / 1024), errors]
  }
  const loads = samples as readonly LoadSample[]
  return [
    row,
    figure(median(costs)),
    spread(costs),
    middle(loads, (sample) => sample.requestsPerSecond).toFixed(0),
    middle(loads, (sample) => sample.p99Ms).toFixed(1),
    middle(loads, (sample) => sample.busyCores).toFixed(2),
    errors,
  ]
}

function ratio(scenario: Scenario, row: string, base: string, results: Results): string {
  return results.ratio(scenario.name, row, base)?.toFixed(2) ?? '-'
}

/** What two workers do on two cores for each unit that one does on one. */
function scaling(scenario: Scenario, row: string, results: Results): string[] {
  if (!isShared(scenario)) return []
  const gain = row.endsWith(' x2') ? gainOfTwo(results, row.slice(0, -3)) : undefined
  return [gain?.toFixed(2) ?? '']
}

/** Servers that negotiated different ciphers were not given the same work: said aloud, never hidden. */
function tlsNote(scenario: Scenario, results: Results): string {
  const byTls = new Map<string, Set<string>>()
  for (const row of results.rowsOf(scenario.name)) {
    for (const { tls } of results.samplesOf(scenario.name, row)) {
      byTls.set(tls, (byTls.get(tls) ?? new Set()).add(row))
    }
  }
  if (byTls.size < 2) return ''
  const groups = [...byTls].map(([tls, rows]) => `${[...rows].join(', ')}: ${tls}`)
  return `  NOTE: not the same cipher: ${groups.join('; ')}\n`
}

function middle<T>(samples: readonly T[], of: (sample: T) => number): number {
  return median(samples.map(of))
}

function spread(values: readonly number[]): string {
  return `${figure(Math.min(...values))}-${figure(Math.max(...values))}`
}

/** Three digits or so: 8.42, 23.1, 1470. */
function figure(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}

function align(table: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of table)
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, cell.length)
  return table
    .map((row) =>
      row
        .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
        .join('  '),
    )
    .map((line) => `  ${line}`.trimEnd())
    .join('\n')
}

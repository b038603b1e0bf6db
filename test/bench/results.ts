import type { Sample } from './measure.ts'
import { median } from './statistics.ts'

/**
 * All samples of a run. A row is a server, and its number of workers where that varies ("sluice x2").
 * A place stays empty where a measurement failed or had errors: a server that answers wrongly may be fast.
 */
export class Results {
  readonly #rows = new Map<string, Map<string, (Sample | undefined)[]>>()

  add(scenario: string, row: string, round: number, sample: Sample | undefined): void {
    let rows = this.#rows.get(scenario)
    if (rows === undefined) this.#rows.set(scenario, (rows = new Map()))
    let samples = rows.get(row)
    if (samples === undefined) rows.set(row, (samples = []))
    samples[round] = sample
  }

  rowsOf(scenario: string): readonly string[] {
    return [...(this.#rows.get(scenario)?.keys() ?? [])]
  }

  /** By round; failed ones are left out. */
  samplesOf(scenario: string, row: string): readonly Sample[] {
    return (this.#rows.get(scenario)?.get(row) ?? []).filter((sample) => sample !== undefined)
  }

  /**
   * Cost of one row over that of another, the median of the ratios within each round, so that drift of the
   * machine cancels out. Undefined when no round has both without errors.
   */
  ratio(scenario: string, row: string, base: string): number | undefined {
    const rows = this.#rows.get(scenario)
    const others = rows?.get(base) ?? []
    const ratios = (rows?.get(row) ?? []).flatMap((sample, round) => {
      const other = others[round]
      return isClean(sample) && isClean(other) ? [cost(sample) / cost(other)] : []
    })
    return ratios.length === 0 ? undefined : median(ratios)
  }

  toJSON(): unknown {
    return Object.fromEntries([...this.#rows].map(([scenario, rows]) => [scenario, Object.fromEntries(rows)]))
  }
}

/** What a scenario is about: processor microseconds per request, or resident bytes. */
export function cost(sample: Sample): number {
  return sample.kind === 'load' ? sample.cpuMicrosPerRequest : sample.bytes
}

function isClean(sample: Sample | undefined): sample is Sample {
  return sample !== undefined && sample.errors === 0
}

/**
 * Smooth weighted round robin, as nginx does it: a, a, b, a, c, a, a for weights 5, 1, 1; never a run of five.
 * Each pick raises every entry by its weight, takes the highest and lowers it by the total.
 * Memory: one number an entry.
 */
export class RoundRobin {
  readonly #weights: readonly number[]
  readonly #total: number
  readonly #current: number[]

  /** Whole weights of 0 or more; when all are 0 every entry counts the same. */
  constructor(weights: readonly number[]) {
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    this.#weights = total > 0 ? weights : weights.map(() => 1)
    this.#total = total > 0 ? total : weights.length
    this.#current = weights.map(() => 0)
  }

  /** Index of the next entry. */
  next(): number {
    const current = this.#current
    if (current.length === 1) return 0
    let best = -1
    let highest = Number.NEGATIVE_INFINITY
    for (let i = 0; i < current.length; i++) {
      const weight = this.#weights[i] as number
      if (weight === 0) continue
      const raised = (current[i] as number) + weight
      current[i] = raised
      if (raised > highest) {
        highest = raised
        best = i
      }
    }
    current[best] = highest - this.#total
    return best
  }
}

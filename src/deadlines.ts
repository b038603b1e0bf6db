import type { Clock, Timer } from './clock.ts'
import { DeadlineError } from './errors.ts'
import type { Exchange } from './exchange.ts'

/**
 * Ends exchanges whose deadline has passed, by one coarse sweep instead of a timer for each: up to 250 ms late.
 * Holds the exchanges under way that have a deadline, as many as the listeners let in; the sweep rests when there are
 * none. An ended exchange is let go at once; whoever works on it hears it from `onAbort`.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #watched = new Set<Exchange>()
  #sweep: Timer | undefined = undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  watch(exchange: Exchange): void {
    this.#watched.add(exchange)
    this.#sweep ??= this.#clock.every(sweepMs, () => this.#check())
  }

  forget(exchange: Exchange): void {
    if (this.#watched.delete(exchange)) this.#restIfIdle()
  }

  #check(): void {
    const now = this.#clock.nowMs()
    for (const exchange of this.#watched) {
      if (now < exchange.deadlineMs) continue
      this.#watched.delete(exchange)
      exchange.abort(new DeadlineError(Math.round(exchange.deadlineMs - exchange.startedMs)))
    }
    this.#restIfIdle()
  }

  #restIfIdle(): void {
    if (this.#watched.size > 0) return
    this.#sweep?.cancel()
    this.#sweep = undefined
  }
}

const sweepMs = 250

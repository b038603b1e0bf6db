import type { Clock, Timer } from '../../src/clock.ts'

interface Alarm {
  dueMs: number
  readonly periodMs: number | undefined
  readonly task: () => void
}

/** A clock that stands still until told otherwise. Both times start at `startMs` and move together. */
export class ManualClock implements Clock {
  #nowMs: number
  readonly #alarms = new Set<Alarm>()

  constructor(startMs = Date.UTC(2026, 0, 2, 3, 4, 5)) {
    this.#nowMs = startMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#add({ dueMs: this.#nowMs + delayMs, periodMs: undefined, task })
  }

  every(periodMs: number, task: () => void): Timer {
    return this.#add({ dueMs: this.#nowMs + periodMs, periodMs: Math.max(periodMs, 1), task })
  }

  /** Timers that have not run out or been cancelled. */
  get pending(): number {
    return this.#alarms.size
  }

  /** Moves on by `ms`, running what falls due on the way, each task at its own instant and in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms
    for (let alarm = this.#next(end); alarm !== undefined; alarm = this.#next(end)) {
      this.#nowMs = Math.max(this.#nowMs, alarm.dueMs)
      if (alarm.periodMs === undefined) this.#alarms.delete(alarm)
      else alarm.dueMs += alarm.periodMs
      alarm.task()
    }
    this.#nowMs = end
  }

  #add(alarm: Alarm): Timer {
    this.#alarms.add(alarm)
    return { cancel: () => void this.#alarms.delete(alarm) }
  }

  #next(endMs: number): Alarm | undefined {
    let first: Alarm | undefined
    for (const alarm of this.#alarms) {
      if (alarm.dueMs <= endMs && (first === undefined || alarm.dueMs < first.dueMs)) first = alarm
    }
    return first
  }
}

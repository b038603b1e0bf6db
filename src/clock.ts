/** Time as the gateway sees it. Handed in everywhere, so that no test sleeps. */
export interface Clock {
  /** Wall time, milliseconds since the epoch. For dates that leave the process. */
  wallMs(): number
  /** Monotonic time, milliseconds with a fraction; never goes back. For durations and deadlines. */
  nowMs(): number
  /** Runs `task` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, task: () => void): Timer
  /** Runs `task` every `periodMs`. The timer does not keep the process alive. */
  every(periodMs: number, task: () => void): Timer
}

export interface Timer {
  /** Idempotent. */
  cancel(): void
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, task) {
    const handle = setTimeout(task, delayMs)
    handle.unref()
    return { cancel: () => clearTimeout(handle) }
  },
  every(periodMs, task) {
    const handle = setInterval(task, periodMs)
    handle.unref()
    return { cancel: () => clearInterval(handle) }
  },
}

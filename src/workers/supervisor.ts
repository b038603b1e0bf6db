import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { CallName, FromWorker, ToWorker, WorkerCalls, WorkerStart } from './messages.ts'
import { type SpawnThread, type WorkerThread, exitReason } from './thread.ts'

/**
 * Keeps the workers running: starts them, and starts again each one that dies, after a pause that doubles from 100 ms to
 * 10 s and is short again once a worker has lived for a minute. A worker that dies takes its connections along, never
 * the gateway.
 *
 * In memory: one slot a worker.
 */
const firstPauseMs = 100
const longestPauseMs = 10_000
const healthyAfterMs = 60_000
/** A worker that has not started by then never will. */
const startTimeoutMs = 30_000

export interface SupervisorDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly spawn: SpawnThread
  /** What a worker that starts now is given: the plan in use, not the one that was in use when the gateway started. */
  readonly startOf: (index: number) => WorkerStart
  /** Called when a worker has ended and before another takes its number: shared counts are cleared here. */
  readonly ended: (index: number) => void
  readonly message: (
    index: number,
    message: Exclude<FromWorker, { kind: 'reply' | 'call-failed' | 'started' | 'start-failed' }>,
  ) => void
}

/** A worker could not start; `faults` are one line each. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

/** What one worker said to a broadcast. */
export type Reply<Name extends CallName> =
  | { readonly index: number; readonly answer: WorkerCalls[Name]['answer']; readonly failure: undefined }
  | { readonly index: number; readonly answer: undefined; readonly failure: string }

interface Slot {
  readonly index: number
  state: 'starting' | 'serving' | 'waiting' | 'ended'
  thread: WorkerThread | undefined
  startedMs: number
  pauseMs: number
  restart: Timer | undefined
  /** Settles the attempt that is under way. */
  starting: Promise<void>
}

export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #slots: Slot[] = []
  #isStopping = false
  #held: Promise<void> | undefined

  constructor(workers: number, deps: SupervisorDeps) {
    this.#deps = deps
    for (let index = 0; index < workers; index += 1) {
      this.#slots.push({
        index,
        state: 'ended',
        thread: undefined,
        startedMs: 0,
        pauseMs: firstPauseMs,
        restart: undefined,
        starting: Promise.resolve(),
      })
    }
  }

  get size(): number {
    return this.#slots.length
  }

  get serving(): number {
    return this.#slots.filter((slot) => slot.state === 'serving').length
  }

  /** Resolves when every worker serves. Rejects with the first WorkerStartError; nothing runs then. */
  async start(): Promise<void> {
    const outcomes = await Promise.allSettled(this.#slots.map((slot) => this.#launch(slot)))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed === undefined) return
    await this.terminate()
    throw failed.reason
  }

  /** Asks every worker that serves. One entry each: its answer, or why there is none. Never rejects. */
  broadcast<Name extends CallName>(
    name: Name,
    ask: WorkerCalls[Name]['ask'],
    timeoutMs: number,
  ): Promise<Reply<Name>[]> {
    const asked: Promise<Reply<Name>>[] = []
    for (const { index, state, thread } of this.#slots) {
      if (state !== 'serving' || thread === undefined) continue
      asked.push(
        thread.call(name, ask, timeoutMs).then(
          (answer) => ({ index, answer, failure: undefined }),
          (error: unknown) => ({ index, answer: undefined, failure: reason(error) }),
        ),
      )
    }
    return Promise.all(asked)
  }

  /** To every worker that runs, starting ones included. */
  postAll(message: ToWorker): void {
    for (const slot of this.#slots) slot.thread?.post(message)
  }

  post(index: number, message: ToWorker): void {
    this.#slots[index]?.thread?.post(message)
  }

  /**
   * Runs `work` while no worker starts: those that are starting are waited for, and restarts that fall due meanwhile
   * wait for its end. So a reload meets the same workers in both of its phases, and late ones start with its outcome.
   */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    while (this.#held !== undefined) await this.#held
    const gate = Promise.withResolvers<void>()
    this.#held = gate.promise
    try {
      await Promise.allSettled(this.#slots.map((slot) => slot.starting))
      return await work()
    } finally {
      this.#held = undefined
      gate.resolve()
    }
  }

  /** Ends one worker at once, as a crash would; it is started again. For tests and for workers that do not follow. */
  async recycle(index: number): Promise<void> {
    await this.#slots[index]?.thread?.terminate()
  }

  /** From here on a worker that ends is not started again. */
  stopRestarting(): void {
    this.#isStopping = true
    for (const slot of this.#slots) slot.restart?.cancel()
  }

  async terminate(): Promise<void> {
    this.stopRestarting()
    await Promise.allSettled(this.#slots.flatMap((slot) => slot.thread?.terminate() ?? []))
  }

  #launch(slot: Slot): Promise<void> {
    const { clock, logger, spawn, startOf } = this.#deps
    const begun = Promise.withResolvers<void>()
    slot.starting = begun.promise
    slot.state = 'starting'
    slot.startedMs = clock.nowMs()
    let faults: readonly string[] | undefined
    const deadline = clock.after(startTimeoutMs, () => {
      faults = [`worker ${slot.index} did not start within ${startTimeoutMs / 1_000} s`]
      void slot.thread?.terminate()
    })
    slot.thread = spawn(startOf(slot.index), {
      message: (message) => {
        if (message.kind === 'started') {
          deadline.cancel()
          slot.state = 'serving'
          begun.resolve()
        } else if (message.kind === 'start-failed') {
          faults = message.faults
          void slot.thread?.terminate()
        } else this.#deps.message(slot.index, message)
      },
      exit: (code, error) => {
        deadline.cancel()
        const wasServing = slot.state === 'serving'
        slot.state = 'ended'
        slot.thread = undefined
        this.#deps.ended(slot.index)
        faults ??= [`worker ${slot.index} ended: ${exitReason(code, error)}`]
        if (!this.#isStopping) {
          logger.error('worker ended', { worker: slot.index, reason: faults.join('; ') })
        }
        begun.reject(new WorkerStartError(faults))
        if (wasServing || slot.restart !== undefined) this.#restartLater(slot)
      },
    })
    // A restart has nobody who waits for this promise; the log has the reason.
    begun.promise.catch(() => {})
    return begun.promise
  }

  #restartLater(slot: Slot): void {
    const { clock, logger } = this.#deps
    if (this.#isStopping) return
    if (clock.nowMs() - slot.startedMs >= healthyAfterMs) slot.pauseMs = firstPauseMs
    const pauseMs = slot.pauseMs
    slot.pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    slot.state = 'waiting'
    slot.restart = clock.after(pauseMs, () => void this.#restart(slot))
    logger.info('worker restarts', { worker: slot.index, pauseMs })
  }

  async #restart(slot: Slot): Promise<void> {
    while (this.#held !== undefined) await this.#held
    if (this.#isStopping) return
    try {
      await this.#launch(slot)
      this.#deps.logger.info('worker is back', { worker: slot.index })
    } catch (error) {
      this.#deps.logger.debug('worker restart failed', { worker: slot.index, reason: reason(error) })
    }
  }
}

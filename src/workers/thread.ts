import { totalmem } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '../clock.ts'
import { reason } from '../errors.ts'
import type { CallName, FromWorker, ToWorker, WorkerCalls, WorkerStart } from './messages.ts'
import { threadFile } from './thread-file.ts'

/** One worker as the supervisor sees it. */
export interface WorkerThread {
  post(message: ToWorker): void
  /** Rejects when the worker ends first, when it fails, and after `timeoutMs`. */
  call<Name extends CallName>(
    name: Name,
    ask: WorkerCalls[Name]['ask'],
    timeoutMs: number,
  ): Promise<WorkerCalls[Name]['answer']>
  terminate(): Promise<void>
}

export interface ThreadEvents {
  /** Everything but replies. */
  message(message: Exclude<FromWorker, { kind: 'reply' | 'call-failed' }>): void
  /** Once, after which nothing more comes. `error` is what the thread died of, if it threw. */
  exit(code: number, error: unknown): void
}

export type SpawnThread = (start: WorkerStart, events: ThreadEvents) => WorkerThread

interface OpenCall {
  readonly resolve: (answer: object) => void
  readonly reject: (error: Error) => void
  readonly timer: Timer
}

/**
 * Starts real threads. Their heap has a bound, so that one which runs away dies alone instead of taking the process along.
 * Open calls are bounded by who asks: the gateway and the admin endpoint ask one at a time each, with a timeout.
 */
export function threadSpawner(clock: Clock, workers: number): SpawnThread {
  const maxHeapMiB = heapMiB(workers)
  return (start, events) => {
    const thread = new Worker(threadFile(import.meta.url, 'worker-entry'), {
      name: `worker-${start.index}`,
      workerData: start,
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMiB },
    })
    const calls = new Map<number, OpenCall>()
    let lastCall = 0
    let error: unknown
    const settle = (call: number): OpenCall | undefined => {
      const open = calls.get(call)
      calls.delete(call)
      open?.timer.cancel()
      return open
    }
    thread.on('message', (message: FromWorker) => {
      if (message.kind === 'reply') settle(message.call)?.resolve(message.answer)
      else if (message.kind === 'call-failed') settle(message.call)?.reject(new Error(message.reason))
      else events.message(message)
    })
    thread.on('error', (thrown) => {
      error = thrown
    })
    thread.on('messageerror', (thrown) => {
      error ??= thrown
    })
    thread.on('exit', (code) => {
      for (const call of calls.keys())
        settle(call)?.reject(new Error(`worker ${start.index} ended: ${exitReason(code, error)}`))
      events.exit(code, error)
    })
    return {
      post: (message) => thread.postMessage(message),
      call(name, ask, timeoutMs) {
        lastCall += 1
        const call = lastCall
        return new Promise((resolve, reject) => {
          const timer = clock.after(timeoutMs, () => {
            settle(call)?.reject(new Error(`worker ${start.index} did not answer within ${timeoutMs} ms`))
          })
          calls.set(call, { resolve, reject, timer })
          thread.postMessage({ kind: 'call', call, name, ask })
        })
      },
      terminate: async () => void (await thread.terminate()),
    }
  }
}

export function exitReason(code: number, error: unknown): string {
  return error === undefined ? `exit code ${code}` : reason(error)
}

/** Old-space bound of one worker: its share of three quarters of the memory, 256 MiB to 4 GiB. */
function heapMiB(workers: number): number {
  const limit = process.constrainedMemory()
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return Math.min(4_096, Math.max(256, Math.floor((bytes * 0.75) / workers / 1_048_576)))
}

/** Thread entry of a worker: builds it from `workerData`, then answers what the main thread asks. */
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../clock.ts'
import { reason } from '../errors.ts'
import { adjustableLogger } from './adjustable-logger.ts'
import { RelaySink } from '../observe/relay-sink.ts'
import { GatewayWorker } from './gateway-worker.ts'
import type { FromWorker, ToWorker, WorkerStart } from './messages.ts'

const port = parentPort
if (port === null) throw new Error('worker-entry.ts is the entry of a thread')
const start = workerData as WorkerStart
const post = (message: FromWorker): void => port.postMessage(message)

const { logger, setLevel } = adjustableLogger(
  (line) => post({ kind: 'log', line }),
  start.logLevel,
  systemClock,
  {
    worker: start.index,
  },
)
const sink = new RelaySink((batch) =>
  port.postMessage({ kind: 'access-log', batch } satisfies FromWorker, [batch.bytes.buffer]),
)
const worker = new GatewayWorker(start, { clock: systemClock, logger, sink })

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'log-level':
      return setLevel(message.level)
    case 'ticket-key':
      return worker.setTicketKey(message.key)
    case 'access-log-taken':
      return sink.acknowledge(message.size)
    case 'call':
      answer(message).then(
        (reply) => post({ kind: 'reply', call: message.call, answer: reply }),
        (error: unknown) => post({ kind: 'call-failed', call: message.call, reason: reason(error) }),
      )
      return
    default:
      message satisfies never
  }
})

async function answer(message: Extract<ToWorker, { kind: 'call' }>): Promise<object> {
  switch (message.name) {
    case 'prepare':
      return { faults: await worker.prepare(message.ask.plan) }
    case 'commit':
      return { faults: await worker.commit(message.ask.generation) }
    case 'abandon':
      await worker.abandon()
      return {}
    case 'certificates':
      return { faults: worker.replaceCertificates(message.ask.materials) }
    case 'drain': {
      const cut = await worker.drain(message.ask.deadlineMs)
      await sink.close()
      return { cut }
    }
    case 'trace':
      return { found: worker.trace(message.ask.requestId) }
    case 'stats':
      return worker.stats()
    default:
      return message satisfies never
  }
}

// A first plan is prepared and committed like any other.
let faults = await worker.prepare(start.plan)
if (faults.length === 0) faults = await worker.commit(start.plan.generation)
post(faults.length === 0 ? { kind: 'started' } : { kind: 'start-failed', faults })

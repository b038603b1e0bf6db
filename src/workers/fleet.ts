import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { type TicketKeys, rotateTicketKeys } from '../listener/ticket-keys.ts'
import type { Logger } from '../log.ts'
import { ConnectionTable } from '../shared/connection-table.ts'
import type { LogOutput } from './log-output.ts'
import type { Plan } from './plan.ts'
import { type Reply, Supervisor } from './supervisor.ts'
import { threadSpawner } from './thread.ts'

/**
 * The workers taken together, and what they share: the plan in use, ticket keys, the table of connections. A plan goes to
 * all of them or to none.
 */
export interface FleetDeps {
  readonly clock: Clock
  readonly logger: Logger
  /** Takes the lines of the workers' runtime logs. */
  readonly writeLog: (line: string) => void
  readonly accessLog: LogOutput
}

/** How a drain ended. */
export interface DrainResult {
  /** Requests that the deadline cut. */
  readonly cut: number
  /** Every worker drained by itself and no request was cut. */
  readonly clean: boolean
}

/** Building a plan loads files and binds addresses. */
const prepareTimeoutMs = 30_000
const commitTimeoutMs = 10_000
const askTimeoutMs = 1_000
/** What a worker may take beyond the drain's deadline to cut the rest and hand in its log. */
const drainGraceMs = 3_000

export class Fleet {
  readonly #deps: FleetDeps
  readonly #supervisor: Supervisor
  #plan: Plan
  #ticketKeys: TicketKeys
  #isDraining = false

  /** The first plan decides how many workers there are and how many connections are counted. */
  constructor(plan: Plan, deps: FleetDeps) {
    this.#deps = deps
    this.#plan = plan
    this.#ticketKeys = this.#rotateKeys(plan)
    const { workers, limits } = plan.config
    const table = ConnectionTable.allocate(limits.maxConnections, workers, randomBytes(4).readUInt32BE())
    const connections = new ConnectionTable(table, 0)
    this.#supervisor = new Supervisor(workers, {
      clock: deps.clock,
      logger: deps.logger,
      spawn: threadSpawner(deps.clock, workers),
      startOf: (index) => ({
        index,
        plan: this.#plan.worker,
        connectionTable: table,
        ticketKey: this.#ticketKeys.current,
        logLevel: this.#plan.config.logLevel,
      }),
      ended: (index) => connections.clearWorker(index),
      message: (index, message) => {
        if (message.kind === 'log') deps.writeLog(message.line)
        else
          deps.accessLog.write(message.batch, (size) =>
            this.#supervisor.post(index, { kind: 'access-log-taken', size }),
          )
      },
    })
  }

  /** The plan in use: what a worker that starts now is given. */
  get plan(): Plan {
    return this.#plan
  }

  get size(): number {
    return this.#supervisor.size
  }

  get serving(): number {
    return this.#supervisor.serving
  }

  /** Resolves when every worker serves. Rejects with WorkerStartError; nothing runs then. */
  start(): Promise<void> {
    return this.#supervisor.start()
  }

  /** Puts `plan` to use in two phases. Returned faults mean that every worker still has its former plan. */
  swap(plan: Plan): Promise<readonly string[]> {
    const supervisor = this.#supervisor
    return supervisor.hold(async () => {
      const faults = faultsIn(await supervisor.broadcast('prepare', { plan: plan.worker }, prepareTimeoutMs))
      // A drain that began meanwhile has the last word.
      if (this.#isDraining) faults.push('the gateway stops')
      if (faults.length > 0) {
        await supervisor.broadcast('abandon', {}, commitTimeoutMs)
        return faults
      }
      const former = this.#plan
      // From here on a worker that starts gets the new plan, and one that does not follow is started anew.
      this.#plan = plan
      await this.#commit(plan)
      supervisor.postAll({ kind: 'log-level', level: plan.config.logLevel })
      if (plan.config.tls.ticketRotationMs !== former.config.tls.ticketRotationMs) {
        this.#ticketKeys.stop()
        this.#ticketKeys = this.#rotateKeys(plan)
        supervisor.postAll({ kind: 'ticket-key', key: this.#ticketKeys.current })
      }
      return []
    })
  }

  /** Replaces the certificates of the plan in use by what `renew` makes of it. Rejects with what is wrong with them. */
  async renewCertificates(renew: (plan: Plan) => Promise<Plan>): Promise<void> {
    const supervisor = this.#supervisor
    await supervisor.hold(async () => {
      const plan = await renew(this.#plan)
      const faults = faultsIn(
        await supervisor.broadcast('certificates', { materials: plan.materials }, commitTimeoutMs),
      )
      if (faults.length > 0) throw new Error(faults.join('; '))
      this.#plan = plan
    })
  }

  /** Never rejects. Afterwards the workers have nothing left to do; `terminate` ends them. */
  async drain(): Promise<DrainResult> {
    this.#isDraining = true
    this.#supervisor.stopRestarting()
    const deadlineMs = this.#plan.config.timeouts.drainMs
    const replies = await this.#supervisor.broadcast('drain', { deadlineMs }, deadlineMs + drainGraceMs)
    let cut = 0
    let isClean = true
    for (const { index, answer, failure } of replies) {
      if (answer !== undefined) cut += answer.cut
      else {
        isClean = false
        this.#deps.logger.error('worker did not drain', { worker: index, reason: failure })
      }
    }
    return { cut, clean: isClean && cut === 0 }
  }

  async terminate(): Promise<void> {
    this.#ticketKeys.stop()
    await this.#supervisor.terminate()
  }

  /** Ends one worker at once, as a crash would; it is started again. */
  crash(index: number): Promise<void> {
    return this.#supervisor.recycle(index)
  }

  /** What the stages decided for one request, from whichever worker remembers it. */
  async trace(requestId: string): Promise<object | undefined> {
    const replies = await this.#supervisor.broadcast('trace', { requestId }, askTimeoutMs)
    return replies.find(({ answer }) => answer?.found !== undefined)?.answer?.found
  }

  /** Connections of each worker, to clients and to endpoints. */
  async stats(): Promise<object[]> {
    const replies = await this.#supervisor.broadcast('stats', {}, askTimeoutMs)
    return replies.flatMap(({ index, answer }) =>
      answer === undefined ? [] : [{ worker: index, ...answer }],
    )
  }

  async #commit({ worker: { generation } }: Plan): Promise<void> {
    const replies = await this.#supervisor.broadcast('commit', { generation }, commitTimeoutMs)
    for (const { index, answer, failure } of replies) {
      const trouble = failure ?? answer.faults[0]
      if (trouble === undefined) continue
      this.#deps.logger.error('worker did not take the new configuration', { worker: index, reason: trouble })
      await this.#supervisor.recycle(index)
    }
  }

  #rotateKeys(plan: Plan): TicketKeys {
    return rotateTicketKeys(plan.config.tls.ticketRotationMs, this.#deps.clock, randomBytes, (key) => {
      this.#supervisor.postAll({ kind: 'ticket-key', key })
    })
  }
}

/** Each fault once, however many workers have it. */
function faultsIn(replies: readonly Reply<'prepare' | 'certificates'>[]): string[] {
  return [...new Set(replies.flatMap((reply) => reply.answer?.faults ?? [reply.failure ?? '']))]
}
